from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from chatkeep.errors import ChatkeepError, Refused, SignInAgain, SlowDown, Unavailable
from chatkeep.providers import oauth
from chatkeep.providers.http import Endpoints
from chatkeep.providers.oauth import Access, Client, SignIn, Tokens
from fakes.echo import Echo
from fakes.given import CLIENT, Cloud, MemoryTokens
from fakes.server import Front

REDIRECT = "http://127.0.0.1:5000/back"
VERIFIER = "v" * 50
SIGN_IN = SignIn(
    authorize="https://sign-in.example.com/authorize",
    token="https://sign-in.example.com/token",
    revoke="https://sign-in.example.com/revoke",
    device="https://sign-in.example.com/device/code",
    scopes=("files", "people"),
    needed=("files",),
    parameters={"access_type": "offline"},
    redirect_host="127.0.0.1",
)


def running(echo: Echo) -> Iterator[Cloud]:
    with Front([echo]) as front:
        yield Cloud(front, echo)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    yield from running(Echo())


@pytest.fixture
def rotating() -> Iterator[Cloud]:
    yield from running(Echo(rotates=True))


def opened(cloud: Cloud, store: MemoryTokens) -> Access:
    return Access(SIGN_IN, CLIENT, store, Endpoints(cloud.url), clock=cloud.fake.clock)


def stored(cloud: Cloud) -> MemoryTokens:
    return MemoryTokens(cloud.tokens())


def consented(cloud: Cloud, *, client: Client = CLIENT, verifier: str = VERIFIER) -> Tokens:
    endpoints = Endpoints(cloud.url)
    address = oauth.authorize_address(
        SIGN_IN, CLIENT, redirect=REDIRECT, state="st", verifier=VERIFIER, endpoints=endpoints
    )
    back = parse_qs(urlsplit(httpx2.get(address).headers["location"]).query)
    assert back["state"] == ["st"]
    return oauth.exchange(
        SIGN_IN,
        client,
        code=back["code"][0],
        verifier=verifier,
        redirect=REDIRECT,
        endpoints=endpoints,
        clock=cloud.fake.clock,
    )


def test_the_challenge_is_that_of_the_standard() -> None:
    """Source: RFC 7636, appendix B."""
    expected = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert oauth.challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == expected


def test_consent_gives_tokens(cloud: Cloud) -> None:
    cloud.fake.consent.automatic = "allow"
    tokens = consented(cloud)
    assert cloud.fake.consent.grant(tokens.access)
    assert tokens.scopes == ("files", "people")
    assert tokens.expires_at == cloud.fake.clock() + 3599


def test_the_address_carries_what_the_provider_wants(cloud: Cloud) -> None:
    address = oauth.authorize_address(
        SIGN_IN, CLIENT, redirect="", state="a&b", verifier=VERIFIER, endpoints=Endpoints(), extra={"prompt": "consent"}
    )
    fields = parse_qs(urlsplit(address).query)
    assert address.startswith("https://sign-in.example.com/authorize?")
    assert (fields["access_type"], fields["prompt"], fields["state"]) == (["offline"], ["consent"], ["a&b"])
    assert "redirect_uri" not in fields
    assert VERIFIER not in address


@pytest.mark.parametrize(
    ("client", "verifier", "expected"),
    [
        (CLIENT, "w" * 50, SignInAgain),
        (Client("cid", "wrong"), VERIFIER, Refused),
        (Client("stranger", "x"), VERIFIER, Refused),
    ],
)
def test_what_is_wrong_with_an_exchange_is_told(
    cloud: Cloud, client: Client, verifier: str, expected: type[ChatkeepError]
) -> None:
    cloud.fake.consent.automatic = "allow"
    with pytest.raises(expected) as raised:
        consented(cloud, client=client, verifier=verifier)
    assert raised.value.hint
    assert verifier not in str(raised.value)


