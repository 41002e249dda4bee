"""How calls to Dropbox look: where a style has its argument, what an argument must be, and how answers are written."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fakes.dropbox_tree import Wrong
from fakes.wire import Request, Response

NEW_PATH = re.compile(r"/(.|[\r\n])*")
ANY_PATH = re.compile(r"/(.|[\r\n])*|id:.+|rev:[0-9a-f]{9,}")
FOLDER_PATH = re.compile(r"(/(.|[\r\n])*)?|id:.+")


class Bad(Exception):
    """A call that means nothing to Dropbox: answered with 400 and plain words."""


@contextlib.contextmanager
def under(tag: str) -> Iterator[None]:
    """What is wrong in here is told as a case of the tag."""
    try:
        yield
    except Wrong as wrong:
        raise Wrong(tag, *wrong.tags, **wrong.more) from None


def as_error(wrong: Wrong) -> dict[str, Any]:
    """The tags of an error, each inside the one before, as the wire has them."""
    more = dict(wrong.more)
    outermost = more.pop("_outermost", None)  # its case stands under "reason", beside more fields of its own
    *outer, last = wrong.tags[1:] if outermost is not None else wrong.tags
    told: dict[str, Any] = {".tag": last} | more
    for tag in reversed(outer):
        told = {".tag": tag, tag: told}
    if outermost is not None:
        told = {".tag": "path", "reason": told, **outermost}
    return told


def as_json(value: Any, status: int = 200) -> Response:
    return Response(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def as_text(status: int, text: str) -> Response:
    return Response(status, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())


def argument_of(request: Request, style: str, known: Mapping[str, bool]) -> dict[str, Any]:
    """The argument of a call, from where its style has it. Raises Bad unless it is exactly what is asked for."""
    text = _argument_text(request, style, takes=bool(known))
    try:
        arg = json.loads(text)
    except ValueError:
        raise Bad("could not decode input as JSON") from None
    if arg is None and not known:
        return {}
    if not isinstance(arg, dict):
        raise Bad("request body: expected object")
    for name, needed in known.items():
        if needed and name not in arg:
            raise Bad(f"request body: missing required field '{name}'")
    for name in arg:
        if name not in known:
            raise Bad(f"request body: unknown field '{name}'")
    return arg


def _argument_text(request: Request, style: str, *, takes: bool) -> str:
    kind = request.headers.get("content-type", "")
    if style in ("rpc", "longpoll"):
        if not kind and not request.body and not takes:
            return "null"
        if kind.partition(";")[0] != "application/json":
            raise Bad(f'Bad HTTP "Content-Type" header: "{kind}". Expecting one of "application/json".')
        return request.body.decode()
    allowed = ("application/octet-stream",) if style == "upload" else ("", "application/octet-stream", "text/plain")
    if kind.partition(";")[0] not in allowed:
        raise Bad(f'Bad HTTP "Content-Type" header: "{kind}". Expecting one of "application/octet-stream".')
    if style == "download" and request.body:
        raise Bad("This function does not take a body.")
    text = request.headers.get("dropbox-api-arg") or request.fields().get("arg")
    if text is None:
        raise Bad('Must provide HTTP header "Dropbox-API-Arg" or URL parameter "arg".')
    if len(text) > 8192:
        raise Bad("Request header or address too long.")
    if "dropbox-api-arg" in request.headers and not all(" " <= character <= "~" for character in text):
        raise Bad('HTTP header "Dropbox-API-Arg": characters outside of ASCII must be escaped.')
    return text


def path_of(arg: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    path = arg.get(name)
    if not isinstance(path, str) or not pattern.fullmatch(path):
        raise Bad(f"request body: {name}: did not match pattern '{pattern.pattern}'")
    return re.sub("^//+|(?<=.)//+", "/", path) if path.startswith("/") else path


def entries_of(arg: dict[str, Any]) -> list[dict[str, Any]]:
    entries = arg["entries"]
    if not isinstance(entries, list) or not 1 <= len(entries) <= 1000:
        raise Bad("request body: entries: must have from 1 to 1000 items")
    return entries


def one_of_many(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """How one of many went."""
    try:
        return {".tag": "success", **call()}
    except Wrong as wrong:
        return {".tag": "failure", "failure": as_error(wrong)}


def tag_of(union: Any) -> str:
    """The tag of a union, which may be given as a bare string where it has nothing more to say."""
    found = union if isinstance(union, str) else union.get(".tag") if isinstance(union, dict) else None
    if not isinstance(found, str):
        raise Bad("request body: a union without its .tag")
    return found


def mode_of(commit: dict[str, Any]) -> str:
    """add, overwrite, or the revision that must be there."""
    mode = commit.get("mode", "add")
    tag = tag_of(mode)
    if tag == "update":
        if not isinstance(mode, dict) or not re.fullmatch("[0-9a-f]{9,}", str(mode.get("update"))):
            raise Bad("request body: mode: update: expected a revision")
        return str(mode["update"])
    if tag not in ("add", "overwrite"):
        raise Bad("request body: mode: unknown tag")
    return tag


def ranged(asked: str, data: bytes, headers: dict[str, str]) -> Response:
    """All the bytes, or those that a Range asks for."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked)
    if not found or found.groups() == ("", ""):
        return Response(200, headers, data)
    first, last = found.groups()
    start = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last) + 1 if first and last else len(data), len(data))
    if start >= len(data):
        return Response(416, {"Content-Range": f"bytes */{len(data)}"})
    return Response(206, headers | {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"}, data[start:end])
