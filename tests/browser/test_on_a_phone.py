"""On a phone every page can be reached, and no long line of a message pushes the page sideways."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from .test_in_a_browser import _QUIET, CHATKEEP, CHROMIUM, _overflow, _serving, _violations

pytestmark = pytest.mark.slow

WIDE = (
    f"Code:\n\n```python\nprint({'x' * 300!r})\n```\n\n"
    f"| {' | '.join(['a wide column'] * 12)} |\n|{'---|' * 12}\n| {' | '.join(['x' * 20] * 12)} |\n\n"
    f"$$ {' + '.join(['x_{n}'] * 60)} $$\n\n{'unbroken' * 60}"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "Chromium is needed: make test installs it"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_QUIET))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def phone(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A phone with one chat, whose two messages are as wide as can be."""
    home = tmp_path_factory.mktemp("home")
    said = [{"messageId": str(who), "isCreatedByUser": who, "text": WIDE} for who in (True, False)]
    chat = {"conversationId": "wide", "title": "Wide", "recursive": False, "messages": said}
    (home / "wide.json").write_text(json.dumps(chat))
    environment = os.environ | {"CHATKEEP_HOME": str(home / "kept")}
    subprocess.run([*CHATKEEP, "import", str(home / "wide.json")], env=environment, check=True)
    with _serving(home / "kept") as link:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(link)
        yield page
        page.close()


def test_long_lines_scroll_by_themselves(phone: Page) -> None:
    phone.goto("/".join([*phone.url.split("/")[:3], "chats/"]))
    phone.get_by_role("link", name="Wide").click()
    phone.get_by_text("unbroken").first.wait_for()
    assert _overflow(phone) <= 0


def test_each_page_beside_the_places_is_reached_by_more(phone: Page) -> None:
    beside = phone.locator(".foot a").evaluate_all("found => found.map(one => one.pathname + one.search)")
    assert len(beside) >= 5
    phone.get_by_role("navigation", name="Chatkeep").get_by_role("link", name="More").click()
    listed = phone.get_by_role("navigation", name="More")
    assert {"/export/", *beside} == set(
        listed.locator("a").evaluate_all("found => found.map(one => one.pathname + one.search)")
    )
    assert listed.get_by_role("button", name="Sign out").is_visible()
    assert _violations(phone) == []
    assert _overflow(phone) <= 0
