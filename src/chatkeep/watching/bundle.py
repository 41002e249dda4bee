"""What somebody who helps needs to see, in one file, with everything secret or personal taken out.

It holds versions, which settings are set, counts, schedules, how jobs ended, and the end of the log. Names of places,
accounts, titles, texts, addresses and paths are not in it; each value is written because it is on a list, and none
because it was not thought of.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import zipfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
from django.db import connection as database
from django.db.models import Count

from chatkeep import __version__
from chatkeep.connections.models import Connection
from chatkeep.jobs.models import Job, Schedule
from chatkeep.watching.findings import findings

SHOWN = ("CHATKEEP_LOG_LEVEL", "CHATKEEP_PORT", "CHATKEEP_WEB_PROCESSES", "CHATKEEP_TRUSTED_PROXY", "TZ")
"""Settings whose values say nothing of anybody; of all others it is said only that they are set."""
LOG = "chatkeep.log"
_LINES = 200
_LIBRARIES = ("django", "cryptography", "httpx2", "msgspec", "zstandard", "psycopg", "pgqueuer", "prometheus-client")
_CODE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARNING|ERROR|CRITICAL) [\w.]+:")
_PLACE = re.compile(r"  [\w-]+\.py:\d+ [\w<>]+")
_RAISED = re.compile(r"[A-Z]\w+ raised at")


def bundle(*, home: Path, now: datetime, counts: Mapping[str, int], environment: Mapping[str, str]) -> str:
    """The bundle as text for people to read before they give it away. counts: of the archive."""
    found: dict[str, Any] = {
        "made_at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "versions": _versions(),
        "settings": _settings(environment),
        "archive": dict(counts),
        "places": [_place(row) for row in Connection.objects.all()],
        "schedules": list(Schedule.objects.values("kind", "on", "every", "after_change", "paused_for")),
        "findings": [{"code": one.code, "level": one.level} for one in findings(home=home, now=now)],
        "jobs": list(Job.objects.order_by("kind", "state").values("kind", "state").annotate(number=Count("pk"))),
        "last_jobs": [_job(row) for row in Job.objects.all()[:50]],
        "log": log_lines(home / LOG),
    }
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def write(text: str, path: Path) -> None:
    """The text as a zip that only its owner can read. Nothing is replaced: raises FileExistsError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("chatkeep.json", text)


def _versions() -> dict[str, str]:
    found = {"chatkeep": __version__, "python": platform.python_version(), "system": platform.system()}
    found |= {"release": platform.release(), "machine": platform.machine(), "database": database.vendor}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found | {"encoding": sys.getfilesystemencoding()}


def _settings(environment: Mapping[str, str]) -> dict[str, str]:
    ours = {name for name in environment if name.startswith(("CHATKEEP_", "OTEL_")) or name in ("DATABASE_URL", "TZ")}
    known = {name for name in ours if re.fullmatch(r"[A-Z0-9_]{1,60}", name)}
    shown = {
        name: environment[name] for name in known & set(SHOWN) if re.fullmatch(r"[\w/+-]{1,40}", environment[name])
    }
    return {name: shown.get(name, "set") for name in sorted(known)}


def _place(row: Connection) -> dict[str, Any]:
    return {
        "provider": row.provider,
        "signed_out": row.signed_out,
        "has_trouble": bool(row.trouble),
        "backed_up_at": row.backed_up_at,
        "checked_at": row.checked_at,
        "check_ok": (row.checked or {}).get("ok"),
        "drilled_at": row.drilled_at,
        "drill_ok": (row.drilled or {}).get("ok"),
        "sign_in_ends_at": row.ends_at,
    }


def _job(row: Job) -> dict[str, Any]:
    took = (row.ended_at - row.started_at).total_seconds() if row.ended_at and row.started_at else None
    return {
        "kind": row.kind,
        "state": row.state,
        "paused_for": row.paused_for,
        "attempts": row.attempts,
        "crashes": row.crash_count,
        "requested_at": row.requested_at,
        "took_s": took,
        "problems": len((row.report or {}).get("problems", ())),
        "stage": re.sub(r"[^A-Za-z ]", "", str((row.progress or {}).get("stage", "")))[:40],
    }


def log_lines(path: Path) -> list[str]:
    """The end of the log: of each line when, how bad and which module; of an error its kind and places in our code.

    What a line says is left out, because nobody can know what it quotes.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 256 * 1024))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return list(_known(lines))[-_LINES:]


def _known(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        found = _CODE.match(line)
        if found:
            yield found[0].rstrip(":")
        elif _PLACE.fullmatch(line) or _RAISED.fullmatch(line):
            yield line
