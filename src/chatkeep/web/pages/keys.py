"""What opens the vault of a place: seen, tested, changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from chatkeep.connections import opening
from chatkeep.connections.kit import emergency_kit
from chatkeep.connections.models import Connection
from chatkeep.connections.opening import Place
from chatkeep.errors import ChatkeepError, WrongUse
from chatkeep.vault import MistypedKey
from chatkeep.web import held
from chatkeep.web.stepping_up import stepped_up


@contextmanager
def _opened(request: HttpRequest, connection: Connection) -> Iterator[Place]:
    with opening.opened(connection, held.installation(request)) as place:
        yield place


@require_GET
def keys(request: HttpRequest, name: str) -> HttpResponse:
    """The keys of a vault, and what can be done with them."""
    return _page(request, held.connection(request, name))


def _page(request: HttpRequest, connection: Connection, **more: Any) -> HttpResponse:
    found, trouble = [], None
    try:
        with _opened(request, connection) as place:
            found = place.vault.keys()
    except ChatkeepError as error:
        trouble = error
    context = {"connection": connection, "keys": found, "trouble": trouble, **more}
    return render(request, "pages/keys.html", context)


@sensitive_post_parameters()
@require_POST
def test_key(request: HttpRequest, name: str) -> HttpResponse:
    """Whether what a person kept opens the vault; of a mistyped recovery key, where the mistake is."""
    connection = held.connection(request, name)
    with _opened(request, connection) as place:
        try:
            opens, what = place.vault.opens_with(request.POST.get("secret", "").strip()), ""
        except MistypedKey as error:
            opens, what = False, f"{error.what} {error.hint}"
    return _page(request, connection, tested=True, opens=opens, what=what)


@stepped_up
@sensitive_post_parameters()
@require_POST
def set_passphrase(request: HttpRequest, name: str) -> HttpResponse:
    """Give the vault a passphrase, or change it."""
    connection = held.connection(request, name)
    new = request.POST.get("passphrase", "")
    if new != request.POST.get("again", ""):
        raise WrongUse("The two passphrases are not the same.", hint="Go back and type both again.")
    with _opened(request, connection) as place, held.holding(request, "keys", connection.subject):
        place.vault.set_passphrase(new, hostname=held.installation(request).host)
    return _page(request, connection, said="The vault opens with the new passphrase, and no more with one before it.")


@stepped_up
@require_POST
def add_recovery_key(request: HttpRequest, name: str) -> HttpResponse:
    """One more recovery key, shown this once with its kit."""
    connection = held.connection(request, name)
    with _opened(request, connection) as place, held.holding(request, "keys", connection.subject):
        key = str(place.vault.add_recovery_key(hostname=held.installation(request).host))
    kit = emergency_kit(
        connection,
        vault=connection.vault_id,
        recovery_key=key,
        made=datetime.now(UTC).date(),
    )
    return render(request, "pages/recovery_key.html", {"connection": connection, "recovery_key": key, "kit": kit})


@stepped_up
@require_POST
def remove(request: HttpRequest, name: str) -> HttpResponse:
    """Let a key open the vault no more."""
    connection = held.connection(request, name)
    with _opened(request, connection) as place, held.holding(request, "keys", connection.subject):
        removed = place.vault.remove_key(request.POST.get("key", ""))
    return _page(request, connection, said=f"The {removed.kind.replace('-', ' ')} opens the vault no more.")
