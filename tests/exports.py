"""Small exports, written when a test needs them: a few ChatGPT conversations with all that the tests ask about."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CAKE = "5e1f0f6a-0000-4000-8000-000000000001"
BOAT = "5e1f0f6a-0000-4000-8000-000000000002"
PICTURE = b"\x89PNG\r\n\x1a\n" + b"a small picture" * 20


def conversation(
    id: str, title: str, said: Sequence[str], *, at: int = 1_700_000_000, picture: str = ""
) -> dict[str, Any]:
    """One conversation as ChatGPT exports it; every second message is the assistant's."""
    mapping: dict[str, Any] = {f"{id}-root": {"id": f"{id}-root", "message": None, "parent": None, "children": []}}
    parent = f"{id}-root"
    for number, text in enumerate(said):
        node = f"{id}-{number}"
        parts: list[Any] = [text]
        if picture and not number:
            asset = {"content_type": "image_asset_pointer", "asset_pointer": f"sediment://{picture}"}
            parts = [asset | {"size_bytes": len(PICTURE), "width": 4, "height": 4}, text]
        kind = "multimodal_text" if len(parts) > 1 else "text"
        mapping[node] = {
            "id": node,
            "parent": parent,
            "children": [],
            "message": _message(node, number, at, kind, parts),
        }
        mapping[parent]["children"].append(node)
        parent = node
    times = {"create_time": float(at), "update_time": float(at + len(said))}
    return {"id": id, "conversation_id": id, "title": title, "mapping": mapping, "current_node": parent, **times}


def _message(node: str, number: int, at: int, kind: str, parts: list[Any]) -> dict[str, Any]:
    return {
        "id": node,
        "author": {"role": "assistant" if number % 2 else "user", "name": None, "metadata": {}},
        "create_time": float(at + number),
        "content": {"content_type": kind, "parts": parts},
        "status": "finished_successfully",
        "metadata": {},
        "recipient": "all",
    }


def export(path: Path, conversations: Sequence[dict[str, Any]], *, files: dict[str, bytes] | None = None) -> Path:
    """A zip as the platform sends it."""
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("conversations.json", json.dumps(list(conversations)))
        for name, data in (files or {}).items():
            packed.writestr(name, data)
    return path


def two(path: Path) -> Path:
    """Two conversations, five messages, one picture that is there."""
    cake = conversation(
        CAKE, "A birthday cake", ["How long does the cake bake?", "Forty minutes."], picture="file_0a1b2c3d4e5f"
    )
    boat = conversation(BOAT, "Boats", ["Which boat?", "A small one.", "Thanks."], at=1_710_000_000)
    return export(path, [cake, boat], files={"file_0a1b2c3d4e5f-picture.png": PICTURE})


def many(path: Path, number: int) -> Path:
    """So many conversations of two messages."""
    ids = [f"5e1f0f6a-0000-4000-8000-{n + 100:012}" for n in range(number)]
    return export(path, [conversation(id, f"Chat {n}", ["Hm?", f"So {n}."]) for n, id in enumerate(ids)])
