"""Pushes the conversations of a LibreChat to Chatkeep, and goes on doing so; run it beside LibreChat's database.

    MONGO_URI=mongodb://127.0.0.1:27017/LibreChat CHATKEEP_TOKEN=ck_… python chatkeep_librechat.py --url http://127.0.0.1:8765

It reads LibreChat's MongoDB and writes nothing there. It asks for what changed since it last asked, because the change
streams of MongoDB need a replica set, which LibreChat's own compose file does not start. Where it stands is in a state
file that moves on only when Chatkeep has answered that it has what came before; so nothing is lost, whoever is away or
killed.

It needs `pip install pymongo`. The README beside it says how to set it up.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

log = logging.getLogger("chatkeep")

PUSH = "/api/v1/conversations"
LARGEST = 30 << 20  # [bytes] of one conversation; Chatkeep takes at most 32 MiB
LARGEST_BATCH = 4 << 20
MOST_AT_ONCE = 50
OVERLAP = timedelta(seconds=60)
"""What was written so long before the last question is asked for again: clocks of several LibreChats differ."""
EDITS_EVERY = timedelta(hours=1)
"""Edits of a message do not touch its conversation, and messages have no index for them: they are asked for rarely."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 600.0
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


# ------------------------------------------------------------------ LibreChat


def changed(database: Any, since: datetime) -> Iterator[dict[str, Any]]:
    """The conversations that were written since then, the oldest change first. Temporary ones are left out."""
    wanted = {"updatedAt": {"$gte": since}, "expiredAt": None}
    yield from database["conversations"].find(wanted).sort([("updatedAt", 1), ("_id", 1)]).batch_size(100)


def edited(database: Any, since: datetime) -> list[str]:
    """The ids of conversations with messages that were written since then."""
    return list(database["messages"].distinct("conversationId", {"updatedAt": {"$gte": since}, "expiredAt": None}))


def whole(database: Any, conversation: dict[str, Any]) -> dict[str, Any]:
    """A conversation with all its messages, in the order in which they were written, as JSON."""
    listed = (
        database["messages"]
        .find({"conversationId": conversation.get("conversationId")})
        .sort([("createdAt", 1), ("_id", 1)])
    )
    told = {name: value for name, value in conversation.items() if name != "messages"}
    found: dict[str, Any] = json.loads(json.dumps({**told, "messages": list(listed)}, default=plain))
    return found


def plain(value: Any) -> Any:
    """What JSON has no form for: times with their zone, ids as text."""
    if isinstance(value, datetime):
        moment = value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return str(value)


def aware(value: Any) -> datetime:
    """A time of the database, which has no zone unless it is asked for one."""
    return value.replace(tzinfo=value.tzinfo or UTC) if isinstance(value, datetime) else BEGINNING


# ------------------------------------------------------------------ Chatkeep


class Away(Exception):
    """Chatkeep did not take what was pushed now; it may later. wait_s: how long it wants to be left alone."""

    def __init__(self, what: str, wait_s: float = 0.0) -> None:
        super().__init__(what)
        self.wait_s = wait_s


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token is sent to the address that was set and to no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


@dataclass(frozen=True)
class Chatkeep:
    """Where conversations go. token: with the scope "write"; a service's names the user of each push."""

    url: str
    token: str
    timeout_s: float = 60.0

    def push(self, natives: list[dict[str, Any]], *, user: str = "") -> list[str]:
        """Push conversations: for each "" when it is kept, else why it never will be. Raises Away."""
        body = json.dumps([{"platform": "librechat", "native": one} for one in natives]).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if user:
            headers["Chatkeep-On-Behalf-Of"] = user
        request = urllib.request.Request(  # noqa: S310 - the address was checked at the start
            self.url.rstrip("/") + PUSH, data=body, headers=headers, method="POST"
        )
        try:
            with _OPENER.open(request, timeout=self.timeout_s) as answer:
                results = json.loads(answer.read())["results"]
            told = [str((one.get("problem") or {}).get("detail") or "") for one in results]
        except urllib.error.HTTPError as error:
            return self._not_taken(error, natives)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Away(f"Chatkeep cannot be reached ({type(error).__name__}).") from error
        if len(told) != len(natives):
            raise Away("Chatkeep answered something else than was asked.")
        return told

    def _not_taken(self, error: urllib.error.HTTPError, natives: list[dict[str, Any]]) -> list[str]:
        with error:
            try:
                detail = str(json.loads(error.read(1 << 16)).get("detail") or "")[:300]
            except (OSError, ValueError, AttributeError):
                detail = ""
            try:
                wait_s = float(error.headers.get("Retry-After") or 0)
            except ValueError:
                wait_s = 0.0
        if detail and error.code in (400, 413, 422) and len(natives) == 1:
            return [detail]
        raise Away(f"Chatkeep answers {error.code}. {detail}".strip(), wait_s)


