"""No address shows or changes what belongs to somebody else: made from the resolver, so that a new one is asked too."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.test import Client

from chatkeep import example
from chatkeep.api import tokens
from chatkeep.api.described import openapi
from chatkeep.connections import connecting
from chatkeep.connections.models import Connection, Consent
from chatkeep.feedback import telling
from chatkeep.feedback.models import Report
from chatkeep.jobs import queue
from chatkeep.jobs.kinds import kinds
from chatkeep.jobs.models import Job
from chatkeep.jobs.worker import Worker
from chatkeep.operations import import_from
from chatkeep.people import inviting
from chatkeep.people.belonging import archives_of
from chatkeep.people.models import Invitation, Membership, User
from chatkeep.rollout.models import Standing
from chatkeep.vault import keys
from chatkeep.web import held
from chatkeep.web.models import new_token
from server.conftest import PASSWORD
from server.routes import Route, routes

pytestmark = pytest.mark.usefixtures("tables")
CANARY, WORD = "canarymockingbird", "peculiarity"
NOT_AN_ID = {
    "invitation.token": "whoever has the link is whom it is for",
    "certificate.token": "whoever has the link is whom it is for",
    "account_confirm_email.key": "a signed link from a mail",
    "account_reset_password_from_key.uidb36": "part of a signed link from a mail",
    "account_reset_password_from_key.key": "a signed link from a mail",
    "openid_connect_login.provider_id": "the one provider that the operator set",
    "openid_connect_callback.provider_id": "the one provider that the operator set",
    "connect-cloud.provider": "the name of a kind of place",
    "connect-server.provider": "the name of a kind of place",
}
"""Parameters that belong to nobody, and why."""
FORMS = {
    "chat-change": {"do": "trash"},
    "backup-do": {"do": "disconnect"},
    "schedule-change": {"do": "pause"},
    "keys-passphrase": {"passphrase": "x y z", "again": "x y z"},
    "connect-do": {"do": "leave"},
    "operator-change": {"do": "disable"},
    "mfa_edit_webauthn": {"name": "mine"},
}
"""What is sent to those that want something."""
_REPORTS = (
    "feedback-told",
    "feedback-file",
    "feedback-withdraw",
    "operator-report",
    "operator-report-change",
    "operator-report-picture",
)
METHODS = ("get", "post", "put", "patch", "delete")
REFUSED = (404, 405)


@pytest.fixture
def hers(alice: tuple[User, Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Something of every kind that Alice has, by the parameter that would name it."""
    monkeypatch.setattr(keys, "COST_N", 2**10)
    user, browser = alice
    id = archives_of(user)[0]
    archive = held.means().archive_of(id)
    report = import_from(archive, example.paths())
    conversation = archive.listing()[0].id
    archive.edit(conversation, "title", f"{CANARY} {WORD}")
    here = replace(held.means().installation_of(id), shared=False)  # a folder stands for a cloud
    made = connecting.connect("folder", {"path": str(tmp_path / CANARY)}, installation=here, name="stick")
    place = Connection.objects.get(archive=id)
    asked = queue.enqueue("backup", place.subject, {"connection": made.name}, archive=id)
    assert Worker(kinds(held.means())).run_one()
    snapshot = queue.find(asked.pk).report["snapshot"]
    look = queue.enqueue("look", place.subject, {"connection": made.name, "snapshot": snapshot}, archive=id)
    assert Worker(kinds(held.means())).run_one()
    assert queue.find(look.pk).state == "done", queue.find(look.pk).what
    browser.post("/export/", {"format": "json"})
    export = Job.objects.get(kind="export")
    assert Worker(kinds(held.means())).run_one()
    waiting = queue.enqueue("check", place.subject, {"connection": made.name, "note": CANARY}, archive=id)
    consent = Consent.objects.create(archive=id, provider="dropbox", name=CANARY)
    key = Authenticator.objects.create(user=user, type="webauthn", data={"name": CANARY, "credential": {}})
    sha256 = next(iter(archive.held()))[0]
    _, token = tokens.add("Alice's program", ["read"], archive=id, user=user.pk.hex)
    link, _ = inviting.invite(by=user, archive=id)
    account, _ = inviting.invite(by=user)
    told = telling.tell(user.mark, text=CANARY, severity="small")
    places = {f"{name}.name": made.name for name in _named("backups/")}
    chats = {f"{name}.name": conversation for name in _named("chats/")}
    runs = {f"{name}.pk": waiting.pk for name in _named("activity/")}
    return {
        **places,
        **chats,
        **runs,
        "attachment.sha256": sha256,
        "receipt.number": report.receipt,
        "undo.number": report.receipt,
        "export-download.pk": export.pk,
        "connect-step.uid": consent.uid,
        "connect-do.uid": consent.uid,
        "opened.snapshot": snapshot,
        "opened-read.snapshot": snapshot,
        "opened-read.conversation": conversation,
        "session-end.pk": UserSession.objects.get(user=user).pk,
        "mfa_remove_webauthn.pk": key.pk,
        "mfa_edit_webauthn.pk": key.pk,
        "operator-person.id": user.pk,
        "operator-change.id": user.pk,
        "operator-withdraw.id": account.pk,
        "program-revoke.pk": token.pk,
        **{f"{name}.id": told.pk for name in _REPORTS},
        "operator-flag.name": "inbox",
        "operator-flag-change.name": "inbox",
        "link": link.pk.hex,
        "uid": place.uid,
        "archive": id,
    }


