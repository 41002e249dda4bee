"""Accounts on a server: made by invitation, signed in with a password, slowed down when somebody guesses."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import pytest
from django.test import Client
from django.utils import timezone

from chatkeep.errors import NotFound
from chatkeep.people import inviting
from chatkeep.people.models import Audit, Invitation, Membership, User
from server.conftest import PASSWORD, Somebody

pytestmark = pytest.mark.usefixtures("tables")
Browser = Callable[[], Client]


def sign_up(browser: Client, token: str, email: str, **given: str) -> int:
    browser.post(f"/invitation/{token}")
    fields = {"email": email, "name": "Alice", "password1": PASSWORD, **given}
    return browser.post("/account/signup/", fields).status_code


def test_without_an_invitation_nobody_makes_an_account(browser: Browser) -> None:
    alone = browser()
    assert "by invitation" in alone.get("/account/signup/").content.decode()
    alone.post("/account/signup/", {"email": "a@example.org", "password1": PASSWORD})
    assert not User.objects.exists()


def test_an_invitation_makes_one_account_with_its_role_and_an_archive_of_its_own(browser: Browser) -> None:
    _, token = inviting.invite(by=None, email="Alice@example.org", role="auditor", cohorts=["team"])
    mine = browser()
    assert "You are invited" in mine.get(f"/invitation/{token}").content.decode()
    assert sign_up(mine, token, "alice@example.org") == 302
    user = User.objects.get()
    assert (user.email, user.name, user.role, user.cohorts) == ("alice@example.org", "Alice", "auditor", ["team"])
    assert user.password.startswith("argon2")
    assert Membership.objects.get(user=user).owns
    assert mine.get("/").status_code == 200
    later = browser()
    assert later.get(f"/invitation/{token}").status_code == 404
    sign_up(later, token, "mallory@example.org")
    assert User.objects.count() == 1


def test_of_two_that_use_an_invitation_at_once_one_gets_in(browser: Browser) -> None:
    _, token = inviting.invite(by=None)
    first, second = browser(), browser()
    for one in (first, second):
        one.post(f"/invitation/{token}")
    fields = {"name": "", "password1": PASSWORD}
    first.post("/account/signup/", {"email": "a@example.org", **fields})
    second.post("/account/signup/", {"email": "b@example.org", **fields})
    assert [user.email for user in User.objects.all()] == ["a@example.org"]


def test_an_invitation_for_an_address_is_for_that_one(browser: Browser) -> None:
    _, token = inviting.invite(by=None, email="alice@example.org")
    assert sign_up(browser(), token, "mallory@example.org") == 200
    assert not User.objects.exists()


def test_an_invitation_expires(browser: Browser) -> None:
    made, token = inviting.invite(by=None)
    Invitation.objects.filter(pk=made.pk).update(expires_at=timezone.now())
    with pytest.raises(NotFound):
        inviting.opened(token)
    assert browser().get(f"/invitation/{token}").status_code == 404


def test_only_the_hash_of_an_invitation_is_kept() -> None:
    made, token = inviting.invite(by=None)
    assert token not in str(Invitation.objects.filter(pk=made.pk).values())


def test_a_wrong_password_and_an_unknown_address_are_told_alike(somebody: Somebody, browser: Browser) -> None:
    somebody("alice")
    said = []
    for email in ("alice@example.org", "nobody@example.org"):
        page = browser().post("/account/login/", {"login": email, "password": "wrong wrong wrong"})
        said.append(page.content.decode().replace(email, "").split("<main")[1].split("csrf")[0])
    assert said[0] == said[1]


def test_signing_in_gives_the_session_a_new_key(somebody: Somebody, browser: Browser) -> None:
    somebody("alice")
    mine = browser()
    mine.get("/account/login/")
    mine.post("/account/login/", {"login": "alice@example.org", "password": "wrong wrong wrong"})
    before = mine.cookies["chatkeep_session"].value if "chatkeep_session" in mine.cookies else ""
    mine.post("/account/login/", {"login": "alice@example.org", "password": PASSWORD})
    assert mine.cookies["chatkeep_session"].value != before
    assert mine.get("/").status_code == 200


def guess(browser: Browser, hours: float, *, tries: int) -> int:
    """How many of these guesses, from ever new addresses and within these hours, are looked at at all."""
    now = __import__("time").time()
    accepted = 0
    with (
        patch("allauth.core.internal.ratelimit.time") as clock,
        patch("django.contrib.auth.hashers.check_password", side_effect=lambda *_: False),
    ):
        clock.monotonic.side_effect = __import__("time").monotonic
        for number in range(tries):
            clock.time.return_value = now + hours * 3600 * number / tries
            page = browser().post(
                "/account/login/",
                {"login": "alice@example.org", "password": f"guess number {number}"},
                REMOTE_ADDR=f"10.{number // 250}.{number % 250}.9",
            )
            accepted += "Too many tries" not in page.content.decode()
    return accepted


def test_guesses_from_everywhere_are_at_most_twenty_an_hour_and_whose_account_it_is_gets_in(
    alice: tuple[User, Client], browser: Browser
) -> None:
    user, mine = alice
    assert 1 <= guess(browser, 0.9, tries=120) <= 20
    again = browser()
    page = again.post("/account/login/", {"login": user.email, "password": PASSWORD}, REMOTE_ADDR="10.99.0.1")
    assert page.status_code == 200  # an unknown browser waits, even with the right password
    mine.post("/account/logout/")
    assert mine.get("/").status_code == 302
    page = mine.post("/account/login/", {"login": user.email, "password": PASSWORD})
    assert page.status_code == 302  # the browser that the account knows does not
    assert mine.get("/").status_code == 200


def test_without_the_limit_all_guesses_are_looked_at(
    alice: tuple[User, Client], browser: Browser, settings: object
) -> None:
    settings.ACCOUNT_RATE_LIMITS = False  # type: ignore[attr-defined]
    assert guess(browser, 0.9, tries=40) == 40


def test_a_browser_that_another_account_was_signed_in_with_is_not_known(
    alice: tuple[User, Client], charlie: tuple[User, Client], browser: Browser
) -> None:
    guess(browser, 0.1, tries=20)
    _, his = charlie
    his.post("/account/logout/")
    page = his.post("/account/login/", {"login": "alice@example.org", "password": PASSWORD})
    assert page.status_code == 200


def test_what_is_done_is_in_the_log_and_names_nobody(alice: tuple[User, Client]) -> None:
    user, _ = alice
    lines = Audit.objects.values_list("actor", "what")
    assert (user.mark, "user.signed-in") in lines
    assert "example.org" not in str(list(Audit.objects.values()))


def test_without_mail_nobody_waits_for_a_link_to_a_new_password(browser: Browser) -> None:
    page = browser().get("/account/password/reset/").content.decode()
    assert "This server sends no mail." in page
    assert "<form" not in page.split("<h1>")[1]
