"""Writing conversations: in batches, each one transaction, with the index filled on a second thread.

Rows are inserted on the caller's thread and the words of the index by one long statement on another, which runs beside
the caller's Python, as SQLite lets go of the interpreter meanwhile. A batch is closed when the next one is full, so
at most two are in memory. docs/design/archive.md gives the order of writes and what was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import zstandard

from chatkeep.archive import index
from chatkeep.archive.codes import ATTACHED
from chatkeep.archive.database import Database, Key, Rows, Store, explained, transaction
from chatkeep.archive.files import Files
from chatkeep.archive.rows import FRAME, LISTING, Prepared, outside, pack, pack_many, prepare, unpack
from chatkeep.errors import NotFound
from chatkeep.merge import merge
from chatkeep.model import Conversation, decode, encode, revision

BATCH_DOCUMENTS = 2000
_LEVEL = 1
_FEW = 4  # batches; an operation with fewer is small
_SMALL = 32  # conversations; waking another thread for so few takes longer than it saves
_SMALL_BYTES = 1 << 20
_MANY = 64  # batches, after which the index is looked after
SET_CURSOR = "INSERT INTO cursors VALUES (?, ?, ?) ON CONFLICT (archive, name) DO UPDATE SET value = excluded.value"
KEEP_ATTACHMENT = "INSERT INTO attachments VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_UPDATE_DOCUMENT = (
    f"UPDATE documents SET change = ?, revision = ?, {', '.join(f'{name} = ?' for name in LISTING)} WHERE number = ?"
)


OWN = -1


@dataclass(slots=True)
class Known:
    """A conversation that is there. number: 0 while it waits to be written."""

    number: int
    revision: str


@dataclass(slots=True)
class Put:
    """A conversation to be written over the revision `base`, "" when it is new.

    receipt: the number of the operation that brings it, OWN for the writer's, 0 for none.
    given: what was brought, if merging it with the base made `prepared` of it; else that is what was brought.
    contributes: whether undoing the receipt takes this back. replaces: given stands as it is, without merging.
    """

    prepared: Prepared
    base: str
    receipt: int
    given: Conversation | None = None
    contributes: bool = True
    replaces: bool = False

    def brought(self) -> Conversation:
        return self.given or decode(self.prepared.data)


@dataclass(slots=True)
class _Batch:
    puts: list[Put] = field(default_factory=list)
    statements: list[tuple[str, tuple[object, ...]]] = field(default_factory=list)
    acts: list[Callable[[Database], object]] = field(default_factory=list)
    size: int = 0


class Writer:
    """Writes to one archive; used by one thread at a time. `close` after `flush`, or what is left is dropped.

    beside: a statement at the beginning of every transaction, which gives the number of the operation's receipt.
    operation: that number, which `Put.receipt` means by OWN; 0 while there is none.
    revisions: of conversations that were looked up, and of few that were written.
    failed: a batch could not be written; what waits then must not be, as it may build on it.
    """

    def __init__(self, store: Store, files: Files, *, device: str = "") -> None:
        self.archive = store.key
        self.device = device
        self.files = files
        self.db = store.connect(cache_kib=24_576)
        self.reader = store.connect(cache_kib=4096)
        # One thread each: memory that SQLite lets go of is taken again by the thread that had it.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="chatkeep-index")
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="chatkeep-files")
        self._running: Future[None] | None = None
        self._batch = _Batch()
        self._waiting: dict[str, Put] = {}
        self._written: list[str] = []
        self.people: dict[tuple[str, str, str], int] = {}
        self._batches = 0
        self.failed = False
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.beside: Callable[[Database], Rows] | None = None
        self.operation = 0
        self._looked_up: dict[str, Known | None] = {}
        self.revisions: dict[str, str] = {}

    # -------------------------------------------------------------- what is there

    def look_up(self, ids: Collection[str]) -> tuple[bool, bool]:
        """Whether anything was ever removed, and whether there is a tombstone. ids: `known` knows them from now on.

        One statement, as each is a wait for the server where the archive is on one.
        """
        db = self.reader
        rows = db.execute(
            "SELECT f.removed, f.marked, k.id, k.number, k.revision FROM "
            "(SELECT EXISTS (SELECT 1 FROM removed WHERE archive = ?1) AS removed, "
            "EXISTS (SELECT 1 FROM tombstones WHERE archive = ?1) AS marked) AS f LEFT JOIN "
            f"(SELECT d.id, d.number, d.revision FROM {db.texts.replace('?', '?2')} CROSS JOIN documents d "
            "WHERE d.archive = ?1 AND d.id = value) AS k ON 1 = 1",
            (self.archive, db.many(ids)),
        ).fetchall()
        self._looked_up = dict.fromkeys(ids)
        there = {id: Known(number, revision) for _, _, id, number, revision in rows if id is not None}
        self._looked_up.update(there)
        self.revisions = {id: known.revision for id, known in there.items()}
        return bool(rows[0][0]), bool(rows[0][1])

    def known(self, id: str) -> Known | None:
        """The conversation of that id, among those that wait to be written too."""
        if (waiting := self._waiting.get(id)) is not None:
            return Known(0, waiting.prepared.revision)
        if id in self._looked_up:
            return self._looked_up[id]
        found = self.reader.execute(
            "SELECT number, revision FROM documents WHERE archive = ? AND id = ?", (self.archive, id)
        ).fetchone()
        return Known(*found) if found else None

    def load(self, id: str) -> Conversation:
        if (waiting := self._waiting.get(id)) is not None:
            return decode(waiting.prepared.data)
        return decode(self.document(id))

    def document(self, id: str) -> bytes:
        """The canonical bytes of a conversation as it was last written. Raises NotFound."""
        try:
            return read_document(self.reader, self.archive, id)
        except KeyError:
            raise NotFound(f"There is no conversation {id} in the archive any more") from None

    # -------------------------------------------------------------- what is to be written

    def put(self, put: Put) -> None:
        if put.prepared.id in self._waiting:
            self.flush()
        self._looked_up.pop(put.prepared.id, None)
        self._waiting[put.prepared.id] = put
        self._batch.puts.append(put)
        self._batch.size += len(put.prepared.data)

    def pace(self) -> None:
        """Begins to write what waits, if it is enough. Called between records, so that accounts are complete."""
        batch = self._batch
        full = batch.size >= self.db.batch_bytes or len(batch.puts) >= BATCH_DOCUMENTS
        if full or len(batch.statements) + len(batch.acts) >= 4 * BATCH_DOCUMENTS:
            self._send()

    def write_now(self, put: Put) -> None:
        """Writes one conversation within a transaction that the caller has begun on `db`."""
        batch = _Batch([put])
        written = self._read(batch)
        self._write(written, batch)
        written.insert_contents()
        self.db.index.put_in(written.to_index)

    def replace_outside(self, changed: Conversation, base: str) -> bool:
        """Writes a conversation of which only flags and labels differ from the revision `base`.

        False, and nothing is written, when that is not what is there. Spares the rows of all its messages.
        """
        data = encode(changed)
        with transaction(self.db):
            there = self.db.execute(
                "UPDATE documents SET change = coalesce((SELECT change FROM counters WHERE archive = ?1), 0) + 1, "
                "revision = ?2, bytes = ?3, labels = ?4, starred = ?5, archived = ?6 "
                "WHERE archive = ?1 AND id = ?7 AND revision = ?8 RETURNING number",
                (self.archive, revision(data), len(data), *outside(changed), changed.id, base),
            ).fetchone()
            if there is None:
                return False
            frames, packed = pack(data, self.compressor)
            self.db.execute("UPDATE contents SET frames = ?, data = ? WHERE document = ?", (frames, packed, *there))
            clock = max(edit.stamp[0] for edit in changed.user.values())
            self.db.execute(
                "UPDATE counters SET change = change + 1, clock = CASE WHEN clock < ?1 THEN ?1 ELSE clock END "
                "WHERE archive = ?2",
                (clock, self.archive),
            )
        return True

    def execute(self, statement: str, values: tuple[object, ...]) -> None:
        """A statement to be run within the transaction of the present batch, behind its conversations."""
        self._batch.statements.append((statement, values))

    def act(self, act: Callable[[Database], object]) -> None:
        """Something to be done within the transaction of the present batch, after all else."""
        self._batch.acts.append(act)

    def flush(self, *, always: bool = False) -> None:
        """Writes all that waits; when it returns, it is on disk. always: write what stands beside, if nothing else."""
        batch = self._batch
        if always or batch.puts or batch.statements or batch.acts:
            few = len(batch.puts) <= _SMALL and batch.size <= _SMALL_BYTES
            self._send(whole=few and not self._batches)
        self._settle()

    def flush_prints(self) -> None:
        """Writes what waits if a conversation among it could be taken for another one."""
        if any(put.prepared.prints for put in self._waiting.values()):
            self.flush()

    def tick(self) -> int:
        """The greatest counter of a stamp that the archive has seen."""
        found = self.reader.execute("SELECT clock FROM counters WHERE archive = ?", (self.archive,)).fetchone()
        return int(found[0]) if found else 0

    def tidy(self) -> None:
        """Joins some pieces of the index: all that is due after many batches, else a slice."""
        self._settle()
        if self._batches >= _FEW:
            self._join_pieces()
        else:
            self.db.index.join_some()

    def _join_pieces(self) -> None:
        if self.db.index.is_in_many_pieces():
            while self.db.index.join_some():
                pass

    def close(self) -> None:
        try:
            self._settle()
        finally:
            self._pool.shutdown()
            self._disk.shutdown()
            self.reader.close()
            self.db.close()

    # -------------------------------------------------------------- a batch

    def _settle(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            self.failed = True
            running.result()
            self.failed = False
            self._forget(self._written)

    def _forget(self, written: Sequence[str]) -> None:
        for id in written:
            self._waiting.pop(id, None)
        self._written = []

    def _send(self, *, whole: bool = False) -> None:
        """Begins to write what waits. whole: and ends it, on this thread alone."""
        self._settle()
        batch, self._batch = self._batch, _Batch()
        self.failed = True
        self.db.begin()
        try:
            with explained(self.db):
                written = self._read(batch)
                if whole:
                    self._write_whole(written, batch)
                else:
                    self._write(written, batch)
        except BaseException:
            self._roll_back()
            raise
        self.failed = False
        self._written = [put.prepared.id for put in batch.puts]
        if whole:
            self.revisions |= written.written
            self._batches += 1
            self._forget(self._written)
        else:
            self._running = self._pool.submit(self._complete, written)

    def _write_whole(self, written: _Transaction, batch: _Batch) -> None:
        kept = self.files.settle()
        with self.db.together():
            self._write(written, batch)
            written.insert_contents()
            self.db.index.put_in(written.to_index)
            self.db.executemany(KEEP_ATTACHMENT, [(self.archive, *one) for one in kept])
        self.db.commit()

    def _complete(self, written: _Transaction) -> None:
        """The second half of a batch, on the other thread: the documents, the index, the files, the commit.

        The files wait for the disk meanwhile, on a thread of their own.
        """
        settling = self._disk.submit(self.files.settle)
        try:
            with explained(self.db):
                try:
                    written.insert_contents()
                    self.db.index.put_in(written.to_index)
                finally:
                    kept = settling.result()  # nothing is moved any more once the write lock is let go
                self.db.executemany(KEEP_ATTACHMENT, [(self.archive, *one) for one in kept])
                self.db.commit()
        except BaseException:
            self._roll_back()
            raise
        self._batches += 1
        if self._batches % _MANY == 0:
            self._join_pieces()

    def _roll_back(self) -> None:
        self.people.clear()
        self.db.rollback()

    def _read(self, batch: _Batch) -> _Transaction:
        """Gathers the rows of a batch, beside those that are there."""
        transaction = _Transaction(self, batch.puts)
        for put in batch.puts:
            transaction.put(put)
        return transaction

    def _write(self, transaction: _Transaction, batch: _Batch) -> None:
        """Inserts the rows of a batch, except for what takes long."""
        transaction.insert()
        for statement, values in batch.statements:
            self.db.execute(statement, values)
        transaction.finish()
        for act in batch.acts:
            act(self.db)


class _Transaction:
    """The rows of one transaction, gathered and inserted together."""

    def __init__(self, writer: Writer, puts: Sequence[Put]) -> None:
        """puts: what will be put, so that what is there of it is read at once."""
        self.db, self.archive, self.people = writer.db, writer.archive, writer.people
        self.compressor, self.writer = writer.compressor, writer
        self.next_rows: dict[int, int] = {}
        self.there: dict[str, tuple[int, str, bool]] = {}
        self.new: list[str] = []
        self.written: dict[str, str] = {}
        self._look([put.prepared for put in puts])
        self.to_index: list[int] = []
        self.documents: list[tuple[object, ...]] = []
        self.contents: list[tuple[int, bytes]] = []
        self.messages: list[tuple[object, ...]] = []
        self.texts: list[tuple[int, int, str, str]] = []
        self.staged: list[tuple[int, int, str, str]] = []
        self.takes_part: list[tuple[int, int]] = []
        self.needs: list[tuple[object, ...]] = []
        self.prints: list[tuple[int, int]] = []

    def _look(self, prepared: Sequence[Prepared]) -> None:
        """Reads what there is, by statements that need not wait for one another."""
        db = self.db
        with db.together():
            noted = self.writer.beside(db) if self.writer.beside else None
            state = db.execute(
                "SELECT (SELECT change FROM counters WHERE archive = ?1), "
                "(SELECT clock FROM counters WHERE archive = ?1), "
                "(SELECT max(number) FROM documents WHERE number > ?2 AND number < ?3), "
                "EXISTS (SELECT 1 FROM removed WHERE archive = ?1)",
                (self.archive, db.first, db.last),
            )
            there = self._documents([one.id for one in prepared])
            used = self._used_rows({row.month for one in prepared for row in one.messages})
            people = db.people({person for one in prepared for person in one.people} - self.people.keys())
        if noted is not None and (operation := noted.fetchone()):
            [self.writer.operation] = operation
        change, clock, last, self.any_removed = state.fetchone()
        self.change: int = change or 0
        self.clock: int = clock or 0
        self.next_number: int = (last or db.first) + 1
        self.there = {id: (number, revision, bool(trashed)) for id, number, revision, trashed in there}
        self.next_rows = {begin - db.months: _first_row(begin << db.row_bits, last) for begin, *last in used}
        self.people.update({(id, name, role): number for id, name, role, number in people})

    def _documents(self, ids: Sequence[str]) -> Rows:
        db = self.db
        return db.execute(
            f"SELECT d.id, d.number, d.revision, d.trashed FROM {db.texts.replace('?', '?1')} CROSS JOIN documents d "
            "WHERE d.archive = ?2 AND d.id = value",
            (db.many(ids), self.archive),
        )

    def _used_rows(self, months: Collection[int]) -> Rows:
        """The last row of each month. Rows that stay while their document is written anew are in `texts` alone."""
        db = self.db
        last = "(SELECT max(row) FROM {} WHERE row >= value << ?1 AND row < (value + 1) << ?1)"
        return db.execute(
            f"SELECT value, {last.format('messages')}, {last.format('texts')} FROM {db.numbers.replace('?', '?2')}",
            (db.row_bits, db.many([db.months + month for month in months])),
        )

    def put(self, put: Put) -> None:
        new = put.prepared
        found = self.there.get(new.id)
        if (found[1] if found else "") != put.base and not put.replaces:
            # Somebody else wrote it since it was read.
            if not found and not put.contributes:
                return  # what was edited is gone
            new = self._again(put)
            if found and found[1] == new.revision:
                self.written[new.id] = new.revision
                return
        self.written[new.id] = new.revision
        self.change += 1
        self.clock = max(self.clock, new.clock)
        if found:
            self._replace(put, new, found[0], found[2])
        else:
            number, self.next_number = self.next_number, self.next_number + 1
            receipt = self._receipt(put)
            self.documents.append((number, self.archive, new.id, self.change, new.revision, receipt, *new.listing))
            self.new.append(new.id)
            self._gather(number, new, self._tags(new), {})

    def _receipt(self, put: Put) -> int:
        return self.writer.operation if put.receipt == OWN else put.receipt

    def _again(self, put: Put) -> Prepared:
        try:
            stored = decode(read_document(self.db, self.archive, put.prepared.id))
        except KeyError:
            return prepare(put.brought())
        return prepare(merge(stored, put.brought()))

    # -------------------------------------------------------------- a conversation that is there already

    def _replace(self, put: Put, new: Prepared, number: int, was_trashed: bool) -> None:
        if put.contributes:
            self._contribute(put, number)
        self.db.execute(_UPDATE_DOCUMENT, (self.change, new.revision, *new.listing, number))
        tags = self._tags(new)
        kept = self._clear(number, new, tags, was_trashed)
        self._gather(number, new, tags, kept)

    def _contribute(self, put: Put, number: int) -> None:
        """Notes what was brought, so that undoing it can make the conversation again from what others brought."""
        there = self.db.execute("SELECT 1 FROM contributions WHERE document = ?", (number,)).fetchone()
        receipt = 0
        if not there:
            receipt = self.db.execute("SELECT receipt FROM documents WHERE number = ?", (number,)).fetchone()[0]
            if not receipt and not self._receipt(put):
                return  # neither can be undone
        if not there or put.replaces:
            frames, data = self.db.execute("SELECT frames, data FROM contents WHERE document = ?", (number,)).fetchone()
            self._add_contribution(number, receipt, False, unpack(frames, data))
        self._add_contribution(number, self._receipt(put), put.replaces, encode(put.brought()))

    def _add_contribution(self, number: int, receipt: int, replaces: bool, data: bytes) -> None:
        self.db.execute(
            "INSERT INTO contributions (document, receipt, replaces, data) VALUES (?, ?, ?, ?)",
            (number, receipt, replaces, self.compressor.compress(data)),
        )

    def _clear(self, number: int, new: Prepared, tags: list[str], was_trashed: bool) -> dict[str, int]:
        """Removes the rows of a document but for texts that stay as they are: message id → row of those."""
        old = self.db.execute(
            "SELECT id, row, kind, text, tags FROM messages LEFT JOIN texts USING (row) WHERE document = ?", (number,)
        ).fetchall()
        wanted = {row.id: (row.month, row.kind, row.text, tag) for row, tag in zip(new.messages, tags, strict=True)}
        kept: dict[str, int] = {}
        gone: list[int] = []
        for id, row, kind, text, tag in old:
            if wanted.get(id) == ((row >> self.db.row_bits) - self.db.months, kind, text, tag):
                kept[id] = row
            elif text is not None:
                gone.append(row)
        if not was_trashed:
            self.db.index.take_out([*gone, *kept.values()] if new.trashed else gone)
        elif not new.trashed:
            self.to_index += kept.values()
        self.db.executemany("DELETE FROM texts WHERE row = ?", ((row,) for row in gone))
        for table in ("messages", "contents", "takes_part", "needs", "prints"):
            self.db.execute(f"DELETE FROM {table} WHERE document = ?", (number,))
        return kept

    # -------------------------------------------------------------- rows

    def _tags(self, new: Prepared) -> list[str]:
        """The tags of each message row: what filters ask for beside the words."""
        base = index.tag("p", new.platform) + (f" {index.tag('j', new.project)}" if new.project else "")
        people = {one[0]: f"{base} {index.tag('a', self._person(one))}" for one in new.people}
        plain = {False: "", True: " f"}
        return [people.get(row.author, base) + plain[bool(row.flags & ATTACHED)] for row in new.messages]

    def _gather(self, number: int, new: Prepared, tags: list[str], kept: dict[str, int]) -> None:
        self.contents.append((number, new.data))
        people = {one[0]: self._person(one) for one in new.people}
        self.takes_part += ((number, person) for person in people.values())
        self.needs += ((number, sha256, *what) for sha256, what in new.needs.items())
        self.prints += ((found, number) for found in new.prints)
        next_rows, messages = self.next_rows, self.messages
        for one, tag in zip(new.messages, tags, strict=True):
            row = kept.get(one.id) if kept else None
            if row is None:
                if (row := next_rows.get(one.month)) is None:
                    row = self._first_row(one.month)
                next_rows[one.month] = row + 1
                if one.text:
                    text = (row, one.kind, tag, one.text)
                    self.texts.append(text)
                    if not new.trashed:
                        self.to_index.append(row)
                        self.staged.append(text)
            messages.append(
                (
                    row,
                    number,
                    one.position,
                    one.id,
                    one.parent,
                    one.shown,
                    people.get(one.author),
                    one.flags,
                    one.sent_at,
                    one.start,
                    one.length,
                )
            )

    def _first_row(self, month: int) -> int:
        """The first free row of a month that was not looked for beforehand."""
        [(begin, *last)] = self._used_rows([month])
        return _first_row(begin << self.db.row_bits, last)

    def _person(self, one: tuple[str, str, str]) -> int:
        number = self.people.get(one)
        if number is None:
            self.db.execute(
                "INSERT INTO people (archive, id, name, role) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (self.archive, *one),
            )
            number = self.db.execute(
                f"SELECT number FROM people WHERE {self.db.same_person}", (self.archive, *one)
            ).fetchone()[0]
            self.people[one] = number
        return number

    def insert(self) -> None:
        db = self.db
        self.messages.sort()  # by row, which no two share
        self.texts.sort()
        db.insert("documents", self.documents)
        db.insert("messages", self.messages)
        db.insert("texts", self.texts)
        db.index.stage(self.staged)
        db.insert("takes_part", [*dict.fromkeys(self.takes_part)])
        db.insert("needs", self.needs)
        db.insert("prints", [*dict.fromkeys(self.prints)])

    def insert_contents(self) -> None:
        """Compresses and inserts the documents: a call and a statement, during both of which other threads run."""
        long = [(number, *pack(data, self.compressor)) for number, data in self.contents if len(data) > FRAME]
        short = [(number, data) for number, data in self.contents if len(data) <= FRAME]
        packed = pack_many([data for _, data in short], self.compressor) if short else []
        whole = [(number, None, data) for (number, _), data in zip(short, packed, strict=True)]
        self.db.insert_contents([*long, *whole])

    def finish(self) -> None:
        if self.any_removed and self.new:
            ids = f"SELECT value FROM {self.db.texts.replace('?', '?2')}"
            self.db.execute(
                f"DELETE FROM removed WHERE archive = ?1 AND id IN ({ids})",
                (self.archive, self.db.many(self.new)),
            )
        self.db.execute(
            "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT (archive) DO UPDATE SET change = excluded.change, "
            "clock = CASE WHEN counters.clock < excluded.clock THEN excluded.clock ELSE counters.clock END",
            (self.archive, self.change, self.clock),
        )


def _first_row(begin: int, used: Sequence[int | None]) -> int:
    return max([begin, *(row + 1 for row in used if row is not None)])


def remove_document(db: Database, archive: Key, number: int) -> None:
    """Removes a conversation and all rows about it, within the transaction of the caller."""
    id, trashed = db.execute("SELECT id, trashed FROM documents WHERE number = ?", (number,)).fetchone()
    rows = [row for (row,) in db.execute("SELECT row FROM messages WHERE document = ?", (number,))]
    if not trashed:
        db.index.take_out(rows)
    db.execute(f"DELETE FROM texts WHERE row IN (SELECT value FROM {db.numbers})", (db.many(rows),))
    for table in ("messages", "contents", "takes_part", "needs", "prints", "contributions", "confirmed"):
        db.execute(f"DELETE FROM {table} WHERE document = ?", (number,))
    db.execute("DELETE FROM documents WHERE number = ?", (number,))
    db.execute(
        "INSERT INTO counters VALUES (?, 1, 0) ON CONFLICT (archive) DO UPDATE SET change = counters.change + 1",
        (archive,),
    )
    db.execute(
        "INSERT INTO removed SELECT archive, ?, change FROM counters WHERE archive = ? "
        "ON CONFLICT (archive, id) DO UPDATE SET change = excluded.change",
        (id, archive),
    )


def read_document(db: Database, archive: Key, id: str) -> bytes:
    """The canonical bytes of a conversation by its whole id. Raises KeyError."""
    found = db.execute(
        "SELECT frames, data FROM contents WHERE document = "
        "(SELECT number FROM documents WHERE archive = ? AND id = ?)",
        (archive, id),
    ).fetchone()
    if found is None:
        raise KeyError(id)
    return unpack(*found)
