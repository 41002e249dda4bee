"""Traces for OpenTelemetry: a request, the jobs it asked for, their calls to providers; off unless an endpoint is set.

A span has the name of a route, a kind or a provider, codes and ids of jobs; never an address, a person or a title.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chatkeep import __version__, happenings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_KEPT = {
    "id": "chatkeep.request_id",
    "route": "http.route",
    "method": "http.request.method",
    "code": "http.response.status_code",
    "kind": "chatkeep.job.kind",
    "job": "chatkeep.job.id",
    "result": "chatkeep.result",
    "provider": "chatkeep.provider",
}
"""The facts that a span is given, under the names that OpenTelemetry has for them where it has one."""


class Tracer:
    """Follows what takes time as spans, and hands them to an exporter.

    exporter: None for the one that OTEL_EXPORTER_OTLP_ENDPOINT and the other variables of OpenTelemetry describe.
    at_once: hand over each span when it ends, instead of several after some seconds.
    """

    def __init__(self, exporter: SpanExporter | None = None, *, at_once: bool = False) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter()
        about = Resource.create({"service.name": "chatkeep", "service.version": __version__})
        self._provider = TracerProvider(resource=about, shutdown_on_exit=False)
        self._provider.add_span_processor((SimpleSpanProcessor if at_once else BatchSpanProcessor)(exporter))
        self._tracer = self._provider.get_tracer("chatkeep")
        self._carrier = TraceContextTextMapPropagator()

    @contextlib.contextmanager
    def follow(self, name: str, facts: dict[str, str], *, after: str) -> Iterator[None]:
        """A span around the thing."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        kinds = {"request": SpanKind.SERVER, "job": SpanKind.CONSUMER, "remote request": SpanKind.CLIENT}
        context = self._carrier.extract({"traceparent": after}) if after else None
        began = self._tracer.start_as_current_span(
            name,
            context=context,
            kind=kinds.get(name, SpanKind.INTERNAL),
            record_exception=False,  # its words may quote what it met
            set_status_on_exception=False,
        )
        with began as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise
            finally:
                span.set_attributes(_attributes(facts))
                span.update_name(_name(name, facts))
                if facts.get("code", "").startswith("5") or facts.get("result") in ("failed", "broken", "lost"):
                    span.set_status(Status(StatusCode.ERROR))

    def thread(self) -> str:
        """The W3C traceparent of the span that is under way here."""
        carried: dict[str, str] = {}
        self._carrier.inject(carried)
        return carried.get("traceparent", "")

    def start(self) -> None:
        """Follow everything from now on."""
        self._end = happenings.follow(self)

    def stop(self) -> None:
        """Follow nothing more, and hand over what is left."""
        self._end()
        self._provider.shutdown()


def _attributes(facts: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {_KEPT[key]: value for key, value in facts.items() if key in _KEPT and value}
    code = found.get("http.response.status_code", "")
    if code.isdecimal():
        found["http.response.status_code"] = int(code)
    return found


def _name(name: str, facts: dict[str, str]) -> str:
    words = {
        "request": f"{facts.get('method', '')} {facts.get('route', '')}".strip(),
        "job": f"job {facts.get('kind', '')}",
        "remote request": f"{facts.get('method', '')} {facts.get('provider', '')}".strip(),
    }
    return words.get(name) or name
