"""Chatkeep as its command line promises it, in a data folder of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from .measure import Cost, cost_of
from .peers import PASSPHRASE

PROGRAM = Path(sys.executable).with_name("chatkeep")


class Chatkeep:
    """One archive and its vaults; every verb is a process of its own."""

    def __init__(self, home: Path) -> None:
        self.env = {"CHATKEEP_HOME": str(home), "CHATKEEP_PASSPHRASE": PASSPHRASE}

    def run(self, *arguments: str | Path) -> Cost:
        # 3 is "done with problems": corpora have some on purpose.
        return cost_of([PROGRAM, *arguments], env=self.env, accept=(0, 3))

    def add(self, export: Path) -> Cost:
        return self.run("import", "--json", export)

    def export(self, form: str, out: Path) -> Cost:
        return self.run("export", "--format", form, "--out", out, "--json")

    def search(self, words: str) -> Cost:
        return self.run("search", "--json", words)

    def connect_folder(self, place: Path) -> Cost:
        place.mkdir(parents=True, exist_ok=True)
        return self.run("connect", "folder", place, "--json")

    def back_up(self) -> Cost:
        return self.run("backup", "--json")

    def restore(self) -> Cost:
        return self.run("restore", "--yes", "--json")


def answer(cost: Cost) -> Any:
    """What the command said, of its --json."""
    return json.loads(cost.output)
