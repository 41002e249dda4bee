"""How Django knows the feedback."""

from __future__ import annotations

from django.apps import AppConfig


class Feedback(AppConfig):
    name = "chatkeep.feedback"
    label = "feedback"
    verbose_name = "Feedback"
    default_auto_field = "django.db.models.BigAutoField"
