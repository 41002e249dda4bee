"""Connecting a cloud from a terminal: with a browser, with another device, with what is pasted; and signing in anew."""

from __future__ import annotations

import io
import sys
import threading
import urllib.request
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatkeep.cli import connecting
from chatkeep.cli import consenting as consenting_here
from chatkeep.connections import consenting
from connections.attic import NAME, attic
from fakes.given import Cloud

from .conftest import Command


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The attic, known to the command line, with an app that the operator gave."""
    with attic() as opened:
        opened.fake.consent.automatic = "allow"
        monkeypatch.setattr(connecting, "attic", connecting._cloud(NAME, "Attic", "For tests."), raising=False)
        monkeypatch.setitem(connecting.connect._lazily, NAME, ("chatkeep.cli.connecting:attic", "For tests."))
        monkeypatch.setenv("CHATKEEP_CLOUD_BASE", opened.url)
        monkeypatch.setenv("CHATKEEP_ATTIC_CLIENT_ID", "cid")
        monkeypatch.setenv("CHATKEEP_ATTIC_CLIENT_SECRET", "csec")
        monkeypatch.setenv("CHATKEEP_PASSPHRASE", "open sesame")
        yield opened


Pages = list[str]


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    """A browser that goes wherever it is sent; the last page of each visit."""
    pages: Pages = []
    threads: list[threading.Thread] = []

    def visit(address: str) -> None:
        try:
            with urllib.request.urlopen(address, timeout=20) as answer:
                pages.append(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                pages.append(error.read().decode())

    def opened(address: str) -> bool:
        threads.append(threading.Thread(target=visit, args=(address,)))
        threads[-1].start()
        return True

    monkeypatch.setattr(webbrowser, "open", opened)
    yield pages
    for thread in threads:
        thread.join()


def typing(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_the_browser_comes_back_and_the_place_is_connected(chatkeep: Command, cloud: Cloud, browser: Pages) -> None:
    made = chatkeep("connect", NAME, "--name", "drive", "--json").json
    assert (made["name"], made["provider"], made["account"]) == ("drive", NAME, "alice@example.com")
    assert made["quota"] == {"used": 100, "total": 1000, "free": 900}
    (page,) = browser
    assert "You may close this page" in page
    (listed,) = chatkeep("connections", "--json").json
    assert listed["sign_in"]["state"] == "fine"
    assert chatkeep("connections", "test", "drive").code == 0


def test_a_browser_that_ends_with_its_last_page_is_no_deadlock(
    chatkeep: Command, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those are that run in a terminal: the last page is ours, so it must be served while the browser is open."""
    monkeypatch.setattr(consenting_here, "OPENS_S", 0.01)
    pages: Pages = []

    def opened(address: str) -> bool:
        with urllib.request.urlopen(address, timeout=20) as answer:
            pages.append(answer.read().decode())
        return True

    monkeypatch.setattr(webbrowser, "open", opened)
    assert chatkeep("connect", NAME, "--name", "drive", "--json").json["name"] == "drive"
    assert any("You may close this page" in page for page in pages)


def test_what_is_connected_can_be_backed_up_to(filled: Command, cloud: Cloud, browser: Pages) -> None:
    filled("connect", NAME)
    report = filled("backup", "--json").json
    assert (report["conversations"], report["verified"]) == (2, True)


def test_people_are_told_where_to_go_and_who_they_are(chatkeep: Command, cloud: Cloud, browser: Pages) -> None:
    ended = chatkeep("connect", NAME)
    assert f"{cloud.url}/attic.example.com/authorize?" in ended.err
    assert "Signed in as alice@example.com." in ended.err
    assert "Recovery key" in ended.out
    assert "900 B free of 1.0 kB" in ended.out


def test_a_no_ends_the_command_in_words(chatkeep: Command, cloud: Cloud, browser: Pages) -> None:
    cloud.fake.consent.automatic = "deny"
    ended = chatkeep("connect", NAME)
    assert ended.code == 1
    assert "You did not allow access at Attic." in ended.err
    assert "You did not allow access at Attic." in browser[0]
    assert chatkeep("connections", "--json").json == []


def test_a_visit_with_a_made_up_state_does_not_end_the_waiting(
    chatkeep: Command, cloud: Cloud, browser: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = webbrowser.open

    def opened(address: str) -> bool:
        redirect = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)["redirect_uri"][0]
        honest(f"{redirect}?state=made-up&code=x")
        honest(redirect.replace("/connect/return", "/favicon.ico"))
        return honest(address)

    monkeypatch.setattr(webbrowser, "open", opened)
    assert chatkeep("connect", NAME).code == 0
    assert any("belongs to no sign-in" in page for page in browser)


