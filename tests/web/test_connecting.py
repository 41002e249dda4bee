"""The way to a connection in pages: asked, away, back, found, finished; and each trouble with one action."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import pytest
from django.test import Client
from django.utils import timezone

from chatkeep.archive import Archive
from chatkeep.connections import opening
from chatkeep.connections.installation import Installation
from chatkeep.connections.models import Connection, Consent
from chatkeep.vault import keys
from chatkeep.web import held
from chatkeep.web.models import new_token
from fakes.given import Cloud

At = Callable[..., None]
HERE = "http://127.0.0.1:8765"
CLIENTS = {"google-drive": ("cid", "csec"), "dropbox": ("cid", ""), "onedrive": ("cid", "")}


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COST_N", 2**10)


@pytest.fixture
def keeper() -> Client:
    """The keeper's browser, at the port where the app listens by itself."""
    client = Client(headers={"host": "127.0.0.1:8765"}, SERVER_PORT="8765", SERVER_NAME="127.0.0.1")
    client.get(f"/sign-in/{new_token()}")
    return client


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> At:
    """Makes a fake cloud the one that this installation knows."""
    usual = held.means

    def known(cloud: Cloud, clients: dict[str, tuple[str, str]] = CLIENTS) -> None:
        cloud.fake.consent.automatic = "allow"

        def here(id: str) -> Installation:
            return replace(usual().installation_of(id), cloud_base=cloud.url, clients=clients, home=tmp_path)

        monkeypatch.setattr(held, "means", lambda: replace(usual(), installation_of=here))

    return known


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def text(answer: object) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode())))  # type: ignore[attr-defined]


def begin(keeper: Client, provider: str = "google-drive", **given: str) -> str:
    """Fill in the first page; the address of the step that follows."""
    asked = keeper.post(f"/connect/to/{provider}/", {"do": "begin", "folder": "Chatkeep", **given})
    assert asked.status_code == 302, text(asked)
    return str(asked.headers["Location"])


def address(keeper: Client, step: str) -> str:
    """Where the button on the second page leads."""
    page = keeper.get(step).content.decode()
    found = re.search(r'class="button main" href="([^"]+)"', page)
    assert found, text(keeper.get(step))
    return html.unescape(found[1])


def visit(place: str) -> str:
    """Where the provider sends a browser that opens this address."""
    with pytest.raises(HTTPError) as answer:
        build_opener(_Stay).open(place)
    answer.value.close()
    return str(answer.value.headers["Location"])


def back(keeper: Client, step: str) -> str:
    """Go to the provider and come back; the address of the step that follows."""
    came = urlsplit(visit(address(keeper, step)))
    answer = keeper.get(f"{came.path}?{came.query}", headers={"host": came.netloc})
    assert answer.status_code == 302
    to = urlsplit(answer.headers["Location"])
    if to.netloc:  # the provider knows this machine under another name
        assert f"{to.scheme}://{to.netloc}" == HERE
        answer = keeper.get(f"{to.path}?{to.query}")
    return str(answer.headers["Location"])


def connect(keeper: Client, provider: str = "google-drive", **given: str) -> Connection:
    step = back(keeper, begin(keeper, provider, **given))
    made = keeper.post(f"{step}do", {"do": "finish", "passphrase": "open sesame"})
    assert "is connected" in text(made)
    return opening.connection(given.get("name", ""))


def test_places_are_offered_and_each_says_what_it_asks_for_and_why(keeper: Client, google_fake: Cloud, at: At) -> None:
    at(google_fake)
    choose = text(keeper.get("/connect/"))
    for title in ("Google Drive", "Dropbox", "OneDrive", "A folder"):
        assert title in choose
    for provider, asked in (("google-drive", "drive.file"), ("dropbox", "Apps/"), ("onedrive", "AppFolder")):
        page = text(keeper.get(f"/connect/to/{provider}/"))
        assert asked in page
        assert "and why" in page
        assert "Your password stays between you" in page
    assert keeper.get("/connect/to/floppy/").status_code == 404
    assert not Consent.objects.exists()


