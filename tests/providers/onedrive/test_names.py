from __future__ import annotations

import pytest
from tests.providers.onedrive.conftest import Opening

from chatkeep.errors import Refused
from chatkeep.providers.onedrive import OneDrive, names
from fakes.given import Cloud
from fakes.microsoft.drive import GraphError

BAD = [
    *(f"a{c}b" for c in '"*:<>?|'),
    " leading",
    "trailing ",
    "dot.",
    "folder./a",
    "CON",
    "con",
    "Com0",
    "lpt9",
    ".LOCK",
    "Desktop.ini",
    "x_vti_y",
    "~$draft.docx",
    "~folder/a",
    "deep/" * 80,
]
GOOD = ["~file", "console", "a#b%41&c+d=e", "Grüße ❤️ [1a2b].md", "日本語", ".hidden", "a.b.c", "com10", "-rf", "it's"]


@pytest.mark.parametrize("name", [name.rstrip("/") for name in BAD])
def test_what_onedrive_would_refuse_or_bend_is_refused_before_any_request(
    cloud: Cloud, opening: Opening, name: str
) -> None:
    storage = opening(cloud)
    with cloud.journal.counted() as lines:
        for verb in (storage.get, storage.stat, storage.delete, lambda name: storage.put(name, b"x")):
            with pytest.raises(Refused):
                verb(name)
        with pytest.raises(Refused):
            storage.put_many({"fine": b"x", name: b"x"})
        with pytest.raises(Refused):
            storage.move("fine", name)
    assert lines == []


@pytest.mark.parametrize("name", GOOD)
def test_other_names_are_kept_exactly(cloud: Cloud, opening: Opening, name: str) -> None:
    storage: OneDrive = opening(cloud)
    storage.put(f"Chats/{name}", b"x")
    assert [one.name for one in storage.listing()] == [f"Chats/{name}"]
    assert f"Apps/Chatkeep/Chatkeep/Chats/{name}" in cloud.fake.files()


@pytest.mark.parametrize("end", ["a" * 10, "❤" * 60, "𝄞" * 50], ids=["plain", "heart", "clef"])
def test_the_longest_path_that_is_taken_is_the_services_own(cloud: Cloud, end: str) -> None:
    drive = cloud.fake.drive()
    ours = drive.folder(drive.root, ["Apps", "Chatkeep", "Chatkeep"])
    above = names.units(drive.path(ours))
    room = names.LONGEST_PATH - 1 - above - len("/" + "d" * 250 + "/") - names.units(end)
    inside = drive.folder(ours, ["d" * 250])
    names.check(f"{'d' * 250}/{'x' * room}{end}", above=above)
    drive.check_name(inside, "x" * room + end, is_folder=False)
    with pytest.raises(Refused, match="too long"):
        names.check(f"{'d' * 250}/{'x' * (room + 1)}{end}", above=above)
    with pytest.raises(GraphError, match="invalidRequest"):
        drive.check_name(inside, "x" * (room + 1) + end, is_folder=False)
