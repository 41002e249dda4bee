"""What a server sends by mail, through a mail server: invitations, proofs of an address, new passwords."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.mailbox import Mailbox, mailbox
from deploy.running import chatkeep, serving, settings
from postgres import Cluster

SITE = "https://chats.example"
PASSWORD, OTHER = "correct horse battery", "staple of another horse"
OPERATOR, MEMBER = "olivia@example.org", "ana@example.org"


class Browser:
    """Somebody's browser, behind the proxy that speaks TLS. Follows nothing; fills in forms as they are."""

    def __init__(self, port: int) -> None:
        self._here = f"http://127.0.0.1:{port}"
        self._headers = {"Host": "chats.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
        self._cookies: dict[str, str] = {}
        self._token = ""

    def get(self, path: str) -> httpx2.Response:
        return self._ask("GET", path)

    def post(self, path: str, *, on: str = "", **fields: str) -> httpx2.Response:
        """Sends a form. on: the page that has it, if it is another one."""
        self.get(on or path)
        return self._ask("POST", path, data={**fields, "csrfmiddlewaretoken": self._token}, Origin=SITE)

    def _ask(self, method: str, path: str, data: dict[str, str] | None = None, **headers: str) -> httpx2.Response:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        sent = {**self._headers, **headers, "Cookie": cookies}  # kept by hand: they are for https alone
        answer = httpx2.request(method, self._here + path.removeprefix(SITE), data=data, headers=sent, timeout=60)
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        if found := re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', answer.text):
            self._token = found[1]
        return answer


@pytest.fixture(scope="module")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mailbox, int, str]]:
    """A server that sends mail; its mails, its port, and the link that makes its first operator."""
    folder: Path = tmp_path_factory.mktemp("mails")
    with mailbox() as mails:
        environment = settings(folder, database=cluster.fresh(), url=SITE) | {"CHATKEEP_SMTP_URL": mails.url}
        chatkeep("server", "migrate", environment=environment)
        made = json.loads(chatkeep("server", "invite", "--operator", OPERATOR, "--json", environment=environment))
        assert made["role"] == "operator"
        with serving(environment) as port:
            yield mails, port, made["link"]


@pytest.fixture(scope="module")
def operator(server: tuple[Mailbox, int, str]) -> Browser:
    """The first operator, who made an account with the link of the terminal."""
    mine = Browser(server[1])
    signed_up(mine, server[2], OPERATOR)
    return mine


@pytest.fixture(scope="module")
def member(server: tuple[Mailbox, int, str], operator: Browser) -> Browser:
    """A member, who was invited by mail."""
    mails, port, _ = server
    page = operator.post("/operator/people/invite", on="/operator/people/", email=MEMBER, role="member")
    assert page.status_code == 200, page.text
    [mail] = mails.to(MEMBER)
    mine = Browser(port)
    signed_up(mine, link_in(mail), MEMBER)
    return mine


def signed_up(browser: Browser, link: str, email: str) -> None:
    assert browser.post(link).status_code == 302
    made = browser.post("/account/signup/", email=email, name="", password1=PASSWORD)
    assert made.status_code == 302, made.text
    assert browser.get("/").status_code == 200


def signs_in(port: int, email: str, password: str) -> bool:
    mine = Browser(port)
    return mine.post("/account/login/", login=email, password=password).status_code == 302


def link_in(mail: Any) -> str:
    found = re.search(rf"{SITE}/\S+", mail.get_content())
    assert found, mail.get_content()
    return found[0]


def test_the_link_of_the_terminal_makes_the_first_operator(operator: Browser) -> None:
    assert operator.get("/operator/people/").status_code == 200


def test_an_invitation_comes_by_mail_and_makes_a_member(
    server: tuple[Mailbox, int, str], operator: Browser, member: Browser
) -> None:
    [mail] = server[0].to(MEMBER)
    assert mail["From"] == "chatkeep@chats.example"
    assert mail["Subject"] == "Your invitation to Chatkeep"
    assert member.get("/operator/people/").status_code == 404


def test_a_new_password_is_set_with_a_link_that_works_once(server: tuple[Mailbox, int, str], member: Browser) -> None:
    mails, port, _ = server
    stranger = Browser(port)
    before = len(mails.mails)
    known = stranger.post("/account/password/reset/", email=MEMBER)
    unknown = Browser(port).post("/account/password/reset/", email="nobody@example.org")
    assert (known.status_code, known.headers["location"]) == (unknown.status_code, unknown.headers["location"])
    assert [recipient for recipient, _ in mails.mails[before:]] == [MEMBER]  # an unknown address is not written to
    link = link_in(mails.to(MEMBER)[-1])
    form = stranger.get(link).headers["location"]
    assert form.endswith("-set-password/")  # the secret of the link stands in no address of a page
    assert stranger.post(form, password1=OTHER, password2=OTHER).status_code == 302
    assert signs_in(port, MEMBER, OTHER)
    assert not signs_in(port, MEMBER, PASSWORD)
    again = Browser(port)
    shown = again.get(link)
    assert shown.status_code == 200  # no form to go on to
    assert 'type="password"' not in shown.text


def test_a_link_for_a_new_password_that_was_altered_opens_nothing(
    server: tuple[Mailbox, int, str], member: Browser
) -> None:
    mails, port, _ = server
    mine = Browser(port)
    mine.post("/account/password/reset/", email=OPERATOR)
    link = link_in(mails.to(OPERATOR)[-1])
    bent = link[:-3] + ("aa/" if not link.endswith("aa/") else "bb/")
    assert 'type="password"' not in mine.get(bent).text
    assert mine.get(link).status_code == 302  # the control


def test_who_was_invited_without_an_address_proves_it(server: tuple[Mailbox, int, str], operator: Browser) -> None:
    mails, port, _ = server
    page = operator.post("/operator/people/invite", on="/operator/people/", email="", role="member")
    link = re.search(rf"{SITE}/invitation/[\w-]+", page.text)
    assert link
    mine, email = Browser(port), "bea@example.org"
    assert mine.post(link[0]).status_code == 302
    assert mine.post("/account/signup/", email=email, name="", password1=PASSWORD).status_code == 302
    assert mine.get("/").status_code == 302  # not in yet
    [mail] = mails.to(email)
    assert mine.post(link_in(mail)).status_code == 302
    assert signs_in(port, email, PASSWORD)


def test_the_page_for_a_new_password_offers_to_send_a_link(server: tuple[Mailbox, int, str]) -> None:
    assert "Send the link" in Browser(server[1]).get("/account/password/reset/").text
