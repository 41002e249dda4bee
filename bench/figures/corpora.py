"""Corpora for figures, made once and kept outside the tree."""

from __future__ import annotations

import os
from pathlib import Path

from corpus.item import Settings
from corpus.write import Order, write_corpus


class Corpora:
    """Exports of ChatGPT by size; tame, since convoviz stops at titles that no file system takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def chatgpt(self, conversations: int, *, layout: str, start: int = 0) -> Path:
        out = self.folder / f"chatgpt-{layout}-{start}-{conversations}.zip"
        order = Order(
            settings=Settings("chatgpt", layout, 1, tame=True),
            conversations=conversations,
            out=out,
            start=start,
            jobs=min(4, os.cpu_count() or 1),
        )
        if not order.truth_file.exists():
            write_corpus(order)
        return out
