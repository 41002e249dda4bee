"""What a person reads on a terminal."""

from __future__ import annotations

import json
import re
import socket
import threading
from pathlib import Path

import pytest
from django.db import connection as database
from tests import exports
from tests.cli.conftest import Command

from chatkeep.cli.output import one_line, printable, size
from chatkeep.cli.progress import text
from chatkeep.connections import opening
from chatkeep.jobs import lease, queue
from chatkeep.jobs.models import State
from chatkeep.operations import Step


def test_importing_reads_like_a_receipt(chatkeep: Command, export: Path) -> None:
    ended = chatkeep("import", export)
    assert ended.out == (
        f"{export} (chatgpt)\n"
        "  2 conversations added, 0 updated, 0 unchanged\n"
        "  5 messages in the export, all accounted for\n"
        "  1 attachment kept\n"
        "Undo with: chatkeep undo 1\n"
    )
    assert ended.err == ""


def test_a_picture_is_refused_with_what_was_expected(chatkeep: Command, tmp_path: Path) -> None:
    picture = tmp_path / "holiday.jpg"
    picture.write_bytes(b"\xff\xd8\xff\xe0" + b"\0" * 500)
    ended = chatkeep("import", picture)
    first, second = ended.err.splitlines()
    assert first == "holiday.jpg is not a chat export that Chatkeep knows: it is a JPEG picture."
    assert second.startswith("Chatkeep reads: ")


def test_a_list_is_a_table(filled: Command) -> None:
    ended = filled("list")
    head, boats, cake = ended.out.splitlines()
    assert re.split(r"  +", head) == ["ID", "Last", "Platform", "Messages", "Title"]
    assert re.fullmatch(r"[0-9a-f]{8}  2024-03-09 \d\d:\d\d  chatgpt   3         Boats", boats)
    assert cake.endswith("A birthday cake")
    assert ended.err == "2 conversations\n"


def test_a_chat_whose_time_only_its_messages_tell_has_it_in_the_list(chatkeep: Command, tmp_path: Path) -> None:
    said = {"messageId": "m", "isCreatedByUser": True, "text": "hi", "createdAt": "2024-05-29T00:33:03.661Z"}
    chat = {"conversationId": "c", "title": "Story", "recursive": False, "messages": [said]}
    (tmp_path / "story.json").write_text(json.dumps(chat))
    chatkeep("import", tmp_path / "story.json")
    assert re.search(r"  2024-05-2[89] \d\d:\d\d  librechat ", chatkeep("list").out)
    [listed] = json.loads(chatkeep("list", "--json").out)
    assert (listed["updated_at"], listed["last_at"]) == ("", "2024-05-29T00:33:03.661")


def test_an_id_that_is_not_there_says_where_ids_are(filled: Command) -> None:
    ended = filled("show", "zz")
    assert ended.err == (
        "There is no conversation zz in the archive.\nLists show the ids; their first 4 signs or more are enough.\n"
    )


def test_a_list_of_nothing_says_how_to_start(chatkeep: Command) -> None:
    assert chatkeep("list").out == "No conversations yet. Start with: chatkeep import PATH\n"
    assert chatkeep("list", "--platform", "whatsapp").out == "No conversations.\n"


def test_a_search_shows_where_and_what(filled: Command) -> None:
    where, what = filled("search", "forty").out.splitlines()
    assert re.fullmatch(r"[0-9a-f]{8}  2023-11-14 \d\d:\d\d  chatgpt  A birthday cake", where)
    assert what.strip().endswith("Forty minutes.")


def test_a_conversation_is_shown_as_text(filled: Command) -> None:
    id = filled("list", "--json").json[1]["id"]
    shown = filled("show", id[:8]).out
    assert "A birthday cake" in shown
    assert shown.index("How long does the cake bake?") < shown.index("Forty minutes.")


def test_connecting_shows_the_recovery_key_once(filled: Command, place: Path, tmp_path: Path) -> None:
    ended = filled("connect", "folder", place, "--kit", tmp_path / "kit.txt")
    (key,) = re.findall(r"(?:[A-Z]{5}-){7}[A-Z]{5}", ended.out)
    kit = tmp_path / "kit.txt"
    assert key in kit.read_text()
    assert kit.stat().st_mode & 0o777 == 0o600
    assert "nobody can open the vault, including us" in ended.out
    for command in ("connections", "keys", "status", "backup"):
        assert key not in filled(command).out