def test_a_consent_without_what_is_needed_is_refused_with_a_hint(cloud: Cloud) -> None:
    cloud.fake.consent.automatic = "allow"
    cloud.fake.consent.granted = lambda asked: ("people",)
    with pytest.raises(Refused, match="files") as raised:
        consented(cloud)
    assert "ticked" in raised.value.hint
    cloud.fake.consent.granted = lambda asked: ("files",)
    assert consented(cloud).scopes == ("files",)


def test_access_for_an_hour_only_is_refused(cloud: Cloud) -> None:
    cloud.fake.consent.automatic = "allow"
    cloud.fake.consent.policy.refresh_when = lambda asked: False
    with pytest.raises(Refused, match="hour"):
        consented(cloud)


def test_a_token_is_used_until_its_last_minute_and_then_refreshed_once(cloud: Cloud) -> None:
    store = stored(cloud)
    access = opened(cloud, store)
    first = access.token()
    cloud.fake.clock.now += 3500
    assert access.token() == first
    cloud.fake.clock.now += 60
    second = access.token()
    assert second != first
    assert (access.token(), access.requests) == (second, 1)
    assert [tokens.access for tokens in store.saved] == [second]
    assert store.tokens.refresh == MemoryTokens(store.tokens).load().refresh != ""


def test_one_refresh_serves_all_threads_that_wait(cloud: Cloud) -> None:
    access = opened(cloud, stored(cloud))
    old = access.token()
    together = threading.Barrier(16)

    def ask(_: int) -> str:
        together.wait()
        return access.token(refused=old)

    with ThreadPoolExecutor(16) as pool:
        given = set(pool.map(ask, range(16)))
    assert len(given) == 1
    assert cloud.fake.consent.refreshes == 1


def test_two_processes_with_one_store_refresh_once_even_where_tokens_rotate(rotating: Cloud) -> None:
    store = stored(rotating)
    handles = [opened(rotating, store) for _ in range(4)]
    old = handles[0].token()
    rotating.fake.clock.now += 3600
    with ThreadPoolExecutor(4) as pool:
        given = set(pool.map(lambda access: access.token(), handles))
    assert len(given) == 1
    assert old not in given
    assert rotating.fake.consent.refreshes == 1


def test_a_rotated_token_is_stored_before_it_is_used(rotating: Cloud) -> None:
    class Full(MemoryTokens):
        def save(self, tokens: Tokens) -> None:
            raise OSError("the disk is full")

    rotating.fake.clock.now += 1
    access = opened(rotating, Full(rotating.tokens()))
    with pytest.raises(OSError, match="full"):
        access.token(refused=access.token())
    rotating.fake.clock.now += 3600
    store = stored(rotating)
    working = opened(rotating, store)
    for _ in range(3):
        rotating.fake.clock.now += 3600
        assert rotating.fake.consent.grant(working.token())
    assert len({tokens.refresh for tokens in store.saved}) == 3


def test_an_ended_consent_is_asked_about_once_and_heard_of_until_there_is_another(cloud: Cloud) -> None:
    store = stored(cloud)
    access = opened(cloud, store)
    cloud.fake.consent.revoke_all()
    for _ in range(3):
        with pytest.raises(SignInAgain):
            access.token(refused=store.tokens.access)
    others = [opened(cloud, store) for _ in range(3)]
    for other in others:
        with pytest.raises(SignInAgain):
            other.token()
    assert cloud.fake.consent.refreshes == 1
    store.tokens = cloud.tokens()
    assert {one.token() for one in (access, *others)} == {store.tokens.access}


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (503, {}, b"", Unavailable),
        (500, {"Content-Type": "text/html"}, b"<html>", Unavailable),
        (200, {"Content-Type": "text/html"}, b"<html>Welcome to the hotel", Unavailable),
        (200, {"Content-Type": "application/json"}, b"[]", Unavailable),
        (200, {"Content-Type": "application/json"}, b'{"expires_in": 5}', Unavailable),
        (403, {"Content-Type": "text/html"}, b"<html>", Unavailable),
        (429, {"Retry-After": "17"}, b"", SlowDown),
        (503, {"Retry-After": "17"}, b"", SlowDown),
        (400, {"Content-Type": "application/json"}, b'{"error": "invalid_scope"}', Refused),
        (400, {"Content-Type": "application/json"}, b'{"error": "interaction_required"}', SignInAgain),
    ],
)
def test_trouble_at_the_token_endpoint_does_not_end_the_sign_in(
    cloud: Cloud, status: int, headers: dict[str, str], body: bytes, expected: type[ChatkeepError]
) -> None:
    store = stored(cloud)
    access = opened(cloud, store)
    cloud.faults.fail("POST sign-in.example.com/token", status, headers=headers, body=body)
    cloud.fake.clock.now += 7200
    with pytest.raises(expected) as raised:
        access.token()
    assert store.tokens.refresh not in str(raised.value)
    if isinstance(raised.value, SlowDown):
        assert raised.value.wait_s == 17
        asked = access.requests
        with pytest.raises(SlowDown, match="not over yet"):
            access.token()
        assert access.requests == asked
        cloud.fake.clock.now += 17
    if expected is not SignInAgain:
        assert cloud.fake.consent.grant(access.token())


