"""Whoever keeps a list of names by the feed alone has the names that a listing would give; whatever happened."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from tests.providers.onedrive.conftest import Clock, Opening

from chatkeep.errors import ChatkeepError
from chatkeep.providers import MemoryNotes
from chatkeep.providers.onedrive import OneDrive
from chatkeep.storage import changes
from fakes.given import Cloud
from fakes.microsoft.drive import GraphError

APP = "Apps/Chatkeep"


class Story:
    """Random things that happen to one folder, by us, by another device and by a person at the provider's page."""

    def __init__(self, cloud: Cloud, opening: Opening, seed: int) -> None:
        self.cloud, self.chance = cloud, random.Random(seed)
        self.clock = cloud.fake.clock = Clock()
        self.notes = MemoryNotes()
        self.opening = opening
        self.ours: OneDrive = opening(cloud, notes=self.notes)
        self.theirs: OneDrive = opening(cloud, new=False)
        self.place = f"{APP}/Chatkeep"

    def name(self) -> str:
        folders = self.chance.choice(["", "a/", "a/b/", "c/", "c/d/e/"])
        return f"{folders}{self.chance.randrange(6)}"

    def folder(self) -> str:
        return self.chance.choice(["a", "a/b", "c", "c/d", "z"])

    def happens(self) -> str:
        content = self.chance.randbytes(3)
        one, other, folder = self.name(), self.name(), self.folder()
        fake = self.cloud.fake
        deeds: list[tuple[str, Callable[[], object]]] = [
            (f"we put {one}", lambda: self.ours.put(one, content)),
            (f"we put many {one} {other}", lambda: self.ours.put_many({one: content, other: content})),
            (f"we delete {one}", lambda: self.ours.delete(one)),
            (f"we move {one} to {other}", lambda: self.ours.move(one, other)),
            ("we list", lambda: self.ours.listing(self.chance.choice(["", "a/", "c/d"]))),
            ("we begin anew", self.begins_anew),
            (f"they put {one}", lambda: self.theirs.put(one, content)),
            (f"they delete {one}", lambda: self.theirs.delete(one)),
            (f"they move {one} to {other}", lambda: self.theirs.move(one, other)),
            (f"a person writes {one}", lambda: fake.write(f"{self.place}/{one}", content)),
            (f"a person removes {one}", lambda: fake.remove(f"{self.place}/{one}")),
            (f"a person renames {one} to {other}", lambda: fake.rename(f"{self.place}/{one}", f"{self.place}/{other}")),
            (f"a person removes the folder {folder}", lambda: fake.remove(f"{self.place}/{folder}")),
            (f"a person moves the folder {folder}", lambda: fake.rename(f"{self.place}/{folder}", f"{self.place}/z/y")),
            (f"{one} is taken out", lambda: fake.rename(f"{self.place}/{one}", f"Documents/{content.hex()}")),
            (f"{one} comes in", lambda: self.comes_in(one, content)),
            (f"{folder} comes in", lambda: self.comes_in(f"{folder}", content, inside="/deep/file")),
            ("time passes", lambda: self.clock.sleep(self.chance.choice([0.3, 1, 100]))),
        ]
        told, deed = self.chance.choice(deeds)
        try:
            deed()
        except (GraphError, ChatkeepError) as error:  # what is not there, or is there already
            return f"{told}: {type(error).__name__}"
        return told

    def begins_anew(self) -> None:
        self.ours.close()
        self.ours = self.opening(self.cloud, new=False, notes=self.notes)

    def comes_in(self, name: str, content: bytes, inside: str = "") -> None:
        elsewhere = f"Documents/{content.hex()}"
        self.cloud.fake.write(elsewhere + inside, content)
        self.clock.sleep(self.chance.choice([0, 5]))
        self.cloud.fake.rename(elsewhere, f"{self.place}/{name}")

    def contents(self) -> dict[str, bytes]:
        files: dict[str, bytes] = self.cloud.fake.files()
        return {n.removeprefix(f"{self.place}/"): d for n, d in files.items() if n.startswith(f"{self.place}/")}


@pytest.mark.parametrize("seed", range(16))
def test_what_the_feed_tells_is_all_there_is(cloud: Cloud, opening: Opening, seed: int) -> None:
    story = Story(cloud, opening, seed)
    cloud.fake.feed.page = story.chance.choice([1, 3, 200])
    cloud.fake.feed.repeats = story.chance.random() < 0.5
    cloud.fake.feed.folder_alone = story.chance.random() < 0.5
    begun = changes(story.ours, "")
    assert begun is not None
    cursor, known = begun.cursor, story.contents()
    log = []
    for _ in range(60):
        log.append(story.happens())
        if story.chance.random() < 0.3:
            told = changes(story.ours, cursor)
            assert told is not None
            now = story.contents()
            if told.complete:
                assert (set(known) | told.changed) - told.gone == set(now), log
                assert {name for name, data in now.items() if known.get(name) != data} <= told.changed, log
            else:
                story.ours.listing()
            cursor, known = told.cursor, now
            log.append("we hear what changed")
