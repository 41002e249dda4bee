"""Writing conversations: from an iterator of them into an output, in one format, one after the other."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile

import msgspec

from chatkeep.errors import Problem
from chatkeep.exporters import attachments
from chatkeep.exporters.customisation import Customisation
from chatkeep.exporters.exporter import Entry, Exporter, Place, Written
from chatkeep.exporters.names import Names
from chatkeep.exporters.output import Output
from chatkeep.exporters.registry import find
from chatkeep.model import Conversation, Part
from chatkeep.rendering import AttachmentUrl, nowhere

Attachment = Callable[[str], Path | None]
"""The file of an attachment, by its sha256; None when it is not here."""

MAX_EMBEDDED = 8 << 20  # bytes of an attachment that is put into a page; browsers grow slow with larger ones
_PIECE = 1 << 18
_SPOOL = 1 << 20


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What an export wrote.

    messages: all of the trees of these conversations. written: those that stand in the files, as was asked for.
    attachments: put beside or into the files. missing: named by a conversation, but their bytes are not here.
    left_out: here, but without a place in the output (a single file of text), or too large to put into a page.
    """

    files: int = 0
    conversations: int = 0
    messages: int = 0
    bytes: int = 0
    problems: list[Problem] = []
    written: int = 0
    attachments: int = 0
    missing: int = 0
    left_out: int = 0


def export(
    conversations: Iterable[Conversation],
    *,
    exporter: Exporter | str,
    customisation: Customisation,
    out: Output,
    attachment: Attachment,
    progress: Callable[[int], None] = lambda _done: None,
) -> Exported:
    """Write conversations, in their order, in flat memory; says what was written.

    A file under its final name is complete, whatever happens. An attachment that cannot be read becomes a problem,
    and the rest is written. Raises WrongUse for a wish that the format cannot fulfil, before anything is written.
    exporter: one, or the name of one of ours.
    progress: called with the number of conversations written so far.
    """
    chosen = find(exporter) if isinstance(exporter, str) else exporter
    chosen.check(customisation)
    with out:
        run = _Run(chosen, customisation, out, attachment, progress)
        if out.single or customisation.files == "one":
            run.write_one(conversations)
        else:
            run.write_many(conversations)
    return run.exported()


def preview(conversation: Conversation, exporter: Exporter | str, customisation: Customisation) -> str:
    """The file that this conversation would become, as text. Its attachments are named and not there."""
    exporter = find(exporter) if isinstance(exporter, str) else exporter
    exporter.check(customisation)
    media_types = {part.sha256: part.media_type for part in attachments.of(conversation)}

    def url(sha256: str) -> str | None:
        return exporter.attachment_name(sha256, media_types[sha256]) if sha256 in media_types else None

    return rendered(conversation, exporter, customisation, url=nowhere if exporter.embeds else url).decode()


def rendered(
    conversation: Conversation, exporter: Exporter, customisation: Customisation, *, url: AttachmentUrl, up: str = ""
) -> bytes:
    """The file that this conversation becomes, alone in it.

    url: where each attachment is, see rendering. up: from the folder of the file to the top, "" or "../../".
    """
    place = Place(number=0, alone=True, up=up, attachment_url=url)
    pieces = [exporter.opening(customisation, alone=True)]
    pieces += [piece for piece in exporter.each(conversation, customisation, place) if isinstance(piece, str)]
    pieces += exporter.closing(customisation, (), alone=True)
    text = "".join(pieces)
    return text.encode() if exporter.lossless else _encoded(text)


