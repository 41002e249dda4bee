"""Consent at Microsoft, whose account it is, and the way out when the app folder is refused."""

from __future__ import annotations

import json
import urllib.request
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from tests.providers.onedrive.conftest import Clock, Opening

from chatkeep.errors import Refused, SignInAgain
from chatkeep.providers import ONEDRIVE, MemoryNotes, Space
from chatkeep.providers.http import Endpoints
from chatkeep.providers.oauth import (
    Access,
    Client,
    Tokens,
    authorize_address,
    begin_device,
    exchange,
    poll_device,
    revoke,
)
from chatkeep.providers.onedrive import SIGN_IN
from fakes.given import Cloud, MemoryTokens, means

PUBLIC = Client("cid")
VERIFIER = "v" * 64
HOME = "http://localhost:50123/"


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object, **named: object) -> None:
        return None


def consented(cloud: Cloud, *, redirect: str = HOME, scopes: tuple[str, ...] | None = None) -> str:
    """The code that a browser is sent back with."""
    cloud.fake.consent.automatic = "allow"
    address = authorize_address(
        SIGN_IN, PUBLIC, redirect=redirect, state="s", verifier=VERIFIER, endpoints=Endpoints(cloud.url), scopes=scopes
    )
    try:
        with urllib.request.build_opener(_Stay).open(address) as page:
            return str(page.read())
    except urllib.error.HTTPError as answer:
        with answer:
            if answer.code != 302:
                return f"{answer.code}"
            fields = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert fields["state"] == ["s"]
    return fields["code"][0]


def exchanged(cloud: Cloud, code: str, *, client: Client = PUBLIC, verifier: str = VERIFIER) -> Tokens:
    return exchange(
        SIGN_IN,
        client,
        code=code,
        verifier=verifier,
        redirect=HOME,
        endpoints=Endpoints(cloud.url),
        clock=cloud.fake.clock,
    )


def test_a_code_with_its_verifier_gives_tokens_once(cloud: Cloud) -> None:
    code = consented(cloud)
    tokens = exchanged(cloud, code)
    assert tokens.refresh
    assert tokens.scopes == ("Files.ReadWrite.AppFolder", "User.Read")
    with pytest.raises(SignInAgain):
        exchanged(cloud, code)
    with pytest.raises(SignInAgain):
        exchanged(cloud, consented(cloud), verifier="w" * 64)


def test_a_public_client_must_show_no_secret(cloud: Cloud) -> None:
    with pytest.raises(Refused, match="does not accept this client"):
        exchanged(cloud, consented(cloud), client=Client("cid", "secret"))


def test_a_code_lasts_ten_minutes(cloud: Cloud) -> None:
    cloud.fake.clock = clock = Clock()
    code = consented(cloud)
    clock.now += 601
    with pytest.raises(SignInAgain):
        exchanged(cloud, code)


@pytest.mark.parametrize(
    ("redirect", "taken"),
    [
        ("http://localhost:1", True),
        ("http://localhost:65000/", True),
        ("http://localhost:65000/other", False),
        ("http://127.0.0.1:65000/", False),
        ("http://localhost:65000/?a=b", False),
        ("http://evil.example/", False),
    ],
)
def test_of_the_address_to_come_back_to_only_the_port_is_free(cloud: Cloud, redirect: str, taken: bool) -> None:
    assert (consented(cloud, redirect=redirect) == "400") is not taken


def test_an_account_of_the_other_kind_is_not_let_in_by_its_tenant(cloud: Cloud, business: Cloud) -> None:
    fields = urlencode({"client_id": "cid", "redirect_uri": HOME, "response_type": "code"})
    for running, tenant, refused in (
        (cloud, "organizations", True),
        (cloud, "consumers", False),
        (business, "consumers", True),
        (business, "common", False),
    ):
        address = f"{running.url}/login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize?{fields}"
        try:
            with urllib.request.urlopen(address) as page:
                said = page.status
        except urllib.error.HTTPError as answer:
            with answer:
                said = answer.code
        assert (said == 400) is refused


def test_refresh_tokens_rotate_and_the_one_before_lingers(cloud: Cloud) -> None:
    cloud.fake.clock = clock = Clock()
    store = MemoryTokens(exchanged(cloud, consented(cloud)))
    first = store.tokens.refresh
    access = Access(SIGN_IN, PUBLIC, store, Endpoints(cloud.url), clock=clock)
    clock.now += 4000
    assert access.token() == store.tokens.access
    assert store.tokens.refresh != first
    store.tokens = Tokens("", first, 0, ())  # as if the machine had stopped before the new one was stored
    assert access.token()
    clock.now += 91 * 24 * 3600
    with pytest.raises(SignInAgain):
        access.token()


def test_without_offline_access_there_is_no_lasting_sign_in(cloud: Cloud) -> None:
    with pytest.raises(Refused, match="an hour only"):
        exchanged(cloud, consented(cloud, scopes=("Files.ReadWrite.AppFolder",)))


def test_a_code_typed_on_another_device_signs_in(cloud: Cloud) -> None:
    cloud.fake.clock = clock = Clock()
    endpoints = Endpoints(cloud.url)
    code = begin_device(SIGN_IN, PUBLIC, endpoints, clock=clock)
    assert (code.interval_s, code.expires_at) == (5, clock.now + 900)
    assert poll_device(SIGN_IN, PUBLIC, code, endpoints) is None
    cloud.fake.consent.decide_device(code.user_code)
    clock.now += 5
    tokens = poll_device(SIGN_IN, PUBLIC, code, endpoints, clock=clock)
    assert tokens is not None
    assert "Files.ReadWrite.AppFolder" in tokens.scopes
    declined = begin_device(SIGN_IN, PUBLIC, endpoints, clock=clock)
    cloud.fake.consent.decide_device(declined.user_code, allow=False)
    with pytest.raises(Refused, match="Consent was not given"):
        poll_device(SIGN_IN, PUBLIC, declined, endpoints)
    late = begin_device(SIGN_IN, PUBLIC, endpoints, clock=clock)
    clock.now += 901
    with pytest.raises(Refused, match="too old"):
        poll_device(SIGN_IN, PUBLIC, late, endpoints)


