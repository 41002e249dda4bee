"""Ranked search inside one process, over an archive that is open: what a page of the web app waits for."""

from __future__ import annotations

import random
import sqlite3
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from chatkeep.archive import Archive
from corpus.blocks import text_model

PLAIN = """
SELECT message.id, snippet(search, 0, '[', ']', '…', 12) FROM search JOIN message ON message.number = search.rowid
WHERE search MATCH ? ORDER BY rank LIMIT 20
"""


class Latency(NamedTuple):
    """Half of the searches and 99 of 100 took no longer [ms]; over how many messages. first: of those that were the
    first for their word since the archive was opened, 99 of 100 took no longer [ms].
    """

    p50: float
    p99: float
    first: float
    messages: int


def words(count: int = 200) -> list[str]:
    """Words of the corpus: half as they occur in it, so mostly common ones; half as they stand in its vocabulary."""
    tape = text_model(1, tame=True).tapes["en"][0].split()
    rng = random.Random("ranked")
    clean = [word.strip(".?!").lower() for word in rng.choices(tape, k=count // 2)]
    return clean + rng.sample(sorted({word.strip(".?!").lower() for word in tape}), count // 2)


def ours(home: Path) -> Latency:
    """What the archive's own search takes."""
    with Archive.open(home) as archive:
        return timed(archive.search, messages=archive.counts().messages)


def plain(database: Path) -> Latency:
    """What `ORDER BY rank` takes on the floor's index."""
    db = sqlite3.connect(database)
    (messages,) = db.execute("SELECT count(*) FROM message").fetchone()
    found = timed(lambda word: db.execute(PLAIN, (f'"{word}"',)).fetchall(), messages=messages)
    db.close()
    return found


def timed(search: Callable[[str], object], *, messages: int) -> Latency:
    """Each word twice. The first time tells of the disk as well: what was lately written or read is in memory."""
    first, took = _round(search), _round(search)
    return Latency(statistics.median(took), _p99(took), _p99(first), messages)


def _round(search: Callable[[str], object]) -> list[float]:
    took = []
    for word in words():
        begin = time.perf_counter()
        search(word)
        took.append((time.perf_counter() - begin) * 1000)
    return took


def _p99(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98]
