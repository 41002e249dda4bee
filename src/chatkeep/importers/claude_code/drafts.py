"""Messages in the making: lines of a transcript put together to what a person sees as one message."""

from __future__ import annotations

from typing import Any

from chatkeep import exact
from chatkeep.importers.claude_code import injected
from chatkeep.importers.claude_code.blocks import Blocks, slimmed, texts_in
from chatkeep.importers.claude_code.tree import Node
from chatkeep.importers.fields import Json, take_text
from chatkeep.model import Part, Participant, fingerprint, from_iso

PERSON = Participant(id="human", role="person")
CLAUDE = Participant(id="assistant", name="Claude", role="assistant")
CALLER = Participant(id="caller", name="Claude, in the main session", role="assistant")
TOOL = Participant(id="tool", role="tool")
PROGRAM = Participant(id="system", name="Claude Code", role="system")

# The same in nearly every line: kept once with the conversation, and with a message where it differs from that.
CONSTANT = ("cwd", "entrypoint", "gitBranch", "slug", "userType", "version")
_LINKS = ("isSidechain", "parentUuid", "sessionId", "type", "uuid", "agentId", "logicalParentUuid")
_SYNTHETIC = "<synthetic>"


class Draft(Node):
    """One message. key: what its id is made of; uuids, stamps: of the lines it consists of; stamp: RFC 3339 or "".

    versions: other lines of the same uuid that say something else.
    above_id: the uuid of the line it follows; None when the line says that nothing comes before; "" when it says
    nothing at all.
    """

    __slots__ = (
        "above_id",
        "agent",
        "author",
        "hidden",
        "key",
        "linked",
        "model",
        "order",
        "parts",
        "prompt",
        "raw",
        "stamp",
        "stamps",
        "status",
        "unknown",
        "uuids",
        "versions",
    )

    def __init__(self, number: int, line: Json, *, author: Participant, spoken: bool) -> None:
        super().__init__(number, spoken=spoken)
        self.author = author
        self.stamp = from_iso(line.get("timestamp"))
        if self.stamp or line.get("timestamp") is None:
            line.pop("timestamp", None)
        self.stamps = [self.stamp]
        self.above_id: str | None = above_of(line)
        uuid = line.get("uuid")
        self.uuids: list[str] = [uuid] if type(uuid) is str and uuid else []
        self.key = self.uuids[0] if self.uuids else ""
        self.agent = ""
        self.hidden = False
        self.linked = False
        self.model = ""
        self.order = 0
        self.parts: list[Part] = []
        self.prompt = ""
        self.raw = ""
        self.status = ""
        self.unknown: Json = {}
        self.versions: list[Draft] = []


def above_of(line: Json) -> str | None:
    """The uuid of the line that a line follows, across a compaction too."""
    for name in ("parentUuid", "logicalParentUuid"):
        if type(value := line.get(name)) is str and value:
            return value
    return None if "parentUuid" in line and line.get("subtype") != "compact_boundary" else ""


def left_of(line: Json, constants: Json) -> Json:
    """What of a line is not understood: all but its links and what is the same in the whole session."""
    return {
        name: value
        for name, value in line.items()
        if name not in _LINKS and not (name in CONSTANT and constants.get(name) == value)
    }


def from_user(number: int, line: Json, blocks: Blocks, constants: Json, *, caller: Participant) -> Draft:
    """A line of role user: a prompt, the result of tools, or what the program put there."""
    message = line.pop("message", None)
    content = message.pop("content", None) if type(message) is dict else message
    raw = fingerprint(content)
    is_result = type(content) is list and any(type(one) is dict and one.get("type") == "tool_result" for one in content)
    meta = [name for name in ("isMeta", "isCompactSummary", "isVisibleInTranscriptOnly") if line.get(name) is True]
    by_program = bool(meta) or line.get("promptSource") == "system"
    whole = content if type(content) is str else _only_text(content)
    typed = "" if by_program or is_result else injected.typed(whole)
    put_there = by_program or (not is_result and not typed and injected.is_injected(whole))
    author = TOOL if is_result else PROGRAM if put_there else caller
    draft = Draft(number, line, author=author, spoken=not (is_result or put_there))
    if typed:
        draft.parts = [Part(type="text", text=typed, markup="plain")]
        draft.unknown["content"] = content
    elif put_there:
        draft.parts = blocks.parts_of(content, markup="markdown")
    else:
        draft.parts = blocks.parts_of(content, markup="plain")
    draft.prompt = "" if is_result or put_there else _prompt(draft.parts)
    draft.hidden = is_result or put_there
    draft.raw = raw
    _keep_rest(draft, line, message, constants)
    return draft


