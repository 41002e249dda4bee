"""One cloud under a clock of its own: devices that use it, and what the person or another program does there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chatkeep import providers
from chatkeep.providers.google_drive import GoogleDrive
from chatkeep.providers.http import Endpoints, Gate
from chatkeep.providers.notes import MemoryNotes
from chatkeep.providers.oauth import Access, Client
from chatkeep.providers.provider import Means
from chatkeep.storage import Retrying, Storage
from fakes.faults import Entry, Fault, Journal
from fakes.given import CLIENT, Cloud, MemoryTokens
from fakes.google_drive import Drive, File
from fakes.wire import Request, Response

BEGINNING = 1_800_000_000.0
NOT_OURS = b"a letter that is none of ours"


class Time:
    """A clock that moves by sleeping alone."""

    def __init__(self) -> None:
        self.now = BEGINNING
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Timed(Journal):
    """A journal by that clock."""

    def __init__(self, time: Time) -> None:
        super().__init__()
        self.time = time

    def note(self, request: Request, response: Response | None) -> None:
        super().note(request, response)
        with self._lock:
            last = self._entries[-1]
            self._entries[-1] = Entry(self.time(), *(getattr(last, name) for name in list(Entry.__match_args__)[1:]))


class Sky(ABC):
    """What differs between clouds. top: our folder as the person sees it.

    reads, writes: requests that carry the bytes of objects, for `match` of a fault. signing: those for tokens.
    """

    name: str
    fixture: str
    top: str
    reads: str
    writes: str
    signing: str
    feed: str

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.time = Time()
        self.cloud.fake.clock = self.time
        self.cloud.front.journal = Timed(self.time)
        self.provider = providers.provider(self.name)
        self.opened: list[Storage] = []
        self.write("Letters/letter.txt", NOT_OURS)

    def open(self, device: Device, *, new: bool, attempts: int = 8, **more: Any) -> Retrying:
        bare = self.bare(device.means(**more), new=new)
        self.opened.append(bare)
        return Retrying(bare, sleep=self.time.sleep, attempts=attempts, patience_s=7200.0)

    def bare(self, given: Means, *, new: bool) -> Any:
        """A storage as the provider opens it, but that waits by our clock."""
        opened: Any = self.provider.open({"folder": "Chatkeep"}, new, given)
        opened._sleep = self.time.sleep
        return opened

    def close(self) -> None:
        for storage in self.opened:
            storage.close()

    @property
    def faults(self) -> list[Fault]:
        return self.cloud.faults._faults

    def doubles(self) -> list[str]:
        """Things that are there once too often: of one path, or ours of other things' bytes.

        Where a cloud allows no two of one path, the second is stored under another name. What we seal is never
        the same bytes twice.
        """
        paths: set[str] = set()
        ours: set[bytes] = set()
        found = []
        for path, data in self.all():
            mine = path.startswith(f"{self.top}/")
            if path in paths or (mine and data in ours):
                found.append(path)
            paths.add(path)
            if mine:
                ours.add(data)
        return found

    def ours(self) -> dict[str, bytes]:
        """The files in our folder, by their path below it."""
        top = f"{self.top}/"
        return {path.removeprefix(top): data for path, data in self.all() if path.startswith(top)}

    def others(self) -> dict[str, bytes]:
        return {path: data for path, data in self.all() if not path.startswith(f"{self.top}/")}

    # What each cloud does in its own way.

    @abstractmethod
    def all(self) -> list[tuple[str, bytes]]:
        """Every file that is there and in no bin."""

    @abstractmethod
    def write(self, path: str, data: bytes) -> None:
        """Another program writes a file."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """The person puts it into the bin."""

    @abstractmethod
    def write_twice(self, path: str) -> None:
        """What lies there is created once more, as by a repetition that the cloud takes for a new request."""

    @abstractmethod
    def room(self, more: int | None) -> None:
        """So many bytes are left; None for plenty."""

    @abstractmethod
    def forget_cursors(self) -> None:
        """The feed no longer knows the cursors it gave."""

    @abstractmethod
    def damage(self, path: str) -> None:
        """Other bytes of the same size lie there, as after bit rot."""


class Device:
    """One device of Alice's: its tokens, notes and cache stay, its process comes and goes."""

    def __init__(self, sky: Sky, cache: Path, *, name: str, user: str = "alice", gate: Gate | None = None) -> None:
        self.sky = sky
        self.name = name
        self.gate = gate
        self.cache = cache / name
        self.cache.mkdir()
        self.tokens = MemoryTokens(sky.cloud.tokens(user))
        self.notes = MemoryNotes()

    def means(self, *, base: str = "", sleep: Callable[[float], None] | None = None) -> Means:
        sign_in = self.sky.provider.sign_in
        assert sign_in
        endpoints = Endpoints(base or self.sky.cloud.url)
        client = CLIENT if sign_in.secret else Client(CLIENT.id)
        access = Access(sign_in, client, self.tokens, endpoints, clock=self.sky.time)
        gate = self.gate or Gate(clock=self.sky.time, sleep=sleep or self.sky.time.sleep, patience_s=60.0)
        return Means(access, self.notes, endpoints, gate)

    def open(self, *, new: bool = False, **more: Any) -> Retrying:
        return self.sky.open(self, new=new, **more)

    def sign_in_again(self) -> None:
        self.tokens.tokens = self.sky.cloud.tokens("alice")


