#!/usr/bin/env python3
"""The floor under an import: the least code that makes a ChatGPT export searchable on this machine.

Inflate, split the array into conversations, orjson each, keep it compressed, insert its messages, index them with
FTS5. One thread, large transactions, no checks: no branches, no receipt, no odd bytes, no second import. What the
product takes longer than this is what its promises cost.

    floor.py EXPORT.zip ARCHIVE.sqlite3
"""

from __future__ import annotations

import sqlite3
import sys
import zipfile
from collections.abc import Iterator
from typing import IO, Any

import orjson
import zstandard

PIECE = 4 << 20
TRANSACTION = 500  # conversations
SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -65536;
CREATE TABLE conversation (id TEXT PRIMARY KEY, title TEXT, created REAL, document BLOB) WITHOUT ROWID;
CREATE TABLE message (number INTEGER PRIMARY KEY, id TEXT, conversation TEXT, author TEXT, sent REAL, text TEXT);
CREATE VIRTUAL TABLE search USING fts5 (text, content = message, content_rowid = number);
INSERT INTO search (search, rank) VALUES ('hashsize', 16777216), ('automerge', 0);
"""


def elements(stream: IO[bytes]) -> Iterator[tuple[bytes, Any]]:
    """The objects of a JSON array of conversations, each as its bytes and its value."""
    rest = b""
    while piece := stream.read(PIECE):
        *whole, rest = (rest + piece).replace(b'}, {"title":', b'}\0{"title":').split(b"\0")
        yield from ((part, orjson.loads(part)) for part in (raw.strip(b"[], \n") for raw in whole))
    if last := rest.strip(b"[], \n"):
        yield last, orjson.loads(last)


def messages(conversation: Any) -> Iterator[tuple[str, str, str, float | None, str]]:
    for node in conversation["mapping"].values():
        if message := node["message"]:
            content = message["content"]
            parts = content.get("parts") or [content.get("text") or ""]
            text = "\n".join(part for part in parts if isinstance(part, str))
            author = message["author"]["role"]
            yield message["id"], conversation["id"], author, message["create_time"], text


def main(export: str, archive: str) -> None:
    db = sqlite3.connect(archive, isolation_level=None)
    db.executescript(SCHEMA)
    compress = zstandard.ZstdCompressor(level=3).compress
    with zipfile.ZipFile(export) as source:
        db.execute("BEGIN")
        number = count = 0
        for name in sorted(n for n in source.namelist() if n.startswith("conversations") and n.endswith(".json")):
            with source.open(name) as stream:
                for data, value in elements(stream):
                    row = (value["id"], value["title"], value["create_time"], compress(data))
                    db.execute("INSERT INTO conversation VALUES (?, ?, ?, ?)", row)
                    rows = [(number + at, *row) for at, row in enumerate(messages(value))]
                    number += len(rows)
                    db.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)", rows)
                    db.executemany("INSERT INTO search (rowid, text) VALUES (?, ?)", ((r[0], r[5]) for r in rows))
                    count += 1
                    if count % TRANSACTION == 0:
                        db.execute("COMMIT")
                        db.execute("BEGIN")
        db.execute("COMMIT")
    db.close()
    print(f"{count} conversations, {number} messages")


if __name__ == "__main__":
    main(*sys.argv[1:])