def test_google_from_the_first_page_to_the_recovery_key(keeper: Client, google_fake: Cloud, at: At) -> None:
    at(google_fake)
    step = begin(keeper, name="drive")
    page = text(keeper.get(step))
    assert "Continue to Google Drive" in page
    assert dict(parse_qsl(urlsplit(address(keeper, step)).query))["redirect_uri"] == f"{HERE}/connect/return"
    found = back(keeper, step)
    assert found == step
    page = text(keeper.get(found))
    for words in ("Signed in as alice@", "Written", "Read back", "Deleted again", "Free space there", "recovery key"):
        assert words in page
    made = keeper.post(f"{step}do", {"do": "finish", "passphrase": ""})
    assert "drive is connected" in text(made)
    assert "Your recovery key" in text(made)
    place = text(keeper.get("/backups/drive/"))
    for words in ("Google Drive", "alice@", "Folder there Chatkeep", "free of", "It renews itself.", "Back up now"):
        assert words in place
    assert keeper.get(step).status_code == 404


@pytest.mark.parametrize(
    ("provider", "fake", "redirect"),
    [
        ("dropbox", "dropbox_fake", "http://localhost:8765/connect/return"),
        ("onedrive", "microsoft_fake", "http://localhost:8765/connect/return"),
    ],
)
def test_a_provider_that_knows_another_name_of_this_machine_comes_back_too(
    keeper: Client, request: pytest.FixtureRequest, at: At, provider: str, fake: str, redirect: str
) -> None:
    at(request.getfixturevalue(fake))
    step = begin(keeper, provider)
    assert dict(parse_qsl(urlsplit(address(keeper, step)).query))["redirect_uri"] == redirect
    assert connect(keeper, provider).account.startswith("alice@")


def test_the_answer_counts_only_in_the_browser_that_asked(keeper: Client, google_fake: Cloud, at: At) -> None:
    at(google_fake)
    step = begin(keeper)
    came = urlsplit(visit(address(keeper, step)))
    stranger = Client(headers={"host": "127.0.0.1:8765"})
    turned = stranger.get(f"{came.path}?{came.query}")
    assert (turned.status_code, turned.headers["Location"]) == (302, "/sign-in/")
    other = Client(headers={"host": "127.0.0.1:8765"})
    other.get(f"/sign-in/{new_token()}")
    assert other.session["_auth_user_id"]
    refused = other.get(f"{came.path}?{came.query}")
    assert refused.status_code == 400
    assert "belongs to no sign-in" in text(refused)
    assert other.get(step).status_code == 404
    assert keeper.get(f"{came.path}?{came.query}").status_code == 302
    assert "Signed in as" in text(keeper.get(step))
    again = keeper.get(f"{came.path}?{came.query}")
    assert again.status_code == 400
    assert "used already" in text(again)


def test_the_return_leads_nowhere_but_to_where_it_began(keeper: Client, google_fake: Cloud, at: At) -> None:
    at(google_fake)
    for query in ("", "state=x&code=y", "state=//evil.example&code=y", "error=access_denied"):
        answer = keeper.get(f"/connect/return?{query}", headers={"host": "localhost:8765"})
        assert "evil" not in answer.headers.get("Location", "")
        assert answer.status_code in (302, 400)
        if answer.status_code == 302:
            assert answer.headers["Location"] == "/sign-in/"


def trouble(keeper: Client, step: str) -> tuple[str, str]:
    """The words of a step that did not go on, and what its one button does."""
    page = keeper.get(step)
    found = re.findall(
        r'<button class="main" name="do" value="(\w+)"|<a class="button main" href="([^"]+)"', page.content.decode()
    )
    assert len(found) == 1
    return text(page), found[0][0] or found[0][1]


def test_a_no_is_told_and_can_be_asked_again(keeper: Client, google_fake: Cloud, at: At) -> None:
    at(google_fake)
    google_fake.fake.consent.automatic = "deny"
    step = back(keeper, begin(keeper))
    words, do = trouble(keeper, step)
    assert "You did not allow access at Google Drive." in words
    assert do == "again"
    google_fake.fake.consent.automatic = "allow"
    assert keeper.post(f"{step}do", {"do": do}).headers["Location"] == step
    back(keeper, step)
    assert "Signed in as" in text(keeper.get(step))