class GoogleSky(Sky):
    name, fixture, top = "google-drive", "google_fake", "Chatkeep"
    reads, writes = "alt=media", "(POST|PUT|PATCH) .*/upload/"
    signing, feed = "oauth2.googleapis.com/token", "drive/v3/changes"

    def bare(self, given: Means, *, new: bool) -> GoogleDrive:
        return GoogleDrive(given, new=new, clock=self.time)

    @property
    def drive(self) -> Drive:
        found: Drive = self.cloud.fake.users["alice"]
        return found

    def _path(self, file: File) -> str:
        above = self.drive.files.get(file.parent)
        return f"{self._path(above)}/{file.name}" if above else file.name

    def all(self) -> list[tuple[str, bytes]]:
        there = [file for file in self.drive.files.values() if not self.drive.trashed(file)]
        return [(self._path(file), file.data) for file in there if not file.folder]

    def write(self, path: str, data: bytes) -> None:
        self.drive.create({"name": path.replace("/", " ")}, data, "another program")

    def remove(self, path: str) -> None:
        self.drive.update(self.drive.path(*path.split("/")), {"trashed": True}, None, "")

    def write_twice(self, path: str) -> None:
        file = self.drive.path(*path.split("/"))
        self.drive.create({"name": file.name, "parents": [file.parent]}, file.data, file.app)

    def room(self, more: int | None) -> None:
        self.drive.limit = None if more is None else self.drive.used + more

    def forget_cursors(self) -> None:
        self.cloud.faults.fail(self.feed + r"\?", 410, body=b'{"error":{"errors":[{"reason":"gone"}]}}')

    def damage(self, path: str) -> None:
        file = self.drive.path(*path.split("/"))
        self.drive.update(file, {}, turned(file.data), "")


class DropboxSky(Sky):
    name, fixture, top = "dropbox", "dropbox_fake", "Chatkeep"
    reads, writes = "files/download", "files/upload"
    signing, feed = "oauth2/token", "list_folder/continue"

    def all(self) -> list[tuple[str, bytes]]:
        return [(path.removeprefix("/"), data) for path, data in self.cloud.fake.files().items()]

    def write(self, path: str, data: bytes) -> None:
        self.cloud.fake.write("/" + path, data)

    def remove(self, path: str) -> None:
        self.cloud.fake.remove("/" + path)

    def write_twice(self, path: str) -> None:
        self.write(f"{path} (1)", self.cloud.fake.files()["/" + path])

    def room(self, more: int | None) -> None:
        account = self.cloud.fake.account()
        account.quota = 2**40 if more is None else account.tree.used + more

    def forget_cursors(self) -> None:
        self.cloud.fake.reset_cursors()

    def damage(self, path: str) -> None:
        self.write(path, turned(self.cloud.fake.files()["/" + path]))


class OneDriveSky(Sky):
    name, fixture, top = "onedrive", "microsoft_fake", "Apps/Chatkeep/Chatkeep"
    reads, writes = "GET my.microsoftpersonalcontent", "PUT "
    signing, feed = "oauth2/v2.0/token", "delta"

    def all(self) -> list[tuple[str, bytes]]:
        return list(self.cloud.fake.files().items())

    def write(self, path: str, data: bytes) -> None:
        self.cloud.fake.write(path, data)

    def remove(self, path: str) -> None:
        self.cloud.fake.remove(path)

    def write_twice(self, path: str) -> None:
        self.write(f"{path} 1", self.cloud.fake.files()[path])

    def room(self, more: int | None) -> None:
        drive = self.cloud.fake.drive()
        drive.total = 2**40 if more is None else drive.used + more

    def forget_cursors(self) -> None:
        self.cloud.fake.feed.expired = True

    def damage(self, path: str) -> None:
        self.write(path, turned(self.cloud.fake.files()[path]))


def turned(data: bytes) -> bytes:
    """The bytes with one bit in the middle turned."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


SKIES: dict[str, type[Sky]] = {kind.name: kind for kind in (GoogleSky, DropboxSky, OneDriveSky)}
