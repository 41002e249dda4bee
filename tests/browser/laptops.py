"""A laptop as a person has one: a data folder of its own, the command line, and the app in a browser."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from .test_connecting import CHATKEEP, DESK, Clouds, _base, _started
from .walking import Walk


@dataclass
class Laptop:
    """One machine. clouds: what it can reach."""

    name: str
    folder: Path
    clouds: Clouds
    walk: Walk
    given: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "CHATKEEP_HOME": str(self.folder / "data"),
            "BROWSER": "curl --silent --location --output /dev/null %s",
        }
        return os.environ | self.given | self.clouds.settings | own

    def run(self, *arguments: str | Path, code: int = 0) -> str:
        """A command as it is typed; what it printed for people."""
        done = subprocess.run(
            [*CHATKEEP, *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        said = done.stdout + done.stderr
        if "--json" not in arguments:
            self.walk.said(" ".join(map(str, arguments)), said)
        assert done.returncode == code, said
        return done.stdout

    def ask(self, *arguments: str | Path) -> Any:
        """The same for a script: its --json."""
        return json.loads(self.run(*arguments, "--json"))

    def conversations(self) -> dict[str, str]:
        """Titles by id."""
        return {one["id"]: one["title"] for one in self.ask("list")}

    @contextmanager
    def app(self, browser: Browser) -> Iterator[Page]:
        """A page of its app, signed in."""
        with _started(self.environment) as link:
            context = browser.new_context(base_url=_base(link), viewport=DESK)
            context.set_default_timeout(30_000)
            page = context.new_page()
            page.goto(link)
            yield page
            context.close()
