"""
title: Chatkeep
description: Keeps each chat in Chatkeep after every answer, without slowing it; what Chatkeep cannot take now waits.
version: 1.0.0
license: MIT
required_open_webui_version: 0.5.0
"""

# Install it under Admin Panel → Functions, set `url` and `token`, and switch it on for all models; the README beside it
# says more. It needs nothing that Open WebUI does not bring.
#
# How it works. After an answer `outlet` writes down which chat it was and hands it to a thread; that is all that the
# answer waits for. The thread puts a file into a queue folder. Another waits until Open WebUI has saved the chat, reads
# it, and pushes all of it: pushing the same again changes nothing in Chatkeep. The file goes when Chatkeep has answered
# that it has the chat; until then it is tried again, less and less often.

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import inspect
import json
import logging
import os
import queue
import random
import threading
import time
import urllib.error
import urllib.request
import weakref
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

log = logging.getLogger("chatkeep")

PUSH = "/api/v1/conversations"
LARGEST = 30 << 20  # [bytes] of one chat; Chatkeep takes at most 32 MiB
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 600.0
REFUSED_PAUSE_S = 60.0
PERIOD_S = 0.5
DATABASE_S = 10.0


class Filter:
    """What Open WebUI calls. One instance lives as long as the process."""

    class Valves(BaseModel):
        priority: int = Field(default=1000, description="After other filters, so that what they changed is kept.")
        url: str = Field(default="http://127.0.0.1:8765", description="Where Chatkeep is, without a path.")
        token: str = Field(default="", description="A token of Chatkeep with the scope “write”.")
        service: bool = Field(
            default=False, description="The token is a service's: each chat is kept for the address of its user."
        )
        settle_s: float = Field(default=3.0, ge=0, description="Wait so long [s] until Open WebUI has saved the chat.")
        timeout_s: float = Field(default=30.0, gt=0, description="Wait so long [s] for Chatkeep's answer.")
        most_waiting: int = Field(
            default=10_000, ge=1, description="So many chats wait at most while Chatkeep is away."
        )
        folder: str = Field(default="", description="Where chats wait; beside Open WebUI's data if it is empty.")
        tell_trouble: bool = Field(default=True, description="Say below an answer when chats are waiting.")

    class UserValves(BaseModel):
        token: str = Field(default="", description="Your own token of Chatkeep, instead of the one for everybody.")
        keep: bool = Field(default=True, description="Keep my chats in Chatkeep.")

    def __init__(self) -> None:
        self.valves = self.Valves()
        self._sender = Sender(self.valves)
        # A function that was edited is loaded anew; the threads of the one before end with it.
        weakref.finalize(self, self._sender.stop)

    async def outlet(
        self,
        body: dict[str, Any],
        __user__: dict[str, Any] | None = None,
        __metadata__: dict[str, Any] | None = None,
        __event_emitter__: Any = None,
    ) -> dict[str, Any]:
        """Note that a chat has a new answer. The body is given back as it came, whatever happens."""
        try:
            self._sender.valves = self.valves
            user = __user__ or {}
            own = _valves_of_user(user.get("valves"))
            chat_id = body.get("chat_id") or (__metadata__ or {}).get("chat_id") or ""
            if own.keep and chat_id and not str(chat_id).startswith(("local:", "channel:")):
                self._sender.note(_noted(str(chat_id), body, user), token=own.token)
            if self.valves.tell_trouble and __event_emitter__ is not None and (trouble := self._sender.trouble()):
                await __event_emitter__({"type": "status", "data": {"description": trouble, "done": True}})
        except Exception as error:  # an answer is never lost for the sake of its copy
            log.error("Chatkeep could not note a chat: %s", type(error).__name__)
        return body


def _valves_of_user(given: Any) -> Filter.UserValves:
    if isinstance(given, Filter.UserValves):
        return given
    if isinstance(given, BaseModel):
        given = given.model_dump()
    return Filter.UserValves(**given) if isinstance(given, dict) else Filter.UserValves()


