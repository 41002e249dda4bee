"""Whether an app that somebody registered at a provider will do, asked of the provider before a person signs in."""

from __future__ import annotations

from contextlib import suppress

from chatkeep.errors import SignInAgain
from chatkeep.providers.http import Endpoints, Http
from chatkeep.providers.oauth import Client, NoConsent, SignIn, authorize_address, exchange

_MADE_UP = "chatkeep-asks-whether-the-app-is-known-0123456789"


def rehearse(sign_in: SignIn, client: Client, *, redirect: str, endpoints: Endpoints) -> None:
    """Quiet when the provider knows the app, takes its secret, and sends people back to this address.

    A made-up code is offered: who knows the app refuses the code, else the app is refused. Then the sign-in page is
    fetched, which must not be an error. Nobody is asked anything and nothing is changed there. A provider that shows
    some of this only to people who signed in is believed; what it then says is told when it happens.
    Raises NoConsent with why "client" or "redirect", and Refused, Unavailable, SlowDown.
    """
    with suppress(SignInAgain):  # the app is known, and the code is not
        exchange(sign_in, client, code=_MADE_UP, verifier=_MADE_UP, redirect=redirect, endpoints=endpoints)
    page = authorize_address(sign_in, client, redirect=redirect, state=_MADE_UP, verifier=_MADE_UP, endpoints=endpoints)
    http = Http(endpoints)
    try:
        answer = http.request("GET", page, authorised=False, expects="anything")
    finally:
        http.close()
    if 400 <= answer.status < 500 or "error" in answer.headers.get("location", "").partition("?")[0]:
        raise NoConsent(
            "The provider's sign-in page refuses the app, or the address to come back to.",
            why="redirect",
            hint=f"Register exactly this address: {redirect}" if redirect else "",
        )
