"""Walks of people through pages and commands, and how they are recorded.

With PICTURES=FOLDER every step of a walk is kept there: a picture at both widths, or what a command said.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from .test_in_a_browser import _overflow, _violations

PICTURES = os.environ.get("PICTURES", "")
PHONE: Any = {"width": 390, "height": 844}
DESK: Any = {"width": 1280, "height": 900}


@dataclass
class Walk:
    """A walk that is recorded, step by step. scripts: whether the pages run them, as axe needs."""

    name: str
    scripts: bool = True
    steps: int = 0

    def _next(self, what: str) -> Path | None:
        self.steps += 1
        if not PICTURES:
            return None
        folder = Path(PICTURES) / self.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self.steps:02}-{what.replace(' ', '-')}"

    def see(self, page: Page, what: str) -> None:
        """This page fits a desk and a phone, and axe sees nothing wrong; it is kept as a picture of each."""
        kept = self._next(what)
        for size, name in ((PHONE, "phone"), (DESK, "desk")):
            page.set_viewport_size(size)
            assert _overflow(page) <= 0, (what, name)
            assert not self.scripts or _violations(page) == [], (what, name)
            if kept:
                page.screenshot(path=f"{kept}-{name}.png", full_page=True)

    def said(self, command: str, answer: str) -> None:
        """What a command line said."""
        if kept := self._next("command"):
            kept.with_suffix(".txt").write_text(f"$ chatkeep {command}\n{answer}")
