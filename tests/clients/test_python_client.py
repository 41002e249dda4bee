"""The Python client against a server that really answers, and what it does when one does not."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.db import connection
from pytest_django.live_server_helper import LiveServer

from api.conftest import archive, work
from archive.talks import talk
from chatkeep.api import rates, tokens
from chatkeep.api.webhooks import sign
from chatkeep.archive import Archive
from chatkeep.model import encode
from chatkeep_client import (
    Chatkeep,
    ChatkeepError,
    ChatkeepProblem,
    ChatkeepUnreachable,
    WrongSignature,
    message_of,
)

__all__ = ["archive", "work"]

README = Path(__file__).parents[2] / "clients" / "python" / "README.md"


@pytest.fixture
def chats(live_server: LiveServer, archive: Archive) -> Iterator[Chatkeep]:
    rates.forget()
    token, _ = tokens.add("the client", list(tokens.SCOPES))
    with Chatkeep(live_server.url, token) as client:
        yield client


@pytest.fixture
def working(work: Callable[[], None]) -> Iterator[None]:
    """A worker beside the test."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.05):
            work()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_documents_are_pushed_read_and_followed(chats: Chatkeep, archive: Archive) -> None:
    talks = [talk(f"talk {number}", ["hello"] * (number + 1)) for number in range(5)]
    became = chats.put(encode(talks[0]))
    assert (became.outcome, became.id) == ("added", talks[0].id)
    assert chats.put(json.loads(encode(talks[0]))).outcome == "unchanged"
    items = list(chats.push_all((encode(one) for one in talks), at_once=2))
    assert [item.conversations[0].outcome for item in items] == ["unchanged", *["added"] * 4]
    assert chats.document(talks[1].id) == encode(talks[1])
    assert chats.document_if_changed(talks[1].id, archive.listed(talks[1].id).revision) is None
    assert chats.document_if_changed(talks[1].id, "0" * 64) == encode(talks[1])
    assert {one.id for one in chats.conversations(page=2)} == {one.id for one in talks}
    assert [one.id for one in chats.conversations(platform=["claude"])] == []
    changes = list(chats.changes())
    assert [one.id for one in changes] == [one.id for one in talks]
    assert list(chats.changes(changes[-1].number)) == []
    assert {hit.conversation for hit in chats.search("hello")} <= {one.id for one in talks}
    assert chats.edit(talks[0].id, starred=True).starred
    assert chats.trash(talks[0].id).trashed
    assert not chats.untrash(talks[0].id).trashed
    assert sum(one.added for one in chats.receipts()) == 5
    chats.delete(talks[0].id)
    with pytest.raises(ChatkeepProblem) as gone:
        chats.document(talks[0].id)
    assert gone.value.status == 404


def test_a_refused_item_is_told_beside_those_that_were_taken(chats: Chatkeep) -> None:
    batch = chats.push([encode(talk("a", ["x"])), {"nonsense": 1}])
    assert (batch.added, batch.refused) == (1, 1)
    assert batch.results[1].problem is not None
    assert chats.undo(batch.receipt).removed == 1


def test_attachments_go_and_come_back(chats: Chatkeep) -> None:
    sha256 = chats.put_attachment(b"a picture")
    assert sha256 == hashlib.sha256(b"a picture").hexdigest()
    assert chats.attachment(sha256) == b"a picture"


def test_an_export_is_waited_for_and_saved(chats: Chatkeep, working: None, tmp_path: Path) -> None:
    chats.put(encode(talk("a", ["x"])))
    job = chats.wait(chats.export(format="txt", selection={"platforms": ["chatgpt"]}, times="none"))
    assert (job.state, job.report and job.report["conversations"]) == ("done", 1)
    assert chats.save_result(job, tmp_path / "a.zip") > 0
    assert len(zipfile.ZipFile(tmp_path / "a.zip").namelist()) == 1
    assert chats.cancel(job.id).state == "done"


def test_webhooks_are_made_listed_and_removed(chats: Chatkeep) -> None:
    made = chats.add_webhook("https://chat.example/hooks", ["export.done"])
    assert made.secret
    assert [one.id for one in chats.webhooks()] == [made.id]
    assert chats.test_webhook(made.id).event == "ping"
    assert len(chats.deliveries(made.id)) == 1
    chats.remove_webhook(made.id)
    assert chats.webhooks() == []


def test_what_there_is_and_who_asks(chats: Chatkeep) -> None:
    assert chats.me().name == "the client"
    assert chats.connections() == []
    with pytest.raises(ChatkeepProblem) as none:
        chats.back_up("nowhere")
    assert none.value.status == 404
    with pytest.raises(ChatkeepProblem):
        chats.restore("nowhere", dry_run=True)
    with pytest.raises(ChatkeepProblem) as own:
        chats.acting_for("somebody").me()
    assert own.value.status == 403


