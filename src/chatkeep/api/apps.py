"""How Django knows the API."""

from __future__ import annotations

from django.apps import AppConfig


class Api(AppConfig):
    name = "chatkeep.api"
    label = "api"
    verbose_name = "API"
    default_auto_field = "django.db.models.BigAutoField"
