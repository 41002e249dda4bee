"""How Django knows the connections."""

from __future__ import annotations

from django.apps import AppConfig


class Connections(AppConfig):
    name = "chatkeep.connections"
    label = "connections"
    verbose_name = "Connections"
    default_auto_field = "django.db.models.BigAutoField"
