"""Which old backups stay is set on a page, kept for the place, and what would go is shown before it goes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from django.test import Client

from chatkeep import vault
from chatkeep.archive import Archive
from chatkeep.connections import opening
from chatkeep.connections.models import Connection
from chatkeep.vault import keys

RULES = {"last": "1", "hourly": "0", "daily": "0", "weekly": "0", "monthly": "0", "yearly": "0"}


@pytest.fixture
def stick(
    keeper: Client,
    example_archive: Archive,
    work: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A place with three backups: of ten and of five days ago, and of now."""
    monkeypatch.setattr(keys, "COST_N", 2**10)
    keeper.post("/backups/connect", {"path": str(tmp_path / "stick"), "name": "stick"})
    for days in (10, 5, 0):
        moment = datetime.now(UTC) - timedelta(days=days)
        at = partial(vault.open_with_master_key, clock=lambda moment=moment: moment)
        monkeypatch.setattr(opening, "open_with_master_key", at)
        example_archive.edit(example_archive.listing()[0].id, "title", f"{days} days ago")
        keeper.post("/backups/stick/do", {"do": "backup"})
        work()
    return tmp_path / "stick"


def _count(stick: Path) -> int:
    return len(list(stick.rglob("snapshots/*")))


def test_what_would_go_is_shown_and_then_goes(keeper: Client, stick: Path, work: Callable[[], None]) -> None:
    assert _count(stick) == 3
    look = keeper.post("/backups/stick/kept", {**RULES, "do": "look"})
    work()
    page = keeper.get(look.headers["Location"]).content.decode()
    assert page.count("Would go") == 2
    assert _count(stick) == 3
    tidy = keeper.post("/backups/stick/kept", {**RULES, "do": "tidy"})
    work()
    assert "Gone" in keeper.get(tidy.headers["Location"]).content.decode()
    assert _count(stick) == 1


def test_the_rules_are_kept_for_the_place(keeper: Client, stick: Path) -> None:
    assert 'name="daily" min="0" max="9999" required value="14"' in keeper.get("/backups/stick/kept").content.decode()
    assert keeper.post("/backups/stick/kept", {**RULES, "daily": "365", "do": "save"}).status_code == 302
    assert Connection.objects.get().retention == {**{rule: int(n) for rule, n in RULES.items()}, "daily": 365}
    assert 'name="daily" min="0" max="9999" required value="365"' in keeper.get("/backups/stick/kept").content.decode()


@pytest.mark.parametrize("given", [{"daily": "-1"}, {"daily": ""}, {"daily": "many"}, {"daily": "99999"}, {"do": "x"}])
def test_what_is_no_rule_is_refused_and_nothing_changes(keeper: Client, stick: Path, given: dict[str, str]) -> None:
    assert keeper.post("/backups/stick/kept", {**RULES, "do": "save", **given}).status_code == 400
    assert Connection.objects.get().retention is None
