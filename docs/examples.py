#!/usr/bin/env python3
"""Run the examples of docs/examples/ as a person would, and write down what they print today.

Each page holds prose and blocks like this one; what follows a line with a dollar is what the command printed:

    ```console
    $ chatkeep list
    …
    ```

All pages are one story in one scratch folder with one archive, in the order of `STORY`, so a later page may use what an
earlier one made. A block of another kind (```text) is only shown. What differs from run to run (ids, times, sizes,
keys) counts as equal, so that a page changes only when the program says something else.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PAGES = Path(__file__).parent / "examples"
STORY = (
    "import",
    "list",
    "search",
    "show",
    "export",
    "trash",
    "undo",
    "connect-folder",
    "connections",
    "connections-test",
    "connections-rotate-secret",
    "backup",
    "snapshots",
    "keys-list",
    "keys-test",
    "keys-passphrase",
    "keys-recovery",
    "keys-remove",
    "keys-renew",
    "check",
    "tidy",
    "drill",
    "restore",
    "copies",
    "schedule-set",
    "status",
    "doctor",
    "sync",
    "delete",
    "conflicts",
    "forget",
    "disconnect",
)
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HOME = "/home/ana"
VARYING = (
    (re.compile(r"\b(?:[A-Z0-9]{5}-){5,}[A-Z0-9]{5}\b"), "KEY"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?"), "TIME"),
    (re.compile(r"\b[0-9a-f]{8}(?:[0-9a-f-]{28}|[0-9a-f]{56})?\b"), "ID"),
    (re.compile(r"\b\d+\.\d+\.\d+\b"), "VERSION"),
    (re.compile(r"\b[\d,.]+ (?:[kMGT]?B|ms|bytes)\b"), "SIZE"),
    (re.compile(r'"(bytes\w*|free|used|total|requests|read)": \d+'), r'"\1": N'),
    (re.compile(r"\d+ requests"), "N requests"),
    (re.compile(r"[ \t]+"), " "),
)


class Scratch:
    """A folder like the home of somebody who has just fetched exports, and a shell in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(PAGES / "input", folder, dirs_exist_ok=True)
        program = folder / ".bin" / "chatkeep"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m chatkeep "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CHATKEEP_", "RESTIC_"))},
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(PAGES.parent.parent / "src"),
            "HOME": str(folder),
            "CHATKEEP_HOME": str(folder / ".chats"),
            "CHATKEEP_DEVICE": "laptop",
            "COLUMNS": "100",
            "TZ": "UTC",
        }

    def prints(self, command: str) -> str:
        """What a command prints, to both outputs, with the name of a person's folder in the place of ours."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.stdout.decode().replace(str(self.folder), HOME)


def retold(page: str, scratch: Scratch) -> str:
    """The page with what its commands print today, where that is not what it says already."""
    return BLOCK.sub(lambda block: f"```console\n{_block_today(block[1], scratch)}```", page)


def _block_today(block: str, scratch: Scratch) -> str:
    commands = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    today = "".join(f"$ {command}\n{_ended(scratch.prints(command))}" for command in commands)
    return block if alike(block) == alike(today) else today


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def alike(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, instead in VARYING:
        text = pattern.sub(instead, text)
    return text


def pages_today(folder: Path) -> dict[Path, str]:
    """Every page of the story as it should be, told anew in an empty folder."""
    scratch = Scratch(folder)
    pages = [PAGES / f"{name}.md" for name in STORY]
    return {page: retold(page.read_text(encoding="utf-8"), scratch) for page in pages}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for page, text in pages_today(Path(folder)).items():
            page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
