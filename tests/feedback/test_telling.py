"""A report from its person to the operator and back: kept as it was sent, within limits, gone when its time is over."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.feedback.pictures_for_tests import SECRET, png

from chatkeep.errors import NotFound, WrongUse
from chatkeep.feedback import telling, triage
from chatkeep.feedback.models import Report, State

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATA = "release: 0.1.0\npage: backups\nflags: inbox\njob: 4711, backup, failed, QuotaFull\n"


def told(who: str = "alice", *, text: str = "It stops.", severity: str = "small", **more: Any) -> Report:
    more.setdefault("now", NOW - timedelta(days=Report.objects.count() + 1))
    return telling.tell(who, text=text, severity=severity, **more)


def test_a_report_is_kept_as_it_was_sent_and_known_by_what_was_left_in_it() -> None:
    report = told(data=DATA, contact="olga, room 4", picture=png(), text=" It\r\nstops.\0 ")
    kept = telling.one_of("alice", report.pk)
    assert (kept.text, kept.contact, kept.data) == ("It\nstops.", "olga, room 4", DATA.strip())
    assert (kept.release, kept.page, kept.job, triage.flags_of(kept)) == ("0.1.0", "backups", 4711, ("inbox",))
    assert kept.picture_kind == "image/png"
    assert SECRET not in bytes(kept.picture)
    assert kept.reference in telling.as_text(kept)
    without = told(data="", now=NOW)
    assert (without.release, without.page, without.job) == ("", "", None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": " \n"},
        {"text": "x" * 5001},
        {"contact": "x" * 201},
        {"data": "x" * 4001},
        {"severity": "worst"},
        {"picture": b"<svg/>"},
    ],
)
def test_too_much_or_nothing_is_refused_and_not_kept(wrong: dict[str, Any]) -> None:
    with pytest.raises(WrongUse):
        told(**wrong)
    assert not Report.objects.exists()


def test_many_at_once_are_refused_for_one_person_and_not_for_others() -> None:
    for _ in range(5):
        told(now=NOW)
    with pytest.raises(WrongUse, match="many reports"):
        told(now=NOW + timedelta(minutes=9))
    told("bob", now=NOW)
    told(now=NOW + timedelta(minutes=11))
    for n in range(14):
        told(now=NOW + timedelta(hours=1 + n))
    with pytest.raises(WrongUse, match="many reports"):
        told(now=NOW + timedelta(hours=20))


def test_a_report_belongs_to_its_person() -> None:
    report = told("alice")
    for theirs in (telling.one_of, telling.withdraw):
        with pytest.raises(NotFound):
            theirs("bob", report.pk)
    assert (telling.of("bob"), telling.of("alice")) == ([], [report])
    told("bob")
    assert telling.erase("alice") == 1
    assert len(telling.of("bob")) == 1


def test_the_operator_labels_answers_and_closes() -> None:
    report = told(severity="lost")
    assert telling.open_losses() == 1
    triage.change(report, state="doing", labels=["sync", " needs test ", ""], now=NOW)
    triage.answer(report, "We found it.\r\nThank you.", now=NOW)
    kept = telling.one_of("alice", report.pk)
    assert (kept.state, kept.labels, kept.answer) == ("doing", ["needs test", "sync"], "We found it.\nThank you.")
    triage.change(report, state="done", labels=[], now=NOW)
    assert (telling.open_losses(), report.is_open) == (0, False)
    for wrong in (
        {"state": "gone", "labels": []},
        {"state": "new", "labels": ["a\nb"]},
        {"state": "new", "labels": [str(n) for n in range(11)]},
    ):
        with pytest.raises(WrongUse):
            triage.change(report, **wrong)  # type: ignore[arg-type]


def test_what_is_closed_goes_after_thirty_days_and_what_was_opened_again_stays() -> None:
    closed, again = told(), told()
    for report in (closed, again):
        triage.change(report, state=State.DECLINED, labels=[], now=NOW)
    triage.change(again, state=State.SEEN, labels=[], now=NOW)
    assert triage.prune(now=NOW + timedelta(days=30)) == 0
    assert triage.prune(now=NOW + timedelta(days=30, seconds=1)) == 1
    assert [one.pk for one in Report.objects.all()] == [again.pk]


def test_lost_data_comes_first_and_closed_ones_only_when_asked_for() -> None:
    lost, idea, done = told(severity="lost"), told(severity="idea", data=DATA), told()
    triage.change(done, state="done", labels=["sync"])
    newest = told(now=NOW)
    assert triage.listing() == [lost, newest, idea]
    assert triage.listing(state="done") == [done]
    assert triage.listing(flag="inbox") == triage.listing(release="0.1.0") == [idea]
    assert triage.listing(state="done", label="sync") == [done]


def test_counts_per_release() -> None:
    for release in ("0.9.0", "0.10.0", "0.10.0"):
        told(data=f"release: {release}")
    told(severity="lost")
    assert [(one["release"], one["small"], one["lost"]) for one in triage.per_release()] == [
        ("0.10.0", 2, 0),
        ("0.9.0", 1, 0),
        ("", 0, 1),
    ]


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "|cmd", "%0A", "\n=1"])
def test_a_spreadsheet_takes_nothing_for_a_formula(formula: str) -> None:
    report = told()
    Report.objects.filter(pk=report.pk).update(text=formula, contact=formula)
    row = next(csv.DictReader(io.StringIO(triage.as_csv(triage.listing()))))
    assert row["text"] == row["contact"] == f"'{formula}"


def test_ordinary_text_is_not_changed_in_the_table_and_json_has_it_as_it_is() -> None:
    report = told(text='He said "no", and 1 = 1.', data=DATA)
    row = next(csv.DictReader(io.StringIO(triage.as_csv([report]))))
    assert (row["text"], row["contact"], row["flags"]) == (report.text, "", "inbox")
    Report.objects.filter(pk=report.pk).update(text="=1+1")
    found = json.loads(triage.as_json(triage.listing()))
    assert (found[0]["text"], found[0]["reference"], found[0]["job"]) == ("=1+1", report.reference, 4711)
