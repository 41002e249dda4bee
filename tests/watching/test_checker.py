"""A person is told once when something is wrong that lasts, and once when it is over."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest
from django.test import Client
from django.utils import timezone

from chatkeep.archive import Archive
from chatkeep.connections import rotating
from chatkeep.connections.installation import OWN
from chatkeep.connections.models import Connection
from chatkeep.errors import WrongUse
from chatkeep.jobs.models import Job, State, Why
from chatkeep.watching import channels, findings, signs
from chatkeep.watching.channels import Ways, Word
from chatkeep.watching.checker import Checker
from chatkeep.watching.chores import Integrity
from chatkeep.watching.models import Channels, Notice
from chatkeep.web import held
from chatkeep.web.configuration import CHATKEEP

from .test_calling import Receiver, receiver

__all__ = ["receiver"]


class Post(socketserver.ThreadingTCPServer):
    """A mail server that takes everything."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        self.letters: list[str] = []
        outer = self

        class Talk(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 here\r\n")
                while line := self.rfile.readline():
                    if line.upper().startswith(b"DATA"):
                        self.wfile.write(b"354 go on\r\n")
                        text = b""
                        while (part := self.rfile.readline()) != b".\r\n":
                            text += part
                        outer.letters.append(text.decode())
                    self.wfile.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 yes\r\n")

        super().__init__(("127.0.0.1", 0), Talk)


@pytest.fixture
def post() -> Iterator[Post]:
    found = Post()
    thread = threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


class Clock:
    """The time of day, moved by hand."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def __call__(self):  # type: ignore[no-untyped-def]
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def checker(receiver: Receiver, clock: Clock) -> Checker:
    settings = msgspec.structs.replace(
        CHATKEEP, notify_ntfy=f"{receiver.url}/topic", notify_ping=f"{receiver.url}/alive"
    )
    return Checker(
        settings,
        safe_of=lambda _: held.means().installation_of(OWN).safe,
        home_of=lambda _: CHATKEEP.home,
        clock=clock,
    )


def look(checker: Checker, clock: Clock, receiver: Receiver, **later: float) -> list[str]:
    """Look after some time: what was sent, a path or the title of a notice for each."""
    clock.now += timedelta(**later) if later else timedelta(minutes=1)
    receiver.got.clear()
    checker.look()
    return [headers.get("Title", path) for _, path, headers, _ in receiver.got]


def failed(place: Connection, attempts: int = 0) -> Job:
    return Job.objects.create(
        kind="backup", subject=place.subject, state=State.FAILED, what="The disk is gone.", attempts=attempts
    )


def test_all_is_well_and_the_watchdog_is_called(
    checker: Checker, clock: Clock, receiver: Receiver, place: Connection
) -> None:
    assert look(checker, clock, receiver) == ["/alive"]


def test_one_run_that_failed_is_told_after_a_day_and_not_before(
    checker: Checker, clock: Clock, receiver: Receiver, place: Connection
) -> None:
    failed(place)
    assert look(checker, clock, receiver) == ["/alive"]
    assert look(checker, clock, receiver, hours=23) == ["/alive"]
    assert look(checker, clock, receiver, hours=1.1) == ["backups fail"]


def test_two_failed_runs_are_told_once_and_once_more_when_they_are_over(
    checker: Checker, clock: Clock, receiver: Receiver, place: Connection
) -> None:
    failed(place)
    failed(place)
    assert look(checker, clock, receiver) == ["backups fail"]
    assert b"The disk is gone" in receiver.got[0][3]
    assert receiver.got[0][2]["Priority"] == "high"
    assert look(checker, clock, receiver) == []
    failed(place)
    assert look(checker, clock, receiver) == []
    Connection.objects.update(backed_up_at=timezone.now() + timedelta(minutes=1))
    assert look(checker, clock, receiver) == ["over: backups fail", "/alive"]
    assert look(checker, clock, receiver) == ["/alive"]


def test_what_mended_itself_before_it_was_told_is_never_told(
    checker: Checker, clock: Clock, receiver: Receiver, place: Connection
) -> None:
    job = failed(place)
    look(checker, clock, receiver)
    job.delete()
    assert look(checker, clock, receiver) == ["/alive"]
    assert not Notice.objects.exists()


def test_what_nobody_could_be_told_is_told_later_and_later(
    checker: Checker, clock: Clock, receiver: Receiver, place: Connection
) -> None:
    Connection.objects.update(checked={"ok": False})
    receiver.status = 503
    asked = sum(bool(look(checker, clock, receiver, minutes=1)) for _ in range(30))
    assert 3 <= asked <= 6
    receiver.status = 200
    assert "a backup is damaged" in look(checker, clock, receiver, hours=2)
    assert look(checker, clock, receiver) == []


def test_two_processes_do_not_tell_the_same_twice(
    checker: Checker, clock: Clock, receiver: Receiver, place: Connection
) -> None:
    Connection.objects.update(checked={"ok": False})
    checker.look()
    checker.look()
    assert len(receiver.got) == 1


def test_a_week_ends_with_a_word_where_that_is_wished(
    checker: Checker, clock: Clock, receiver: Receiver, place: Connection
) -> None:
    look(checker, clock, receiver)
    Channels.objects.update(digest=True)
    Connection.objects.update(backed_up_at=clock.now + timedelta(days=7), drilled_at=clock.now + timedelta(days=7))
    assert look(checker, clock, receiver) == ["/alive"]
    assert look(checker, clock, receiver, days=6.9) == ["/alive"]
    assert look(checker, clock, receiver, days=0.2) == ["/alive", "your week"]
    assert b"stick: last backup" in receiver.got[-1][3]


def found(place: Connection, **changes: object) -> dict[str, findings.Finding]:
    Connection.objects.filter(pk=place.pk).update(**changes)
    return {one.code: one for one in findings.findings(home=CHATKEEP.home, now=timezone.now())}


def test_everything_that_can_be_wrong_is_found(place: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    assert found(place) == {}
    assert set(found(place, signed_out=False, checked={"ok": False})) == {"damaged"}
    assert set(found(place, checked=None, backed_up_at=now - timedelta(days=3))) == {"late"}
    drilled = {"backed_up_at": now, "drilled_at": now - timedelta(days=43)}
    assert set(found(place, **drilled)) == {"drill-old"}
    assert found(place, drilled_at=now - timedelta(days=41)) == {}
    Job.objects.create(kind="sync", subject=place.subject, state=State.PROBLEMS, report={"held_back": 200})
    assert set(found(place)) == {"brake"}
    Job.objects.all().delete()
    Job.objects.create(kind="backup", subject=place.subject, state=State.PAUSED, paused_for=Why.CRASHES, what="Died.")
    assert set(found(place)) == {"paused"}
    Job.objects.all().delete()
    assert set(found(place, provider="google-drive", signed_out=True)) == {"signed-out"}
    assert set(found(place, signed_out=False, ends_at=now + timedelta(hours=47))) == {"sign-in-ends"}
    assert found(place, ends_at=now + timedelta(hours=49)) == {}
    Connection.objects.update(provider="folder")
    monkeypatch.setattr(findings, "is_little", lambda *_: True)
    assert set(found(place)) == {"disk", "place-full"}


def test_little_space_is_little_of_a_small_disk_and_not_a_tenth_of_a_large_one() -> None:
    assert findings.is_little(400_000_000, None)
    assert findings.is_little(5_000_000_000, 100_000_000_000)
    assert not findings.is_little(150_000_000_000, 2_000_000_000_000)
    assert not findings.is_little(5_000_000_000, 20_000_000_000)


def test_mail_is_handed_in_with_its_subject_and_what_is_wrong(post: Post) -> None:
    to = Ways(mail=f"smtp+plain://127.0.0.1:{post.server_address[1]}/?from=me@example.org&to=you@example.org")
    assert channels.tell(to, Word("backups fail", "The disk is gone.\nPlug it in."), guarded=False) == []
    (letter,) = post.letters
    assert "Subject: Chatkeep: backups fail" in letter
    assert "To: you@example.org" in letter
    assert "Plug it in." in letter


def test_a_program_is_told_in_json(receiver: Receiver) -> None:
    word = Word("backups fail", "The disk is gone.", code="failing", urgent=True)
    assert channels.tell(Ways(webhook=f"{receiver.url}/hook"), word, guarded=False) == []
    assert json.loads(receiver.got[0][3])["code"] == "failing"


def test_one_way_that_is_broken_keeps_no_other_from_telling(receiver: Receiver) -> None:
    to = Ways(mail="smtp+plain://127.0.0.1:1/?from=a@b&to=c@d", webhook=f"{receiver.url}/hook")
    troubles = channels.tell(to, Word("x", "y"), guarded=False)
    assert troubles == ["mail: The mail server does not take it."]
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "guarded",
    [Ways(mail="smtp://127.0.0.1/?from=a@b&to=c@d"), Ways(webhook="https://127.0.0.1/"), Ways(ntfy="https://[::1]/x")],
)
def test_a_server_tells_nothing_to_its_own_network(guarded: Ways) -> None:
    (trouble,) = channels.tell(guarded, Word("x", "y"), guarded=True)
    assert "open internet" in trouble


@pytest.mark.parametrize(
    "wrong",
    [
        Ways(mail="smtps://mail.example/"),
        Ways(mail="http://x/?from=a@b&to=c@d"),
        Ways(mail="smtps://x/?from=a@b&to=c@d%0aBcc:e@f"),
        Ways(ntfy="ntfy.sh/x"),
        Ways(webhook="file:///etc/passwd"),
    ],
)
def test_what_is_no_address_is_refused_before_anything_is_saved(place: Connection, wrong: Ways) -> None:
    with pytest.raises(WrongUse):
        channels.save(OWN, wrong, digest=False, safe=held.means().installation_of(OWN).safe, guarded=False)
    assert not Channels.objects.exists()


def test_addresses_are_sealed_survive_a_new_secret_and_are_never_shown(keeper: Client, place: Connection) -> None:
    secret = "https://ntfy.example/canary-topic"
    answer = keeper.post("/notices/change", {"do": "save", "ntfy": secret, "digest": "1"}, follow=True)
    assert b"Saved." in answer.content
    assert b"canary-topic" not in answer.content + keeper.get("/notices/").content
    row = Channels.objects.get()
    assert b"canary" not in bytes(row.ntfy)
    assert rotating.SEALED[Channels] == {name: name for name in ("mail", "ntfy", "webhook", "ping")}
    safe = held.means().installation_of(OWN).safe
    assert channels.ways(row, safe, CHATKEEP).ntfy == secret
    assert "canary" not in repr(channels.ways(row, safe, CHATKEEP))
    keeper.post("/notices/change", {"do": "save", "ntfy": "", "webhook": "https://hook.example/x"})
    assert channels.ways(Channels.objects.get(), safe, CHATKEEP).ntfy == secret
    keeper.post("/notices/change", {"do": "save", "no-ntfy": "1"})
    assert channels.ways(Channels.objects.get(), safe, CHATKEEP).ntfy == ""


def test_home_and_the_page_of_notices_say_the_same(keeper: Client, place: Connection) -> None:
    Connection.objects.update(backed_up_at=timezone.now() - timedelta(days=3))
    (finding,) = findings.findings(home=CHATKEEP.home, now=timezone.now())
    for address in ("/", "/notices/"):
        assert finding.what.encode() in keeper.get(address).content, address


def test_the_database_is_found_whole_once_a_day_and_not_when_it_is_damaged(
    example_archive: Archive, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Integrity(CHATKEEP, held.means(), clock=clock)
    check()
    assert signs.last(signs.WHOLE) == clock.now
    first = clock.now
    clock.now += timedelta(hours=23)
    check()
    assert signs.last(signs.WHOLE) == first
    clock.now += timedelta(hours=2)
    monkeypatch.setattr(type(example_archive), "check", lambda self: ["broken"])
    check()
    assert signs.last(signs.WHOLE) == first
