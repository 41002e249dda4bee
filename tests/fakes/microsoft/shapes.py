"""How Graph writes things down: items, errors, times."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fakes.microsoft.drive import Drive, GraphError, Item
from fakes.wire import Response

JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
_WORDS = {
    "accessDenied": "Access denied",
    "itemNotFound": "Item does not exist",
    "nameAlreadyExists": "The specified item name already exists.",
    "invalidRequest": "Invalid request",
    "resourceModified": "The resource has changed since the caller last read it; usually an eTag mismatch",
    "quotaLimitReached": "Insufficient Space Available",
    "activityLimitReached": "Too many requests",
    "notSupported": "The request is not supported by the system.",
    "invalidRange": "The specified byte range is invalid or unavailable.",
    "unauthenticated": "The caller is not authenticated.",
}


def stamp(seconds: float) -> str:
    """A moment as personal drives write it, with a fraction without trailing zeros."""
    written = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return written.rstrip("0").rstrip(".") + "Z"


def answer(status: int, body: Any = None, **headers: str) -> Response:
    written = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is None:
        return Response(status, written)
    return Response(status, {"Content-Type": JSON, **written}, json.dumps(body).encode())


def error(problem: GraphError, now: float) -> Response:
    """An error body. What is most specific stands innermost."""
    inner: dict[str, Any] = {"date": stamp(now)[:19], "request-id": "r-1", "client-request-id": "r-1"}
    if problem.inner:
        inner = {"code": problem.inner, **inner}
    message = _WORDS.get(problem.code, problem.code)
    body = {"error": {"code": problem.code, "message": message, "innerError": inner}}
    return Response(problem.status, {"Content-Type": JSON, **problem.headers}, json.dumps(body).encode())


def drive_id(drive: Drive, casing: str) -> str:
    """The id as one endpoint writes it: "upper", "lower", or "mixed" (personal drives are not consistent)."""
    if drive.kind == "business" or casing == "upper":
        return drive.id
    return drive.id.lower() if casing == "lower" else drive.id[:8] + drive.id[8:].lower()


def etag(drive: Drive, item: Item) -> str:
    if drive.kind == "business":
        return f'"{{{item.id[2:]}}},{item.etag}"'
    return f"a{item.id}.{item.etag}"


def ctag(drive: Drive, item: Item) -> str:
    return f'"c:{{{item.id[2:]}}},{item.ctag}"' if drive.kind == "business" else f"c{item.id}.{item.ctag}"


def described(drive: Drive, item: Item, *, hashed: bool, casing: str) -> dict[str, Any]:
    """An item as GET, listings and answers to writing give it, without its download address."""
    times = {"createdDateTime": stamp(item.created), "lastModifiedDateTime": stamp(item.modified)}
    body: dict[str, Any] = {
        "id": item.id,
        "name": item.name,
        "size": len(item.data or b""),
        "eTag": etag(drive, item),
        "cTag": ctag(drive, item),
        **times,
        "fileSystemInfo": {**times, **item.times},
        "webUrl": f"https://onedrive.example/{quote(drive.path(item))}",
    }
    if item.is_folder:
        body["folder"] = {"childCount": len(drive.children(item))}
        if drive.kind == "business":
            del body["cTag"]
    else:
        body["file"] = {"mimeType": "application/octet-stream"}
        if hashed:
            only = ("quickXorHash",) if drive.kind == "business" else tuple(item.hashes)
            body["file"]["hashes"] = {name: item.hashes[name] for name in only}
    if item.special:
        body["specialFolder"] = {"name": item.special}
    return body | _place(drive, item, casing)


def _place(drive: Drive, item: Item, casing: str) -> dict[str, Any]:
    place: dict[str, Any] = {"driveId": drive_id(drive, casing), "driveType": drive.kind}
    if not item.parent:
        return {"parentReference": place, "root": {}}
    above = drive.items[item.parent]
    place |= {"id": above.id, "path": f"/drive/root:{'/' * bool(above.parent)}{quote(drive.path(above))}"}
    return {"parentReference": place}


def chosen(body: dict[str, Any], select: str) -> dict[str, Any]:
    """What $select asked for; its names fold no case, and an annotation is a name like any other."""
    if not select:
        return body
    wanted = set(select.split(","))
    return {name: value for name, value in body.items() if name in wanted or name.startswith("@odata")}
