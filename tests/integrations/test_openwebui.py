"""The function for Open WebUI: what its caller hands over reaches a Chatkeep that runs, sooner or later."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from integrations.conftest import Running, load, wait_for

ALICE = {"id": "u-alice", "email": "alice@example.org", "name": "Alice", "role": "user"}


class Chats:
    """Open WebUI's table of chats, as functions see it: asked for a row, which has `model_dump`."""

    rows: dict[str, dict[str, Any]] = {}  # noqa: RUF012

    class Row:
        def __init__(self, fields: dict[str, Any]) -> None:
            self._fields = fields

        def model_dump(self) -> dict[str, Any]:
            return copy.deepcopy(self._fields)

    @classmethod
    def get_chat_by_id(cls, id: str) -> Any:
        return cls.Row(cls.rows[id]) if id in cls.rows else None


class AsyncChats(Chats):
    """The same since Open WebUI asks its database without blocking."""

    @classmethod
    async def get_chat_by_id(cls, id: str) -> Any:
        await asyncio.sleep(0)
        return cls.Row(cls.rows[id]) if id in cls.rows else None


def _row(id: str, title: str, answer: str, *, saved: bool = True) -> dict[str, Any]:
    messages = {
        "q": {
            "id": "q",
            "parentId": None,
            "childrenIds": ["a", "b"],
            "role": "user",
            "content": "Question",
            "timestamp": 1,
        },
        "a": {
            "id": "a",
            "parentId": "q",
            "childrenIds": [],
            "role": "assistant",
            "model": "m",
            "content": "Other branch",
        },
        "b": {
            "id": "b",
            "parentId": "q",
            "childrenIds": [],
            "role": "assistant",
            "model": "m",
            "content": answer if saved else "",
            "done": saved,
        },
    }
    chat = {"title": title, "models": ["m"], "history": {"messages": messages, "currentId": "b"}}
    return {
        "id": id,
        "user_id": "u-alice",
        "title": title,
        "chat": chat,
        "created_at": 1760000000,
        "updated_at": 1760000001,
    }


def _body(id: str, answer: str) -> dict[str, Any]:
    """What outlet gets: the path that is shown, of which the last is the new answer."""
    return {
        "model": "m",
        "chat_id": id,
        "session_id": "s",
        "id": "b",
        "messages": [
            {"id": "q", "role": "user", "content": "Question", "timestamp": 1},
            {"id": "b", "role": "assistant", "content": answer, "timestamp": 2, "info": {"total_duration": 1}},
        ],
    }


@pytest.fixture(params=[Chats, AsyncChats], ids=["blocking", "asynchronous"])
def chats(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Chats]]:
    Chats.rows = {}
    package, models, module = (
        ModuleType("open_webui"),
        ModuleType("open_webui.models"),
        ModuleType("open_webui.models.chats"),
    )
    module.Chats = request.param  # type: ignore[attr-defined]
    for name, one in (("open_webui", package), ("open_webui.models", models), ("open_webui.models.chats", module)):
        monkeypatch.setitem(sys.modules, name, one)
    yield request.param
    Chats.rows = {}


_callers: list[Caller] = []


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    """No thread outlives its test."""
    yield
    for caller in _callers:
        caller.end()
    _callers.clear()


class Caller:
    """Open WebUI while it serves people: a loop that calls outlet after each answer and then goes on."""

    def __init__(self, tmp_path: Path, **valves: Any) -> None:
        self.module = load("chatkeep_filter_under_test", "openwebui/chatkeep_filter.py")
        self.module.FIRST_PAUSE_S = 0.1
        self.module.LONGEST_PAUSE_S = 0.5
        self.module.REFUSED_PAUSE_S = 0.2
        self.module.PERIOD_S = 0.05
        self.module.DATABASE_S = 1.0
        self.queue = tmp_path / "queue"
        self.given = {"settle_s": 0.0, "folder": str(self.queue), "timeout_s": 20.0, **valves}
        self.filter = self.module.Filter()
        self.filter.valves = self.module.Filter.Valves(**self.given)
        self.told: list[str] = []
        self.pushed = 0
        _callers.append(self)
        self._push = self.module.push
        self.module.push = self._counted

    def end(self) -> None:
        """As when Open WebUI is stopped."""
        self.filter._sender.stop()
        for thread in self.filter._sender._threads.values():
            thread.join(10)

    def _counted(self, *arguments: Any, **more: Any) -> Any:
        answer = self._push(*arguments, **more)
        self.pushed += answer.is_kept
        return answer

    def waiting(self) -> int:
        return len(list(self.queue.glob("*.json"))) if self.queue.is_dir() else 0

    def texts(self) -> str:
        """What the files that wait say; one that is replaced meanwhile is left out."""
        found = ""
        for path in self.queue.glob("*.json"):
            with contextlib.suppress(FileNotFoundError):
                found += path.read_text()
        return found

    def talk(
        self, *bodies: dict[str, Any], user: dict[str, Any] | None = None, until: Any = None
    ) -> list[dict[str, Any]]:
        """Answers, one after the other, and then the loop runs until something holds."""

        async def emit(event: dict[str, Any]) -> None:
            self.told.append(event["data"]["description"])

        async def talk() -> list[dict[str, Any]]:
            given = [
                await self.filter.outlet(body, __user__=user or ALICE, __metadata__={}, __event_emitter__=emit)
                for body in bodies
            ]
            end = time.monotonic() + 60
            while until is not None and not until():
                assert time.monotonic() < end, (self.waiting(), self.told)
                await asyncio.sleep(0.02)
            return given

        return asyncio.run(talk())


