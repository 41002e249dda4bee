"""What the archive on PostgreSQL takes: importing, and searching one archive among many.

on_server.py EXPORT.zip [ARCHIVES]

Runs a PostgreSQL of its own (with fsync, unlike the tests'). Imports the export into one archive, and conversations of
its own into ARCHIVES others; then asks for words, pairs, phrases and beginnings in the large one and in a small one.
Prints JSON.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "src")]

import postgres  # type: ignore[import-not-found]
from archive.talks import talk  # type: ignore[import-not-found]
from chatkeep import operations
from chatkeep.archive import Archive, server, vectors


def words_of(archive: Archive) -> list[str]:
    """Words as they occur, so that frequent ones are asked for more often."""
    found: Counter[str] = Counter()
    for number, conversation in enumerate(archive.documents()):
        for message in conversation.messages:
            for part in message.parts:
                found.update(vectors.tokens(part.text))
        if number > 300:
            break
    words = [word for word in found if len(word) > 1]
    return random.Random(1).choices(words, weights=[found[word] for word in words], k=400)


def asked(archive: Archive, queries: list[str]) -> dict[str, float]:
    """Milliseconds of a search: the median, and what 99 of 100 stay within."""
    took = []
    for query in queries:
        start = time.perf_counter()
        archive.search(query)
        took.append((time.perf_counter() - start) * 1000)
    took.sort()
    return {"median": round(took[len(took) // 2], 1), "p99": round(took[len(took) * 99 // 100], 1)}


def main(export: Path, archives: int) -> None:
    with postgres.running(fsync="on", full_page_writes="on", shared_buffers="512MB") as cluster:
        url, folder = cluster.fresh(), Path(tempfile.mkdtemp(prefix="chatkeep-bench-"))
        big = Archive.open(folder / "big", archive_id="big", database=url)
        start, cpu = time.perf_counter(), time.process_time()
        report = operations.import_from(big, [export])
        took, own = time.perf_counter() - start, time.process_time() - cpu
        figures: dict[str, object] = {
            "import": {
                "conversations": report.added,
                "messages": report.messages,
                "seconds": round(took, 1),
                "seconds of this process": round(own, 1),
            }
        }
        words = words_of(big)
        figures["large archive, alone: a word"] = asked(big, words[:200])
        start = time.perf_counter()
        for number in range(archives):
            small = Archive.open(folder / str(number), archive_id=f"{number:032x}", database=url)
            small.apply([talk(f"{number}-{at}", [" ".join(words[at : at + 40])] * 4) for at in range(10)])
        figures["small archives"] = {"archives": archives, "seconds": round(time.perf_counter() - start, 1)}
        figures["large archive: a word"] = asked(big, words[:200])
        figures["large archive: two words"] = asked(
            big, [f"{a} {b}" for a, b in zip(words, words[100:200], strict=False)]
        )
        figures["large archive: a phrase"] = asked(big, [f'"{a} {b}"' for a, b in itertools.pairwise(words[:100])])
        figures["large archive: a beginning"] = asked(big, [f"{a[:3]}*" for a in words[:100]])
        small = Archive.open(folder / "7", archive_id=f"{7:032x}", database=url)
        figures["a small archive: a word"] = asked(small, words[:200])
        with big._store._pool.one() as held:  # type: ignore[attr-defined]
            sizes = held.execute(
                "SELECT relname, pg_total_relation_size(oid) / 1048576 FROM pg_class WHERE relkind = 'r' AND "
                "relnamespace = 'archive'::regnamespace ORDER BY 2 DESC LIMIT 6"
            ).fetchall()
            sizes += held.execute("SELECT 'found_by_words', pg_relation_size('found_by_words') / 1048576").fetchall()
        figures["MiB"] = dict(sizes)
        print(json.dumps(figures, indent=2))
        server.close_all()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
