from __future__ import annotations

from collections.abc import Callable

import pytest

from chatkeep.providers.dropbox import Dropbox
from chatkeep.testing.storage_suite import StorageSuite


class TestDropbox(StorageSuite):
    feeds = True
    boundaries = (1, 4096, 4 * 1024 * 1024, 8 * 1024 * 1024)

    @pytest.fixture
    def second(self, storage: Dropbox, opened: Callable[..., Dropbox]) -> Dropbox:
        return opened()
