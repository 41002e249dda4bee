"""How Django knows the people."""

from __future__ import annotations

from django.apps import AppConfig


class People(AppConfig):
    name = "chatkeep.people"
    label = "people"
    verbose_name = "People"
    default_auto_field = "django.db.models.BigAutoField"
