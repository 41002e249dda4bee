"""The canonical documents as they are: nothing is lost, and Chatkeep reads them back. docs/formats/json.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chatkeep import model, views
from chatkeep.errors import WrongUse
from chatkeep.exporters import attachments
from chatkeep.exporters.customisation import Customisation
from chatkeep.exporters.exporter import Entry, Place, Written
from chatkeep.model import Conversation


class Json:
    """One document a file, or one array with a document a line. What else is customised concerns readers, not this."""

    name = "json"
    title = "JSON, everything"
    suffix = ".json"
    media_type = "application/json"
    pattern = "{full_id}"
    lossless = True
    embeds = False

    def check(self, customisation: Customisation) -> None:
        if customisation.redact or customisation.redact_patterns:
            hint = "Choose Markdown, HTML or plain text to leave words out."
            raise WrongUse("A JSON export holds everything, so nothing can be redacted in it.", hint=hint)
        if customisation.names != "as-is" or customisation.own_names:
            hint = "Choose Markdown, HTML or plain text to write other names."
            raise WrongUse("A JSON export holds everything, so names stay as they are in it.", hint=hint)

    def attachment_name(self, sha256: str, media_type: str) -> str:
        return attachments.lossless_name(sha256, media_type)

    def opening(self, customisation: Customisation, *, alone: bool) -> str:
        return "" if alone else "["

    def each(self, conversation: Conversation, customisation: Customisation, place: Place) -> Iterator[str | Written]:
        document = model.encode(conversation).decode()
        if place.alone:
            yield document
        else:
            yield (",\n" if place.number else "\n") + document
        yield Written(len(conversation.messages), Entry("", views.title(conversation), "", "", 0))

    def closing(self, customisation: Customisation, entries: Iterable[Entry], *, alone: bool) -> Iterator[str]:
        yield "" if alone else "\n]\n"

    def index(self, entries: Iterable[Entry]) -> None:
        return None


JSON = Json()
