"""Sign-ins that end, rights that shrink, space that runs out, and a clock that is wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from tests.vault.small_archive import contents
from tests.weather.skies import Sky
from tests.weather.story import Story, kinds
from tests.weather.tally import TALLY

from chatkeep.errors import SignInAgain


def test_a_token_that_runs_out_at_any_request_is_renewed_once(sky: Sky, tmp_path: Path) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    for nth in range(1, 60):
        sky.cloud.faults.clear()
        fault = sky.cloud.faults.fail("", 401, nth=nth)
        before = sky.cloud.fake.consent.refreshes
        story.change()
        saved = story.back_up()
        if fault.seen < nth:
            break
        assert saved is not None, (nth, story.errors)
        assert sky.cloud.fake.consent.refreshes - before <= 1
        story.met()
    assert nth > 3
    story.ends_well()


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_consent_that_ends_in_the_middle_of_a_run_is_told_and_not_asked_for_again(
    sky: Sky, tmp_path: Path, at: int
) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    sky.cloud.faults.fail(sky.signing, 400, headers=JSON, body=b'{"error":"invalid_grant"}', times=99)
    sky.cloud.faults.fail("", 401, nth=at, times=999)
    story.change()
    opened = story.opened(story.laptop)
    before = sky.cloud.journal.count(sky.signing)
    for process in (opened, opened, story.opened(story.laptop)):
        with pytest.raises(SignInAgain):
            process.save(contents(story.held), host="laptop-1")
    asked = sky.cloud.journal.count(sky.signing) - before
    sky.cloud.journal.clear()
    with pytest.raises(SignInAgain):
        story.opened(story.laptop).snapshots()
    assert not sky.cloud.journal.entries  # what one process was told the next one knows
    TALLY.add(sky.name, "asked after the end", asked - 1)
    assert asked == 1
    story.laptop.sign_in_again()
    story.met(person=True)
    story.ends_well()


def test_a_new_token_whose_answer_is_lost_ends_no_sign_in(sky: Sky, tmp_path: Path) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    for make in (sky.cloud.faults.lose, lambda match: sky.cloud.faults.shorten(match, to=20)):
        sky.cloud.fake.consent.expire_access()
        make(sky.signing)
        story.change()
        assert story.back_up(attempts=3) is not None, story.errors
        story.met()
    story.ends_well()


@pytest.mark.parametrize("left", [0, 400, 1500, 3000])
def test_a_full_account_says_so_keeps_what_was_saved_and_goes_on_when_there_is_space(
    sky: Sky, tmp_path: Path, left: int
) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    before = sky.ours()
    sky.room(left)
    story.change()
    with sky.cloud.journal.counted() as asked:
        saved = story.back_up()
    if saved is None:
        assert kinds(story.errors) == {"QuotaFull"}
        assert story.errors[-1].hint
        assert len(asked) < 40
    assert {name: data for name, data in sky.ours().items() if name in before and "locks/" not in name} == {
        name: data for name, data in before.items() if "locks/" not in name
    }
    sky.room(None)
    story.met(person=saved is None)
    story.ends_well()


@pytest.mark.parametrize("off", [-400 * 86400, -600, 600, 400 * 86400])
def test_a_wrong_clock_loses_nothing(sky: Sky, tmp_path: Path, off: int) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    right = story.now
    for delta in (off, 0, off):
        story.now = lambda delta=delta: right() + timedelta(seconds=delta)  # type: ignore[method-assign,misc]
        story.change()
        assert story.back_up() is not None, story.errors
        story.met()
    story.now = right  # type: ignore[method-assign]
    story.judge()
    assert TALLY.bad() == 0


JSON = {"Content-Type": "application/json"}


def reason(word: str) -> bytes:
    return json.dumps({"error": {"code": 403, "errors": [{"reason": word}], "message": word}}).encode()


def code(word: str) -> bytes:
    return json.dumps({"error": {"code": word, "message": word}}).encode()


CLOSED: list[tuple[str, str, int, bytes]] = [
    ("google-drive", "the organisation forbids it", 403, reason("domainPolicy")),
    ("google-drive", "read-only", 403, reason("insufficientFilePermissions")),
    ("dropbox", "suspended", 401, b'{"error_summary":"user_suspended/","error":{".tag":"user_suspended"}}'),
    ("dropbox", "forbidden", 403, b"{}"),
    ("onedrive", "no longer shared", 403, code("accessDenied")),
    ("onedrive", "read-only", 403, code("notAllowed")),
]


@pytest.mark.parametrize(
    ("sky", "status", "body"),
    [(at, n, said) for at, _, n, said in CLOSED],
    indirect=["sky"],
    ids=[f"{at}-{what}" for at, what, _, _ in CLOSED],
)
def test_an_account_that_is_closed_to_us_is_told_once_and_goes_on_when_it_is_open_again(
    sky: Sky, tmp_path: Path, status: int, body: bytes
) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    before, slept = sky.ours(), len(sky.time.slept)
    sky.cloud.faults.fail("", status, headers=JSON, body=body, times=999)
    story.change()
    with sky.cloud.journal.counted() as asked:
        assert story.back_up() is None
    assert kinds(story.errors) == {"Refused"}
    assert not story.errors[-1].temporary
    assert len(asked) <= 4  # the request, a fresh token at most, and once more with it
    assert len(sky.time.slept) == slept  # nobody waits for what time does not heal
    assert sky.ours() == before
    story.met(person=True)
    story.ends_well()
