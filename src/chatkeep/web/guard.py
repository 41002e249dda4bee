"""What every request passes: a host we know, a sign-in, and errors in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from django.contrib.auth import login
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from chatkeep.errors import ChatkeepError, NotFound
from chatkeep.jobs import means
from chatkeep.people import belonging
from chatkeep.web.configuration import CHATKEEP
from chatkeep.web.pages import errors

Handler = Callable[[HttpRequest], HttpResponseBase]
OPEN_PATHS = (
    "/sign-in/",
    "/health",
    "/ready",
    "/metrics",
    *(("/account/", "/invitation/", "/certificate/", "/status/") if CHATKEEP.is_server else ()),
)
API_PATH = "/api/"
# A provider may come back under a name of this machine that holds no cookie; the page itself looks who is signed in.
RETURN_PATH = "/connect/return"
ARCHIVE = "archive"
"""In the session: the archive that somebody chose to work in, of several."""
_KEEPER = "keeper"


class Guard:
    """Answers only under names it knows, and takes no change that another site's page asks for.

    A page on the internet can point a name of its own at this machine; its requests then carry that name. Refusing
    unknown names, for every path and method, is what stops it. `Sec-Fetch-Site` stops forged forms before Django's
    token does, which stays the second line.
    """

    def __init__(self, handle: Handler) -> None:
        self._handle = handle

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            request.get_host()
        except DisallowedHost:
            return HttpResponse("Chatkeep does not answer under this name.\n", status=400, content_type="text/plain")
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        if request.method not in ("GET", "HEAD", "OPTIONS") and site not in ("same-origin", "none"):
            return HttpResponse("This came from another site.\n", status=403, content_type="text/plain")
        response = self._handle(request)
        if not request.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response


class Told:
    """Tells the schedules of a server which archives a request changed: nobody looks at all of them to find out."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        means.forget_touched()
        response = self._handle(request)
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            means.tell_changes()
        means.forget_touched()
        return response


class Api:
    """Hands what other programs ask to the API, which knows tokens and no cookies. It is loaded when first asked."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(API_PATH):
            return self._handle(request)
        from chatkeep.web.lending import answer

        return answer(request)


class SignedIn:
    """Shows pages to those who are signed in; everybody else is told how.

    A page then knows `request.user`, and `request.archive_id`: the one archive that it is about.
    """

    def __init__(self, handle: Handler) -> None:
        self._handle = handle

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        _carry_over(request)
        is_return = request.path == RETURN_PATH and request.method == "GET"
        if request.user.is_authenticated:
            theirs = cast(belonging.Request, request)
            theirs.archive_id = belonging.archive_of(theirs.user, request.session.get(ARCHIVE, ""))
        if request.user.is_authenticated or is_return or request.path.startswith(OPEN_PATHS):
            return self._handle(request)
        if request.method == "GET":
            wanted = f"?{urlencode({'next': request.get_full_path()})}" if CHATKEEP.is_server else ""
            return redirect(reverse("account_login" if CHATKEEP.is_server else "sign-in") + wanted)
        hint = "Sign in, then try it again." if CHATKEEP.is_server else "Open the link that chatkeep printed."
        return errors.page(request, "You are not signed in.", hint, status=401)


def _carry_over(request: HttpRequest) -> None:
    """A browser that was signed in before there were accounts stays so."""
    if request.session.get(_KEEPER) and not request.user.is_authenticated and not CHATKEEP.is_server:
        del request.session[_KEEPER]
        login(request, belonging.keeper())


class Explained:
    """Turns the errors of operations into a page with what happened and what to do."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._handle(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The page for an error that is ours; other errors stay Django's."""
        if not isinstance(error, ChatkeepError):
            return None
        status = 404 if isinstance(error, NotFound) else 400
        return errors.page(request, error.what, error.hint, status=status)
