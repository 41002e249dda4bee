"""The operator's pages of flags: figures in words, typed names for what is dangerous, and a log of every change."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from chatkeep.connections.installation import OWN
from chatkeep.feedback import telling
from chatkeep.jobs import staged
from chatkeep.jobs.models import Job, State
from chatkeep.people import audit
from chatkeep.people.models import Role, User
from chatkeep.rollout import changing, flags
from chatkeep.rollout.models import Standing


@pytest.fixture
def operator(keeper: Client) -> Client:
    """Somebody who runs a server."""
    flags.REMEMBERED.forget()
    keeper.get("/")
    User.objects.update(role=Role.OPERATOR)
    return keeper


def runs(number: int, *, flags: str, state: State = State.DONE, code: str = "") -> None:
    now = timezone.now()
    Job.objects.bulk_create(
        Job(
            kind="backup",
            archive=f"{n:032x}",
            subject=f"connection:{n}",
            state=state,
            flags=flags,
            code=code,
            started_at=now - timedelta(seconds=3),
            ended_at=now,
        )
        for n in range(number)
    )


def move(name: str, ring: str, *, days: float = 0) -> None:
    changing.move(name, ring, by="olga", note=audit.note)
    Standing.objects.filter(flag=name).update(since=timezone.now() - timedelta(days=days))


def page(operator: Client, name: str = "inbox") -> str:
    return operator.get(f"/operator/flags/{name}/").content.decode()


def change(operator: Client, name: str, do: str, **given: object) -> int:
    return operator.post(f"/operator/flags/{name}/change", {"do": do, **given}).status_code


def test_all_flags_are_listed_with_what_they_do(operator: Client) -> None:
    listed = operator.get("/operator/flags/").content.decode()
    for flag in flags.states().values():
        assert flag.flag.name in listed
        assert flag.flag.does.replace("'", "&#x27;") in listed


def test_the_page_says_when_it_is_safe(operator: Client) -> None:
    move("inbox", "25%", days=8)
    runs(60, flags=",inbox,")
    runs(90, flags=",")
    assert "safe to move on: it goes as well" in page(operator)
    assert "100 %" in page(operator)
    assert change(operator, "inbox", "move", ring="100%") == 302
    assert flags.state("inbox").ring == "100%"


def test_the_page_says_how_many_runs_are_missing(operator: Client) -> None:
    move("inbox", "25%", days=8)
    runs(12, flags=",inbox,")
    assert "wait: too few runs (12 of 50 by those who have it)" in page(operator)


def test_the_page_says_why_not_with_the_error(operator: Client) -> None:
    move("inbox", "25%", days=8)
    runs(40, flags=",inbox,")
    runs(20, flags=",inbox,", state=State.FAILED, code="KeyError")
    runs(90, flags=",")
    shown = page(operator)
    assert "do not: backup ends well 66.7 % of the time, with the others 100 %." in shown
    assert "KeyError 20" in shown


def test_an_open_report_of_lost_data_stops_everything_until_it_is_closed(operator: Client) -> None:
    move("inbox", "25%", days=8)
    runs(60, flags=",inbox,")
    runs(90, flags=",")
    telling.tell("user:x", text="My chats are gone.", severity="lost")
    assert "do not: 1 open report of lost data." in page(operator)
    assert "1 open report</b>" in operator.get("/operator/flags/").content.decode() or "1 open report" in page(operator)
    telling.erase("user:x")
    assert "safe to move on" in page(operator)


def test_going_outwards_while_it_is_not_safe_needs_the_name_typed(operator: Client) -> None:
    move("inbox", "5%")
    assert change(operator, "inbox", "move", ring="25%") == 400
    assert change(operator, "inbox", "move", ring="25%", typed="Inbox") == 400
    assert flags.state("inbox").ring == "5%"
    assert change(operator, "inbox", "move", ring="25%", typed="inbox") == 302
    assert change(operator, "inbox", "move", percent="37 %", typed="inbox") == 302
    assert flags.state("inbox").ring == "37%"


def test_more_than_one_ring_at_once_needs_it_even_when_all_is_well(operator: Client) -> None:
    move("inbox", "off")
    assert change(operator, "inbox", "move", ring="team") == 302
    move("inbox", "off")
    assert change(operator, "inbox", "move", ring="5%") == 400


def test_going_back_is_one_click(operator: Client) -> None:
    assert change(operator, "inbox", "move", ring="team") == 302
    assert flags.state("inbox").ring == "team"


def test_killing_and_lifting_need_the_name_and_a_reason_and_are_logged(operator: Client) -> None:
    assert change(operator, "cloud-writes", "kill", why="a provider loses data") == 400
    assert change(operator, "cloud-writes", "kill", typed="cloud-writes") == 400
    assert change(operator, "cloud-writes", "kill", typed="cloud-writes", why="a provider loses data") == 302
    assert "Killed for everybody." in page(operator, "cloud-writes")
    assert change(operator, "cloud-writes", "lift") == 400
    assert change(operator, "cloud-writes", "lift", typed="cloud-writes") == 302
    lines = audit.lines(about="flag:cloud-writes")
    assert [line.what for line in lines] == ["flag.lifted", "flag.killed"]
    assert {line.actor for line in lines} == {User.objects.get().mark}
    shown = page(operator, "cloud-writes")
    assert "Keeper</b> killed it: a provider loses data" in shown
    assert "lifted the kill" in shown


def test_of_two_operators_with_the_same_page_the_second_is_told(operator: Client) -> None:
    number = flags.state("inbox").number
    assert change(operator, "inbox", "move", ring="25%", number=number) == 302
    assert change(operator, "inbox", "move", ring="off", number=number) == 400
    assert flags.state("inbox").ring == "25%"


def test_the_rule_is_changed_by_its_form_and_taken_away_by_typing(operator: Client) -> None:
    given = {"fewest": "30", "lowest": "95", "drop": "3", "hours": "12", "off": "1"}
    assert change(operator, "inbox", "rule", **given) == 302
    rule = flags.state("inbox").rule
    assert rule is not None
    assert (rule.fewest, rule.lowest, rule.drop, rule.hours, rule.off) == (30, 95, 3, 12, True)
    assert rule.kinds == ("backup", "inbox")
    assert change(operator, "inbox", "rule", **{**given, "fewest": "many"}) == 400
    assert change(operator, "inbox", "no rule") == 400
    assert change(operator, "inbox", "no rule", typed="inbox") == 302
    assert flags.state("inbox").rule is None


def test_that_a_flag_went_back_is_told_until_it_was_seen(operator: Client) -> None:
    changing.know()
    move("tidying", "25%")
    runs(30, flags=",tidying,", state=State.FAILED)
    runs(90, flags=",")
    assert staged.watch()
    assert "Flags (1)" in operator.get("/").content.decode()
    listed = operator.get("/operator/flags/").content.decode()
    assert "tidying went back to off by itself" in listed
    assert "backup ended well in 0.0 % of 30 runs, with the others 100 % of 90." in listed
    assert "the watch over flags</b> set it back from 25% to off" in page(operator, "tidying")
    assert change(operator, "tidying", "seen") == 302
    assert "went back to off by itself" not in operator.get("/operator/flags/").content.decode()


def test_a_flag_that_is_not_there_and_a_change_that_is_none(operator: Client) -> None:
    assert operator.get("/operator/flags/nothing/").status_code == 404
    assert change(operator, "inbox", "nothing") == 400


def test_members_are_told_that_there_is_nothing(keeper: Client) -> None:
    for address in ("/operator/flags/", "/operator/flags/inbox/"):
        assert keeper.get(address).status_code == 404
    assert change(keeper, "cloud-writes", "kill", typed="cloud-writes", why="why") == 404
    assert not flags.state("cloud-writes").killed


# ---------------------------------------------------------------- on a laptop


def test_labs_turn_on_and_off_what_is_at_ones_own_risk(keeper: Client) -> None:
    assert 'href="/labs/"' in keeper.get("/").content.decode()
    assert "tidying" in keeper.get("/labs/").content.decode()
    keeper.post("/labs/", {"flag": "tidying", "on": "0"})
    assert flags.state("tidying").ring == "off"
    keeper.post("/labs/", {"flag": "tidying", "on": "1"})
    assert flags.state("tidying").ring == "100%"
    assert keeper.post("/labs/", {"flag": "cloud-writes", "on": "0"}).status_code == 404
    assert keeper.post("/labs/", {"flag": "inbox", "on": "0"}).status_code == 404
    assert flags.state("inbox").ring == "100%"


def test_a_server_has_no_labs(keeper: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flags, "is_staged", lambda: True)
    flags.REMEMBERED.forget()
    assert keeper.get("/labs/").status_code == 404
    assert 'href="/labs/"' not in keeper.get("/").content.decode()
    flags.REMEMBERED.forget()


def test_pages_offer_only_what_is_open_to_the_person(keeper: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from chatkeep.connections.models import Connection
    from chatkeep.jobs.models import Schedule

    keeper.get("/")
    Connection.objects.create(name="stick", provider="folder", location={"path": "/nowhere"}, archive=OWN)
    assert "Readable copies" in keeper.get("/backups/stick/schedule").content.decode()
    changing.move("readable-copies", "off", by="olga", note=audit.note)
    assert "Readable copies" not in keeper.get("/backups/stick/schedule").content.decode()
    Schedule.objects.filter(kind="publish").update(on=True)
    assert "Readable copies" in keeper.get("/backups/stick/schedule").content.decode()
