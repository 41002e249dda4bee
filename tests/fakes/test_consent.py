from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from fakes.consent import Consent
from fakes.echo import Echo
from fakes.wire import Request, Response

VERIFIER = "v" * 43
CHALLENGE = "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM"
ASKED = {
    "response_type": "code",
    "client_id": "cid",
    "redirect_uri": "http://127.0.0.1:5000/back",
    "scope": "files people",
    "state": "s",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
TRADE = {
    "grant_type": "authorization_code",
    "client_id": "cid",
    "client_secret": "csec",
    "redirect_uri": ASKED["redirect_uri"],
    "code_verifier": VERIFIER,
}


def call(consent: Consent, path: str, form: dict[str, str] | None = None, **query: str) -> Response:
    method = "GET" if form is None else "POST"
    body = urlencode(form or {}).encode()
    answer = consent.answer(Request(method, "sign-in.example.com", path, urlencode(query), {}, body))
    assert answer
    return answer


def said(answer: Response) -> tuple[int, str]:
    return answer.status, json.loads(answer.body).get("error", "")


def code(echo: Echo, **changed: str) -> str:
    echo.consent.automatic = "allow"
    answer = call(echo.consent, "/authorize", **(ASKED | changed))
    return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]


def trade(echo: Echo, code: str, **changed: str) -> Response:
    form = TRADE | {"code": code} | changed
    return call(echo.consent, "/token", {name: value for name, value in form.items() if value})


def test_a_code_is_traded_once_and_what_it_gave_dies_with_the_second_try() -> None:
    echo = Echo()
    once = code(echo)
    given = json.loads(trade(echo, once).body)
    assert given["scope"] == "files people"
    assert echo.consent.grant(given["access_token"])
    assert said(trade(echo, once)) == (400, "invalid_grant")
    assert echo.consent.grant(given["access_token"]) is None


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"code_verifier": "w" * 43}, (400, "invalid_grant")),
        ({"code_verifier": ""}, (400, "invalid_grant")),
        ({"redirect_uri": "http://127.0.0.1:5001/back"}, (400, "redirect_uri_mismatch")),
        ({"client_id": "other", "client_secret": "osec"}, (400, "invalid_grant")),
        ({"client_secret": "wrong"}, (401, "invalid_client")),
        ({"client_id": "stranger"}, (401, "invalid_client")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
    ],
)
def test_a_code_is_for_one_client_one_address_and_one_verifier(
    changed: dict[str, str], expected: tuple[int, str]
) -> None:
    echo = Echo()
    assert said(trade(echo, code(echo), **changed)) == expected


def test_a_code_lasts_ten_minutes() -> None:
    echo = Echo()
    first, second = code(echo), code(echo)
    echo.clock.now += 599
    assert trade(echo, first).status == 200
    echo.clock.now += 2
    assert said(trade(echo, second)) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "redirect", ["http://example.com/", "https://127.0.0.1:1/", "http://127.0.0.1.example.com/", ""]
)
def test_nobody_is_redirected_away_from_this_machine(redirect: str) -> None:
    answer = call(Echo().consent, "/authorize", **(ASKED | {"redirect_uri": redirect}))
    assert answer.status == 400
    assert "Location" not in answer.headers


def test_a_person_is_asked_and_may_untick_a_scope_or_say_no() -> None:
    echo = Echo()
    page = call(echo.consent, "/authorize", **ASKED)
    assert page.status == 200
    boxes = re.findall(r'name="(scope [^"]+)"', page.body.decode())
    assert boxes == ["scope files", "scope people"]
    allowed = call(echo.consent, "/authorize", {"decision": "allow", "user": "bob", boxes[0]: "1"}, **ASKED)
    back = dict(parse_qsl(urlsplit(allowed.headers["Location"]).query))
    given = json.loads(trade(echo, back["code"]).body)
    assert (back["state"], given["scope"]) == ("s", "files")
    grant = echo.consent.grant(given["access_token"])
    assert grant
    assert grant.user == "bob"
    denied = call(echo.consent, "/authorize", {"decision": "deny"}, **ASKED)
    assert "error=access_denied" in denied.headers["Location"]


