"""How Django knows the API."""

from __future__ import annotations

from django.apps import AppConfig


class Api(AppConfig):
    name = "chatkeep.api"
    label = "api"
    verbose_name = "API"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Say what of its rows is sealed, so that it is sealed anew when the secret is replaced."""
        from chatkeep.api.models import Answer, Webhook
        from chatkeep.connections.rotating import SEALED

        SEALED.update({Answer: {"body": "body"}, Webhook: {"secret": "secret"}})
