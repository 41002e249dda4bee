"""What is measured is measured on PostgreSQL too."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from archive.talks import talk
from chatkeep.connections.models import Connection
from chatkeep.jobs import schedules
from chatkeep.model import Message
from chatkeep.people import belonging
from chatkeep.watching.gauges import freshness, gauges
from chatkeep.web import held
from chatkeep.web.configuration import CHATKEEP
from server.conftest import Somebody


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


def test_differences_between_devices_are_counted_in_all_archives(somebody: Somebody) -> None:
    for number, name in enumerate(("alice", "bob")):
        assert held.open_conflicts() == number
        archive = held.means().archive_of(belonging.archive_of(somebody(name)[0]))
        archive.apply([talk("tea", messages=[Message(id="m", by="test/1", raw="mine")])])
        with archive.joining(host="phone") as joining:
            joining.take(talk("tea", messages=[Message(id="m", by="test/1", raw="theirs")]))
            joining.finish(cursors={}, most=0)
