"""What people do to a conversation here: fields of its `user` layer, each with a stamp."""

from __future__ import annotations

from typing import Any

import msgspec

from chatkeep import exact
from chatkeep.archive.rows import prepare
from chatkeep.archive.writing import Put, Writer
from chatkeep.errors import WrongUse
from chatkeep.merge import CHOSEN, settle
from chatkeep.model import Conversation, Edit, from_iso

_TEXTS = frozenset({"title", "project", "shown_leaf"})
_FLAGS = frozenset({"starred", "archived", "trashed"})


def edit(writer: Writer, id: str, field: str, value: Any, *, device: str) -> None:
    conversation = writer.load(id)
    changed = edited(conversation, field, _checked(conversation, field, value), counter=writer.tick(), device=device)
    known = writer.known(id)
    if changed is not None and known is not None:
        writer.put(Put(prepare(changed), known.revision, 0, contributes=False))
        writer.flush()


def edited(conversation: Conversation, field: str, value: Any, *, counter: int, device: str) -> Conversation | None:
    """The conversation with one field set; None when it has that value already. counter: the greatest known so far."""
    present = conversation.user.get(field)
    if (present is not None and present.value == value) or (present is None and value is msgspec.UNSET):
        return None
    counter = max([counter, *(one.stamp[0] for one in conversation.user.values())]) + 1
    user = {**conversation.user, field: Edit(stamp=(counter, device), value=value)}
    return settle(msgspec.structs.replace(conversation, user=user))


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
