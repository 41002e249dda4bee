"""How Django knows the jobs."""

from __future__ import annotations

from django.apps import AppConfig


class Jobs(AppConfig):
    name = "chatkeep.jobs"
    label = "jobs"
    verbose_name = "Jobs"
    default_auto_field = "django.db.models.BigAutoField"