def test_the_example_in_the_readme_runs(
    live_server: LiveServer,
    archive: Archive,
    working: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rates.forget()
    token, _ = tokens.add("the readme", list(tokens.SCOPES))
    first, second = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    monkeypatch.chdir(tmp_path)
    documents = [encode(talk("tea", ["x"]))]
    exec(first.replace("http://127.0.0.1:8765", live_server.url), {"token": token, "documents": documents})
    assert capsys.readouterr().out.splitlines() == ["added", "About tea", "done True"]
    body = b'{"id":"a","event":"export.done","at":"x","webhook":"w","data":{"job":7}}'
    import time

    headers = {"Chatkeep-Signature": sign("whsec_x", body, int(time.time()))}
    exec(second, {"body": body, "headers": headers, "secret": "whsec_x"})
    assert capsys.readouterr().out == "export.done 7\n"


# ------------------------------------------------------------------ servers that do not answer as they should


class _Server:
    """Answers what it is told to, one after the other, and remembers what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[httpx2.Request] = []
        self.slept: list[float] = []

    def client(self, **more: Any) -> Chatkeep:
        transport = httpx2.MockTransport(self.answer)
        return Chatkeep("https://chats.example", "ck_x", transport=transport, sleep=self.slept.append, **more)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        told = self.answers.pop(0)
        if isinstance(told, Exception):
            raise told
        response: httpx2.Response = told
        return response


_ME = {"name": "x", "scopes": [], "service": False, "archive": "own", "per_minute": 600, "new_field": 1}


def test_it_waits_as_long_as_it_is_told_and_asks_again() -> None:
    server = _Server(httpx2.Response(429, headers={"Retry-After": "7"}), httpx2.Response(200, json=_ME))
    assert server.client().me().name == "x"
    assert server.slept == [7.0]


def test_an_idempotency_key_stays_the_same_when_it_asks_again() -> None:
    job = {"id": 1, "kind": "export", "state": "waiting", "requested_at": "x"}
    server = _Server(
        httpx2.ReadTimeout("late"), httpx2.Response(409, headers={"Retry-After": "1"}), httpx2.Response(202, json=job)
    )
    assert server.client().export().id == 1
    assert len({request.headers["Idempotency-Key"] for request in server.asked}) == 1
    assert len(server.slept) == 2
    server.answers = [httpx2.Response(202, json=job)]
    server.client().export()
    assert len({request.headers["Idempotency-Key"] for request in server.asked}) == 2


def test_a_refusal_is_told_at_once() -> None:
    told = {
        "type": "urn:chatkeep:problem:not-found",
        "title": "x",
        "status": 404,
        "detail": "Nothing.",
        "hint": "Look.",
    }
    server = _Server(httpx2.Response(404, json=told))
    with pytest.raises(ChatkeepProblem, match=r"Nothing\. Look\.") as problem:
        server.client().me()
    assert (problem.value.status, problem.value.type) == (404, told["type"])
    assert server.slept == []


def test_what_does_not_answer_is_given_up_in_the_end() -> None:
    server = _Server(*[httpx2.ConnectError("no") for _ in range(3)])
    with pytest.raises(ChatkeepUnreachable):
        server.client(tries=3).me()
    assert server.slept == sorted(server.slept)
    broken = _Server(*[httpx2.Response(503, text="<html>") for _ in range(2)])
    with pytest.raises(ChatkeepProblem):
        broken.client(tries=2).me()


def test_a_job_that_never_ends_is_waited_for_no_longer_than_wished() -> None:
    job = {"id": 1, "kind": "export", "state": "running", "requested_at": "x"}
    server = _Server(*[httpx2.Response(200, json=job) for _ in range(50)])
    client = server.client()
    with pytest.raises(ChatkeepError, match="still running"):
        client.wait(client.job(1), timeout_s=10)
    assert sum(server.slept) < 20


def test_it_says_for_whom_it_asks() -> None:
    server = _Server(*[httpx2.Response(200, json=_ME) for _ in range(2)])
    service = server.client(on_behalf_of="ana")
    service.me()
    service.acting_for("bob").me()
    assert [request.headers["Chatkeep-On-Behalf-Of"] for request in server.asked] == ["ana", "bob"]


def test_a_message_of_somebody_else_or_of_long_ago_is_refused() -> None:
    body = b'{"id":"a","event":"ping","at":"x","webhook":"w","data":{}}'
    now = lambda: 1_000_000.0  # noqa: E731
    good = sign("s", body, 1_000_000)
    assert message_of(body, good, "s", clock=now).event == "ping"
    for wrong in (
        "",
        "t=1,v1=x",
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        good.replace("t=1000000", "t=1000001"),
    ):
        with pytest.raises(WrongSignature):
            message_of(body, wrong, "s", clock=now)
    with pytest.raises(WrongSignature):
        message_of(body + b" ", good, "s", clock=now)
    with pytest.raises(WrongSignature):
        message_of(body, good, "other", clock=now)
    with pytest.raises(WrongSignature):
        message_of(body, good, "s", clock=lambda: 1_000_301.0)
    mac = hmac.new(b"s", b"1000000.[]", hashlib.sha256).hexdigest()
    with pytest.raises(WrongSignature):
        message_of(b"[]", f"t=1000000,v1={mac}", "s", clock=now)
