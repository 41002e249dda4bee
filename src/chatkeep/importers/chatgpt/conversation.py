"""One conversation of a ChatGPT export as a document."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from chatkeep.errors import Problem
from chatkeep.importers.chatgpt import tree
from chatkeep.importers.chatgpt.assets import Assets
from chatkeep.importers.chatgpt.citations import cited
from chatkeep.importers.chatgpt.content import Saying, parts_of
from chatkeep.importers.fields import Json, record_of, take_list, take_text
from chatkeep.importers.listed import Built, NotAConversationError
from chatkeep.merge import settle
from chatkeep.model import FORMAT, Conversation, Message, Part, Participant, fingerprint, from_seconds, identify

PLATFORM = "chatgpt"
BY = "chatgpt/1"
TITLE = "ChatGPT"

_ROLES = {"user": "person", "assistant": "assistant", "system": "system", "tool": "tool"}
_CONTEXT = frozenset({"user_editable_context", "model_editable_context"})
_FLAGS = (("archived", "is_archived"), ("starred", "is_starred"))


@dataclass(slots=True)
class Beside:
    """What the other files of the export say of one conversation. feedback: by message id."""

    account: str = ""
    feedback: dict[str, list[Json]] = field(default_factory=dict)
    shared: list[Json] = field(default_factory=list)


def conversation_id(record: Json) -> str:
    """The platform's id of a conversation; "" when it has none."""
    for name in ("conversation_id", "id"):
        if type(value := record.get(name)) is str and value:
            return value
    return ""


def build(record: Json, *, beside: Beside, assets: Assets, where: str) -> Built:
    """The document of one conversation; takes the record apart.

    Raises NotAConversationError when there is nothing by which it could be one.
    """
    problems: list[Problem] = []
    nodes = _nodes(record, problems, where)
    source_id = conversation_id(record)
    own_id = identify(PLATFORM, "conversation", source_id or _first_node(nodes))
    for name in ("id", "conversation_id"):
        if record.get(name) == source_id or record.get(name) is None:
            record.pop(name, None)
    reader = _Messages(own_id, nodes, beside, assets)
    messages = reader.all()
    if reader.doubled:
        what = f"Fields stand twice in {reader.doubled} of its messages; the last was read, and all were kept raw."
        problems.append(Problem(where, what))
    conversation = settle(_conversation(record, own_id, source_id, messages, reader, beside))
    return Built(conversation, problems + assets.problems, reader.unknown, is_complete=not assets.missing)


def _conversation(
    record: Json, own_id: str, source_id: str, messages: list[Message], reader: _Messages, beside: Beside
) -> Conversation:
    flags = {flag: record.pop(name) for flag, name in _FLAGS if type(record.get(name)) is bool}
    found = Conversation(
        account=beside.account,
        created_at=_take_time(record, "create_time"),
        format=FORMAT,
        id=own_id,
        messages=tuple(messages),
        participants=tuple(reader.people.values()),
        platform=PLATFORM,
        project=_project(record),
        shown_leaf=reader.shown_leaf(record),
        source_flags=flags,
        source_id=source_id,
        title=take_text(record, "title"),
        unknown=record,
        updated_at=_take_time(record, "update_time"),
    )
    if beside.shared:
        record["shared"] = beside.shared
    if reader.odd_nodes:
        record["nodes"] = reader.odd_nodes
    return found


def _nodes(record: Json, problems: list[Problem], where: str) -> dict[str, Json]:
    """The nodes of the mapping that are objects; the others stay in the record."""
    mapping = record.get("mapping")
    if mapping is None:
        record.pop("mapping", None)
        return {}
    found = record_of(mapping)
    if found is None:
        problems.append(Problem(where, "Its messages are not in a form that is known; they were kept raw."))
        return {}
    if found is not mapping:
        problems.append(Problem(where, "Two messages have the same id; the last was read, and all were kept raw."))
    nodes = {key: node for key, value in found.items() if (node := record_of(value)) is not None}
    if found is mapping:
        if len(nodes) == len(found):
            del record["mapping"]
        else:
            record["mapping"] = {key: value for key, value in found.items() if key not in nodes}
            problems.append(Problem(where, f"{len(found) - len(nodes)} of its nodes are no objects; kept raw."))
    return nodes


def _first_node(nodes: dict[str, Json]) -> str:
    """The id that stands for a conversation without one: that of its first message, else of its first node."""
    found = [
        (type(node.get("message")) is not dict, _time_of(node.get("message")) or "~", key)
        for key, node in nodes.items()
    ]
    if not found:
        raise NotAConversationError("It has neither an id nor messages, so it is no conversation; it was left out.")
    return "node " + min(found)[2]


def _time_of(message: Any) -> str:
    value = message.get("create_time") if type(message) is dict else None
    return "" if value is None else from_seconds(value)


def _take_time(record: Json, name: str) -> str:
    value = record.get(name)
    found = "" if value is None else from_seconds(value)
    if found or value is None:
        record.pop(name, None)
    return found


def _project(record: Json) -> str:
    for name in ("conversation_template_id", "gizmo_id"):
        if type(value := record.get(name)) is str and value.startswith("g-p-"):
            return value
    return ""


