"""Connecting a place, step by step: what is asked and why, the way to the provider and back, what was found there."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatkeep import providers
from chatkeep.connections import connecting, consenting, looking
from chatkeep.connections.models import Connection, Consent
from chatkeep.connections.trouble import noting
from chatkeep.errors import ChatkeepError, NotFound, SlowDown, WrongUse
from chatkeep.providers import Endpoints, NoConsent, Provider
from chatkeep.providers.rehearsing import rehearse
from chatkeep.web import held
from chatkeep.web.pages import errors
from chatkeep.web.pages.backups import kit_of
from chatkeep.web.stepping_up import stepped_up

STEPS = {"account": "Signed in", "write": "Written", "read": "Read back", "delete": "Deleted again"}
ACTIONS = {
    "wider": ("wider", "Ask with the wider permission"),
    "account": ("again", "Choose the other account"),
    "unavailable": ("same", "Try the same again"),
    "full": ("same", "Try the same again"),
    "client": ("app", "Change the app"),
    "redirect": ("app", "Change the app"),
}
"""For each trouble the one thing to do, and its words; for all others: ask again."""


@dataclass(frozen=True)
class Field:
    """One setting of a server, as its form asks for it."""

    label: str
    help: str = ""
    kind: str = "text"
    example: str = ""
    value: str = ""
    is_needed: bool = True

    def filled(self, value: str) -> Field:
        """The same with what was typed."""
        return replace(self, value=value or self.value)


SERVERS: dict[str, dict[str, Field]] = {
    "webdav": {
        "address": Field(
            "Address of the folder",
            "It is made if it is not there. Nextcloud shows its own under Files, Settings, WebDAV; add a folder.",
            "url",
            "https://cloud.example/remote.php/dav/files/me/Chatkeep",
        ),
        "user": Field("User name"),
        "password": Field("Password", "Where the server makes passwords for single apps, use one.", "password"),
    },
    "s3": {
        "address": Field("Address of the service", "", "url", "https://s3.eu-central-1.amazonaws.com"),
        "bucket": Field("Bucket", "It must be there."),
        "access_key": Field(
            "Access key", "One that may read, write, list and delete below the folder, and nothing else."
        ),
        "secret_key": Field("Secret key", "", "password"),
        "region": Field("Region", is_needed=False, value="us-east-1"),
        "folder": Field("Folder", "What the names of our objects begin with.", is_needed=False, value="Chatkeep"),
    },
}


@require_GET
def choose(request: HttpRequest) -> HttpResponse:
    """Where copies can go."""
    known = providers.providers()
    # Where several people share this Chatkeep nobody may name its folders, or servers that it can reach.
    servers = [] if held.installation(request).shared else [kind for kind in known if kind.name in SERVERS]
    return render(
        request, "pages/connect.html", {"clouds": [kind for kind in known if kind.signs_in], "servers": servers}
    )


@require_GET
def folder(request: HttpRequest) -> HttpResponse:
    """The form for a folder of this computer."""
    _not_shared(request)
    return render(request, "pages/connect_folder.html")


@sensitive_post_parameters("password", "secret_key", "passphrase")
@require_http_methods(["GET", "POST"])
def server(request: HttpRequest, provider: str) -> HttpResponseBase:
    """The form for a server with an address and a password of its own; then what was connected there."""
    _not_shared(request)
    if provider not in SERVERS:
        raise NotFound("There is no such kind of server.")
    kind = providers.provider(provider)
    before = _before(request, request.POST.get("reconnects") or request.GET.get("reconnects") or "")
    fields = {name: field for name, field in SERVERS[provider].items() if before is None or name in kind.secrets}
    context = {"kind": kind, "fields": fields, "before": before}
    if request.method == "GET":
        return render(request, "pages/connect_server.html", context)
    given = {name: request.POST.get(name, "").strip() for name in fields}
    try:
        if absent := [fields[name].label for name in kind.needs if name in fields and not given[name]]:
            raise WrongUse(f"Something is missing: {', '.join(absent)}.")
        if before is not None:
            here = held.installation(request)
            return redirect("place", connecting.change_secrets(before, given, installation=here).name)
        made = connecting.connect(
            provider,
            given,
            installation=held.installation(request),
            name=request.POST.get("name", "").strip(),
            passphrase=request.POST.get("passphrase", ""),
        )
    except ChatkeepError as error:
        kept = {name: value for name, value in request.POST.items() if name not in (*kind.secrets, "passphrase")}
        shown = {name: field.filled(str(kept.get(name, ""))) for name, field in fields.items()}
        context |= {"fields": shown, "called": kept.get("name", ""), "error": error}
        return render(request, "pages/connect_server.html", context, status=400)
    return render(request, "pages/connected.html", {"made": made, "kit": kit_of(made) if made.recovery_key else ""})


def _not_shared(request: HttpRequest) -> None:
    if held.installation(request).shared:
        raise NotFound("There is no such page here.")


@stepped_up
@sensitive_post_parameters("client_secret")
@require_http_methods(["GET", "POST"])
def cloud(request: HttpRequest, provider: str) -> HttpResponseBase:
    """What is asked for at a provider and why, and the app that asks; then the question is made, or the app tried."""
    kind = _cloud(provider)
    before = _before(request, request.POST.get("reconnects") or request.GET.get("reconnects") or "")
    if request.method == "GET":
        return _options(request, kind, before)
    given = {name: request.POST.get(name, "").strip() for name in ("name", "folder", "client_id", "client_secret")}
    try:
        if request.POST.get("do") == "try":
            _try(request, kind, given)
            return _options(request, kind, before, given=given, tried=True)
        if before is None:
            held.check_room(request, connections=1)
            looking.check_name(given["name"], held.installation(request).archive)
        row = consenting.begin(
            kind.name,
            installation=held.installation(request),
            redirect=_redirect(request, kind),
            location={"folder": "" if before else given["folder"], "client_id": given["client_id"]},
            client_secret=given["client_secret"],
            name=given["name"],
            reconnects=before,
            browser=_browser(request),
            origin=_origin(request),
        )
    except ChatkeepError as error:
        return _options(request, kind, before, given=given, error=error, status=400)
    return redirect("connect-step", row.uid)


def _options(
    request: HttpRequest, kind: Provider, before: Connection | None, *, status: int = 200, **more: Any
) -> HttpResponse:
    operators, _ = held.installation(request).clients.get(kind.name, ("", ""))
    own = (before.location.get("client_id", "") if before else "") or ""
    context = {
        "kind": kind,
        "before": before,
        "redirect": _redirect(request, kind),
        "needs_app": not operators and not own,
        "asks": f"components/asks/{kind.name}.html",
        "steps": f"components/own_app/{kind.name}.html",
        "ports": consenting.PORTS,
        **more,
    }
    return render(request, "pages/connect_cloud.html", context, status=status)


def _try(request: HttpRequest, kind: Provider, given: dict[str, str]) -> None:
    """Ask the provider whether it knows the app and sends people back here. Raises NoConsent and the like."""
    if not given["client_id"] or kind.sign_in is None:
        raise WrongUse("There is nothing to try yet.", hint="Give the client id first.")
    client = providers.Client(given["client_id"], given["client_secret"])
    endpoints = Endpoints(held.installation(request).cloud_base)
    rehearse(kind.sign_in, client, redirect=_redirect(request, kind), endpoints=endpoints)


@require_GET
def come_back(request: HttpRequest) -> HttpResponseBase:
    """Where the provider sends the browser. What it brought is taken at once, so that the address keeps no code.

    A provider may know this machine under another name than the browser does ("localhost"); the browser is then sent
    on to the name under which it is signed in, which takes its cookie along.
    """
    row = consenting.waiting_for(request.GET.get("state", ""))
    if row is not None and row.origin and row.origin != _origin(request):
        return HttpResponseRedirect(f"{row.origin}{request.get_full_path()}")
    if not request.user.is_authenticated:
        return redirect("sign-in")
    try:
        row = consenting.come_back(request.GET.dict(), held.installation(request), browser=_browser(request))
    except ChatkeepError as error:
        if row is None or (isinstance(error, NoConsent) and error.why == "unknown" and not _is_mine(request, row)):
            return errors.page(request, error.what, error.hint, status=400)
        return redirect("connect-step", row.uid)
    return _go_on(request, row)


def _go_on(request: HttpRequest, row: Consent) -> HttpResponseBase:
    """Look at what was consented to; a place that was signed out works again then."""
    with suppress(ChatkeepError):  # it is noted in the row, and its page says it
        looking.look(row, held.installation(request))
        if row.reconnects:
            with noting(row):
                made = connecting.reconnect(row, installation=held.installation(request))
            return redirect("place", made.name)
    return redirect("connect-step", row.uid)


@require_GET
def step(request: HttpRequest, uid: str) -> HttpResponse:
    """Where a sign-in stands: to be given at the provider, gone wrong, or found and to be finished."""
    return _step(request, _mine(request, uid))


def _step(request: HttpRequest, row: Consent, *, error: ChatkeepError | None = None) -> HttpResponse:
    kind = _cloud(row.provider)
    context: dict[str, Any] = {"row": row, "kind": kind, "error": error, "before": _before(request, row.reconnects)}
    if row.trouble:
        context["do"], context["words"] = _action(row)
        return render(request, "pages/connect_trouble.html", context)
    if row.looked:
        context["steps"] = [STEPS.get(name, name) for name in row.looked["steps"]]
        return render(request, "pages/connect_found.html", context)
    if bytes(row.tokens):
        context["do"], context["words"] = "same", "Go on"
        return render(request, "pages/connect_trouble.html", context)
    context |= {
        "address": consenting.address_of(row, held.installation(request)),
        "device": consenting.device_of(row, held.installation(request)),
        "asks": f"components/asks/{kind.name}.html",
    }
    return render(request, "pages/connect_go.html", context)


def _action(row: Consent) -> tuple[str, str]:
    do, words = ACTIONS.get(row.trouble, ("again", "Ask again"))
    return ("again", "Ask again") if do == "same" and not bytes(row.tokens) else (do, words)


@sensitive_post_parameters("passphrase")
@require_POST
def act(request: HttpRequest, uid: str) -> HttpResponseBase:
    """Go on with a sign-in: ask again, take what was pasted, look again, make the connection, or let it be."""
    row, here, doing = _mine(request, uid), held.installation(request), request.POST.get("do", "")
    try:
        match doing:
            case "again" | "wider":
                consenting.ask_again(row, here, wider=doing == "wider")
            case "device":
                consenting.begin_device(row, here)
            case "poll":
                return _go_on(request, row) if _polled(request, row) else redirect("connect-step", uid)
            case "paste":
                return _go_on(request, consenting.paste(row, request.POST.get("answer", ""), here))
            case "same":
                return _go_on(request, row)
            case "finish":
                return _finish(request, row)
            case "leave":
                looking.end(row, here)
                looking.forget(row)
                return redirect("backups")
            case _:
                raise WrongUse("That cannot be done here.")
    except ChatkeepError as error:
        row = _mine(request, uid)
        return redirect("connect-step", uid) if row.trouble else _step(request, row, error=error)
    return redirect("connect-step", uid)


def _polled(request: HttpRequest, row: Consent) -> bool:
    try:
        with noting(row):
            return consenting.poll(row, held.installation(request))
    except SlowDown:  # too soon after the last time: it is not there yet
        Consent.objects.filter(pk=row.pk).update(trouble="", told="", hint="")
        return False


def _finish(request: HttpRequest, row: Consent) -> HttpResponse:
    held.check_room(request, connections=1)
    made = connecting.connect_consented(
        row, installation=held.installation(request), passphrase=request.POST.get("passphrase", "")
    )
    return render(request, "pages/connected.html", {"made": made, "kit": kit_of(made) if made.recovery_key else ""})


@require_POST
def reconnect(request: HttpRequest, name: str) -> HttpResponseBase:
    """Ask for a new sign-in for a place, with the app it has."""
    connection = held.connection(request, name)
    if connection.provider in SERVERS:
        return redirect(f"{reverse('connect-server', args=[connection.provider])}?reconnects={connection.uid}")
    row = consenting.begin(
        connection.provider,
        installation=held.installation(request),
        redirect=_redirect(request, _cloud(connection.provider)),
        reconnects=connection,
        browser=_browser(request),
        origin=_origin(request),
    )
    return redirect("connect-step", row.uid)


def _cloud(provider: str) -> Provider:
    found = next((kind for kind in providers.providers() if kind.name == provider and kind.signs_in), None)
    if found is None:
        raise NotFound("There is no such place to sign in to.")
    return found


def _before(request: HttpRequest, uid: str) -> Connection | None:
    return next((one for one in held.connections(request) if one.uid == uid), None)


def _mine(request: HttpRequest, uid: str) -> Consent:
    return consenting.find(uid, browser=_browser(request), archive=held.installation(request).archive)


def _is_mine(request: HttpRequest, row: Consent) -> bool:
    return bool(row.browser == _browser(request) and row.archive == held.installation(request).archive)


def _browser(request: HttpRequest) -> str:
    return consenting.digest(request.session.session_key or "")


def _origin(request: HttpRequest) -> str:
    return f"{request.scheme}://{request.get_host()}"


def _redirect(request: HttpRequest, kind: Provider) -> str:
    """Where this provider shall send this browser; "" to have it show a code, where no address could be registered."""
    sign_in, port = kind.sign_in, urlsplit(_origin(request)).port or (443 if request.is_secure() else 80)
    if sign_in is None:
        return ""
    if request.is_secure():
        return f"{_origin(request)}{consenting.RETURN_PATH}"
    if sign_in.exact_redirect and port not in consenting.PORTS:
        return ""
    return f"http://{sign_in.redirect_host}:{port}{consenting.RETURN_PATH}"
