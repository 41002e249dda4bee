"""The pages do what they say: what is shown, what is changed, and what people wrote stays text."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from chatkeep import example
from chatkeep.archive import Archive
from chatkeep.model import Conversation, Message, Part, Participant, identify
from chatkeep.selection import Selection

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)><b hx-get=/x hx-trigger=load>"


def _find(archive: Archive, title: str) -> str:
    return next(one.id for one in archive.listing(Selection()) if one.title.startswith(title))


def _text(client: Client, address: str) -> str:
    answer = client.get(address, follow=True)
    assert answer.status_code == 200, address
    return answer.content.decode()


def test_an_empty_archive_says_what_to_do(keeper: Client, archive: Archive) -> None:
    page = _text(keeper, "/")
    assert "Import an export" in page
    assert "See an example" in page
    assert "No conversations yet" in _text(keeper, "/chats/")


def test_the_example_is_one_click_away_and_goes_with_another(
    keeper: Client, archive: Archive, work: Callable[[], None]
) -> None:
    run = keeper.post("/import/example")
    work()
    page = _text(keeper, run.headers["Location"])
    assert "Done" in page
    assert len(archive.listing(Selection())) == 4
    undo = re.search(r'href="(/import/\d+/)"', page)
    assert undo is not None
    assert "The import was undone" in keeper.post(undo[1] + "undo").content.decode()
    assert archive.listing(Selection()) == []


def test_a_dropped_export_is_imported_and_has_a_receipt(
    keeper: Client, archive: Archive, work: Callable[[], None]
) -> None:
    text = (example.paths()[1] / "WhatsApp Chat with Mum.txt").read_bytes()
    file = SimpleUploadedFile("WhatsApp Chat with Mum.txt", text)
    run = keeper.post("/import/", {"files": [file]})
    work()
    assert "From" in _text(keeper, run.headers["Location"])
    (one,) = archive.listing(Selection())
    assert (one.title, one.messages) == ("Mum", 15)
    receipt = _text(keeper, f"/import/{archive.receipts()[0].id}/")
    assert "15" in receipt
    assert "written by people" in receipt


@pytest.mark.parametrize("name", ["../../evil.txt", "..\\evil.txt", "/etc/evil.txt", "....//evil.txt", ".hidden"])
def test_the_name_of_an_upload_never_leads_out_of_its_folder(
    keeper: Client, archive: Archive, name: str, work: Callable[[], None]
) -> None:
    from chatkeep.web.configuration import CHATKEEP

    before = set(CHATKEEP.home.rglob("*"))
    keeper.post("/import/", {"files": [SimpleUploadedFile(name, b"x")]})
    new = set(CHATKEEP.home.rglob("*")) - before
    assert all(
        CHATKEEP.home / "cache" / "uploads" in path.parents or path.name.startswith("app.sqlite3") for path in new
    )
    work()


def test_a_file_that_is_no_export_is_explained(keeper: Client, archive: Archive, work: Callable[[], None]) -> None:
    run = keeper.post("/import/", {"files": [SimpleUploadedFile("holiday.jpg", b"\xff\xd8\xff\xe0 picture")]})
    work()
    page = _text(keeper, run.headers["Location"])
    assert "Failed" in page
    assert "holiday.jpg" in page


def test_the_list_can_be_narrowed_and_paged(keeper: Client, example_archive: Archive) -> None:
    page = _text(keeper, "/chats/")
    assert "A week in Lisbon" in page
    assert "4 conversations" in page
    narrowed = _text(keeper, "/chats/?platform=whatsapp")
    assert "Mum" in narrowed
    assert "Lisbon" not in narrowed
    assert "Lisbon" in _text(keeper, "/chats/?q=tram")
    assert "No conversation fits" in _text(keeper, "/chats/?q=zeppelin")


def test_a_conversation_is_read_with_its_branches(keeper: Client, example_archive: Archive) -> None:
    address = f"/chats/{_find(example_archive, 'A week')}/"
    page = _text(keeper, address)
    assert "<table>" in page
    assert "<math" in page
    assert "Costa da Caparica" not in page
    other = re.search(r'href="(\?to=[^"#]+)[^"]*" aria-label="The next version"', page)
    assert other is not None
    branch = _text(keeper, address + other[1])
    assert "Costa da Caparica" in branch
    assert "2 of 2" in branch


def test_tools_and_hidden_messages_are_shown_on_request(keeper: Client, example_archive: Archive) -> None:
    address = f"/chats/{_find(example_archive, 'A week')}/"
    assert "mornings = 4" not in re.sub("<[^>]+>", "", _text(keeper, address))
    assert "mornings = 4" in re.sub("<[^>]+>", "", _text(keeper, address + "?all=1"))


def test_a_long_conversation_comes_in_windows(keeper: Client, archive: Archive) -> None:
    name = _long(archive, 1000)
    first = _text(keeper, f"/chats/{name}/")
    assert first.count('class="turn ') == 100
    assert "number 0." in first
    middle = _text(keeper, f"/chats/{name}/?to={identify('m', '500')}")
    assert "number 500." in middle
    assert middle.count('class="turn ') == 100
    last = _text(keeper, f"/chats/{name}/?start=900")
    assert "number 999." in last
    assert 'rel="next"' not in last


def test_a_chat_whose_time_only_its_messages_tell_has_it_everywhere(keeper: Client, archive: Archive) -> None:
    message = Message(id=identify("m"), parts=(Part(type="text", text="hi"),), sent_at="2024-05-29T23:33:03Z")
    archive.apply([Conversation(format=1, id=identify("c"), platform="librechat", messages=(message,))])
    for address in ("/", "/chats/"):
        assert "<br>29 May 2024" in _text(keeper, address)
    assert "· 29 May 2024</p>" in _text(keeper, f"/chats/{identify('c')}/")


def test_an_emptied_conversation_says_so_until_its_text_comes(keeper: Client, archive: Archive) -> None:
    def kept(*parts: Part, name: str = "c") -> Conversation:
        message = Message(id=identify("m"), parts=parts, sent_at="2024-05-29T23:33:03Z")
        return Conversation(format=1, id=identify(name), source_id=name, platform="claude", messages=(message,))

    address = f"/chats/{identify('c')}/"
    archive.apply([kept()])
    assert "No text in it" in _text(keeper, "/chats/")
    assert "the platform has emptied the conversation" in _text(keeper, address)
    assert "has emptied" not in _text(keeper, address + "?all=1")
    archive.apply([kept(Part(type="text", text="hi"))])
    assert "No text in it" not in _text(keeper, "/chats/")
    assert not re.search("has emptied|Nothing of this", _text(keeper, address))
    archive.apply([kept(Part(type="tool_call", name="look", input={}), name="tools")])
    assert "Nothing of this was said by people" in _text(keeper, f"/chats/{identify('tools')}/")


def test_an_error_ends_before_its_hint_begins(keeper: Client, archive: Archive) -> None:
    assert "</b> Write dates like" in (page := _text(keeper, "/search/?q=before:foo"))
    assert "is not a date.</b>" in page


def _long(archive: Archive, count: int) -> str:
    messages = tuple(
        Message(id=identify("m", str(n)), author="a", order=n, parts=(Part(type="text", text=f"number {n}."),))
        for n in range(count)
    )
    name = identify("long")
    people = (Participant(id="a", name="Alice", role="person"),)
    archive.apply([Conversation(format=1, id=name, platform="x", messages=messages, participants=people)])
    return name


def test_what_people_wrote_stays_text_on_every_page(keeper: Client, archive: Archive) -> None:
    name = identify("hostile")
    people = (Participant(id="a", name=HOSTILE, role="person"),)
    part = Part(type="text", text=HOSTILE, markup="markdown")
    message = Message(id=identify("h"), author="a", parts=(part,), model=HOSTILE, sent_at="2024-01-01T00:00:00Z")
    archive.apply(
        [
            Conversation(
                format=1,
                id=name,
                platform="x",
                title=HOSTILE,
                project=HOSTILE,
                messages=(message,),
                participants=people,
            )
        ]
    )
    archive.edit(name, "labels", [HOSTILE])
    for address in ("/", "/chats/", f"/chats/{name}/", "/search/?q=alert", f"/export/?id={name}"):
        page = _text(keeper, address)
        assert "alert(1)" in page or address in ("/export/",), address
        assert _live(page) == [], address
    assert len(_live(f"<p>{HOSTILE}</p>")) == 4  # the control: unescaped, the same text is live


class _Live(HTMLParser):
    """Collects what of a page would act: scripts of no file of ours, handlers, htmx outside our components."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "script" and not (values.get("src") or "").startswith("/static/"):
            self.found.append(tag)
        ours = (values.get("hx-get") or "").startswith("/activity/")
        self.found += [name for name in values if name.startswith("on") or (name.startswith("hx-") and not ours)]


