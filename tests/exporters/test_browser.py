"""What happens when a browser opens what we wrote: nothing that anybody hid in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, sync_playwright

from chatkeep.exporters import Customisation, export, output
from chatkeep.model import FORMAT, Conversation, Message, Part, Participant, identify
from chatkeep.testing import museum
from chatkeep.testing.hostile import Payload, payloads, unguarded

CHROMIUM = shutil.which("chromium") or "chromium"
PAYLOADS = payloads()
PRESS = "a, button, summary, area, [onclick], [onmouseover], input, mi, math, text"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watched:
    """A page that is watched: which payloads ran, and what was asked for from elsewhere."""

    def __init__(self, browser: Browser) -> None:
        self.ran: set[int] = set()
        self.requests: list[str] = []
        self.page: Page = browser.new_page()
        self.page.expose_function("ran", lambda number=0: self.ran.add(number))
        self.page.on("dialog", lambda dialog: dialog.dismiss())
        self.page.route("**/*", self._answer)

    def _answer(self, route: Route) -> None:
        if route.request.url.startswith(("file:", "data:", "blob:", "about:")):
            route.continue_()
            return
        self.requests.append(route.request.url)
        route.abort()

    def open(self, path: Path) -> None:
        self.page.goto(path.as_uri(), wait_until="load")
        self.page.wait_for_timeout(300)

    def press_everything(self) -> None:
        """What a person may touch, without following links to the web."""
        self.page.evaluate(
            """(all) => {
                document.addEventListener('click', (event) => {
                    const link = event.target.closest && event.target.closest('a, area');
                    const address = link && (link.getAttribute('href') || '');
                    if (address && !/^\\s*java|^\\s*vb|^\\s*data/i.test(address)) event.preventDefault();
                });
                document.addEventListener('submit', (event) => event.preventDefault());
                for (const one of document.querySelectorAll(all)) {
                    for (const kind of ['mouseover', 'pointerenter', 'focus']) one.dispatchEvent(new Event(kind));
                    if (one.click) one.click();
                }
            }""",
            PRESS,
        )
        self.page.wait_for_timeout(300)


def _conversation(shown: list[Payload]) -> Conversation:
    messages = tuple(
        Message(
            id=identify("payload", str(one.number)),
            author="p",
            order=one.number,
            parts=(
                Part(type="text", text=one.text.replace("\x00", "\ufdd00000"), markup=one.markup),
                Part(type="thinking", text=one.text.replace("\x00", "\ufdd00000"), markup="markdown"),
                Part(type="code", text=one.text.replace("\x00", "\ufdd00000"), language="html"),
            ),
        )
        for one in shown
    )
    people = (Participant(id="p", role="person", name="<img src=x onerror=ran(9999)>"),)
    return Conversation(
        format=FORMAT,
        id=identify("payloads"),
        platform="chatgpt",
        title="</title><script>ran(9998)</script>",
        participants=people,
        messages=messages,
    )


def test_no_hostile_text_runs_or_loads_anything_in_an_exported_page(browser: Browser, tmp_path: Path) -> None:
    place = tmp_path / "all.html"
    wish = Customisation(thinking=True, hidden=True)
    conversations = iter([_conversation(PAYLOADS)])
    export(conversations, exporter="html", customisation=wish, out=output(place), attachment=lambda _: None)
    watched = Watched(browser)
    watched.open(place)
    assert watched.page.locator("article").count() == len(PAYLOADS)
    watched.press_everything()
    assert watched.ran == set()
    assert watched.requests == []


def test_the_same_texts_run_where_nobody_takes_care(browser: Browser, tmp_path: Path) -> None:
    """The control: with it the test above is known to see what it looks for."""
    ran: set[int] = set()
    for one in PAYLOADS[::12]:
        page = tmp_path / f"{one.number}.html"
        page.write_text(
            f"<!doctype html><meta charset=utf-8><body>{unguarded(one)}", encoding="utf-8", errors="replace"
        )
        watched = Watched(browser)
        watched.open(page)
        if not watched.ran:
            watched.press_everything()
        ran |= watched.ran & {one.number}
        watched.page.close()
    assert len(ran) >= 0.4 * len(PAYLOADS[::12])


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_its_window_and_shows_its_pictures(
    browser: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    files = museum.kept(tmp_path)
    wish = Customisation(branches="all", thinking=True, tool_calls=True, hidden=True)
    export(
        iter(museum.collection()),
        exporter="html",
        customisation=wish,
        out=output(tmp_path / "site"),
        attachment=files.get,
    )
    for path in (tmp_path / "site").rglob("*.html"):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
        said: list[str] = []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("[...document.images].every((one) => one.complete && one.naturalWidth > 0)")
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(253, 252, 250)") == (scheme == "light")
        assert said == []
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_no_barriers_that_a_machine_can_find(browser: Browser, tmp_path: Path, scheme: str) -> None:
    files = museum.kept(tmp_path)
    wish = Customisation(branches="all", thinking=True, tool_calls=True, hidden=True)
    for place in (tmp_path / "site", tmp_path / "all.html"):
        export(iter(museum.collection()), exporter="html", customisation=wish, out=output(place), attachment=files.get)
    for path in tmp_path.rglob("*.html"):
        # What looks for barriers is a script, which the pages forbid.
        context = browser.new_context(color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        found = Axe().run(page, options={"rules": {"target-size": {"enabled": True}}})
        assert [one["id"] for one in found.response["violations"]] == [], path.name
        context.close()