@pytest.mark.slow
def test_a_chat_is_kept_with_all_its_branches_after_each_answer(
    chatkeep: Running, chats: type[Chats], tmp_path: Path
) -> None:
    chatkeep.start()
    caller = Caller(tmp_path, url=chatkeep.url, token=chatkeep.token("open webui", "write"))
    Chats.rows["c-1"] = _row("c-1", "Tea", "Green.")
    caller.talk(_body("c-1", "Green."), until=lambda: caller.pushed and not caller.waiting())
    [listed] = chatkeep.command("list")
    assert (listed["title"], listed["messages"], listed["platform"]) == ("Tea", 3, "openwebui")
    caller.talk(_body("c-1", "Green."), until=lambda: caller.pushed == 2)
    assert chatkeep.command("list")[0]["revision"] == listed["revision"]
    assert caller.told == []


@pytest.mark.slow
def test_nothing_is_lost_while_chatkeep_is_away_nor_when_open_webui_is_restarted(
    chatkeep: Running, chats: type[Chats], tmp_path: Path
) -> None:
    token = chatkeep.token("open webui", "write")
    caller = Caller(tmp_path, url=chatkeep.url, token=token)
    for number in range(20):
        Chats.rows[f"c-{number}"] = _row(f"c-{number}", f"Chat {number:02}", "Answer")
    caller.talk(*(_body(f"c-{number}", "Answer") for number in range(19)), until=lambda: caller.waiting() == 19)
    caller.end()
    restarted = Caller(tmp_path, url=chatkeep.url, token=token)
    chatkeep.start()
    restarted.talk(_body("c-19", "Answer"), until=lambda: restarted.pushed >= 20 and not restarted.waiting())
    assert chatkeep.titles() == [f"Chat {number:02}" for number in range(20)]
    chatkeep.stop()
    restarted.talk(_body("c-3", "Answer"), until=lambda: "cannot be reached" in restarted.filter._sender.trouble())
    restarted.talk(_body("c-4", "Answer"))
    assert any("to be kept" in told for told in restarted.told)
    chatkeep.start()
    restarted.talk(_body("c-3", "Answer"), until=lambda: restarted.pushed >= 22 and not restarted.waiting())


@pytest.mark.slow
def test_an_answer_that_is_not_saved_yet_is_taken_from_what_came_with_it(
    chatkeep: Running, chats: type[Chats], tmp_path: Path
) -> None:
    chatkeep.start()
    caller = Caller(tmp_path, url=chatkeep.url, token=chatkeep.token("open webui", "write"))
    Chats.rows["c-1"] = _row("c-1", "Tea", "Green.", saved=False)
    caller.talk(
        _body("c-1", "Green."),
        _body("c-2", "No row yet."),
        until=lambda: caller.pushed >= 2 and not caller.waiting(),
    )
    texts = json.dumps([chatkeep.command("show", one["id"]) for one in chatkeep.command("list")])
    assert "Green." in texts
    assert "Other branch" in texts
    assert "No row yet." in texts


