"""Files that lie in a text as a data URL, `data:image/png;base64,…`."""

from __future__ import annotations

import base64
import binascii
import io
import re
from urllib.parse import unquote_to_bytes

from chatkeep.importers import Keep, Kept

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