def _noted(chat_id: str, body: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    """What is written down of a chat: its id, whose it is, and the messages that the answer came with."""
    return {
        "chat_id": chat_id,
        "user_id": str(user.get("id") or ""),
        "email": str(user.get("email") or ""),
        "model": str(body.get("model") or ""),
        "messages": json.loads(json.dumps(body.get("messages") or [], default=str)),
        "noted_at": time.time(),
    }


class Sender:
    """A thread that pushes what was noted, and the folder in which it waits."""

    def __init__(self, valves: Filter.Valves) -> None:
        self.valves = valves  # as of the last answer: Open WebUI gives them anew before each
        self._noted: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._tokens: dict[str, str] = {}  # of users, in memory alone
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        self._tries: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._trouble = ""
        self._waiting = 0
        self._turned_away = 0

    def note(self, noted: dict[str, Any], *, token: str = "") -> None:
        """Hand a chat to the thread. Takes microseconds."""
        if token:
            self._tokens[noted["user_id"]] = token
        noted["has_own_token"] = bool(token)
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()
        self._noted.put(noted)
        self.start()

    def start(self) -> None:
        """Start what is not running: what waited while Open WebUI was stopped goes on."""
        with self._lock:
            for name, work in (("chatkeep-notes", self._write_always), ("chatkeep-pushes", self._push_always)):
                thread = self._threads.get(name)
                if thread is None or not thread.is_alive():
                    self._threads[name] = threading.Thread(target=work, name=name, daemon=True)
                    self._threads[name].start()

    def stop(self) -> None:
        """End the threads. What waits stays in the folder."""
        self._stopped.set()
        self._noted.put(None)

    def trouble(self) -> str:
        """What a person should know, in a sentence; "" when all is well."""
        if self._turned_away:
            return f"Chatkeep: {self._turned_away} chats could not wait, because too many do. {self._trouble}".strip()
        if self._trouble and self._waiting:
            chats = "1 chat waits" if self._waiting == 1 else f"{self._waiting} chats wait"
            return f"Chatkeep: {chats} to be kept. {self._trouble}"
        return self._trouble if self._trouble.startswith("Chatkeep refused") else ""

    def folder(self) -> Path:
        """Where chats wait."""
        given = self.valves.folder
        return Path(given) if given else Path(os.environ.get("DATA_DIR") or "data") / "chatkeep-queue"

    # -- the threads

    def _write_always(self) -> None:
        """Write what is noted into the folder at once; what a disk does not take today it may take tomorrow."""
        while (noted := self._noted.get()) is not None:
            while not self._stopped.is_set():
                try:
                    self._write(noted)
                    break
                except OSError as error:
                    self._trouble = f"Its queue cannot be written ({type(error).__name__})."
                    log.error("Chatkeep's queue cannot be written: %s", error)
                    self._stopped.wait(5)

    def _push_always(self) -> None:
        while not self._stopped.is_set():
            try:
                self._push_due()
            except Exception as error:
                self._trouble = f"Its queue cannot be read ({type(error).__name__})."
                log.error("Chatkeep's queue cannot be read: %s", error)
            self._stopped.wait(PERIOD_S)

    def _write(self, noted: dict[str, Any]) -> None:
        folder = self.folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = hashlib.sha256(f"{noted['user_id']}\0{noted['chat_id']}".encode()).hexdigest()[:32]
        before = sorted(folder.glob(f"{key}.*.json"))
        if not before and len(self._files()) >= self.valves.most_waiting:
            self._turned_away += 1
            log.error("Chatkeep is away and %s chats wait already: one more was left out.", self.valves.most_waiting)
            return
        # Another process may be sending the file before: it gets a name of its own, and is replaced only when whole.
        path = folder / f"{key}.{time.time_ns():020}.json"
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(noted), encoding="utf-8")
        draft.chmod(0o600)
        draft.replace(path)
        for old in before:
            old.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        folder = self.folder()
        return sorted(folder.glob("*.json"), key=lambda path: path.name.split(".")[1]) if folder.is_dir() else []

    def _push_due(self) -> None:
        files = self._files()
        self._waiting = len(files)
        now = time.time()
        alive = {path.name.split(".")[0] for path in files}
        for kept in (self._tries, self._not_before):
            for key in kept.keys() - alive:
                del kept[key]
        for path in files:
            key = path.name.split(".")[0]
            if self._stopped.is_set():
                return
            if self._not_before.get(key, 0) <= now and not self._push_one(key, path):
                return

    def _push_one(self, key: str, path: Path) -> bool:
        """Push one chat. False when Chatkeep is away, so that the others need not be tried now."""
        try:
            noted = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return True
        except ValueError:
            self._put_aside(path, "the file is damaged")
            return True
        due = noted.get("noted_at", 0) + self.valves.settle_s
        if due > time.time():
            self._not_before[key] = due
            return True
        try:
            answer = self._send(noted, self._native(noted))
        except NotNow as error:
            answer = Answer(str(error), is_about_one=True)
        if answer.is_kept:
            path.unlink(missing_ok=True)
            self._tries.pop(key, None)
            self._trouble = ""
            self._turned_away = 0
            return True
        if answer.is_refused:
            self._put_aside(path, answer.what)
            self._trouble = f"Chatkeep refused a chat: {answer.what}"
            return True
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        pause = max(answer.wait_s, min(FIRST_PAUSE_S * 2 ** min(tries, 12), LONGEST_PAUSE_S))
        pause *= random.uniform(0.8, 1.2)  # noqa: S311 - so that many do not come back at once
        self._trouble = answer.what
        log.warning("Chatkeep: %s Trying again in %.0f s.", answer.what, pause)
        for other in [key] if answer.is_about_one else [file.name.split(".")[0] for file in self._files()]:
            self._not_before[other] = max(self._not_before.get(other, 0), time.time() + pause)
        return answer.is_about_one

    def _put_aside(self, path: Path, why: str) -> None:
        """Keep what will never be taken where somebody can look at it, out of the way of the others."""
        aside = self.folder() / "refused"
        aside.mkdir(exist_ok=True, mode=0o700)
        path.replace(aside / path.name)
        log.error("Chatkeep does not take a chat (%s). It lies in %s.", why, aside / path.name)

    # -- one chat

    def _native(self, noted: dict[str, Any]) -> dict[str, Any]:
        """The chat as Open WebUI has it, all branches, and in it what the answer came with if that is not saved yet.

        Raises NotNow when Open WebUI cannot say what it has.
        """
        row = self._saved(noted["chat_id"])
        if row is None:
            row = {"id": noted["chat_id"], "user_id": noted["user_id"], "title": "", "chat": {}}
        chat = row["chat"] = row.get("chat") or {}
        history = chat.get("history")
        if not isinstance(history, dict) or not isinstance(history.get("messages"), dict):
            history = chat["history"] = {"messages": {}, "currentId": None}
        _overlay(history, noted["messages"], noted["model"])
        return row

    def _saved(self, chat_id: str) -> dict[str, Any] | None:
        try:
            from open_webui.models.chats import Chats
        except ImportError:
            return None
        try:
            ask = Chats.get_chat_by_id
            found = self._in_loop(ask, chat_id) if inspect.iscoroutinefunction(ask) else ask(chat_id)
            row = found.model_dump() if found is not None else None
            return json.loads(json.dumps(row, default=str)) if row is not None else None
        except NotNow:
            raise
        except Exception as error:
            raise NotNow(f"Open WebUI's database did not give a chat ({type(error).__name__}).") from error

    def _in_loop(self, ask: Any, chat_id: str) -> Any:
        """What newer versions of Open WebUI give, asked in its own loop, which is known since the first answer."""
        if self._loop is None or not self._loop.is_running():
            raise NotNow("Open WebUI is not ready yet.")

        async def asked() -> Any:
            return await ask(chat_id)

        waiting = asked()
        try:
            return asyncio.run_coroutine_threadsafe(waiting, self._loop).result(timeout=DATABASE_S)
        finally:
            if inspect.getcoroutinestate(waiting) == inspect.CORO_CREATED:
                waiting.close()  # the loop ended before it came to it

    def _send(self, noted: dict[str, Any], native: dict[str, Any]) -> Answer:
        valves = self.valves
        token = self._tokens.get(noted["user_id"]) or ("" if noted.get("has_own_token") else valves.token)
        if not token:
            return Answer("No token of Chatkeep is set.", wait_s=REFUSED_PAUSE_S, is_about_one=True)
        body = json.dumps([{"platform": "openwebui", "native": native}]).encode()
        if len(body) > LARGEST:
            return Answer(f"a chat of {len(body) >> 20} MiB is too large to be pushed; export it", is_refused=True)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if valves.service and token == valves.token:
            if not noted["email"]:
                return Answer("its user has no address", is_refused=True)
            headers["Chatkeep-On-Behalf-Of"] = noted["email"]
        return push(valves.url.rstrip("/") + PUSH, body, headers, timeout_s=valves.timeout_s)


