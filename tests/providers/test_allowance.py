"""What requests are counted as, of the allowance that an app has at a provider: what the provider counts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from chatkeep.providers import google_drive, onedrive
from chatkeep.providers.allowance import Allowance
from chatkeep.providers.google_drive import GoogleDrive
from chatkeep.providers.onedrive import ONEDRIVE
from chatkeep.storage import Storage, changes, delete_many, put_many
from fakes.given import Cloud, means


class Counted(Allowance):
    """An allowance without end."""

    def __init__(self) -> None:
        super().__init__(lambda _: 0.0, per_s=1.0)
        self.spent = 0

    def spend(self, units: int = 1) -> None:
        self.spent += units


@pytest.fixture
def allowance() -> Counted:
    return Counted()


def use(storage: Storage) -> None:
    """Everything that a backup does, one by one and many at once."""
    names = [f"data/{number}" for number in range(30)]
    put_many(storage, dict.fromkeys(names, b"small"))
    storage.put("snapshots/1", b"x" * 10)
    storage.put("snapshots/1", b"y" * 10)
    cursor = changes(storage)
    assert cursor is not None
    assert storage.get("snapshots/1") == b"y" * 10
    storage.stat("data/3")
    storage.listing()
    delete_many(storage, names[:25])
    storage.delete("snapshots/1")
    changes(storage, cursor.cursor)
    storage.close()


def test_requests_to_drive_are_counted_in_its_units(google_fake: Cloud, allowance: Counted) -> None:
    given = dataclasses.replace(means(google_fake, google_drive.SIGN_IN), allowance=allowance)
    use(GoogleDrive(given, new=True, clock=google_fake.fake.clock))
    assert allowance.spent == sum(units for _, units in google_fake.fake.spent)
    assert allowance.spent > 30 * 50


def test_each_call_of_a_batch_to_graph_is_one(
    microsoft_fake: Cloud, allowance: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner: list[Any] = []
    one = microsoft_fake.fake._batched
    monkeypatch.setattr(microsoft_fake.fake, "_batched", lambda *given: (inner.append(given), one(*given))[1])
    given = dataclasses.replace(means(microsoft_fake, onedrive.SIGN_IN), allowance=allowance)
    use(ONEDRIVE.open({}, True, given))
    batches = microsoft_fake.journal.count(r"/\$batch")
    assert allowance.spent == microsoft_fake.journal.count("") - batches + len(inner)
    assert batches > 0
