"""What belongs to one archive is not found from another one."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from chatkeep.connections import opening
from chatkeep.connections.models import Connection
from chatkeep.errors import NotFound
from chatkeep.jobs import queue, schedules
from chatkeep.jobs.models import Schedule
from chatkeep.people import belonging
from chatkeep.people.models import Membership, User
from chatkeep.web import held

pytestmark = pytest.mark.django_db

ALICE, CHARLIE = "a" * 32, "c" * 32


def asking(archive: str) -> belonging.Request:
    request = RequestFactory().get("/")
    request.archive_id = archive  # type: ignore[attr-defined]
    return request  # type: ignore[return-value]


def test_a_connection_is_found_by_its_own_archive_alone() -> None:
    Connection.objects.create(archive=ALICE, name="stick", provider="folder")
    assert held.connection(asking(ALICE), "stick").archive == ALICE
    with pytest.raises(NotFound):
        held.connection(asking(CHARLIE), "stick")
    assert held.connections(asking(CHARLIE)) == []


def test_two_archives_may_use_the_same_name_and_one_may_not_use_it_twice() -> None:
    for archive in (ALICE, CHARLIE):
        Connection.objects.create(archive=archive, name="stick", provider="folder", location={"path": archive})
    assert held.connection(asking(CHARLIE), "stick").location == {"path": CHARLIE}


def test_a_job_is_found_by_its_own_archive_alone() -> None:
    job = held.enqueue(asking(ALICE), "export")
    assert job.subject == f"archive:{ALICE}"
    assert held.job(asking(ALICE), job.pk).pk == job.pk
    with pytest.raises(NotFound):
        held.job(asking(CHARLIE), job.pk)
    assert not held.jobs(asking(CHARLIE)).exists()


def test_work_on_two_archives_is_not_serial() -> None:
    with (
        queue.holding("import", queue.archive_subject(ALICE), by="a", archive=ALICE),
        queue.holding("import", queue.archive_subject(CHARLIE), by="c", archive=CHARLIE, wait_s=0.1) as run,
    ):
        assert run.archive == CHARLIE


def test_each_archive_is_a_device_of_its_own() -> None:
    hosts = {opening.this_device("server", archive).host for archive in (ALICE, CHARLIE)}
    assert len(hosts) == 2
    assert opening.this_device("renamed", ALICE).host in hosts


def test_a_change_of_one_archive_asks_for_nothing_in_another() -> None:
    from datetime import timedelta

    from django.utils import timezone

    from chatkeep.jobs.laptop import Laptop

    for archive in (ALICE, CHARLIE):
        Connection.objects.create(archive=archive, name="stick", provider="folder")
    schedules.ensure({"backup"})
    Schedule.objects.update(every="", after_change=5)
    assert set(Schedule.objects.values_list("archive", flat=True)) == {ALICE, CHARLIE}
    numbers, now = {ALICE: 0, CHARLIE: 0}, timezone.now()
    clock = [now]
    asking = schedules.Dispatcher(Laptop(), kinds={"backup"}, changes=lambda: numbers, clock=lambda: clock[0])
    asking.tick()
    numbers[ALICE] = 1
    asking.tick()
    clock[0] = now + timedelta(minutes=6)
    asking.tick()
    assert [job.archive for job in queue.open_jobs()] == [ALICE]


def test_the_keeper_is_one_person_with_the_one_archive() -> None:
    first, second = belonging.keeper(), belonging.keeper()
    assert first.pk == second.pk
    assert belonging.archives_of(first) == ["own"]


def test_who_shares_an_archive_works_in_their_own_unless_they_choose() -> None:
    bob = User.objects.create(email="Bob@Example.org")
    Membership.objects.create(user=bob, archive=ALICE, owns=False)
    own = belonging.new_archive(bob)
    assert belonging.archive_of(bob) == own
    assert belonging.archive_of(bob, ALICE) == ALICE
    assert belonging.archive_of(bob, CHARLIE) == own
    assert bob.email == "bob@example.org"
