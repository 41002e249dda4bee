"""What people do on bad days: a laptop is lost, a chat is needed as it was last month, two laptops differ.

By the command line and by pages, with the programs as they are started, at clouds that are imitated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests import exports

from chatkeep import example

from .laptops import Laptop
from .test_connecting import TITLES, Clouds, _answer, _begin, _to_the_provider, browser, clouds
from .walking import Walk

__all__ = ["browser", "clouds"]

pytestmark = pytest.mark.slow

Laptops = Callable[[str], Laptop]


@pytest.fixture
def laptops(request: pytest.FixtureRequest, clouds: Clouds, tmp_path: Path) -> Iterator[Laptops]:
    """Makes laptops, all in one walk that bears the name of the test."""
    walk = Walk(request.node.name.removeprefix("test_"))
    yield lambda name: Laptop(name, tmp_path / name, clouds, walk)
    for fake in clouds.fakes.values():
        fake.consent.automatic = ""


def ended(page: Page) -> str:
    """What the page of a run says when it is over."""
    for _ in range(240):
        if page.locator("main .chip").first.inner_text() not in ("Waiting", "Running"):
            break
        page.wait_for_timeout(250)
        page.reload()
    return page.locator("main").inner_text()


@pytest.mark.parametrize("provider", TITLES)
def test_a_lost_laptop_in_the_browser(browser: Browser, laptops: Laptops, provider: str) -> None:
    """A new laptop, the cloud account and the recovery key on paper are all that is left."""
    old, new, title = laptops("old"), laptops("new"), TITLES[provider]
    old.run("import", *example.paths())
    held = old.conversations()
    with old.app(browser) as page:
        _begin(page, provider, "cloud")
        _to_the_provider(page, title)
        _answer(page, "Allow")
        old.walk.see(page, "signed in")
        page.get_by_role("button", name="Make the backup").click()
        page.get_by_role("heading", name="cloud is connected").wait_for()
        old.walk.see(page, "the recovery key")
        key = page.locator(".key").first.inner_text()
        page.get_by_role("button", name="Back up now").click()
        assert "Done" in ended(page)
        old.walk.see(page, "backed up")
    with new.app(browser) as page:
        new.walk.see(page, "a new laptop")
        page.get_by_role("link", name="Get my chats back from a backup").click()
        new.walk.see(page, "where is the backup")
        _begin(page, provider, "cloud")
        _to_the_provider(page, title)
        _answer(page, "Allow")
        page.get_by_role("heading", name="There is a backup already").wait_for()
        new.walk.see(page, "a backup is found")
        page.get_by_label("Its passphrase or recovery key").fill(key[:-1] + ("A" if key[-1] != "A" else "B"))
        page.get_by_role("button", name="Join the backup").click()
        page.get_by_role("alert").wait_for()
        new.walk.see(page, "a mistyped key")
        page.get_by_label("Its passphrase or recovery key").fill(key)
        page.get_by_role("button", name="Join the backup").click()
        page.get_by_role("heading", name="cloud is connected").wait_for()
        new.walk.see(page, "joined")
        page.get_by_role("link", name="Restore from it").click()
        new.walk.see(page, "what to restore")
        page.get_by_role("button", name="Show what would change").click()
        assert "comes back, with 8 messages" in ended(page)
        new.walk.see(page, "what would change")
        page.get_by_role("button", name="Restore it now").click()
        assert "What changed" in ended(page)
        new.walk.see(page, "restored")
        page.goto("/")
        new.walk.see(page, "everything is back")
        page.get_by_role("link", name="A week in Lisbon").first.click()
        new.walk.see(page, "a conversation")
    assert new.conversations() == held


def test_a_lost_laptop_at_the_command_line(laptops: Laptops, clouds: Clouds) -> None:
    """The same in a terminal, with the key from the printed kit."""
    clouds["dropbox"].consent.automatic = "allow"
    old, new = laptops("old"), laptops("new")
    old.run("import", *example.paths())
    held = old.conversations()
    kit = old.folder / "kit.txt"
    old.run("connect", "dropbox", "--name", "cloud", "--folder", "Terminal", "--kit", kit)
    key = re.search(r"(?:[A-Z2-9]{5}-){7}[A-Z2-9]{5}", kit.read_text())
    assert key
    old.run("backup")
    command = re.search(r"chatkeep (connect .*)", kit.read_text())
    assert command
    new.given["CHATKEEP_PASSPHRASE"] = key[0]
    new.run(*command[1].split())
    new.run("snapshots")
    new.run("restore", "--dry-run")
    new.run("restore", "--yes")
    assert new.conversations() == held
    for laptop in (old, new):
        assert laptop.ask("status")["messages"] == 29


@pytest.fixture
def changed(laptops: Laptops, tmp_path: Path) -> Laptop:
    """A laptop with a backup of last month in a folder; since then a chat got another title and one message more."""
    mine = laptops("mine")
    place = tmp_path / "stick"
    place.mkdir()
    first = exports.conversation(exports.CAKE, "A birthday cake", ["How long does it bake?", "Forty minutes."])
    boat = exports.conversation(exports.BOAT, "Boats", ["Which boat?", "A small one."])
    mine.run("import", exports.export(tmp_path / "last-month.zip", [first, boat]))
    mine.given["CHATKEEP_PASSPHRASE"] = "open sesame"
    mine.run("connect", "folder", place, "--name", "stick")
    mine.run("backup")
    said = ["How long does it bake?", "Forty minutes.", "And the icing?", "Ten."]
    later = exports.conversation(exports.CAKE, "Cakes, all of them", said)
    mine.run("import", exports.export(tmp_path / "now.zip", [later, boat]))
    mine.run("backup")
    return mine


def test_one_conversation_as_it_was_last_month_in_the_browser(browser: Browser, changed: Laptop) -> None:
    with changed.app(browser) as page:
        page.goto("/backups/stick/snapshots")
        page.locator("input[name=snapshot]").last.check()
        page.get_by_role("button", name="Look into it").click()
        ended(page)
        page.get_by_role("link", name="Look into it").click()
        changed.walk.see(page, "a look into the older backup")
        page.get_by_role("link", name="A birthday cake").click()
        assert "Forty minutes." in page.locator("main").inner_text()
        assert "icing" not in page.content()
        page.go_back()
        page.get_by_label("Pick A birthday cake").check()
        page.get_by_label("Replace: the restored conversations become exactly as they were").check()
        page.get_by_role("button", name="Show what would change").click()
        assert "2 messages removed" in ended(page)
        changed.walk.see(page, "what would change")
        page.get_by_role("button", name="Restore it now").click()
        ended(page)
        changed.walk.see(page, "restored")
        page.get_by_role("link", name="A birthday cake").click()
        assert "icing" not in page.content()
        changed.walk.see(page, "as it was")
        page.go_back()
        page.get_by_role("link", name="Receipt and undo").click()
        changed.walk.see(page, "the receipt")
        page.get_by_role("button", name="Undo this restore").click()
        changed.walk.see(page, "undone")
        page.goto("/chats/")
        page.get_by_role("link", name="Cakes, all of them").click()
        assert "And the icing?" in page.locator("main").inner_text()


def test_one_conversation_as_it_was_last_month_at_the_command_line(changed: Laptop) -> None:
    older = changed.ask("snapshots")[-1]["id"]
    (cake,) = [id for id, title in changed.conversations().items() if "Cakes" in title]
    asked = ("restore", "--snapshot", older[:8], "--conversation", cake, "--replace")
    assert "A birthday cake  (-2)" in changed.run(*asked, "--dry-run")
    changed.run(*asked, "--yes")
    assert changed.conversations()[cake] == "A birthday cake"
    assert "icing" not in changed.run("show", cake)
    changed.run("undo", "--yes")
    assert "icing" in changed.run("show", cake)


def test_two_laptops_edited_offline_then_merged(browser: Browser, laptops: Laptops, tmp_path: Path) -> None:
    """Each learned something, and both have another version of one message."""
    one, two = laptops("one"), laptops("two")
    place = tmp_path / "stick"
    place.mkdir()

    def given(to: Laptop, name: str, *conversations: dict[str, object]) -> None:
        to.run("import", exports.export(tmp_path / f"{name}.zip", conversations))

    boat = ["Which boat?", "A small one."]
    given(one, "both", exports.conversation(exports.BOAT, "Boats", boat))
    for laptop in (one, two):
        laptop.given["CHATKEEP_PASSPHRASE"] = "open sesame"
        laptop.run("connect", "folder", place, "--name", "stick")
        laptop.run("sync")
    assert one.conversations() == two.conversations() != {}
    given(one, "mine", exports.conversation(exports.BOAT, "Boats", ["Which boat?", "A red one."]))
    given(two, "yours", exports.conversation(exports.BOAT, "Boats", ["Which boat?", "A blue one."]))
    given(two, "new", exports.conversation(exports.CAKE, "A birthday cake", ["How long?", "Forty minutes."]))
    for laptop in (one, two, one):
        laptop.run("sync")
    assert one.conversations() == two.conversations()
    assert set(one.conversations().values()) == {"Boats", "A birthday cake"}
    two.run("conflicts")
    with two.app(browser) as page:  # it met the other version first
        page.goto("/differences/")
        two.walk.see(page, "what differs")
        page.get_by_label("A red one.").check()
        page.get_by_role("button", name="Show this one").click()
        two.walk.see(page, "settled")
        page.goto("/chats/")
        page.get_by_role("link", name="Boats").click()
        assert "A red one." in page.locator("main").inner_text()
        two.walk.see(page, "the version that was chosen")
    for laptop in (two, one):
        laptop.run("sync")
    (id,) = [id for id, title in one.conversations().items() if title == "Boats"]
    assert "A red one." in one.run("show", id)
