"""Clouds are connected in a real browser: there and back by a site that is not ours, with cookies that survive it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from chatkeep import example
from fakes.dropbox import DropboxFake
from fakes.google import GoogleFake
from fakes.microsoft import MicrosoftFake
from fakes.server import Front

from .test_in_a_browser import _QUIET, CHATKEEP, CHROMIUM, _overflow, _violations
from .walking import DESK, PHONE, Walk

pytestmark = pytest.mark.slow

TITLES = {"google-drive": "Google Drive", "dropbox": "Dropbox", "onedrive": "OneDrive"}


@dataclass
class Clouds:
    """The three fakes, running."""

    front: Front
    fakes: dict[str, Any]

    def __getitem__(self, provider: str) -> Any:
        return self.fakes[provider]

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a program that reaches them, with an app at each."""
        return {
            "CHATKEEP_CLOUD_BASE": self.front.url,
            "CHATKEEP_GOOGLE_DRIVE_CLIENT_ID": "cid",
            "CHATKEEP_GOOGLE_DRIVE_CLIENT_SECRET": "csec",
            "CHATKEEP_DROPBOX_CLIENT_ID": "cid",
            "CHATKEEP_ONEDRIVE_CLIENT_ID": "cid",
        }


@pytest.fixture(scope="module")
def clouds() -> Iterator[Clouds]:
    fakes: dict[str, Any] = {"google-drive": GoogleFake(), "dropbox": DropboxFake(), "onedrive": MicrosoftFake()}
    with Front(list(fakes.values())) as front:
        yield Clouds(front, fakes)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "Chromium is needed: make test installs it"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_QUIET))
        yield opened
        opened.close()


def _free_port() -> int:
    """One that people were told to register; else any."""
    for port in (8765, 8766, 8767, 0):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(tried.getsockname()[1])
    raise AssertionError("no port is free")