def test_a_kit_is_never_written_over_a_file(filled: Command, place: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    ended = filled("connect", "folder", place, "--kit", tmp_path / "thesis.txt")
    assert ended.code == 2
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    assert not place.exists()


def test_status_answers_in_one_sentence(chatkeep: Command, export: Path, place: Path) -> None:
    def answer() -> str:
        return chatkeep("status").out.splitlines()[0]

    assert answer().startswith("There are no chats yet.")
    chatkeep("import", export)
    assert answer().startswith("No: your chats are on this machine only.")
    chatkeep("connect", "folder", place)
    assert answer().startswith("Not yet:")
    chatkeep("backup")
    assert answer() == "Yes: everything on this machine is also in a vault."
    chatkeep("trash", chatkeep("list", "--json").json[0]["id"])
    assert answer().startswith("Almost:")
    place.rename(place.with_name("unplugged"))
    chatkeep("backup")
    assert answer() == "Not all: the last backup or check did not go well."


def test_a_command_waits_for_another_run_and_says_for_whom(backed_up: Command) -> None:
    job = queue.enqueue("check", opening.connection().subject, by="the web page")
    token = lease.take(job)

    def ends() -> None:
        lease.end(job.pk, token, State.DONE, line="Done.")
        database.close()

    timer = threading.Timer(0.5, ends)
    timer.start()
    ended = backed_up("backup")
    timer.join()
    assert ended.code == 0
    assert re.fullmatch(r"Waiting: Check by the web page since \d\d:\d\d\.\n", ended.err)
    found = queue.find(job.pk + 1)
    assert (found.kind, found.state) == ("backup", State.DONE)
    assert found.by.startswith("the command line")


def test_a_restore_ends_in_counts_and_says_how_to_undo_it(backed_up: Command) -> None:
    backed_up("undo", "--yes")
    dry = backed_up("restore", "--dry-run").out
    assert "2 conversations would change, of 2 expected" in dry
    assert dry.endswith("Nothing was changed.\n")
    assert "No conversations yet" in backed_up("list").out
    done = backed_up("restore").out
    assert "2 conversations restored of 2 expected" in done
    receipt = re.search(r"Undo with: chatkeep undo (\d+)", done)
    assert receipt
    assert backed_up("undo", receipt[1], "--yes").out.startswith("Undone: restore of snapshot")


def test_a_mistyped_command_is_recognised(chatkeep: Command) -> None:
    assert "Did you mean 'list'?" in chatkeep("lsit").err


def test_chat_text_cannot_steer_the_terminal(chatkeep: Command, tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[31mred\u202e\x9b2J\rover"
    talk = exports.conversation(exports.CAKE, f"Title {evil}", [f"Text {evil}\nnext line", "Fine."])
    chatkeep("import", exports.export(tmp_path / "export.zip", [talk]))
    id = chatkeep("list", "--json").json[0]["id"]
    for arguments in (["list"], ["search", "next"], ["search", "title"], ["show", id], ["trash", id]):
        out = chatkeep(*arguments).out
        assert "red" in out or "next" in out, arguments
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", out), arguments
    assert "\\x1b]0;owned" in chatkeep("list", "--trashed").out


def test_what_steers_is_shown_and_what_is_text_stays() -> None:
    assert printable("a\x1b[2Jb\tc\nd") == "a\\x1b[2Jb\tc\nd"
    assert printable("שלום 日本 👩‍🚀 e\u0301") == "שלום 日本 👩‍🚀 e\u0301"
    assert printable("half \ud83d") == "half ?"
    assert one_line("a\n b\r\nc", 4) == "a b…"


@pytest.mark.parametrize(("number", "words"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (240_000_000, "240 MB")])
def test_sizes_are_for_people(number: int, words: str) -> None:
    assert size(number) == words


def test_progress_says_how_far_and_how_long() -> None:
    step = Step("Reading", 250_000_000, 1_000_000_000, "bytes", "1,204 conversations")
    assert text(step, 10) == "Reading  25 %  250 MB of 1.0 GB  1,204 conversations  30 s left"
    assert text(Step("Verifying"), 10) == "Verifying"
    assert text(Step("Sending", 3, 4, "conversations"), 1) == "Sending  75 %  3 of 4 conversations"


def test_a_link_to_an_app_that_does_not_run_says_so(chatkeep: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert chatkeep("link", "--port", port).err == ""
    told = chatkeep("link", "--port", port)
    assert f":{port}/" in told.out
    assert f"chatkeep serve --port {port}" in told.err
