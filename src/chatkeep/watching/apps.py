"""How Django knows the eyes."""

from __future__ import annotations

from django.apps import AppConfig


class Watching(AppConfig):
    name = "chatkeep.watching"
    label = "watching"
    verbose_name = "Watching"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from chatkeep.connections import rotating
        from chatkeep.watching.models import SEALED, Channels

        rotating.SEALED[Channels] = {name: name for name in SEALED}
