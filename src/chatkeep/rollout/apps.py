"""How Django knows the flags."""

from __future__ import annotations

from django.apps import AppConfig


class Rollout(AppConfig):
    name = "chatkeep.rollout"
    label = "rollout"
    verbose_name = "Flags"
    default_auto_field = "django.db.models.BigAutoField"
