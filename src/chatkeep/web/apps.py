"""How Django knows the pages."""

from __future__ import annotations

from django.apps import AppConfig


class Web(AppConfig):
    name = "chatkeep.web"
    label = "web"
    verbose_name = "Pages"
    default_auto_field = "django.db.models.BigAutoField"
