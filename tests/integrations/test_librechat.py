"""The script for LibreChat: what is in its database reaches a Chatkeep that runs, once and completely."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from integrations.conftest import Running, load

START = datetime(2026, 1, 1, tzinfo=UTC)
ALICE, BOB = "665000000000000000000001", "665000000000000000000002"


class Cursor:
    """What a find gives: sorted, asked for in batches, gone through."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def sort(self, keys: list[tuple[str, int]]) -> Cursor:
        rows = self._rows
        for name, direction in reversed(keys):
            rows = sorted(rows, key=lambda row: row.get(name), reverse=direction < 0)
        return Cursor(rows)

    def batch_size(self, _size: int) -> Cursor:
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter([dict(row) for row in self._rows])


@dataclass
class Collection:
    """A collection of MongoDB as far as the script asks it: equal values, null or absent, and times from one on."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    away: bool = False

    def find(self, wanted: dict[str, Any]) -> Cursor:
        if self.away:
            raise ConnectionError("the database is away")
        return Cursor([row for row in self.rows if all(_holds(row.get(name), one) for name, one in wanted.items())])

    def find_one(self, wanted: dict[str, Any], _fields: Any = None) -> dict[str, Any] | None:
        return next(iter(self.find({name: _plain(one) for name, one in wanted.items()})), None)

    def distinct(self, name: str, wanted: dict[str, Any]) -> list[Any]:
        return sorted({row[name] for row in self.find(wanted)})


def _plain(value: Any) -> Any:
    return value if isinstance(value, dict) or value is None else str(value)


def _holds(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        [(sign, bound)] = wanted.items()
        assert sign == "$gte"
        return value is not None and value >= bound
    return value == wanted


class LibreChat:
    """The database of a LibreChat, and the people who write in it."""

    def __init__(self) -> None:
        users = [{"_id": ALICE, "email": "alice@example.org"}, {"_id": BOB, "email": "bob@example.org"}]
        self.collections = {"conversations": Collection(), "messages": Collection(), "users": Collection(users)}
        self.now = START

    def __getitem__(self, name: str) -> Collection:
        return self.collections[name]

    def say(self, conversation: str, text: str, *, user: str = ALICE, **more: Any) -> None:
        """A person writes something and gets an answer; LibreChat writes both and touches the conversation."""
        self.now += timedelta(seconds=5)
        messages, conversations = self["messages"].rows, self["conversations"].rows
        before = [one for one in messages if one["conversationId"] == conversation]
        above = before[-1]["messageId"] if before else "00000000-0000-0000-0000-000000000000"
        for by_user, said in ((True, text), (False, f"Answer to {text}")):
            own = f"{conversation}-{len(messages)}"
            messages.append(
                {
                    "_id": f"id-{len(messages)}",
                    "messageId": own,
                    "conversationId": conversation,
                    "user": user,
                    "parentMessageId": above,
                    "isCreatedByUser": by_user,
                    "sender": "User" if by_user else "Model",
                    "text": said,
                    "createdAt": self.now,
                    "updatedAt": self.now,
                }
            )
            above = own
        row = next((one for one in conversations if one["conversationId"] == conversation), None)
        if row is None:
            row = {
                "_id": f"c-{len(conversations)}",
                "conversationId": conversation,
                "user": user,
                "createdAt": self.now,
            }
            conversations.append(row)
        row |= {"title": f"About {conversation}", "endpoint": "openAI", "updatedAt": self.now, **more}


@pytest.fixture
def librechat() -> LibreChat:
    return LibreChat()


@pytest.fixture
def script() -> ModuleType:
    return load("chatkeep_librechat_under_test", "librechat/chatkeep_librechat.py")


def _keeping(script: ModuleType, librechat: LibreChat, chatkeep: Any, folder: Path, **more: Any) -> Any:
    """A script that was started anew, with what it has on disk."""
    state = script.State.read(folder / "state.json")
    return script.Keeping(librechat, chatkeep, state, now=lambda: librechat.now, **more)


class Taking:
    """A Chatkeep that notes what is pushed to it, and is away, or refuses, when it is told to."""

    def __init__(self, script: ModuleType) -> None:
        self._script = script
        self.kept: dict[str, int] = {}
        self.users: dict[str, str] = {}
        self.pushes = 0
        self.away_after = -1
        self.refuses = ""

    def push(self, natives: list[dict[str, Any]], *, user: str = "") -> list[str]:
        if self.pushes == self.away_after:
            raise self._script.Away("away", 1.0)
        self.pushes += 1
        told = []
        for native in natives:
            told.append("no" if native["conversationId"] == self.refuses else "")
            if not told[-1]:
                self.kept[native["conversationId"]] = len(native["messages"])
                self.users[native["conversationId"]] = user
        return told


@pytest.mark.slow
def test_conversations_reach_a_chatkeep_that_runs_and_grow_there(
    chatkeep: Running, librechat: LibreChat, script: ModuleType, tmp_path: Path
) -> None:
    chatkeep.start()
    client = script.Chatkeep(chatkeep.url, chatkeep.token("librechat", "write"))
    for number in range(3):
        librechat.say(f"chat-{number}", "Hello")
    librechat.say("of bob", "Secret", user=BOB)
    keeping = _keeping(script, librechat, client, tmp_path, only="alice@example.org")
    assert keeping.once() == 3
    assert chatkeep.titles() == ["About chat-0", "About chat-1", "About chat-2"]
    librechat.say("chat-1", "And more")
    assert keeping.once() == 1
    listed = {one["title"]: one for one in chatkeep.command("list")}
    assert (listed["About chat-1"]["messages"], listed["About chat-1"]["platform"]) == (4, "librechat")
    assert keeping.once() == 0
    chatkeep.stop()
    librechat.say("chat-2", "While nobody listens")
    with pytest.raises(script.Away):
        keeping.once()
    chatkeep.start()
    assert _keeping(script, librechat, client, tmp_path, only="alice@example.org").once() >= 1
    assert {one["title"]: one["messages"] for one in chatkeep.command("list")}["About chat-2"] == 4


@pytest.mark.slow
def test_a_token_that_is_not_taken_is_an_away(chatkeep: Running, script: ModuleType) -> None:
    chatkeep.start()
    with pytest.raises(script.Away, match="401"):
        script.Chatkeep(chatkeep.url, "ck_" + "x" * 43).push([{"conversationId": "c", "messages": []}])


@pytest.mark.slow
def test_what_is_no_conversation_is_refused_and_holds_up_no_other(
    chatkeep: Running, librechat: LibreChat, script: ModuleType, tmp_path: Path
) -> None:
    chatkeep.start()
    client = script.Chatkeep(chatkeep.url, chatkeep.token("librechat", "write"))
    librechat.say("good", "Hello")
    librechat["conversations"].rows[0]["conversationId"] = ["broken"]
    librechat.say("better", "Hello")
    assert _keeping(script, librechat, client, tmp_path, only="alice@example.org").once() == 1
    [line] = (tmp_path / "refused.jsonl").read_text().splitlines()
    assert json.loads(line)["conversationId"] == "['broken']"


def test_whoever_is_killed_at_any_push_loses_nothing(librechat: LibreChat, script: ModuleType, tmp_path: Path) -> None:
    script.MOST_AT_ONCE = 3
    for number in range(20):
        librechat.say(f"chat-{number:02}", "Hello")
        librechat.now += timedelta(minutes=1)
    for away_after in range(12):
        chatkeep = Taking(script)
        folder = tmp_path / str(away_after)
        folder.mkdir()
        chatkeep.away_after = away_after
        try:
            _keeping(script, librechat, chatkeep, folder, only="alice@example.org").once()
        except script.Away:
            assert len(chatkeep.kept) < 20
        chatkeep.away_after = -1
        before = chatkeep.pushes
        _keeping(script, librechat, chatkeep, folder, only="alice@example.org").once()
        assert chatkeep.kept == {f"chat-{number:02}": 2 for number in range(20)}
        # It goes on where it was, less a minute; it does not begin anew.
        assert chatkeep.pushes - before <= max(7 - away_after, 0) + 1


def test_what_happened_while_it_pushed_is_pushed_next_time(
    librechat: LibreChat, script: ModuleType, tmp_path: Path
) -> None:
    chatkeep = Taking(script)
    librechat.say("chat", "Hello")
    keeping = _keeping(script, librechat, chatkeep, tmp_path, only="alice@example.org")
    push = chatkeep.push

    def and_meanwhile(natives: list[dict[str, Any]], *, user: str = "") -> list[str]:
        chatkeep.push = push  # type: ignore[method-assign]
        librechat.say("chat", "Meanwhile")
        return push(natives, user=user)

    chatkeep.push = and_meanwhile  # type: ignore[method-assign]
    keeping.once()
    assert chatkeep.kept == {"chat": 2}
    keeping.once()
    assert chatkeep.kept == {"chat": 4}


def test_a_message_that_was_edited_in_place_comes_within_the_hour(
    librechat: LibreChat, script: ModuleType, tmp_path: Path
) -> None:
    chatkeep = Taking(script)
    librechat.say("old", "Hello")
    keeping = _keeping(script, librechat, chatkeep, tmp_path, only="alice@example.org")
    keeping.once()
    librechat.now += timedelta(days=1)
    librechat.say("new", "Hello")
    keeping.once()
    message = librechat["messages"].rows[0]
    message |= {"text": "Edited", "updatedAt": librechat.now}
    pushes = chatkeep.pushes
    keeping.once()
    assert chatkeep.pushes == pushes
    librechat.now += timedelta(hours=1)
    keeping.once()
    assert chatkeep.pushes == pushes + 1


def test_with_the_token_of_a_service_everybody_has_an_archive_of_their_own(
    librechat: LibreChat, script: ModuleType, tmp_path: Path
) -> None:
    chatkeep = Taking(script)
    librechat.say("of alice", "Hello")
    librechat.say("of bob", "Hello", user=BOB)
    librechat.say("of nobody", "Hello", user="665000000000000000000009")
    assert _keeping(script, librechat, chatkeep, tmp_path, as_service=True).once() == 2
    assert chatkeep.users == {"of alice": "alice@example.org", "of bob": "bob@example.org"}


def test_temporary_chats_are_left_alone(librechat: LibreChat, script: ModuleType, tmp_path: Path) -> None:
    chatkeep = Taking(script)
    librechat.say("temporary", "Hello", expiredAt=librechat.now + timedelta(days=30))
    librechat.say("other", "Hello")
    _keeping(script, librechat, chatkeep, tmp_path, only="alice@example.org").once()
    assert set(chatkeep.kept) == {"other"}


def test_it_goes_on_by_itself_when_who_was_away_is_back(
    librechat: LibreChat, script: ModuleType, tmp_path: Path
) -> None:
    class Stopped:
        """An event that is never waited for long, and set when all is kept."""

        pauses: list[float] = []  # noqa: RUF012

        def is_set(self) -> bool:
            return bool(chatkeep.kept)

        def wait(self, seconds: float) -> None:
            self.pauses.append(seconds)
            librechat["conversations"].away = len(self.pauses) < 2
            chatkeep.away_after = 0 if len(self.pauses) < 4 else -1

    chatkeep = Taking(script)
    librechat.say("chat", "Hello")
    librechat["conversations"].away = True
    keeping = _keeping(script, librechat, chatkeep, tmp_path, only="alice@example.org")
    script.keep_up(keeping, Stopped(), every_s=10)
    assert chatkeep.kept == {"chat": 2}
    assert [round(pause, -1) for pause in Stopped.pauses[-1:]] == [10]
    assert Stopped.pauses[0] < Stopped.pauses[3]


def test_whose_conversations_has_to_be_said(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATKEEP_TOKEN", "ck_x")
    monkeypatch.setenv("MONGO_URI", "mongodb://127.0.0.1/LibreChat")
    for arguments in (["--url", "http://127.0.0.1:9"], ["--url", "file:///etc/passwd", "--service"]):
        with pytest.raises(SystemExit):
            script.main(arguments)
