"""What Prometheus reads: the counts of all processes, and the gauges, written with the official client.

Whichever process is asked answers for all. Asked more often than every few seconds, it gives what it found last.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import close_old_connections
from django.utils import timezone

from chatkeep import __version__
from chatkeep.watching import names, tallies
from chatkeep.watching.gauges import gauges

if TYPE_CHECKING:
    from prometheus_client.core import Metric

FRESH_S = 5.0
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Everything that is counted and measured, as text. conflicts: how many are open, where that is known."""

    def __init__(self, store: Path, *, conflicts: Callable[[], int | None] = lambda: None) -> None:
        self._store = store
        self._conflicts = conflicts
        self._lock = threading.Lock()
        self._made = (0.0, b"")

    def text(self, *, fresh: bool = False) -> bytes:
        """The exposition. fresh: made now, not some seconds ago."""
        from prometheus_client import CollectorRegistry, generate_latest

        with self._lock:
            made_at, made = self._made
            if fresh or not made or time.monotonic() - made_at > FRESH_S:
                registry = CollectorRegistry(auto_describe=False)
                registry.register(self)
                made = generate_latest(registry)
                self._made = (time.monotonic(), made)
        return made

    def collect(self) -> Iterator[Metric]:
        """For the client: every family with its samples."""
        counted = tallies.totals()
        for name, metric in names.COUNTERS.items():
            yield _counter(name, metric, counted.get(name, {}))
        for name, metric in names.HISTOGRAMS.items():
            yield _histogram(name, metric, counted.get(name, {}))
        yield from self._gauges()

    def _gauges(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        families = {name: GaugeMetricFamily(name, m.help, labels=m.labels) for name, m in names.GAUGES.items()}
        families["chatkeep_build_info"].add_metric([__version__], 1)
        for name, labels, value in gauges(now=timezone.now(), store=self._store, conflicts=self._conflicts()):
            families[name].add_metric([labels[label] for label in names.GAUGES[name].labels], value)
        yield from families.values()


def _counter(name: str, metric: names.Metric, counted: dict[str, float]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, metric.help, labels=metric.labels)
    values: dict[tuple[str, ...], float] = dict.fromkeys(metric.begins, 0.0)
    for text, value in counted.items():
        labels: dict[str, str] = json.loads(text)
        values[tuple(labels[label] for label in metric.labels)] = value
    for given, value in sorted(values.items()):
        family.add_metric(list(given), value)
    return family


def _histogram(name: str, metric: names.Metric, counted: dict[str, float]) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(name, metric.help, labels=metric.labels)
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for text, value in counted.items():
        labels: dict[str, str] = json.loads(text)
        end = labels.pop("le")
        found.setdefault(tuple(labels[label] for label in metric.labels), {})[end] = value
    ends = [*(f"{end:g}" for end in metric.buckets), "+Inf"]
    for given, parts in sorted(found.items()):
        total, buckets = 0.0, []
        for end in ends:
            total += parts.get(end, 0.0)
            buckets.append((end, total))
        family.add_metric(list(given), buckets, sum_value=parts.get("sum", 0.0))
    return family


def listen(metrics: Metrics, port: int) -> ThreadingHTTPServer | None:
    """Answer /metrics on a port of this machine alone, without a token. None when another process does so already."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            close_old_connections()
            try:
                self._answer(200, metrics.text()) if self.path == "/metrics" else self._answer(404, b"")
            except Exception:
                self._answer(503, b"The database does not answer.\n")
            finally:
                close_old_connections()

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: whoever scrapes does so each few seconds."""

    class Alone(ThreadingHTTPServer):
        allow_reuse_address = False
        daemon_threads = True

    try:
        server = Alone(("127.0.0.1", port), Answer)
    except OSError:
        return None
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
