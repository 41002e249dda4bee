"""Every alert fires when it should and not when it should not: by series made up, and by faults made in the product."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from chatkeep import happenings
from chatkeep.archive import Archive
from chatkeep.connections.models import Connection
from chatkeep.jobs import queue, schedules
from chatkeep.jobs.models import Job
from chatkeep.watching import gauges, names, signs

from .conftest import Samples
from .promtool import DAY, FOLDER, RULES, Series, alerts, firing, over_time, rules, run

Scrape = Callable[[], Samples]
DONE = 'backup_runs_total{result="done",stage="end"}'
FAILED = 'backup_runs_total{result="failed",stage="sending"}'
GOOD = 'http_request_duration_seconds_bucket{code="200",le="0.5",method="GET",route="home"}'
ALL = 'http_request_duration_seconds_count{code="200",method="GET",route="home"}'
NOW = DAY + 180


def growing(each: float, minutes: int = NOW) -> str:
    return f"0+{each}x{minutes}"


HEALTHY: Series = {
    DONE: growing(2),
    FAILED: growing(0.002),
    GOOD: growing(99.97),
    ALL: growing(100),
    'verify_objects_total{result="match"}': growing(5),
    'verify_objects_total{result="mismatch"}': growing(0),
    'verify_objects_total{result="missing"}': growing(0),
    "backup_destinations": f"100x{NOW}",
    "backup_destinations_fresh": f"100x{NOW}",
    "restore_drill_last_success_timestamp": f"{(NOW - 60) * 60}x{NOW}",
    "token_expires_timestamp": f"{(NOW + 7 * DAY) * 60}x{NOW}",
    "queue_oldest_seconds": f"3x{NOW}",
    "worker_heartbeat_timestamp": growing(60),
    "delete_brake_total": f"3x{NOW}",
    "store_free_bytes": f"500x{NOW}",
    "store_size_bytes": f"1000x{NOW}",
    "db_integrity_last_ok_timestamp": f"{(NOW - 60) * 60}x{NOW}",
}
"""A day in which little goes wrong, and nothing that anybody has to be called for."""

BURNING = {
    "BackupsFailFast": {FAILED: f"0x{NOW - 70} 0+0.5x70"},
    "BackupsFailSteadily": {FAILED: f"0x{NOW - 400} 0+0.08x400"},
    "BackupsFailSlowly": {FAILED: f"0x{NOW - 1500} 0+0.04x1500"},
    "BackupsFailCreeping": {FAILED: growing(0.014)},
    "RequestsFailFast": {GOOD: f"0+100x{NOW - 70} {100 * (NOW - 70)}+98x70"},
    "RequestsFailSteadily": {GOOD: f"0+100x{NOW - 400} {100 * (NOW - 400)}+99.3x400"},
    "RequestsFailSlowly": {GOOD: f"0+100x{NOW - 1500} {100 * (NOW - 1500)}+99.6x1500"},
    "RequestsFailCreeping": {GOOD: growing(99.85)},
    "VerifyMismatch": {'verify_objects_total{result="mismatch"}': f"0x{NOW - 30} 1x30"},
    "BackupsStale": {"backup_destinations_fresh": f"100x{NOW - 70} 98x70"},
    "DrillOld": {"restore_drill_last_success_timestamp": f"{(NOW - 15 * DAY) * 60}x{NOW}"},
    "SignInEnds": {"token_expires_timestamp": f"{(NOW + DAY) * 60}x{NOW}"},
    "QueueOld": {"queue_oldest_seconds": f"3x{NOW - 6} 3700x6"},
    "WorkersSilent": {"worker_heartbeat_timestamp": f"0+60x{NOW - 6} {(NOW - 6) * 60}x6"},
    "DeletionBrake": {"delete_brake_total": f"3x{NOW - 30} 4x30"},
    "DiskNearlyFull": {"store_free_bytes": f"500x{NOW - 10} 99x10"},
    "IntegrityOld": {"db_integrity_last_ok_timestamp": f"{(NOW - 9 * DAY) * 60}x{NOW}"},
    "MetricsGone": {"queue_oldest_seconds": f"3x{NOW - 20} stale"},
}


def test_the_rules_are_rules() -> None:
    ended = run("check", "rules", str(RULES))
    assert ended.returncode == 0, ended.stderr
    assert "SUCCESS" in ended.stdout


def test_nothing_fires_while_all_is_well(tmp_path: Path) -> None:
    assert firing(HEALTHY, after_min=NOW, folder=tmp_path) == set()


def test_every_alert_has_a_case() -> None:
    assert list(BURNING) == alerts()


@pytest.mark.slow
@pytest.mark.parametrize("alert", BURNING)
def test_an_alert_fires_when_it_should(alert: str, tmp_path: Path) -> None:
    assert alert in firing({**HEALTHY, **BURNING[alert]}, after_min=NOW, folder=tmp_path)


def test_a_single_failure_of_a_small_installation_calls_nobody(tmp_path: Path) -> None:
    small = {DONE: f"0x{NOW - 30} 2x30", FAILED: f"0x{NOW - 30} 1x30", ALL: f"0x{NOW - 4} 3x4", GOOD: f"0x{NOW}"}
    assert firing({**HEALTHY, **small}, after_min=NOW, folder=tmp_path) == set()


def test_what_is_over_calls_nobody_any_more(tmp_path: Path) -> None:
    mended = {FAILED: f"0x{NOW - 130} 0+0.5x60 30x70"}
    assert "BackupsFailFast" not in firing({**HEALTHY, **mended}, after_min=NOW, folder=tmp_path)
    mended["queue_oldest_seconds"] = f"4000x{NOW - 13} 3x13"
    assert "QueueOld" not in firing({**HEALTHY, **mended}, after_min=NOW, folder=tmp_path)


# -- faults in the product, scraped, and given to the rules


@pytest.fixture
def fires(scrape: Scrape, tmp_path: Path) -> Callable[[Callable[[], object]], set[str]]:
    """Which alerts fire after a fault that was made, and did not before."""

    def asked(fault: Callable[[], object]) -> set[str]:
        signs.beat()
        signs.give(signs.WHOLE)
        before = scrape()
        quiet = firing(over_time(before, before), after_min=70, folder=tmp_path)
        fault()
        return firing(over_time(before, scrape()), after_min=70, folder=tmp_path) - quiet

    return asked


Fires = Callable[[Callable[[], object]], set[str]]


def test_backups_that_break_fire(
    place: Connection, work: Callable[[], None], fires: Fires, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    def fault() -> None:
        monkeypatch.setattr("chatkeep.jobs.kinds.back_up", broken)
        for _ in range(25):
            queue.enqueue("backup", place.subject, {"connection": "stick"})
            work()

    assert "BackupsFailFast" in fires(fault)


def test_damage_in_a_vault_that_a_check_finds_fires(place: Connection, work: Callable[[], None], fires: Fires) -> None:
    def done(kind: str, **more: object) -> None:
        queue.enqueue(kind, place.subject, {"connection": "stick", **more})
        work()

    def fault() -> None:
        packs = [path for path in Path(place.location["path"]).rglob("data/*/*") if path.is_file()]
        assert packs
        for pack in packs:
            data = bytearray(pack.read_bytes())
            data[len(data) // 2] ^= 1
            pack.chmod(0o600)
            pack.write_bytes(data)
        done("check", read_data=True)

    done("backup")
    assert "VerifyMismatch" in fires(fault)


def test_pages_that_break_fire(keeper: Client, archive: Archive, fires: Fires, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("broken")

    def search(times: int) -> None:
        for _ in range(times):
            assert keeper.get("/search/?q=x").status_code == 500

    monkeypatch.setattr("chatkeep.web.pages.searching.archive", broken)
    keeper.raise_request_exception = False
    search(1)  # a counter that is born is no increase
    assert "RequestsFailFast" in fires(lambda: search(110))


def test_a_rehearsal_a_sign_in_a_queue_a_worker_and_a_database_that_were_left_alone_fire(
    place: Connection, work: Callable[[], None], fires: Fires
) -> None:
    now = timezone.now()
    queue.enqueue("drill", place.subject, {"connection": "stick"})
    queue.enqueue("backup", place.subject, {"connection": "stick"})
    work()
    queue.enqueue("drill", place.subject, {"connection": "stick"})
    work()
    assert Connection.objects.get().drilled["ok"]

    def fault() -> None:
        Connection.objects.update(drilled_at=now - timedelta(days=15), ends_at=now + timedelta(hours=40))
        job = queue.enqueue("import", "archive", {"paths": []})
        Job.objects.filter(pk=job.pk).update(due_at=now - timedelta(hours=2))
        signs.Sign.objects.filter(name=signs._mine).update(at=now - timedelta(minutes=6))
        signs.give(signs.WHOLE, at=now - timedelta(days=9))

    assert fires(fault) == {"DrillOld", "SignInEnds", "QueueOld", "WorkersSilent", "IntegrityOld"}


def test_destinations_that_nobody_backs_up_fire(place: Connection, tmp_path: Path, scrape: Scrape) -> None:
    Connection.objects.update(backed_up_at=timezone.now())
    for number in range(30):
        Connection.objects.create(name=f"p{number}", provider="folder", backed_up_at=timezone.now())
    schedules.ensure()
    before = scrape()
    assert before["backup_destinations"] >= 31
    Connection.objects.filter(name="p3").update(backed_up_at=timezone.now() - timedelta(days=3))
    series = over_time(before, scrape(), minutes=5)
    held = {name: values.replace("x10", "x90") for name, values in series.items()}
    assert "BackupsStale" in firing(held, after_min=90, folder=tmp_path)
    assert "BackupsStale" not in firing(over_time(before, before, minutes=90), after_min=90, folder=tmp_path)


def test_deletions_that_are_held_back_fire(archive: Archive, fires: Fires) -> None:
    assert fires(lambda: happenings.tell("delete_brake_total")) == {"DeletionBrake"}


def test_a_store_that_fills_up_fires(archive: Archive, fires: Fires, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = shutil.disk_usage("/")
    monkeypatch.setattr(gauges.shutil, "disk_usage", lambda _: disk._replace(total=1000, free=500))
    full = disk._replace(total=1000, free=90)
    assert fires(lambda: monkeypatch.setattr(gauges.shutil, "disk_usage", lambda _: full)) == {"DiskNearlyFull"}


# -- names


def test_rules_and_dashboards_use_only_what_there_is() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    known = set(names.ALL) | {f"{name}_{end}" for name in names.HISTOGRAMS for end in ("bucket", "sum", "count")}
    expressions = {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules()}
    for board in ("service", "data-safety"):
        for panel in json.loads((FOLDER / f"{board}.json").read_text())["panels"]:
            expressions |= {f"{board}: {panel['title']} {one['refId']}": one["expr"] for one in panel["targets"]}
    strange = {where: used - known - recorded for where, text in expressions.items() if (used := named(text)) - known}
    assert {where: found for where, found in strange.items() if found} == {}
    assert {name for text in expressions.values() for name in named(text)} - recorded >= set(names.GAUGES) - {
        "backup_destinations_never"
    }
    labels = {label for metric in names.ALL.values() for label in metric.labels} | {"le"}
    used = {label for text in expressions.values() for label in re.findall(r"[{,]\s*(\w+)\s*(?:=|!)", text)}
    assert used - labels == set()


def named(expression: str) -> set[str]:
    """The names of series in an expression."""
    text = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(by|without) ?\([^)]*\)', " ", expression)
    words = set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\w*\s*\()", text))
    return {word for word in words if not re.search(rf"\b{re.escape(word)}\s*\(", text)} - {"and", "or", "unless"}


def test_a_name_that_is_not_there_would_be_found() -> None:
    assert named('sum by (le) (rate(http_x_bucket{route="a"}[5m])) / backup_y and topk(3, z)') == {
        "http_x_bucket",
        "backup_y",
        "z",
    }


def test_every_alert_leads_to_what_to_do() -> None:
    page = (FOLDER.parents[1] / "docs" / "guide" / "monitoring.md").read_text(encoding="utf-8")
    anchors = {re.sub(r"[^a-z0-9 -]", "", line.strip("# ").lower()).replace(" ", "-") for line in page.splitlines()}
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("page", "ticket")
            book, _, anchor = rule["annotations"]["runbook"].partition("#")
            assert book == "docs/guide/monitoring.md"
            assert anchor in anchors, rule["alert"]
