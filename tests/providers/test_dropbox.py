from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from chatkeep.providers.dropbox import DROPBOX, SIGN_IN
from chatkeep.providers.notes import MemoryNotes, Notes
from chatkeep.storage import Storage
from chatkeep.testing.storage_suite import StorageSuite
from fakes.given import Cloud, means

Opening = Callable[..., Storage]


@pytest.fixture
def opened(dropbox_fake: Cloud) -> Iterator[Opening]:
    """Opens handles to the folder, each closed at the end. Give the same notes for the same device."""
    with ExitStack() as ending:

        def open_one(
            notes: Notes | None = None, *, new: bool = False, folder: str = "Chatkeep", **more: Any
        ) -> Storage:
            storage = DROPBOX.open({"folder": folder}, new, means(dropbox_fake, SIGN_IN, notes=notes, **more))
            ending.callback(storage.close)
            return storage

        yield open_one


class TestDropbox(StorageSuite):
    feeds = True
    boundaries = (1, 4096, 4 * 1024 * 1024, 8 * 1024 * 1024)

    @pytest.fixture
    def notes(self) -> MemoryNotes:
        return MemoryNotes()

    @pytest.fixture
    def storage(self, opened: Opening, notes: MemoryNotes) -> Storage:
        return opened(notes, new=True)

    @pytest.fixture
    def second(self, storage: Storage, opened: Opening, notes: MemoryNotes) -> Storage:
        return opened(notes)
