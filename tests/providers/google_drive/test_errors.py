from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.providers.google_drive.conftest import Device

from chatkeep.errors import ChatkeepError, Damaged, NotFound, QuotaFull, Refused, SignInAgain, SlowDown, Unavailable
from chatkeep.providers import open_storage, provider
from chatkeep.providers.google_drive import SIGN_IN, GoogleDrive
from chatkeep.providers.http import Gate
from chatkeep.providers.provider import Account, Space
from chatkeep.storage import Retrying
from fakes.given import Cloud, MemoryTokens, means

UPLOAD = "POST .*/upload/"


def said(reason: str) -> bytes:
    return json.dumps({"error": {"code": 0, "message": "of no use", "errors": [{"reason": reason}]}}).encode()


@pytest.mark.parametrize(
    ("status", "why", "expected"),
    [
        (400, "badRequest", Refused),
        (401, "authError", SignInAgain),
        (403, "userRateLimitExceeded", SlowDown),
        (403, "rateLimitExceeded", SlowDown),
        (403, "dailyLimitExceeded", SlowDown),
        (403, "quotaExceeded", SlowDown),
        (403, "storageQuotaExceeded", QuotaFull),
        (403, "numChildrenInNonRootLimitExceeded", QuotaFull),
        (403, "activeItemCreationLimitExceeded", QuotaFull),
        (403, "teamDriveFileLimitExceeded", QuotaFull),
        (403, "insufficientFilePermissions", Refused),
        (403, "appNotAuthorizedToFile", Refused),
        (403, "insufficientPermissions", Refused),
        (403, "accessNotConfigured", Refused),
        (403, "domainPolicy", Refused),
        (403, "of a kind that is not known", Refused),
        (408, "", Unavailable),
        (429, "rateLimitExceeded", SlowDown),
        (500, "backendError", Unavailable),
        (502, "", Unavailable),
        (503, "transientError", Unavailable),
    ],
)
def test_each_refusal_is_told_as_what_it_is(
    google_fake: Cloud, storage: GoogleDrive, status: int, why: str, expected: type[ChatkeepError]
) -> None:
    google_fake.faults.fail(UPLOAD, status, headers={"Content-Type": "application/json"}, body=said(why), times=2)
    with pytest.raises(expected) as raised:
        storage.put("a", b"x")
    assert type(raised.value) is expected
    assert "of no use" not in str(raised.value)


def test_an_error_page_is_no_reason(google_fake: Cloud, storage: GoogleDrive) -> None:
    google_fake.faults.fail(UPLOAD, 403, headers={"Content-Type": "text/html"}, body=b"<html>")
    with pytest.raises(Refused, match="403"):
        storage.put("a", b"x")
    google_fake.faults.fail("GET", 200, headers={"Content-Type": "text/html"}, body=b"<html>Welcome to the hotel")
    with pytest.raises(Unavailable):
        storage.listing()


@pytest.mark.parametrize(("headers", "least", "most"), [({"Retry-After": "17"}, 17, 17), ({}, 1, 2)])
def test_one_request_to_slow_down_holds_every_thread(
    google_fake: Cloud, device: Device, headers: dict[str, str], least: float, most: float
) -> None:
    slept: list[float] = []
    moment = [0.0]
    gate = Gate(clock=lambda: moment[0], sleep=lambda s: (slept.append(s), moment.__setitem__(0, moment[0] + s))[0])
    given = means(google_fake, SIGN_IN, gate=gate)
    storage = GoogleDrive(given, new=True)
    device.opened.append(storage)
    google_fake.faults.fail(UPLOAD, 403, headers=headers, body=said("userRateLimitExceeded"))
    with pytest.raises(SlowDown):
        storage.put("a", b"x")
    storage.listing()
    assert len(slept) == 1
    assert least <= slept[0] <= most


def test_without_a_word_on_how_long_pauses_double_until_it_goes_well(google_fake: Cloud, storage: GoogleDrive) -> None:
    calls = storage._calls
    google_fake.faults.fail(UPLOAD, 403, body=said("rateLimitExceeded"), times=7)
    pauses = []
    calls._gate.close_for = lambda seconds: pauses.append(seconds) or seconds  # type: ignore[method-assign,func-returns-value]
    for _ in range(7):
        with pytest.raises(SlowDown):
            storage.put("a", b"x")
    assert [int(pause) for pause in pauses] == [1, 2, 4, 8, 16, 16, 16]
    storage.put("a", b"x")
    assert calls._slowed == 0


def test_a_daily_limit_is_waited_for_by_the_job_and_not_by_a_thread(google_fake: Cloud, storage: GoogleDrive) -> None:
    google_fake.faults.fail(UPLOAD, 403, body=said("dailyLimitExceeded"))
    with pytest.raises(SlowDown) as raised:
        storage.put("a", b"x")
    assert raised.value.wait_s == 3600
    with pytest.raises(SlowDown):
        storage.listing()


def test_units_run_out_and_come_back(google_fake: Cloud, storage: GoogleDrive) -> None:
    now = 5e9
    google_fake.fake.clock = lambda: now
    google_fake.fake.units_per_minute = 120
    google_fake.fake.consent.expire_access()
    storage.put("a", b"x")
    storage.put("a", b"y")
    with pytest.raises(SlowDown):
        storage.put("a", b"z")
    now += 61
    storage.put("a", b"z")


