"""Finding the end of a JSON value in bytes that arrive piece by piece, exactly and without recursion.

Only quotes, escapes and brackets are looked at. That is enough: in JSON they mean something everywhere
outside strings, and nothing inside. About 150 MB/s; the fast way is in array.py.
"""

from __future__ import annotations

import re

from chatkeep.elements.text import Text

# In a group of its own that is atomic: before Python 3.11.5 a possessive group that fails midway goes on from there
# (gh-106052), and a string that is not yet closed counted as walked over.
_STRING = rb'(?>"[^"\\]*+(?:\\.[^"\\]*+)*+")'
_TO_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:%b[^"\[\]{}]*+)*+' % _STRING, re.DOTALL)
_TO_END_OF_SCALAR = re.compile(rb'[^"\[\]{},]*+')
_WHOLE_TOKENS = re.compile(rb'[^"]*+(?:%b[^"]*+)*+' % _STRING, re.DOTALL)
_STRINGS = re.compile(_STRING, re.DOTALL)
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_OPENING, _CLOSING, _QUOTE, _COMMA = b"[{", b"]}", 0x22, 0x2C

NOT_YET = -1
FAR_DOWN = 1024
BLOCK = 1 << 16


class Scan:
    """Walks over one value; the bytes may be thrown away once walked over.

    depth: brackets open now; start with more than 0 to leave that many objects or lists.
    deepest: how many were open at once. longest: bytes in the longest string that did not fit into one piece.
    """

    def __init__(self, depth: int = 0) -> None:
        self.depth = depth
        self.deepest = depth
        self.longest = 0
        self._in_string = False
        self._escaped = False
        self._length = 0

    def end(self, data: bytes | bytearray, at: int) -> int:
        """Where the value ends, or NOT_YET: then go on with what follows these data.

        An object, list or string ends after its last byte, another value before the comma or bracket that follows.
        """
        size, near = len(data), 0
        while at < size:
            if self._in_string:
                at = self._string(data, at)
                if not self._in_string and not self.depth:
                    return at
                continue
            if self.depth > FAR_DOWN and at >= near:
                at = self._far_down(data, at)
                near = at + BLOCK
            rule = _TO_BRACKET if self.depth else _TO_END_OF_SCALAR
            at = _end_of_match(rule, data, at)
            if at == size:
                break
            byte = data[at]
            if byte in _OPENING:
                self.depth += 1
                self.deepest = max(self.deepest, self.depth)
            elif byte == _QUOTE:
                self._in_string, self._length = True, 0
            elif byte == _COMMA or not self.depth:
                return at
            else:
                self.depth -= 1
                if not self.depth:
                    return at + 1
            at += 1
        return NOT_YET

    def _far_down(self, data: bytes | bytearray, at: int) -> int:
        """Walk on while the end can not be near: brackets are counted by the block, since nesting means harm here."""
        while at < len(data):
            block = data[at : at + BLOCK]
            whole = _end_of_match(_WHOLE_TOKENS, block, 0)
            brackets = _STRINGS.sub(b"", block[:whole])
            closing = brackets.count(b"]") + brackets.count(b"}")
            if not whole or closing >= self.depth:
                break
            self.depth += brackets.count(b"[") + brackets.count(b"{") - closing
            at += whole
        return at

    def _string(self, data: bytes | bytearray, at: int) -> int:
        begun = at
        if self._escaped:
            self._escaped, at = False, at + 1
        at = _end_of_match(_IN_STRING, data, at)
        if at < len(data) and data[at] == _QUOTE:
            self._in_string, at = False, at + 1
        elif at < len(data):
            self._escaped, at = True, at + 1
        self._length += at - begun
        self.longest = max(self.longest, self._length)
        return at


def _end_of_match(rule: re.Pattern[bytes], data: bytes | bytearray, at: int) -> int:
    found = rule.match(data, at)
    return found.end() if found else at


def end_of_value(text: Text, at: int, limit: int) -> int:
    """Where the value at this place ends, reading on; NOT_YET when the file or the limit ends before."""
    scan = Scan()
    while (end := scan.end(text.data, at)) == NOT_YET:
        at = len(text.data)
        if at > limit or not text.more():
            return NOT_YET
    return end