def _live(page: str) -> list[str]:
    parser = _Live()
    parser.feed(page)
    return parser.found


def test_search_marks_what_it_found_and_leads_to_the_message(keeper: Client, example_archive: Archive) -> None:
    page = _text(keeper, "/search/?q=soup")
    assert "<mark>soup</mark>" in page
    target = re.search(r'href="(/chats/[^"#]+\?to=[^"#]+)#m-', page)
    assert target is not None
    assert "tomato soup" in _text(keeper, target[1])


def test_a_query_that_means_nothing_is_answered_in_words(keeper: Client, example_archive: Archive) -> None:
    for query in ('"', "after:yesterday-ish", "has:nothing", "(((", "*", "-", "from:"):
        assert keeper.get("/search/", {"q": query}).status_code == 200, query


def test_title_labels_star_and_trash(keeper: Client, example_archive: Archive) -> None:
    name = _find(example_archive, "Mum")
    change = f"/chats/{name}/change"
    keeper.post(change, {"do": "title", "title": "Mum ♥"})
    keeper.post(change, {"do": "labels", "labels": "family, #kitchen"})
    keeper.post(change, {"do": "star"})
    page = _text(keeper, "/chats/")
    assert "Mum ♥" in page
    assert "#family" in page
    assert "#kitchen" in page
    assert "★" in page
    keeper.post("/chats/together", {"do": "trash", "id": [name]})
    assert "Mum ♥" not in _text(keeper, "/chats/")
    assert "Mum ♥" in _text(keeper, "/chats/?trashed=1")
    keeper.post(change, {"do": "back"})
    assert "Mum ♥" in _text(keeper, "/chats/")


