"""Backups to the three clouds, imitated on this machine with the time that a request takes, beside rclone."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .measure import Cost, cost_of, interleaved
from .product import Chatkeep, answer
from .table import Row

if TYPE_CHECKING:
    from .rows import Run

Cloud: TypeAlias = Any
"""A running imitation: `fakes.given.Cloud` of the tests, which are no part of what is checked for types."""

REQUEST_S = 0.12
PACKS = 16
PACK = 16 * 1024 * 1024
MOST_MEMORY = 120


@dataclass(frozen=True)
class Kind:
    """One cloud. fake, made: module and class of its imitation. remote: how rclone is told of it, which asks OneDrive
    for more than a folder of its own; issue: for what.
    """

    name: str
    title: str
    fake: str
    made: str
    remote: str
    issue: dict[str, Any] = field(default_factory=dict)


_TOKEN = '{"access_token":"%s","token_type":"Bearer","refresh_token":"%s","expiry":"2099-01-01T00:00:00Z"}'
KINDS = (
    Kind(
        name="google-drive",
        title="Google Drive",
        fake="google",
        made="GoogleFake",
        remote="type = drive\nclient_id = cid\nclient_secret = csec\nscope = drive.file\ntoken = {token}\n",
    ),
    Kind(
        name="dropbox",
        title="Dropbox",
        fake="dropbox",
        made="DropboxFake",
        remote="type = dropbox\nclient_id = cid\nclient_secret = csec\ntoken = {token}\n",
    ),
    Kind(
        name="onedrive",
        title="OneDrive",
        fake="microsoft",
        made="MicrosoftFake",
        remote="type = onedrive\nclient_id = web\nclient_secret = csec\ndrive_id = {drive.id}\n"
        "drive_type = {drive.kind}\ntoken = {token}\n",
        issue={"scopes": ("Files.ReadWrite", "offline_access"), "client": "web"},
    ),
)


def clouds(run: Run) -> Iterator[Row]:
    """First backup, one and a hundred changes, and nothing changed, at each of the three."""
    home = run.fresh("home")
    ours = Chatkeep(home)
    ours.add(run.corpora.chatgpt(run.conversations, layout="classic"))
    files = run.fresh("files") / "chats"
    ours.export("json", files)
    kept = run.folder / "home-kept"
    shutil.rmtree(kept, ignore_errors=True)
    home.rename(kept)
    for kind in KINDS:
        shutil.copytree(kept, run.fresh("home"), dirs_exist_ok=True)
        yield from _at(run, kind, files=files)


def packs(run: Run) -> Iterator[Row]:
    """The same packs put by our client and by rclone at each of the three, without any delay, into an empty place."""
    folder = run.fresh("packs") / "packs"
    folder.mkdir()
    for number in range(PACKS):
        (folder / f"{number:02d}").write_bytes(_noise(number))

    def ours(_: int) -> Cost:
        with _imitated(kind) as cloud:
            access = cloud.tokens()
            given = {"base": cloud.url, "provider": kind.name, "access": access.access, "refresh": access.refresh}
            return cost_of([sys.executable, Path(__file__).with_name("putting.py"), json.dumps(given), folder])

    def theirs(_: int) -> Cost:
        with _imitated(kind) as cloud:
            return _Rclone(kind, cloud, run.fresh("rclone")).copy(folder, "packs")

    for kind in KINDS:
        costs = interleaved(max(run.rounds, 7), {"ours": ours, "rclone": theirs})
        what = f"{kind.title}: {PACKS} packs of 16 MiB, no delay"
        yield Row(what=what, ours=costs["ours"].wall, peer=costs["rclone"].wall, peer_name="rclone", reach=1)


@contextmanager
def _imitated(kind: Kind) -> Iterator[Cloud]:
    """A new cloud, in which nothing is."""
    fake = getattr(import_module(f"fakes.{kind.fake}"), kind.made)()
    fake.consent.automatic = "allow"
    with import_module("fakes.server").Front([fake]) as front:
        yield import_module("fakes.given").Cloud(front, fake)


def _noise(number: int) -> bytes:
    return hashlib.shake_128(str(number).encode()).digest(PACK)


def _at(run: Run, kind: Kind, *, files: Path) -> Iterator[Row]:
    with _imitated(kind) as cloud:
        ours = Chatkeep(run.folder / "home")
        ours.env |= _settings(kind, cloud.url)
        ours.run("connect", kind.name, "--json")
        rclone = _Rclone(kind, cloud, run.fresh("rclone"))
        yield from _with_delay(run, kind, cloud, ours, rclone, files)


def _settings(kind: Kind, base: str) -> dict[str, str]:
    prefix = f"CHATKEEP_{kind.name.upper().replace('-', '_')}_CLIENT"
    secret = {f"{prefix}_SECRET": "csec"} if kind.name == "google-drive" else {}
    browser = "curl --silent --location --output /dev/null %s"
    return {"CHATKEEP_CLOUD_BASE": base, "BROWSER": browser, f"{prefix}_ID": "cid"} | secret


def _with_delay(run: Run, kind: Kind, cloud: Cloud, ours: Chatkeep, rclone: _Rclone, files: Path) -> Iterator[Row]:
    """rclone comes last: it signs in as the same app, so the feed would tell Chatkeep of all that it puts."""
    idle = ours.run("connections", "--json").peak
    cloud.faults.delay_s = REQUEST_S
    first, requests = _counted(cloud, ours.back_up)
    yield Row(
        what=f"{kind.title}: first backup, memory above idle", ours=first.peak - idle, unit="MB", reach=MOST_MEMORY
    )
    for count in (1, 100):
        ours.add(run.corpora.chatgpt(count, layout="classic", start=run.conversations + 1000 * count))
        took, made = _counted(cloud, ours.back_up)
        new = answer(took)["new_documents"]
        yield Row(what=f"{kind.title}: backup, {new} changed, cold", ours=took.wall, reach=8)
        yield Row(what="the same, requests", ours=made, unit="", reach=10)
    took, made = _counted(cloud, ours.back_up)
    yield Row(what=f"{kind.title}: backup, nothing changed, cold", ours=took.wall)
    yield Row(what="the same, requests", ours=made, unit="", reach=2)
    copied, theirs = _counted(cloud, lambda: rclone.copy(files, "chats"))
    what = f"{kind.title}: first backup, {run.conversations:,} conversations, {REQUEST_S * 1000:.0f} ms a request"
    peer = "rclone copy of the files"
    yield Row(what=what, ours=first.wall, peer=copied.wall, peer_name=peer, reach=1 / 20)
    yield Row(what="the same, requests", ours=requests, unit="", peer=theirs, peer_name=peer, reach=1 / 100)


def _counted(cloud: Cloud, call: Callable[[], Cost]) -> tuple[Cost, int]:
    before = cloud.journal.count()
    took = call()
    return took, cloud.journal.count() - before


class _Rclone:
    """Stock rclone at a fake, with tokens that last."""

    def __init__(self, kind: Kind, cloud: Cloud, folder: Path) -> None:
        tokens = cloud.fake.consent.issue("alice", **kind.issue) if kind.issue else cloud.fake.issue()
        drive = cloud.fake.drive() if kind.name == "onedrive" else None
        token = _TOKEN % (tokens.access, tokens.refresh)
        self._config = folder / "rclone.conf"
        self._config.write_text("[cloud]\n" + kind.remote.format(token=token, drive=drive))
        self._env = {**cloud.front.environment(), "HOME": str(folder)}

    def copy(self, source: Path, target: str) -> Cost:
        command: list[str | Path] = ["rclone", "--config", self._config, "copy", source, f"cloud:{target}"]
        return cost_of(command, env=self._env)
