"""An archive's file of an earlier version keeps what it had."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from archive.talks import said, take, talk
from archives import about_files
from chatkeep.archive import Archive
from chatkeep.model import Part

pytestmark = about_files


def test_attachments_that_all_archives_held_become_those_of_who_names_them(tmp_path: Path) -> None:
    hashes = {"own": "a" * 64, "family": "b" * 64}
    for id, sha256 in hashes.items():
        with Archive.open(tmp_path, archive_id=id) as archive:
            part = Part(type="attachment", sha256=sha256, name="p.png")
            take(archive, talk(id, messages=(said(id, 0, "", parts=(part,)),)))
    with closing(sqlite3.connect(tmp_path / "archive.sqlite3")) as db:
        db.execute("DROP TABLE attachments")
        db.execute("CREATE TABLE attachments (sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID")
        db.executemany("INSERT INTO attachments VALUES (?, 7)", [(one,) for one in (*hashes.values(), "c" * 64)])
        db.execute("PRAGMA user_version=2")
        db.commit()
    with Archive.open(tmp_path) as own, Archive.open(tmp_path, archive_id="family") as family:
        assert dict(own.held()) == {"a" * 64: 7, "c" * 64: 7}
        assert dict(family.held()) == {"b" * 64: 7}
