"""What only a process shows: what is loaded, pipes, Ctrl-C, the shell."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import click
import pytest
from tests import exports

from chatkeep.cli import ending


def _run(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chatkeep", *arguments], env=_environment(home) | more, capture_output=True, text=True
    )


def _environment(home: Path) -> dict[str, str]:
    found = {name: value for name, value in os.environ.items() if not name.startswith("CHATKEEP_")}
    source = str(Path(__file__).parent.parent.parent / "src")
    return found | {"CHATKEEP_HOME": str(home), "PYTHONPATH": source}


_LOADED = """
import sys
from chatkeep.cli import cli
from chatkeep.cli.ending import run
code = run(cli, sys.argv[1:])
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


def _loaded(home: Path, *arguments: str) -> set[str]:
    command = [sys.executable, "-c", _LOADED, *arguments]
    ended = subprocess.run(command, env=_environment(home), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stderr.split())


def test_help_loads_next_to_nothing(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path, "--help")
    assert "click" in loaded
    assert not loaded & {"django", "rich", "sqlite3", "orjson", "cryptography", "zstandard"}


def test_finding_and_importing_do_without_django_and_crypto(tmp_path: Path) -> None:
    export = exports.two(tmp_path / "export.zip")
    for arguments in (["import", str(export)], ["list"], ["list", "--json"], ["search", "boat"], ["undo", "--list"]):
        loaded = _loaded(tmp_path / "home", *arguments)
        assert "sqlite3" in loaded
        assert not loaded & {"django", "cryptography"}, arguments


def test_in_a_pipe_there_is_no_progress_and_no_colour(tmp_path: Path) -> None:
    export = exports.two(tmp_path / "export.zip")
    ended = _run(tmp_path / "home", "import", str(export))
    assert (ended.returncode, ended.stderr) == (0, "")
    found = _run(tmp_path / "home", "search", "boat")
    assert "\x1b" not in found.stdout + found.stderr


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    exports.many(tmp_path / "export.zip", 300)
    _run(tmp_path / "home", "import", str(tmp_path / "export.zip"))
    command = [sys.executable, "-m", "chatkeep", "list", "--json"]
    process = subprocess.Popen(
        command, env=_environment(tmp_path / "home"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout
    assert process.stderr
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()


_STOPPED = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever starts the tests may have had it ignored
from chatkeep.cli import main
from chatkeep.archive.intake import Intake
take = Intake.take
def slowly(self, loaded, **more):
    take(self, loaded, **more)
    print("taken", file=sys.stderr, flush=True)
    time.sleep(0.05)
Intake.take = slowly
main(sys.argv[1:])
"""


def test_ctrl_c_leaves_whole_conversations_and_says_how_to_go_on(tmp_path: Path) -> None:
    export = exports.many(tmp_path / "export.zip", 200)
    home = tmp_path / "home"
    command = [sys.executable, "-c", _STOPPED, "import", str(export)]
    process = subprocess.Popen(command, env=_environment(home), stderr=subprocess.PIPE, text=True)
    assert process.stderr
    for _ in range(5):
        process.stderr.readline()
    process.send_signal(signal.SIGINT)
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 130
    assert "Stopped." in told
    assert "run the same command again" in told
    assert "Traceback" not in told
    again = _run(home, "import", str(export), "--json")
    assert '"added": 200' not in again.stdout
    assert len(_run(home, "list", "--json").stdout.split('"id"')) - 1 == 200


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_for_the_shell(tmp_path: Path, shell: str) -> None:
    ended = _run(tmp_path, "completion", shell)
    assert ended.returncode == 0
    assert "_CHATKEEP_COMPLETE" in ended.stdout


def test_completion_completes_commands_and_options(tmp_path: Path) -> None:
    asked = {"_CHATKEEP_COMPLETE": "bash_complete", "COMP_WORDS": "chatkeep sn", "COMP_CWORD": "1"}
    assert _run(tmp_path, **asked).stdout.split() == ["plain,snapshots"]
    asked = {"_CHATKEEP_COMPLETE": "bash_complete", "COMP_WORDS": "chatkeep list --pl", "COMP_CWORD": "2"}
    assert _run(tmp_path, **asked).stdout.split() == ["plain,--platform"]


def test_two_imports_at_once_lose_nothing(tmp_path: Path) -> None:
    exports.many(tmp_path / "a.zip", 60)
    exports.two(tmp_path / "b.zip")
    home = tmp_path / "home"
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "chatkeep", "import", str(tmp_path / name)],
            env=_environment(home),
            stdout=subprocess.DEVNULL,
        )
        for name in ("a.zip", "b.zip")
    ]
    assert [process.wait() for process in started] == [0, 0]
    assert len(_run(home, "list", "--json").stdout.split('"id"')) - 1 == 62


def test_a_killed_import_goes_on_with_nothing_doubled(tmp_path: Path) -> None:
    export = exports.many(tmp_path / "export.zip", 400)
    home = tmp_path / "home"
    command = [sys.executable, "-c", _STOPPED, "import", str(export)]
    process = subprocess.Popen(command, env=_environment(home), stderr=subprocess.PIPE)
    assert process.stderr
    process.stderr.readline()
    time.sleep(0.3)
    process.kill()
    process.wait()
    process.stderr.close()
    assert _run(home, "import", str(export)).returncode == 0
    listed = _run(home, "list", "--json").stdout
    assert len(listed.split('"id"')) - 1 == 400
    assert listed.count('"messages": 2') == 400


def test_closed_output_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m chatkeep list >&-"
    ended = subprocess.run(command, shell=True, env=_environment(tmp_path), stderr=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_is_wrong_with_a_file_is_said_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = _run(tmp_path / "file", "list")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"The system says of {tmp_path / 'file'}")


def test_a_database_that_is_none_is_named_so(tmp_path: Path) -> None:
    (tmp_path / "app.sqlite3").write_bytes(b"not a database" * 1000)
    ended = _run(tmp_path, "connections")
    assert ended.returncode == 1
    assert ended.stderr.startswith("A file in the data folder is no database.\n")


def test_a_full_disk_is_named_so(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def fill() -> None:
        with closing(sqlite3.connect(":memory:")) as database:
            database.execute("PRAGMA max_page_count = 1")
            database.execute("CREATE TABLE a (b)")

    assert ending.run(fill, []) == 1
    assert capsys.readouterr().err.startswith("The disk of the data folder is full.\nFree some space")