class _Run:
    """One export while it is written, with its counts."""

    def __init__(
        self,
        exporter: Exporter,
        customisation: Customisation,
        out: Output,
        attachment: Attachment,
        progress: Callable[[int], None],
    ) -> None:
        self._exporter, self._customisation, self._out = exporter, customisation, out
        self._attachment, self._progress = attachment, progress
        self._files = self._bytes = self._conversations = self._messages = self._written = 0
        self._copied: set[str] = set()
        self._missing: set[str] = set()
        self._left_out: set[str] = set()
        self._problems: list[Problem] = []

    def exported(self) -> Exported:
        """The counts so far."""
        return Exported(
            files=self._files,
            conversations=self._conversations,
            messages=self._messages,
            bytes=self._bytes,
            problems=self._problems,
            written=self._written,
            attachments=len(self._copied),
            missing=len(self._missing),
            left_out=len(self._left_out),
        )

    # -- one file, or many

    def write_one(self, conversations: Iterable[Conversation]) -> None:
        name = f"conversations{self._exporter.suffix}"
        pieces = self._encoded(self._joined(conversations))
        self._add(self._out.write(name, pieces if self._out.single else _after_all(pieces)))

    def _joined(self, conversations: Iterable[Conversation]) -> Iterator[str]:
        exporter, customisation = self._exporter, self._customisation
        with _Listing() as listing:
            yield exporter.opening(customisation, alone=False)
            for number, conversation in enumerate(conversations):
                urls = self._urls(conversation, up="")
                place = Place(number=number, alone=False, up="", attachment_url=urls)
                yield from self._each(conversation, place, listing)
            yield from exporter.closing(customisation, listing.entries(), alone=False)

    def write_many(self, conversations: Iterable[Conversation]) -> None:
        names = Names(self._customisation, suffix=self._exporter.suffix, pattern=self._exporter.pattern)
        has_index = self._exporter.index(()) is not None
        with _Listing() as listing:
            for number, conversation in enumerate(conversations):
                name = names.name(conversation)
                up = "../" * name.count("/")
                # An attachment stands in the output before the text that names it.
                urls = self._urls(conversation, up=up)
                place = Place(number=number, alone=True, up=up, attachment_url=urls, index=has_index)
                listing.path = name
                self._add(self._out.write(name, self._encoded(self._alone(conversation, place, listing))))
            if index := self._exporter.index(listing.entries()):
                self._add(self._out.write(index[0], self._encoded(index[1])))

    def _alone(self, conversation: Conversation, place: Place, listing: _Listing) -> Iterator[str]:
        yield self._exporter.opening(self._customisation, alone=True)
        yield from self._each(conversation, place, listing)
        yield from self._exporter.closing(self._customisation, (), alone=True)

    def _each(self, conversation: Conversation, place: Place, listing: _Listing) -> Iterator[str]:
        for piece in self._exporter.each(conversation, self._customisation, place):
            if isinstance(piece, Written):
                self._written += piece.messages
                listing.add(piece.entry)
            else:
                yield piece
        self._conversations += 1
        self._messages += len(conversation.messages)
        self._progress(self._conversations)

    def _add(self, size: int) -> None:
        self._files += 1
        self._bytes += size

    def _encoded(self, texts: Iterable[str]) -> Iterator[bytes]:
        """The texts in pieces of some size, since many small writes cost more than the text."""
        encode = str.encode if self._exporter.lossless else _encoded
        waiting: list[str] = []
        size = 0
        for text in texts:
            waiting.append(text)
            size += len(text)
            if size >= _PIECE:
                yield encode("".join(waiting))
                waiting, size = [], 0
        if waiting:
            yield encode("".join(waiting))

    # -- attachments

    def _urls(self, conversation: Conversation, *, up: str) -> AttachmentUrl:
        """Put the attachments of a conversation where they belong, and say where each is."""
        if self._customisation.attachments == "none":
            return nowhere
        urls: dict[str, str] = {}
        for part in attachments.of(conversation):
            if part.sha256 not in urls and (url := self._url(part, up)):
                urls[part.sha256] = url
        return urls.get

    def _url(self, part: Part, up: str) -> str | None:
        try:
            path = self._attachment(part.sha256)
            if path is None:
                self._missing.add(part.sha256)
                return None
            if self._customisation.attachments == "link":
                return path.resolve().as_uri()
            return self._embedded(part, path) if self._out.single else up + self._placed(part, path)
        except FileNotFoundError:
            self._missing.add(part.sha256)
        except OSError as error:
            if error.filename is None or str(path) != str(error.filename):
                raise
            problem = f"It could not be read ({error.strerror}), so it is not in the export."
            self._problems.append(Problem(f"Attachment {part.sha256[:12]}", problem))
        return None

    def _placed(self, part: Part, path: Path) -> str:
        name = self._exporter.attachment_name(part.sha256, part.media_type)
        if name not in self._copied:
            self._add(self._out.copy(name, path))
            self._copied.add(name)
        return name

    def _embedded(self, part: Part, path: Path) -> str | None:
        kind = part.media_type.partition(";")[0].strip().lower()
        if not self._exporter.embeds or path.stat().st_size > MAX_EMBEDDED or kind not in attachments.MEDIA_ENDINGS:
            self._left_out.add(part.sha256)
            return None
        self._copied.add(part.sha256)
        return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _after_all(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces once all are made: meanwhile attachments are written, and an output writes one at a time."""
    spool = SpooledTemporaryFile(max_size=_SPOOL)  # noqa: SIM115  closed when all is read, or forgotten
    for piece in pieces:
        spool.write(piece)
    spool.seek(0)

    def again() -> Iterator[bytes]:
        with spool:
            yield from iter(lambda: spool.read(_PIECE), b"")

    return again()


class _Listing:
    """The entries of an index, on disk when they are many."""

    def __init__(self) -> None:
        self.path = ""
        self._spool = SpooledTemporaryFile(max_size=_SPOOL)  # noqa: SIM115  closed on leaving

    def add(self, entry: Entry) -> None:
        whole = msgspec.structs.replace(entry, path=self.path or entry.path)
        self._spool.write(msgspec.json.encode(whole) + b"\n")

    def entries(self) -> Iterator[Entry]:
        decoder = msgspec.json.Decoder(Entry)
        self._spool.seek(0)
        for line in self._spool:
            yield decoder.decode(line)

    def __enter__(self) -> _Listing:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()


_CONTROLS = bytes({*range(32), 127} - {9, 10, 13})
_PICTURES = {sign: 0x2400 + sign for sign in _CONTROLS} | {127: 0x2421}


def _encoded(text: str) -> bytes:
    """The text as bytes without controls, which some programs obey: their pictures stand for them."""
    data = text.encode("utf-8", "replace")
    if len(data.translate(None, _CONTROLS)) == len(data):
        return data
    return text.translate(_PICTURES).encode("utf-8", "replace")
