"""A corpus in the shape each platform delivers, and its truth beside it."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .blocks import make_items
from .claude import ACCOUNT
from .item import Asset, Item, Settings, tiny_png
from .output import Content, Folder, Zip
from .truth import Truth

SHARD = 100  # conversations per file in the sharded ChatGPT layout


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to write, and where to. `level` is that of deflate; `jobs` does not change what is written."""

    settings: Settings
    conversations: int
    out: Path
    start: int = 0
    jobs: int = 1
    level: int = 1
    max_assets: int = 2000

    @property
    def truth_file(self) -> Path:
        return self.out.with_name(self.out.name + ".truth.json")


def write_corpus(order: Order) -> dict[str, Any]:
    """Write the corpus and its truth file, and return the truth.

    Raises FileExistsError where `out` is a folder that was not made here: it would be replaced.
    """
    settings = order.settings
    if order.out.is_dir() and not order.truth_file.exists():
        raise FileExistsError(f"{order.out} is a folder that was not made here; it stays as it is")
    order.out.parent.mkdir(parents=True, exist_ok=True)
    truth, content = Truth(), Content()
    end = order.start + order.conversations
    items = make_items(settings, truth, begin=order.start, end=end, jobs=order.jobs)
    with contextlib.closing(items):
        truth.assets_present = _write(order, items, content=content)
    truth.content_bytes = content.bytes
    result = {
        "format": settings.format,
        "layout": settings.layout if settings.format == "chatgpt" else None,
        "seed": settings.seed,
        "start": order.start,
        "tame": settings.tame,
        **truth.as_dict(),
        "content_sha256": content.hash.hexdigest(),
    }
    order.truth_file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return result


def _write(order: Order, items: Iterator[Item], *, content: Content) -> int:
    """Write in the platform's shape; returns the number of assets written."""
    if order.settings.format == "chatgpt":
        with Zip(order.out, level=order.level) as archive:
            return _write_chatgpt(archive, items, order=order, content=content)
    if order.settings.format == "claude":
        with Zip(order.out, level=order.level) as archive:
            _write_claude(archive, items, content=content)
    elif order.out.suffix == ".txt":
        for item in items:
            order.out.write_bytes(content.seen(item.data))
    else:
        _write_files(order, items, content=content)
    return 0


def _write_chatgpt(archive: Zip, items: Iterator[Item], *, order: Order, content: Content) -> int:
    user = {"id": "user-corpus", "email": "ana@example.org", "chatgpt_plus_user": True}
    _dump(archive, "user.json", user)
    archive.write("chat.html", b"<html><body>See conversations.json</body></html>")
    if order.settings.layout == "classic":
        with archive.stream("conversations.json") as stream:
            assets = _first(_write_array(stream, items, content=content), order.max_assets)
        for name in ("message_feedback", "model_comparisons", "shared_conversations"):
            _dump(archive, f"{name}.json", [])
    else:
        shards = _Shards(archive, content)
        assets = _first(shards.write(items), order.max_assets)
        _dump(archive, "user_settings.json", {"user_id": user["id"], "settings": {}})
        labels = {asset.path: asset.label for asset in assets}
        _dump(archive, "conversation_asset_file_names.json", labels)
        _dump(archive, "export_manifest.json", shards.manifest())
    for asset in assets:
        archive.write(asset.path, tiny_png(asset.number))
    return len(assets)


class _Shards:
    """Files of a hundred conversations each, and the list of them."""

    def __init__(self, archive: Zip, content: Content) -> None:
        self.archive = archive
        self.content = content
        self.files: list[dict[str, Any]] = []

    def write(self, items: Iterator[Item]) -> Iterator[Asset]:
        for first in items:
            name = f"conversations-{len(self.files):03d}.json"
            before = self.content.bytes
            shard = itertools.chain((first,), itertools.islice(items, SHARD - 1))
            with self.archive.stream(name) as stream:
                yield from _write_array(stream, shard, content=self.content)
            self.files.append({"path": name, "size_bytes": self.content.bytes - before})

    def manifest(self) -> dict[str, Any]:
        paths = [shard["path"] for shard in self.files]
        logical = {"files": paths, "sharded": True, "shard_count": len(paths)}
        return {
            "version": 1,
            "manifest_file": "export_manifest.json",
            "logical_files": {"conversations.json": logical},
            "export_files": self.files,
        }


def _write_claude(archive: Zip, items: Iterator[Item], *, content: Content) -> None:
    with archive.stream("conversations.json") as stream:
        _first(_write_array(stream, items, content=content), 0)
    archive.write("users.json", json.dumps([{"uuid": ACCOUNT, "full_name": "Ana"}]).encode())
    archive.write("projects.json", b"[]")


def _write_files(order: Order, items: Iterator[Item], *, content: Content) -> None:
    lone_chat = order.settings.format == "whatsapp" and order.conversations == 1
    zipped = order.out.suffix == ".zip"
    with Zip(order.out, level=order.level) if zipped else Folder(order.out) as files:
        for item in items:
            files.write("_chat.txt" if lone_chat else item.name, content.seen(item.data))


def _write_array(stream: IO[bytes], items: Iterator[Item], *, content: Content) -> Iterator[Asset]:
    """Write the items as one JSON array in pieces of about a megabyte; yields their assets.

    There is no final newline: a reader must not count on line ends.
    """
    pieces: list[bytes] = [b"["]
    size = 0
    separator = b""
    for item in items:
        pieces += (separator, item.data)
        separator = b", "
        size += len(item.data)
        if size > 1 << 20:
            stream.write(content.seen(b"".join(pieces)))
            pieces, size = [], 0
        yield from item.assets
    pieces.append(b"]")
    stream.write(content.seen(b"".join(pieces)))


def _first(assets: Iterator[Asset], count: int) -> list[Asset]:
    """The first `count` assets, after reading all of them."""
    kept: list[Asset] = []
    for asset in assets:
        if len(kept) < count:
            kept.append(asset)
    return kept


def _dump(archive: Zip, name: str, value: Any) -> None:
    archive.write(name, json.dumps(value, ensure_ascii=False).encode())
