"""Webhooks: who is told of what happened, and whether the messages arrived."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from ninja import Path, Router, Status
from pydantic import StringConstraints

from chatkeep.api import house, values, webhooks
from chatkeep.api.models import Delivery, Webhook
from chatkeep.api.routes.frame import WEBHOOKS, Asked
from chatkeep.api.routes.jobs import stamp

router = Router(tags=["webhooks"])
Uid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


@router.get("/webhooks", auth=WEBHOOKS, response=values.Webhooks)
def list_webhooks(request: Asked) -> Any:
    """List who is told of what."""
    return {"webhooks": [_shown(one) for one in Webhook.objects.filter(archive=request.access.archive_id)]}


@router.post("/webhooks", auth=WEBHOOKS, response={201: values.NewWebhook})
def add_webhook(request: Asked, wanted: values.WebhookWanted) -> Any:
    """Tell a URL of events from now on. The secret is shown this once.

    Messages are posted as JSON with ids and counts, no words of anybody. `Chatkeep-Signature` is
    `t=<seconds>,v1=<hex>`: HMAC-SHA-256 of `<seconds>.<body>` under the secret.
    `Chatkeep-Id` is the same when a message is tried again.
    """
    archive_id = request.access.archive_id
    safe = house.means().installation_of(archive_id).safe
    secret, row = webhooks.add(archive_id, wanted.url, wanted.events, safe)
    return Status(201, {**_shown(row), "secret": secret})


@router.get("/webhooks/{id}", auth=WEBHOOKS, response=values.Webhook)
def get_webhook(request: Asked, id: Path[Uid]) -> Any:
    """Give one webhook."""
    return _shown(webhooks.find(id, request.access.archive_id))


@router.delete("/webhooks/{id}", auth=WEBHOOKS, response={204: None})
def delete_webhook(request: Asked, id: Path[Uid]) -> Any:
    """Tell it nothing more."""
    webhooks.find(id, request.access.archive_id).delete()
    return Status(204, None)


@router.post("/webhooks/{id}/test", auth=WEBHOOKS, response={202: values.Delivery})
def test_webhook(request: Asked, id: Path[Uid]) -> Any:
    """Send it a message of the event `ping`, to see whether it arrives."""
    row = webhooks.find(id, request.access.archive_id)
    return Status(202, _delivery(webhooks.tell(row, "ping", f"ping {secrets.token_hex(8)}", {})))


@router.get("/webhooks/{id}/deliveries", auth=WEBHOOKS, response=values.Deliveries)
def list_deliveries(request: Asked, id: Path[Uid]) -> Any:
    """List the last hundred messages to it, and whether they arrived."""
    row = webhooks.find(id, request.access.archive_id)
    return {"deliveries": [_delivery(one) for one in Delivery.objects.filter(webhook=row)[:100]]}


def _shown(one: Webhook) -> dict[str, Any]:
    return {
        "id": one.uid,
        "url": one.url,
        "events": one.events,
        "made_at": stamp(one.made_at),
        "failing_since": stamp(one.failing_since),
        "trouble": one.trouble,
    }


def _delivery(one: Delivery) -> dict[str, Any]:
    return {
        "id": one.uid,
        "event": one.event,
        "made_at": stamp(one.made_at),
        "attempts": one.attempts,
        "delivered_at": stamp(one.delivered_at),
        "next_at": stamp(one.due_at),
        "status": one.status,
        "trouble": one.trouble,
    }
