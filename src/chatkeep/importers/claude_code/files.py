"""Which members are transcripts, and which sessions, titles and outputs they hold. One pass, in flat memory."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from chatkeep import exact
from chatkeep.elements import Element, Line, elements, lines
from chatkeep.errors import Damaged, Problem, UnsafeSource
from chatkeep.importers import peek
from chatkeep.source import Member, Source

LINES_LOOKED_AT = 40
TALK = frozenset({"user", "assistant"})
BOOKKEEPING = frozenset(
    [
        *("system", "attachment", "file-history-snapshot", "progress", "queue-operation", "mode", "permission-mode"),
        *("last-prompt", "pr-link", "agent-setting", "agent-color", "agent-name", "bridge-session", "ai-title"),
        *("custom-title", "summary", "tag", "worktree-state", "content-replacement", "saved_hook_context"),
    ]
)

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SESSION = re.compile(rb'(?<!\\)"sessionId"\s{0,8}:\s{0,8}"([^"\\]{1,200})"')
_AGENT = re.compile(r"agent-(.+)\.jsonl")
_TYPED = re.compile(rb'"type"\s{0,8}:\s{0,8}"(?:user|assistant)"')
_LINKED = re.compile(rb'"(?:parentUuid|uuid)"\s{0,8}:')
_NOT_TRANSCRIPTS = ("history.jsonl", "journal.jsonl")


@dataclass(slots=True)
class File:
    """One file of lines. sessions: whose lines it may hold, in their order; own: to whom lines without a name belong.

    agent: of a file that holds the talk of one sub-agent. summaries: leaf uuid → title. wrapped: one JSON with
    `loglines` instead of lines.
    """

    member: Member
    wrapped: bool = False
    agent: str = ""
    own: str = ""
    digest: bytes = b""
    sessions: list[str] = field(default_factory=list)
    summaries: dict[str, str] = field(default_factory=dict)


def transcripts(source: Source) -> list[File]:
    """The transcripts of a source, in its order, not scanned yet."""
    found = []
    for member in source:
        base = member.base
        if base.endswith(".json"):
            if _is_wrapped(member):
                found.append(File(member, wrapped=True))
        elif base not in _NOT_TRANSCRIPTS and peek.is_text(member) and _holds_entries(_beginning(member)):
            agent = _AGENT.fullmatch(base)
            found.append(File(member, agent=agent[1] if agent else ""))
    return found


def _beginning(member: Member) -> bytes:
    # There may be ten thousand of them, so what is looked at is not kept in memory.
    try:
        return member.head(peek.HEAD)
    except (Damaged, UnsafeSource, OSError):
        return b""


def _is_wrapped(member: Member) -> bool:
    data = _beginning(member)
    if b'"loglines"' not in data:
        return False
    value = peek.beginning(peek.text(data))
    rows = value.get("loglines") if isinstance(value, dict) else None
    return isinstance(rows, list) and any(is_entry(row) for row in rows[:LINES_LOOKED_AT])


def _holds_entries(data: bytes) -> bool:
    if b'"type"' not in data:
        return False
    text = peek.text(data)
    rows = text.split("\n")
    for row in rows[:LINES_LOOKED_AT]:
        if row.lstrip()[:1] == "{" and is_entry(_decoded(row)):
            return True
    # A first line may be longer than what is looked at: a picture, or the output of a tool.
    long = len(rows) == 1 and len(data) >= peek.HEAD
    return long and bool(_SESSION.search(data) and _TYPED.search(data) and _LINKED.search(data))


def _decoded(row: str) -> Any:
    try:
        return json.loads(row)
    except (ValueError, RecursionError):
        return None


def is_entry(value: Any) -> bool:
    """Whether a JSON value is a line of a transcript."""
    if not isinstance(value, dict):
        return False
    kind = value.get("type")
    named = isinstance(value.get("sessionId"), str)
    if kind in ("user", "assistant"):
        told = isinstance(value.get("message"), dict)
        return told and (named or "parentUuid" in value or isinstance(value.get("timestamp"), str))
    if kind == "summary":
        return "leafUuid" in value
    if kind == "attachment":
        return isinstance(value.get("attachment"), dict)
    return isinstance(kind, str) and kind in BOOKKEEPING and named


def rows(file: File) -> Iterator[tuple[int, bytes, bool] | Problem]:
    """The lines of a transcript: number from 1, bytes, and whether the line is known to be whole."""
    member = file.member
    with member.open() as stream:
        if file.wrapped:
            found: Iterable[Element | Line | Problem] = elements(stream, where=member.where, inside="loglines")
        else:
            found = lines(stream, where=member.where)
        for number, row in enumerate(found, 1):
            if isinstance(row, Problem):
                yield row
            elif isinstance(row, Line):
                yield row.number, row.raw, row.complete
            else:
                yield number, bytes(row.raw), True


def scan(file: File) -> None:
    """Find out whose lines a file holds, its titles for other sessions, and the hash of its bytes."""
    digest = hashlib.sha256()
    sessions: dict[str, None] = {}
    try:
        for row in rows(file):
            if isinstance(row, Problem):
                digest.update(row.what.encode())
                continue
            raw = row[1]
            digest.update(raw)
            digest.update(b"\n")
            if b'"sessionId"' in raw:
                for name in _SESSION.findall(raw):
                    sessions.setdefault(name.decode("utf-8", "replace"))
            if b'"summary"' in raw[:200]:
                _take_summary(file, raw)
    except Damaged as error:
        digest.update(error.what.encode())
    file.digest = digest.digest()
    stem = file.member.base.rpartition(".")[0]
    if _UUID.fullmatch(stem) and not file.agent:
        sessions.setdefault(stem)
        file.own = stem
    file.sessions = list(sessions)
    file.own = file.own or next(iter(sessions), "")


def _take_summary(file: File, raw: bytes) -> None:
    try:
        value = exact.decode(raw)
    except ValueError:
        return
    if isinstance(value, dict) and value.get("type") == "summary":
        leaf, text = value.get("leafUuid"), value.get("summary")
        if isinstance(leaf, str) and isinstance(text, str):
            file.summaries.setdefault(leaf, text)


def outputs(source: Source) -> dict[str, list[Member]]:
    """The files with output of tools, by the session whose folder they lie in."""
    found: dict[str, list[Member]] = {}
    for member in source:
        steps = member.name.split("/")
        if "tool-results" in steps[:-1]:
            at = len(steps) - 2 - steps[-2::-1].index("tool-results")
            found.setdefault(steps[at - 1] if at else "", []).append(member)
    return found


def descriptions(source: Source) -> dict[str, Member]:
    """The files that say what a sub-agent was called for, by the agent's id."""
    found: dict[str, Member] = {}
    for member in source:
        if member.base.startswith("agent-") and member.base.endswith(".meta.json"):
            found.setdefault(member.base[len("agent-") : -len(".meta.json")], member)
    return found