def _named(begin: str) -> list[str]:
    return [route.name for route in routes() if route.form.startswith(f"/{begin}{{")]


def of_somebody() -> Iterator[Route]:
    """The addresses that name something of somebody."""
    for route in routes():
        if any(f"{route.name}.{parameter}" not in NOT_AN_ID for parameter in route.parameters):
            yield route


def state(hers: dict[str, Any]) -> list[Any]:
    """Everything of Alice that somebody else could have changed."""
    archive = held.means().archive_of(hers["archive"])
    return [
        [one.title for one in archive.listing()],
        archive.number,
        list(Connection.objects.order_by("pk").values("name", "location", "vault_id")),
        list(Consent.objects.values_list("uid", flat=True)),
        list(Job.objects.order_by("pk").values("pk", "state", "cancel_asked", "pause_asked")),
        list(Membership.objects.order_by("pk").values()),
        list(Invitation.objects.order_by("made_at").values("pk", "used_at")),
        list(Authenticator.objects.values("pk", "data")),
        list(Report.objects.values("pk", "text", "state", "answer")),
        list(Standing.objects.values("flag", "ring", "killed")),
        list(User.objects.order_by("email").values("email", "is_active", "role", "password")),
        UserSession.objects.filter(user__email="alice@example.org").count(),
    ]


def leaks(browser: Client, hers: dict[str, Any]) -> list[str]:
    """The addresses that did not refuse, or showed something of hers."""
    found = []
    for route in of_somebody():
        answers = {}
        for method in METHODS:
            answer = getattr(browser, method)(route.filled(hers), FORMS.get(route.name, {}))
            answers[method] = answer.status_code
            answer.close()
            if not answer.streaming and CANARY in answer.content.decode(errors="replace"):
                found.append(f"{method} {route.form}: shows the canary")
        if not set(answers.values()) <= set(REFUSED) or 404 not in answers.values():
            found.append(f"{route.form}: {answers}")
    return found


def prove(browser: Client) -> None:
    browser.post("/account/reauthenticate/", {"password": PASSWORD})


def test_each_parameter_of_each_address_can_be_filled(hers: dict[str, Any]) -> None:
    unknown = [
        f"{route.name}.{parameter}"
        for route in routes()
        for parameter in route.parameters
        if f"{route.name}.{parameter}" not in hers and f"{route.name}.{parameter}" not in NOT_AN_ID
    ]
    assert not unknown, "Say in this test how to fill them, or that they belong to nobody."
    assert len(list(of_somebody())) > 30


def test_what_is_somebody_elses_is_not_there(hers: dict[str, Any], charlie: tuple[User, Client]) -> None:
    before = state(hers)
    prove(charlie[1])
    assert leaks(charlie[1], hers) == []
    assert state(hers) == before


def test_she_herself_is_shown_it(hers: dict[str, Any], alice: tuple[User, Client]) -> None:
    _, browser = alice
    for name in ("chat", "place", "receipt", "run", "export-download", "attachment", "opened"):
        route = next(one for one in routes() if one.name == name)
        answer = browser.get(route.filled(hers))
        answer.close()
        assert answer.status_code == 200, name


