from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from chatkeep.errors import (
    ChatkeepError,
    NotFound,
    QuotaFull,
    Refused,
    SignInAgain,
    SlowDown,
    Unavailable,
)
from chatkeep.providers.dropbox import Dropbox, content_hash
from chatkeep.providers.dropbox.api import failed, refusal
from fakes.dropbox import DropboxFake
from fakes.given import Cloud

from .conftest import Time

Opened = Callable[..., Dropbox]
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"a", "bf5d3affb73efd2ec6c36ad3112dd933efed63c4e1cbffcfa88e2759c144f2d8"),
        (b"hello world", "bc62d4b80d9e36da29c16c5d4d9f11731f36052c72401a76c23c0fb5a9b74423"),
        (bytes(range(256)) * 3, "d0f910edaa00c9bb3420483c27c69fb9a503678a0fdcd684119d52432fd88657"),
        (b"a" * 4194305, "5f858b62ccd88447586305aec6fd53c96747cfebf527cbba129a6dfed47d9624"),
        (bytes(8388608), "03ae066c707c588592d9e27aa2444ca98423e0999024f1ceaa11a153790b37de"),
    ],
    ids=["empty", "a", "hello", "768 bytes", "4 MiB and one", "8 MiB of zeros"],
)
def test_the_hash_of_contents_is_the_one_that_dropbox_documents(data: bytes, expected: str) -> None:
    assert content_hash(data) == expected


def _error(*tags: str) -> dict[str, object]:
    *outer, last = tags
    told: dict[str, object] = {".tag": last}
    for tag in reversed(outer):
        told = {".tag": tag, tag: told}
    return told


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_error("path", "not_found"), NotFound),
        (_error("path_lookup", "not_found"), NotFound),
        (_error("path", "insufficient_space"), QuotaFull),
        (_error("to", "insufficient_quota"), QuotaFull),
        (_error("path", "team_folder_insufficient_space"), QuotaFull),
        (_error("path", "conflict", "folder"), Refused),
        (_error("path", "disallowed_name"), Refused),
        (_error("path", "no_write_permission"), Refused),
        (_error("path", "too_many_write_operations"), SlowDown),
        (_error("too_many_write_operations"), SlowDown),
        ({".tag": "path", "reason": _error("conflict", "file"), "upload_session_id": "x"}, Refused),
        (_error("content_hash_mismatch"), Unavailable),
        (_error("other"), Unavailable),
        (_error("a_tag_of_next_year", "another"), Unavailable),
        ("no object", Unavailable),
        (None, Unavailable),
    ],
)
def test_a_refusal_is_known_by_its_tags(error: object, expected: type[ChatkeepError]) -> None:
    assert type(refusal(failed(error).tags, "a")) is expected


def test_the_right_offset_is_found_however_deep_it_stands() -> None:
    told = {".tag": "lookup_failed", "lookup_failed": {".tag": "incorrect_offset", "correct_offset": 7}}
    assert failed(told).correct_offset == 7
    assert failed(_error("closed")).correct_offset == -1


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b'Error in call to API function "files/upload": a secret word', Refused),
        (401, json.dumps({"error": _error("invalid_access_token")}).encode(), SignInAgain),
        (401, json.dumps({"error": _error("user_suspended")}).encode(), Refused),
        (403, b"{}", Refused),
        (422, b"{}", Refused),
        (429, b"a plain text", SlowDown),
        (500, b"<html>oops</html>", Unavailable),
        (502, b"", Unavailable),
        (302, b"", Unavailable),
    ],
)
def test_an_answer_that_is_about_the_account_or_the_service(
    storage: Dropbox, dropbox_fake: Cloud, status: int, body: bytes, expected: type[ChatkeepError]
) -> None:
    for call in (lambda: storage.put("a", b"x"), lambda: storage.get("a"), lambda: storage.listing()):
        dropbox_fake.faults.fail("/2/files/", status, body=body, times=2)
        with pytest.raises(expected) as raised:
            call()
        assert type(raised.value) is expected
        assert "secret" not in str(raised.value) + raised.value.hint
        dropbox_fake.faults.clear()


@pytest.mark.parametrize(
    ("headers", "body", "wait_s"),
    [
        ({"Retry-After": "7"}, b"", 7),
        ({}, b'{"error": {"reason": {".tag": "too_many_requests"}, "retry_after": 9}}', 9),
        ({"Retry-After": "soon"}, b"please", 5),
        ({"Retry-After": "1e9"}, b"", 3600),
        ({}, b'{"error": {"retry_after": "many"}}', 5),
    ],
)
def test_a_pause_is_as_long_as_dropbox_says_within_reason(
    storage: Dropbox, dropbox_fake: Cloud, headers: dict[str, str], body: bytes, wait_s: float
) -> None:
    dropbox_fake.faults.fail("get_metadata", 429, headers=headers, body=body)
    with pytest.raises(SlowDown) as raised:
        storage.stat("a")
    assert raised.value.wait_s == wait_s


def test_a_strangers_page_in_the_place_of_dropbox_is_no_answer(storage: Dropbox, dropbox_fake: Cloud) -> None:
    page = {"status": 200, "headers": {"Content-Type": "text/html"}, "body": b"<html>Sign in to the hotel</html>"}
    dropbox_fake.faults.fail("/2/files/", **page, times=3)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        storage.listing()
    with pytest.raises(Unavailable):
        storage.put("a", b"x")
    with pytest.raises(Unavailable):
        storage.get("a")


def test_an_access_token_that_ran_out_is_renewed_once_for_all_and_a_revoked_sign_in_is_told(
    opened: Opened, storage: Dropbox, fake: DropboxFake
) -> None:
    fake.consent.expire_access()
    storage.put("a", b"x")
    assert storage.get("a") == b"x"
    assert fake.consent.refreshes == 1
    fake.consent.revoke_all()
    for _ in range(2):
        with pytest.raises(SignInAgain):
            storage.get("a")
    assert fake.consent.refreshes == 2


def test_a_permission_that_was_not_given_is_named(storage: Dropbox, fake: DropboxFake, dropbox_fake: Cloud) -> None:
    for grant in fake.consent.live_grants():
        grant.scopes = ("files.metadata.read",)
    with pytest.raises(SignInAgain) as raised:
        storage.put("a", b"x")
    assert "files.content.write" in raised.value.hint


def test_waits_for_other_commits_grow_and_end(storage: Dropbox, fake: DropboxFake, waited: Time) -> None:
    fake.refuse_commits = 5
    storage.delete("a")
    storage.put("a", b"x")
    assert len(waited.slept) == 5
    for slept, at_least in zip(waited.slept, (0.25, 0.5, 1, 2, 4), strict=True):
        assert at_least <= slept <= at_least * 3
