from __future__ import annotations

import re
import urllib.request

import pytest

from chatkeep.errors import Refused, SignInAgain, WrongUse
from chatkeep.providers import oauth, open_storage
from chatkeep.providers.dropbox import DROPBOX, SCOPES, SIGN_IN
from chatkeep.providers.http import Endpoints
from chatkeep.providers.oauth import Client, Tokens
from fakes.dropbox import DropboxFake
from fakes.given import Cloud, MemoryTokens, means

VERIFIER = "v" * 43
PUBLIC = Client("cid")


def _code(cloud: Cloud, redirect: str = "") -> str:
    """What a person copies who agreed."""
    address = oauth.authorize_address(
        SIGN_IN, PUBLIC, redirect=redirect, state="s", verifier=VERIFIER, endpoints=Endpoints(cloud.url)
    )
    with urllib.request.urlopen(address) as page:
        found = re.search(r'<code id="code">([^<]+)<', page.read().decode())
    assert found
    return found[1]


def _signed_in(cloud: Cloud) -> Tokens:
    endpoints = Endpoints(cloud.url)
    return oauth.exchange(SIGN_IN, PUBLIC, code=_code(cloud), verifier=VERIFIER, redirect="", endpoints=endpoints)


def test_a_person_signs_in_with_a_copied_code_and_without_a_secret(dropbox_fake: Cloud, fake: DropboxFake) -> None:
    fake.consent.automatic = "allow"
    tokens = _signed_in(dropbox_fake)
    assert set(tokens.scopes) == set(SCOPES)
    fake.consent.expire_access()
    store = MemoryTokens(tokens)
    storage = open_storage("dropbox", {}, new=True, means=means(dropbox_fake, SIGN_IN, client=PUBLIC, store=store))
    storage.put("a", b"x")
    storage.close()
    assert fake.files() == {"/Chatkeep/a": b"x"}
    assert store.saved[0].refresh == tokens.refresh


def test_an_address_that_is_not_registered_to_the_letter_is_refused(dropbox_fake: Cloud, fake: DropboxFake) -> None:
    fake.consent.automatic = "allow"
    for redirect in ("http://localhost:9999/connect/return", "http://127.0.0.1:8765/connect/return"):
        with pytest.raises(urllib.request.HTTPError) as raised:
            _code(dropbox_fake, redirect)
        raised.value.close()


def test_a_box_that_was_unticked_is_named(dropbox_fake: Cloud, fake: DropboxFake) -> None:
    fake.consent.automatic = "allow"
    fake.consent.granted = lambda asked: tuple(scope for scope in asked if scope != "files.content.write")
    with pytest.raises(Refused, match=r"files\.content\.write"):
        _signed_in(dropbox_fake)


def test_disconnecting_ends_every_token_of_the_app(dropbox_fake: Cloud, fake: DropboxFake) -> None:
    fake.consent.automatic = "allow"
    mine, other = _signed_in(dropbox_fake), _signed_in(dropbox_fake)
    endpoints = Endpoints(dropbox_fake.url)
    assert oauth.revoke(SIGN_IN, mine, endpoints)
    assert oauth.revoke(SIGN_IN, mine, endpoints)
    assert DROPBOX.account
    with pytest.raises(SignInAgain):
        DROPBOX.account(means(dropbox_fake, SIGN_IN, client=PUBLIC, store=MemoryTokens(other)))


def test_it_says_whose_account_it_is_and_how_full(dropbox_fake: Cloud, fake: DropboxFake) -> None:
    assert DROPBOX.account
    assert DROPBOX.space
    given = means(dropbox_fake, SIGN_IN)
    account = DROPBOX.account(given)
    assert (account.id, account.name) == (fake.people["alice"].id, "Alice Example")
    assert account.email == "alice@example.com"
    fake.write("/a", b"x" * 1000)
    space = DROPBOX.space({}, given)
    assert (space.used, space.total) == (1000, 2 * 2**30)


@pytest.mark.parametrize(("own", "used", "total"), [(0, 700, 10_000), (500, 30, 500)])
def test_in_a_team_the_share_of_this_person_counts_if_there_is_one(
    dropbox_fake: Cloud, fake: DropboxFake, own: int, used: int, total: int
) -> None:
    fake.account().team = {
        "used": 700,
        "allocated": 10_000,
        "user_within_team_space_allocated": own,
        "user_within_team_space_limit_type": {".tag": "off"},
        "user_within_team_space_used_cached": 30,
    }
    fake.write("/a", b"x" * 30)
    assert DROPBOX.space
    space = DROPBOX.space({}, means(dropbox_fake, SIGN_IN))
    assert (space.used, space.total) == (used, total)


def test_without_a_sign_in_it_is_not_opened() -> None:
    with pytest.raises(WrongUse):
        open_storage("dropbox", {})


@pytest.mark.parametrize("folder", ["../up", "a//b", "desktop.ini", "trailing "])
def test_a_folder_that_cannot_be_one_is_refused(dropbox_fake: Cloud, folder: str) -> None:
    with pytest.raises(Refused):
        open_storage("dropbox", {"folder": folder}, new=True, means=means(dropbox_fake, SIGN_IN))
    assert dropbox_fake.journal.entries == []