def test_without_a_redirect_the_code_is_shown_where_that_is_allowed() -> None:
    echo = Echo(without_redirect=True)
    echo.consent.automatic = "allow"
    page = call(echo.consent, "/authorize", **{k: v for k, v in ASKED.items() if k != "redirect_uri"})
    shown = re.search(r'id="code">([^<]+)<', page.body.decode())
    assert shown
    assert trade(echo, shown[1], redirect_uri="").status == 200


def test_a_secret_is_demanded_or_refused_by_policy() -> None:
    demanding, refusing = Echo(secret="demanded"), Echo(secret="refused")
    assert said(trade(demanding, code(demanding), client_secret="")) == (400, "invalid_request")
    assert trade(demanding, code(demanding)).status == 200
    assert said(trade(refusing, code(refusing))) == (401, "invalid_client")
    assert trade(refusing, code(refusing), client_secret="").status == 200


def refresh(echo: Echo, token: str) -> Response:
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "cid", "client_secret": "csec"}
    return call(echo.consent, "/token", form)


def test_a_refresh_token_stays_or_is_replaced_by_policy() -> None:
    staying, rotating = Echo(), Echo(rotates=True)
    kept = staying.issue()
    assert "refresh_token" not in json.loads(refresh(staying, kept.refresh).body)
    assert refresh(staying, kept.refresh).status == 200
    first = rotating.issue()
    second = json.loads(refresh(rotating, first.refresh).body)["refresh_token"]
    assert said(refresh(rotating, first.refresh)) == (400, "invalid_grant")
    assert refresh(rotating, second).status == 200


def test_access_runs_out_by_the_clock_and_a_consent_too_where_it_is_limited() -> None:
    echo = Echo(refresh_lasts_s=7 * 86400, idle_lasts_s=3 * 86400)
    issued = echo.issue()
    assert echo.consent.grant(issued.access)
    echo.clock.now += 3600
    assert echo.consent.grant(issued.access) is None
    for _ in range(3):
        echo.clock.now += 2 * 86400
        assert refresh(echo, issued.refresh).status == 200
    echo.clock.now += 2 * 86400
    assert said(refresh(echo, issued.refresh)) == (400, "invalid_grant")
    idle = echo.issue()
    echo.clock.now += 3 * 86400 + 1
    assert said(refresh(echo, idle.refresh)) == (400, "invalid_grant")


def test_what_is_revoked_works_no_more_and_revoking_it_again_is_an_error() -> None:
    echo = Echo()
    issued = echo.issue()
    assert call(echo.consent, "/revoke", {"token": issued.refresh}).status == 200
    assert echo.consent.grant(issued.access) is None
    assert said(refresh(echo, issued.refresh)) == (400, "invalid_grant")
    assert said(call(echo.consent, "/revoke", {"token": issued.refresh})) == (400, "invalid_token")


def test_a_device_waits_for_the_person_and_must_not_ask_too_often() -> None:
    echo = Echo()
    begun = json.loads(call(echo.consent, "/device/code", {"client_id": "cid", "scope": "files"}).body)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": begun["device_code"],
        "client_id": "cid",
        "client_secret": "csec",
    }
    assert said(call(echo.consent, "/token", form)) == (400, "authorization_pending")
    assert said(call(echo.consent, "/token", form)) == (400, "slow_down")
    call(echo.consent, "/device", {"user_code": begun["user_code"].lower(), "decision": "allow"})
    echo.clock.now += 6
    assert json.loads(call(echo.consent, "/token", form).body)["refresh_token"]
    assert said(call(echo.consent, "/token", form)) == (400, "invalid_grant")
