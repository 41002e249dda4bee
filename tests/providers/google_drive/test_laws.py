"""Whatever several devices and the person do, in any order: a device that follows the feed knows what is there."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chatkeep.providers.google_drive.tree import MARK, Entry, Tree, entry
from fakes.google import told_v3
from fakes.google_drive import FOLDER, Drive, File

APP = "cid"
FOLDERS = ("Vault", "Chats", "Vault/data", "Chats/data")
NAMES = st.sampled_from([*"ab", *(f"{folder}/{name}" for folder in FOLDERS for name in "ab")])


class Follower:
    """A device: its tree, and what a caller knows who applies each telling of changes to what it knew."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.tree = Tree("Chatkeep", str(len(drive.log) + 1), [entry(told_v3(drive, f)) for f in drive.files.values()])
        self.cursor = ""
        self.known: set[str] = set()
        self.older: list[tuple[str, set[str]]] = []

    def follow(self) -> None:
        begin = int(self.tree.token) - 1
        last = {id: number for number, (_, id, _) in enumerate(self.drive.log) if number >= begin}
        told: list[dict[str, Any]] = []
        for id in sorted(last, key=lambda id: last[id]):
            file = self.drive.files.get(id)
            told.append({"fileId": id, **({"file": told_v3(self.drive, file)} if file else {"removed": True})})
        self.tree.take(told, str(len(self.drive.log) + 1))

    def listed(self) -> set[str]:
        return {one.name for one in self.tree.listing("")}

    def ask(self) -> None:
        """What a caller does: apply what changed since its cursor, or list everything where that is not known."""
        self.follow()
        self.known = self._told(self.cursor, self.known)
        self.cursor = self.tree.token
        self.older.append((self.cursor, set(self.known)))

    def _told(self, cursor: str, known: set[str]) -> set[str]:
        told = self.tree.since(cursor)
        return self.listed() if told is None else (known | told[0]) - told[1]

    def check(self) -> None:
        assert self.known == self.listed()
        for cursor, known in self.older[-5:]:
            assert self._told(cursor, known) == self.listed()

    def restart(self) -> None:
        again = Tree.from_kept("Chatkeep", self.tree.kept())
        assert again
        self.tree = again


class Feeds(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.now = 1_700_000_000.0
        self.drive = Drive("alice", self._clock)
        top = {"name": "Chatkeep", "mimeType": FOLDER, "appProperties": {MARK: "Chatkeep"}}
        self.top = self.drive.create(top, b"", APP)
        self.followers = [Follower(self.drive), Follower(self.drive)]

    def _clock(self) -> float:
        self.now += 1
        return self.now

    def _truth(self) -> set[str]:
        """The names that are there, by walking the Drive itself."""
        found: set[str] = set()

        def walk(folder: File, path: str) -> None:
            for file in self.drive.files.values():
                if file.parent == folder.id and not file.trashed:
                    if file.folder:
                        walk(file, f"{path}{file.name}/")
                    else:
                        found.add(path + file.name)

        walk(self.top, "")
        return found

    def _ours(self, *, folders: bool) -> list[File]:
        return [file for file in self.drive.files.values() if file.folder == folders and file is not self.top]

    def _folder(self, path: list[str]) -> str:
        parent = self.top.id
        for name in path:
            found = [f for f in self.drive.files.values() if f.parent == parent and f.name == name and f.folder]
            made = (
                found[0]
                if found
                else self.drive.create({"name": name, "mimeType": FOLDER, "parents": [parent]}, b"", APP)
            )
            parent = made.id
        return parent

    @rule(name=NAMES, device=st.sampled_from([None, 0, 1]))
    def put(self, name: str, device: int | None) -> None:
        *path, last = name.split("/")
        file = self.drive.create({"name": last, "parents": [self._folder(path)]}, b"x", APP)
        if device is not None:  # the device that put it knows at once, if it knows the folder
            self.followers[device].tree.learn(self._entry(file))

    def _entry(self, file: File) -> Entry:
        return entry(told_v3(self.drive, file))

    @precondition(lambda self: self._ours(folders=False))
    @rule(data=st.data(), device=st.sampled_from([None, 0, 1]))
    def delete(self, data: st.DataObject, device: int | None) -> None:
        file = data.draw(st.sampled_from(self._ours(folders=False)))
        self.drive.delete(file)
        if device is not None:
            self.followers[device].tree.bury(file.id)

    @precondition(lambda self: self._ours(folders=False))
    @rule(data=st.data(), name=NAMES, device=st.sampled_from([None, 0, 1]))
    def move(self, data: st.DataObject, name: str, device: int | None) -> None:
        *path, last = name.split("/")
        file = data.draw(st.sampled_from(self._ours(folders=False)))
        self.drive.update(file, {"name": last}, None, APP, parent=self._folder(path))
        if device is not None:
            self.followers[device].tree.learn(self._entry(file))

    @precondition(lambda self: self._ours(folders=True))
    @rule(data=st.data(), what=st.sampled_from(["rename", "bin", "take back", "delete", "lift"]))
    def turn_a_folder(self, data: st.DataObject, what: str) -> None:
        folder = data.draw(st.sampled_from(self._ours(folders=True)))
        if what == "delete":
            self.drive.delete(folder)
        elif what == "lift":
            self.drive.update(folder, {}, None, APP, parent=self.top.id)
        else:
            meta = {"rename": {"name": "renamed"}, "bin": {"trashed": True}, "take back": {"trashed": False}}[what]
            self.drive.update(folder, meta, None, APP)

    @precondition(lambda self: self._ours(folders=False))
    @rule(data=st.data(), binned=st.booleans())
    def bin_a_file(self, data: st.DataObject, binned: bool) -> None:
        self.drive.update(data.draw(st.sampled_from(self._ours(folders=False))), {"trashed": binned}, None, APP)

    @rule(device=st.sampled_from([0, 1]))
    def ask(self, device: int) -> None:
        self.followers[device].ask()
        assert self.followers[device].listed() == self._truth()
        self.followers[device].check()

    @rule(device=st.sampled_from([0, 1]))
    def restart(self, device: int) -> None:
        self.followers[device].restart()

    @invariant()
    def who_asks_knows_what_is_there(self) -> None:
        if not hasattr(self, "drive"):
            return
        for follower in self.followers:
            follower.ask()
            assert follower.listed() == self._truth()
            follower.check()


class SeldomAsked(Feeds):
    """The same, with devices that ask only now and then."""

    @invariant()
    def who_asks_knows_what_is_there(self) -> None:
        """Asked for by a rule instead."""


Feeds.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
SeldomAsked.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestFeeds = Feeds.TestCase
TestFeedsSeldomAsked = SeldomAsked.TestCase
