"""The pages in a real browser: reachable by keyboard, readable on a phone, without violations that axe can see."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from chatkeep import example

pytestmark = pytest.mark.slow

CHATKEEP = (sys.executable, "-m", "chatkeep")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SIZES = ((1280, 900), (768, 1024), (360, 740))
PAGES = (
    "/",
    "/chats/",
    "/search/",
    "/search/?q=soup",
    "/import/",
    "/export/",
    "/backups/",
    "/connect/",
    "/connect/folder/",
    "/connect/server/webdav/",
    "/connect/server/s3/",
    "/activity/",
    "/differences/",
    "/nowhere",
)
CLOUDS = ("google-drive", "dropbox", "onedrive")
CONNECTING = (
    "/connect/",
    "/connect/folder/",
    "/connect/server/webdav/",
    "/connect/server/s3/",
    *(f"/connect/to/{name}/" for name in CLOUDS),
)
_QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "rules": {"target-size": {"enabled": True}},
}


@contextmanager
def _serving(home: Path) -> Iterator[str]:
    """The app as a person starts it: the link that it prints."""
    environment = os.environ | {"CHATKEEP_HOME": str(home), "CHATKEEP_PORT": "0"}
    process = subprocess.Popen([*CHATKEEP, "serve", "--no-browser"], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines = iter(process.stdout.readline, "")
        yield next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with the example in it."""
    home = tmp_path_factory.mktemp("home")
    given = [str(path) for path in example.paths()]
    subprocess.run([*CHATKEEP, "import", *given], env=os.environ | {"CHATKEEP_HOME": str(home)}, check=True)
    with _serving(home) as link:
        yield link


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "Chromium is needed: make test installs it"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_QUIET))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page(browser: Browser, served: str) -> Iterator[Page]:
    """A signed-in page that fails the test when a script breaks or something is asked of another host."""
    context = browser.new_context(base_url=re.match(r"http://[^/]+", served)[0])  # type: ignore[index]
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: wrong.append(request.url) if "127.0.0.1" not in request.url else None)
    opened.goto(served)
    yield opened
    context.close()
    assert wrong == []


def _violations(page: Page) -> list[str]:
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{one['id']}: {[node['html'][:120] for node in one['nodes']][:3]}" for one in found]


def _overflow(page: Page) -> int:
    """By how much the page is wider than the window [px]. One that loads itself anew is asked when it is there."""
    asked = "document.documentElement && document.documentElement.scrollWidth - document.documentElement.clientWidth"
    for _ in range(100):
        if (found := page.evaluate(asked)) is not None:
            return int(found)
        page.wait_for_timeout(50)
    raise AssertionError("the page does not come")


def test_first_the_example_one_click_away_with_progress_and_receipt(browser: Browser, tmp_path: Path) -> None:
    with _serving(tmp_path) as link:
        page = browser.new_page()
        page.goto(link)
        assert _violations(page) == []
        page.get_by_role("button", name="See an example").click()
        page.get_by_role("link", name="Look at the chats").click()
        assert page.get_by_role("link", name="A week in Lisbon").is_visible()
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pages_have_no_violations_and_fit_the_screen(page: Page, size: tuple[int, int], scheme: Any) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(color_scheme=scheme)
    for address in (*PAGES, *CONNECTING, _lisbon(page), _lisbon(page) + "?all=1"):
        page.goto(address)
        assert _violations(page) == [], address
        assert _overflow(page) <= 0, address


def _lisbon(page: Page) -> str:
    page.goto("/chats/")
    return page.get_by_role("link", name="A week in Lisbon").get_attribute("href") or ""


def test_axe_would_see_a_violation(page: Page) -> None:
    page.goto("/")
    page.evaluate("document.querySelector('main').append(Object.assign(document.createElement('img'), {src: '/x'}))")
    assert any(one.startswith("image-alt") for one in _violations(page))


