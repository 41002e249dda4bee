"""How Django knows the jobs."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_delete, post_migrate, post_save


class Jobs(AppConfig):
    name = "chatkeep.jobs"
    label = "jobs"
    verbose_name = "Jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(_make_the_queue, sender=self)
        post_save.connect(_connected, sender="connections.Connection")
        post_delete.connect(_disconnected, sender="connections.Connection")


_made: set[str] = set()


def _make_the_queue(using: str, **_: Any) -> None:
    """The tables of PgQueuer follow those of Django: a server has them after `chatkeep server migrate`."""
    connection = connections[using]
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "postgresql" and name not in _made:
        import asyncio

        from chatkeep.jobs import tickets

        asyncio.run(tickets.install())
        _made.add(name)


def _connected(instance: Any, using: str, **_: Any) -> None:
    if connections[using].vendor == "postgresql":
        from chatkeep.jobs import rota

        rota.connected(instance)


def _disconnected(instance: Any, using: str, **_: Any) -> None:
    if connections[using].vendor == "postgresql":
        from chatkeep.jobs import rota

        rota.disconnected(instance)
