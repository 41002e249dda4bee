"""On a server: the table in which guesses are counted."""

from typing import Any

from django.core.management import call_command
from django.db import migrations


def make(apps: Any, schema_editor: Any) -> None:
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):

    dependencies = [
        ("people", "0002_kept_log"),
    ]

    operations = [
        migrations.RunPython(make, migrations.RunPython.noop),
    ]
