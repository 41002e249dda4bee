"""The conversations inside chat.html, for people who kept nothing else: `var jsonData = [ … ]`."""

from __future__ import annotations

import io
import re
from typing import BinaryIO

from chatkeep.elements.scan import NOT_YET, Scan

MARK = re.compile(rb"\bvar\s+jsonData\s*=\s*(?=\[)")
_PIECE = 1 << 20
_LONGEST_MARK = 256


class Data(io.RawIOBase):
    """The list of conversations in a page, as a stream of its own; empty when the page has none.

    The end is found by walking over the JSON, because `;` and `</script>` stand in what people wrote.
    """

    def __init__(self, page: BinaryIO) -> None:
        self._page = page
        self._scan = Scan()
        self._left = self._beginning()
        self._ended = not self._left
        self._left = self._until_end(self._left)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while (size < 0 or len(self._left) < size) and not self._ended:
            piece = self._page.read(_PIECE)
            self._ended = self._ended or not piece
            self._left += self._until_end(piece)
        size = len(self._left) if size < 0 else size
        found, self._left = self._left[:size], self._left[size:]
        return found

    read1 = read

    def _beginning(self) -> bytes:
        kept = b""
        while piece := self._page.read(_PIECE):
            kept += piece
            if found := MARK.search(kept):
                return kept[found.end() :]
            kept = kept[-_LONGEST_MARK:]
        return b""

    def _until_end(self, piece: bytes) -> bytes:
        if not piece:
            return b""
        end = self._scan.end(piece, 0)
        if end == NOT_YET:
            return piece
        self._ended = True
        return piece[:end]
