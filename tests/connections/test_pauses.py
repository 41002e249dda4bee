"""Pauses that providers ask for, as all processes know them: nobody asks before, and nobody waits for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import OperationalError
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chatkeep.connections import opening, pacing
from chatkeep.connections.installation import Installation
from chatkeep.connections.models import Connection, Pause
from chatkeep.connections.pacing import KeptPause
from chatkeep.errors import SlowDown
from chatkeep.providers import Gate
from connections.attic import attic

pytestmark = pytest.mark.django_db(transaction=True)


class Clocks:
    """The clock of the database and the one of a process, which nobody sets."""

    def __init__(self) -> None:
        self.date = timezone.now()
        self.steady = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_by(seconds)

    def pass_by(self, seconds: float) -> None:
        self.steady += seconds
        self.date += timedelta(seconds=seconds)

    def told(self) -> datetime:
        return self.date


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks()
    monkeypatch.setattr(pacing, "_now", made.told)
    return made


@pytest.fixture
def process(clocks: Clocks) -> Callable[..., Gate]:
    """The gate of one account in one more process. kept: with the others' pauses; the control is without."""

    def opened(account: str = "p1", *, kept: bool = True) -> Gate:
        shared = KeptPause("attic", account) if kept else None
        return Gate(clock=lambda: clocks.steady, sleep=clocks.sleep, shared=shared)

    return opened


def test_a_pause_that_one_process_was_asked_for_holds_one_that_begins(
    process: Callable[..., Gate], clocks: Clocks
) -> None:
    process().close_for(20)
    clocks.pass_by(5)
    process().wait()
    assert clocks.slept == [pytest.approx(15)]


def test_without_the_keeping_the_other_process_asks_too_early(process: Callable[..., Gate], clocks: Clocks) -> None:
    process(kept=False).close_for(20)
    process(kept=False).wait()
    assert clocks.slept == []


def test_a_process_at_work_hears_of_a_pause_within_a_second(process: Callable[..., Gate], clocks: Clocks) -> None:
    one, other = process(), process()
    other.wait()
    one.close_for(20)
    clocks.pass_by(1)
    other.wait()
    assert clocks.slept == [pytest.approx(19)]


def test_a_long_pause_of_another_process_is_passed_on_to_the_job(process: Callable[..., Gate], clocks: Clocks) -> None:
    process().close_for(600)
    with pytest.raises(SlowDown) as raised:
        process().wait()
    assert raised.value.wait_s == pytest.approx(600)


def test_a_pause_that_becomes_longer_while_another_waits_is_waited_for_to_its_end(
    process: Callable[..., Gate], clocks: Clocks
) -> None:
    one, other = process(), process()
    one.close_for(10)
    other.look()
    clocks.pass_by(5)
    one.close_for(25)
    began = clocks.steady
    other.wait()
    assert clocks.steady - began == pytest.approx(25)


def test_a_shorter_pause_does_not_end_a_longer_one(process: Callable[..., Gate], clocks: Clocks) -> None:
    process().close_for(25)
    process().close_for(3)
    process().wait()
    assert clocks.slept == [pytest.approx(25)]


def test_another_account_is_not_held(process: Callable[..., Gate], clocks: Clocks) -> None:
    process("p1").close_for(20)
    process("p2").wait()
    assert clocks.slept == []


def test_a_clock_that_is_set_back_holds_nobody_longer_than_the_pause_once_more(
    process: Callable[..., Gate], clocks: Clocks
) -> None:
    process().close_for(20)
    clocks.date -= timedelta(days=400)
    process().wait()
    assert sum(clocks.slept) == pytest.approx(20)
    process().wait()
    assert sum(clocks.slept) == pytest.approx(20)


def test_a_pause_can_be_asked_for_after_the_clock_was_set_back(process: Callable[..., Gate], clocks: Clocks) -> None:
    process().close_for(3000)
    clocks.date -= timedelta(days=400)
    process().close_for(10)
    process().wait()
    assert sum(clocks.slept) == pytest.approx(10)


@pytest.mark.parametrize("ahead_s", [7200, 400 * 86400])
def test_no_row_holds_anybody_longer_than_an_hour(process: Callable[..., Gate], clocks: Clocks, ahead_s: float) -> None:
    process().close_for(20)
    Pause.objects.update(opens_at=clocks.date + timedelta(seconds=ahead_s))
    with pytest.raises(SlowDown) as raised:
        process().wait()
    assert raised.value.wait_s == pytest.approx(3600)
    clocks.pass_by(3600)
    process().wait()