def test_without_a_browser_a_code_is_typed_on_another_device(
    chatkeep: Command, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(code: object, *_: object, **__: object) -> object:
        cloud.fake.consent.decide_device(code.user_code)  # type: ignore[attr-defined]
        return code

    begin = consenting.begin_device
    monkeypatch.setattr(consenting, "begin_device", lambda *given: at_once(begin(*given)))
    monkeypatch.setattr("time.sleep", lambda _: None)
    ended = chatkeep("connect", NAME, "--no-browser")
    assert ended.code == 0
    assert "/attic.example.com/device and type this code:\n\n  ABCD-" in ended.err


def test_where_a_code_does_not_go_the_last_address_is_pasted(
    chatkeep: Command, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.faults.fail(
        "/device/code", 401, headers={"Content-Type": "application/json"}, body=b'{"error": "invalid_client"}'
    )
    asked = consenting.address_of

    def answered(row: object, here: object) -> str:
        """A person opens the address elsewhere, and copies what the browser ended at."""
        address = asked(row, here)  # type: ignore[arg-type]
        typing(monkeypatch, f"hello\n\n{_ended_at(address)}\n")
        return address

    monkeypatch.setattr(consenting, "address_of", answered)
    ended = chatkeep("connect", NAME, "--no-browser")
    assert ended.code == 0, ended.err
    assert "paste its whole address here" in ended.err
    assert "This is not what was asked for." in ended.err


def _ended_at(address: str) -> str:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    try:
        urllib.request.build_opener(Stay).open(address)
    except urllib.error.HTTPError as error:
        with error:
            return str(error.headers["Location"])
    raise AssertionError("the provider did not send the browser back")


def test_without_an_app_the_command_says_how_to_get_one(
    chatkeep: Command, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHATKEEP_ATTIC_CLIENT_ID")
    ended = chatkeep("connect", NAME)
    assert ended.code == 2
    assert "connect-a-cloud.md" in ended.err


@pytest.mark.parametrize("content", ["osec\n", '{"installed": {"client_id": "other", "client_secret": "osec"}}'])
def test_an_own_app_comes_with_its_secret_in_a_file(
    chatkeep: Command, cloud: Cloud, browser: Pages, tmp_path: Path, content: str
) -> None:
    (tmp_path / "app.json").write_text(content)
    given = () if content.startswith("{") else ("--client-id", "other")
    assert chatkeep("connect", NAME, *given, "--client-secret-file", tmp_path / "app.json").code == 0
    assert [grant.client for grant in cloud.fake.consent.live_grants()] == ["other"]
    (listed,) = chatkeep("connections", "--json").json
    assert "may end on" in listed["sign_in"]["text"]


@pytest.mark.parametrize("content", ["", "{}", "{", '{"installed": {}}'])
def test_a_file_without_a_secret_is_said_so(chatkeep: Command, cloud: Cloud, tmp_path: Path, content: str) -> None:
    (tmp_path / "app.json").write_text(content)
    assert chatkeep("connect", NAME, "--client-id", "x", "--client-secret-file", tmp_path / "app.json").code == 2


def test_a_sign_in_that_ended_is_shown_and_given_anew(filled: Command, cloud: Cloud, browser: Pages) -> None:
    filled("connect", NAME)
    cloud.fake.consent.revoke_all()
    ended = filled("backup")
    assert ended.code == 1
    assert "chatkeep reconnect" in filled("connections").out
    status = filled("status", "--json").json
    assert (status["state"], status["places"][0]["sign_in"]) == ("trouble", "Attic no longer accepts the sign-in.")
    assert "chatkeep reconnect attic" in filled("status").out
    cloud.fake.consent.user = "bob"
    refused = filled("reconnect", "--json")
    assert refused.code == 1
    assert "bob@example.com" in refused.err
    cloud.fake.consent.user = "alice"
    assert filled("reconnect").out.startswith(f"{NAME}: signed in again as alice@example.com")
    assert filled("backup").code == 0


def test_disconnecting_says_what_stays_and_ends_the_access(chatkeep: Command, cloud: Cloud, browser: Pages) -> None:
    chatkeep("connect", NAME)
    left = chatkeep("disconnect", NAME, "--json").json
    assert left["revoked"]
    assert "until you delete it" in left["what"]
    assert cloud.fake.consent.live_grants() == []
