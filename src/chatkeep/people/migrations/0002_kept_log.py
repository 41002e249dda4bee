"""PostgreSQL itself refuses to change, remove or empty the lines of the log.

Whoever owns the database can take the triggers away; the chain of hashes (`chatkeep.people.audit`) then still shows it.
"""

from typing import Any

from django.db import migrations

MAKE = """
CREATE FUNCTION people_audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The log is added to and never changed.' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER people_audit_lines BEFORE UPDATE OR DELETE ON people_audit
    FOR EACH ROW EXECUTE FUNCTION people_audit_is_kept();
CREATE TRIGGER people_audit_whole BEFORE TRUNCATE ON people_audit
    FOR EACH STATEMENT EXECUTE FUNCTION people_audit_is_kept();
"""
UNMAKE = """
DROP TRIGGER people_audit_whole ON people_audit;
DROP TRIGGER people_audit_lines ON people_audit;
DROP FUNCTION people_audit_is_kept();
"""


def make(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(MAKE)


def unmake(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(UNMAKE)


class Migration(migrations.Migration):

    dependencies = [
        ("people", "0001_first"),
    ]

    operations = [
        migrations.RunPython(make, unmake),
    ]