def test_what_the_provider_says_is_not_quoted(cloud: Cloud) -> None:
    access = opened(cloud, stored(cloud))
    said = b'{"error": "a secret <script>", "error_description": "your token rt-123"}'
    cloud.faults.fail("token", 400, headers={"Content-Type": "application/json"}, body=said)
    cloud.fake.clock.now += 7200
    with pytest.raises(Refused) as raised:
        access.token()
    assert "secret <" not in str(raised.value)
    assert "rt-123" not in str(raised.value)


def test_revoking_ends_the_consent_and_is_quiet_when_it_was_over(cloud: Cloud) -> None:
    tokens, endpoints = cloud.tokens(), Endpoints(cloud.url)
    assert oauth.revoke(SIGN_IN, tokens, endpoints)
    assert cloud.fake.consent.grant(tokens.access) is None
    assert oauth.revoke(SIGN_IN, tokens, endpoints)
    cloud.faults.fail("revoke", 503)
    with pytest.raises(Unavailable):
        oauth.revoke(SIGN_IN, tokens, endpoints)


def test_another_device_can_give_the_consent(cloud: Cloud) -> None:
    endpoints, clock = Endpoints(cloud.url), cloud.fake.clock
    code = oauth.begin_device(SIGN_IN, CLIENT, endpoints, clock=clock)
    assert code.address.endswith("/sign-in.example.com/device")
    assert code.device_code not in repr(code)
    assert oauth.poll_device(SIGN_IN, CLIENT, code, endpoints, clock=clock) is None
    with pytest.raises(SlowDown) as raised:
        oauth.poll_device(SIGN_IN, CLIENT, code, endpoints, clock=clock)
    assert raised.value.wait_s == 10
    cloud.fake.consent.decide_device(code.user_code)
    clock.now += 10
    tokens = oauth.poll_device(SIGN_IN, CLIENT, code, endpoints, clock=clock)
    assert tokens
    assert cloud.fake.consent.grant(tokens.access)


def test_a_device_is_told_no_and_too_late(cloud: Cloud) -> None:
    endpoints, clock = Endpoints(cloud.url), cloud.fake.clock
    code = oauth.begin_device(SIGN_IN, CLIENT, endpoints, clock=clock)
    cloud.fake.consent.decide_device(code.user_code, allow=False)
    with pytest.raises(Refused, match="not given"):
        oauth.poll_device(SIGN_IN, CLIENT, code, endpoints, clock=clock)
    clock.now = code.expires_at + 1
    with pytest.raises(Refused, match="too old"):
        oauth.poll_device(SIGN_IN, CLIENT, code, endpoints, clock=clock)


def test_secrets_are_not_shown() -> None:
    shown = repr((Tokens("at-1", "rt-2", 5, ("files",)), Client("cid", "csec")))
    assert "at-1" not in shown
    assert "rt-2" not in shown
    assert "csec" not in shown
