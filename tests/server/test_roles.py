"""Operators, auditors, members; sessions that end; an archive that two share; the log that cannot be changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from chatkeep import example
from chatkeep.operations import import_from
from chatkeep.people import audit, inviting
from chatkeep.people.belonging import archives_of
from chatkeep.people.models import Audit, Role, User
from chatkeep.web import held
from server.conftest import PASSWORD, Somebody

pytestmark = pytest.mark.usefixtures("tables")
Pair = tuple[User, Client]


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return str(answer.content.decode())


def test_to_members_the_pages_of_operators_are_not_there(alice: Pair) -> None:
    user, browser = alice
    for path in ("/operator/people/", f"/operator/people/{user.pk}/", "/operator/log/"):
        assert browser.get(path).status_code == 404
    assert browser.post("/operator/people/invite", {"email": "x@example.org"}).status_code == 404
    assert browser.post(f"/operator/people/{user.pk}/change", {"do": "save", "role": "operator"}).status_code == 404
    assert "People" not in text(browser, "/")


def test_an_auditor_looks_and_changes_nothing(somebody: Somebody, alice: Pair) -> None:
    user, _ = alice
    _, browser = somebody("audrey", Role.AUDITOR)
    assert "alice@example.org" in text(browser, "/operator/people/")
    assert "user.signed-in" in text(browser, "/operator/log/")
    assert "Every line follows" in text(browser, "/operator/log/?check=1")
    assert "Disable" not in text(browser, f"/operator/people/{user.pk}/")
    for path in ("people/invite", f"people/{user.pk}/change"):
        assert browser.post(f"/operator/{path}", {"do": "disable"}).status_code == 404
    user.refresh_from_db()
    assert user.is_active


def test_an_operator_invites_with_a_link_that_is_shown_once(olivia: Pair, browser: Callable[[], Client]) -> None:
    _, hers = olivia
    shown = hers.post("/operator/people/invite", {"email": "dora@example.org", "cohorts": "team, invited"})
    link = re.search(r"/invitation/[\w-]+", shown.content.decode())
    assert link
    assert link[0] not in text(hers, "/operator/people/")
    new = browser()
    new.post(link[0])
    new.post("/account/signup/", {"email": "dora@example.org", "password1": PASSWORD})
    assert User.objects.get(email="dora@example.org").cohorts == ["invited", "team"]
    assert "dora" not in str(list(Audit.objects.values()))


def test_changes_of_an_account_are_in_the_log_with_what_changed(olivia: Pair, alice: Pair) -> None:
    user, _ = alice
    form = {"do": "save", "role": "auditor", "cohorts": "team", "most_connections": "3"}
    assert olivia[1].post(f"/operator/people/{user.pk}/change", form).status_code == 302
    user.refresh_from_db()
    assert (user.role, user.cohorts, user.most_connections) == ("auditor", ["team"], 3)
    line = Audit.objects.filter(what="user.changed").get()
    assert (line.actor, line.about) == (olivia[0].mark, user.mark)
    assert line.details == {"role": "auditor", "cohorts": ["team"], "most_connections": 3}


def test_a_disabled_account_is_out_at_once_and_stays_out(olivia: Pair, alice: Pair) -> None:
    user, browser = alice
    assert browser.get("/").status_code == 200
    olivia[1].post(f"/operator/people/{user.pk}/change", {"do": "disable"})
    assert browser.get("/").status_code == 302
    browser.post("/account/login/", {"login": user.email, "password": PASSWORD})
    assert browser.get("/").status_code == 302
    olivia[1].post(f"/operator/people/{user.pk}/change", {"do": "enable"})
    browser.post("/account/login/", {"login": user.email, "password": PASSWORD})
    assert browser.get("/").status_code == 200


def test_an_operator_does_not_lock_the_last_door_behind_them(olivia: Pair) -> None:
    user, browser = olivia
    for form in ({"do": "disable"}, {"do": "save", "role": "member"}):
        assert browser.post(f"/operator/people/{user.pk}/change", form).status_code == 400


def test_signed_out_everywhere_is_every_browser(olivia: Pair, alice: Pair, browser: Callable[[], Client]) -> None:
    user, first = alice
    second = browser()
    second.post("/account/login/", {"login": user.email, "password": PASSWORD})
    olivia[1].post(f"/operator/people/{user.pk}/change", {"do": "sign-out"})
    assert [one.get("/").status_code for one in (first, second)] == [302, 302]


def test_one_ends_a_session_of_ones_own_and_no_other(alice: Pair, browser: Callable[[], Client]) -> None:
    user, first = alice
    second = browser()
    second.post("/account/login/", {"login": user.email, "password": PASSWORD})
    ends = re.findall(r"/settings/sessions/(\d+)/end", text(first, "/settings/sessions/"))
    assert len(ends) == 1  # not the one that looks
    assert first.post(f"/settings/sessions/{ends[0]}/end").status_code == 302
    assert second.get("/").status_code == 302
    assert first.get("/").status_code == 200


def test_two_share_an_archive_until_its_owner_ends_it(alice: Pair, somebody: Somebody, charlie: Pair) -> None:
    user, hers = alice
    own = archives_of(user)[0]
    import_from(held.means().archive_of(own), example.paths())
    title = held.means().archive_of(own).listing()[0].title
    bob, his = somebody("bob")
    link = re.search(r"/invitation/[\w-]+", hers.post("/settings/share").content.decode())
    assert link
    assert his.post(link[0]).status_code == 302
    assert title in text(his, "/chats/")
    assert charlie[1].post(link[0]).status_code == 404  # it worked once
    mine = next(one for one in archives_of(bob) if one != own)
    his.post("/settings/archive", {"archive": mine})
    assert title not in text(his, "/chats/")
    his.post("/settings/archive", {"archive": own})
    assert title in text(his, "/chats/")
    assert his.post("/settings/share").status_code == 404  # it is not his to share
    member = re.search(r'name="member" value="(\d+)"', text(hers, "/settings/"))
    assert member
    hers.post("/settings/unshare", {"member": member[1]})
    assert title not in text(his, "/chats/")


def test_an_invitation_that_was_withdrawn_opens_nothing(olivia: Pair, browser: Callable[[], Client]) -> None:
    made, token = inviting.invite(by=None)
    assert olivia[1].post(f"/operator/invitations/{made.pk}/withdraw").status_code == 302
    assert browser().get(f"/invitation/{token}").status_code == 404


@pytest.fixture
def kept(tables: None) -> Iterator[None]:
    """The log as it is on a server; between tests it can be emptied."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE people_audit ENABLE TRIGGER USER")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE people_audit DISABLE TRIGGER USER")


CHANGES = (
    "UPDATE people_audit SET details = '{}'",
    "UPDATE people_audit SET actor = 'user:nobody' WHERE false OR id > 0",
    "DELETE FROM people_audit",
    "TRUNCATE people_audit",
)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("change", CHANGES)
def test_the_database_refuses_to_change_the_log(change: str) -> None:
    audit.note("user:1", "tried", details={"x": 1})
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
    assert Audit.objects.count() == 1
    assert audit.note("user:1", "added").pk


@pytest.mark.parametrize("change", CHANGES)
def test_without_the_trigger_the_log_can_be_changed(change: str) -> None:
    audit.note("user:1", "tried", details={"x": 1})
    with connection.cursor() as cursor:
        cursor.execute(change)
    assert list(audit.gaps()) or not Audit.objects.exists()