class _Messages:
    """The messages of one conversation while they are read."""

    def __init__(self, own_id: str, nodes: dict[str, Json], beside: Beside, assets: Assets) -> None:
        self.people: dict[str, Participant] = {}
        self.unknown: Counter[str] = Counter()
        self.odd_nodes: Json = {}
        self.doubled = 0
        self._nodes = nodes
        self._beside = beside
        self._assets = assets
        self._own_id = own_id
        told = {key: node["message"] for key, node in nodes.items() if node.get("message") is not None}
        self._told: dict[str, Any] = told
        self._all_above = tree.parents(nodes)
        self._above = tree.nearest(self._all_above, set(told))
        self._ids = {key: identify(own_id, key) for key in told}
        self._ids[""] = ""
        self._times = {key: _time_of(record_of(message)) for key, message in told.items()}

    def all(self) -> list[Message]:
        places = tree.places(self._above, self._nodes, self._times)
        for key, node in self._nodes.items():
            if key not in self._told and (odd := _odd_fields(key, node)):
                self.odd_nodes[key] = odd
        return [self._message(key, message, places.get(key, 0)) for key, message in self._told.items()]

    def shown_leaf(self, record: Json) -> str:
        """The message that the platform shows last; "" when the export does not say, and then what it says stays."""
        key = record.get("current_node")
        if type(key) is not str or key not in self._all_above:
            return ""
        del record["current_node"]
        while key and key not in self._told:
            key = self._all_above[key]
        return self._ids[key]

    # -- one message

    def _message(self, key: str, value: Any, order: int) -> Message:
        raw = fingerprint(value)
        record = value if type(value) is dict and len(value) > 1 else record_of(value)
        if record is None:
            return self._not_an_object(key, value, order, raw)
        if record is not value:
            record["$object"] = value["$object"]
            self.doubled += 1
        message_id = record.pop("id", None)
        content = record.pop("content", None)
        author, role = self._author(record)
        metadata = record.get("metadata")
        if type(metadata) is not dict:
            metadata = {}
        saying = Saying(role, author, record.get("recipient"), metadata, self._assets, self.unknown)
        kind = content.get("content_type") if type(content) is dict else ""
        parts, left = parts_of(content, saying)
        if metadata:
            parts = self._with_metadata(metadata, parts)
        if left is not None:
            record["content"] = left
        model = _take_model(metadata) if role == "assistant" else ""
        if not metadata and not record.get("metadata"):
            record.pop("metadata", None)
        sent_at = self._times[key]
        if sent_at or record.get("create_time") is None:
            record.pop("create_time", None)
        edited_at = _take_time(record, "update_time")
        self._add_beside(record, key, message_id)
        return Message(
            author=author,
            by=BY,
            edited_at=edited_at if edited_at != sent_at else "",
            hidden=_is_hidden(saying, kind, parts),
            id=self._ids[key],
            model=model,
            order=order,
            parent=self._ids[self._above[key]],
            parts=tuple(parts),
            raw=raw,
            sent_at=sent_at,
            source_id=key,
            status=take_text(record, "status"),
            unknown=record,
        )

    def _not_an_object(self, key: str, value: Any, order: int, raw: str) -> Message:
        self.unknown["message"] += 1
        return Message(
            by=BY,
            id=self._ids[key],
            order=order,
            parent=self._ids[self._above[key]],
            parts=(Part(type="unknown", kind="message", raw=value),),
            raw=raw,
            source_id=key,
        )

    def _author(self, record: Json) -> tuple[str, str]:
        """The id of the participant, added to the people, and the role; takes both out of the record."""
        author = record.get("author")
        if type(author) is not dict:
            return "", ""
        role, name = author.get("role"), author.get("name")
        if type(role) is not str:
            return "", ""
        del author["role"]
        if type(name) is str or name is None:
            author.pop("name", None)
        if not author or author == {"metadata": {}}:
            del record["author"]
        own_id = f"{role}/{name}" if type(name) is str and name else role
        if own_id not in self.people:
            if role not in _ROLES:
                self.unknown[f"role {role}"] += 1
            shown = name if type(name) is str and name else TITLE if role == "assistant" else ""
            self.people[own_id] = Participant(id=own_id, name=shown, role=_ROLES.get(role, "tool"))
        return own_id, role

    def _with_metadata(self, metadata: Json, parts: list[Part]) -> list[Part]:
        """The parts with the citations and files that the metadata hold, which are taken out of them."""
        if metadata.get("citations") or metadata.get("content_references"):
            text = next((part.text for part in parts if part.type == "text"), "")
            parts = parts + cited(metadata, text)
        if metadata.get("attachments"):
            parts, rest = self._assets.attached(take_list(metadata, "attachments"), parts)
            if rest:
                metadata["attachments"] = rest
        return parts

    def _add_beside(self, record: Json, key: str, message_id: Any) -> None:
        """What else is known of the message: its node's other fields, its own id, what people thought of it."""
        if message_id is not None and message_id != key:
            record["id"] = message_id
        node = self._nodes[key]
        if (len(node) > 4 or node.get("id") != key) and (odd := _odd_fields(key, node)):
            record["node"] = odd
        if self._beside.feedback:
            given = self._beside.feedback.get(message_id if type(message_id) is str else key)
            if given:
                record["feedback"] = given


def _odd_fields(key: str, node: Json) -> Json:
    """The fields of a node that say more than the tree does."""
    known = {"message", "parent", "children"} | ({"id"} if node.get("id") in (key, None) else set())
    return {name: value for name, value in node.items() if name not in known}


def _is_hidden(saying: Saying, kind: Any, parts: list[Part]) -> bool:
    """Whether ChatGPT does not show it: tool traffic, injected context. Pictures that a tool made are shown."""
    if saying.recipient or saying.metadata.get("is_visually_hidden_from_conversation") is True:
        return True
    if saying.role == "tool":
        return not any(part.type == "attachment" for part in parts)
    return (type(kind) is str and kind in _CONTEXT) or (saying.role == "system" and not parts)


def _take_model(metadata: Json) -> str:
    found = take_text(metadata, "model_slug")
    if found:
        return found
    default = metadata.get("default_model_slug")
    return default if type(default) is str else ""
