"""What is true of an archive on PostgreSQL alone: its tables, its vectors, and texts that are too long for one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from archive.talks import take, talk
from archives import about_servers
from chatkeep.archive import Archive, kept, server, server_tables
from chatkeep.archive.vectors import tokens, vectors
from chatkeep.errors import NotFound, Unavailable, VaultTooNew
from postgres import Cluster, at_once, cut

pytestmark = about_servers


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    made = psycopg.connect(url, autocommit=True, cursor_factory=psycopg.RawCursor)
    made.execute("SET search_path = archive")
    return made


def test_tables_may_be_made_by_many_at_once(cluster: Cluster) -> None:
    url = cluster.fresh()

    def prepare(_: int) -> None:
        with connect(url) as held:
            server_tables.prepare(held)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(prepare, range(6)))
    with connect(url) as held:
        assert held.execute("SELECT value FROM versions WHERE name = 'tables'").fetchone() == (1,)


def test_the_version_before_works_on_the_tables_of_the_next(
    archive: Archive, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def second(held: psycopg.Connection[tuple[object, ...]]) -> None:
        held.execute("ALTER TABLE documents ADD COLUMN later integer NOT NULL DEFAULT 7")
        held.execute("ALTER TABLE attachments ADD COLUMN later integer NOT NULL DEFAULT 7")

    take(archive, talk("before", ["peas"]))
    with connect(database) as held:
        monkeypatch.setattr(server_tables, "MIGRATIONS", [*server_tables.MIGRATIONS, second])
        server_tables.prepare(held)
        monkeypatch.undo()
        server_tables.prepare(held)
        assert held.execute("SELECT value FROM versions WHERE name = 'tables'").fetchone() == (2,)
    take(archive, talk("after", ["peas"]))
    assert archive.search("peas").total == 2


def test_a_database_that_was_started_anew_is_asked_as_before(archive: Archive, database: str, tmp_path: Path) -> None:
    take(archive, talk("before", ["peas"]))
    cut(database)
    take(archive, talk("after", ["peas"]))
    cut(database)
    assert archive.search("peas").total == 2
    cut(database)
    with Archive.open(tmp_path / "another") as another:
        assert another.search("peas").total == 0


def test_all_connections_that_were_cut_are_left_at_once(archive: Archive, database: str, tmp_path: Path) -> None:
    """The pool's own check sleeps after each: with ten of them the thirty seconds for which one is waited are over."""
    at_once(10, server._pool(database).one)
    cut(database)
    with Archive.open(tmp_path / "another") as another:
        assert another.search("peas").total == 0


def test_unless_nobody_looks_at_a_connection_before_it_is_used(
    archive: Archive, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(archive, talk("before", ["peas"]))
    monkeypatch.setattr(kept, "_was_cut", lambda held: False)
    cut(database)
    with pytest.raises(Unavailable):
        Archive.open(tmp_path / "another")
    server._pool(database).connections.check()


def test_tables_that_need_a_later_version_are_refused(cluster: Cluster) -> None:
    with connect(cluster.fresh()) as held:
        server_tables.prepare(held)
        held.execute("INSERT INTO versions VALUES ('needs', 1000)")
        with pytest.raises(VaultTooNew):
            server_tables.prepare(held)


def test_very_long_texts_are_found_whole(archive: Archive) -> None:
    often = "na " * 400 + "hey jude"
    many = " ".join(f"w{number}" for number in range(60_000)) + " the end"
    take(archive, talk("often", [often]), talk("many", [many]), talk("short", ["hey ho, the beginning"]))
    assert len(vectors("1", 0, "", many)) > 1
    assert [archive.search(query).total for query in ('"na hey"', '"hey jude"', '"jude hey"', "jude na")] == [
        1,
        1,
        0,
        1,
    ]
    assert [archive.search(query).total for query in ("w59999 w1", '"the end"', '"end the"', "w5999*")] == [1, 1, 0, 1]
    assert archive.search("hey -jude").total == 1
    assert archive.search("w7 -w8").total == 0


def test_what_the_database_cannot_hold_in_a_text_is_not_found(archive: Archive) -> None:
    take(archive, talk("garden", ["peas"]))
    for odd in ("a\0b\0cd", "\ud800\ud800"):
        assert archive.search(f"peas {odd}x").total == 0
        with pytest.raises(NotFound):
            archive.load(odd)


def test_words_are_those_of_the_other_index() -> None:
    assert tokens("Crème BRÛLÉE, İstanbul; Straße_1") == ["creme", "brulee", "istanbul", "straße", "1"]


def test_a_database_that_is_not_there_is_told() -> None:
    from pathlib import Path
    from tempfile import mkdtemp

    from chatkeep.archive import server

    before = server.WAIT_S
    server.WAIT_S = 1.0
    try:
        with pytest.raises(Unavailable):
            Archive.open(Path(mkdtemp()), database="postgresql://nobody@/nothing?host=/does/not/exist")
    finally:
        server.WAIT_S = before
