"""What is logged, and how: lines for people on a laptop, one JSON object a line on a server.

Neither ever holds chat text, a token or an address: of an error only its kind and the places in our code are written,
because its words may quote what it met, and of a request the name of its route. Of an archive a log holds a mark that
only this installation can make from its id, so that the lines of one person can be found by the operator and by nobody
whom the logs are given to. docs/decisions/logs-name-nobody.md says why.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from types import MappingProxyType, TracebackType
from typing import Any

_MOST_PLACES = 30
_TOLD = ("route", "method", "code", "result")
_AT = "%s at %s"
_about: ContextVar[Mapping[str, str]] = ContextVar("chatkeep_log", default=MappingProxyType({}))
_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def configuration(*, level: str, as_json: bool, key: bytes) -> dict[str, Any]:
    """Django's LOGGING. key: what the marks of archives are made with."""
    Lines.key = key
    form = "chatkeep.watching.logs.JsonLines" if as_json else "chatkeep.watching.logs.Lines"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"plain": {"()": "chatkeep.watching.logs.Plain"}},
        "formatters": {"line": {"()": form}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["plain"]}},
        # Addresses that were refused may hold a sign-in token: they are not logged.
        "loggers": {
            "django.request": {"level": "ERROR"},
            "django.security": {"level": "ERROR"},
            "chatkeep.requests": {"level": "INFO" if as_json else level.upper()},
        },
        "root": {"handlers": ["console"], "level": level.upper()},
    }


class Plain(logging.Filter):
    """Puts the name of its route in the place of a request's address, in what Django says of it."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        if record.name.startswith("django") and request is not None and record.msg != _AT:
            from chatkeep.watching.following import route_of

            given = record.args if isinstance(record.args, tuple) else ()
            what = given[0] if record.msg == "%s: %s" and len(given) == 2 else "Something was refused"
            record.msg, record.args = _AT, (what, route_of(request))
        return True


class Lines(logging.Formatter):
    """Lines for people."""

    key = b""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name}: {message}", style="{")

    def formatException(self, ei: _Raised) -> str:  # noqa: N802 - the name that logging calls
        kind, _, _ = ei
        return "\n".join([f"{kind.__name__ if kind else 'Error'} raised at", *(f"  {place}" for place in places(ei))])


class JsonLines(Lines):
    """One JSON object a line, made by structlog: time, level, event, and the request or job that it is about."""

    def __init__(self) -> None:
        super().__init__()
        import structlog

        self._render = structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                _with_what_it_is_about,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(sort_keys=True),
            ],
        )

    def format(self, record: logging.LogRecord) -> str:
        plain = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None, "stack_info": None})
        if record.exc_info and record.exc_info[0]:
            raised = {"error": record.exc_info[0].__name__, "raised_at": places(record.exc_info)}
            plain.__dict__["about"] = {**record.__dict__.get("about", {}), **raised}
        return self._render.format(plain)


def _with_what_it_is_about(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {**event, **_about.get(), **getattr(event["_record"], "about", {})}


def places(raised: Any) -> list[str]:
    """Where an error was raised, from the outside in: module, line and function, and no word of the error itself."""
    found, step = [], raised[2]
    while step is not None:
        code = step.tb_frame.f_code
        found.append(f"{os.path.basename(code.co_filename)}:{step.tb_lineno} {code.co_name}")  # noqa: PTH119
        step = step.tb_next
    return found[-_MOST_PLACES:]


def mark(archive: str) -> str:
    """What a log calls an archive: the same for the same archive, and not to be turned back without our secret."""
    if archive in ("", "own"):
        return archive
    return hmac.digest(Lines.key, f"log/{archive}".encode(), hashlib.sha256).hex()[:12]


class Noting:
    """Puts the id of the request or the job with every line that is logged meanwhile, and logs how it ended.

    Levels: a request is told at the level of information, a job too; one that broke is told by whoever caught it.
    """

    _log = logging.getLogger("chatkeep.requests")

    @contextlib.contextmanager
    def follow(self, name: str, facts: dict[str, str], *, after: str) -> Iterator[None]:
        if name == "remote request":
            yield
            return
        about = {"request": facts["id"]} if name == "request" else {"job": facts["job"], "kind": facts["kind"]}
        before = _about.set({**_about.get(), **about})
        try:
            yield
        finally:
            known: dict[str, str] = {key: facts[key] for key in _TOLD if key in facts}
            if facts.get("archive"):
                known["archive"] = mark(facts["archive"])
            if facts.get("route") not in ("static", "health", "ready", "metrics"):
                self._log.info("%s ended", name, extra={"about": known})
            _about.reset(before)

    def thread(self) -> str:
        """Nothing: lines are not continued elsewhere."""
        return ""