def _overlay(history: dict[str, Any], listed: list[Any], model: str) -> None:
    """Put messages of an answer into a history where it lacks them, or has them unfinished."""
    messages = history["messages"]
    above = None
    for one in listed:
        if not isinstance(one, dict) or not isinstance(one.get("id"), str) or not one.get("role"):
            continue
        own = one["id"]
        known = messages.get(own)
        if known is None:
            kept = {name: value for name, value in one.items() if name not in ("info", "session_id")}
            messages[own] = {"parentId": above, "childrenIds": [], **kept}
            if one["role"] == "assistant" and model:
                messages[own].setdefault("model", model)
            if above in messages and isinstance(messages[above].get("childrenIds"), list):
                messages[above]["childrenIds"].append(own)
            history["currentId"] = own
        elif not known.get("content") and one.get("content"):
            known["content"] = one["content"]
            known["done"] = True
        above = own


class NotNow(Exception):
    """Something that is needed is not there yet."""


class Answer:
    """What became of a push. Kept, refused for good, or to be tried again after a pause [s]."""

    def __init__(
        self,
        what: str = "",
        *,
        is_kept: bool = False,
        is_refused: bool = False,
        is_about_one: bool = False,
        wait_s: float = 0.0,
    ) -> None:
        self.what = what
        self.is_kept = is_kept
        self.is_refused = is_refused
        self.is_about_one = is_about_one
        self.wait_s = wait_s


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token is sent to the address that was set and to no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def push(url: str, body: bytes, headers: dict[str, str], *, timeout_s: float) -> Answer:
    """Push one item, and understand the answer."""
    if not url.startswith(("http://", "https://")):
        return Answer("The address of Chatkeep does not begin with http.", wait_s=REFUSED_PAUSE_S)
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - checked above
    try:
        with _OPENER.open(request, timeout=timeout_s) as answer:
            said = json.loads(answer.read(1 << 20))
        [result] = said["results"]
    except urllib.error.HTTPError as error:
        return _not_taken(error)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Answer(f"Chatkeep cannot be reached ({type(error).__name__}).")
    if result.get("problem"):
        return Answer(str(result["problem"].get("detail") or "it gives no reason")[:200], is_refused=True)
    return Answer(is_kept=True)


def _not_taken(error: urllib.error.HTTPError) -> Answer:
    with error:
        try:
            detail = str(json.loads(error.read(1 << 16)).get("detail") or "")[:200]
        except (OSError, ValueError, AttributeError):
            detail = ""
        try:
            wait_s = float(error.headers.get("Retry-After") or 0)
        except ValueError:
            wait_s = 0.0
    if error.code in (401, 403):
        return Answer(f"Chatkeep does not take the token. {detail}".strip(), wait_s=REFUSED_PAUSE_S, is_about_one=True)
    if error.code in (404, 400, 413, 415, 422):
        is_chatkeep = bool(detail)
        if not is_chatkeep:
            return Answer(f"There is no Chatkeep at this address (it answers {error.code}).", wait_s=REFUSED_PAUSE_S)
        if error.code == 404:
            return Answer(detail, wait_s=REFUSED_PAUSE_S, is_about_one=True)
        return Answer(detail, is_refused=True)
    return Answer(f"Chatkeep answers {error.code}. {detail}".strip(), wait_s=wait_s)