def test_refusals_have_microsofts_numbers(cloud: Cloud) -> None:
    address = f"{cloud.url}/login.microsoftonline.com/common/oauth2/v2.0/token"
    form = urlencode({"client_id": "cid", "grant_type": "refresh_token", "refresh_token": "nothing"}).encode()
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(address, form)
    with raised.value as answer:
        body = json.loads(answer.read())
    assert (body["error"], body["error_codes"]) == ("invalid_grant", [70000])
    assert body["error_description"].startswith("AADSTS70000:")


def test_there_is_nothing_to_revoke_with_and_the_person_is_told_what_to_do(cloud: Cloud) -> None:
    assert revoke(SIGN_IN, cloud.tokens(), Endpoints(cloud.url)) is False
    assert "https://account.live.com/consent/Manage" in SIGN_IN.revocable_note


def test_whose_account_it_is_does_not_hang_on_how_the_drive_is_written(cloud: Cloud) -> None:
    cloud.fake.drive_id_case = "mixed"
    assert ONEDRIVE.account is not None
    seen = {ONEDRIVE.account(means(cloud, SIGN_IN)) for _ in range(3)}
    assert [(one.name, one.email) for one in seen] == [("Alice", "alice@outlook.example")]
    assert next(iter(seen)).id != ONEDRIVE.account(means(cloud, SIGN_IN, user="bob")).id


def test_how_full_it_is(cloud: Cloud) -> None:
    cloud.fake.write("Documents/a", b"12345")
    assert ONEDRIVE.space is not None
    assert ONEDRIVE.space({}, means(cloud, SIGN_IN)) == Space(5, 5 * 2**30)


def test_where_the_app_folder_is_refused_the_error_says_what_to_do_and_that_helps(
    cloud: Cloud, opening: Opening
) -> None:
    cloud.fake.approot_regression = True
    assert ONEDRIVE.account is not None
    whose = ONEDRIVE.account(means(cloud, SIGN_IN))
    with pytest.raises(Refused) as raised:
        opening(cloud)
    assert "wider permission" in raised.value.hint
    cloud.fake.write("Documents/private", b"x")
    issued = cloud.fake.issue(scopes=SIGN_IN.wider)
    wider = MemoryTokens(Tokens(issued.access, issued.refresh, issued.expires_at, issued.scopes))
    storage = opening(cloud, store=wider)
    storage.put("a", b"x")
    assert [one.name for one in storage.listing()] == ["a"]
    assert "Apps/Chatkeep/Chatkeep/a" in cloud.fake.files()
    assert ONEDRIVE.account(means(cloud, SIGN_IN, store=wider)) == whose
    assert [one.name for one in opening(cloud, new=False).listing()] == ["a"]  # and now the small one will do


def test_the_wider_permission_is_used_for_our_folder_alone(cloud: Cloud, opening: Opening) -> None:
    issued = cloud.fake.issue(scopes=SIGN_IN.wider)
    wider = MemoryTokens(Tokens(issued.access, issued.refresh, issued.expires_at, issued.scopes))
    storage = opening(cloud, store=wider)
    storage.put("a/b", b"x")
    storage.listing()
    storage.move("a/b", "c")
    storage.delete("c")
    storage.changes(getattr(storage.changes(""), "cursor", ""))
    root = cloud.fake.drive()
    ours = root.at(root.root, ["Apps", "Chatkeep"])
    for entry in cloud.journal.entries:
        if "/items/" in entry.path:
            item = entry.path.partition("/items/")[2].partition("/")[0].partition(":")[0].replace("%21", "!")
            assert root.within(root.items[item], ours), entry.line
        else:
            assert entry.path.endswith(("/special/approot", "/$batch", "/me")), entry.line


def test_opening_costs_nothing_once_the_folder_is_known(cloud: Cloud, opening: Opening) -> None:
    notes = MemoryNotes()
    opening(cloud, notes=notes).put("a", b"x")
    with cloud.journal.counted() as lines:
        again = opening(cloud, notes=notes, new=False)
    assert lines == []
    assert again.get("a") == b"x"
    notes.put("root", b"what nobody understands")
    assert opening(cloud, notes=notes, new=False).get("a") == b"x"


def test_the_folder_is_found_by_its_id_after_it_was_moved(cloud: Cloud, opening: Opening) -> None:
    notes = MemoryNotes()
    opening(cloud, notes=notes).put("a", b"x")
    cloud.fake.rename("Apps/Chatkeep", "Apps/My chats")
    assert opening(cloud, notes=notes, new=False).get("a") == b"x"


def test_two_folders_of_one_account_are_two_places(cloud: Cloud, opening: Opening) -> None:
    one, other = opening(cloud, folder="Chatkeep"), opening(cloud, folder="Family/Chatkeep")
    one.put("a", b"1")
    other.put("a", b"2")
    assert (one.get("a"), other.get("a")) == (b"1", b"2")
    assert set(cloud.fake.files()) == {"Apps/Chatkeep/Chatkeep/a", "Apps/Chatkeep/Family/Chatkeep/a"}
    with pytest.raises(Refused):
        opening(cloud, folder="../Documents")
    cloud.fake.write("Apps/Chatkeep/file", b"x")
    with pytest.raises(Refused, match="a file and no folder"):
        opening(cloud, folder="file")
