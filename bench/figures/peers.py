"""The programs we measure beside: where they are, which version, and how they are asked for the same work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .measure import Cost, cost_of

PASSPHRASE = "a passphrase for figures"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chatkeep-bench"
CONVOVIZ = "convoviz==0.7.6"  # wants Python 3.12; the 0.1.7 that Python 3.11 gets has no command to call
FLOOR = Path(__file__).parent.parent / "floor.py"


def version_of(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return (done.stdout or done.stderr).strip().split("\n")[0]


def python_start() -> Cost:
    """What a Python process costs that does nothing."""
    return cost_of([sys.executable, "-c", "pass"])


def floor(export: Path, folder: Path) -> Cost:
    """The floor script, with the same Python as the product."""
    return cost_of([sys.executable, FLOOR, export, folder / "floor.sqlite3"])


class Convoviz:
    """Converts an export of ChatGPT to Markdown."""

    def __init__(self, program: Path) -> None:
        self.program = program
        self.version = f"convoviz {version_of(str(program), '--version').split()[-1]}"

    @classmethod
    def installed(cls) -> Convoviz | None:
        """In an environment of its own outside this tree; None where no Python is new enough."""
        program = CACHE / "convoviz" / "bin" / "convoviz"
        if program.exists():
            return cls(program)
        python = next(_newer_pythons(), None)
        if python is None:
            return None
        subprocess.run([python, "-m", "venv", "--clear", str(CACHE / "convoviz")], check=True)
        install = [str(program.with_name("python")), "-m", "pip", "install", "--quiet", CONVOVIZ]
        subprocess.run(install, check=True, stdin=subprocess.DEVNULL)
        return cls(program)

    def convert(self, export: Path, out: Path) -> Cost:
        quiet = ("--no-interactive", "--quiet", "--outputs", "markdown")
        return cost_of([self.program, *quiet, "--input", export, "--output", out])


def _newer_pythons() -> Iterator[str]:
    """Pythons from 3.12 on: the one of PEER_PYTHON, those on the PATH, those of pyenv."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    pyenv = sorted(map(str, versions.glob("3.1[2-9]*/bin/python3")), reverse=True)
    for python in (os.environ.get("PEER_PYTHON", ""), "python3.13", "python3.12", "python3.14", *pyenv):
        new = "import sys; sys.exit(sys.version_info < (3, 12))"
        if (
            shutil.which(python)
            and not subprocess.run([python, "-c", new], capture_output=True, check=False).returncode
        ):
            yield python


class Restic:
    """Backs up a folder of files into a repository in a folder."""

    def __init__(self, repository: Path) -> None:
        self.version = version_of("restic", "version")
        self.env = {
            "RESTIC_REPOSITORY": str(repository),
            "RESTIC_PASSWORD": PASSPHRASE,
            "RESTIC_CACHE_DIR": str(repository.with_name(repository.name + "-cache")),
        }

    def create(self) -> None:
        cost_of(["restic", "init"], env=self.env)

    def back_up(self, folder: Path) -> Cost:
        return cost_of(["restic", "backup", "--quiet", folder], env=self.env)

    def restore(self, folder: Path) -> Cost:
        return cost_of(["restic", "restore", "latest", "--quiet", "--target", folder], env=self.env)


def ripgrep(word: str, folder: Path) -> Cost:
    """The files that hold a word."""
    return cost_of(["rg", "--files-with-matches", "--fixed-strings", word, folder], accept=(0, 1))