def test_branches_are_switched_and_the_place_is_kept(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(_lisbon(page))
    page.get_by_role("link", name="The next version").click()
    assert page.get_by_text("Costa da Caparica").is_visible()
    page.get_by_role("link", name="The version before").click()
    assert page.get_by_text("Jardim da Estrela").is_visible()


def test_dropping_a_file_imports_it(page: Page) -> None:
    page.goto("/import/")
    page.locator('input[type="file"]').set_input_files([str(path) for path in example.paths()[1].iterdir()])
    page.get_by_role("button", name="Import").first.click()
    page.get_by_role("link", name="Receipt and undo").wait_for()
    assert page.get_by_text("Conversations that were here already").is_visible()


def test_keyboard_alone_reaches_the_content_and_reads_on(page: Page) -> None:
    page.goto(_lisbon(page))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("j")
    assert "turn" in page.evaluate("document.activeElement.className")


def test_a_backup_is_made_and_everything_comes_back_in_the_browser(page: Page, tmp_path: Path) -> None:
    page.goto("/connect/folder/")
    page.get_by_label("Path of the folder").fill(str(tmp_path / "stick"))
    page.get_by_label("A name for it").fill("stick")
    page.get_by_role("button", name="Connect").click()
    assert re.fullmatch(r"[A-Z0-9-]{20,}", page.locator(".key").first.inner_text())
    assert _violations(page) == []
    page.get_by_role("button", name="Back up now").click()
    page.get_by_text("Read back and compared").wait_for()
    page.goto("/backups/stick/snapshots")
    assert _violations(page) == []
    page.get_by_role("button", name="Show what would change").click()
    page.get_by_text("Restore: a look before").first.wait_for()
    page.goto("/backups/stick/snapshots")
    page.get_by_role("button", name="Restore", exact=True).click()
    page.get_by_role("link", name="Look at the chats").wait_for()
    assert _violations(page) == []
    page.goto("/backups/stick/schedule")
    for closed in page.locator("summary").all():
        closed.click()
    assert _violations(page) == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert _overflow(page) <= 0
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto("/backups/stick/keys")
    assert _violations(page) == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert _overflow(page) <= 0
    page.get_by_role("button", name="Make a new recovery key").click()
    assert re.fullmatch(r"[A-Z-]{47}", page.locator(".key").first.inner_text())
    assert _violations(page) == []
    assert _overflow(page) <= 0


def test_an_export_is_looked_at_and_downloaded(page: Page, tmp_path: Path) -> None:
    page.goto("/export/")
    page.get_by_label("HTML").check()
    page.get_by_role("button", name="Apply and show how it will look").click()
    assert page.frame_locator("iframe").locator("body").inner_text()
    page.get_by_role("button", name=re.compile("Export 4 conversations")).click()
    page.get_by_role("link", name="Download").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.endswith(".zip")


def test_reading_works_without_scripts(browser: Browser, page: Page) -> None:
    context = browser.new_context(
        base_url=re.match(r"http://[^/]+", page.url)[0],  # type: ignore[index]
        storage_state=page.context.storage_state(),
        java_script_enabled=False,
    )
    plain = context.new_page()
    plain.goto("/chats/?platform=whatsapp")
    plain.get_by_role("link", name="Mum").first.click()
    assert plain.get_by_text("Roast the tomatoes first").is_visible()
    context.close()


def test_another_browser_gets_in_with_a_link_of_its_own(browser: Browser, tmp_path: Path) -> None:
    with _serving(tmp_path) as first:
        port = first.split(":")[2].split("/")[0]
        environment = os.environ | {"CHATKEEP_HOME": str(tmp_path)}
        made = subprocess.run(
            [*CHATKEEP, "link", "--port", port], env=environment, capture_output=True, text=True, check=True
        )
        page = browser.new_page()
        page.goto(made.stdout.strip())
        assert page.get_by_role("link", name="Import an export").is_visible()
        page.close()
