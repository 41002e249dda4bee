"""A line says which request or job it is about, and nothing of what people wrote or of what opens their accounts."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from chatkeep import happenings
from chatkeep.connections.models import Connection
from chatkeep.jobs import queue
from chatkeep.watching import logs
from chatkeep.watching.logs import JsonLines, Lines, Noting, Plain

SECRET = "canary: what Mum said about the garden"
Said = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def said() -> Iterator[Said]:
    """Everything that is logged, as a server writes it."""
    yield from _heard(JsonLines(), lambda text: [json.loads(line) for line in text.splitlines()])


@pytest.fixture
def lines() -> Iterator[Callable[[], str]]:
    """Everything that is logged, as a laptop writes it."""
    yield from _heard(Lines(), lambda text: text)


def _heard(form: logging.Formatter, read: Callable[[str], Any]) -> Iterator[Callable[[], Any]]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(form)
    handler.addFilter(Plain())
    root, requests = logging.getLogger(), logging.getLogger("chatkeep.requests")
    before = root.level, requests.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    requests.setLevel(logging.INFO)
    end = happenings.follow(Noting())
    yield lambda: read(stream.getvalue())
    end()
    root.removeHandler(handler)
    root.setLevel(before[0])
    requests.setLevel(before[1])


def ended(said: Said, what: str) -> list[dict[str, Any]]:
    return [line for line in said() if line["event"] == f"{what} ended"]


def test_a_request_is_one_line_with_its_id_its_route_and_no_address(stranger: Client, said: Said) -> None:
    answer = stranger.get("/sign-in/canary-token", headers={"x-request-id": "proxy-4711-abc"})
    assert answer.headers["X-Request-Id"] == "proxy-4711-abc"
    (line,) = ended(said, "request")
    told = {key: line[key] for key in ("request", "route", "method", "code", "level", "logger")}
    assert told == {
        "request": "proxy-4711-abc",
        "route": "sign-in-link",
        "method": "GET",
        "code": "403",
        "level": "info",
        "logger": "chatkeep.requests",
    }
    assert "canary-token" not in str(said())


@pytest.mark.parametrize("given", ["", "short", "x" * 65, 'a"b{c}ddddd', "new\u2028lines-and-more"])
def test_an_id_that_is_none_is_replaced_by_one_of_our_own(stranger: Client, said: Said, given: str) -> None:
    answer = stranger.get("/sign-in/", headers={"x-request-id": given})
    id = answer.headers["X-Request-Id"]
    assert id != given
    assert len(id) == 16
    assert ended(said, "request")[0]["request"] == id


def test_what_a_job_logs_names_the_job_and_its_kind(
    place: Connection, work: Callable[[], None], said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def talks(*_: object, **__: object) -> object:
        logging.getLogger("somewhere.deep").warning("The disk is slow")
        raise RuntimeError(SECRET)

    monkeypatch.setattr("chatkeep.jobs.kinds.back_up", talks)
    job = queue.enqueue("backup", place.subject, {"connection": "stick"})
    work()
    (line,) = (line for line in said() if line["event"] == "The disk is slow")
    assert (line["job"], line["kind"], line["level"]) == (str(job.pk), "backup", "warning")
    (end,) = ended(said, "job")
    assert (end["job"], end["result"]) == (str(job.pk), "broken")


def _fail() -> None:
    raise ValueError(SECRET)


@pytest.mark.parametrize("form", [JsonLines(), Lines()])
def test_of_an_error_the_kind_and_the_places_are_logged_and_never_its_words(form: logging.Formatter) -> None:
    stream = io.StringIO()
    log, handler = logging.Logger("apart"), logging.StreamHandler(stream)
    handler.setFormatter(form)
    log.addHandler(handler)
    try:
        try:
            _fail()
        except ValueError as error:
            raise RuntimeError(f"again: {SECRET}") from error
    except RuntimeError:
        log.exception("It failed")
    text = stream.getvalue()
    assert "canary" not in text
    assert "RuntimeError" in text
    assert "test_logs.py" in text
    plain = logging.StreamHandler(control := io.StringIO())
    log.handlers = [plain]
    try:
        _fail()
    except ValueError:
        log.exception("It failed")
    assert SECRET in control.getvalue()  # the control: the usual form tells it


def test_a_page_that_breaks_is_logged_by_the_name_of_its_route(
    keeper: Client, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr("chatkeep.web.pages.searching.archive", broken)
    keeper.raise_request_exception = False
    answer = keeper.get("/search/?q=canary-words")
    text = json.dumps(said())
    assert answer.status_code == 500
    assert "canary" not in text
    assert any("at search" in line["event"] and line.get("error") == "KeyError" for line in said())


def test_an_archive_has_the_same_mark_in_every_line_and_nobody_can_turn_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Lines, "key", b"secret of one")
    mark = logs.mark("0123456789abcdef0123456789abcdef")
    assert mark == logs.mark("0123456789abcdef0123456789abcdef")
    assert len(mark) == 12
    assert "0123456789" not in mark
    monkeypatch.setattr(Lines, "key", b"secret of another")
    assert logs.mark("0123456789abcdef0123456789abcdef") != mark
    assert logs.mark("own") == "own"


def test_a_laptop_writes_lines_for_people(lines: Callable[[], str]) -> None:
    logging.getLogger("chatkeep.jobs").warning("The worker could not look for work")
    assert "WARNING chatkeep.jobs: The worker could not look for work" in lines()


def test_a_server_writes_json_and_a_laptop_does_not() -> None:
    server = logs.configuration(level="warning", as_json=True, key=b"k")
    laptop = logs.configuration(level="warning", as_json=False, key=b"k")
    assert server["formatters"]["line"]["()"] == "chatkeep.watching.logs.JsonLines"
    assert laptop["formatters"]["line"]["()"] == "chatkeep.watching.logs.Lines"
    assert server["loggers"]["chatkeep.requests"]["level"] == "INFO"
    assert laptop["loggers"]["chatkeep.requests"]["level"] == "WARNING"
