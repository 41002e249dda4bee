"""The log of what was done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from chatkeep.errors import WrongUse
from chatkeep.people import audit
from chatkeep.people.models import Audit


@pytest.mark.django_db
def test_each_line_follows_from_the_one_before() -> None:
    first = audit.note("user:1", "user.invited", "user:2", {"role": "member"})
    second = audit.note(audit.COMMAND_LINE, "flag.changed", "cloud-writes", {"kill": True})
    assert (first.before, second.before) == (audit.FIRST, first.hash)
    assert list(audit.gaps()) == []
    assert [line.what for line in audit.lines(about="user:2")] == ["user.invited"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        lambda: Audit.objects.filter(what="b").update(details={"role": "operator"}),
        lambda: Audit.objects.filter(what="b").update(actor="user:9"),
        lambda: Audit.objects.filter(what="b").delete(),
        lambda: Audit.objects.filter(what="a").delete(),
    ],
)
def test_a_line_that_was_changed_or_taken_out_is_noticed(change: object) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE people_audit DISABLE TRIGGER USER")
    for what in ("a", "b", "c"):
        audit.note("user:1", what)
    assert not list(audit.gaps())  # the control
    change()  # type: ignore[operator]
    assert list(audit.gaps())


@pytest.mark.django_db
def test_nobody_is_named_by_an_address() -> None:
    with pytest.raises(WrongUse):
        audit.note("user:1", "user.invited", details={"who": ["alice@example.org"]})


@pytest.mark.django_db(transaction=True)
def test_lines_that_come_at_the_same_moment_each_get_their_place() -> None:
    def write(number: int) -> None:
        for _ in range(5):
            audit.note(f"user:{number}", "tried")
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert Audit.objects.count() == 20
    assert not list(audit.gaps())