def test_without_the_check_of_the_owner_this_test_fails(
    hers: dict[str, Any], charlie: tuple[User, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "_id", lambda request: hers["archive"])
    found = leaks(charlie[1], hers)
    assert len(found) > 15


def test_ids_in_forms_and_queries_name_nothing_of_somebody_else(
    hers: dict[str, Any], charlie: tuple[User, Client]
) -> None:
    _, browser = charlie
    before, conversation = state(hers), hers["chat.name"]
    member = Membership.objects.filter(archive=hers["archive"]).get().pk
    sent = [
        ("/chats/together", {"do": "trash", "id": conversation}),
        ("/chats/together", {"do": "delete", "id": conversation}),
        ("/chats/together", {"do": "delete", "sure": "1", "id": conversation}),
        ("/differences/settle", {"do": "delete", "id": conversation}),
        ("/differences/settle", {"do": "keep", "id": conversation, "message": "x"}),
        ("/export/", {"format": "json", "id": conversation}),
        ("/settings/archive", {"archive": hers["archive"]}),
        ("/settings/unshare", {"member": member}),
        ("/settings/unshare", {"link": hers["link"]}),
        ("/connect/to/dropbox/", {"do": "begin", "client_id": "x", "reconnects": hers["uid"]}),
    ]
    for path, form in sent:
        answer = browser.post(path, form)
        assert CANARY not in answer.content.decode(), path
        assert answer.status_code in (302, 400, 404), (path, answer.status_code)
    for query in (f"id={conversation}", f"q={WORD}", f"reconnects={hers['uid']}", f"conversation={conversation}"):
        for route in routes():
            if not route.parameters:
                answer = browser.get(f"{route.form}?{query}")
                shown = "" if answer.streaming else answer.content.decode(errors="replace")
                assert CANARY not in shown, (route.form, query)
    now = state(hers)
    assert now[:3] == before[:3]
    assert now[5:7] == before[5:7]
    mine = archives_of(charlie[0])
    assert not Consent.objects.filter(archive__in=mine).exclude(reconnects="").exists()


@pytest.mark.parametrize("path", ["/connect/folder/", "/connect/server/webdav/", "/connect/server/s3/", "/labs/"])
def test_what_only_a_laptop_has_is_not_there(alice: tuple[User, Client], path: str) -> None:
    """A server's people name neither its folders nor what it can reach, and its operators choose for all of them."""
    assert alice[1].get(path).status_code == 404
    assert alice[1].post(path, {"flag": "inbox", "on": "1"}).status_code in REFUSED


def test_a_folder_of_the_server_is_not_connected_by_a_form_that_no_page_shows(
    alice: tuple[User, Client], tmp_path: Path
) -> None:
    answer = alice[1].post("/backups/connect", {"path": str(tmp_path / "mine")})
    assert answer.status_code == 400
    assert "shared" in answer.content.decode()
    assert not Connection.objects.exists()
    assert not (tmp_path / "mine").exists()


def test_a_link_of_a_terminal_signs_nobody_in_on_a_server(browser: Callable[[], Client]) -> None:
    stranger = browser()
    assert stranger.get(f"/sign-in/{new_token()}").status_code == 404
    assert stranger.get("/settings/").headers["Location"].startswith("/account/login/")


def test_no_operation_of_the_api_takes_the_sign_in_of_a_browser_for_a_token(
    hers: dict[str, Any], alice: tuple[User, Client]
) -> None:
    """Every one asks for a token, also of somebody whose browser may see it all; else a page elsewhere could ask."""
    _, browser = alice
    before, asked = state(hers), 0
    for path, methods in json.loads(openapi())["paths"].items():
        for method in methods:
            address = re.sub(r"{\w+}", hers["chat.name"], path)
            answer = getattr(browser, method)(address)
            assert answer.status_code == 401, (method, path)
            assert CANARY not in answer.content.decode()
            asked += 1
    assert asked > 30
    assert state(hers) == before
    # The control: with a token of hers the same browser is answered.
    token, _ = tokens.add("control", ["read"], archive=hers["archive"], user=alice[0].pk.hex)
    found = browser.get(f"/api/v1/conversations/{hers['chat.name']}", headers={"Authorization": f"Bearer {token}"})
    assert found.status_code == 200
    assert CANARY in found.content.decode()


def test_a_stranger_is_sent_to_the_sign_in_whatever_they_ask_for(
    hers: dict[str, Any], browser: Callable[[], Client]
) -> None:
    stranger, before = browser(), state(hers)
    for route in of_somebody():
        for method in METHODS:
            answer = getattr(stranger, method)(route.filled(hers), FORMS.get(route.name, {}))
            is_sign_in = answer.status_code == 302 and "/account/" in answer.headers["Location"]
            assert is_sign_in or answer.status_code in (401, 404, 405), (method, route.form, answer.status_code)
            assert CANARY not in answer.content.decode()
    assert state(hers) == before


@pytest.mark.usefixtures("alice")
def test_no_address_takes_a_form_that_another_site_sent(hers: dict[str, Any]) -> None:
    """By what browsers say of where it comes from, and, where they do not, by the token that is missing."""
    forger = Client(headers={"host": "127.0.0.1:8765"}, enforce_csrf_checks=True)
    forger.force_login(User.objects.get(email="alice@example.org"))
    values = {**dict.fromkeys(NOT_AN_ID, "x"), **hers}
    for route in routes():
        path = route.filled(values)
        for method in METHODS[1:]:
            for headers in ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {}, {"origin": "null"}):
                answer = getattr(forger, method)(path, FORMS.get(route.name, {}), headers=headers)
                assert answer.status_code == 403, (method, path, headers, answer.status_code)
