"""The attachments of an export: where they are put, and what their files are called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chatkeep.model import Conversation, Part

# The endings that a file gets by its type. Types that a program may run (pages, drawings, scripts) are not here.
MEDIA_ENDINGS = {
    "application/epub+zip": ".epub",
    "application/gzip": ".gz",
    "application/json": ".json",
    "application/msword": ".doc",
    "application/pdf": ".pdf",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-powerpoint": ".ppt",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/zip": ".zip",
    "audio/aac": ".aac",
    "audio/flac": ".flac",
    "audio/m4a": ".m4a",
    "audio/mp3": ".mp3",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/opus": ".opus",
    "audio/wav": ".wav",
    "audio/webm": ".weba",
    "audio/x-wav": ".wav",
    "image/avif": ".avif",
    "image/bmp": ".bmp",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/jpeg": ".jpg",
    "image/jpg": ".jpg",
    "image/png": ".png",
    "image/tiff": ".tif",
    "image/webp": ".webp",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "text/markdown": ".md",
    "text/plain": ".txt",
    "text/vcard": ".vcf",
    "video/3gpp": ".3gp",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
}


def name(sha256: str, media_type: str) -> str:
    """Where an attachment is put below the output; its ending is one that no program runs."""
    return f"attachments/{sha256[:2]}/{sha256}{MEDIA_ENDINGS.get(media_type.partition(';')[0].strip().lower(), '.bin')}"


def lossless_name(sha256: str, _media_type: str) -> str:
    """Where an attachment is put beside lossless documents: by its content alone."""
    return f"attachments/{sha256[:2]}/{sha256}"


def of(conversation: Conversation) -> Iterator[Part]:
    """The attachments of a conversation that have bytes, those of earlier versions included; some may repeat."""
    for message in conversation.messages:
        yield from _of_parts(message.parts)
        for version in message.previous:
            yield from _of_parts(version.parts)


def _of_parts(parts: Iterable[Part]) -> Iterator[Part]:
    for part in parts:
        if part.type == "attachment" and part.sha256:
            yield part
        if part.parts:
            yield from _of_parts(part.parts)
