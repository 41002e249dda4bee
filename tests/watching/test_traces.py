"""From a request over its job to the calls to a provider: one trace, which says nothing of anybody."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from django.test import Client
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chatkeep import happenings
from chatkeep.connections.models import Connection
from chatkeep.jobs.models import Job
from chatkeep.providers.http import Endpoints, Http
from chatkeep.storage import each
from chatkeep.watching.traces import Tracer
from fakes.given import Cloud

Spans = Callable[[], list[ReadableSpan]]
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[Spans]:
    """The spans that have ended."""
    exporter = InMemorySpanExporter()
    tracer = Tracer(exporter, at_once=True)
    tracer.start()
    yield lambda: list(exporter.get_finished_spans())
    tracer.stop()


def called(spans: Spans, name: str) -> ReadableSpan:
    (found,) = (span for span in spans() if span.name == name)
    return found


def test_a_request_the_job_it_asked_for_and_its_calls_to_a_provider_are_one_trace(
    keeper: Client,
    place: Connection,
    work: Callable[[], None],
    google_fake: Cloud,
    spans: Spans,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def back_up(*_: object, **__: object) -> object:
        http = Http(Endpoints(google_fake.url))
        ask = "https://www.googleapis.com/drive/v3/about"
        each(lambda _: http.request("GET", ask, authorised=False, expects="anything"), ["a", "b", "c"], 3)
        http.close()
        return None

    monkeypatch.setattr("chatkeep.jobs.kinds.back_up", back_up)
    keeper.post("/backups/stick/do", {"do": "backup"}, headers={"traceparent": GIVEN})
    assert Job.objects.get().trace.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    work()
    request, job = called(spans, "POST backup-do"), called(spans, "job backup")
    calls = [span for span in spans() if span.name == "GET google-drive"]
    assert len(calls) == 3  # by other threads, and still in it
    assert request.parent
    assert f"{request.parent.span_id:016x}" == "b7ad6b7169203331"
    assert job.parent
    assert job.parent.span_id == request.context.span_id
    assert {call.parent.span_id for call in calls if call.parent} == {job.context.span_id}
    assert {f"{span.context.trace_id:032x}" for span in (request, job, *calls)} == {"0af7651916cd43dd8448eb211c80319c"}
    assert dict(job.attributes or {})["chatkeep.job.kind"] == "backup"
    assert dict(request.attributes or {})["http.route"] == "backup-do"
    assert {dict(call.attributes or {})["chatkeep.provider"] for call in calls} == {"google-drive"}


def test_a_job_that_fails_is_a_span_that_failed_without_the_words_of_its_error(
    place: Connection, work: Callable[[], None], spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("canary-words of a message")

    monkeypatch.setattr("chatkeep.jobs.kinds.back_up", broken)
    from chatkeep.jobs import queue

    queue.enqueue("backup", place.subject, {"connection": "stick"})
    work()
    job = called(spans, "job backup")
    assert not job.status.is_ok
    assert "canary" not in job.to_json()


@pytest.mark.parametrize("given", ["", "garbage", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_traceparent_that_is_none_begins_a_trace_of_our_own(stranger: Client, spans: Spans, given: str) -> None:
    stranger.get("/sign-in/", headers={"traceparent": given})
    assert called(spans, "GET sign-in").parent is None


def test_no_span_names_a_person_a_chat_or_a_file(
    keeper: Client, place: Connection, work: Callable[[], None], spans: Spans
) -> None:
    from chatkeep.selection import Selection
    from chatkeep.web import held

    titles = [one.title for one in held.means().archive_of("own").listing(Selection(), limit=50) if one.title]
    conversation = held.means().archive_of("own").listing(Selection(), limit=1)[0].id
    Connection.objects.update(account="alice@example.com")
    for address in (f"/chats/{conversation}/", "/search/?q=canary-search", "/canary-path", "/sign-in/canary-token"):
        keeper.get(address)
    keeper.post("/backups/stick/do", {"do": "backup"})
    work()
    text = "\n".join(span.to_json() for span in spans())
    assert "GET chat" in text  # the control: what was done is there
    assert "job backup" in text
    canaries = [*titles, str(conversation), "canary", "alice", "stick", place.uid, place.location["path"]]
    assert [canary for canary in canaries if canary in text] == []


def test_nothing_is_traced_and_no_library_is_loaded_unless_an_endpoint_is_set(tmp_path: Path) -> None:
    code = """
import sys
from chatkeep.settings import Settings
from chatkeep.connections.start import start
settings = Settings.from_environment()
start(settings.home)
from chatkeep.watching.eyes import Eyes
eyes = Eyes(settings)
eyes.open()
eyes.close()
print(sorted({n.split(".")[0] for n in sys.modules} & {"opentelemetry", "prometheus_client", "structlog"}))
"""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    clean["CHATKEEP_HOME"] = str(tmp_path)
    ran = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


class Receiver(HTTPServer):
    """Takes traces over HTTP, as a collector does."""

    def __init__(self) -> None:
        self.got: list[ExportTraceServiceRequest] = []
        outer = self

        class Take(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                import gzip

                body = self.rfile.read(int(self.headers["Content-Length"]))
                body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                outer.got.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Take)


def test_spans_reach_a_collector_over_http(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.server_port}")
    from chatkeep.settings import Settings
    from chatkeep.watching.eyes import Eyes

    eyes = Eyes(Settings.from_environment({"CHATKEEP_HOME": str(tmp_path)}))
    eyes.open()
    with happenings.during("job", kind="backup", job="7", result="done"):
        pass
    eyes.close()
    receiver.shutdown()
    thread.join()
    receiver.server_close()
    (got,) = receiver.got
    (span,) = got.resource_spans[0].scope_spans[0].spans
    about = {one.key: one.value.string_value for one in got.resource_spans[0].resource.attributes}
    assert (span.name, about["service.name"]) == ("job backup", "chatkeep")
