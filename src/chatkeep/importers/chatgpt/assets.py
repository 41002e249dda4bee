"""The files of a ChatGPT export: finding the bytes that a pointer means, each read once.

Pointers are `file-service://file-<id>` and `sediment://file_<hex>`. The file's base name is the id, or begins with it
and goes on with `-` or `.`; since 2026 it is `<id>.dat`, and conversation_asset_file_names.json and
library_files.json know its name. Many files are simply not in an export.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chatkeep.errors import Damaged, Problem, UnsafeSource
from chatkeep.importers import Keep, Kept, media
from chatkeep.importers.fields import Json, take_text, take_whole
from chatkeep.model import Part
from chatkeep.source import Member

_ID = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?([^#?]*)")
_AFTER_ID = ("", "-", ".")
_KINDS = {"image_asset_pointer": "image", "audio_asset_pointer": "audio", "video_container_asset_pointer": "video"}


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the export says of a file beside the conversations."""

    name: str = ""
    media_type: str = ""


class Store:
    """All files of a source that a pointer may mean, and what became of them. digest: of which there are."""

    def __init__(self, members: Iterable[Member], keep: Keep, *, facts: Mapping[str, FileFacts]) -> None:
        self._members: dict[str, list[Member]] = {}
        told = []
        for member in members:
            self._members.setdefault(member.base, []).append(member)
            told.append(f"{member.name}\0{member.size}\0{member.mark}\0".encode("utf-8", "surrogatepass"))
        self.digest = hashlib.sha256(b"".join(sorted(told))).digest()
        self._bases = sorted(self._members)
        self._facts = facts
        self._keep = keep
        self._kept: dict[str, Kept | None] = {}

    def find(self, file_id: str, near: str) -> Member | None:
        """The member that holds this file; of several the one in a folder of this name."""
        found: list[Member] = []
        at = bisect_left(self._bases, file_id)
        while file_id and at < len(self._bases) and (base := self._bases[at]).startswith(file_id):
            if base[len(file_id) : len(file_id) + 1] in _AFTER_ID:
                found += self._members[base]
            at += 1
        close = [member for member in found if near and f"{near}/" in member.name]
        return next(iter(close or found), None)

    def facts(self, file_id: str, member: Member | None) -> FileFacts:
        """What is known of a file by its id or by the name of its member."""
        known = self._facts.get(file_id) or (self._facts.get(member.base) if member else None)
        if known or member is None or member.base.endswith(".dat"):
            return known or FileFacts()
        return FileFacts(member.base.removeprefix(file_id).lstrip("-.") if "-" in member.base else member.base)

    def kept(self, member: Member) -> Kept | None:
        """The member's bytes, kept once; None when they cannot be read."""
        if member.name not in self._kept:
            try:
                with member.open() as stream:
                    self._kept[member.name] = self._keep(stream)
            except (Damaged, UnsafeSource):
                self._kept[member.name] = None
        return self._kept[member.name]


@dataclass(slots=True)
class Assets:
    """The files of one conversation. missing: how many are not in the export; problems: what cannot be read."""

    store: Store
    conversation: str
    where: str
    missing: int = 0
    problems: list[Problem] = field(default_factory=list)

    def pointed(self, pointer: Json) -> list[Part]:
        """The attachments of an asset pointer, several for a moment of video; [] when it points to nothing."""
        kind = pointer.get("content_type")
        if type(pointer.get("asset_pointer")) is str:
            return [self._one(pointer, kind=_KINDS.get(kind, "") if type(kind) is str else "")]
        found: list[Part] = []
        for name in ("audio_asset_pointer", "video_container_asset_pointer"):
            if type(inner := pointer.get(name)) is dict and type(inner.get("asset_pointer")) is str:
                found.append(self._one(pointer.pop(name), kind=_KINDS[name]))
        frames = pointer.get("frames_asset_pointers")
        if type(frames) is list and frames and all(_is_pointer(frame) for frame in frames):
            found += [self._one(frame, kind="image") for frame in pointer.pop("frames_asset_pointers")]
        if found:
            found[0].unknown["around"] = pointer
        return found

    def _one(self, pointer: Json, *, kind: str) -> Part:
        file_id = file_id_of(pointer["asset_pointer"])
        return self.attachment(file_id, kind=kind, size=take_whole(pointer, "size_bytes"), unknown=pointer)

    def of_result(self, aggregate: Any) -> list[Part]:
        """The pictures that a run of code drew. What was said of the run stays as it is."""
        messages = aggregate.get("messages") if type(aggregate) is dict else None
        found = []
        for one in messages if type(messages) is list else ():
            if type(one) is dict and type(url := one.get("image_url")) is str:
                found.append(self.attachment(file_id_of(url), kind="image"))
        return found

    def attached(self, listed: list[Any], parts: list[Part]) -> tuple[list[Part], list[Any]]:
        """The parts with the files of `metadata.attachments`, and what of that list is not understood.

        A file that a part points to already gives it its name; the others become parts of their own.
        """
        places = {part.source_id: at for at, part in enumerate(parts) if part.type == "attachment"}
        parts, rest = list(parts), []
        for item in listed:
            file_id = item.get("id") if type(item) is dict else None
            if type(file_id) is not str or not file_id:
                rest.append(item)
            elif (at := places.get(file_id)) is not None:
                parts[at] = _named(parts[at], item)
            else:
                parts.append(self._listed(item))
        return parts, rest

    def _listed(self, item: Json) -> Part:
        file_id, name, declared = take_text(item, "id"), take_text(item, "name"), take_text(item, "mime_type")
        size = take_whole(item, "size")
        return self.attachment(file_id, name=name, declared=declared, size=size, unknown=item)

    def attachment(
        self,
        file_id: str,
        *,
        kind: str = "",
        name: str = "",
        declared: str = "",
        size: int | None = None,
        unknown: Json | None = None,
    ) -> Part:
        """The part of a file, with the hash of its bytes or the mark that they are missing."""
        member = self.store.find(file_id, self.conversation)
        facts = self.store.facts(file_id, member)
        kept = self.store.kept(member) if member else None
        if kept is None:
            self.missing += 1
        if member and kept is None:
            self.problems.append(Problem(member.where, "This file cannot be read; it counts as missing."))
        name = name or facts.name
        media_type = media.media_type(kept.head if kept else b"", name=name, declared=declared or facts.media_type)
        return Part(
            type="attachment",
            kind=kind or media.kind(media_type),
            media_type=media_type,
            missing=kept is None,
            name=name,
            sha256=kept.sha256 if kept else "",
            size=kept.size if kept else size,
            source_id=file_id,
            unknown={} if unknown is None else unknown,
        )


def file_id_of(pointer: str) -> str:
    """The id that an asset pointer names."""
    found = _ID.match(pointer)
    return found[1] if found else pointer


def _is_pointer(value: Any) -> bool:
    return type(value) is dict and type(value.get("asset_pointer")) is str


def _named(part: Part, item: Json) -> Part:
    """The attachment with the name and type that the list of attachments gives it."""
    name, declared = take_text(item, "name"), take_text(item, "mime_type")
    item.pop("id")
    return Part(
        type="attachment",
        kind=part.kind,
        media_type=part.media_type or declared,
        missing=part.missing,
        name=name or part.name,
        sha256=part.sha256,
        size=part.size,
        source_id=part.source_id,
        unknown=part.unknown | ({"attachment": item} if item else {}),
    )
