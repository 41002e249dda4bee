"""Many processes count as one, and nothing that was counted is lost or told of a person."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import DatabaseError, connection

from chatkeep import happenings
from chatkeep.watching import tallies
from chatkeep.watching.models import EVER, Tally
from chatkeep.watching.tallies import Tallies, fold, totals

TODAY = datetime.now(UTC).date()
DROPBOX = '{"code":"200","provider":"dropbox"}'


def test_two_processes_count_into_one_number() -> None:
    one, other = Tallies(), Tallies()
    for tally in (one, other, other):
        tally("remote_requests_total", 2, {"provider": "dropbox", "code": "200"})
    assert (one.flush(), other.flush(), one.flush()) == (1, 1, 0)
    assert totals() == {"remote_requests_total": {DROPBOX: 6.0}}


def test_many_threads_that_flush_at_the_same_time_lose_nothing() -> None:
    def count() -> None:
        tally = Tallies()
        for _ in range(10):
            tally("remote_requests_total", 1, {"provider": "dropbox", "code": "200"})
            tally.flush()
        connection.close()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals()["remote_requests_total"][DROPBOX] == 40.0


def test_what_could_not_be_written_is_written_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tallies()
    tally("backup_bytes_total", 5, {})
    with monkeypatch.context() as broken:
        broken.setattr(tallies, "_increase", _away)
        with pytest.raises(DatabaseError):
            tally.flush()
    tally("backup_bytes_total", 2, {})
    tally.flush()
    assert totals()["backup_bytes_total"] == {"{}": 7.0}


def _away(*_: object) -> None:
    raise DatabaseError("away")


@pytest.mark.parametrize(
    ("name", "labels"),
    [("mother_called_total", {}), ("backup_bytes_total", {"user": "alice"}), ("remote_requests_total", {})],
)
def test_a_name_or_a_label_that_is_not_listed_is_not_counted(name: str, labels: dict[str, str]) -> None:
    tally = Tallies()
    tally(name, 1, labels)
    assert tally.flush() == 0


def test_a_label_that_looks_like_words_of_somebody_counts_as_other() -> None:
    tally = Tallies()
    tally("import_items_total", 1, {"importer": "Letters to Mum.zip\n", "result": "taken"})
    tally.flush()
    assert totals()["import_items_total"] == {'{"importer":"other","result":"taken"}': 1.0}


def test_labels_without_end_do_not_become_rows_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MOST_SERIES", 10)
    tally = Tallies()
    for number in range(50):
        tally("remote_requests_total", 1, {"provider": "dropbox", "code": str(number)})
    tally.flush()
    found = totals()["remote_requests_total"]
    assert len(found) == 11
    assert found['{"code":"other","provider":"other"}'] == 40.0


def test_a_time_falls_into_the_bucket_that_ends_at_or_after_it() -> None:
    tally = Tallies()
    for took in (0.01, 0.3, 0.5, 99.0):
        tally("http_request_duration_seconds", took, {"route": "home", "method": "GET", "code": "200"})
    tally.flush()
    found = totals()["http_request_duration_seconds"]
    assert {key.split('"le":"')[1].split('"')[0]: value for key, value in found.items()} == {
        "0.01": 1.0,
        "0.5": 2.0,
        "+Inf": 1.0,
        "sum": pytest.approx(99.81),
    }


def test_counts_of_days_long_over_are_put_together_and_no_counter_falls() -> None:
    labels = "{}"
    for days, value in ((0, 1.0), (10, 2.0), (40, 4.0), (90, 8.0)):
        Tally.objects.create(day=TODAY - timedelta(days=days), name="backup_bytes_total", labels=labels, value=value)
    Tally.objects.create(day=EVER, name="backup_bytes_total", labels=labels, value=16.0)
    before = totals()
    assert fold(today=TODAY) == 2
    assert totals() == before
    assert sorted(Tally.objects.values_list("day", flat=True)) == [EVER, TODAY - timedelta(days=10), TODAY]
    assert fold(today=TODAY) == 0


def test_counts_are_known_since_a_day() -> None:
    Tally.objects.create(day=TODAY - timedelta(days=3), name="backup_bytes_total", labels="{}", value=3.0)
    Tally.objects.create(day=TODAY, name="backup_bytes_total", labels="{}", value=1.0)
    assert totals(since=TODAY - timedelta(days=1)) == {"backup_bytes_total": {"{}": 1.0}}
    assert date(2020, 1, 1) > EVER


def test_a_process_that_ends_in_order_writes_what_it_counted() -> None:
    tally = Tallies()
    tally.start()
    happenings.tell("delete_brake_total")
    tally.stop()
    happenings.tell("backup_bytes_total", 1)
    assert totals() == {"delete_brake_total": {"{}": 1.0}}
