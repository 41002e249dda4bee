"""Feedback on pages: what is prepared is nobody's words, what is sent is what was left, and it is theirs alone."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.mail import EmailMessage
from django.test import Client
from tests.feedback.pictures_for_tests import SECRET, png

from chatkeep.connections.installation import OWN
from chatkeep.connections.models import Connection
from chatkeep.feedback.models import Report
from chatkeep.jobs import queue
from chatkeep.jobs.models import Job, State
from chatkeep.people import audit, belonging
from chatkeep.people.models import Role, User

CANARIES = (
    "Canary-in-the-title",
    "canary said something in a chat",
    "canary@example.org",
    "/home/canary/Exports",
    "ck_canary0123456789abcdef",
    "canarytoken",
)


def prepared(keeper: Client, page: str) -> str:
    """The lines that the form shows, as the browser would send them."""
    found = keeper.get(f"/feedback/?page={page}", headers={"user-agent": "Mozilla/5.0 Firefox/140.0"})
    text = re.search(r'<textarea id="feedback-data"[^>]*>(.*?)</textarea>', found.content.decode(), re.S)
    assert text
    return unescape(text[1])


def send(keeper: Client, **given: Any) -> Any:
    return keeper.post("/feedback/", {"text": "It stops.", "severity": "small", "data": ""} | given)


@pytest.fixture
def operator(keeper: Client) -> Client:
    """The keeper's browser, of somebody who runs a server."""
    User.objects.update(role=Role.OPERATOR)
    return keeper


def test_every_page_has_the_way_to_tell_at_its_end(keeper: Client) -> None:
    for address, name in (("/", "home"), ("/chats/", "chats"), ("/backups/", "backups"), ("/activity/", "runs")):
        page = keeper.get(address).content.decode()
        assert f'href="/feedback/?page={name}" data-feedback' in page
    assert "data-feedback" in keeper.get("/nowhere").content.decode()


def test_the_lines_say_what_the_program_knows_of_itself(keeper: Client) -> None:
    keeper.get("/")
    Job.objects.create(kind="backup", subject="connection:a", archive=OWN, state=State.FAILED, code="QuotaFull")
    lines = prepared(keeper, "backups").splitlines()
    number = Job.objects.get().pk
    assert lines[1:3] == ["page: backups", "browser: Firefox"]
    assert lines[3] == "flags: inbox, readable-copies, tidying"
    assert lines[4:] == ["errors: QuotaFull", f"job: {number}, backup, failed, QuotaFull"]


@pytest.mark.parametrize("canary", CANARIES)
def test_nothing_that_anybody_wrote_is_prepared(keeper: Client, canary: str) -> None:
    """Planted wherever people's words are kept near jobs, connections, people and addresses."""
    keeper.get("/")
    User.objects.update(name=canary, email=canary)
    Connection.objects.create(name=canary, provider="folder", location={"path": canary}, account=canary, trouble=canary)
    job = queue.enqueue("backup", "connection:a", {"connection": canary, "paths": [canary]}, by=canary)
    words = {"what": canary, "hint": canary, "log": canary, "report": {"problems": [{"where": canary, "what": canary}]}}
    Job.objects.filter(pk=job.pk).update(state=State.FAILED, code="Unavailable", progress={"note": canary}, **words)
    for page in ("home", "run", canary):
        text = prepared(keeper, page)
        assert canary.lower() not in text.lower()
        assert "job: " in text
    assert canary in keeper.get(f"/activity/{job.pk}/").content.decode()  # it was really there to be taken


def test_addresses_with_ids_are_not_told_only_names_of_pages(keeper: Client) -> None:
    assert "page:" not in prepared(keeper, "/chats/5e0f8c1e-7a54-4f7e-9a55-6e1d7c1b2a3d/")
    assert "page:" not in prepared(keeper, "notapage")
    assert "page: chat\n" in prepared(keeper, "chat")


