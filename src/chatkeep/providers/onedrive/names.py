"""Names that OneDrive does not take, or would bend. They are refused before anything is asked.

Source: "Invalid file names and file types in OneDrive and SharePoint", Microsoft support; seen true 2026-11.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from chatkeep.errors import Refused
from chatkeep.storage import check_name

FORBIDDEN = frozenset('"*:<>?/\\|')
RESERVED = frozenset(
    {".lock", "con", "prn", "aux", "nul", "desktop.ini"} | {f"{kind}{n}" for kind in ("com", "lpt") for n in range(10)}
)
LONGEST_PATH = 400
"""The decoded path from the root of the drive must be shorter [UTF-16 units]."""


def check(name: str, *, above: int) -> None:
    """Refuse a name. above: how long the path of our folder is, from the root of the drive [UTF-16 units].

    Raises Refused.
    """
    check_name(name)
    *folders, last = name.split("/")
    for part in (*folders, last):
        _check_part(part)
    if any(folder.startswith("~") for folder in folders):
        raise Refused("OneDrive takes no folder whose name begins with ~.")
    if above + 1 + units(name) >= LONGEST_PATH:
        raise Refused(f"A name is too long: OneDrive takes paths of less than {LONGEST_PATH} characters.")


def _check_part(part: str) -> None:
    low = part.lower()
    if FORBIDDEN & set(part):
        raise Refused('OneDrive takes no name with one of the characters " * : < > ? / \\ |.')
    if part != part.strip(" ") or part.endswith("."):
        raise Refused("OneDrive takes no name that begins or ends with a space, or ends with a dot.")
    if low in RESERVED or "_vti_" in low or low.startswith("~$"):
        raise Refused("A name is one of those that OneDrive keeps for itself.")


def units(text: str) -> int:
    """How long a text is as OneDrive counts."""
    return len(text.encode("utf-16-le")) // 2


def quoted(name: str) -> str:
    """A name as a part of an address."""
    return "/".join(quote(part, safe="") for part in name.split("/"))


def plain(path: str) -> str:
    """A path out of an answer, as people read it."""
    return unquote(path)
