"""Every importer there is: our own, and those that other packages bring, through the same door.

The door is the entry-point group `chatkeep.importers`; its values name an `Importer`, "package.module:NAME". Ours are
listed here as well, so that they are there when Chatkeep runs from its source folder.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from chatkeep.importers import Importer

GROUP = "chatkeep.importers"

BUILT_IN = (
    EntryPoint("chatgpt", "chatkeep.importers.chatgpt:CHATGPT", GROUP),
    EntryPoint("claude", "chatkeep.importers.claude:CLAUDE", GROUP),
    EntryPoint("claude-code", "chatkeep.importers.claude_code:CLAUDE_CODE", GROUP),
    EntryPoint("librechat", "chatkeep.importers.librechat:LIBRECHAT", GROUP),
    EntryPoint("openwebui", "chatkeep.importers.openwebui:OPENWEBUI", GROUP),
    EntryPoint("whatsapp", "chatkeep.importers.whatsapp:WHATSAPP", GROUP),
    EntryPoint("chatkeep", "chatkeep.importers.chatkeep_json:LOSSLESS", GROUP),
)


def load(doors: Iterable[EntryPoint]) -> tuple[Importer, ...]:
    """The importers behind these entry points, each name once, the first of it; one that fails to load is left out."""
    found: dict[str, Importer] = {}
    for door in doors:
        if door.name not in found:
            try:
                found[door.name] = door.load()
            except Exception:  # a stranger's package may be broken in any way
                logging.getLogger(__name__).warning("The importer %s could not be loaded.", door.value, exc_info=True)
    return tuple(found.values())


ALL: tuple[Importer, ...] = load([*BUILT_IN, *entry_points(group=GROUP)])
