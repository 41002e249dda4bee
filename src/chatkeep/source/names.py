"""Names of members: which are noise, which are unsafe, and in which order people expect them.

A member's name never becomes a path on this machine. It is judged all the same, because a name that tries to lead
outside says that the source was made to deceive.
"""

from __future__ import annotations

import re
from collections.abc import Collection

LONGEST = 1000

_NOISE = {".ds_store", "thumbs.db", "desktop.ini"}
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
_DIGITS = re.compile(r"([0-9]+)")

type_key = tuple[tuple[tuple[int, int, str], ...], ...]


def clean(name: str) -> str:
    """The name with forward slashes and without empty or "." steps: "a\\\\.\\\\b" is "a/b"."""
    steps = name.replace("\\", "/").split("/")
    return "/".join(step for step in steps if step not in ("", "."))


def is_noise(name: str) -> bool:
    """Whether a system left this file behind; no export needs it."""
    steps = name.split("/")
    return "__MACOSX" in steps or steps[-1].startswith("._") or steps[-1].casefold() in _NOISE


def objection(name: str) -> str:
    """Why a name as written in a zip is unsafe, in a few words; empty when it is fine."""
    slashed = name.replace("\\", "/")
    steps = slashed.split("/")
    if any(ord(letter) < 32 for letter in name):
        return "control characters in the name"
    if slashed.startswith("/"):
        return "an absolute path"
    if _DRIVE.match(slashed):
        return "a path with a drive letter"
    if ".." in steps:
        return "a path that leads outside"
    if any(_DEVICE.fullmatch(step.strip(" .")) for step in steps):
        return "the name of a device"
    if len(name) > LONGEST:
        return "a name that is too long"
    return "" if clean(name) else "an empty name"


def unique(name: str, taken: Collection[str]) -> str:
    """The name, or with a numbered folder before its last step when it is taken: "chats/(2)/list.json".

    The base name stays as it is, because importers know files by it.
    """
    if name not in taken:
        return name
    folder, slash, base = name.rpartition("/")
    number = 2
    while (other := f"{folder}{slash}({number})/{base}") in taken:
        number += 1
    return other


def natural(name: str) -> type_key:
    """A key to sort by as people count: message_9 before message_10, folder by folder."""
    return tuple(_natural_step(step) for step in name.split("/"))


def _natural_step(step: str) -> tuple[tuple[int, int, str], ...]:
    pieces = [piece for piece in _DIGITS.split(step.casefold()) if piece]
    return (*(_natural_piece(piece) for piece in pieces), (2, 0, step))


def _natural_piece(piece: str) -> tuple[int, int, str]:
    if not _DIGITS.fullmatch(piece):
        return (1, 0, piece)
    digits = piece.lstrip("0")
    return (0, len(digits), digits)