def test_short_pauses_are_nobody_elses(process: Callable[..., Gate]) -> None:
    process().close_for(0.9)
    assert not Pause.objects.exists()


def test_many_threads_that_are_told_the_same_write_it_once(process: Callable[..., Gate]) -> None:
    gate = process()
    gate.close_for(20)
    with CaptureQueriesContext(database) as asked:
        for _ in range(16):
            gate.close_for(20)
    assert len(asked) == 0


def test_a_thousand_requests_within_a_second_ask_the_database_once(process: Callable[..., Gate]) -> None:
    gate = process()
    with CaptureQueriesContext(database) as asked:
        for _ in range(1000):
            gate.wait()
    assert len(asked) == 1


def test_a_database_that_does_not_answer_breaks_no_request(
    process: Callable[..., Gate], clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> datetime:
        raise OperationalError("gone")

    process().close_for(20)
    monkeypatch.setattr(pacing, "_now", broken)
    gate = process()
    gate.wait()
    assert clocks.slept == []
    assert gate.close_for(10) == 10
    gate.wait()
    assert clocks.slept == [pytest.approx(10)]


def test_a_row_tells_nobody_whose_account_it_is_and_goes_when_it_is_of_no_use(
    process: Callable[..., Gate], clocks: Clocks
) -> None:
    process("alice@example.com").close_for(20)
    assert "alice" not in str(Pause.objects.values().get())
    clocks.pass_by(2 * 86400)
    process("p2").close_for(20)
    assert Pause.objects.count() == 1


SERVERS = ("DATABASE_URL", "CHATKEEP_KEY", "CHATKEEP_PUBLIC_URL")
OTHER = """
import sys
import time
from pathlib import Path
import django
django.setup()
from django.db import connections
connections["default"].settings_dict["NAME"] = sys.argv[2]
from connections.attic import NAME, SIGN_IN
from chatkeep import providers
from chatkeep.connections import opening
from chatkeep.connections.installation import Installation
from chatkeep.connections.models import Connection
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import Secrets
from chatkeep.providers import Gate
providers.register(providers.Provider(name=NAME, title="Attic", needs=(), open=lambda *_: None, sign_in=SIGN_IN))
row = Connection.objects.get()
if sys.argv[3] == "without":
    opening._gates[(row.provider, row.account_id)] = Gate()
home = Path(sys.argv[1])
gate = opening.means_of(row, Installation(home, Safe(Secrets(home)), "h", {NAME: ("cid", "csec")})).gate
if sys.argv[3] == "asks":
    print(gate.close_for(4.0), flush=True)
else:
    gate.wait()
    print(time.time(), flush=True)
"""


@pytest.mark.parametrize(("kept", "early"), [("with", False), ("without", True)])
def test_a_real_process_does_not_ask_before_the_pause_of_another_is_over(
    installation: Installation, tmp_path: Path, kept: str, early: bool
) -> None:
    """And the control without the keeping does."""
    with attic():
        Connection.objects.create(name="a", provider="attic", account_id=f"of {kept}", location={"client_id": "cid"})
        row = Connection.objects.get()
        means = opening.means_of(row, installation)
        assert means is not None
        over = time.time() + means.gate.close_for(12.0)
        asked = float(_process(installation, tmp_path, kept)())
    assert (asked < over) is early


def test_this_process_does_not_ask_before_the_pause_of_a_real_other_is_over(
    installation: Installation, tmp_path: Path
) -> None:
    with attic():
        row = Connection.objects.create(name="a", provider="attic", account_id="of both", location={"client_id": "cid"})
        means = opening.means_of(row, installation)
        assert means is not None
        assert float(_process(installation, tmp_path, "asks")()) == 4.0
        began = Pause.objects.get().opens_at
        time.sleep(1.0)  # by then it is asked again
        means.gate.wait()
        assert timezone.now() >= began - timedelta(seconds=0.05)


def _process(installation: Installation, tmp_path: Path, what: str) -> Callable[[], str]:
    """Start another process of this installation; the function gives what it tells when it has ended."""
    given = [str(installation.home), str(database.settings_dict["NAME"]), what]
    environment = {"CHATKEEP_HOME": str(tmp_path / "other"), "DJANGO_SETTINGS_MODULE": "chatkeep.web.configuration"}
    environment |= {"PYTHONPATH": ":".join(path for path in sys.path if path), "PATH": "/usr/bin:/bin"}
    environment |= {name: os.environ[name] for name in SERVERS if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, *given], stdout=subprocess.PIPE, text=True, env=environment
    )

    def ended() -> str:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        return out.strip()

    return ended
