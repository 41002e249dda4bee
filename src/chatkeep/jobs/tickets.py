"""Tickets: what PgQueuer carries from the rows of jobs to workers. One for each subject that has something due.

A ticket says "there is work on this subject" and nothing else, so that losing one or having it twice does no harm: the
row of the job says what is to be done, and the lease who does it. A subject has at most one ticket, queued or with a
worker (`dedupe_key`), so PgQueuer hands a subject to one worker at a time.

Order: by when the work was due, and what a person waits for as if it had been due HEAD_START earlier. So a person's
request passes all that the clock asked for in these minutes, and nothing waits for ever behind new requests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import psycopg
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.db import Driver, PsycopgDriver, SyncDriver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.domain.types import Channel
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries, SyncQueries
from psycopg.rows import dict_row

from chatkeep import providers
from chatkeep.connections.models import Connection
from chatkeep.jobs.models import Job, State
from chatkeep.jobs.queue import NEWS
from chatkeep.jobs.schedules import BY

SCHEMA = "queue"
ELSEWHERE = "archive"
"""The entrypoint of work that asks no provider, and of providers that this version does not know."""
HEAD_START = timedelta(minutes=10)
BATCH = 500
KEPT = timedelta(days=2)
_ZERO = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def settings() -> DBSettings:
    """The names of PgQueuer's tables, whatever the environment holds: it would take a variable called TRIGGER."""
    return DBSettings(
        prefix="",
        db_schema=SCHEMA,
        channel=Channel("ch_pgqueuer"),
        function="fn_pgqueuer_changed",
        statistics_table="pgqueuer_statistics",
        queue_status_type="pgqueuer_status",
        queue_table="pgqueuer",
        queue_table_log="pgqueuer_log",
        trigger="tg_pgqueuer_changed",
        schedules_table="pgqueuer_schedules",
    )


class Line(Driver):
    """A line to PostgreSQL for PgQueuer: one connection to ask with and one to listen with.

    PgQueuer's own driver has one for both, and whoever asks waits while it listens.
    """

    def __init__(self, asking: psycopg.AsyncConnection, listening: psycopg.AsyncConnection) -> None:
        self._connections = (asking, listening)
        self._asks, self._listens = PsycopgDriver(asking), PsycopgDriver(listening)
        self.fetch, self.execute, self.notify = self._asks.fetch, self._asks.execute, self._asks.notify  # type: ignore[method-assign]
        self._told: dict[str, list[Callable[[Any], None]]] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls) -> Any:
        """A line, while the block runs. Raises psycopg.OperationalError when PostgreSQL is not there."""
        async with (
            await psycopg.AsyncConnection.connect(**_address(), autocommit=True) as asking,
            await psycopg.AsyncConnection.connect(**_address(), autocommit=True) as listening,
        ):
            line = cls(asking, listening)
            for channel in (str(settings().channel), NEWS):
                await line._listen(channel)
            try:
                yield line
            finally:
                line.shutdown.set()  # else whoever listens still does when the connection is closed
                await line.tm.gather_tasks()

    async def _listen(self, channel: str) -> None:
        """Before anybody asks: whoever listens waits for a second until another channel is listened to as well."""
        told = self._told[channel] = []

        def hear(given: str | bytes | bytearray) -> None:
            for tell in told:
                tell(given)

        await self._listens.add_listener(channel, hear)

    async def add_listener(self, channel: str, callback: Callable[[Any], None]) -> None:
        self._told[channel].append(callback)

    @property
    def is_dead(self) -> bool:
        """Whether one of the connections has ended."""
        return any(connection.closed for connection in self._connections)

    @property
    def shutdown(self) -> Any:
        return self._listens.shutdown

    @property
    def tm(self) -> Any:
        return self._listens.tm

    async def __aenter__(self) -> Line:
        await self._listens.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._listens.__aexit__(*raised)


def manager(line: Line) -> QueueManager:
    """PgQueuer's worker on a line."""
    return QueueManager(_queries(line), channel=settings().channel)


async def install() -> None:
    """Make PgQueuer's tables, or bring them up to date. Of several that do so at once one does it."""
    async with await psycopg.AsyncConnection.connect(**_address(), autocommit=True) as connection:
        queries = _queries(PsycopgDriver(connection))
        await connection.execute("SELECT pg_advisory_lock(hashtext('chatkeep queue'))")  # ends with the connection
        if await queries.schema_is_installed():
            await queries.upgrade()
        else:
            await queries.install()