def test_exactly_what_was_left_is_kept(keeper: Client) -> None:
    where = send(keeper, text="No copy came.", data="release: 0.1.0\nmy own words", contact="room 4").headers[
        "Location"
    ]
    report = Report.objects.get()
    assert where == f"/feedback/{report.pk}/"
    assert (report.text, report.data, report.contact, report.page) == (
        "No copy came.",
        "release: 0.1.0\nmy own words",
        "room 4",
        "",
    )
    page = keeper.get(where).content.decode()
    assert "kept on this machine" in page
    assert report.reference in keeper.get("/feedback/mine/").content.decode()
    saved = keeper.get(f"{where}file")
    assert saved.headers["Content-Disposition"].startswith("attachment")
    assert "No copy came." in saved.content.decode()
    keeper.post(f"{where}withdraw")
    assert not Report.objects.exists()


def test_what_was_told_is_shown_as_text(keeper: Client) -> None:
    where = send(keeper, text="<script>alert(1)</script>").headers["Location"]
    assert b"<script>alert" not in keeper.get(where).content


def test_a_screenshot_is_only_the_one_that_was_chosen_and_of_three_kinds(keeper: Client) -> None:
    send(keeper)
    assert bytes(Report.objects.get().picture) == b""
    send(keeper, picture=SimpleUploadedFile("shot.txt", png()))
    assert Report.objects.exclude(picture_kind="").get().picture_kind == "image/png"
    answer = send(keeper, picture=SimpleUploadedFile("shot.png", b"<svg/>", content_type="image/png"))
    assert (answer.status_code, Report.objects.count()) == (400, 2)
    assert "PNG, JPEG and WebP can." in answer.content.decode()


def test_the_reports_of_somebody_else_are_not_there(keeper: Client, operator: Client) -> None:
    send(keeper)
    Report.objects.update(who="user:" + "0" * 32)
    pk = Report.objects.get().pk
    for address in (f"/feedback/{pk}/", f"/feedback/{pk}/file"):
        assert keeper.get(address).status_code == 404
    assert keeper.post(f"/feedback/{pk}/withdraw").status_code == 404
    assert str(pk) not in keeper.get("/feedback/mine/").content.decode()
    assert Report.objects.exists()


def test_a_stranger_tells_and_reads_nothing(stranger: Client) -> None:
    assert stranger.get("/feedback/").status_code == 302
    assert send(stranger).status_code == 401
    assert stranger.get("/operator/feedback/").status_code == 302


# ---------------------------------------------------------------- for those who run a server


def test_the_operator_reads_sorts_and_answers_and_the_person_sees_it(keeper: Client, operator: Client) -> None:
    job = Job.objects.create(kind="backup", subject="connection:a", archive=OWN, state=State.FAILED, code="QuotaFull")
    Job.objects.filter(pk=job.pk).update(
        arguments='{"connection": "Canary"}', what="Canary", log="Canary", flags=",inbox,"
    )
    data = f"release: 0.1.0\nflags: inbox, nonsense\ncohorts: team\njob: {job.pk}, backup, failed, QuotaFull"
    send(keeper, severity="lost", data=data, picture=SimpleUploadedFile("shot.png", png()))
    pk = Report.objects.get().pk
    assert "(1)" in operator.get("/").content.decode()
    listed = operator.get("/operator/feedback/").content.decode()
    assert "Something of mine is lost" in listed
    page = operator.get(f"/operator/feedback/{pk}/").content.decode()
    assert 'href="/operator/flags/inbox/"' in page
    assert "/operator/flags/nonsense/" not in page
    assert f"Job {job.pk}" in page
    assert "QuotaFull" in page
    assert "Canary" not in page
    operator.post(f"/operator/feedback/{pk}/change", {"do": "change", "state": "doing", "labels": "sync, test"})
    operator.post(f"/operator/feedback/{pk}/change", {"do": "answer", "answer": "Found it. <b>Thanks.</b>"})
    mine = keeper.get(f"/feedback/{pk}/").content.decode()
    assert "Found it. &lt;b&gt;Thanks.&lt;/b&gt;" in mine
    assert "Being worked on" in mine
    assert [line.what for line in audit.lines(about=f"report:{pk.hex}")] == ["report.answered", "report.changed"]


