"""Jobs and flags: what is switched off waits and goes on by itself, and what came of runs is compared by flag."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.core.mail import EmailMessage
from django.urls import resolve
from django.utils import timezone
from tests import exports

from chatkeep import operations
from chatkeep.archive import Archive
from chatkeep.connections import connecting, opening
from chatkeep.connections.installation import OWN, Installation
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import Secret
from chatkeep.errors import Unavailable
from chatkeep.jobs import asking, kinds, queue, schedules, staged
from chatkeep.jobs.laptop import Laptop
from chatkeep.jobs.models import Job, Schedule, State, Why
from chatkeep.jobs.run import Run
from chatkeep.jobs.worker import Worker
from chatkeep.operations.progress import quiet
from chatkeep.people import audit, belonging
from chatkeep.people.models import Role, User
from chatkeep.rollout import changing, flags
from chatkeep.rollout.declared import CLOUD_WRITES, SYNC_DELETIONS
from chatkeep.rollout.flags import SwitchedOff
from chatkeep.vault import keys

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COST_N", 2**10)


@pytest.fixture
def means(tmp_path: Path) -> Iterator[kinds.Means]:
    safe = Safe(Secret("a secret that is long enough for this test"))
    with Archive.open(tmp_path / "home", device="laptop-1") as archive:
        yield kinds.Means.alone(archive, Installation(tmp_path / "home", safe, "laptop-1"))


@pytest.fixture
def subject(means: kinds.Means, tmp_path: Path) -> str:
    """A connected folder with a backup of two conversations."""
    where = {"path": str(tmp_path / "place")}
    connecting.connect("folder", where, installation=means.installation_of(OWN), name="stick")
    work(means, "import", queue.ARCHIVE, paths=[str(exports.two(tmp_path / "export.zip"))])
    found = opening.connection("stick").subject
    assert work(means, "backup", found, connection="stick").state == State.DONE
    return found


def work(means: kinds.Means, kind: str, subject: str, **arguments: Any) -> Job:
    job = queue.enqueue(kind, subject, arguments, by="a test")
    assert Worker(kinds.kinds(means)).run_one()
    return queue.find(job.pk)


def kill(name: str) -> None:
    changing.kill(name, by="olga", why="a test", note=audit.note)


def lift(name: str) -> None:
    changing.lift(name, by="olga", note=audit.note)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# ---------------------------------------------------------------- kill switches


@pytest.mark.parametrize("kind", ["backup", "sync", "publish", "tidy", "inbox"])
def test_what_writes_is_put_off_while_writing_is_killed_and_goes_on_by_itself(
    means: kinds.Means, subject: str, tmp_path: Path, kind: str
) -> None:
    before = files(tmp_path / "place")
    kill(CLOUD_WRITES)
    job = work(means, kind, subject, connection="stick")
    assert (job.state, job.paused_for, job.crash_count, job.attempts) == (State.PAUSED, Why.SWITCH, 0, 0)
    assert job.what == "Writing to places is switched off at the moment."
    assert "by itself" in job.hint
    assert files(tmp_path / "place") == before
    assert opening.connection("stick").trouble == ""
    put_off = staged.PutOff()
    assert put_off.go_on() == 0
    lift(CLOUD_WRITES)
    assert put_off.go_on() == 1
    assert Worker(kinds.kinds(means)).run_one()
    assert queue.find(job.pk).state == State.DONE


@pytest.mark.parametrize("kind", ["restore", "check", "drill"])
def test_reading_goes_on_while_writing_is_killed(means: kinds.Means, subject: str, kind: str) -> None:
    kill(CLOUD_WRITES)
    assert work(means, kind, subject, connection="stick").state == State.DONE


def test_a_look_before_tidying_writes_nothing_and_goes_on(means: kinds.Means, subject: str) -> None:
    kill(CLOUD_WRITES)
    assert work(means, "tidy", subject, connection="stick", dry_run=True).state == State.DONE


def test_without_the_switch_it_would_have_been_written(means: kinds.Means, subject: str, tmp_path: Path) -> None:
    """The control: the same backup, not killed, changes the place."""
    exports.many(tmp_path / "more.zip", 3)
    work(means, "import", queue.ARCHIVE, paths=[str(tmp_path / "more.zip")])
    before = files(tmp_path / "place")
    work(means, "backup", subject, connection="stick")
    assert files(tmp_path / "place") != before


def test_a_command_is_told_and_leaves_no_failed_run(means: kinds.Means, subject: str) -> None:
    kill(CLOUD_WRITES)
    runs = Job.objects.count()
    with pytest.raises(SwitchedOff), queue.holding("backup", subject, by="the command line"):
        pytest.fail("it began")
    assert Job.objects.count() == runs
    with queue.holding("restore", subject, by="the command line") as run:
        assert run.pk


def test_schedules_do_not_pile_up_requests_while_it_is_killed(means: kinds.Means, subject: str) -> None:
    kill(CLOUD_WRITES)
    dispatcher = schedules.Dispatcher(Laptop(), kinds=["backup"], changes=dict)
    dispatcher.tick()
    for _ in range(3):
        Schedule.objects.filter(kind="backup").update(next_due=timezone.now() - timedelta(minutes=1), timed_at=None)
        dispatcher.tick()
        while Worker(kinds.kinds(means)).run_one():
            pass
    assert Job.objects.filter(kind="backup", state=State.PAUSED).count() == 1
    assert not Job.objects.filter(kind="backup", state=State.WAITING).exists()
    lift(CLOUD_WRITES)
    dispatcher.tick()
    assert Job.objects.filter(kind="backup", state=State.WAITING).count() == 1


def test_lifting_is_no_flood() -> None:
    for number in range(25):
        Job.objects.create(kind="backup", subject=f"connection:{number}", state=State.PAUSED, paused_for=Why.SWITCH)
    put_off = staged.PutOff()
    assert [put_off.go_on(at_once=10) for _ in range(4)] == [10, 10, 5, 0]
    assert Job.objects.filter(state=State.WAITING).count() == 25


def test_what_a_person_or_a_sign_in_paused_stays_paused() -> None:
    for why in (Why.PERSON, Why.CRASHES, Why.SIGN_IN):
        Job.objects.create(kind="backup", subject=f"connection:{why}", state=State.PAUSED, paused_for=why)
    assert staged.PutOff().go_on() == 0


def test_those_who_do_not_have_it_do_not_hold_up_those_who_do() -> None:
    changing.move("inbox", "off", by="olga", note=audit.note)
    for number in range(5):
        Job.objects.create(kind="inbox", subject=f"connection:i{number}", state=State.PAUSED, paused_for=Why.SWITCH)
    Job.objects.create(kind="backup", subject="connection:b", state=State.PAUSED, paused_for=Why.SWITCH)
    put_off = staged.PutOff()
    assert sum(put_off.go_on(at_once=2) for _ in range(4)) == 1


# ---------------------------------------------------------------- deletions


def test_a_sync_deletes_nothing_while_that_is_killed_and_all_of_it_afterwards(
    means: kinds.Means, subject: str, tmp_path: Path
) -> None:
    here = means.archive_of(OWN)
    other_home = tmp_path / "other"
    with Archive.open(other_home, device="laptop-2") as other:
        safe = Safe(Secret("a secret that is long enough for this test"))
        theirs = kinds.Means.alone(other, Installation(other_home, safe, "laptop-2"))
        with opening.opened(opening.connection("stick"), theirs.installation_of(OWN)) as place:

            def sync(archive: Archive, host: str, **more: Any) -> Any:
                return operations.sync(archive, place.vault, host=host, counting=place.counting, progress=quiet, **more)

            sync(other, "laptop-2")
            gone = next(iter(other.entries())).id
            operations.delete(other, [gone])
            sync(other, "laptop-2")
    kill(SYNC_DELETIONS)
    job = work(means, "sync", subject, connection="stick")
    assert job.state == State.PROBLEMS
    assert "Deleting by sync is switched off" in job.report["problems"][0]["what"]
    assert (job.report["deleted"], job.report["held_back"]) == (0, 1)
    assert here.counts().conversations == 2
    lift(SYNC_DELETIONS)
    job = work(means, "sync", subject, connection="stick")
    assert (job.state, job.report["deleted"], here.counts().conversations) == (State.DONE, 1, 1)


# ---------------------------------------------------------------- flags


def test_tidying_by_itself_follows_its_flag(means: kinds.Means, subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tidied: list[str] = []

    def tidy(report: Any, vault: Any, **more: Any) -> Any:
        tidied.append("tidied")
        return report

    monkeypatch.setattr(kinds.operations, "tidy_if_due", tidy, raising=False)
    for kind in ("backup", "sync"):
        assert work(means, kind, subject, connection="stick").state == State.DONE
    assert tidied == ["tidied"] * 2
    changing.move("tidying", "off", by="olga", note=audit.note)
    for kind in ("backup", "sync"):
        assert work(means, kind, subject, connection="stick").state == State.DONE
    assert tidied == ["tidied"] * 2


def test_copies_wait_for_their_flag_and_may_be_taken_away_without_it(means: kinds.Means, subject: str) -> None:
    changing.move("readable-copies", "off", by="olga", note=audit.note)
    job = work(means, "publish", subject, connection="stick")
    assert (job.state, job.paused_for, job.what) == (State.PAUSED, Why.SWITCH, "This is not open to you at the moment.")
    assert work(means, "publish", subject, connection="stick", remove=True).state == State.DONE


def test_a_flag_is_for_the_person_whose_archive_it_is() -> None:
    team = User.objects.create(email="tina@example.org", cohorts=["team"])
    archive = belonging.new_archive(team)
    assert asking.person_of(archive).cohorts == ("team",)
    changing.move("inbox", "team", by="olga", note=audit.note)
    asking.ask("inbox", archive)
    with pytest.raises(SwitchedOff):
        asking.ask("inbox", belonging.new_archive(User.objects.create(email="ann@example.org")))


def test_a_run_says_which_flags_were_on_and_which_error_ended_it(means: kinds.Means, subject: str) -> None:
    assert work(means, "backup", subject, connection="stick").flags == ",inbox,readable-copies,tidying,"
    changing.move("tidying", "off", by="olga", note=audit.note)
    job = work(means, "backup", subject, connection="nowhere")
    assert (job.flags, job.code, job.state) == (",inbox,readable-copies,", "NotFound", State.FAILED)


# ---------------------------------------------------------------- figures

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ended(number: int, *, state: State = State.DONE, flags: str = ",", **more: Any) -> None:
    for n in range(number):
        more.setdefault("ended_at", NOW)
        more.setdefault("started_at", NOW - timedelta(seconds=4))
        given = {"kind": "backup", "archive": f"{n:032x}", "subject": f"connection:{n}"} | more
        Job.objects.create(state=state, flags=flags, **given)


def figures(name: str = "inbox", kind: str = "backup") -> Any:
    found = staged.compared(flags.state(name), NOW - timedelta(days=1))
    return next(one for one in found if one.kind == kind)


def test_runs_are_counted_by_the_flag_they_had() -> None:
    ended(30, flags=",inbox,tidying,")
    ended(2, flags=",inbox,", state=State.FAILED, code="QuotaFull")
    ended(3, flags=",inbox,", state=State.FAILED, code="Unavailable")
    ended(40, flags=",tidying,")
    ended(1, flags=",", state=State.FAILED, code="KeyError", crash_count=2)
    one = figures()
    assert (one.having.well, one.having.failed, one.having.codes) == (30, 5, {"Unavailable": 3, "QuotaFull": 2})
    assert (one.having.outages, one.having.people, one.having.median) == (3, 30, 4.0)
    assert (one.others.well, one.others.failed, one.others.died) == (40, 1, 1)
    other = figures("tidying")
    assert (other.having.well, other.others.well) == (70, 0)


def test_what_says_nothing_about_a_flag_is_left_out() -> None:
    ended(5, flags="")  # ran before there were flags
    ended(6, ended_at=NOW - timedelta(days=2))
    ended(7, state=State.CANCELLED)
    ended(8, kind="restore", arguments=json.dumps({"dry_run": True}))
    assert figures().others.number == 0
    assert figures(kind="restore").others.number == 0


def test_done_with_problems_is_well_for_a_backup_and_not_for_a_restore() -> None:
    ended(2, state=State.PROBLEMS)
    ended(3, state=State.PROBLEMS, kind="restore")
    assert (figures().others.well, figures(kind="restore").others.failed) == (2, 3)


def test_what_fails_again_and_again_counts_before_it_gives_up() -> None:
    late = {"ended_at": None, "started_at": NOW}
    ended(2, state=State.WAITING, attempts=2, **late)
    assert figures().others.number == 0
    Job.objects.all().delete()
    ended(2, state=State.WAITING, attempts=3, code="Unavailable", **late)
    Job.objects.create(
        kind="backup", subject="connection:x", state=State.PAUSED, paused_for=Why.CRASHES, flags=",", **late
    )
    assert figures().others.failed == 3


# ---------------------------------------------------------------- going back


def test_a_flag_goes_back_for_what_jobs_did_and_the_log_and_the_operators_are_told_why(
    settings: Any, mailoutbox: list[EmailMessage]
) -> None:
    settings.CHATKEEP = msgspec.structs.replace(settings.CHATKEEP, smtp_url="smtp://mail.example")
    User.objects.create(email="olga@example.org", role=Role.OPERATOR)
    User.objects.create(email="otto@example.org", role=Role.OPERATOR, is_active=False)
    changing.know()
    changing.move("tidying", "25%", by="olga", note=audit.note)
    ids = [uuid.UUID(int=n) for n in range(100)]  # whom a flag reaches follows from the id
    people = [User.objects.create(id=id, email=f"p{id.int}@example.org") for id in ids]
    archives = [belonging.new_archive(one) for one in people]

    def back_up(run: Run, arguments: Mapping[str, Any]) -> None:
        if asking.tidies_by_itself(run.archive):
            raise RuntimeError("tidying broke")

    def everybody() -> None:
        for archive in archives:
            queue.enqueue("backup", f"connection:{archive}", archive=archive)
        worker = Worker({"backup": asking.asked("backup", back_up)})
        while worker.run_one():
            pass

    everybody()
    broken = Job.objects.filter(state=State.FAILED).count()
    assert 15 <= broken <= 35
    fell = staged.watch()
    assert [(one.flag.name, one.ring) for one in fell] == [("tidying", "off")]
    assert audit.lines(about="flag:tidying")[-1].what in ("flag.moved", "flag.fell")
    assert {line.what for line in audit.lines(about="flag:tidying")} == {"flag.moved", "flag.fell"}
    [mail] = mailoutbox
    assert (mail.to, mail.subject) == (["olga@example.org"], "tidying went back by itself")
    assert fell[0].fell in str(mail.body)
    link = str(mail.body).split()[-1].removeprefix(settings.CHATKEEP.public_url)
    assert resolve(link).url_name == "operator-flag"
    assert staged.watch() == []  # this minute was looked at
    everybody()
    assert Job.objects.filter(state=State.FAILED).count() == broken


def test_a_laptop_sets_nothing_back_by_itself(means: kinds.Means, subject: str) -> None:
    ended(40, state=State.FAILED, flags=",tidying,", subject=subject, ended_at=timezone.now())
    schedules.Dispatcher(Laptop(), kinds=["backup"], changes=dict).tick()
    assert flags.state("tidying").ring == "100%"


def test_an_error_that_may_pass_is_no_switch(means: kinds.Means) -> None:
    def unplugged(run: Run, arguments: Mapping[str, Any]) -> None:
        raise Unavailable("The stick is not plugged in.")

    job = queue.enqueue("backup", "connection:a")
    Worker({"backup": asking.asked("backup", unplugged)}).run_one()
    job = queue.find(job.pk)
    assert (job.state, job.attempts, job.code) == (State.WAITING, 1, "Unavailable")