# ------------------------------------------------------------------ keeping up


@dataclass
class State:
    """How far LibreChat has been kept, in a file that is replaced as a whole."""

    path: Path
    conversations: datetime = BEGINNING
    messages: datetime = BEGINNING

    @classmethod
    def read(cls, path: Path) -> State:
        """The state in a file; the beginning when there is none."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls(path)
        return cls(path, *(datetime.fromisoformat(found[name]) for name in ("conversations", "messages")))

    def write(self) -> None:
        """Put it on disk."""
        draft = self.path.with_suffix(".new")
        said = {name: getattr(self, name).isoformat() for name in ("conversations", "messages")}
        with draft.open("w", encoding="utf-8") as file:
            json.dump(said, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)


@dataclass
class Keeping:
    """A LibreChat, a Chatkeep, and how far the one is in the other.

    only: the address of the one user whose conversations are kept; "" for all. as_service: each user's go to an archive
    of their own.
    """

    database: Any
    chatkeep: Chatkeep
    state: State
    only: str = ""
    as_service: bool = False
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _addresses: dict[str, str] = field(default_factory=dict)
    _sent: dict[str, int] = field(default_factory=dict)

    def once(self) -> int:
        """Push all that changed since the last time; how many conversations were kept. Raises Away."""
        began = self.now()
        kept = 0
        waiting: list[tuple[str, dict[str, Any]]] = []
        latest = self.state.conversations
        for conversation in changed(self.database, self.state.conversations - OVERLAP):
            waiting += self._wanted(conversation)
            latest = max(latest, aware(conversation.get("updatedAt")))
            if len(waiting) >= MOST_AT_ONCE or sum(_size(one) for _, one in waiting) > LARGEST_BATCH:
                kept += self._push(waiting)
                waiting = []
                # The order of changes is the order of pushes: what came before this one is kept.
                self.state.conversations = min(latest, began)
                self.state.write()
        kept += self._push(waiting)
        self.state.conversations = min(latest, began)
        if began - self.state.messages >= EDITS_EVERY:
            kept += self._edits(began)
        self.state.write()
        if len(self._sent) > 100_000:
            self._sent.clear()
        return kept

    def _edits(self, began: datetime) -> int:
        kept = 0
        if self.state.messages > BEGINNING:
            for id in edited(self.database, self.state.messages - OVERLAP):
                found = self.database["conversations"].find_one({"conversationId": id, "expiredAt": None})
                kept += self._push(self._wanted(found)) if found else 0
        self.state.messages = began
        return kept

    def _wanted(self, conversation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """The conversation with its user, if it is one to keep and not the same as was pushed last."""
        address = self._address(str(conversation.get("user") or ""))
        if (self.only and address.casefold() != self.only.casefold()) or (self.as_service and not address):
            return []
        native = whole(self.database, conversation)
        if self._sent.get(_id(native)) == _mark(native):
            return []
        return [(address if self.as_service else "", native)]

    def _address(self, user: str) -> str:
        if user and user not in self._addresses:
            found = self.database["users"].find_one({"_id": _object_id(user)}, {"email": 1})
            self._addresses[user] = str((found or {}).get("email") or "")
        return self._addresses.get(user, "")

    def _push(self, waiting: Iterable[tuple[str, dict[str, Any]]]) -> int:
        by_user: dict[str, list[dict[str, Any]]] = {}
        for user, native in waiting:
            by_user.setdefault(user, []).append(native)
        kept = 0
        for user, natives in by_user.items():
            small = [one for one in natives if _size(one) <= LARGEST_BATCH]
            for batch in [*([small] if small else []), *([one] for one in natives if _size(one) > LARGEST_BATCH)]:
                kept += self._push_batch(batch, user)
        return kept

    def _push_batch(self, natives: list[dict[str, Any]], user: str) -> int:
        if len(natives) == 1 and _size(natives[0]) > LARGEST:
            self._refused(natives[0], "it is too large to be pushed; export it")
            return 0
        kept = 0
        for native, why in zip(natives, self.chatkeep.push(natives, user=user), strict=True):
            if why:
                self._refused(native, why)
            else:
                kept += 1
            self._sent[_id(native)] = _mark(native)
        return kept

    def _refused(self, native: dict[str, Any], why: str) -> None:
        """Note a conversation that Chatkeep will never take, by its id, where a person finds it."""
        log.error("Chatkeep does not take conversation %s: %s", _id(native), why)
        with self.state.path.with_name("refused.jsonl").open("a", encoding="utf-8") as file:
            said = {"conversationId": _id(native), "why": why, "at": plain(self.now())}
            file.write(json.dumps(said) + "\n")


def _id(native: dict[str, Any]) -> str:
    return str(native.get("conversationId"))


def _size(native: dict[str, Any]) -> int:
    return len(json.dumps(native))


def _mark(native: dict[str, Any]) -> int:
    return hash(json.dumps(native, sort_keys=True))


def _object_id(text: str) -> Any:
    try:
        from bson import ObjectId

        return ObjectId(text)
    except Exception:  # bson is not there, or the id is not one of its own
        return text


def keep_up(keeping: Keeping, stopped: threading.Event, *, every_s: float) -> None:
    """Push what changes until told to stop. Whatever is away is tried again, less and less often."""
    tries = 0
    while not stopped.is_set():
        try:
            kept = keeping.once()
            if kept:
                log.info("%s kept", "1 conversation" if kept == 1 else f"{kept:,} conversations")
            tries, pause = 0, every_s
        except Exception as error:  # the database has errors of its own, which may pass as well
            tries += 1
            pause = max(getattr(error, "wait_s", 0.0), min(FIRST_PAUSE_S * 2 ** min(tries, 12), LONGEST_PAUSE_S))
            pause *= random.uniform(0.8, 1.2)  # noqa: S311 - so that many do not come back at once
            what = str(error) if isinstance(error, Away) else f"LibreChat's database: {type(error).__name__}."
            log.warning("%s Trying again in %.0f s.", what, pause)
        stopped.wait(pause)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Push the conversations of a LibreChat to Chatkeep.")
    parser.add_argument("--url", default="http://127.0.0.1:8765", help="where Chatkeep is")
    parser.add_argument("--user", default="", metavar="EMAIL", help="only the conversations of this user")
    parser.add_argument("--service", action="store_true", help="the token is a service's: each user has an own archive")
    parser.add_argument(
        "--state", type=Path, default=Path("chatkeep-librechat.json"), help="where it notes how far it is"
    )
    parser.add_argument("--every", type=float, default=10.0, metavar="SECONDS", help="ask for changes so often")
    parser.add_argument("--once", action="store_true", help="push what changed, and end")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    token, uri = os.environ.get("CHATKEEP_TOKEN", ""), os.environ.get("MONGO_URI", "")
    if not token or not uri or not given.url.startswith(("http://", "https://")):
        parser.error("CHATKEEP_TOKEN and MONGO_URI have to be set, and --url begins with http:// or https://")
    if not given.service and not given.user:
        parser.error("say whose conversations: --user EMAIL, or --service for a token that acts for all users")
    from pymongo import MongoClient

    client = MongoClient(uri, tz_aware=True, appname="chatkeep")
    database = client.get_default_database("LibreChat")
    keeping = Keeping(
        database, Chatkeep(given.url, token), State.read(given.state), only=given.user, as_service=given.service
    )
    if given.once:
        try:
            log.info("%s kept", keeping.once())
        except Away as error:
            log.error("%s", error)
            return 1
        return 0
    stopped = threading.Event()
    for heard in (signal.SIGINT, signal.SIGTERM):
        signal.signal(heard, lambda *_: stopped.set())
    keep_up(keeping, stopped, every_s=given.every)
    return 0


if __name__ == "__main__":
    sys.exit(main())
