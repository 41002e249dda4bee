from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.providers.google_drive.conftest import Device

from chatkeep.providers.google_drive import GoogleDrive
from chatkeep.testing.storage_suite import StorageSuite
from fakes.given import Cloud


class TestGoogleDrive(StorageSuite):
    feeds = True
    boundaries = (1, 256 * 1024, 5_000_000)

    @pytest.fixture
    def second(self, storage: GoogleDrive, devices: Callable[..., Device]) -> GoogleDrive:
        return devices().open(new=False)


class TestGoogleDriveInSmallPages(TestGoogleDrive):
    """Pages of a few files, and uploads of which Drive keeps a part only."""

    boundaries = (5_000_000,)

    @pytest.fixture
    def storage(self, google_fake: Cloud, device: Device) -> GoogleDrive:
        google_fake.fake.page_cap = 7
        google_fake.fake.partial_store = True
        return device.open()
