from collections.abc import Iterator
from pathlib import Path

import pytest

from chatkeep.archive import Archive


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive.open(tmp_path / "data", device="laptop") as opened:
        yield opened
        assert opened.check() == []
