"""What a message of Open WebUI says, as parts: its text and what is folded into it, its outputs, sources and files.

Reasoning, tool calls and code that a model ran stand in the text as `<details type="…">`, and since 2026 also in
`output`, item by item. Where both are there, `output` counts, and the text stays only if it says something else.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

from chatkeep import exact
from chatkeep.importers import inline, media
from chatkeep.importers.blocks import Saying, read_block
from chatkeep.importers.fields import Json, take_list, take_text, take_whole
from chatkeep.model import Part

_FOLD = re.compile('<details type="(reasoning|tool_calls|code_interpreter)"')
_END = "</details>"
_SUMMARY = re.compile(r"\s*<summary>([^<]*)</summary>\n?")
_ATTRIBUTE = re.compile(r'(?<![a-z_])([a-z_]{1,40})="([^"]*)"')
_THINK = re.compile(r"\s*<(think|thinking|reason|reasoning|thought)>(.*?)</\1>\s*", re.DOTALL)
_FENCED = re.compile(r"\s*```([\w+-]*)\n(.*?)\n?```\s*", re.DOTALL)
_SPACES = re.compile(r"\s+")
_MARKUP = "markdown"


def parts_of(record: Json, saying: Saying) -> list[Part]:
    """The parts of a message, in the order in which it shows them; takes them out of it."""
    files = _files(record, saying)
    outputs = _listed(record, "output", saying) or _listed(record, "content_blocks", saying)
    said = _content(record, outputs, saying)
    return [*(outputs or said), *_merged(record), *_error(record), *_cited(record), *files]


# ------------------------------------------------------------------ the text


def _content(record: Json, outputs: list[Part], saying: Saying) -> list[Part]:
    content = record.get("content")
    if type(content) is list:
        del record["content"]
        return [part for item in content for part in _of_list(item, saying)]
    if type(content) is not str:
        return []
    if not outputs:
        del record["content"]
        return folded(content)
    if _is_copy(content, outputs):
        del record["content"]
    return []


def folded(content: str) -> list[Part]:
    """The parts of a text with what is folded into it taken out: reasoning, tool calls, code that was run.

    In one pass, however many folds begin and never end.
    """
    parts: list[Part] = []
    at = 0
    if think := _THINK.match(content):
        parts.append(Part(type="thinking", text=think[2].strip("\n")))
        at = think.end()
    while found := _FOLD.search(content, at):
        opened = content.find(">", found.end())
        closed = content.find(_END, opened) if opened >= 0 else -1
        if closed < 0:
            break
        parts += _text(content[at : found.start()].strip("\n"))
        summary = _SUMMARY.match(content, opened + 1, closed)
        attributes = dict(_ATTRIBUTE.findall(content[found.end() : opened]))
        body = content[summary.end() if summary else opened + 1 : closed]
        parts += _FOLDED[found[1]](attributes, summary[1] if summary else "", body)
        at = closed + len(_END)
    return parts + _text(content[at:].strip("\n") if parts else content)


def _text(text: str) -> list[Part]:
    return [Part(type="text", markup=_MARKUP, text=text)] if text.strip() else []


def _unescaped(text: str) -> str:
    """The text that was escaped to stand in a page; as it is where it was not escaped by that rule."""
    plain = html.unescape(text)
    return plain if html.escape(plain) == text or html.escape(plain, quote=False) == text else text


def _reasoning(attributes: dict[str, str], summary: str, body: str) -> list[Part]:
    lines = _unescaped(body.strip("\n")).split("\n")
    is_quote = all(line.startswith(">") for line in lines if line)
    text = "\n".join(re.sub("^> ?", "", line) for line in lines) if is_quote else "\n".join(lines)
    attributes.pop("done", None)
    return [Part(type="thinking", text=text, title=_unescaped(summary), unknown=_exact(attributes))]


def _tool_calls(attributes: dict[str, str], summary: str, body: str) -> list[Part]:
    call_id, name = attributes.pop("id", ""), _unescaped(attributes.pop("name", ""))
    given, result = attributes.pop("arguments", None), attributes.pop("result", None)
    attributes.pop("done", None)
    rest = _exact(attributes | ({"summary": _unescaped(summary)} if summary else {}))
    call = Part(type="tool_call", call_id=call_id, name=name, unknown=rest, **_input(_unwrapped(given or "")))
    said = _unwrapped(result) if result is not None else _unescaped(body.strip("\n"))
    return [call, Part(type="tool_result", call_id=call_id, name=name, text=said)] if said else [call]


def _ran(attributes: dict[str, str], summary: str, body: str) -> list[Part]:
    output = attributes.pop("output", None)
    attributes.pop("done", None)
    fence = _FENCED.fullmatch(body)
    language, code = (fence[1], fence[2]) if fence else ("", body.strip("\n"))
    rest = _exact(attributes | ({"summary": _unescaped(summary)} if summary else {}))
    call = Part(type="tool_call", name="code_interpreter", language=language, text=code, unknown=rest)
    return [call, Part(type="tool_result", name="code_interpreter", text=_unescaped(output))] if output else [call]


_FOLDED: dict[str, Callable[[dict[str, str], str, str], list[Part]]] = {
    "reasoning": _reasoning,
    "tool_calls": _tool_calls,
    "code_interpreter": _ran,
}


def _exact(attributes: dict[str, str]) -> Json:
    return {name: _unescaped(value) for name, value in attributes.items() if value}


def _unwrapped(text: str) -> str:
    """The text of an attribute: escaped, and often a JSON string, sometimes in another."""
    plain = exact.unmark(_unescaped(text))
    for _ in range(2):
        try:
            value = json.loads(plain, strict=False)
        except (ValueError, RecursionError):
            break
        if not isinstance(value, str):
            break
        plain = value
    return exact.mark(plain)


def _input(text: str) -> dict[str, Any]:
    """The fields of a tool call for what was given to it: an exact value where it is JSON, else the text."""
    if not text:
        return {}
    try:
        value = exact.decode(exact.unmark(text).encode("utf-8", "surrogatepass"))
    except ValueError:
        return {"text": text}
    return {"input": value} if type(value) in (dict, list) else {"text": text}


# ------------------------------------------------------------------ lists of blocks


def _listed(record: Json, name: str, saying: Saying) -> list[Part]:
    """The parts of a list of outputs or blocks; the list stays where it gives none."""
    listed = record.get(name)
    if type(listed) is not list:
        return []
    parts = [part for item in listed for part in _of_list(item, saying)]
    if parts or not listed:
        del record[name]
    return parts


def _of_list(item: Any, saying: Saying) -> list[Part]:
    if type(item) is str:
        return _text(item)
    return read_block(item, saying, _BY_TYPE)


def _output_text(item: Json, saying: Saying) -> list[Part] | None:
    if type(item.get("text")) is not str:
        return None
    text, rest = item["text"], _rest(item, "text", "type")
    return [Part(type="text", markup=_MARKUP, text=text, unknown=rest)] if text or rest else []


def _block_text(item: Json, saying: Saying) -> list[Part] | None:
    """A text of a message (`text`), or a block of older chats (`content`)."""
    if type(item.get("content")) is str and "text" not in item:
        return [Part(type="text", markup=_MARKUP, text=item["content"], unknown=_rest(item, "content", "type"))]
    return _output_text(item, saying)


def _message(item: Json, saying: Saying) -> list[Part] | None:
    content = item.get("content")
    if type(content) is not list:
        return None
    rest = _rest(item, "content", "role", "type")
    parts = [part for inner in content for part in _of_list(inner, saying)]
    if parts and rest:
        parts[0] = msgspec.structs.replace(parts[0], unknown=parts[0].unknown | {"message": rest})
    return parts if parts or not rest else None


def _thought(item: Json, saying: Saying) -> list[Part] | None:
    content, summary = item.get("content"), item.get("summary")
    texts = _texts(content)
    if texts is None:
        return None
    rest = _rest(item, "content", "type")
    told = _texts(summary) if summary else None
    if told and not texts:
        texts = told
        del rest["summary"]
    return [Part(type="thinking", text="\n\n".join(texts), unknown=rest)]


def _texts(content: Any) -> list[str] | None:
    """The texts of a text, or of a list of texts; None when it holds anything else."""
    if content is None:
        return []
    if type(content) is str:
        return [content]
    found = [item.get("text") if type(item) is dict else None for item in content] if type(content) is list else [None]
    texts = [text for text in found if type(text) is str]
    return texts if len(texts) == len(found) else None


def _call(item: Json, saying: Saying) -> list[Part] | None:
    given = item.get("arguments")
    name, call_id = item.get("name"), item.get("call_id", item.get("id"))
    if type(name) is not str or type(call_id) is not str:
        return None
    fields = _input(given) if type(given) is str else {} if given is None else {"input": given}
    rest = _rest(item, "arguments", "call_id", "name", "type")
    return [Part(type="tool_call", call_id=call_id, name=name, unknown=rest, **fields)]


def _call_output(item: Json, saying: Saying) -> list[Part] | None:
    call_id, output = item.get("call_id"), item.get("output")
    if type(call_id) is not str:
        return None
    rest = _rest(item, "call_id", "output", "type")
    texts = _texts(output)
    if texts is not None:
        return [Part(type="tool_result", call_id=call_id, text="\n\n".join(texts), unknown=rest)]
    inner = [part for one in output for part in _of_list(one, saying)] if type(output) is list else []
    if not inner:
        return None
    return [Part(type="tool_result", call_id=call_id, parts=tuple(inner), unknown=rest)]


def _image(item: Json, saying: Saying) -> list[Part] | None:
    url = item.get("image_url")
    url = url.get("url") if type(url) is dict else url
    if type(url) is not str:
        return None
    return [_file({"type": "image", "url": url} | _rest(item, "image_url", "type"), saying)]


def _block_calls(item: Json, saying: Saying) -> list[Part] | None:
    """A block of tool calls in older chats: `content` has the calls, `results` what came of them."""
    calls, results = item.get("content"), item.get("results", [])
    if type(calls) is not list or type(results) is not list:
        return None
    parts = []
    for one in calls:
        function = one.get("function") if type(one) is dict else None
        if type(function) is not dict or type(function.get("name")) is not str or type(one.get("id")) is not str:
            return None
        given = function.get("arguments")
        rest = _rest(one, "function", "id", "index", "type") | _rest(function, "arguments", "name")
        fields = _input(given) if type(given) is str else {} if given is None else {"input": given}
        parts.append(Part(type="tool_call", call_id=one["id"], name=function["name"], unknown=rest, **fields))
    for one in results:
        if type(one) is not dict or type(one.get("content")) is not str or type(one.get("tool_call_id")) is not str:
            return None
        rest = _rest(one, "content", "tool_call_id")
        parts.append(Part(type="tool_result", call_id=one["tool_call_id"], text=one["content"], unknown=rest))
    return parts


def _rest(item: Json, *known: str) -> Json:
    """What of a block is not understood; empty fields and what all of its kind have say nothing."""
    return {
        name: value
        for name, value in item.items()
        if name not in known and value not in (None, "", [], {}) and value != _USUAL.get(name)
    }


_USUAL = {"start_tag": "<think>", "end_tag": "</think>", "status": "completed"}


_BY_TYPE: dict[str, Callable[[Json, Saying], list[Part] | None]] = {
    "function_call": _call,
    "function_call_output": _call_output,
    "image_url": _image,
    "input_image": _image,
    "input_text": _output_text,
    "message": _message,
    "output_text": _output_text,
    "reasoning": _thought,
    "text": _block_text,
    "tool_calls": _block_calls,
}


def _is_copy(content: str, outputs: list[Part]) -> bool:
    """Whether the text only repeats the outputs, folded or not."""
    said = _squeezed(" ".join(_words(outputs)))
    return all(_squeezed(word) in said for part in folded(content) for word in _words([part]))


def _words(parts: list[Part]) -> list[str]:
    return [part.text for part in parts if part.text] + [part.name for part in parts if part.name]


def _squeezed(text: str) -> str:
    return _SPACES.sub("", text).strip('"')


# ------------------------------------------------------------------ what stands beside the text


def _merged(record: Json) -> list[Part]:
    """The one answer that was made of those of several models."""
    merged = record.get("merged")
    if type(merged) is not dict or type(merged.get("content")) is not str or not merged["content"].strip():
        return []
    text, rest = merged["content"], _rest(merged, "content", "status")
    del record["merged"]
    return [Part(type="text", kind="merged", markup=_MARKUP, text=text, unknown=rest)]


def _error(record: Json) -> list[Part]:
    """What went wrong, in the words that Open WebUI shows."""
    error = record.get("error")
    text = error.get("content") if type(error) is dict else error
    return [Part(type="text", kind="error", markup="plain", text=text)] if type(text) is str and text.strip() else []


def _cited(record: Json) -> list[Part]:
    parts: list[Part] = []
    for name in ("sources", "citations"):
        listed = take_list(record, name)
        odd = [item for item in listed if type(item) is not dict]
        if odd:
            record[name] = odd
        parts += [part for item in listed if type(item) is dict for part in _source(item)]
    return parts


def _source(item: Json) -> list[Part]:
    """A citation for each passage of a source."""
    source = item.get("source")
    source = source if type(source) is dict else {}
    texts, facts = take_list(item, "document"), take_list(item, "metadata")
    name, address = source.get("name"), source.get("url")
    name = name if type(name) is str else ""
    if not source:
        item.pop("source", None)
    parts = []
    for at in range(max(len(texts), len(facts), 1)):
        text = texts[at] if at < len(texts) else ""
        about = facts[at] if at < len(facts) else {}
        rest: Json = {} if at else item
        if type(text) is not str:
            rest, text = rest | {"document": text}, ""
        if type(about) is not dict:
            rest, about = rest | {"metadata": about}, {}
        link = _link(about.get("source"), about.get("url"), address, name)
        title = take_text(about, "title") or take_text(about, "name") or name
        about = {key: value for key, value in about.items() if value != link}
        rest = rest | ({"metadata": about} if about and "metadata" not in rest else {})
        parts.append(Part(type="citation", text=text, title=title, url=link, unknown=rest))
    return parts


def _link(*values: Any) -> str:
    """The first of these that is an address in the web."""
    return next((one for one in values if type(one) is str and one.startswith(("http://", "https://"))), "")


def _files(record: Json, saying: Saying) -> list[Part]:
    listed = take_list(record, "files")
    odd = [item for item in listed if type(item) is not dict]
    if odd:
        record["files"] = odd
    return [_file(item, saying) for item in listed if type(item) is dict]


def _file(item: Json, saying: Saying) -> Part:
    """A file that was given or made: its bytes where they lie in its address, else its name and its text."""
    about = item.get("file")
    about = about if type(about) is dict else {}
    meta = about.get("meta")
    meta = meta if type(meta) is dict else {}
    held = about.get("data")
    held = held if type(held) is dict else {}
    kind, url = item.get("type"), item.get("url")
    source_id = take_text(item, "id") or take_text(about, "id")
    name = take_text(item, "name") or take_text(about, "filename") or take_text(meta, "name")
    declared = take_text(item, "content_type") or take_text(meta, "content_type")
    size = take_whole(item, "size")
    transcript = take_text(held, "content")
    for box, key, inner in ((about, "data", held), (about, "meta", meta), (item, "file", about)):
        if inner == {} and key in box:
            del box[key]
    if kind in ("file", "image"):
        del item["type"]
    fields = inline.attached(url, saying.keep, name=name, declared=declared, size=size)
    if "sha256" in fields:
        del item["url"]
    elif not source_id and type(url) is str and not inline.is_data(url):
        source_id = url.rstrip("/").removesuffix("/content").rpartition("/")[2]
    return Part(
        type="attachment",
        kind="image" if kind == "image" else media.kind(fields["media_type"]),
        name=name,
        source_id=source_id,
        transcript=transcript,
        unknown={key: value for key, value in item.items() if value is not None},
        **fields,
    )
