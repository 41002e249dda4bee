"""The elements of a large JSON list, one by one, in flat memory and at the speed of a C decoder.

A window of the file is cut where an element seems to end, closed with a bracket and given to msgspec, which
splits it without making Python values. A wrong cut can not go unnoticed: it lies inside a string or inside
another list, and then what stands before it is not a list. So a cut that msgspec accepts is a true one, and
guessing is safe. Where guessing fails, one element is walked over by Scan. docs/design/source.md has the proof.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import msgspec

from chatkeep.elements import inside as objects
from chatkeep.elements.scan import NOT_YET, Scan, end_of_value
from chatkeep.elements.text import Text
from chatkeep.elements.valid import is_beginning, is_json
from chatkeep.elements.windows import Windows
from chatkeep.errors import Problem

MIB = 1 << 20
DEEPEST = 256
LONGEST_STRING = 64 * MIB
LARGEST_ELEMENT = 512 * MIB
MOST_PROBLEMS = 1000
NEIGHBOUR = 4096
FIRST_LOOK = MIB
LOOKED_THROUGH = 64 * MIB
SPACE = b" \t\r\n"

_SEPARATOR = re.compile(rb"[ \t\r\n]*+,?[ \t\r\n]*+")
_COMMA, _LIST, _END_OF_LIST, _OBJECT, _END_OF_OBJECT = b",[]{}"
_OPENS, _CLOSES = b"[{", b",}"
_CUT = "The file is cut off here. What came before was read."


class Element(msgspec.Struct, frozen=True, gc=False):
    """One element of a JSON list, undecoded.

    index: its number in the list, from 0. offset: byte of the file at which it begins (of the text as UTF-8
    without its mark, if the file is UTF-16). raw: its bytes, without spaces around.
    """

    index: int
    offset: int
    raw: bytes


def elements(stream: BinaryIO, *, where: str, inside: str | Sequence[str] | None = None) -> Iterator[Element | Problem]:
    """The elements of the list at the top of a JSON file, in order, and a Problem for what can not be read.

    where: the file in words, for problems. inside: the name of the list when it may also stand in an object at
    the top, {"conversations": [...]}; several names lead from object to object. An object without such a list
    is itself the one element. Everything readable before a cut, and after a malformed element, is given.

    An element is well-formed as far as Python's json goes (NaN and raw control characters pass), at most 256
    deep and 512 MiB large; whether its strings are UTF-8 is not looked at. Memory: a few MiB, or
    about three times the largest element. Raises UnsafeSource when the stream does.
    """
    path = () if inside is None else (inside,) if isinstance(inside, str) else tuple(inside)
    return _Elements(Text(stream), where).all(path)


class _GivenUpError(Exception):
    """So much is malformed that the file can not be what it seemed."""


class _Elements:
    def __init__(self, text: Text, where: str) -> None:
        self._text = text
        self._where = where
        self._windows = Windows(text)
        self._index = 0
        self._problems = 0
        self._told_end = False
        self._is_inside = False

    def all(self, path: tuple[str, ...]) -> Iterator[Element | Problem]:
        text = self._text
        try:
            yield from self._values(path)
        except _GivenUpError:
            yield Problem(self._where, f"Too much is malformed; the rest from byte {text.offset:,} was left out.")
            return
        if text.broken:
            yield Problem(f"{self._where}, byte {text.offset:,}", f"{text.broken} What came before was read.")

    def _values(self, path: tuple[str, ...]) -> Iterator[Element | Problem]:
        text = self._text
        values = 0
        while (byte := text.skip_space()) >= 0:
            at, values = text.offset, values + 1
            if byte not in (_LIST, _OBJECT):
                yield self._problem(at, "Here stands neither a JSON list nor an object. The rest was left out.")
                return
            if values == 2:
                yield self._problem(at, "A second JSON value follows the first. It was read as well.")
            if byte == _LIST:
                yield from self._list()
            elif path and objects.enter(text, path, limit=LARGEST_ELEMENT):
                self._is_inside = True
                yield from self._list()
                if not objects.leave(text, len(path)) and not text.broken:
                    yield self._problem(text.offset, _CUT)
            else:
                yield from self._one(in_list=False)
        if not values and not text.broken:
            yield Problem(self._where, "The file is empty.")

    def _problem(self, at: int, what: str) -> Problem:
        self._problems += 1
        if self._problems > MOST_PROBLEMS:
            raise _GivenUpError
        return Problem(f"{self._where}, byte {at:,}", what)

    def _list(self) -> Iterator[Element | Problem]:
        text = self._text
        text.drop(1)
        while (byte := text.skip_space()) != _END_OF_LIST or not self._list_ends():
            if byte < 0:
                if not text.broken and not self._told_end:
                    yield self._problem(text.offset, _CUT)
                return
            if byte == _COMMA:
                yield self._problem(text.offset, "An element is missing here.")
                text.drop(1)
            elif batch := self._windows.batch():
                yield from self._numbered(batch)
            else:
                yield from self._one(in_list=True)
                yield from self._after_one()
        text.drop(1)

    def _numbered(self, batch: list[msgspec.Raw]) -> Iterator[Element]:
        """The elements of a batch with their offsets; then drops them and the comma after from the text."""
        data, offset, at = self._text.data, self._text.offset, 0
        for raw in batch:
            value = bytes(raw)
            yield Element(self._index, offset + at, value)
            self._index += 1
            found = _SEPARATOR.match(data, at + len(value))
            at = found.end() if found else at
        self._text.drop(at)

    def _one(self, *, in_list: bool) -> Iterator[Element | Problem]:
        """The element that begins here, walked over; or the problem with it, and on to where the next may begin."""
        text, at, index = self._text, self._text.offset, self._index
        self._index += 1
        end, objection = self._walk()
        raw = bytes(memoryview(text.data)[:end]).rstrip(SPACE) if end > 0 and not objection else b""
        if raw and is_json(raw):
            text.fill(end + NEIGHBOUR)
            self._windows.learn(end)
            text.drop(end)
            yield Element(index, at, raw)
        elif objection:
            text.drop(len(text.data) if end == NOT_YET else end)
            yield self._element_problem(index, at, f"{objection} It was left out.")
        elif end == NOT_YET and is_beginning(text.data):
            text.drop(len(text.data))
            if not text.broken:
                yield self._element_problem(index, at, _CUT)
            self._told_end = True
        else:
            yield self._element_problem(index, at, "It is malformed and was left out.")
            text.drop(self._next_element(end) if in_list else len(text.data))

    def _walk(self) -> tuple[int, str]:
        """Where the element ends, and what speaks against it; its bytes are not kept when something does.

        A stray quote or bracket would make it go on to the end of the file; that is noticed on the way.
        """
        text, scan, done, objection = self._text, Scan(), 0, ""
        begun, look_again = text.offset, FIRST_LOOK
        while (end := scan.end(text.data, done)) == NOT_YET:
            done = len(text.data)
            objection = objection or _objection(scan, done)
            if objection:
                text.drop(done)
                done = 0
            elif done >= look_again:
                look_again *= 2
                if not is_beginning(text.data):
                    break
            if not text.more():
                break
        return end, objection or _objection(scan, text.offset - begun + end)

    def _list_ends(self) -> bool:
        """Whether the bracket that stands here closes the list, and is not a wrong letter in its midst."""
        text = self._text
        at = text.space_after(1)
        if at == len(text.data) or not self._windows.boundaries:
            return True
        return text.data[at] in (_CLOSES if self._is_inside else _OPENS)

    def _next_element(self, end: int) -> int:
        """How much to leave out of the text after a malformed element, so that the next one is whole."""
        text, size = self._text, 0
        if end > 0 and self._goes_on(end):
            return end
        while size < len(text.data) <= LOOKED_THROUGH:
            for at in self._windows.ends(size):
                start = text.space_after(text.space_after(at) + 1)
                next_end = end_of_value(text, start, LARGEST_ELEMENT)
                if next_end != NOT_YET and is_json(text.data[start:next_end]):
                    return at
            size = len(text.data)
            text.fill(2 * size)
        return len(text.data) if end == NOT_YET else max(end, 1)

    def _goes_on(self, end: int) -> bool:
        """Whether a malformed element that seems to end here does: what follows is as it should be."""
        text = self._text
        text.fill(end + NEIGHBOUR)
        at = text.space_after(end)
        if at == len(text.data) or (text.data[0] == _OBJECT and text.data[end - 1] != _END_OF_OBJECT):
            return False
        if text.data[at] == _END_OF_LIST:
            return text.space_after(at + 1) == len(text.data) or self._is_inside
        if text.data[0] == _OBJECT and self._windows.boundaries:
            return self._windows.is_known_end(end)
        return text.data[at] == _COMMA

    def _after_one(self) -> Iterator[Problem]:
        text = self._text
        byte = text.skip_space()
        if byte == _COMMA:
            text.drop(1)
        elif byte not in (_END_OF_LIST, -1):
            yield self._problem(text.offset, "A comma is missing here.")

    def _element_problem(self, index: int, at: int, what: str) -> Problem:
        problem = self._problem(at, what)
        return Problem(f"{self._where}, element {index:,} at byte {at:,}", problem.what)


def _objection(scan: Scan, size: int) -> str:
    if scan.deepest > DEEPEST:
        return f"It is nested more than {DEEPEST} levels deep."
    if scan.longest > LONGEST_STRING:
        return f"It holds a text of more than {LONGEST_STRING // MIB} MiB."
    if size > LARGEST_ELEMENT:
        return f"It is larger than {LARGEST_ELEMENT // MIB} MiB."
    return ""
