"""Asking who it is once more, before something that cannot be taken back or gives the keys away."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from chatkeep.web.configuration import CHATKEEP

RECENT_S = 600
View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def stepped_up(view: View) -> View:
    """A page for somebody who signed in, or proved again who they are, in the last ten minutes.

    Others are asked to, and come back to the page they were on; what they sent is kept nowhere meanwhile. On a laptop,
    where the link of the terminal is all there is, nobody is asked.
    """

    @wraps(view)
    def checked(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponseBase:
        if CHATKEEP.is_server and not _recently(request):
            return redirect(f"{_where(request)}?{urlencode({'next': _back(request)})}")
        return view(request, *arguments, **named)

    return cast(View, checked)


def _recently(request: HttpRequest) -> bool:
    from allauth.account.authentication import get_authentication_records

    records = get_authentication_records(request, request.user)
    return bool(records) and time.time() - records[-1]["at"] < RECENT_S


def _where(request: HttpRequest) -> str:
    """The page that asks; whoever signs in elsewhere does so anew."""
    from allauth.account.adapter import get_adapter

    methods = get_adapter().get_reauthentication_methods(request.user)
    return str(methods[0]["url"]) if methods else reverse("sign-in-again")


def _back(request: HttpRequest) -> str:
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    came = urlsplit(request.headers.get("Referer", ""))
    return came.path if came.netloc == request.get_host() and came.path else reverse("settings")
