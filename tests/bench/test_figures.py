"""A figure is what the process took, and the table says plainly whether it was reached."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from corpus.item import Settings
from corpus.write import Order, write_corpus
from figures.measure import Cost, Failed, cost_of, interleaved
from figures.ranked import plain
from figures.table import Row, head, line
from floor import main as floor


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_cost_counts_time_processor_and_memory_of_the_process() -> None:
    busy = cost_of(python("x = bytearray(b'1') * 150_000_000; sum(i * i for i in range(2_000_000))"))
    ballast = bytearray(b"1") * 200_000_000  # of the process that measures: no part of the figure
    idle = cost_of(python("import time; time.sleep(0.3); print('done')"))
    assert idle.output == "done\n"
    assert idle.wall > 0.3 > idle.cpu
    assert busy.cpu > idle.cpu
    assert busy.peak > 150 > idle.peak
    assert ballast


def test_memory_of_several_processes_is_added_up() -> None:
    program = "import os, time; p = os.fork(); x = bytearray(b'1') * 80_000_000; time.sleep(0.6); p and os.wait()"
    assert cost_of(python(program)).peak > 150


def test_what_is_measured_keeps_what_python_compiled_as_an_installed_program_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert cost_of(python("import sys; print(sys.dont_write_bytecode)")).output == "False\n"


def test_a_command_that_fails_gives_no_figure() -> None:
    with pytest.raises(Failed, match="exit code 3"):
        cost_of(python("import sys; sys.exit(3)"))
    assert cost_of(python("import sys; sys.exit(3)"), accept=(0, 3)).cpu > 0


def test_runs_take_turns_and_the_median_counts() -> None:
    order: list[str] = []

    def run(name: str, walls: list[float], number: int) -> Cost:
        order.append(name)
        return Cost(walls[number], 0, 0, str(number))

    walls = {"a": [1.0, 9.0, 2.0], "b": [5.0, 5.0, 4.0]}
    costs = interleaved(3, {name: lambda n, name=name: run(name, walls[name], n) for name in walls})
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert (costs["a"].wall, costs["b"].wall) == (2.0, 5.0)


def test_the_table_tells_reached_from_not_reached() -> None:
    rows = [
        Row(what="quick", ours=5, peer=50, peer_name="other", reach=1 / 6),
        Row(what="slow", ours=40, peer=50, peer_name="other", reach=1 / 6),
        Row(what="big", ours=150, unit="MB", reach=200),
        Row(what="short", ours=0.1, reach=0.3),
        Row(what="told", ours=1.25),
    ]
    assert [part.count("|") for part in (*head().splitlines(), line(rows[0]))] == [7, 7, 7]
    assert [line(row) for row in rows] == [
        "| quick | 5 s | other 50 s | 1/10 | 1/6 | reached |",
        "| slow | 40 s | other 50 s | 1/1.25 | 1/6 | not reached |",
        "| big | 150 MB |  |  | 200 MB | reached |",
        "| short | 0.1 s |  |  | 0.3 s | reached |",
        "| told | 1.25 s |  |  |  |  |",
    ]


@pytest.mark.parametrize("layout", ["classic", "sharded"])
def test_the_floor_reads_every_message_of_a_corpus(
    tmp_path: Path, layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings("chatgpt", layout, 1, tame=True)
    truth = write_corpus(Order(settings=settings, conversations=130, out=tmp_path / "export.zip"))
    floor(str(tmp_path / "export.zip"), str(tmp_path / "floor.sqlite3"))
    assert capsys.readouterr().out == f"130 conversations, {truth['messages_nodes']} messages\n"
    found = plain(tmp_path / "floor.sqlite3")
    assert found.messages == truth["messages_nodes"]
    assert 0 < found.p50 <= found.p99
