"""Conversations: listed, read, searched, pushed, edited, put away."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.http import HttpResponse, HttpResponseNotModified
from ninja import Path, Query, Router, Status

from chatkeep import operations
from chatkeep.api import house, reading, values
from chatkeep.api.problems import ApiError, problem, status_of
from chatkeep.api.pushing import Taken, push
from chatkeep.api.routes.frame import READ, WRITE, Asked, archive_of, raw_answer, raw_body
from chatkeep.api.values import Id
from chatkeep.archive import Archive, Hit
from chatkeep.errors import ChatkeepError, NotFound
from chatkeep.model import revision
from chatkeep.records import Loaded

router = Router(tags=["conversations"])
_DOCUMENT = {"$ref": "#/components/schemas/Document"}
_ETAG = {"ETag": {"description": "The revision, in quotes.", "schema": {"type": "string"}}}
_CONVERSATION = raw_answer({"application/json": {"schema": _DOCUMENT}}, "The canonical bytes of the document.", _ETAG)


@router.get("/conversations", auth=READ, response=values.Page)
def list_conversations(request: Asked, query: Query[values.Listing]) -> Any:
    """List conversations, the newest first. What is not written to meanwhile comes once, whatever else changes."""
    time, _, id = (query.cursor or "").rpartition("~")
    after = (time, id) if query.cursor else None
    found, ends = archive_of(request).page(query.selection(), limit=query.limit, after=after)
    return {"conversations": reading.as_plain(found), "next": "~".join(ends) if ends else None}


@router.get("/changes", auth=READ, response=values.Changes)
def list_changes(request: Asked, query: Query[values.ChangesQuery]) -> Any:
    """List what changed since a number, for programs that keep up. What changes again comes again."""
    found = archive_of(request).changes_since(query.since, limit=query.limit)
    return {"changes": reading.as_plain(found), "next": found[-1].number if found else query.since}


@router.post(
    "/conversations",
    auth=WRITE,
    response=values.Batch,
    openapi_extra=raw_body(
        {
            "application/json": {
                "schema": {
                    "type": "array",
                    "maxItems": reading.MOST_ITEMS,
                    "items": {"anyOf": [_DOCUMENT, {"$ref": "#/components/schemas/Native"}]},
                }
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
        "Documents, or conversations as their platform has them; up to 1,000.",
    ),
)
def push_conversations(request: Asked) -> Any:
    """Bring conversations in, each by merging. Each is taken whole or not at all; a bad one holds up no other.

    Repeating it changes nothing.
    """
    archive = archive_of(request)
    house.refuse_without_room(request.access.archive_id, bytes=len(request.payload))
    content_type = (request.content_type or "").lower()
    read = [_read(raw, archive) for raw in reading.items(request.payload, content_type)]
    taken = iter(push(request.access.archive_id, _source(request), [one for one in read if isinstance(one, Loaded)]))
    results = [_item(index, one, taken) for index, one in enumerate(read)]
    counts = Counter(one["outcome"] for item in results for one in item["conversations"])
    return {
        **{name: counts[name] for name in ("added", "updated", "unchanged", "gone")},
        "refused": sum(1 for item in results if item["problem"]),
        "receipt": next((item["receipt"] for item in results if item["receipt"]), ""),
        "results": results,
    }


def _read(raw: bytes, archive: Archive) -> Loaded | ChatkeepError:
    try:
        return reading.read_item(raw, archive.keep)
    except ChatkeepError as error:
        if status_of(error) >= 500:
            raise
        return error


def _item(index: int, read: Loaded | ChatkeepError, taken: Any) -> dict[str, Any]:
    if isinstance(read, ChatkeepError):
        told = reading.as_plain(problem(status_of(read), read.what, read.hint))
        return {"index": index, "conversations": [], "problems": [], "problem": told, "receipt": ""}
    one: Taken = next(taken)
    refused = None
    if not one.conversations:
        refused = reading.as_plain(problem(422, "No conversation is in it.", "The problems say what was found."))
    return {"index": index, "problem": refused, **reading.as_plain(one)}


def _source(request: Asked) -> str:
    return f"pushed by {request.access.name}"


@router.get(
    "/conversations/{id}",
    auth=READ,
    openapi_extra={
        "responses": {200: _CONVERSATION, 304: {"description": "It is what If-None-Match says."}},
        "parameters": [
            {
                "in": "header",
                "name": "If-None-Match",
                "required": False,
                "description": "The ETag that is known.",
                "schema": {"type": "string", "pattern": '^(W/)?"[!#-~]*"$'},
            }
        ],
    },
)
def get_conversation(request: Asked, id: Path[Id]) -> HttpResponse:
    """Give a conversation: its document, byte for byte as it is kept. The ETag is its revision."""
    archive = archive_of(request)
    tag = f'"{_revision(archive, id)}"'
    known = request.headers.get("If-None-Match", "")
    if known.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in known.split(",")]:
        return HttpResponseNotModified(headers={"ETag": tag})
    data = archive.document(id)
    return HttpResponse(data, content_type="application/json", headers={"ETag": f'"{revision(data)}"'})


def _revision(archive: Archive, id: str) -> str:
    """The revision of a conversation that is here. Raises NotFound."""
    found = archive.revisions([id])
    if id not in found:
        raise NotFound("There is no such conversation in the archive.")
    return found[id]


@router.put(
    "/conversations/{id}",
    auth=WRITE,
    response={200: values.Pushed, 201: values.Pushed},
    openapi_extra=raw_body({"application/json": {"schema": _DOCUMENT}}, "The document; its id is that of the address."),
)
def put_conversation(request: Asked, id: Path[Id]) -> Any:
    """Bring one document in, by merging it into what is here. Nothing fuller is replaced by something emptier.

    Repeating it changes nothing. 201: it was not here before.
    """
    reading.refuse_shape(request.payload)
    document = reading.read_document(request.payload)
    house.refuse_without_room(request.access.archive_id, bytes=len(request.payload))
    if document.id != id:
        raise ApiError(409, "The document has another id than the address.", hint="Put it under its own id.")
    [taken] = push(request.access.archive_id, _source(request), [Loaded((document,))])
    [became] = taken.conversations
    body = {**reading.as_plain(became), "receipt": taken.receipt}
    return Status(201 if became.outcome == "added" else 200, body)


@router.patch("/conversations/{id}", auth=WRITE, response=values.Listed)
def edit_conversation(request: Asked, id: Path[Id], edits: values.Edits) -> Any:
    """Change what people may change: title, labels, star, archived. What the platform said is kept below it."""
    archive = archive_of(request)
    _revision(archive, id)
    for name, value in edits.model_dump(exclude_unset=True).items():
        archive.edit(id, name, value)
    return reading.as_plain(archive.listed(id))


@router.delete("/conversations/{id}", auth=WRITE, response={204: None})
def delete_conversation(request: Asked, id: Path[Id]) -> Any:
    """Delete a conversation for good, here and by the next sync on every device. Old backups have it until they go."""
    archive = archive_of(request)
    _revision(archive, id)
    operations.delete(archive, [id])
    return Status(204, None)


@router.put("/conversations/{id}/trash", auth=WRITE, response=values.Listed)
def trash_conversation(request: Asked, id: Path[Id]) -> Any:
    """Put a conversation into the trash. After thirty days there it is deleted."""
    archive = archive_of(request)
    _revision(archive, id)
    if not archive.listed(id).trashed:
        operations.trash(archive, [id])
    return reading.as_plain(archive.listed(id))


@router.delete("/conversations/{id}/trash", auth=WRITE, response=values.Listed)
def untrash_conversation(request: Asked, id: Path[Id]) -> Any:
    """Take a conversation out of the trash."""
    archive = archive_of(request)
    _revision(archive, id)
    if archive.listed(id).trashed:
        operations.untrash(archive, [id])
    return reading.as_plain(archive.listed(id))


@router.get("/conversations/{id}/messages", auth=READ, response=values.Messages)
def list_messages(request: Asked, id: Path[Id], query: Query[values.MessagesQuery]) -> Any:
    """Give a part of a conversation: messages of the path that is shown, or of another one."""
    archive = archive_of(request)
    _revision(archive, id)
    window = archive.window(id, leaf=query.leaf or "", start=query.start, count=query.limit)
    return reading.as_plain(window)


@router.get("/search", auth=READ, response=values.Found)
def search(request: Asked, query: Query[values.SearchQuery]) -> Any:
    """Find words in all conversations, the best first; those in the trash are not found."""
    narrowed = query.model_copy(update={"q": ""}).selection()
    found = archive_of(request).search(query.q, selection=narrowed, limit=query.limit, offset=query.start)
    return {"total": found.total, "exact": found.exact, "hits": [_hit(hit) for hit in found.hits]}


def _hit(hit: Hit) -> dict[str, Any]:
    pieces = [{"text": text, "match": match} for text, match in hit.snippet.pieces]
    return {**reading.as_plain(hit), "snippet": pieces}