@contextmanager
def _started(environment: dict[str, str]) -> Iterator[str]:
    """The app, and the link into it. Another test may take the port that was free: then there is another one."""
    command = [*CHATKEEP, "serve", "--no-browser"]
    for _ in range(20):
        given = environment | {"CHATKEEP_PORT": str(_free_port())}
        process = subprocess.Popen(command, env=given, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process.stdout as lines:
            try:
                link = next((found[0] for line in lines if (found := re.search(r"http://\S+", line))), "")
                if link:
                    yield link
                    return
            finally:
                process.terminate()
                process.wait(20)
    raise AssertionError("the app does not start")


@contextmanager
def _serving(home: Path, clouds: Clouds) -> Iterator[str]:
    with _started(os.environ | clouds.settings | {"CHATKEEP_HOME": str(home)}) as link:
        yield link


@pytest.fixture(scope="module")
def link(clouds: Clouds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The link into an app with the example in it, which finds the clouds."""
    home = tmp_path_factory.mktemp("home")
    given = [str(path) for path in example.paths()]
    subprocess.run([*CHATKEEP, "import", *given], env=os.environ | {"CHATKEEP_HOME": str(home)}, check=True)
    with _serving(home, clouds) as found:
        yield found


def _base(link: str) -> str:
    return "/".join(link.split("/")[:3])


@pytest.fixture(scope="module")
def signed_in(browser: Browser, link: str) -> Iterator[BrowserContext]:
    """A browser without scripts that is signed in."""
    context = browser.new_context(base_url=_base(link), java_script_enabled=False, viewport=DESK)
    context.set_default_timeout(30_000)
    opened = context.new_page()
    opened.goto(link)
    opened.close()
    yield context
    context.close()


@pytest.fixture
def page(signed_in: BrowserContext) -> Iterator[Page]:
    opened = signed_in.new_page()
    yield opened
    opened.close()


def _to_the_provider(page: Page, title: str) -> None:
    page.get_by_role("link", name=f"Continue to {title}").click()
    page.get_by_text("A test page in place of").wait_for()


def _answer(page: Page, decision: str, user: str = "") -> None:
    if user:
        page.locator("select[name=user]").select_option(user)
    page.get_by_role("button", name=decision).click()


def _begin(page: Page, provider: str, name: str) -> None:
    page.goto("/connect/")
    page.get_by_role("link", name=f"Connect {TITLES[provider]}").click()
    page.get_by_label("A name for the place").fill(name)
    page.get_by_role("button", name="Continue").click()


@pytest.mark.parametrize("provider", TITLES)
def test_a_cloud_is_denied_allowed_backed_up_to_signed_out_and_given_anew(
    page: Page, clouds: Clouds, provider: str
) -> None:
    title, name, walk = TITLES[provider], f"my-{provider}", Walk(f"connecting {provider}", scripts=False)
    page.goto("/connect/")
    walk.see(page, "where to")
    _begin(page, provider, name)
    walk.see(page, "what is asked")
    _to_the_provider(page, title)
    _answer(page, "Deny")
    page.get_by_role("heading", name=f"You did not allow access at {title}.").wait_for()
    walk.see(page, "denied")
    page.get_by_role("button", name="Ask again").click()
    _to_the_provider(page, title)
    _answer(page, "Allow")
    page.get_by_role("heading", name="Signed in as alice@").wait_for()
    assert "code=" not in page.url
    walk.see(page, "signed in")
    page.get_by_role("button", name="Make the backup").click()
    page.get_by_role("heading", name=f"{name} is connected").wait_for()
    assert re.fullmatch(r"[A-Z0-9-]{20,}", page.locator(".key").first.inner_text())
    walk.see(page, "connected")
    page.goto(f"/backups/{name}/")
    assert "alice@" in page.locator("main").inner_text()
    theirs = _of_the_other(clouds, provider)
    _reconnect_with_the_wrong_account(page, clouds, provider, walk)
    assert _of_the_other(clouds, provider) == theirs
    _sign_in_ends(page, clouds, provider, walk)
    assert _of_the_other(clouds, provider) == theirs


def _of_the_other(clouds: Clouds, provider: str) -> list[str]:
    """What is in the account that the place does not belong to."""
    if provider == "google-drive":
        return sorted(clouds[provider].users["bob"].files)
    return sorted(clouds[provider].files("bob"))


def _written(clouds: Clouds, provider: str, since: int, *, but_by: str) -> list[str]:
    """What was written at this cloud from then on with another sign-in than this person's."""
    fake, found = clouds[provider], []
    for one in clouds.front.journal.entries[since:]:
        writes = one.method in ("PUT", "PATCH", "DELETE") or "upload" in one.path
        grant = fake.consent.grant(one.token)
        if writes and one.host in fake.hosts and (grant is None or grant.user != but_by):
            found.append(one.line)
    return found


def _reconnect_with_the_wrong_account(page: Page, clouds: Clouds, provider: str, walk: Walk) -> None:
    name, title = f"my-{provider}", TITLES[provider]
    asked = clouds.front.journal.count()
    page.goto(f"/backups/{name}/")
    page.get_by_text("sign in anew, or disconnect").click()
    page.get_by_role("button", name="Sign in anew").click()
    _to_the_provider(page, title)
    _answer(page, "Allow", "bob")
    page.get_by_role("heading", name="You chose another account than before: bob@").wait_for()
    assert _written(clouds, provider, asked, but_by="alice") == []  # her backups may go on meanwhile
    assert _written(clouds, provider, 0, but_by="bob") != []  # and it would be seen
    walk.see(page, "wrong account")
    page.get_by_role("button", name="Choose the other account").click()
    _to_the_provider(page, title)
    _answer(page, "Allow", "alice")
    page.get_by_role("heading", name=name, exact=True).wait_for()


def _sign_in_ends(page: Page, clouds: Clouds, provider: str, walk: Walk) -> None:
    name, title = f"my-{provider}", TITLES[provider]
    clouds[provider].consent.revoke_all()
    page.goto(f"/backups/{name}/")
    page.get_by_role("button", name="Test the place").click()
    page.goto(f"/backups/{name}/")
    page.get_by_role("button", name="Back up now").click()
    for _ in range(60):
        page.goto("/")
        if page.get_by_role("heading", name=f"{name} is signed out").is_visible():
            break
        page.wait_for_timeout(250)
    walk.see(page, "signed out")
    page.goto(f"/backups/{name}/")
    walk.see(page, "the place without consent")
    assert f"{title} no longer accepts the sign-in." in page.locator("main").inner_text()
    page.goto("/")
    page.get_by_role("button", name="Reconnect").click()
    _to_the_provider(page, title)
    _answer(page, "Allow")
    page.get_by_role("heading", name=name, exact=True).wait_for()
    assert "no longer accepts" not in page.locator("main").inner_text()
    walk.see(page, "connected anew")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_page_of_the_way_has_no_violations_and_fits(
    browser: Browser, signed_in: BrowserContext, link: str, size: Any, scheme: Any
) -> None:
    state = signed_in.storage_state()
    context = browser.new_context(base_url=_base(link), storage_state=state, viewport=size, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto("/connect/to/google-drive/")
    seen(page, "asked")
    folder = f"Chats {scheme} {size['width']}"  # a backup stays where it is when its place is disconnected
    page.get_by_label("Folder in Google Drive").fill(folder)
    page.get_by_role("button", name="Continue").last.click()
    page.get_by_role("link", name="Continue to Google Drive").wait_for()
    seen(page, "go")
    _to_the_provider(page, "Google Drive")
    _answer(page, "Deny")
    page.get_by_role("button", name="Ask again").wait_for()
    seen(page, "denied")
    page.get_by_role("button", name="Ask again").click()
    _to_the_provider(page, "Google Drive")
    _answer(page, "Allow", "bob")
    page.get_by_role("heading", name="Signed in as bob@").wait_for()
    seen(page, "found")
    page.get_by_role("button", name="Make the backup").click()
    page.get_by_role("heading", name="is connected").wait_for()
    name = page.locator("h1").inner_text().removesuffix(" is connected")
    page.goto(f"/backups/{name}/")
    seen(page, "place")
    page.goto("/backups/")
    seen(page, "backups")
    page.goto(f"/backups/{name}/")
    page.get_by_text("sign in anew, or disconnect").click()
    page.get_by_role("button", name="Disconnect").click()
    page.get_by_text(f"The vault itself stays in the folder {folder} of bob@").wait_for()
    context.close()


def seen(page: Page, name: str) -> None:
    """Nothing that axe can see is wrong with this page, and it fits."""
    assert _violations(page) == [], name
    assert _overflow(page) <= 0, name


def test_the_cookie_of_the_sign_in_survives_a_site_between_and_is_kept_from_scripts(signed_in: BrowserContext) -> None:
    cookie = next(one for one in signed_in.storage_state()["cookies"] if one["name"] == "chatkeep_session")
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
