"""Opening the eyes of a process: what it counts, logs, traces and answers, as its settings say; and closing them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from chatkeep import happenings
from chatkeep.settings import Settings
from chatkeep.watching import metrics, signs, tallies
from chatkeep.watching.logs import Noting

ROUND_S = signs.BEAT_S
Chore = Callable[[], None]


class Eyes:
    """The eyes of one process. On a laptop they cost nothing until metrics or traces are asked for.

    works: in a process that works, whether its worker lives; then it gives signs of life, and does the chores.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        works: Callable[[], bool] | None = None,
        chores: tuple[Chore, ...] = (),
        conflicts: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._works = works
        self._chores = chores
        self._conflicts = conflicts
        self._ends: list[Callable[[], object]] = []
        self._stop = threading.Event()

    def open(self) -> None:
        """Begin to see."""
        settings = self._settings
        if settings.counts:
            tally = tallies.Tallies()
            tally.start()
            self._ends.append(tally.stop)
        if settings.is_server:
            self._ends.append(happenings.follow(Noting()))
        if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
            from chatkeep.watching.traces import Tracer

            tracer = Tracer()
            tracer.start()
            self._ends.append(tracer.stop)
        if settings.metrics_port:
            server = metrics.listen(metrics.Metrics(settings.home, conflicts=self._conflicts), settings.metrics_port)
            if server:
                self._ends.append(server.shutdown)
        if self._works:
            rounds = threading.Thread(target=self._run, name="rounds", daemon=True)
            rounds.start()
            self._ends.append(lambda: rounds.join(ROUND_S))

    def close(self) -> None:
        """See nothing more; what was counted and followed is kept first."""
        self._stop.set()
        for end in self._ends:
            end()

    def _run(self) -> None:
        from django.db import connection

        while True:
            self.look()
            if self._stop.wait(ROUND_S):
                break
        _quietly(signs.retire)
        connection.close()

    def look(self) -> None:
        """One round: a sign of life, and the chores. None of them keeps another from being done."""
        if self._works and self._works():
            _quietly(signs.beat)
        for chore in self._chores:
            _quietly(chore)
        _quietly(self._fold)

    _folded = None

    def _fold(self) -> None:
        """Once a day."""
        today = datetime.now(UTC).date()
        if self._folded != today:
            tallies.fold(today=today)
            self._folded = today


def _quietly(chore: Callable[[], object]) -> None:
    import logging

    from django.db import close_old_connections

    try:
        close_old_connections()
        chore()
    except Exception:  # a database that is away for a while must not end the rounds
        logging.getLogger(__name__).exception("A chore could not be done")
