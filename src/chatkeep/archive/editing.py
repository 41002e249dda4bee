"""What people do to a conversation here: fields of its `user` layer, each with a stamp."""

from __future__ import annotations

from typing import Any

import msgspec

from chatkeep import exact
from chatkeep.archive.rows import prepare
from chatkeep.archive.writing import Put, Writer
from chatkeep.errors import WrongUse
from chatkeep.merge import CHOSEN, settle
from chatkeep.model import Conversation, Edit, decode, from_iso, revision

_TEXTS = frozenset({"title", "project", "shown_leaf"})
_FLAGS = frozenset({"starred", "archived", "trashed"})


# What shows in lists alone: messages, their order and what is indexed of them stay as they are.
_OUTWARD = frozenset({"starred", "archived", "labels"})


def edit(writer: Writer, id: str, field: str, value: Any, *, device: str) -> None:
    while True:
        before = writer.document(id)
        conversation = decode(before)
        value_here = _checked(conversation, field, value)
        changed = edited(conversation, field, value_here, counter=writer.tick(), device=device)
        if changed is None or (field in _OUTWARD and writer.replace_outside(changed, revision(before))):
            return
        if field not in _OUTWARD:
            writer.put(Put(prepare(changed), revision(before), 0, contributes=False))
            writer.flush()
            return


def edited(conversation: Conversation, field: str, value: Any, *, counter: int, device: str) -> Conversation | None:
    """The conversation with one field set; None when it has that value already. counter: the greatest known so far."""
    present = conversation.user.get(field)
    if (present is not None and present.value == value) or (present is None and value is msgspec.UNSET):
        return None
    counter = max([counter, *(one.stamp[0] for one in conversation.user.values())]) + 1
    user = {**conversation.user, field: Edit(stamp=(counter, device), value=value)}
    changed = msgspec.structs.replace(conversation, user=user)
    return changed if field in _OUTWARD else settle(changed)


def _checked(conversation: Conversation, field: str, value: Any) -> Any:
    """The value as it goes into the document. Raises WrongUse when the field is not known or cannot have it."""
    if value is None:
        return msgspec.UNSET
    if field == "trashed" and isinstance(value, str):
        return from_iso(value) or msgspec.UNSET
    if field in _FLAGS and isinstance(value, bool):
        return value or msgspec.UNSET
    if field in _TEXTS and isinstance(value, str):
        return exact.mark(value) or msgspec.UNSET
    if field == "labels" and isinstance(value, (list, tuple, set)) and all(isinstance(label, str) for label in value):
        return sorted({exact.mark(label.strip()) for label in value if label.strip()}) or msgspec.UNSET
    if field.startswith(CHOSEN) and isinstance(value, str):
        return value
    raise WrongUse(f"{field} cannot be set to a value of this kind")
