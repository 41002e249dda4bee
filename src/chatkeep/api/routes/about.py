"""Who asks, where backups go, and what operations brought, with their undoing."""

from __future__ import annotations

from typing import Any

from ninja import Path, Query, Router

from chatkeep.api import reading, values
from chatkeep.api.routes.frame import ANY, READ, WRITE, Asked, archive_of
from chatkeep.api.routes.jobs import stamp
from chatkeep.api.values import Name, Number
from chatkeep.archive import Receipt
from chatkeep.connections import opening
from chatkeep.connections.models import Connection

router = Router()


@router.get("/me", auth=ANY, response=values.Me, tags=["about"])
def get_me(request: Asked) -> Any:
    """Say what the token allows."""
    access = request.access
    return {
        "name": access.name,
        "scopes": sorted(access.scopes),
        "service": request.by_service,
        "archive": access.archive_id,
        "per_minute": access.per_minute,
    }


@router.get("/connections", auth=READ, response=values.Connections, tags=["connections"])
def list_connections(request: Asked) -> Any:
    """List where backups go."""
    found = opening.connections(request.access.archive_id)
    return {"connections": [_connection(one) for one in found]}


@router.get("/connections/{name}", auth=READ, response=values.Connection, tags=["connections"])
def get_connection(request: Asked, name: Path[Name]) -> Any:
    """Give one connection."""
    return _connection(opening.connection(name, request.access.archive_id))


def _connection(one: Connection) -> dict[str, Any]:
    return {
        "name": one.name,
        "provider": one.provider,
        "account": one.account,
        "backed_up_at": stamp(one.backed_up_at),
        "checked_at": stamp(one.checked_at),
        "signed_out": one.signed_out,
        "trouble": one.trouble,
    }


@router.get("/receipts", auth=READ, response=values.Receipts, tags=["receipts"])
def list_receipts(request: Asked, query: Query[values.ReceiptsQuery]) -> Any:
    """List what imports, pushes and restores brought, the newest first."""
    found = archive_of(request).receipts()
    if query.before is not None:
        found = [one for one in found if int(one.id) < query.before]
    shown = found[: query.limit]
    return {"receipts": [_receipt(one) for one in shown], "next": shown[-1].id if len(found) > len(shown) else None}


@router.get("/receipts/{id}", auth=READ, response=values.Receipt, tags=["receipts"])
def get_receipt(request: Asked, id: Path[Number]) -> Any:
    """Give one receipt."""
    return _receipt(archive_of(request).receipt(str(id)))


@router.post("/receipts/{id}/undo", auth=WRITE, response=values.Undone, tags=["receipts"])
def undo(request: Asked, id: Path[Number]) -> Any:
    """Take back what an operation brought. What others brought, and what people did, stays."""
    return reading.as_plain(archive_of(request).undo(str(id)))


def _receipt(one: Receipt) -> dict[str, Any]:
    return {name: getattr(one, name) for name in values.Receipt.model_fields}
