"""Changes of the database that an older version goes on working beside, as docs/design/migrations.md asks for.

class Migration(migrations.Migration):
    atomic = False                                 # an index that is built calmly is built outside a transaction
    unused_since = {"job.owner": "0.3.0"}          # the contract step: what no running version looks at any more
    operations = [AddIndexCalmly("job", models.Index(fields=["by"], name="jobs_by"))]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import migrations
from django.db.migrations.operations import base
from django.db.models import NOT_PROVIDED


class AddIndexCalmly(migrations.AddIndex):
    """AddIndex that lets others write to the table meanwhile, where the database can do that (PostgreSQL)."""

    atomic = False

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Build the index; one that broke off half built is built anew."""
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.remove_index(model, self.index, concurrently=True)
        schema_editor.add_index(model, self.index, concurrently=True)


def dangers(migration: migrations.Migration, state: Any) -> Iterator[str]:
    """What a version before this migration would stumble over while it works beside it, each in words.

    state: of the project before the migration. Tables that the migration itself makes are known to nobody yet.
    """
    new = {operation.name_lower for operation in migration.operations if isinstance(operation, migrations.CreateModel)}
    unused = set(getattr(migration, "unused_since", {}))
    for operation in migration.operations:
        model = getattr(operation, "model_name_lower", getattr(operation, "name_lower", ""))
        fields = [f"{model}.{getattr(operation, name, '')}".lower() for name in ("name", "old_name")]
        if model in new or model in unused or unused & set(fields):
            continue
        why = _danger(operation, migration, state)
        if why:
            yield f"{migration.app_label}.{migration.name}: {operation.describe()}: {why}"


def _danger(operation: base.Operation, migration: migrations.Migration, state: Any) -> str:
    match operation:
        case migrations.CreateModel() | migrations.RunPython() | migrations.AlterModelOptions() | AddIndexCalmly():
            return ""
        case migrations.SeparateDatabaseAndState() | migrations.RunSQL():
            return "what it does cannot be seen"
        case migrations.RemoveIndex() | migrations.AlterModelManagers():
            return ""
        case migrations.AddIndex():
            return "nobody can write to the table meanwhile: use AddIndexCalmly"
        case migrations.AddField():
            given = operation.field.null or operation.field.many_to_many
            has_default = operation.field.db_default is not NOT_PROVIDED
            return "" if given or has_default else "old code does not fill it: give it db_default or null"
        case migrations.AlterField():
            before = state.models[migration.app_label, operation.model_name_lower].fields[operation.name]
            return "" if _is_wider(before, operation.field) else "old values or old code may not fit it"
        case _:
            return "old code still uses it: name it in unused_since, one version after the last that did"


def _is_wider(before: Any, after: Any) -> bool:
    """Whether everything that fitted the field before fits it now, with the same kind of column."""
    if type(before) is not type(after) or before.unique != after.unique or before.db_index != after.db_index:
        return False
    if before.null and not after.null:
        return False
    if before.db_default is not NOT_PROVIDED and after.db_default is NOT_PROVIDED and not after.null:
        return False
    if before.max_length and after.max_length and after.max_length < before.max_length:
        return False
    return getattr(before, "remote_field", None) is None or before.deconstruct()[2] == after.deconstruct()[2]
