"""Others are told what happened: signed, once for each thing, again until it arrives, and without a word of anybody."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.utils import timezone

from api.conftest import Program
from archive.talks import take, talk
from chatkeep.api import tokens, webhooks
from chatkeep.api.messenger import Messenger
from chatkeep.api.models import Delivery, Webhook
from chatkeep.archive import Archive
from chatkeep.connections.installation import OWN
from chatkeep.errors import Unavailable
from chatkeep.jobs.models import Job, State
from chatkeep.web import held

LOOPBACK = ["127.0.0.0/8"]


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _Receiver)
    server.got, server.statuses = [], []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def told(archive: Archive, program: Program, receiver: HTTPServer) -> dict[str, Any]:
    """A webhook that wants to know of exports, backups and what paused."""
    wanted = {
        "url": f"http://127.0.0.1:{receiver.server_port}/hooks",
        "events": ["export.done", "export.failed", "backup.failed", "job.paused"],
    }
    answer = program.post("webhooks", wanted)
    assert answer.status_code == 201
    made: dict[str, Any] = answer.json()
    return made


@pytest.fixture
def messenger() -> Messenger:
    return Messenger(held.means(), networks=LOOPBACK)


def test_an_export_that_is_done_is_told_once_and_signed(
    archive: Archive,
    program: Program,
    told: dict[str, Any],
    receiver: HTTPServer,
    messenger: Messenger,
    work: Callable[[], None],
) -> None:
    take(archive, talk("a secret affair", ["I love you.", "Me too."]))
    job = program.post("exports", {"format": "txt"}).json()["id"]
    work()
    assert messenger.tick() == 1
    assert messenger.tick() == 0
    [(headers, body)] = receiver.got  # type: ignore[attr-defined]
    message = json.loads(body)
    assert (message["event"], message["data"]["job"], message["data"]["conversations"]) == ("export.done", job, 1)
    assert headers["Chatkeep-Id"] == message["id"]
    at, mac = headers["Chatkeep-Signature"].removeprefix("t=").split(",v1=")
    expected = hmac.new(told["secret"].encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    assert mac == expected
    for word in (b"affair", b"love", b"txt", b"/cache/"):
        assert word not in body


def test_what_does_not_arrive_is_tried_again_later_and_later(
    archive: Archive, program: Program, told: dict[str, Any], receiver: HTTPServer, messenger: Messenger
) -> None:
    receiver.statuses += [500, 302]  # type: ignore[attr-defined]
    program.post(f"webhooks/{told['id']}/test")
    assert messenger.tick() == 1
    [failed] = program.get(f"webhooks/{told['id']}/deliveries").json()["deliveries"]
    assert (failed["attempts"], failed["status"], failed["delivered_at"]) == (1, 500, None)
    assert "500" in program.get(f"webhooks/{told['id']}").json()["trouble"]
    assert messenger.tick() == 0
    for _ in range(2):
        Delivery.objects.update(due_at=timezone.now())
        assert messenger.tick() == 1
    [arrived] = program.get(f"webhooks/{told['id']}/deliveries").json()["deliveries"]
    assert (arrived["attempts"], arrived["status"], arrived["next_at"]) == (3, 200, None)
    assert program.get(f"webhooks/{told['id']}").json()["failing_since"] is None
    ids = {headers["Chatkeep-Id"] for headers, _ in receiver.got}  # type: ignore[attr-defined]
    assert len(ids) == 1


def test_after_a_day_it_is_given_up(archive: Archive, told: dict[str, Any]) -> None:
    hook = Webhook.objects.get()
    webhooks.tell(hook, "ping", "a", {})
    tried, waits = 0, []

    def unreachable(*_: object, **__: object) -> int:
        raise Unavailable("The webhook could not be reached.")

    while Delivery.objects.filter(due_at__isnull=False).exists():
        Delivery.objects.update(due_at=timezone.now())
        tried += webhooks.deliver(lambda id: held.means().installation_of(id).safe, post=unreachable)
        row = Delivery.objects.get()
        if row.due_at:
            waits.append(timedelta(seconds=round((row.due_at - timezone.now()).total_seconds())))
            Delivery.objects.update(made_at=row.made_at - waits[-1])
    assert 10 < tried < 20
    assert waits == sorted(waits)
    assert sum(waits, timedelta()) < timedelta(hours=24)
    assert Delivery.objects.get().delivered_at is None


def test_a_job_that_pauses_is_told_each_time_it_does(
    archive: Archive, told: dict[str, Any], receiver: HTTPServer, messenger: Messenger
) -> None:
    now = timezone.now()
    job = Job.objects.create(kind="backup", subject="x", state=State.PAUSED, started_at=now, what="Ana is signed out.")
    assert (messenger.tick(), messenger.tick()) == (1, 0)
    Job.objects.filter(pk=job.pk).update(started_at=now + timedelta(minutes=1))
    assert messenger.tick() == 1
    assert [json.loads(body)["event"] for _, body in receiver.got] == ["job.paused"] * 2  # type: ignore[attr-defined]
    assert all(b"Ana" not in body for _, body in receiver.got)  # type: ignore[attr-defined]


def test_what_ended_while_no_worker_ran_is_told_later_and_what_was_before_is_not(
    archive: Archive, told: dict[str, Any], receiver: HTTPServer, messenger: Messenger
) -> None:
    ended = {"subject": "x", "state": State.FAILED}
    Webhook.objects.update(made_at=timezone.now() - timedelta(days=2), seen_at=timezone.now() - timedelta(days=2))
    Job.objects.create(kind="backup", ended_at=timezone.now() - timedelta(days=1), **ended)
    Job.objects.create(kind="backup", ended_at=timezone.now() - timedelta(days=3), **ended)
    Job.objects.create(kind="restore", ended_at=timezone.now(), **ended)
    Job.objects.create(kind="backup", ended_at=timezone.now(), archive="b" * 32, **ended)
    assert messenger.tick() == 1


def test_two_workers_deliver_a_message_once(archive: Archive, told: dict[str, Any], receiver: HTTPServer) -> None:
    webhooks.tell(Webhook.objects.get(), "ping", "a", {})
    sent: list[int] = []

    def slow(*_: object, **__: object) -> int:
        sent.append(1)
        webhooks.deliver(lambda id: held.means().installation_of(id).safe, post=slow)  # another one, at the same moment
        return 200

    webhooks.deliver(lambda id: held.means().installation_of(id).safe, post=slow)
    assert sent == [1]


def test_a_webhook_into_our_own_network_is_refused_when_it_is_asked(
    archive: Archive, program: Program, told: dict[str, Any], receiver: HTTPServer
) -> None:
    program.post(f"webhooks/{told['id']}/test")
    assert Messenger(held.means()).tick() == 1
    [refused] = program.get(f"webhooks/{told['id']}/deliveries").json()["deliveries"]
    assert "CHATKEEP_WEBHOOK_NETWORKS" in refused["trouble"]
    assert receiver.got == []  # type: ignore[attr-defined]


def test_the_secret_is_shown_once_and_kept_sealed(archive: Archive, program: Program, told: dict[str, Any]) -> None:
    assert told["secret"].startswith("whsec_")
    row = Webhook.objects.get()
    assert told["secret"].encode() not in bytes(row.secret)
    assert "secret" not in program.get(f"webhooks/{told['id']}").json()
    assert "secret" not in program.get("webhooks").json()["webhooks"][0]
    again = program.post(
        "webhooks", {"url": "https://a.example/", "events": ["sync.done"]}, headers={"Idempotency-Key": "k"}
    )
    same = program.post(
        "webhooks", {"url": "https://a.example/", "events": ["sync.done"]}, headers={"Idempotency-Key": "k"}
    )
    assert again.json()["secret"] == same.json()["secret"]
    from chatkeep.api.models import Answer

    assert again.json()["secret"].encode() not in bytes(Answer.objects.get().body)


def test_webhooks_of_another_archive_are_not_found(archive: Archive, program: Program, told: dict[str, Any]) -> None:
    Webhook.objects.update(archive="b" * 32)
    assert program.get("webhooks").json()["webhooks"] == []
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries")):
        assert program.ask(method, f"webhooks/{told['id']}{path}").status_code == 404


def test_a_webhook_that_was_removed_is_told_nothing_more(
    archive: Archive, program: Program, told: dict[str, Any], messenger: Messenger
) -> None:
    program.post(f"webhooks/{told['id']}/test")
    assert program.ask("DELETE", f"webhooks/{told['id']}").status_code == 204
    assert messenger.tick() == 0


@pytest.mark.parametrize(
    "wanted",
    [
        {"url": "https://me:word@a.example/", "events": ["sync.done"]},
        {"url": "ftp://a.example/", "events": ["sync.done"]},
        {"url": "https://a.example/", "events": []},
        {"url": "https://a.example/", "events": ["chat.read"]},
        {"url": "https://a.example:22/", "events": ["sync.done"]},
    ],
)
def test_a_webhook_that_makes_no_sense_is_refused(archive: Archive, program: Program, wanted: dict[str, Any]) -> None:
    assert program.post("webhooks", wanted).status_code in (403, 422)
    assert Webhook.objects.count() == 0


def test_old_messages_go(archive: Archive, told: dict[str, Any]) -> None:
    webhooks.tell(Webhook.objects.get(), "ping", "a", {})
    Delivery.objects.update(made_at=timezone.now() - timedelta(days=8))
    assert webhooks.sweep() == 1


def test_its_scope_is_needed(archive: Archive) -> None:
    others = Program(tokens.add("x", sorted(tokens.SCOPES.keys() - {"webhooks"}), archive=OWN)[0])
    assert others.get("webhooks").status_code == 403