@pytest.mark.slow
def test_a_token_that_is_not_taken_keeps_chats_waiting_and_is_told(
    chatkeep: Running, chats: type[Chats], tmp_path: Path
) -> None:
    chatkeep.start()
    caller = Caller(tmp_path, url=chatkeep.url, token="ck_" + "x" * 43)
    Chats.rows["c-1"] = _row("c-1", "Tea", "Green.")
    caller.talk(_body("c-1", "Green."), until=lambda: "does not take the token" in caller.filter._sender.trouble())
    assert caller.waiting() == 1
    caller.filter.valves = caller.module.Filter.Valves(**caller.given | {"token": chatkeep.token("x", "write")})
    caller.talk(_body("c-1", "Green."), until=lambda: caller.pushed and not caller.waiting())
    assert chatkeep.titles() == ["Tea"]


def _away(tmp_path: Path, **valves: Any) -> Caller:
    return Caller(tmp_path, url="http://127.0.0.1:9", token="ck_x", **valves)


def test_an_answer_never_waits_even_for_a_chatkeep_that_does_not_answer(chats: type[Chats], tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        caller = Caller(tmp_path, url=url, token="ck_x", timeout_s=2.0)
        body = _body("c-1", "word " * 20_000)
        took = []
        for _ in range(5):
            began = time.perf_counter()
            assert caller.talk(body) == [body]
            took.append(time.perf_counter() - began)
        assert min(took) < 0.5


def test_an_answer_comes_whatever_goes_wrong(chats: type[Chats], tmp_path: Path) -> None:
    caller = _away(tmp_path, folder="/dev/null/nowhere")
    for body in ({}, {"chat_id": 5, "messages": object()}, {"chat_id": "c", "messages": [None, {"id": 7}]}):
        assert caller.talk(body) == [body]
    assert caller.talk(_body("c", "x"), user={"valves": "broken"}) == [_body("c", "x")]


def test_chats_that_nobody_keeps_are_left_alone(chats: type[Chats], tmp_path: Path) -> None:
    caller = _away(tmp_path)
    caller.talk(_body("local:abc", "temporary"), _body("", "no chat"))
    caller.talk(_body("c-1", "not mine to keep"), user={**ALICE, "valves": {"keep": False}})
    caller.talk(_body("c-2", "keep"), until=lambda: caller.waiting() == 1)


def test_a_function_that_is_loaded_anew_ends_the_threads_of_the_one_before(chats: type[Chats], tmp_path: Path) -> None:
    caller = _away(tmp_path)
    caller.talk(_body("c-1", "x"), until=lambda: caller.waiting() == 1)
    threads = list(caller.filter._sender._threads.values())
    assert all(thread.is_alive() for thread in threads)
    caller.filter = caller.module.Filter()
    gc.collect()
    wait_for(lambda: not any(thread.is_alive() for thread in threads))


def test_so_many_wait_and_no_more_and_that_is_told(chats: type[Chats], tmp_path: Path) -> None:
    caller = _away(tmp_path, most_waiting=3)
    bodies = [_body(f"c-{number}", "Answer") for number in range(5)]
    caller.talk(*bodies, until=lambda: caller.filter._sender._turned_away == 2)
    caller.talk(_body("c-0", "A later answer of one that waits"))
    wait_for(lambda: "A later answer" in caller.texts() and caller.waiting() == 3)
    assert any("2 chats could not wait" in told for told in caller.told)


def test_a_chat_of_somebody_with_a_token_of_their_own_never_goes_elsewhere(
    chats: type[Chats], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    caller = Caller(tmp_path, url="http://127.0.0.1:9", token="ck_shared")
    monkeypatch.setattr(caller.module, "push", _noting(caller.module, sent))
    own = {**ALICE, "valves": {"token": "ck_own"}}
    caller.talk(_body("c-1", "mine"), user=own, until=lambda: sent)
    caller.end()
    restarted = Caller(tmp_path, url="http://127.0.0.1:9", token="ck_shared")
    monkeypatch.setattr(restarted.module, "push", _noting(restarted.module, sent))
    restarted.talk(_body("c-2", "shared"), user={**ALICE, "id": "u-bob"}, until=lambda: "Bearer ck_shared" in sent)
    time.sleep(0.3)
    assert sent.count("Bearer ck_shared") == sum(1 for one in sent if one != "Bearer ck_own")
    assert restarted.waiting() >= 1
    assert "ck_own" not in "".join(path.read_text() for path in caller.queue.rglob("*.json"))


def _noting(module: ModuleType, sent: list[str]) -> Any:
    def push(_url: str, _body: bytes, headers: dict[str, str], *, timeout_s: float) -> Any:
        sent.append(headers["Authorization"])
        is_own = headers["Authorization"] == "Bearer ck_own"
        return module.Answer("away", is_about_one=True) if is_own else module.Answer(is_kept=True)

    return push