def test_an_unticked_box_is_told(keeper: Client, google_fake: Cloud, at: At) -> None:
    at(google_fake)
    google_fake.fake.consent.granted = lambda scopes: ("openid",)
    words, do = trouble(keeper, back(keeper, begin(keeper)))
    assert "A permission that backups need was left out" in words
    assert do == "again"


def test_a_provider_that_is_down_can_be_tried_again_without_asking_the_person(
    keeper: Client, google_fake: Cloud, at: At
) -> None:
    at(google_fake)
    step = begin(keeper)
    google_fake.faults.fail("/drive/v3/about", 503, times=99)
    _, do = trouble(keeper, back(keeper, step))
    assert do == "same"
    google_fake.faults.clear()
    keeper.post(f"{step}do", {"do": do})
    assert "Signed in as" in text(keeper.get(step))


def test_an_app_that_the_provider_does_not_know_is_told(keeper: Client, google_fake: Cloud, at: At) -> None:
    at(google_fake)
    step = begin(keeper, client_id="cid", client_secret="wrong")
    words, do = trouble(keeper, back(keeper, step))
    assert "does not know this app, or its secret" in words
    assert do == "/connect/to/google-drive/"


def test_the_wrong_account_is_refused_on_reconnecting(keeper: Client, google_fake: Cloud, at: At) -> None:
    at(google_fake)
    connect(keeper, name="drive")
    before = Connection.objects.values().get()
    google_fake.fake.consent.user = "bob"
    step = str(keeper.post("/backups/drive/reconnect").headers["Location"])
    assert "Sign in as alice@" in text(keeper.get(step))
    words, do = trouble(keeper, back(keeper, step))
    assert "You chose another account than before: bob@" in words
    assert do == "again"
    assert Connection.objects.values().get() == before
    google_fake.fake.consent.user = "alice"
    keeper.post(f"{step}do", {"do": do})
    assert back(keeper, step) == "/backups/drive/"


def test_a_sign_in_that_has_ended_is_shown_on_home_and_place_and_given_anew(
    keeper: Client, example_archive: Archive, google_fake: Cloud, at: At, work: Callable[[], None]
) -> None:
    at(google_fake)
    connect(keeper, name="drive")
    google_fake.fake.consent.revoke_all()
    keeper.post("/backups/drive/do", {"do": "backup"})
    work()
    home = keeper.get("/")
    assert text(home).count("drive is signed out") == 1
    assert 'action="/backups/drive/reconnect"' in home.content.decode()
    for page in ("/backups/", "/backups/drive/"):
        assert "Signed out. Google Drive no longer accepts the sign-in." in text(keeper.get(page))
    step = str(keeper.post("/backups/drive/reconnect").headers["Location"])
    assert back(keeper, step) == "/backups/drive/"
    assert "Signed out" not in text(keeper.get("/backups/drive/"))
    assert "signed out" not in text(keeper.get("/"))


def test_an_end_that_is_near_is_said_before_it_comes(
    keeper: Client, example_archive: Archive, google_fake: Cloud, at: At
) -> None:
    at(google_fake, {})
    connect(keeper, name="drive", client_id="cid", client_secret="csec")
    assert "may end on" in text(keeper.get("/backups/drive/"))
    assert "will need you" not in text(keeper.get("/"))
    Connection.objects.update(ends_at=timezone.now() + timedelta(hours=71))
    for page in ("/", "/backups/", "/backups/drive/"):
        assert "will need you" in text(keeper.get(page)), page
        assert 'while the project of your app is in "Testing"' in text(keeper.get(page)), page
    Connection.objects.update(ends_at=timezone.now() + timedelta(hours=47))  # a notice tells it too from here on
    assert text(keeper.get("/")).count('while the project of your app is in "Testing"') == 1


def test_an_own_app_is_tried_before_anybody_signs_in(keeper: Client, google_fake: Cloud, at: At) -> None:
    at(google_fake, {})
    page = keeper.get("/connect/to/google-drive/")
    assert "brings none along" in text(page)
    assert "Desktop app" in text(page)
    given = {"do": "try", "folder": "Chatkeep", "client_id": "cid", "client_secret": "csec"}
    assert "knows this app" in text(keeper.post("/connect/to/google-drive/", given))
    wrong = keeper.post("/connect/to/google-drive/", given | {"client_secret": "hush-hush"})
    assert wrong.status_code == 400
    assert "does not accept this client" in text(wrong)
    assert "hush-hush" not in wrong.content.decode()
    assert "nothing to try" in text(keeper.post("/connect/to/google-drive/", given | {"client_id": ""}))
    assert "which app asks" in text(keeper.post("/connect/to/google-drive/", {"do": "begin", "folder": "x"}))
    assert not Consent.objects.exists()


