"""The models of an older version, as the migrations say that they were, used on the database as it is now."""

from __future__ import annotations

import datetime
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from django.db import connection, models
from django.db.migrations.loader import MigrationLoader

ONLY_ADDED_TO = {"people.audit"}
"""Tables whose rows the database lets nobody change."""


def use_as_before(released: Mapping[str, str]) -> int:
    """Write, read, change and delete a row of every model that these apps had then. How many models that were."""
    found = MigrationLoader(connection)
    state = found.project_state([(app, name) for app, name in released.items()])
    wanted = [model for model in state.apps.get_models() if model._meta.app_label in released]
    for model in wanted:
        row = _made(model)
        again = model._default_manager.get(pk=row.pk)
        for field in model._meta.concrete_fields:
            assert _plain(getattr(again, field.attname)) == _plain(getattr(row, field.attname)), field
        if model._meta.label_lower in ONLY_ADDED_TO:
            continue
        again.save()
        assert model._default_manager.filter(pk=row.pk).update(**{_changeable(model): _value(model)}) == 1
        again.delete()
    return len(wanted)


def _made(model: Any, *, depth: int = 0) -> Any:
    values = {}
    for field in model._meta.concrete_fields:
        if field.primary_key and isinstance(field, models.AutoField | models.BigAutoField):
            continue
        if field.is_relation:
            if depth < 3 and not (field.null and field.related_model is model):
                values[field.name] = _made(field.related_model, depth=depth + 1)
        elif not field.has_default() or isinstance(field, models.CharField):
            values[field.name] = _of(field)
    return model._default_manager.create(**values)


def _of(field: Any) -> Any:
    now = datetime.datetime.now(datetime.UTC)
    values: dict[type[Any], Any] = {
        models.CharField: secrets.token_hex(200)[: field.max_length or 10],
        models.TextField: secrets.token_hex(8),
        models.JSONField: {},
        models.BooleanField: True,
        models.DateTimeField: now,
        models.DateField: now.date(),
        models.UUIDField: uuid.uuid4(),
        models.BinaryField: b"bytes",
        models.IntegerField: 1,
        models.FloatField: 1.0,
    }
    return next(value for kind, value in values.items() if isinstance(field, kind))


def _changeable(model: Any) -> str:
    fields = [field for field in model._meta.concrete_fields if not field.is_relation and not field.primary_key]
    return str((fields or [model._meta.pk])[0].name)


def _value(model: Any) -> Any:
    return _of(model._meta.get_field(_changeable(model)))


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value
