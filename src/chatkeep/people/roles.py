"""Who may see what is for those who run the server. For everybody else it is not there."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.http import HttpRequest, HttpResponseBase

from chatkeep.errors import NotFound
from chatkeep.people.models import Role, User

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def operators_only(view: View) -> View:
    """A page that operators may use, and auditors may look at. Raises NotFound for others."""

    @wraps(view)
    def checked(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponseBase:
        if not may(request.user, change=request.method not in ("GET", "HEAD")):
            raise NotFound("There is nothing at this address.")
        return view(request, *arguments, **named)

    return cast(View, checked)


def may(user: object, *, change: bool) -> bool:
    """Whether somebody may look at how the server is run, or change it."""
    if not getattr(user, "is_authenticated", False):
        return False
    role = cast(User, user).role
    return role == Role.OPERATOR or (role == Role.AUDITOR and not change)