def test_an_address_that_is_not_registered_is_found_before_anybody_signs_in(
    keeper: Client, dropbox_fake: Cloud, at: At
) -> None:
    at(dropbox_fake, {})
    dropbox_fake.fake.consent.policy.redirect = lambda address: False
    tried = keeper.post("/connect/to/dropbox/", {"do": "try", "folder": "x", "client_id": "cid"})
    assert "Register exactly this address: http://localhost:8765/connect/return" in text(tried)


def test_where_no_address_could_be_registered_a_code_is_pasted(keeper: Client, dropbox_fake: Cloud, at: At) -> None:
    at(dropbox_fake)
    given = {"do": "begin", "folder": "Chatkeep"}
    asked = keeper.post("/connect/to/dropbox/", given, headers={"host": "127.0.0.1:9999"})
    step = asked.headers["Location"]
    page = keeper.get(step)
    assert "Then it shows a code" in text(page)
    shown = build_opener().open(address(keeper, step)).read().decode()
    code = re.search(r'id="code">([^<]+)<', shown)
    assert code
    keeper.post(f"{step}do", {"do": "paste", "answer": code[1]})
    assert "Signed in as" in text(keeper.get(step))


def test_another_device_can_be_used(keeper: Client, google_fake: Cloud, at: At) -> None:
    at(google_fake)
    step = begin(keeper)
    keeper.post(f"{step}do", {"do": "device"})
    page = text(keeper.get(step))
    code = re.search(r"type this code: (\S+)", page)
    assert code
    keeper.post(f"{step}do", {"do": "poll"})
    assert "type this code" in text(keeper.get(step))
    google_fake.fake.consent.decide_device(code[1])
    google_fake.fake.consent.clock = lambda: time.time() + 20
    keeper.post(f"{step}do", {"do": "poll"})
    assert "Signed in as" in text(keeper.get(step))


def test_a_sign_in_can_be_left_and_its_access_ends(keeper: Client, google_fake: Cloud, at: At) -> None:
    at(google_fake)
    step = back(keeper, begin(keeper))
    assert google_fake.fake.consent.live_grants()
    assert keeper.post(f"{step}do", {"do": "leave"}).headers["Location"] == "/backups/"
    assert google_fake.fake.consent.live_grants() == []
    assert not Consent.objects.exists()


def test_a_wrong_passphrase_for_a_backup_that_is_there_can_be_corrected(
    keeper: Client, google_fake: Cloud, at: At
) -> None:
    at(google_fake)
    connect(keeper, name="drive")
    keeper.post("/backups/drive/do", {"do": "disconnect"})
    step = back(keeper, begin(keeper))
    assert "There is a backup already" in text(keeper.get(step))
    wrong = keeper.post(f"{step}do", {"do": "finish", "passphrase": "wrong"})
    assert "No key" in text(wrong) or "does not open" in text(wrong)
    assert "Join the backup" in text(wrong)
    assert "is joined" in text(keeper.post(f"{step}do", {"do": "finish", "passphrase": "open sesame"}))


def test_no_page_sends_forms_elsewhere_or_holds_the_proof(keeper: Client, google_fake: Cloud, at: At) -> None:
    at(google_fake)
    step = begin(keeper)
    page = keeper.get(step)
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    pages = [page.content]
    found = back(keeper, step)
    pages.append(keeper.get(found).content)
    pages.append(keeper.post(f"{found}do", {"do": "finish", "passphrase": "open sesame"}).content)
    pages += [keeper.get(address).content for address in ("/", "/backups/", "/backups/google-drive/", "/connect/")]
    consent = google_fake.fake.consent
    secrets = [*consent._access, *consent._refresh, *consent._codes, "csec", "open sesame"]
    assert len(secrets) > 4
    assert [secret for secret in secrets for content in pages if secret.encode() in content] == []
