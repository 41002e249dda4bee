"""Ready says why it is not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from chatkeep.watching import readiness, signs
from chatkeep.watching.models import Sign
from chatkeep.web.pages import watched


def answers(browser: Client, query: str = "") -> tuple[int, dict[str, str]]:
    answer = browser.get(f"/ready{query}")
    return answer.status_code, answer.json()["answers"]


@pytest.fixture
def alive() -> None:
    signs.beat()


def test_the_process_lives_whatever_else_is_wrong(stranger: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(connection, "ensure_connection", _away)
        answer = stranger.get("/health")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.usefixtures("alive")
def test_it_is_ready_when_all_four_are_well(stranger: Client) -> None:
    assert answers(stranger) == (200, {"database": "ok", "migrations": "ok", "store": "ok", "worker": "ok"})


@pytest.mark.usefixtures("alive")
def test_it_is_not_ready_while_the_database_is_away_and_says_no_address(
    stranger: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "is_usable", _away)
    status, found = answers(stranger)
    assert status == 503
    assert found == {"database": "The database does not answer."}


@pytest.mark.usefixtures("alive")
def test_it_is_not_ready_before_the_database_is_up_to_date(stranger: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_migrated", False)
    monkeypatch.setattr(readiness.MigrationExecutor, "migration_plan", lambda *_: ["one"])
    status, found = answers(stranger)
    assert status == 503
    assert "chatkeep server migrate" in found["migrations"]


@pytest.mark.usefixtures("alive")
def test_it_is_not_ready_when_the_store_cannot_be_written(
    stranger: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import msgspec

    gone = msgspec.structs.replace(watched.CHATKEEP, home=tmp_path / "gone")
    monkeypatch.setattr(watched, "CHATKEEP", gone)
    status, found = answers(stranger)
    assert status == 503
    assert found["store"] == "The store of attachments cannot be written."
    assert str(tmp_path) not in str(found)


def test_it_is_not_ready_without_a_worker_unless_that_is_not_asked(stranger: Client) -> None:
    assert answers(stranger)[0] == 503
    assert answers(stranger, "?without=worker")[0] == 200
    signs.beat()
    assert answers(stranger)[0] == 200
    Sign.objects.update(at=timezone.now() - signs.SILENT - timedelta(seconds=1))
    status, found = answers(stranger)
    assert status == 503
    assert "worker" in found["worker"]


def test_a_worker_that_ends_in_order_takes_its_sign_back() -> None:
    signs.beat()
    assert signs.workers(timezone.now()) == 1
    signs.retire()
    assert signs.workers(timezone.now()) == 0


def test_signs_of_workers_long_gone_are_forgotten() -> None:
    Sign.objects.create(name="worker:gone:1:aa", at=timezone.now() - timedelta(days=2))
    signs.beat()
    assert [sign.name for sign in Sign.objects.all()] == [signs._mine]


def _away(*_: Any) -> None:
    raise OperationalError("could not connect to server at 10.1.2.3")
