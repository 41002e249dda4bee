"""What every operation has in common: who asks, for what archive, with which scope, and what its description says."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja.security import HttpBearer

from chatkeep.api import house
from chatkeep.api.problems import ApiError
from chatkeep.api.tokens import Access
from chatkeep.archive import Archive


class Asked(HttpRequest):
    """A request that has passed the door."""

    access: Access
    by_service: bool
    payload: bytes


class Needs(HttpBearer):
    """Lets those in whose token has a scope; "" any. The door has found out who it is."""

    openapi_bearerFormat = "ck_…"  # noqa: N815 - django-ninja's name

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def __call__(self, request: HttpRequest) -> Access:
        access: Access = request.access  # type: ignore[attr-defined]
        if self.scope and self.scope not in access.scopes:
            raise ApiError(
                403,
                f"The token has no scope {self.scope}.",
                hint="Make a token that has it, or ask who made this one.",
            )
        return access

    def authenticate(self, request: HttpRequest, token: str) -> Access:
        """Who acts, as the door has found out."""
        return self(request)


READ, WRITE, EXPORT = Needs("read"), Needs("write"), Needs("export")
BACKUP, RESTORE, WEBHOOKS, ANY = Needs("backup"), Needs("restore"), Needs("webhooks"), Needs("")


def archive_of(request: Asked) -> Archive:
    """The archive that the request is about."""
    return house.archive(request.access.archive_id)


def raw_body(content: dict[str, Any], description: str) -> dict[str, Any]:
    """The description of a body that is read as it comes."""
    return {"requestBody": {"required": True, "description": description, "content": content}}


def raw_answer(content: dict[str, Any], description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    """The description of an answer that is given as it is kept."""
    return {"description": description, "content": content, **({"headers": headers} if headers else {})}
