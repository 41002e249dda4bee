"""What kind of file an attachment is: by its first bytes, else as the export says, else by its name."""

from __future__ import annotations

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"%PDF-", "application/pdf"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
)
_RIFF = {b"WAVE": "audio/wav", b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}
_BRANDS = {b"heic": "image/heic", b"avif": "image/avif", b"M4A ": "audio/mp4", b"qt  ": "video/quicktime"}
# Not the system's table, which differs from machine to machine.
_BY_NAME = {
    "aac": "audio/aac",
    "csv": "text/csv",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "gif": "image/gif",
    "heic": "image/heic",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "m4a": "audio/mp4",
    "md": "text/markdown",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "py": "text/x-python",
    "svg": "image/svg+xml",
    "txt": "text/plain",
    "vcf": "text/vcard",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "zip": "application/zip",
}


def media_type(head: bytes, *, name: str = "", declared: str = "") -> str:
    """The media type of a file that begins with these bytes; "" when nothing tells it.

    The first bytes win, because exports name voice and pictures alike (`.dat`), and both begin with RIFF.
    """
    return _by_bytes(head) or declared or _BY_NAME.get(name.rpartition(".")[2].lower(), "")


def _by_bytes(head: bytes) -> str:
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    return ""


def kind(of: str) -> str:
    """What people call a media type: image, audio, video or file."""
    first = of.partition("/")[0]
    return first if first in ("image", "audio", "video") else "file"
