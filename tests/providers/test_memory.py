from __future__ import annotations

import pytest

from chatkeep.providers.memory import Memory
from chatkeep.testing.storage_suite import StorageSuite


class TestMemory(StorageSuite):
    feeds = True

    @pytest.fixture
    def storage(self) -> Memory:
        return Memory()

    @pytest.fixture
    def second(self, storage: Memory) -> Memory:
        return Memory(storage)
