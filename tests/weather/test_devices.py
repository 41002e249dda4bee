"""Devices that were away for long or are new, and objects that are there twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.weather.skies import Device, Sky
from tests.weather.story import Story

from archive.talks import said, take, talk
from chatkeep import operations
from chatkeep.archive import Archive, tombstones
from chatkeep.merge import version_names
from chatkeep.storage import Counting
from chatkeep.vault import Policy

DAY = 86_400.0
KEPT = Policy(last=2, hourly=0, daily=3, weekly=2, monthly=0, yearly=0)


@pytest.mark.parametrize("what", ["Vault/config", "Vault/keys/", "Vault/data/", "Vault/index/", "Vault/snapshots/"])
def test_an_object_that_is_there_twice_is_one(sky: Sky, tmp_path: Path, what: str) -> None:
    """Drive has names twice; elsewhere the second lies beside it, under a name of its own."""
    story = Story(sky, tmp_path)
    story.back_up()
    for name in [name for name in sky.ours() if name.startswith(what)]:
        sky.write_twice(f"{sky.top}/{name}")
    story.change()
    assert story.back_up() is not None, story.errors
    assert story.look() == story.held
    assert story.opened(story.phone).check(read_data=True).ok
    story.met()


@contextmanager
def archives(folder: Path, *names: str) -> Iterator[list[Archive]]:
    opened = [Archive.open(folder / f"archive-{name}", device=name) for name in names]
    try:
        yield opened
    finally:
        for archive in opened:
            archive.close()


def sync(story: Story, device: Device, archive: Archive) -> None:
    counting = Counting(device.open())
    story.around = lambda _: counting  # type: ignore[assignment,return-value]
    opened = story.opened(device)
    report = operations.sync(
        archive, opened, host=device.name, counting=counting, new_host=lambda: f"{device.name}.1", accept_deletions=True
    )
    assert report.problems == []


def held(archive: Archive) -> dict[str, set[str]]:
    return {entry.id: version_names(archive.load(entry.id)) for entry in archive.entries()}


def _away_for_ninety_days(story: Story, folder: Path) -> dict[str, set[str]]:
    """What both devices have, after one was away while the other deleted a chat, backed up and tidied."""
    with archives(folder, "laptop-1", "phone-2") as (laptop, phone):
        take(laptop, talk("garden", ["peas"]), talk("sea", ["salt"]))
        sync(story, story.laptop, laptop)
        sync(story, story.phone, phone)
        assert held(phone) == held(laptop)
        take(phone, talk("train", ["at nine"]))
        take(phone, talk("sea", messages=[said("sea", 0, "salt"), said("sea", 1, "and wind")]))
        operations.delete(laptop, [talk("garden").id])
        for _ in range(9):
            sync(story, story.laptop, laptop)
            story.opened(story.laptop).tidy(KEPT, host="laptop-1", all_devices=True)
            story.sky.time.now += 10 * DAY
            take(laptop, talk(f"day {story.sky.time.now}", ["one more"]))
        story.sky.forget_cursors()
        for device, archive in ((story.phone, phone), (story.laptop, laptop), (story.phone, phone)):
            sync(story, device, archive)
        assert held(phone) == held(laptop)
        return held(laptop)


def test_a_device_that_comes_back_after_ninety_days_brings_back_nothing_and_loses_nothing(
    sky: Sky, tmp_path: Path
) -> None:
    story = Story(sky, tmp_path)
    left = _away_for_ninety_days(story, tmp_path)
    assert talk("garden").id not in left
    assert len(left[talk("sea").id]) == 2
    assert len(left) == 11
    story.met()


def test_without_tombstones_it_would_bring_back_what_was_deleted(
    sky: Sky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "outcome", lambda conversation, tombstone: conversation)
    assert talk("garden").id in _away_for_ninety_days(Story(sky, tmp_path), tmp_path)


@pytest.mark.parametrize("target", ["empty", "with others", "with a later version"])
def test_a_restore_makes_what_was_saved_and_overwrites_nothing_in_silence(
    sky: Sky, tmp_path: Path, target: str
) -> None:
    story = Story(sky, tmp_path)
    with archives(tmp_path, "laptop-1", "new-3") as (laptop, new):
        take(laptop, talk("garden", ["peas"]), talk("sea", ["salt"]))
        sync(story, story.laptop, laptop)
        later = talk("sea", messages=[said("sea", 0, "salt"), said("sea", 1, "and wind")])
        if target != "empty":
            take(new, later if target == "with a later version" else talk("train", ["at nine"]))
        before = held(new)
        report = operations.restore(new, story.opened(story.phone), beside=tmp_path / "beside")
        assert (report.problems, report.expected, report.restored) == ([], 2, 2)
        after = held(new)
        assert all(after[id] >= versions for id, versions in (held(laptop) | before).items())
        if target == "empty":
            assert {id: new.document(id) for id in after} == {id: laptop.document(id) for id in held(laptop)}
        new.undo(report.receipt)
        assert held(new) == before
        story.met()
