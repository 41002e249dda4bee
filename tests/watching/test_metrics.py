"""What Prometheus reads: true, complete, and without a word of anybody."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from chatkeep.archive import Archive
from chatkeep.connections.models import Connection
from chatkeep.jobs import queue, schedules
from chatkeep.jobs.models import Job
from chatkeep.watching import metrics, names, signs
from chatkeep.watching.gauges import freshness
from chatkeep.web.configuration import CHATKEEP
from chatkeep.web.pages import watched
from fakes.given import Cloud

from .conftest import Samples

TOKEN = "a token of twenty-five signs"
Scrape = Callable[[], Samples]


@pytest.fixture
def with_token(monkeypatch: pytest.MonkeyPatch) -> None:
    import msgspec

    monkeypatch.setattr(watched, "CHATKEEP", msgspec.structs.replace(CHATKEEP, metrics_token=TOKEN))


def test_metrics_are_not_there_without_a_token_in_the_settings(stranger: Client, keeper: Client) -> None:
    assert stranger.get("/metrics").status_code == 404
    assert keeper.get("/metrics", headers={"authorization": "Bearer "}).status_code == 404


@pytest.mark.usefixtures("with_token")
def test_metrics_answer_the_token_alone(stranger: Client, archive: Archive) -> None:
    for wrong in ("", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}"):
        assert stranger.get("/metrics", headers={"authorization": wrong}).status_code == 404
    answer = stranger.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert b"queue_oldest_seconds 0.0" in answer.content


def test_every_name_of_the_reference_is_written(place: Connection, work: Callable[[], None], scrape: Scrape) -> None:
    signs.give(signs.WHOLE)
    signs.beat()
    Connection.objects.update(ends_at=timezone.now() + timedelta(days=1), quota={"free": 5})
    for kind in ("backup", "drill"):
        queue.enqueue(kind, place.subject, {"connection": "stick"})
    work()
    written = {re.split(r"[{ ]", line)[0] for line in scrape()}
    plain = {re.sub("_(bucket|sum|count)$", "", name) for name in written}
    dynamic = {"token_refresh_total", "import_items_total", "notices_total", "remote_requests_total"}
    dynamic |= set(names.HISTOGRAMS)  # they come with the first of their kind
    assert set(names.ALL) - dynamic - plain == set()


def test_a_backup_and_a_drill_are_counted_and_dated(
    place: Connection, work: Callable[[], None], scrape: Scrape
) -> None:
    assert scrape()['backup_runs_total{result="done",stage="end"}'] == 0.0
    begun = timezone.now().timestamp()
    for kind in ("backup", "check", "drill"):
        queue.enqueue(kind, place.subject, {"connection": "stick"} | ({"read_data": True} if kind == "check" else {}))
    work()
    found = scrape()
    assert found['backup_runs_total{result="done",stage="end"}'] == 1.0
    assert found['job_runs_total{kind="drill",result="done"}'] == 1.0
    assert found["backup_bytes_total"] > 1000
    assert found['verify_objects_total{result="match"}'] >= 4
    assert found['verify_objects_total{result="mismatch"}'] == 0
    assert found['backup_last_success_timestamp{quantile="0"}'] >= begun
    assert found["restore_drill_last_success_timestamp"] >= begun
    assert (found["backup_destinations"], found["backup_destinations_fresh"]) == (1.0, 1.0)


def test_a_backup_that_fails_is_counted_with_its_stage_and_a_place_that_is_away_apart(
    place: Connection, work: Callable[[], None], scrape: Scrape, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from pathlib import Path

    shutil.rmtree(Path(place.location["path"]))
    queue.enqueue("backup", place.subject, {"connection": "stick"})
    work()
    monkeypatch.setattr("chatkeep.jobs.kinds.back_up", _broken)
    Path(place.location["path"]).mkdir()
    queue.enqueue("backup", place.subject, {"connection": "nobody"})
    work()
    found = scrape()
    assert found['backup_runs_total{result="outage",stage="opening"}'] == 1.0
    assert found['backup_runs_total{result="failed",stage="opening"}'] == 1.0


def _broken(*_: object, **__: object) -> None:
    raise RuntimeError("broken")


def test_freshness_is_measured_by_the_interval_of_each_destination(place: Connection) -> None:
    now = timezone.now()
    backup = schedules.one(place.subject, "backup")
    for every, hours, fresh in (
        ("day 03:00", 47, 1),
        ("day 03:00", 49, 0),
        ("6h", 11, 1),
        ("6h", 13, 0),
        ("week sun 04:00", 13 * 24, 1),
        ("week sun 04:00", 15 * 24, 0),
        ("month 1 04:15", 61 * 24, 1),
        ("month 1 04:15", 63 * 24, 0),
    ):
        schedules.change(backup, every=every)
        Connection.objects.update(backed_up_at=now - timedelta(hours=hours))
        assert freshness(now) == (1, fresh), (every, hours)
    Connection.objects.update(backed_up_at=None, connected_at=now - timedelta(days=90))
    assert freshness(now) == (1, 0)
    schedules.change(backup, on=False)
    assert freshness(now) == (0, 0)


def test_the_queue_is_measured_from_when_its_first_job_was_due(archive: Archive, scrape: Scrape) -> None:
    job = queue.enqueue("import", "archive", {"paths": []})
    Job.objects.filter(pk=job.pk).update(due_at=timezone.now() - timedelta(hours=2))
    found = scrape()
    assert found["queue_oldest_seconds"] == pytest.approx(7200, abs=60)
    assert found['queue_jobs{state="waiting"}'] == 1.0
    assert found['queue_jobs{state="running"}'] == 0.0


def test_requests_to_a_provider_and_its_pauses_are_counted_by_their_codes(
    google_fake: Cloud, counting: object, scrape: Scrape
) -> None:
    from chatkeep.providers.http import Endpoints, Http

    google_fake.faults.fail("/drive/v3/about", 429, times=1, headers={"Retry-After": "7"})
    http = Http(Endpoints(google_fake.url))
    for _ in range(2):
        http.request("GET", "https://www.googleapis.com/drive/v3/about", authorised=False, expects="anything")
    http.close()
    found = scrape()
    codes = {line: value for line, value in found.items() if line.startswith("remote_requests_total")}
    assert codes['remote_requests_total{code="429",provider="google-drive"}'] == 1.0
    assert sum(codes.values()) == 2.0
    assert found['remote_retry_after_seconds_bucket{le="5",provider="google-drive"}'] == 0.0
    assert found['remote_retry_after_seconds_bucket{le="15",provider="google-drive"}'] == 1.0
    assert found['remote_retry_after_seconds_sum{provider="google-drive"}'] == 7.0


def test_a_port_of_this_machine_answers_without_a_token_and_nothing_else(archive: Archive) -> None:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = metrics.listen(metrics.Metrics(CHATKEEP.home), port)
    assert server
    try:
        assert metrics.listen(metrics.Metrics(CHATKEEP.home), port) is None
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert b"queue_oldest_seconds" in answer.read()
        with pytest.raises(OSError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
        assert server.server_address[0] == "127.0.0.1"
    finally:
        server.shutdown()
        server.server_close()


def test_nothing_that_is_written_names_a_person_a_chat_or_a_file(
    keeper: Client, place: Connection, example_archive: Archive, work: Callable[[], None], scrape: Scrape
) -> None:
    from chatkeep.selection import Selection

    titles = [one.title for one in example_archive.listing(Selection(), limit=50) if one.title]
    conversation = example_archive.listing(Selection(), limit=1)[0].id
    Connection.objects.update(account="alice@example.com", account_id="canary-account")
    for address in (f"/chats/{conversation}/", "/search/?q=canary-search", "/canary-path", "/backups/stick/", "/"):
        keeper.get(address)
    keeper.generic("CANARY-METHOD", "/")
    queue.enqueue("backup", place.subject, {"connection": "stick"})
    work()
    text = "\n".join(scrape())
    assert 'route="chat"' in text  # the control: what was asked for is counted
    assert 'route="none"' in text
    canaries = [*titles, str(conversation), "canary", "CANARY", "alice", "stick", str(CHATKEEP.home), place.uid]
    assert titles
    assert [canary for canary in canaries if canary in text] == []
