"""The way to a provider's page and back: each answer counts once, and what goes wrong has its own words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import pytest
from django.utils import timezone

from chatkeep.connections import connecting, consenting, looking, opening
from chatkeep.connections.connecting import Connected
from chatkeep.connections.installation import Installation
from chatkeep.connections.keeping import KeptTokens
from chatkeep.connections.models import Connection, Consent, Note
from chatkeep.connections.trouble import WORDS
from chatkeep.errors import NotFound, SignInAgain, Unavailable, WrongUse
from chatkeep.providers import NoConsent
from connections.attic import NAME, attic
from fakes.given import Cloud

pytestmark = pytest.mark.django_db

BACK = "http://127.0.0.1:8765/connect/return"


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with attic() as opened:
        opened.fake.consent.automatic = "allow"
        yield opened


@pytest.fixture
def here(installation: Installation, cloud: Cloud) -> Installation:
    return replace(installation, clients={NAME: ("cid", "csec")}, cloud_base=cloud.url)


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def visit(row: Consent, here: Installation) -> dict[str, str]:
    """What the provider sends the browser back with."""
    with pytest.raises(HTTPError) as answer:
        build_opener(_Stay).open(consenting.address_of(row, here))
    answer.value.close()
    sent = answer.value.headers["Location"]
    assert sent.startswith(row.redirect)
    return dict(parse_qsl(urlsplit(sent).query))


def asked(here: Installation, **more: object) -> Consent:
    given = {"redirect": BACK, "location": {"folder": "Chatkeep"}} | more
    return consenting.begin(NAME, installation=here, **given)  # type: ignore[arg-type]


def consented(here: Installation, **more: object) -> Consent:
    row = asked(here, **more)
    return consenting.come_back(visit(row, here), here, browser=row.browser)


def connected(here: Installation, **more: object) -> Connected:
    row = consented(here, **more)
    looking.look(row, here)
    return connecting.connect_consented(row, installation=here, passphrase="open sesame")


def test_consent_becomes_a_connection_with_account_quota_and_vault(here: Installation, cloud: Cloud) -> None:
    row = consented(here, name="drive")
    assert not bytes(row.asked) or b"verifier" not in bytes(row.asked)
    found = looking.look(row, here)
    assert (found.steps, found.joined) == (["account", "write", "read", "delete"], False)
    made = connecting.connect_consented(row, installation=here)
    assert (made.name, made.provider, made.account, made.joined) == ("drive", NAME, "alice@example.com", False)
    assert made.quota
    assert (made.quota.used, made.quota.total, made.quota.free) == (100, 1000, 900)
    kept = opening.connection("drive")
    assert (kept.account_id, kept.scopes, kept.uid) == ("p1", ["keep", "see"], row.uid)
    assert kept.location == {"folder": "Chatkeep", "client_id": "cid"}
    assert not Consent.objects.exists()
    with opening.opened(kept, here) as place:
        assert place.vault.id == made.vault


def test_an_address_asks_for_the_least_with_a_proof_that_stays_here(here: Installation) -> None:
    first, second = asked(here), asked(here)
    fields = dict(parse_qsl(urlsplit(consenting.address_of(first, here)).query))
    assert (fields["scope"], fields["code_challenge_method"], fields["redirect_uri"]) == ("keep see", "S256", BACK)
    assert fields["client_id"] == "cid"
    assert "csec" not in str(fields)
    assert fields["state"] != dict(parse_qsl(urlsplit(consenting.address_of(second, here)).query))["state"]
    assert fields["state"] not in str(vars(first))


def test_an_answer_counts_once(here: Installation) -> None:
    row = asked(here)
    answer = visit(row, here)
    consenting.come_back(answer, here, browser="")
    with pytest.raises(NoConsent, match="no sign-in that is under way") as error:
        consenting.come_back(answer, here, browser="")
    assert error.value.why == "unknown"


@pytest.mark.django_db(transaction=True)
def test_of_two_answers_at_the_same_moment_one_counts(here: Installation, cloud: Cloud) -> None:
    from django.db import connection

    row = asked(here)
    answer, barrier, ended = visit(row, here), threading.Barrier(4), []

    def come() -> None:
        barrier.wait()
        try:
            ended.append(consenting.come_back(answer, here, browser="").uid)
        except NoConsent as error:
            ended.append(error.why)
        finally:
            connection.close()

    threads = [threading.Thread(target=come) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == sorted([row.uid, "unknown", "unknown", "unknown"])
    assert len(cloud.fake.consent.live_grants()) == 1


@pytest.mark.parametrize("state", ["", "x", "made-up-state-that-nobody-asked-with"])
def test_an_answer_that_nobody_asked_for_is_refused(here: Installation, state: str) -> None:
    row = asked(here)
    answer = visit(row, here)
    with pytest.raises(NoConsent) as error:
        consenting.come_back({**answer, "state": state}, here, browser="")
    assert error.value.why == "unknown"
    row.refresh_from_db()
    assert not bytes(row.tokens)
    assert consenting.come_back(answer, here, browser="").uid == row.uid  # the real one still counts


def test_another_browser_cannot_use_the_answer(here: Installation) -> None:
    row = asked(here, browser="mine")
    answer = visit(row, here)
    with pytest.raises(NoConsent):
        consenting.come_back(answer, here, browser="theirs")
    with pytest.raises(NotFound):
        consenting.find(row.uid, browser="theirs")
    assert consenting.come_back(answer, here, browser="mine").uid == row.uid


def test_an_answer_of_one_question_does_not_serve_another(here: Installation, cloud: Cloud) -> None:
    mine, other = asked(here), asked(here)
    code = visit(other, here)["code"]
    with pytest.raises(NoConsent) as error:
        consenting.come_back({"state": visit(mine, here)["state"], "code": code}, here, browser="")
    assert error.value.why == "code"  # the proof of the one does not fit the other


def why(here: Installation, row: Consent, answer: dict[str, str]) -> str:
    """Why it did not go on: as raised, and as the row has it in the same words."""
    with pytest.raises(NoConsent) as error:
        consenting.come_back(answer, here, browser="")
    row.refresh_from_db()
    assert (row.trouble, row.told, row.hint) == (error.value.why, error.value.what, error.value.hint)
    assert "Attic" in row.told
    assert row.hint
    assert not bytes(row.tokens)
    return error.value.why


def test_who_says_no_is_told_that_nothing_was_changed(here: Installation, cloud: Cloud) -> None:
    cloud.fake.consent.automatic = "deny"
    row = asked(here)
    assert why(here, row, visit(row, here)) == "denied"
    assert "Nothing was changed" in row.hint


def test_an_unticked_box_is_told(here: Installation, cloud: Cloud) -> None:
    cloud.fake.consent.granted = lambda scopes: ("see",)
    row = asked(here)
    assert why(here, row, visit(row, here)) == "scopes"


def test_an_answer_after_ten_minutes_is_too_late(here: Installation) -> None:
    row = asked(here)
    answer = visit(row, here)
    Consent.objects.update(made_at=timezone.now() - consenting.LASTS - timedelta(seconds=1))
    assert why(here, row, answer) == "late"


def test_a_code_that_is_too_old_is_told(here: Installation, cloud: Cloud) -> None:
    row = asked(here)
    answer = visit(row, here)
    cloud.fake.now += 601
    assert why(here, row, answer) == "code"


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("access_denied", "denied"),
        ("invalid_scope", "client"),
        ("unauthorized_client", "client"),
        ("temporarily_unavailable", "unavailable"),
        ("server_error", "unavailable"),
        ("admin_policy_enforced", "blocked"),
        ("<script>", "other"),
    ],
)
def test_what_a_provider_says_in_place_of_a_code_is_told_in_our_words(
    here: Installation, said: str, means: str
) -> None:
    row = asked(here)
    assert why(here, row, {"state": visit(row, here)["state"], "error": said}) == means
    assert said not in row.told


def test_an_answer_in_another_providers_name_is_refused(here: Installation) -> None:
    row = asked(here)
    assert why(here, row, {**visit(row, here), "iss": "https://evil.example"}) == "unknown"
    row = asked(here)
    consenting.come_back({**visit(row, here), "iss": "https://attic.example.com"}, here, browser="")


def test_an_app_with_a_wrong_secret_is_told(here: Installation) -> None:
    row = asked(here, location={"client_id": "other"}, client_secret="wrong")
    assert why(here, row, visit(row, here)) == "client"


def test_a_provider_that_is_down_leaves_the_question_to_be_asked_again(here: Installation, cloud: Cloud) -> None:
    row = asked(here)
    answer = visit(row, here)
    cloud.faults.fail("/token", 503, times=99)
    with pytest.raises(Unavailable):
        consenting.come_back(answer, here, browser="")
    row.refresh_from_db()
    assert row.trouble == "unavailable"
    cloud.faults.clear()
    consenting.ask_again(row, here)
    assert row.trouble == ""
    consenting.come_back(visit(row, here), here, browser="")


def test_every_trouble_says_what_happened_and_one_thing_to_do() -> None:
    for what, hint in WORDS.values():
        assert what.endswith(".")
        assert hint.endswith(".")


def test_without_an_app_nobody_is_asked(installation: Installation, cloud: Cloud) -> None:
    with pytest.raises(WrongUse, match="which app asks"):
        consenting.begin(NAME, installation=installation)
    assert not Consent.objects.exists()


def test_an_own_app_is_used_and_its_secret_is_sealed(here: Installation) -> None:
    row = asked(here, location={"client_id": "other"}, client_secret="osec")
    assert opening.client_of(row, here).secret == "osec"
    assert b"osec" not in bytes(row.secrets)
    assert row.location == {"client_id": "other"}
    looking.look(consenting.come_back(visit(row, here), here, browser=""), here)
    row.refresh_from_db()
    made = connecting.connect_consented(row, installation=here)
    assert opening.client_of(opening.connection(made.name), here) == opening.client_of(row, here)


def test_the_address_a_person_ended_at_can_be_pasted(here: Installation) -> None:
    row = asked(here)
    answer = visit(row, here)
    other = asked(here)
    for wrong in ("", "hello", "a code", BACK, f"{BACK}?code=x&state=other"):
        with pytest.raises(WrongUse):
            consenting.paste(row, wrong, here)
    with pytest.raises(WrongUse, match="another sign-in"):
        consenting.paste(other, f"{BACK}?code={answer['code']}&state={answer['state']}", here)
    consenting.paste(row, f" {BACK}?code={answer['code']}&state={answer['state']}\n", here)
    assert KeptTokens(row, here).load().refresh
    with pytest.raises(WrongUse):
        consenting.paste(row, f"{BACK}?code={answer['code']}&state={answer['state']}", here)


def test_another_device_gives_consent_by_a_code(here: Installation, cloud: Cloud) -> None:
    row = asked(here)
    code = consenting.begin_device(row, here)
    assert not consenting.poll(row, here)
    cloud.fake.consent.decide_device(code.user_code)
    cloud.fake.now += 10
    assert consenting.poll(Consent.objects.get(pk=row.pk), here)
    row.refresh_from_db()
    looking.look(row, here)
    assert row.account == "alice@example.com"


def test_on_another_device_one_can_say_no(here: Installation, cloud: Cloud) -> None:
    row = asked(here)
    code = consenting.begin_device(row, here)
    cloud.fake.consent.decide_device(code.user_code, allow=False)
    with pytest.raises(NoConsent) as error:
        consenting.poll(row, here)
    assert error.value.why == "denied"


def test_an_account_that_needs_more_is_asked_once_more_for_more(here: Installation, cloud: Cloud) -> None:
    cloud.fake.grudging = True
    row = consented(here)
    with pytest.raises(NoConsent) as error:
        looking.look(row, here)
    assert error.value.why == "wider"
    assert "all your files" in error.value.hint
    consenting.ask_again(row, here, wider=True)
    looking.look(consenting.come_back(visit(row, here), here, browser=""), here)


def test_one_place_is_connected_once(here: Installation) -> None:
    connected(here, name="first")
    row = consented(here)
    with pytest.raises(WrongUse, match="'first'"):
        looking.look(row, here)
    other = consented(here, location={"folder": "Another"})
    looking.look(other, here)
    assert connecting.connect_consented(other, installation=here).name == NAME


def test_a_vault_that_is_there_is_joined(here: Installation) -> None:
    made = connected(here)
    connecting.disconnect(opening.connection(), here)
    row = consented(here)
    assert looking.look(row, here).joined
    with pytest.raises(WrongUse, match="passphrase or recovery key"):
        connecting.connect_consented(row, installation=here)
    assert not Connection.objects.exists()
    joined = connecting.connect_consented(row, installation=here, passphrase="open sesame")
    assert (joined.joined, joined.vault) == (True, made.vault)
    with pytest.raises(NotFound):
        connecting.connect_consented(row, installation=here, passphrase="open sesame")


def test_reconnecting_keeps_everything_and_takes_the_new_sign_in(here: Installation, cloud: Cloud) -> None:
    made = connected(here, name="drive")
    before = opening.connection()
    cloud.fake.consent.revoke_all()
    with pytest.raises(SignInAgain), opening.opened(before, here):
        pass
    assert opening.connection().signed_out
    row = consented(here, reconnects=opening.connection())
    looking.look(row, here)
    again = connecting.reconnect(row, installation=here)
    assert (again.name, again.vault, again.account) == ("drive", made.vault, made.account)
    after = opening.connection()
    assert (after.uid, after.signed_out, after.trouble) == (before.uid, False, "")
    with opening.opened(after, here) as place:
        assert place.vault.id == made.vault
    assert not Consent.objects.exists()


def test_the_wrong_account_is_refused_and_nothing_is_changed(here: Installation, cloud: Cloud) -> None:
    connected(here)
    before = Connection.objects.values().get()
    cloud.fake.consent.user = "bob"
    kept = dict(cloud.fake.kept)
    row = consented(here, reconnects=opening.connection())
    with pytest.raises(NoConsent, match=r"bob@example\.com") as error:
        looking.look(row, here)
    assert error.value.why == "account"
    assert "alice@example.com" in error.value.what
    assert Connection.objects.values().get() == before
    assert cloud.fake.kept == kept  # nothing was made in the other account
    assert [grant.user for grant in cloud.fake.consent.live_grants()] == ["alice"]
    with pytest.raises(NoConsent):
        connecting.reconnect(row, installation=here)
    assert Connection.objects.values().get() == before


def test_a_sign_in_that_has_ended_is_asked_for_once_and_not_again(here: Installation, cloud: Cloud) -> None:
    connected(here)
    cloud.fake.consent.revoke_all()
    for _ in range(4):
        with pytest.raises(SignInAgain), opening.opened(opening.connection(), here):
            pass
    assert cloud.fake.consent.refreshes == 1
    tested = looking.test(opening.connection(), here)  # somebody asks for it
    assert not tested.ok
    assert cloud.fake.consent.refreshes == 2


def test_a_run_with_the_old_sign_in_does_not_sign_the_new_one_out(here: Installation, cloud: Cloud) -> None:
    connected(here)
    stale = opening.connection()
    row = consented(here, reconnects=stale)
    looking.look(row, here)
    connecting.reconnect(row, installation=here)
    opening._note_trouble(stale, SignInAgain("too late"))
    assert not opening.connection().signed_out


def test_disconnecting_ends_the_consent_and_says_what_stays(here: Installation, cloud: Cloud) -> None:
    connected(here)
    left = connecting.disconnect(opening.connection(), here)
    assert left.revoked
    assert "told to end the access" in left.what
    assert "folder Chatkeep of alice@example.com until you delete it" in left.what
    assert cloud.fake.consent.live_grants() == []
    assert list(cloud.fake.kept) == [("p1", "Chatkeep")]
    assert not Note.objects.exists()


def test_a_consent_that_another_place_needs_is_not_ended(here: Installation, cloud: Cloud) -> None:
    connected(here, name="a")
    row = consented(here, name="b", location={"folder": "B"})
    looking.look(row, here)
    connecting.connect_consented(row, installation=here)
    left = connecting.disconnect(opening.connection("a"), here)
    assert not left.revoked
    assert "another place here uses it" in left.what
    assert looking.test(opening.connection("b"), here).ok
    assert connecting.disconnect(opening.connection("b"), here).revoked


def test_disconnecting_works_without_the_provider(here: Installation, cloud: Cloud) -> None:
    connected(here)
    cloud.faults.fail("/revoke", 503, times=99)
    left = connecting.disconnect(opening.connection(), here)
    assert not left.revoked
    assert "remove Chatkeep in the settings" in left.what
    assert not Connection.objects.exists()


def test_old_questions_go(here: Installation) -> None:
    asked(here)
    Consent.objects.update(made_at=timezone.now() - consenting.KEPT - timedelta(minutes=1))
    asked(here)
    assert Consent.objects.count() == 1
