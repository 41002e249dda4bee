"""Names of members: which are noise, which mean harm, and in which order people expect them.

A member's name never becomes a path on this machine, so nothing is left out for its name alone. A name that tries to
lead outside is made harmless and told, because it says that the source was made to deceive, or by a careless program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_NOISE = {".ds_store", "thumbs.db", "desktop.ini"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")
_DIGITS = re.compile(r"[0-9]+")


def clean(name: str) -> str:
    r"""The name as a plain relative path: "C:\\a\\..\\.\\b" is "a/b". Empty when nothing of it is left."""
    slashed = _CONTROL.sub("_", name.replace("\\", "/"))
    steps = _DRIVE.sub("", slashed, count=1).split("/") if _DRIVE.match(slashed) else slashed.split("/")
    return "/".join(step for step in steps if step not in ("", ".", ".."))


def objection(name: str) -> str:
    """Why a name as written in a zip is unsafe, in a few words; empty when it is fine."""
    slashed = name.replace("\\", "/")
    if slashed.startswith("/"):
        return "an absolute path"
    if _DRIVE.match(slashed):
        return "a path with a drive letter"
    if ".." in slashed.split("/"):
        return "a path that leads outside"
    return "a name with control characters" if _CONTROL.search(name) else ""


def is_noise(name: str) -> bool:
    """Whether a system left this file behind; no export needs it."""
    steps = name.split("/")
    return "__MACOSX" in steps or steps[-1].startswith("._") or steps[-1].casefold() in _NOISE


class UniqueNames:
    """Gives every name once. One given before gets a numbered folder before its last step: "chats/(2)/list.json".

    The base name stays as it is, because importers know files by it.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._count: dict[str, int] = {}

    def take(self, name: str) -> str:
        folder, slash, base = name.rpartition("/")
        unique = name
        while unique in self._taken:
            self._count[name] = self._count.get(name, 1) + 1
            unique = f"{folder}{slash}({self._count[name]})/{base}"
        self._taken.add(unique)
        return unique


def natural(name: str) -> tuple[str, str]:
    """A key to sort by as people count: message_9 before message_10, folder by folder."""
    return _DIGITS.sub(_counted, name.casefold()).replace("/", "\0"), name


def _counted(digits: re.Match[str]) -> str:
    """Digits so that longer numbers come later; never an int, for a name may hold thousands of them."""
    number = digits[0].lstrip("0")
    return f"\1{chr(len(number))}{number}"
