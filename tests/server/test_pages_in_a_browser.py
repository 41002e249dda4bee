"""The pages that only a server has, in a real browser, as an operator, an auditor and a member see them."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from postgres import Cluster

pytestmark = pytest.mark.slow

CHATKEEP = (sys.executable, "-m", "chatkeep")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "rules": {"target-size": {"enabled": True}},
}
SIZES = ((1280, 900), (390, 844))
PASSWORD = "correct horse battery"
OPERATOR, MEMBER = "olivia@example.org", "ana@example.org"
BEFORE = ("/account/login/", "/account/password/reset/", "/account/signup/", "/status/", "/nowhere")
MEMBERS = (
    "/",
    "/settings/",
    "/settings/sessions/",
    "/settings/erase",
    "/account/password/change/",
    "/account/email/",
    "/account/2fa/",
    "/account/2fa/totp/activate/",
    "/account/2fa/webauthn/add/",
    "/connect/",
    "/backups/",
    "/programs/",
    "/notices/",
    "/feedback/",
    "/feedback/mine/",
    "/more/",
)
OPERATORS = (
    "/operator/people/",
    "/operator/erasures/",
    "/operator/log/",
    "/operator/slo/",
    "/operator/status/",
    "/operator/flags/",
    "/operator/flags/tidying/",
    "/operator/flags/cloud-writes/",
    "/operator/feedback/",
)


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A server at http://localhost, where browsers allow passkeys; its address, and the first operator's link."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://localhost:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHATKEEP_")} | {
        "CHATKEEP_HOME": str(tmp_path_factory.mktemp("home")),
        "CHATKEEP_KEY": "a key of these tests alone, 0123456789",
        "CHATKEEP_PUBLIC_URL": url,
        "CHATKEEP_PORT": str(port),
        "DATABASE_URL": cluster.fresh(),
    }
    subprocess.run([*CHATKEEP, "server", "migrate"], env=environment, check=True, stdout=subprocess.DEVNULL)
    invite = [*CHATKEEP, "server", "invite", "--operator", OPERATOR, "--json"]
    link = json.loads(subprocess.run(invite, env=environment, check=True, capture_output=True).stdout)["link"]
    with subprocess.Popen([*CHATKEEP, "serve"], env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            _wait_for(f"{url}/status/")
            yield url, link
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "Chromium is needed: make test installs it"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield opened
        opened.close()


@contextmanager
def somebody(browser: Browser, url: str) -> Iterator[Page]:
    """A browser of its own, that fails the test when a script breaks or something is asked of another host."""
    context = browser.new_context(base_url=url)
    page = context.new_page()
    page.set_default_timeout(30_000)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(url) else wrong.append(request.url))
    yield page
    context.close()
    assert wrong == []


def sign_up(page: Page, link: str) -> None:
    page.goto(link)
    looked_at(page)
    page.get_by_role("button").last.click()
    page.get_by_label("Password").fill(PASSWORD)
    looked_at(page)
    page.locator("main form button").last.click()
    page.wait_for_url("**/")


@pytest.fixture(scope="module")
def olivia(browser: Browser, site: tuple[str, str]) -> Iterator[Page]:
    """The page of the first operator."""
    with somebody(browser, site[0]) as page:
        sign_up(page, site[1])
        yield page


@pytest.fixture(scope="module")
def ana(browser: Browser, site: tuple[str, str], olivia: Page) -> Iterator[Page]:
    """The page of a member, whom the operator invited."""
    olivia.goto("/operator/people/")
    olivia.locator("#email").fill(MEMBER)
    olivia.get_by_role("button", name="Invite").click()
    link = re.search(rf"{site[0]}/invitation/[\w-]+", olivia.content())
    assert link
    looked_at(olivia)
    with somebody(browser, site[0]) as page:
        sign_up(page, link[0])
        yield page


def looked_at(page: Page) -> None:
    """Nothing that axe can see is wrong with this page, and it fits, on wide and narrow screens."""
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        found = Axe().run(page, options=RULES).response["violations"]
        wrong = [f"{one['id']}: {[node['html'][:120] for node in one['nodes']][:3]}" for one in found]
        assert wrong == [], f"{page.url} at {width}"
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0, f"{page.url} at {width}"


def test_before_anybody_signs_in(browser: Browser, site: tuple[str, str]) -> None:
    with somebody(browser, site[0]) as page:
        for address in BEFORE:
            page.goto(address)
            looked_at(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_a_member(ana: Page, scheme: Any) -> None:
    ana.emulate_media(color_scheme=scheme)
    for address in MEMBERS:
        answer = ana.goto(address)
        assert answer
        assert answer.status == 200, address
        looked_at(ana)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_an_operator(olivia: Page, ana: Page, scheme: Any) -> None:
    olivia.emulate_media(color_scheme=scheme)
    for address in OPERATORS:
        answer = olivia.goto(address)
        assert answer
        assert answer.status == 200, address
        looked_at(olivia)
    olivia.goto("/operator/people/")
    olivia.get_by_role("link", name=re.compile("ana")).first.click()
    looked_at(olivia)


def test_an_operator_tells_of_a_disturbance_and_everybody_reads_it(olivia: Page, ana: Page) -> None:
    olivia.goto("/operator/status/")
    olivia.locator("#title").fill("Uploads are slow")
    olivia.locator("#text").fill("We are at it.")
    olivia.locator("main form").get_by_role("button").first.click()
    olivia.goto("/operator/status/")
    looked_at(olivia)
    ana.goto("/status/")
    assert ana.get_by_text("Uploads are slow").first.is_visible()
    looked_at(ana)


def test_feedback_goes_from_the_page_of_a_member_to_the_operator_and_back(olivia: Page, ana: Page) -> None:
    ana.goto("/feedback/")
    ana.locator("textarea").first.fill("The list stops at the end of the page.")
    ana.locator("main form").get_by_role("button").last.click()
    ana.goto("/feedback/mine/")
    looked_at(ana)
    olivia.goto("/operator/feedback/")
    olivia.locator("main a[href^='/operator/feedback/']").filter(has_text="F-").first.click()
    looked_at(olivia)
    olivia.locator("textarea[name=answer]").fill("It will not.")
    olivia.get_by_role("button", name="Answer").click()
    ana.goto("/feedback/mine/")
    ana.locator("main a[href^='/feedback/']").filter(has_text="F-").first.click()
    assert ana.get_by_text("It will not.").is_visible()


def test_a_passkey_of_the_browser_is_added_and_signs_in_without_a_password(
    browser: Browser, site: tuple[str, str], ana: Page
) -> None:
    session = ana.context.new_cdp_session(ana)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    ana.goto("/account/2fa/webauthn/add/")
    if "reauthenticate" in ana.url:
        ana.get_by_label("Password").fill(PASSWORD)
        ana.get_by_role("button", name="Confirm").click()
    ana.get_by_label("Name").fill("This machine")
    ana.locator("input[type=checkbox]").check()
    ana.locator("main form button").last.click()
    ana.wait_for_url(re.compile("2fa/(?!webauthn/add)"))
    kept = session.send("WebAuthn.getCredentials", {"authenticatorId": made["authenticatorId"]})["credentials"]
    assert [one["rpId"] for one in kept] == ["localhost"]
    ana.context.clear_cookies()
    ana.goto("/settings/")
    assert "/account/login/" in ana.url
    ana.get_by_role("button", name=re.compile("passkey", re.I)).click()
    ana.wait_for_url("**/settings/")
    assert ana.get_by_text(MEMBER).first.is_visible()