def test_the_document_comes_as_it_is_kept(keeper: Client, example_archive: Archive) -> None:
    name = _find(example_archive, "Mum")
    answer = keeper.get(f"/chats/{name}/document")
    assert answer.content == example_archive.document(name)
    assert "attachment" in answer.headers["Content-Disposition"]


def test_an_attachment_is_never_live_content(keeper: Client, archive: Archive) -> None:
    import io

    for kind, shown in (
        ("text/html", False),
        ("image/svg+xml", False),
        ("application/pdf", False),
        ("image/png", True),
    ):
        kept = archive.keep(io.BytesIO(b"<html><script>alert(1)</script>" + kind.encode()))
        part = Part(type="attachment", sha256=kept.sha256, media_type=kind, name="a.html", source_id=kind)
        message = Message(id=identify(kind), parts=(part,))
        archive.apply([Conversation(format=1, id=identify("c", kind), platform="x", messages=(message,))])
        answer = keeper.get(f"/attachments/{kept.sha256}")
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Disposition"].startswith("inline" if shown else "attachment"), kind
        assert answer.headers["Content-Type"] == (kind if shown else "application/octet-stream")
        answer.close()


def test_backing_up_wiping_and_restoring_through_the_pages(
    keeper: Client, example_archive: Archive, work: Callable[[], None], tmp_path: Path
) -> None:
    made = keeper.post("/backups/connect", {"path": str(tmp_path / "stick"), "name": "stick"})
    key = re.search(r'class="key" translate="no">([A-Z0-9-]+)<', made.content.decode())
    assert key is not None
    assert key[1] not in _text(keeper, "/backups/")
    keeper.post("/backups/stick/do", {"do": "backup"})
    work()
    assert "read back and compared" in _text(keeper, "/backups/")
    assert "Your chats are backed up" in _text(keeper, "/")
    before = {one.id: one.revision for one in example_archive.listing(Selection())}
    example_archive.undo(example_archive.receipts()[0].id)
    assert example_archive.listing(Selection()) == []
    snapshot = re.search(r'name="snapshot" value="([0-9a-f]+)"', _text(keeper, "/backups/stick/snapshots"))
    assert snapshot is not None
    look = keeper.post("/backups/stick/restore", {"snapshot": snapshot[1], "do": "look"})
    work()
    said = _text(keeper, look.headers["Location"])
    assert "a look before" in said
    assert re.search(r"A week in Lisbon.*?comes back, with 8 messages", said, re.DOTALL)
    assert example_archive.listing(Selection()) == []
    asked = dict(re.findall(r'name="(snapshot|how|do)" value="(\w+)"', said.partition("Restore it now")[0]))
    assert asked == {"snapshot": snapshot[1], "how": "merge", "do": "restore"}
    run = keeper.post("/backups/stick/restore", asked)
    work()
    said = _text(keeper, run.headers["Location"])
    assert "Done" in said
    assert "What changed" in said
    assert {one.id: one.revision for one in example_archive.listing(Selection())} == before
    again = keeper.post("/backups/stick/restore", {"snapshot": snapshot[1], "do": "look"})
    work()
    assert "Nothing would change." in _text(keeper, again.headers["Location"])
    receipt = re.search(r'href="(/import/\d+/)">Receipt and undo<', said)
    assert receipt is not None
    assert "Undo this restore" in _text(keeper, receipt[1])
    assert "The restore was undone" in keeper.post(receipt[1] + "undo").content.decode()
    assert example_archive.listing(Selection()) == []


def test_a_run_that_failed_says_what_to_do(
    keeper: Client, example_archive: Archive, work: Callable[[], None], tmp_path: Path
) -> None:
    import shutil

    keeper.post("/backups/connect", {"path": str(tmp_path / "stick"), "name": "stick"})
    shutil.rmtree(tmp_path / "stick")
    run = keeper.post("/backups/stick/do", {"do": "backup"})
    work()
    page = _text(keeper, run.headers["Location"])
    assert "notice" in page
    assert "Traceback" not in page


def test_pages_work_without_scripts(keeper: Client, example_archive: Archive) -> None:
    """Every form has an address and a button of its own; nothing needs htmx to be reached."""
    for address in ("/", "/chats/", "/import/", "/backups/", "/search/", "/export/"):
        page = _text(keeper, address)
        for form in re.findall(r"<form.*?</form>", page, re.DOTALL):
            assert "<button" in form, address
        assert not re.search(r"<script(?![^>]*\ssrc=)", page), address
        assert "style=" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL), address