def _only_text(content: Any) -> str:
    """The text of a content that is one block of text, or in which every block was put there by the program."""
    if type(content) is not list:
        return ""
    found = [one.get("text") if type(one) is dict else one for one in content]
    texts = [text for text in found if type(text) is str]
    if not texts or len(texts) < len(found):
        return ""
    if len(texts) > 1 and not all(injected.is_injected(text) for text in texts):
        return ""
    return texts[0]


def _prompt(parts: list[Part]) -> str:
    return "\n".join(part.text for part in parts if part.type == "text")


def from_assistant(number: int, line: Json, blocks: Blocks, constants: Json) -> Draft:
    """A line of role assistant: some blocks of one message of the API."""
    message = line.pop("message", None)
    content = message.pop("content", None) if type(message) is dict else message
    draft = Draft(number, line, author=CLAUDE, spoken=True)
    draft.raw = fingerprint(content)
    draft.parts = blocks.parts_of(content, markup="markdown")
    if type(message) is dict:
        draft.model = take_text(message, "model")
        if type(api_id := message.get("id")) is str and api_id:
            # A message of the API grows from line to line: all its readings are of one record.
            draft.key, draft.raw = api_id, fingerprint({"message": api_id})
        if message.get("type") == "message":
            del message["type"]
    if draft.model == _SYNTHETIC:
        draft.author, draft.spoken = PROGRAM, False
    _keep_rest(draft, line, message, constants)
    return draft


def _keep_rest(draft: Draft, line: Json, message: Any, constants: Json) -> None:
    if "toolUseResult" in line:
        line["toolUseResult"] = slimmed(line["toolUseResult"], texts_in(draft.parts))
    draft.unknown |= left_of(line, constants)
    if type(message) is dict:
        if message.get("role") in ("user", "assistant"):
            del message["role"]
        if message:
            draft.unknown["message"] = message


def from_program(number: int, line: Json, constants: Json) -> Draft:
    """A line of type system that says something."""
    draft = Draft(number, line, author=PROGRAM, spoken=False)
    text = take_text(line, "content")
    draft.parts = [Part(type="text", text=text, markup="plain")]
    draft.hidden = True
    draft.raw = fingerprint([line.get("subtype"), text])
    draft.unknown = left_of(line, constants)
    return draft


def from_attachment(number: int, line: Json, blocks: Blocks, constants: Json, *, caller: Participant) -> Draft:
    """A line of type attachment: a prompt that waited in the queue, or something the program laid beside a prompt."""
    value = line.pop("attachment", None)
    kind = value.get("type") if type(value) is dict else None
    raw = fingerprint(value)
    if kind == "queued_command" and "prompt" in value:
        whole = value["prompt"] if type(value["prompt"]) is str else _only_text(value["prompt"])
        put_there = injected.is_injected(whole) or value.get("commandMode") not in (None, "prompt")
        draft = Draft(number, line, author=PROGRAM if put_there else caller, spoken=not put_there)
        value = dict(value)
        typed = injected.typed(whole)
        draft.parts = blocks.parts_of(typed or value.pop("prompt"), markup="markdown" if put_there else "plain")
        draft.prompt = "" if put_there else _prompt(draft.parts)
        draft.hidden = put_there
        draft.unknown = left_of(line, constants) | {"attachment": value}
    else:
        draft = Draft(number, line, author=PROGRAM, spoken=False)
        draft.parts = [blocks.raw(f"attachment {kind}" if type(kind) is str else "attachment", value)]
        draft.hidden = True
        draft.unknown = left_of(line, constants)
    draft.raw = raw
    return draft


def join(draft: Draft, more: Draft) -> None:
    """Add the blocks of a further line of the same message; blocks that were there before are repetitions."""
    known = {_block_key(part) for part in draft.parts}
    draft.parts += [part for part in more.parts if _block_key(part) not in known]
    draft.model = draft.model or more.model
    if set(more.uuids) <= set(draft.uuids):
        return  # the same line again, in a session that was resumed: the first one stays
    draft.uuids += more.uuids
    draft.stamps += more.stamps
    draft.unknown |= more.unknown  # usage stands in every line, and the last one is right


def _block_key(part: Part) -> Any:
    if part.type == "tool_call" and part.call_id:
        return ("call", part.call_id)
    if part.type in ("text", "thinking"):
        return (part.type, part.text, part.title, "" if part.text else exact.encode(part.unknown))
    return (part.type, part.kind, part.sha256, part.name, repr(part.raw))