def test_a_stale_token_is_renewed_once_and_then_it_is_time_to_sign_in(google_fake: Cloud, storage: GoogleDrive) -> None:
    storage.put("a", b"x")
    google_fake.fake.consent.expire_access()
    assert storage.get("a") == b"x"
    assert google_fake.fake.consent.refreshes == 1
    google_fake.fake.consent.revoke_all()
    for call in (lambda: storage.get("a"), lambda: storage.put("a", b"y"), storage.listing):
        with pytest.raises(SignInAgain) as raised:
            call()
        assert raised.value.hint
    assert google_fake.fake.consent.refreshes == 2


def test_a_client_in_testing_must_sign_in_every_seven_days(google_fake: Cloud, device: Device) -> None:
    now = 1_700_000_000.0
    google_fake.fake.clock = lambda: now
    google_fake.fake.testing = True
    storage = device.open()
    now += 6.9 * 86400
    assert storage.listing() == []
    now += 0.2 * 86400
    with pytest.raises(SignInAgain):
        storage.listing()


def test_a_download_that_was_changed_on_its_way_is_never_given(google_fake: Cloud, storage: GoogleDrive) -> None:
    storage.put("a", b"x" * 1000)
    google_fake.faults.corrupt("GET .*alt=media", at=3)
    assert storage.get("a") == b"x" * 1000
    google_fake.faults.corrupt("GET .*alt=media", at=3, times=100)
    with pytest.raises(Damaged):
        storage.get("a")


def test_a_download_that_breaks_off_is_unavailable(google_fake: Cloud, storage: GoogleDrive) -> None:
    storage.put("a", b"x" * 1000)
    google_fake.faults.shorten("GET .*alt=media", to=500, times=2)
    with pytest.raises(Unavailable):
        storage.get("a")
    with pytest.raises(Unavailable):
        storage.get("a", start=0, length=1000)
    assert storage.get("a", start=999) == b"x"


def test_sealed_bytes_that_look_like_malware_are_asked_for_by_their_owner(
    google_fake: Cloud, storage: GoogleDrive
) -> None:
    storage.put("a", b"x")
    abusive = said("cannotDownloadAbusiveFile")
    google_fake.faults.fail("alt=media$", 403, body=abusive)
    assert storage.get("a") == b"x"
    assert google_fake.journal.count("acknowledgeAbuse=true") == 1
    google_fake.faults.fail("alt=media", 403, body=abusive, times=2)
    with pytest.raises(Refused, match="malware"):
        storage.get("a")


def test_a_page_of_a_list_that_fails_fails_the_whole_list(google_fake: Cloud, devices: Callable[..., Device]) -> None:
    devices().open().put_many({f"a/{i}": b"x" for i in range(20)})
    google_fake.fake.page_cap = 5
    google_fake.faults.fail("GET .*/files.*pageToken", 500, nth=2)
    with pytest.raises(Unavailable):
        devices().open(new=False)
    first = json.dumps({"incompleteSearch": True, "files": []}).encode()
    google_fake.faults.fail("GET .*/files", 200, headers={"Content-Type": "application/json"}, body=first)
    with pytest.raises(Unavailable, match="could not list"):
        devices().open(new=False)
    assert len(devices().open(new=False).listing()) == 20


def test_a_call_of_a_batch_that_fails_fails_the_batch(google_fake: Cloud, storage: GoogleDrive) -> None:
    storage.put_many({f"a/{i}": b"x" for i in range(5)})
    drive = google_fake.fake.users["alice"]
    delete = drive.delete
    refused: list[str] = []

    def failing(file: object) -> None:
        if getattr(file, "name", "") == "3" and not refused:
            from fakes.google_drive import Wrong

            refused.append("3")
            raise Wrong(403, "rateLimitExceeded")
        delete(file)  # type: ignore[arg-type]

    drive.delete = failing
    patient = Retrying(storage, sleep=lambda _: None)
    patient.delete_many([f"a/{i}" for i in range(5)])
    assert refused == ["3"]
    assert storage.listing() == []


def test_whose_account_it_is_and_how_full(google_fake: Cloud, storage: GoogleDrive) -> None:
    kind = provider("google-drive")
    assert kind.account
    assert kind.space
    given = means(google_fake, SIGN_IN, user="bob")
    assert kind.account(given) == Account("1002", "Bob Example", "bob@example.com")
    storage.put("a", b"x" * 1000)
    assert kind.space({}, means(google_fake, SIGN_IN)) == Space(1000, 15 * 1024**3)
    google_fake.fake.users["bob"].limit = None
    assert kind.space({}, given) == Space(0, None)


def test_it_is_opened_by_name_and_the_folder_is_one_short_name(google_fake: Cloud) -> None:
    given = means(google_fake, SIGN_IN)
    open_storage("google-drive", {"folder": "Ana's copies"}, new=True, means=given).close()
    assert google_fake.fake.users["alice"].path("Ana's copies").folder
    for folder in ("a/b", "..", "x" * 101, "a\nb"):
        with pytest.raises(Refused):
            open_storage("google-drive", {"folder": folder}, new=True, means=given)


def test_nothing_secret_is_in_an_error_or_shown(google_fake: Cloud) -> None:
    store = MemoryTokens(google_fake.tokens())
    given = means(google_fake, SIGN_IN, store=store)
    storage = GoogleDrive(given, new=True)
    google_fake.faults.fail(UPLOAD, 400, body=store.tokens.access.encode())
    with pytest.raises(Refused) as raised:
        storage.put("a", b"x")
    shown = repr((storage, given, raised.value, raised.value.__cause__))
    assert store.tokens.access not in shown
    assert store.tokens.refresh not in shown
    with pytest.raises(NotFound):
        storage.get("b")
    storage.close()
