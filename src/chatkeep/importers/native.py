"""One conversation as the program of its platform has it, in memory: what a platform pushes while people chat.

Nothing is read here that an importer would not read from a file of the same bytes; the platform is named, so that it
need not be guessed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import BinaryIO

import msgspec

from chatkeep import exact
from chatkeep.errors import Problem, UnknownFormat, UnsafeSource, WrongUse
from chatkeep.importers import Importer, Keep, Kept, Loaded
from chatkeep.importers.fields import is_doubled
from chatkeep.importers.registry import ALL
from chatkeep.model import Conversation
from chatkeep.source import Limits, Source

LIMITS = Limits(entries=1, inflated=64 << 20)
_KEPT_ALREADY = "chatkeep"  # a document is no native conversation; whoever has one gives it as it is


def platforms() -> list[str]:
    """The platforms of which a conversation can be read by itself, sorted."""
    return sorted(one.platform for one in ALL if one.platform != _KEPT_ALREADY)


def digest(platform: str, value: bytes) -> bytes:
    """A hash of all that `read_native` depends on: its bytes and the importer's version.

    Raises WrongUse as `read_native` does.
    """
    importer = _importer(platform)
    return hashlib.sha256(f"native {platform}/{importer.version}\0".encode() + value).digest()


def read_native(platform: str, value: bytes, keep: Keep | None = None) -> Loaded:
    """What one conversation in the JSON of its platform holds: conversations, usually one, and problems.

    value: UTF-8; a list of conversations is read as well. keep: where attachments go that lie in it; without it their
    bytes are counted and let go. The same bytes give the same result on any machine, and the same ids as an export.
    Raises WrongUse for a platform that is not known, UnknownFormat when the bytes are no conversation of that platform,
    UnsafeSource when there are more than 64 MiB.
    """
    importer = _importer(platform)
    if len(value) > LIMITS.inflated:
        raise UnsafeSource(
            f"The conversation is larger than {LIMITS.inflated:,} bytes.", hint="Import it as a file instead."
        )
    for form in (value, _short_first(value)):
        with Source.of_bytes("conversation.json", form, limits=LIMITS) as source:
            if importer.sniff(source):
                return _joined(importer, source, keep or _let_go)
    raise UnknownFormat(
        f"This is not a conversation as {importer.title} has it.",
        hint=f"Send the JSON object as {importer.title} stores or gives it, unchanged.",
    )


def _importer(platform: str) -> Importer:
    for importer in ALL:
        if importer.platform == platform != _KEPT_ALREADY:
            return importer
    raise WrongUse(f"No conversation of “{platform[:40]}” can be read.", hint=f"Name one of: {', '.join(platforms())}.")


def _short_first(value: bytes) -> bytes:
    """The same object with its short fields first, so that its beginning tells what it is (`peek.beginning`).

    What is not one plain object stays as it is, one with two equal fields too.
    """
    try:
        fields = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
        if is_doubled(exact.decode(value)):
            return value
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return value
    ordered = sorted(fields.items(), key=lambda field: (len(field[1]), field[0]))
    return b"{" + b",".join(msgspec.json.encode(name) + b":" + bytes(raw) for name, raw in ordered) + b"}"


def _joined(importer: Importer, source: Source, keep: Keep) -> Loaded:
    found, problems, unknown = list[Conversation](), list(source.problems), Counter[str]()
    shells, complete, notes = 0, True, list[str]()
    for record in importer.read(source, keep):
        if isinstance(record, Problem):
            problems.append(record)
            continue
        loaded = record.load()
        found += loaded.conversations
        problems += loaded.problems
        unknown.update(loaded.unknown)
        notes += loaded.notes
        shells += loaded.shells
        complete = complete and loaded.complete
    return Loaded(tuple(found), problems, dict(unknown), shells, complete, notes)


def _let_go(stream: BinaryIO) -> Kept:
    data = stream.read()
    return Kept(hashlib.sha256(data).hexdigest(), len(data), data[:64])
