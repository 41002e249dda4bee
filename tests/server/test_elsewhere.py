"""Signing in with an account that somebody has elsewhere (OpenID Connect)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from chatkeep.people import inviting
from chatkeep.people.models import Membership, User
from chatkeep.settings import SignInElsewhere
from chatkeep.web.accounts import elsewhere
from fakes.oidc import CLIENT, SECRET, OpenId
from server.conftest import Somebody

pytestmark = pytest.mark.usefixtures("tables")
Browser = Callable[[], Client]


@pytest.fixture
def provider(settings: object) -> Iterator[OpenId]:
    found = OpenId()
    given = SignInElsewhere(issuer=found.url, client_id=CLIENT, client_secret=SECRET, name="Our accounts")
    settings.SOCIALACCOUNT_PROVIDERS = elsewhere(given)["SOCIALACCOUNT_PROVIDERS"]  # type: ignore[attr-defined]
    yield found
    found.close()


def go_and_come_back(client: Client, provider: OpenId) -> object:
    begun = client.post("/account/oidc/elsewhere/login/")
    assert begun.status_code == 302
    assert begun.headers["Location"].startswith(provider.url)
    return client.get(provider.consent(begun.headers["Location"]).replace("http://127.0.0.1:8765", ""))


def is_in(client: Client) -> bool:
    return bool(client.get("/").status_code == 200)


def test_who_was_invited_makes_an_account_with_it_and_signs_in_again(provider: OpenId, browser: Browser) -> None:
    _, token = inviting.invite(by=None, email="alice@example.org", cohorts=["invited"])
    mine = browser()
    mine.post(f"/invitation/{token}")
    assert "Our accounts" in mine.get("/account/signup/").content.decode()
    go_and_come_back(mine, provider)
    assert is_in(mine)
    user = User.objects.get()
    assert (user.name, user.email, user.cohorts) == ("Alice Elsewhere", "alice@example.org", ["invited"])
    assert Membership.objects.filter(user=user, owns=True).count() == 1
    other = browser()
    go_and_come_back(other, provider)
    assert is_in(other)
    assert User.objects.count() == 1
    assert "code_challenge" in provider.asked[0]


def test_without_an_invitation_it_makes_no_account(provider: OpenId, browser: Browser) -> None:
    mine = browser()
    go_and_come_back(mine, provider)
    assert not is_in(mine)
    assert not User.objects.exists()


def test_an_invitation_for_another_address_is_not_used(provider: OpenId, browser: Browser) -> None:
    _, token = inviting.invite(by=None, email="bob@example.org")
    mine = browser()
    mine.post(f"/invitation/{token}")
    go_and_come_back(mine, provider)
    assert not User.objects.exists()


def test_a_verified_address_is_the_account_that_is_here(provider: OpenId, somebody: Somebody, browser: Browser) -> None:
    user, _ = somebody("alice")
    mine = browser()
    go_and_come_back(mine, provider)
    assert is_in(mine)
    assert SocialAccount.objects.get().user == user


def test_an_address_that_is_not_verified_opens_nothing(provider: OpenId, somebody: Somebody, browser: Browser) -> None:
    somebody("alice")
    provider.email_verified = False
    mine = browser()
    go_and_come_back(mine, provider)
    assert not is_in(mine)
    assert not SocialAccount.objects.exists()


def test_a_token_that_is_not_for_us_opens_nothing(provider: OpenId, somebody: Somebody, browser: Browser) -> None:
    somebody("alice")
    provider.wrong_audience = True
    mine = browser()
    go_and_come_back(mine, provider)
    assert not is_in(mine)


def test_what_another_browser_was_given_is_not_taken(provider: OpenId, somebody: Somebody, browser: Browser) -> None:
    somebody("alice")
    mallory, victim = browser(), browser()
    begun = mallory.post("/account/oidc/elsewhere/login/")
    address = provider.consent(begun.headers["Location"]).replace("http://127.0.0.1:8765", "")
    victim.get(address)
    assert not is_in(victim)


def test_the_second_use_of_an_answer_opens_nothing(provider: OpenId, somebody: Somebody, browser: Browser) -> None:
    somebody("alice")
    mine = browser()
    begun = mine.post("/account/oidc/elsewhere/login/")
    address = provider.consent(begun.headers["Location"]).replace("http://127.0.0.1:8765", "")
    mine.get(address)
    mine.post("/account/logout/")
    mine.get(address)
    assert not is_in(mine)
