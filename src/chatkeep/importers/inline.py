"""Files that lie in a text as a data URL, `data:image/png;base64,…`."""

from __future__ import annotations

import base64
import binascii
import io
import re
from typing import Any
from urllib.parse import unquote_to_bytes

from chatkeep import exact
from chatkeep.importers import Keep, Kept, media

_HEAD = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*)(;base64)?,", re.IGNORECASE | re.ASCII)


def is_data(url: str) -> bool:
    """Whether a text is a data URL."""
    return _HEAD.match(url) is not None


def kept(url: str, keep: Keep) -> tuple[Kept, str] | None:
    """The file in a data URL, kept, and the media type it declares; None when there is none, or it is damaged."""
    head = _HEAD.match(url)
    if head is None:
        return None
    text = url[head.end() :]
    try:
        data = base64.b64decode(text, validate=True) if head[3] else unquote_to_bytes(text)
    except (binascii.Error, ValueError):
        return None
    return (keep(io.BytesIO(data)), (head[1] or "").lower()) if data else None


def attached(address: Any, keep: Keep, *, name: str, declared: str, size: int | None) -> dict[str, Any]:
    """What a part says of a file by its address: its hash where the bytes lie in that, else that it is missing.

    declared: its media type, as the export says. size: as the export says [bytes].
    """
    found = kept(exact.unmark(address), keep) if type(address) is str and is_data(address) else None
    if found is None:
        return {"missing": True, "size": size, "media_type": media.media_type(b"", name=name, declared=declared)}
    file, said = found
    media_type = media.media_type(file.head, name=name, declared=declared or said)
    return {"sha256": file.sha256, "size": file.size, "media_type": media_type}
