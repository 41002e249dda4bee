"""Who may see pages: names that are known, people who signed in, forms that are ours."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone

from chatkeep.archive import Archive
from chatkeep.web.models import LASTS, SignInLink, new_token, use_token
from chatkeep.web.urls import urlpatterns

_OPEN = {"sign-in", "sign-in-link", "health", "ready", "metrics"}
_WATCHED = {"ready": (503,), "metrics": (404,)}
"""What they say when no worker lives, and without their token."""
_VALUES = {
    "snapshot": "0" * 64,
    "conversation": "00000000-0000-4000-8000-000000000000",
    "name": "00000000-0000-4000-8000-000000000000",
    "pk": "1",
    "number": "1",
    "sha256": "0" * 64,
    "token": "nothing",
    "provider": "google-drive",
    "uid": "0" * 16,
    "id": "00000000-0000-4000-8000-000000000000",
}
STRANGE_HOSTS = (
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "127.0.0.2",
    "2130706433",
    "0x7f000001",
    "[::ffff:127.0.0.1]",
    "evil.example:8765",
    "127.0.0.1@evil.example",
    "",
)


def _addresses() -> list[str]:
    return [_address(pattern) for pattern in urlpatterns]


def _address(pattern: URLPattern) -> str:
    route = str(pattern.pattern)
    for name, converter in pattern.pattern.converters.items():
        kind = {"UUIDConverter": "uuid", "IntConverter": "int"}.get(type(converter).__name__, "str")
        route = route.replace(f"<{kind}:{name}>", _VALUES[name])
    return "/" + route


@pytest.mark.parametrize("host", STRANGE_HOSTS)
def test_no_address_answers_under_a_strange_name(keeper: Client, host: str) -> None:
    for address in [*_addresses(), "/static/chatkeep/app.css", "/nowhere"]:
        for ask in (keeper.get, keeper.post):
            answer = ask(address, headers={"host": host})
            assert answer.status_code == 400, (address, host)
            assert b"Chatkeep" not in answer.content.replace(b"Chatkeep does not answer under this name.", b"")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8765", "localhost", "localhost:1234", "[::1]:8765"])
def test_the_names_of_this_machine_are_answered(stranger: Client, host: str) -> None:
    assert stranger.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("pattern", urlpatterns, ids=lambda pattern: str(pattern.name))
def test_strangers_see_nothing(stranger: Client, archive: Archive, pattern: URLPattern) -> None:
    address = _address(pattern)
    seen, changed = stranger.get(address), stranger.post(address)
    if pattern.name in _OPEN:
        assert seen.status_code in (200, 403, *_WATCHED.get(str(pattern.name), ()))
    else:
        assert (seen.status_code, seen.headers["Location"]) == (302, "/sign-in/")
        assert changed.status_code == 401


def test_a_link_signs_in_once(stranger: Client, archive: Archive) -> None:
    token = new_token()
    assert stranger.get(f"/sign-in/{token}").status_code == 302
    assert stranger.get("/").status_code == 200
    other = Client(headers={"host": "127.0.0.1"})
    assert other.get(f"/sign-in/{token}").status_code == 403
    assert ">chatkeep link</pre>" in other.get("/sign-in/", SERVER_PORT="8765").content.decode()
    assert ">chatkeep link --port 8123</pre>" in other.get("/sign-in/", SERVER_PORT="8123").content.decode()
    assert other.get("/").status_code == 302


def test_a_link_is_good_for_a_day_and_its_token_is_not_kept() -> None:
    token = new_token()
    assert not SignInLink.objects.filter(token_hash=token).exists()
    SignInLink.objects.update(made_at=timezone.now() - LASTS - timedelta(seconds=1))
    assert not use_token(token)


def test_signing_in_gives_the_session_a_new_key(stranger: Client) -> None:
    stranger.get("/sign-in/")
    session = stranger.session
    session["before"] = True
    session.save()
    stranger.cookies["chatkeep_session"] = session.session_key
    stranger.get(f"/sign-in/{new_token()}")
    assert stranger.session.session_key != session.session_key


def test_signing_out_ends_the_session(keeper: Client, archive: Archive) -> None:
    keeper.post("/sign-out/")
    assert keeper.get("/").status_code == 302


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_forms_of_other_sites_change_nothing(keeper: Client, archive: Archive, site: str) -> None:
    for address in _addresses():
        assert keeper.post(address, headers={"sec-fetch-site": site}).status_code == 403, address


def test_a_form_without_its_token_changes_nothing_and_one_with_it_does(archive: Archive) -> None:
    browser = Client(headers={"host": "127.0.0.1"}, enforce_csrf_checks=True)
    browser.get(f"/sign-in/{new_token()}")
    assert browser.post("/import/example").status_code == 403
    page = browser.get("/").content.decode()
    token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    assert browser.post("/import/example", {"csrfmiddlewaretoken": token}).status_code == 302


def test_every_page_has_the_headers_that_keep_it_to_itself(keeper: Client, archive: Archive) -> None:
    for address in _addresses():
        headers = keeper.get(address).headers
        assert (
            "script-src 'self'" in headers["Content-Security-Policy"] or "sandbox" in headers["Content-Security-Policy"]
        )
        if address != "/export/preview":  # a frame of our own page that can do nothing
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "Cache-Control" in headers


def test_there_is_no_such_page_in_words(keeper: Client) -> None:
    answer = keeper.get("/nowhere")
    assert answer.status_code == 404
    assert b"There is nothing at this address." in answer.content