def hand_out(kinds: Collection[str]) -> int:
    """Give tickets to subjects that have something due of these kinds. How many jobs they stand for, BATCH at most.

    Several may do so at once and share the work. A job whose subject has a worker just now gets none yet.
    """
    running = Job.objects.filter(subject=OuterRef("subject"), state=State.RUNNING)
    waiting = Job.objects.filter(state=State.WAITING, carried=False, kind__in=kinds, due_at__lte=timezone.now())
    with transaction.atomic():
        found = waiting.exclude(Exists(running)).order_by("due_at").select_for_update(skip_locked=True, of=("self",))
        due = list(found.only("pk", "subject", "by", "due_at")[:BATCH])
        if not due:
            return 0
        ranks: dict[str, int] = {}
        for job in due:
            ranks[job.subject] = max(rank(job), ranks.get(job.subject, -(2**31)))
        _enqueue(ranks)
        queued = _queued(list(ranks))
        carried = [job.pk for job in due if job.subject in queued]
        return Job.objects.filter(pk__in=carried).update(carried=True)


def rank(job: Job) -> int:
    """The more, the sooner it is run [s]."""
    due = job.due_at - (timedelta() if job.by == BY else HEAD_START)
    return -int((due - _ZERO).total_seconds())


def take_back(subject: str) -> None:
    """Let what still waits for a subject get another ticket."""
    # Of all that wait, not only of those that are carried: one that is being marked just now is waited for.
    Job.objects.filter(subject=subject, state=State.WAITING).update(carried=False)


def mend() -> int:
    """Let jobs get a ticket whose ticket is gone, as after a crash of PostgreSQL or of a worker. How many."""
    sql = f"""UPDATE jobs_job SET carried = false WHERE id IN (
        SELECT job.id FROM jobs_job job LEFT JOIN {_TABLE} ticket ON ticket.dedupe_key = job.subject
            AND ticket.status IN ('queued', 'picked')
        WHERE job.state = 'waiting' AND job.carried AND ticket.id IS NULL)"""  # noqa: S608 - names of ours
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.rowcount)


def prune() -> None:
    """Drop what PgQueuer noted of tickets some days ago."""
    with connection.cursor() as cursor:
        for table in ("pgqueuer_log", "pgqueuer_statistics"):
            cursor.execute(f"DELETE FROM {SCHEMA}.{table} WHERE created < %s", [timezone.now() - KEPT])  # noqa: S608


def entrypoints() -> list[str]:
    """One for each provider, so that each has its own limit, and one for the rest."""
    return [*(provider.name for provider in providers.providers()), ELSEWHERE]


_TABLE = f"{SCHEMA}.pgqueuer"


class _InTransaction(SyncDriver):
    """Asks with Django's connection, in its transaction: a ticket and the mark of its job are made together."""

    def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        connection.ensure_connection()
        with psycopg.RawCursor(connection.connection, row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), args or None).fetchall()


def _enqueue(ranks: dict[str, int]) -> None:
    subjects = sorted(ranks)  # in one order everywhere, so that nobody waits for one who waits for him
    at = _providers(subjects)
    SyncQueries(_InTransaction(), QueryQueueBuilder(settings())).enqueue(
        [at.get(subject, ELSEWHERE) for subject in subjects],
        [subject.encode() for subject in subjects],
        [ranks[subject] for subject in subjects],
        dedupe_key=list(subjects),
        on_conflict="update_priority",
    )


def _queued(subjects: list[str]) -> set[str]:
    """The subjects whose ticket no worker has yet: whoever gets it sees all that is due by then."""
    with connection.cursor() as cursor:
        sql = f"SELECT dedupe_key FROM {_TABLE} WHERE dedupe_key = ANY(%s) AND status = 'queued'"  # noqa: S608
        cursor.execute(sql, [subjects])
        return {key for (key,) in cursor.fetchall()}


def _providers(subjects: Iterable[str]) -> dict[str, str]:
    known = set(entrypoints())
    uids = [subject.partition(":")[2] for subject in subjects if subject.startswith("connection:")]
    found = Connection.objects.filter(uid__in=uids).values_list("uid", "provider") if uids else ()
    return {f"connection:{uid}": provider for uid, provider in found if provider in known}


def _queries(line: Driver) -> Queries:
    return Queries(
        line, QueryBuilderEnvironment(settings()), QueryQueueBuilder(settings()), QuerySchedulerBuilder(settings())
    )


def _address() -> dict[str, Any]:
    """How to reach Django's database, without what only Django understands."""
    given = connection.get_connection_params()
    return {name: value for name, value in given.items() if name not in _DJANGOS}


_DJANGOS = {"context", "cursor_factory", "pool", "prepare_threshold", "server_side_binding"}