def test_the_person_is_told_by_mail_that_there_is_an_answer_and_not_what_it_says(
    keeper: Client, operator: Client, settings: Any, mailoutbox: list[EmailMessage]
) -> None:
    send(keeper)
    pk = Report.objects.get().pk
    answered = {"do": "answer", "answer": "Canary said so."}
    operator.post(f"/operator/feedback/{pk}/change", answered)
    assert mailoutbox == []  # without a mail server
    settings.CHATKEEP = msgspec.structs.replace(settings.CHATKEEP, smtp_url="smtp://mail.example")
    operator.post(f"/operator/feedback/{pk}/change", answered)
    [mail] = mailoutbox
    assert mail.to == [User.objects.get().email]
    assert "Canary" not in f"{mail.subject} {mail.body}"
    link = str(mail.body).split()[-1].removeprefix(settings.CHATKEEP.public_url)
    assert keeper.get(link).status_code == 200
    with patch("django.core.mail.backends.locmem.EmailBackend.send_messages", side_effect=ConnectionRefusedError):
        assert operator.post(f"/operator/feedback/{pk}/change", answered).status_code == 302  # the answer is there


def test_a_screenshot_comes_as_a_file_and_never_as_a_page(keeper: Client, operator: Client) -> None:
    send(keeper, picture=SimpleUploadedFile("<b>.html", png(), content_type="text/html"))
    send(keeper)
    pk = Report.objects.exclude(picture_kind="").get().pk
    answer = operator.get(f"/operator/feedback/{pk}/picture")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="F-')
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert SECRET not in answer.content
    other = Report.objects.get(picture_kind="").pk
    assert operator.get(f"/operator/feedback/{other}/picture").status_code == 404


def test_a_job_of_somebody_else_is_not_linked_whatever_number_a_report_has(keeper: Client, operator: Client) -> None:
    theirs = Job.objects.create(kind="drill", subject="connection:x", archive="f" * 32, state=State.FAILED)
    send(keeper, data=f"job: {theirs.pk}, drill, failed")
    page = operator.get(f"/operator/feedback/{Report.objects.get().pk}/").content.decode()
    assert f"Job {theirs.pk}" not in page


def test_reports_are_taken_along_as_filtered(keeper: Client, operator: Client) -> None:
    send(keeper, text="=1+1", data="release: 0.1.0")
    send(keeper, severity="idea")
    table = operator.get("/operator/feedback/export?severity=small")
    assert table.headers["Content-Disposition"].startswith("attachment")
    assert "'=1+1" in table.content.decode()
    assert table.content.decode().count("F-") == 1
    found = operator.get("/operator/feedback/export?as=json").json()
    assert {one["severity"] for one in found} == {"small", "idea"}


def test_members_see_no_triage_and_auditors_change_nothing(keeper: Client) -> None:
    send(keeper)
    pk = Report.objects.get().pk
    pages = ("/operator/feedback/", f"/operator/feedback/{pk}/", "/operator/feedback/export", "/operator/flags/")
    assert [keeper.get(page).status_code for page in pages] == [404] * 4
    User.objects.update(role=Role.AUDITOR)
    assert [keeper.get(page).status_code for page in pages] == [200] * 4
    for address in (f"/operator/feedback/{pk}/change", "/operator/flags/inbox/change"):
        assert keeper.post(address, {"do": "answer", "answer": "x"}).status_code == 404
    assert (
        "<button" not in keeper.get(f"/operator/feedback/{pk}/").content.decode().split("<h1>")[1].split("<footer")[0]
    )


def test_the_person_stays_who_they_are(keeper: Client) -> None:
    send(keeper)
    assert Report.objects.get().who == belonging.keeper().mark
