"""What is measured is measured on PostgreSQL too."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from chatkeep.connections.models import Connection
from chatkeep.jobs import schedules
from chatkeep.watching.gauges import freshness, gauges
from chatkeep.web.configuration import CHATKEEP


@pytest.mark.django_db(transaction=True)
def test_gauges_are_derived_from_the_rows_of_a_server() -> None:
    now = timezone.now()
    for number, hours in enumerate((1, 30, 70)):
        Connection.objects.create(
            name=f"p{number}",
            provider="folder",
            archive=f"{number:032x}",
            backed_up_at=now - timedelta(hours=hours),
            quota={"free": 1000 + number},
            drilled={"ok": True},
            drilled_at=now,
        )
    schedules.ensure()
    assert freshness(now) == (3, 2)
    found = {(name, *labels.values()): value for name, labels, value in gauges(now=now, store=CHATKEEP.home)}
    assert found["quota_free_bytes",] == 1000
    assert found["backup_last_success_timestamp", "0"] == pytest.approx((now - timedelta(hours=70)).timestamp())
    assert found["restore_drill_last_success_timestamp",] == pytest.approx(now.timestamp())
