"""What a message of LibreChat says, as parts: its contents or its text, its files, what tools brought."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from chatkeep import exact
from chatkeep.importers import inline, media
from chatkeep.importers.blocks import Saying, read_block
from chatkeep.importers.fields import Json, take_list, take_text, take_whole
from chatkeep.model import Part

_MARKUP = "markdown"
_THINK = re.compile(r"\s*:::thinking\n(.*?)\n?:::\s*", re.DOTALL)
_SPACES = re.compile(r"\s+")


def parts_of(record: Json, saying: Saying) -> list[Part]:
    """The parts of a message, in the order in which it shows them; takes them out of it.

    `text` is the whole of older messages; beside `content` it is a copy, and stays when it says something else.
    """
    parts = [part for item in _contents(record) for part in _of_content(item, saying)]
    text = record.get("text")
    if type(text) is str:
        if not parts:
            parts = _of_text(text)
            del record["text"]
        elif _is_copy(text, parts):
            del record["text"]
    return [*parts, *_files(record, saying), *_attachments(record, saying)]


def _contents(record: Json) -> list[Any]:
    content = record.get("content")
    if type(content) is str and content and not record.get("text"):
        record["text"] = record.pop("content")
    return [item for item in take_list(record, "content") if item is not None]


def _of_text(text: str) -> list[Part]:
    think = _THINK.match(text)
    said = text[think.end() :] if think else text
    parts = [Part(type="thinking", text=think[1])] if think else []
    return [*parts, Part(type="text", markup=_MARKUP, text=said)] if said.strip() else parts


def _is_copy(text: str, parts: list[Part]) -> bool:
    said = "".join(part.text for part in parts if part.text)
    return _SPACES.sub("", text) in _SPACES.sub("", said)


# ------------------------------------------------------------------ contents


def _of_content(item: Any, saying: Saying) -> list[Part]:
    if type(item) is str:
        return _of_text(item)
    return read_block(item, saying, _BY_TYPE)


def _value(item: Json, name: str) -> tuple[str, Json] | None:
    """A text that stands by itself or as {"value": …}, and the rest of the block."""
    said, rest = item.get(name), {key: one for key, one in item.items() if key not in (name, "type")}
    if type(said) is dict and type(said.get("value")) is str:
        more = {key: one for key, one in said.items() if key != "value" and one not in (None, [], {})}
        return said["value"], rest | ({name: more} if more else {})
    return (said, rest) if type(said) is str else None


def _text(item: Json, _saying: Saying) -> list[Part] | None:
    found = _value(item, "text")
    if found is None:
        return None
    text, rest = found
    return [Part(type="text", markup=_MARKUP, text=text, unknown=rest)] if text.strip() or rest else []


def _think(item: Json, _saying: Saying) -> list[Part] | None:
    found = _value(item, "think")
    return [Part(type="thinking", text=found[0], unknown=found[1])] if found else None


def _error(item: Json, _saying: Saying) -> list[Part] | None:
    found = _value(item, "error") or _value(item, "text")
    return [Part(type="text", kind="error", markup="plain", text=found[0], unknown=found[1])] if found else None


def _tool_call(item: Json, saying: Saying) -> list[Part] | None:
    """A call and its result, which are one block here: of an agent, or of an assistant with a function inside."""
    call = item.get("tool_call")
    if type(call) is not dict:
        return None
    if type(call.get("code_interpreter")) is dict:
        return _code(call, call["code_interpreter"])
    inner = call.get("function")
    about = inner if type(inner) is dict else call
    name, given = about.get("name"), about.get("args", about.get("arguments"))
    if type(name) is not str:
        return None
    call_id, output = call.get("id"), about.get("output")
    call_id = call_id if type(call_id) is str else ""
    known = {"args", "arguments", "function", "id", "name", "output", "progress", "type"}
    rest = {key: one for key, one in (call | about).items() if key not in known and one not in (None, "", [], {})}
    made = Part(type="tool_call", call_id=call_id, name=name, unknown=rest, **_input(given))
    if type(output) is str and output:
        return [made, Part(type="tool_result", call_id=call_id, name=name, text=output)]
    if output in (None, "", [], {}):
        return [made]
    return [made, Part(type="tool_result", call_id=call_id, name=name, unknown={"output": output})]


def _input(given: Any) -> dict[str, Any]:
    """The fields of a tool call for what was given to it: an exact value where it is JSON, else the text."""
    if given is None or given == "":
        return {}
    if type(given) is not str:
        return {"input": given}
    try:
        value = exact.decode(exact.unmark(given).encode("utf-8", "surrogatepass"))
    except ValueError:
        return {"text": given}
    return {"input": value} if type(value) in (dict, list) else {"text": given}


def _code(call: Json, ran: Json) -> list[Part] | None:
    code, outputs, call_id = ran.get("input"), ran.get("outputs"), call.get("id")
    if type(code) is not str:
        return None
    call_id = call_id if type(call_id) is str else ""
    made = Part(type="tool_call", call_id=call_id, name="code_interpreter", language="python", text=code)
    if outputs in (None, "", [], {}):
        return [made]
    logs = [one.get("logs") for one in outputs if type(one) is dict] if type(outputs) is list else []
    text = "\n".join(one for one in logs if type(one) is str)
    rest = {} if type(outputs) is list and len(logs) == len(outputs) and None not in logs else {"outputs": outputs}
    return [made, Part(type="tool_result", call_id=call_id, name="code_interpreter", text=text, unknown=rest)]


def _image_file(item: Json, saying: Saying) -> list[Part] | None:
    image = item.get("image_file")
    return [_file(image, saying, kind="image")] if type(image) is dict else None


def _image_url(item: Json, saying: Saying) -> list[Part] | None:
    image = item.get("image_url")
    url = image.get("url") if type(image) is dict else image
    return [_file({"filepath": url}, saying, kind="image")] if type(url) is str else None


def _handed_over(item: Json, _saying: Saying) -> list[Part] | None:
    """A mark that another agent goes on from here; it says nothing by itself."""
    return [Part(type="unknown", kind="agent_update", raw=item)] if "agent_update" in item else None


_BY_TYPE: dict[str, Callable[[Json, Saying], list[Part] | None]] = {
    "agent_update": _handed_over,
    "error": _error,
    "image_file": _image_file,
    "image_url": _image_url,
    "text": _text,
    "think": _think,
    "tool_call": _tool_call,
}


# ------------------------------------------------------------------ files


def _files(record: Json, saying: Saying) -> list[Part]:
    listed = take_list(record, "files")
    odd = [item for item in listed if type(item) is not dict]
    if odd:
        record["files"] = odd
    return [_file(item, saying) for item in listed if type(item) is dict]


def _attachments(record: Json, saying: Saying) -> list[Part]:
    """What tools brought: files, and the pages that a search found."""
    parts: list[Part] = []
    odd = []
    for item in take_list(record, "attachments"):
        if type(item) is dict and item.get("type") == "web_search" and type(item.get("web_search")) is dict:
            parts += _found(item)
        elif type(item) is dict and ("file_id" in item or "filepath" in item or "filename" in item):
            parts.append(_file(item, saying))
        else:
            odd.append(item)
    if odd:
        record["attachments"] = odd
    return parts


def _found(item: Json) -> list[Part]:
    """A citation for each page that a search found; what else it brought stays with the first."""
    search = item["web_search"]
    pages = [page for page in take_list(search, "organic") if type(page) is dict]
    rest: Json = {key: one for key, one in item.items() if one not in (None, "", [], {})}
    parts = []
    for page in pages:
        title, url, text = take_text(page, "title"), take_text(page, "link"), take_text(page, "snippet")
        if not url.startswith(("http://", "https://")):
            page, url = page | {"link": url}, ""
        parts.append(Part(type="citation", text=text, title=title, url=url, unknown=page | rest))
        rest = {}
    return parts or [Part(type="unknown", kind="web_search", raw=item)]


def _file(item: Json, saying: Saying, *, kind: str = "") -> Part:
    """A file that was given or made; of exports only those that lie in their address have their bytes."""
    source_id, name = take_text(item, "file_id"), take_text(item, "filename")
    declared = item.get("type")
    declared = take_text(item, "type") if type(declared) is str and "/" in declared else ""
    size, text, path = take_whole(item, "bytes"), take_text(item, "text"), item.get("filepath")
    called = name or (path if type(path) is str and not inline.is_data(path) else "")
    fields = inline.attached(path, saying.keep, name=called, declared=declared, size=size)
    if "sha256" in fields:
        del item["filepath"]
    return Part(
        type="attachment",
        kind=kind or media.kind(fields["media_type"]),
        name=name,
        source_id=source_id,
        transcript=text,
        unknown={key: one for key, one in item.items() if one not in (None, "", [], {})},
        **fields,
    )
