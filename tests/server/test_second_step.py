"""The second step: codes of an authenticator app, recovery codes, passkeys; and proving once more who it is."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator as Kept
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.test import Client

from archive.talks import take, talk
from chatkeep import example
from chatkeep.connections import connecting
from chatkeep.connections.models import Connection
from chatkeep.errors import NotFound
from chatkeep.operations import import_from
from chatkeep.people.belonging import archives_of
from chatkeep.people.models import Invitation, User
from chatkeep.web import held
from server.authenticator import Authenticator
from server.conftest import PASSWORD, Somebody

pytestmark = pytest.mark.usefixtures("tables")
Browser = Callable[[], Client]


def prove(client: Client) -> None:
    assert client.post("/account/reauthenticate/", {"password": PASSWORD}).status_code == 302


def code(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


def begin(client: Client, email: str) -> Any:
    return client.post("/account/login/", {"login": email, "password": PASSWORD})


def options(page: Any) -> dict[str, Any]:
    found = re.search(r'id="passkey-options" type="application/json">(.*?)</script>', page.content.decode(), re.DOTALL)
    assert found
    given = json.loads(found[1])
    return given.get("creation_options") or given["request_options"]  # type: ignore[no-any-return]


@pytest.fixture
def with_app(alice: tuple[User, Client], monkeypatch: pytest.MonkeyPatch) -> tuple[User, Client, str]:
    """Alice has set up an authenticator app; its secret. Time stands still: a code is good for 30 seconds."""
    user, mine = alice
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)
    prove(mine)
    page = mine.get("/account/2fa/totp/activate/").content.decode()
    secret = re.search(r'id="secret" value="([A-Z2-7]+)"', page)
    assert secret
    assert "<svg" in page
    assert mine.post("/account/2fa/totp/activate/", {"code": code(secret[1])}).status_code == 302
    return user, mine, secret[1]


def test_with_an_app_the_password_alone_does_not_sign_in(
    with_app: tuple[User, Client, str], browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, _, secret = with_app
    other = browser()
    assert "/2fa/authenticate" in begin(other, user.email).headers["Location"]
    assert other.get("/").status_code == 302
    assert other.post("/account/2fa/authenticate/", {"code": "000000"}).status_code == 200
    assert other.get("/").status_code == 302
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 60)  # a code works once
    assert other.post("/account/2fa/authenticate/", {"code": code(secret)}).status_code == 302
    assert other.get("/").status_code == 200


def test_the_secret_of_the_app_is_sealed_in_the_database(with_app: tuple[User, Client, str]) -> None:
    _, _, secret = with_app
    assert secret not in json.dumps(list(Kept.objects.values_list("data", flat=True)))


def test_a_recovery_code_signs_in_once(with_app: tuple[User, Client, str], browser: Browser) -> None:
    user, mine, _ = with_app
    page = unescape(mine.get("/account/2fa/recovery-codes/").content.decode())
    one = re.findall(r"\b(\d{8})\b", page.split("<pre")[1])[0]
    first, second = browser(), browser()
    begin(first, user.email)
    assert first.post("/account/2fa/authenticate/", {"code": one}).status_code == 302
    assert first.get("/").status_code == 200
    begin(second, user.email)
    assert second.post("/account/2fa/authenticate/", {"code": one}).status_code == 200
    assert second.get("/").status_code == 302


def add_passkey(client: Client, key: Authenticator, **more: str) -> Any:
    prove(client)
    asked = options(client.get("/account/2fa/webauthn/add/"))
    given = {"name": "Phone", "credential": json.dumps(key.create(asked)), **more}
    return client.post("/account/2fa/webauthn/add/", given)


def sign_in_with(client: Client, key: Authenticator) -> None:
    asked = client.get("/account/2fa/webauthn/login/", headers={"accept": "application/json"}).json()
    client.post("/account/2fa/webauthn/login/", {"credential": json.dumps(key.get(asked["request_options"]))})


def test_a_passkey_signs_in_without_a_password(alice: tuple[User, Client], browser: Browser) -> None:
    key = Authenticator()
    assert add_passkey(alice[1], key, passwordless="on").status_code == 302
    other = browser()
    sign_in_with(other, key)
    assert other.get("/").status_code == 200


def test_a_passkey_that_was_asked_for_by_another_site_signs_nobody_in(
    alice: tuple[User, Client], browser: Browser, settings: Any
) -> None:
    settings.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = False  # as over https
    key = Authenticator("https://127.0.0.1")
    add_passkey(alice[1], key, passwordless="on")
    key.origin = "https://evil.example"
    elsewhere, mine = browser(), browser()
    sign_in_with(elsewhere, key)
    assert elsewhere.get("/").status_code == 302
    key.origin = "https://127.0.0.1"  # the control
    sign_in_with(mine, key)
    assert mine.get("/").status_code == 200


def test_a_passkey_of_nobody_signs_nobody_in(browser: Browser) -> None:
    stranger = browser()
    sign_in_with(stranger, Authenticator())
    assert stranger.get("/").status_code == 302


def test_a_passkey_is_a_second_step_too(alice: tuple[User, Client], browser: Browser) -> None:
    user, mine = alice
    key = Authenticator()
    add_passkey(mine, key)
    other = browser()
    begin(other, user.email)
    asked = options(other.get("/account/2fa/authenticate/"))
    other.post("/account/2fa/authenticate/", {"credential": json.dumps(key.get(asked))})
    assert other.get("/").status_code == 200


def test_sharing_asks_who_it_is_once_more_when_the_sign_in_is_old(
    somebody: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, mine = somebody("alice")
    assert mine.post("/settings/share").status_code == 200
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 700)
    asked = mine.post("/settings/share", headers={"referer": "http://127.0.0.1:8765/settings/"})
    assert asked.status_code == 302
    assert asked.headers["Location"] == "/account/reauthenticate/?next=%2Fsettings%2F"
    prove(mine)
    assert mine.post("/settings/share").status_code == 200


def test_deleting_asks_who_it_is_once_more_and_the_trash_does_not(
    alice: tuple[User, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    user, mine = alice
    archive = held.means().archive_of(archives_of(user)[0])
    import_from(archive, example.paths())
    first, second = [one.id for one in archive.listing()][:2]
    before = archive.count()
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 700)
    for given in ({}, {"sure": "1"}):
        asked = mine.post("/chats/together", {"do": "delete", "id": [first], **given})
        assert asked.headers["Location"].startswith("/account/reauthenticate/?next=")
    assert mine.post("/chats/together", {"do": "trash", "id": [second]}).headers["Location"] == "/chats/"
    assert archive.count() == before - 1
    prove(mine)
    assert mine.post("/chats/together", {"do": "delete", "id": [first]}).status_code == 200
    assert mine.post("/chats/together", {"do": "delete", "id": [first], "sure": "1"}).status_code == 302
    with pytest.raises(NotFound):
        archive.listed(first)


def test_what_came_back_is_deleted_again_with_the_same_question_and_nothing_else_is(
    alice: tuple[User, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    user, mine = alice
    archive = held.means().archive_of(archives_of(user)[0])
    take(archive, talk("garden", ["peas"]), talk("sea", ["boats"]))
    other, came_back = talk("garden").id, talk("sea").id
    archive.delete([came_back])
    with archive.joining() as joining:
        joining.take(talk("sea", ["boats", "waves"]))
        joining.finish(cursors={}, most=0)
    assert mine.post("/differences/settle", {"do": "delete", "id": other}).status_code == 404
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 700)
    asked = mine.post("/differences/settle", {"do": "delete", "id": came_back})
    assert asked.headers["Location"].startswith("/account/reauthenticate/?next=")
    assert {one.id for one in archive.listing()} == {other, came_back}
    prove(mine)
    assert mine.post("/differences/settle", {"do": "delete", "id": came_back}).headers["Location"] == "/differences/"
    assert [one.id for one in archive.listing()] == [other]


def test_letting_go_of_a_place_asks_who_it_is_once_more(
    alice: tuple[User, Client], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    user, mine = alice
    id = archives_of(user)[0]
    here = replace(held.means().installation_of(id), shared=False)  # a folder stands for a cloud
    name = connecting.connect("folder", {"path": str(tmp_path / "stick")}, installation=here, name="stick").name
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 700)
    asked = mine.post(f"/backups/{name}/do", {"do": "disconnect"})
    assert asked.headers["Location"].startswith("/account/reauthenticate/?next=")
    assert Connection.objects.filter(archive=id).exists()
    prove(mine)
    assert mine.post(f"/backups/{name}/do", {"do": "disconnect"}).status_code == 200
    assert not Connection.objects.filter(archive=id).exists()


def test_operators_are_asked_before_they_change_accounts_or_give_a_role(
    olivia: tuple[User, Client], somebody: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, hers = olivia
    user, _ = somebody("alice")
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 700)
    change, role = f"/operator/people/{user.pk}/change", {"do": "save", "role": "operator"}
    for path, form in ((change, role), ("/operator/people/invite", {"role": "auditor"})):
        assert hers.post(path, form).headers["Location"].startswith("/account/reauthenticate/?next=")
    user.refresh_from_db()
    assert user.role == "member"
    assert not Invitation.objects.exists()
    assert hers.post("/operator/people/invite", {"role": "member"}).status_code == 200
    prove(hers)
    assert hers.post(change, role).headers["Location"] == f"/operator/people/{user.pk}/"
    user.refresh_from_db()
    assert user.role == "operator"


def test_other_sites_are_not_gone_back_to(somebody: Somebody, monkeypatch: pytest.MonkeyPatch) -> None:
    _, mine = somebody("alice")
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 700)
    asked = mine.post("/settings/share", headers={"referer": "https://evil.example/settings/x"})
    assert asked.headers["Location"].endswith("next=%2Fsettings%2F")
    for wanted in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        answer = mine.post(f"/account/reauthenticate/?next={wanted}", {"password": PASSWORD})
        assert answer.headers.get("Location", "/") in ("/", "/account/reauthenticate/")
