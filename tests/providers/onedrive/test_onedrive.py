from __future__ import annotations

from collections.abc import Callable

import pytest

from chatkeep.providers.onedrive import OneDrive
from chatkeep.providers.onedrive.uploads import FRAGMENT
from chatkeep.testing.storage_suite import StorageSuite
from fakes.given import Cloud

Opening = Callable[..., OneDrive]


class TestPersonal(StorageSuite):
    feeds = True
    boundaries = (1, 65536, FRAGMENT)

    @pytest.fixture
    def storage(self, cloud: Cloud, opening: Opening) -> OneDrive:
        cloud.fake.page = 50
        return opening(cloud)

    @pytest.fixture
    def second(self, storage: OneDrive, cloud: Cloud, opening: Opening) -> OneDrive:
        return opening(cloud, new=False)


class TestBusiness(StorageSuite):
    boundaries = (1, 65536, FRAGMENT)

    @pytest.fixture
    def storage(self, business: Cloud, opening: Opening) -> OneDrive:
        return opening(business)

    @pytest.fixture
    def second(self, storage: OneDrive, business: Cloud, opening: Opening) -> OneDrive:
        return opening(business, new=False)
