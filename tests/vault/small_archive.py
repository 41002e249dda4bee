"""A small archive to save, and stock restic to judge what came of it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

from chatkeep.errors import Problem
from chatkeep.vault import Contents, VaultAttachment, VaultDocument

PASSPHRASE = "correct horse battery"
WORDS = [f"{a}{b}{c}" for a in ("ka", "lo", "mi", "ne", "su") for b in ("ra", "to", "vi", "") for c in "nrst"]


def document(seed: int, *, messages: int = 3) -> tuple[str, bytes]:
    """(id, canonical bytes) of a made-up conversation; about 300 bytes a message."""
    chance = random.Random(seed)
    conversation = str(uuid.UUID(int=chance.getrandbits(128)))
    said = [
        {"id": f"{conversation[:8]}-{i}", "parts": [{"text": " ".join(chance.choices(WORDS, k=50)), "type": "text"}]}
        for i in range(messages)
    ]
    whole = {"format": 1, "id": conversation, "messages": said, "title": f"Chat {seed}", "updated_at": "2024"}
    return conversation, json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()


def documents(count: int, *, first: int = 0, messages: int = 3) -> dict[str, bytes]:
    return dict(document(seed, messages=messages) for seed in range(first, first + count))


def attachment(data: bytes) -> VaultAttachment:
    return VaultAttachment(hashlib.sha256(data).hexdigest(), len(data), lambda: BytesIO(data))


def contents(
    held: dict[str, bytes],
    *,
    attachments: Iterable[VaultAttachment] = (),
    tombstones: dict[str, bytes] | None = None,
    messages: int = 0,
    load: Callable[[str], bytes] | None = None,
    updated_at: str = "2024-05-01T10:00:00.5Z",
) -> Contents:
    entries = sorted((name, hashlib.sha256(data).hexdigest(), updated_at) for name, data in held.items())
    return Contents(
        entries=entries,
        load=load or held.__getitem__,
        attachments=attachments,
        tombstones=tombstones or {},
        counts={"messages": messages},
    )


def loaded(found: Iterable[VaultDocument | Problem]) -> dict[str, bytes]:
    """The documents by id; a problem among them is an error."""
    kept = {}
    for item in found:
        assert isinstance(item, VaultDocument), item
        assert item.id not in kept
        kept[item.id] = item.data
    return kept


def restics() -> list[str]:
    """Every stock restic that can be asked: the system's, those of `make restics`, and those that RESTICS names."""
    fetched = sorted((Path(__file__).parents[2] / ".venv" / "restic").glob("restic-*"))
    return ["/usr/bin/restic", *map(str, fetched), *filter(None, os.environ.get("RESTICS", "").split(os.pathsep))]


class Restic:
    """Stock restic, looking at the vault in a folder, or in a repository that it calls so. program: which one; the
    system's if not said.
    """

    def __init__(
        self,
        place: Path,
        *,
        password: str = PASSPHRASE,
        program: str = "/usr/bin/restic",
        repository: str = "",
        **environment: str,
    ) -> None:
        self.vault = place / "Vault"
        self._repository = repository
        self._program = program
        self._environment = {**os.environ, "RESTIC_PASSWORD": password, "HOME": str(place), **environment}

    def run(self, *arguments: str, fails: bool = False) -> str:
        command = [self._program, "-r", self._repository or str(self.vault), "--no-cache", *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def is_clean(self) -> bool:
        said = self.run("check", "--read-data")
        return "no errors were found" in said

    def restored(self, target: Path, snapshot: str = "latest") -> dict[str, bytes]:
        """Every file that restic restores, by its path."""
        self.run("restore", snapshot, "--target", str(target))
        return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def as_files(held: dict[str, bytes]) -> dict[str, bytes]:
    """What restic must restore for these conversations."""
    return {f"conversations/{n[0]}/{n[1]}/{n[2]}/{n}.json": data for n, data in held.items()}


class Clock:
    """A clock that tests move, for a machine and for the storage."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def go(self, by: timedelta) -> None:
        self.now += by
