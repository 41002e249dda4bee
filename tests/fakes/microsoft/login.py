"""Signing in at Microsoft: the consent that all fakes share, with Microsoft's rules and its way of saying no."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from fakes.consent import Consent, Issued, Person, Policy
from fakes.microsoft.shapes import stamp
from fakes.wire import Request, Response

HOST = "login.microsoftonline.com"
TENANTS = ("common", "consumers", "organizations")
NO_SCOPES = {"offline_access", "openid", "profile", "email"}
LASTS_UNUSED_S = 90 * 24 * 3600.0


def _places(route: str) -> tuple[str, ...]:
    return tuple(f"{HOST}/{tenant}/oauth2/v2.0/{route}" for tenant in TENANTS)


class Login:
    """The sign-in for people with one kind of account.

    clients: id to secret; one without a secret is public and must show none, any other must. redirects: what is
    registered. Of http://localhost the port is ignored, and the path is not.
    """

    def __init__(self, kind: str, clock: Callable[[], float]) -> None:
        self.kind, self.clock = kind, clock
        self.redirects = ["http://localhost", "http://localhost/", "http://localhost/connect/return"]
        people = {name: Person(name, name.title(), email(name, kind)) for name in ("alice", "bob", "charlie")}
        self.consent = Consent(self._policy(), people, clients={"cid": "", "web": "csec"}, clock=clock)

    def _policy(self) -> Policy:
        return Policy(
            authorize=_places("authorize"),
            token=_places("token"),
            device=_places("devicecode"),
            device_page=f"{HOST}/common/oauth2/deviceauth",
            redirect=self._redirect,
            rotates=True,
            lingers=True,
            refresh_when=lambda asked: "offline_access" in asked.get("scope", "").split(),
            idle_lasts_s=LASTS_UNUSED_S,
            access_prefix="EwB4A8l6BAA",
            refresh_prefix="M.C5_BAY.0.U.-",
            more=lambda person, first: {"ext_expires_in": 3599},
            words=_WORDS,
        )

    def _redirect(self, address: str) -> bool:
        parts = urlsplit(address)
        if parts.query or parts.hostname not in ("localhost", "127.0.0.1"):
            return False
        return f"{parts.scheme}://{parts.hostname}{parts.path}" in self.redirects

    def issue(self, user: str, scopes: tuple[str, ...]) -> Issued:
        return self.consent.issue(user, scopes=scopes)

    def bearer(self, request: Request) -> tuple[str, set[str]] | Response:
        """Whose token it is and what it may do, or the refusal. Scopes come with and without Graph's address."""
        grant = self.consent.grant_of(request)
        if grant is not None:
            return grant.user, {scope.lower().rpartition("/")[2] for scope in grant.scopes}
        body = {"error": {"code": "InvalidAuthenticationToken", "message": "Access token is empty or has expired."}}
        said = 'Bearer realm="OneDriveAPI", error="expired_token", error_description="Invalid auth token"'
        headers = {"WWW-Authenticate": said, "Content-Type": "application/json"}
        return Response(401, headers, json.dumps(body).encode())

    def answer(self, request: Request) -> Response:
        tenant, _, route = request.path.removeprefix("/").partition("/")
        refused = {"organizations": "personal", "consumers": "business"}.get(tenant)
        if route == "oauth2/v2.0/authorize" and refused == self.kind:
            return Response(400, {"Content-Type": "text/html"}, b"AADSTS500200: This account is of another kind.")
        if route == "oauth2/v2.0/token" and (wrong := self._wrong_secret(request)):
            return self._dressed(_said(wrong))
        found = self.consent.answer(request)
        if found is None:
            return Response(404, {"Content-Type": "text/html"}, b"AADSTS90013: not a route of this tenant")
        return self._dressed(found) if re.fullmatch(r"oauth2/v2.0/(token|devicecode)", route) else found

    def _wrong_secret(self, request: Request) -> str:
        form, basic = request.form(), request.headers.get("authorization", "").lower().startswith("basic ")
        shown = basic or "client_secret" in form
        known = self.consent.clients.get(form.get("client_id", ""))
        if known == "" and shown:
            return "secret_refused"
        return "no_secret" if known and not shown else ""

    def _dressed(self, response: Response) -> Response:
        """A token answer as Microsoft words it: no scopes that are none of Graph's, and errors with their numbers."""
        body: dict[str, Any] = json.loads(response.body)
        if "scope" in body:
            body["scope"] = " ".join(scope for scope in body["scope"].split() if scope not in NO_SCOPES)
        if "error" in body:
            numbers = [int(n) for n in re.findall(r"AADSTS(\d+)", body.get("error_description", ""))]
            ids = {"trace_id": "t-1", "correlation_id": "c-1"}
            body |= {"error_codes": numbers, "timestamp": stamp(self.clock())[:19].replace("T", " ") + "Z", **ids}
        if "user_code" in body:
            body.pop("verification_url", None)
            body["message"] = f"To sign in, open {body['verification_uri']} and enter the code {body['user_code']}."
        return Response(response.status, response.headers, json.dumps(body).encode())


def email(name: str, kind: str) -> str:
    return f"{name}@{'contoso.example' if kind == 'business' else 'outlook.example'}"


_WORDS = {
    "client": (400, "unauthorized_client", "AADSTS700016: Application with identifier was not found."),
    "secret_refused": (
        401,
        "invalid_client",
        "AADSTS700025: Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
    ),
    "no_secret": (
        401,
        "invalid_client",
        "AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
    "grant": (400, "invalid_grant", "AADSTS70000: The user could not be authenticated or the grant is expired."),
    "code": (400, "invalid_grant", "AADSTS70008: The provided authorization code is expired or was used before."),
    "verifier": (400, "invalid_grant", "AADSTS501481: The Code_Verifier does not match the code_challenge."),
    "no_verifier": (400, "invalid_grant", "AADSTS501481: The Code_Verifier does not match the code_challenge."),
    "redirect": (400, "invalid_client", "AADSTS50011: The redirect URI does not match the one in the request."),
    "kind": (400, "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type."),
    "pending": (400, "authorization_pending", "AADSTS70016: OAuth 2.0 device flow error. Authorization is pending."),
    "denied": (400, "authorization_declined", "AADSTS70018: The end user denied the authorization request."),
    "too_late": (400, "expired_token", "AADSTS70020: The provided value for 'device_code' is expired."),
}


def _said(name: str) -> Response:
    status, error, description = _WORDS[name]
    body = json.dumps({"error": error, "error_description": description}).encode()
    return Response(status, {"Content-Type": "application/json"}, body)
