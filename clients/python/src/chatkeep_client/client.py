"""The calls. Each does one operation of the API; /api/v1/openapi.json says what there is in detail."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2
import msgspec

from chatkeep_client import values
from chatkeep_client.asking import TRIES, Asking
from chatkeep_client.errors import ChatkeepError

T = TypeVar("T")
Document = bytes | Mapping[str, Any]
_PUSHED_AT_ONCE = 200


class Chatkeep:
    """One archive on one Chatkeep. Blocking; may be used by many threads. Use it in a `with` block, or `close` it.

    url: where Chatkeep answers, "https://chats.example". token: of `chatkeep tokens add`.
    on_behalf_of: with the token of a service, the user it is about. tries: how often what may pass is tried.
    Every call raises ChatkeepProblem when the server refuses, and ChatkeepUnreachable when no answer came.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        on_behalf_of: str = "",
        timeout_s: float = 60.0,
        tries: int = TRIES,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._asking = Asking(url, token, timeout_s=timeout_s, tries=tries, sleep=sleep, transport=transport)
        self._headers = {"Chatkeep-On-Behalf-Of": on_behalf_of} if on_behalf_of else {}
        self._sleep = sleep

    def acting_for(self, user: str) -> Chatkeep:
        """The same for another user of a service, over the same connections. Only the first one is to be closed."""
        other = object.__new__(Chatkeep)
        other._asking, other._sleep = self._asking, self._sleep
        other._headers = {"Chatkeep-On-Behalf-Of": user}
        return other

    def close(self) -> None:
        """Let go of connections."""
        self._asking.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, kind: type[T], method: str, path: str, value: Any = None, **query: Any) -> T:
        body = None if value is None else value if isinstance(value, bytes) else msgspec.json.encode(value)
        answer = self._asking.send(method, path, query=query, body=body, headers=self._headers)
        return msgspec.json.decode(answer.content, type=kind)

    # -------------------------------------------------------------- about

    def me(self) -> values.Me:
        """What the token allows."""
        return self._ask(values.Me, "GET", "me")

    def connections(self) -> list[values.Connection]:
        """Where backups go. Needs `read`."""
        return self._ask(_Connections, "GET", "connections").connections

    # -------------------------------------------------------------- pushing

    def put(self, document: Document) -> values.Became:
        """Bring one document in, by merging; repeating it changes nothing. Needs `write`."""
        data = document if isinstance(document, bytes) else msgspec.json.encode(document)
        id = msgspec.json.decode(data, type=_HasId).id
        return self._ask(values.Became, "PUT", f"conversations/{id}", data)

    def push(self, items: Sequence[Document]) -> values.Batch:
        """Bring up to 1,000 items in with one request, each whole or not at all. Needs `write`."""
        parts = [one if isinstance(one, bytes) else msgspec.json.encode(one) for one in items]
        return self._ask(values.Batch, "POST", "conversations", b"[" + b",".join(parts) + b"]")

    def push_all(self, items: Iterable[Document], *, at_once: int = _PUSHED_AT_ONCE) -> Iterator[values.Item]:
        """Bring any number of items in, several with each request: what became of each, in order. Needs `write`."""
        several: list[Document] = []
        for number, item in enumerate(items, 1):
            several.append(item)
            if number % at_once == 0:
                yield from self.push(several).results
                several = []
        if several:
            yield from self.push(several).results

    def push_native(self, platform: str, conversation: Any) -> values.Item:
        """Bring a conversation in as its platform has it: "chatgpt", "openwebui", "librechat" … Needs `write`."""
        return self.push([{"platform": platform, "native": conversation}]).results[0]

    def put_attachment(self, data: bytes) -> str:
        """Bring the bytes of an attachment: its SHA-256, by which documents name it. Needs `write`."""
        sha256 = hashlib.sha256(data).hexdigest()
        self._asking.send(
            "PUT",
            f"attachments/{sha256}",
            body=data,
            content_type="application/octet-stream",
            headers=self._headers,
        )
        return sha256

    def undo(self, receipt: str) -> values.Undone:
        """Take back what one operation brought. Needs `write`."""
        return self._ask(values.Undone, "POST", f"receipts/{receipt}/undo")

    # -------------------------------------------------------------- reading

    def conversations(self, *, page: int = 200, **chosen: Any) -> Iterator[values.Listed]:
        """The conversations, the newest first, read page by page. Needs `read`.

        chosen: q, platform, project, label, person (lists), since, until, trashed ("true").
        """
        cursor: str | None = None
        while True:
            found = self._ask(_Page, "GET", "conversations", limit=page, cursor=cursor, **chosen)
            yield from found.conversations
            cursor = found.next
            if cursor is None:
                return

    def changes(self, since: int = 0) -> Iterator[values.Change]:
        """What changed since the change of a number, until now; keep the number of the last one. Needs `read`."""
        while True:
            found = self._ask(_Changes, "GET", "changes", since=since, limit=1000)
            yield from found.changes
            if not found.changes:
                return
            since = found.next

    def document(self, id: str) -> bytes:
        """A conversation, byte for byte as it is kept. Needs `read`."""
        return self._asking.send("GET", f"conversations/{id}", headers=self._headers).content

    def document_if_changed(self, id: str, revision: str) -> bytes | None:
        """A conversation, or None if it still has this revision. Needs `read`."""
        headers = {**self._headers, "If-None-Match": f'"{revision}"'}
        answer = self._asking.send("GET", f"conversations/{id}", headers=headers)
        return None if answer.status_code == 304 else answer.content

    def attachment(self, sha256: str) -> bytes:
        """The bytes of an attachment. Needs `read`."""
        return self._asking.send("GET", f"attachments/{sha256}", headers=self._headers).content

    def search(self, words: str, *, limit: int = 20, **chosen: Any) -> list[values.Hit]:
        """The best places for words. chosen: as in `conversations`. Needs `read`."""
        return self._ask(_Found, "GET", "search", q=words, limit=limit, **chosen).hits

    def receipts(self) -> Iterator[values.Receipt]:
        """What operations brought, the newest first. Needs `read`."""
        before: str | None = None
        while True:
            found = self._ask(_Receipts, "GET", "receipts", limit=200, before=before)
            yield from found.receipts
            before = found.next
            if before is None:
                return

    # -------------------------------------------------------------- changing

    def edit(self, id: str, **fields: Any) -> values.Listed:
        """Change title, labels, starred or archived; None sets it back. Needs `write`."""
        return self._ask(values.Listed, "PATCH", f"conversations/{id}", fields)

    def trash(self, id: str) -> values.Listed:
        """Put a conversation into the trash. Needs `write`."""
        return self._ask(values.Listed, "PUT", f"conversations/{id}/trash")

    def untrash(self, id: str) -> values.Listed:
        """Take it out again. Needs `write`."""
        return self._ask(values.Listed, "DELETE", f"conversations/{id}/trash")

    def delete(self, id: str) -> None:
        """Delete a conversation for good. Needs `write`."""
        self._asking.send("DELETE", f"conversations/{id}", headers=self._headers)

    # -------------------------------------------------------------- long work

    def export(self, *, format: str = "json", selection: Mapping[str, Any] | None = None, **options: Any) -> values.Job:
        """Ask for an export as a zip. selection: ids, query, platforms … options: branches, times … Needs `export`."""
        wanted = {"format": format, "selection": dict(selection or {}), "options": options}
        return self._ask(values.Job, "POST", "exports", wanted)

    def back_up(self, connection: str) -> values.Job:
        """Ask for a backup. Needs `backup`."""
        return self._ask(values.Job, "POST", "backups", {"connection": connection})

    def restore(self, connection: str, **wanted: Any) -> values.Job:
        """Ask for conversations back. wanted: snapshot, as_of, conversations, replace, dry_run. Needs `restore`."""
        return self._ask(values.Job, "POST", "restores", {"connection": connection, **wanted})

    def job(self, id: int) -> values.Job:
        """A job as it is now. Needs `read`."""
        return self._ask(values.Job, "GET", f"jobs/{id}")

    def cancel(self, id: int) -> values.Job:
        """Ask a job to stop. Needs `write`."""
        return self._ask(values.Job, "POST", f"jobs/{id}/cancel")

    def wait(self, job: values.Job, *, timeout_s: float = 3600.0) -> values.Job:
        """The job once it has ended, however it did. Needs `read`. Raises ChatkeepError when it takes longer [s]."""
        waited, pause = 0.0, 0.2
        while not job.has_ended:
            if waited >= timeout_s:
                raise ChatkeepError(f"Job {job.id} is still {job.state} after {timeout_s:.0f} s.")
            self._sleep(pause)
            waited, pause = waited + pause, min(pause * 1.5, 5.0)
            job = self.job(job.id)
        return job

    def save_result(self, job: values.Job, path: str | Path) -> int:
        """Write the zip of an export to a file: its size [bytes]. Needs `export`."""
        answer = self._asking.send("GET", f"jobs/{job.id}/result", headers=self._headers)
        return Path(path).write_bytes(answer.content)

    # -------------------------------------------------------------- webhooks

    def webhooks(self) -> list[values.Webhook]:
        """Who is told of what. Needs `webhooks`."""
        return self._ask(_Webhooks, "GET", "webhooks").webhooks

    def add_webhook(self, url: str, events: Sequence[str]) -> values.Webhook:
        """Tell a URL of events; the answer has the secret, which is shown this once. Needs `webhooks`."""
        return self._ask(values.Webhook, "POST", "webhooks", {"url": url, "events": list(events)})

    def test_webhook(self, id: str) -> values.Delivery:
        """Send it a message of the event `ping`. Needs `webhooks`."""
        return self._ask(values.Delivery, "POST", f"webhooks/{id}/test")

    def deliveries(self, id: str) -> list[values.Delivery]:
        """The last messages to it. Needs `webhooks`."""
        return self._ask(_Deliveries, "GET", f"webhooks/{id}/deliveries").deliveries

    def remove_webhook(self, id: str) -> None:
        """Tell it nothing more. Needs `webhooks`."""
        self._asking.send("DELETE", f"webhooks/{id}", headers=self._headers)


class _HasId(msgspec.Struct):
    id: str


class _Page(msgspec.Struct):
    conversations: list[values.Listed]
    next: str | None


class _Changes(msgspec.Struct):
    changes: list[values.Change]
    next: int


class _Found(msgspec.Struct):
    hits: list[values.Hit]


class _Receipts(msgspec.Struct):
    receipts: list[values.Receipt]
    next: str | None


class _Connections(msgspec.Struct):
    connections: list[values.Connection]


class _Webhooks(msgspec.Struct):
    webhooks: list[values.Webhook]


class _Deliveries(msgspec.Struct):
    deliveries: list[values.Delivery]
