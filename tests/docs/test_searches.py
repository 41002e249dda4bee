"""The searches that the first page and the guide show are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from chatkeep.archive.query import parse

ROOT = Path(__file__).parent.parent.parent


def test_every_search_that_is_shown_is_understood() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs/guide").glob("*.md"))]
    shown = [line for page in pages for line in re.findall(r"chatkeep search (.+)", page.read_text("utf-8"))]
    assert len(shown) >= 4
    for line in shown:
        parse(" ".join(word for word in shlex.split(line, comments=True) if not word.startswith("--")))
