"""What Drive calls `q` and `fields`: which files are meant, and what is told of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Test = Callable[[Any], bool]


class BadQuery(ValueError):
    """Drive would answer 400."""


# fields: "files(id,name,parents),nextPageToken", "user/emailAddress", "*"


def masked(value: Any, mask: str) -> Any:
    """The part of a value that a mask asks for."""
    tree, rest = _mask(mask.replace(" ", ""), 0)
    if rest != len(mask.replace(" ", "")):
        raise BadQuery(mask)
    return _kept(value, tree)


Mask = dict[str, Any]


def _mask(text: str, at: int) -> tuple[Mask, int]:
    tree: Mask = {}
    while at < len(text):
        name = re.match(r"[\w*-]+(/[\w*-]+)*", text[at:])
        if not name:
            raise BadQuery(text)
        at += name.end()
        inner: Mask = {}
        if text[at : at + 1] == "(":
            inner, at = _mask(text, at + 1)
            if text[at : at + 1] != ")":
                raise BadQuery(text)
            at += 1
        for part in reversed(name[0].split("/")):
            inner = {part: inner}
        _join(tree, inner)
        if text[at : at + 1] != ",":
            break
        at += 1
    return tree, at


def _join(into: Mask, other: Mask) -> None:
    for name, inner in other.items():
        _join(into.setdefault(name, {}), inner)


def _kept(value: Any, tree: Mask) -> Any:
    if not tree or "*" in tree:
        return value
    if isinstance(value, list):
        return [_kept(one, tree) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: _kept(value[name], inner) for name, inner in tree.items() if name in value}


# q: "trashed=false and ('a' in parents or 'b' in parents) and (name = 'it\'s')"

_TOKEN = re.compile(r"\s*(?:'((?:[^'\\]|\\.)*)'|(<=|>=|!=|[=<>(){}])|([A-Za-z][\w]*))")


def query(text: str, fields: Mapping[str, Callable[[Any], Any]]) -> Test:
    """Whether a file is meant. fields: what the names of a query say about a file."""
    tokens: list[tuple[str, str]] = []
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if not found:
            raise BadQuery(text)
        if found[1] is not None:
            tokens.append(("text", re.sub(r"\\(.)", r"\1", found[1])))
        else:
            tokens.append(("sign", found[2]) if found[2] else ("word", found[3]))
        at = found.end()
    if not tokens:
        return lambda file: True
    reading = _Query(tokens, fields)
    test = reading.either()
    if reading.at != len(tokens):
        raise BadQuery(text)
    return test


class _Query:
    def __init__(self, tokens: list[tuple[str, str]], fields: Mapping[str, Callable[[Any], Any]]) -> None:
        self.tokens = tokens
        self.fields = fields
        self.at = 0

    def _next(self, *wanted: tuple[str, str]) -> tuple[str, str]:
        if self.at >= len(self.tokens) or (wanted and self.tokens[self.at] not in wanted):
            raise BadQuery("the query ends early or goes on wrongly")
        self.at += 1
        return self.tokens[self.at - 1]

    def _is(self, kind: str, said: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at] == (kind, said):
            self.at += 1
            return True
        return False

    def either(self) -> Test:
        tests = [self.both()]
        while self._is("word", "or"):
            tests.append(self.both())
        return lambda file: any(test(file) for test in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self._is("word", "and"):
            tests.append(self.one())
        return lambda file: all(test(file) for test in tests)

    def one(self) -> Test:
        if self._is("word", "not"):
            inner = self.one()
            return lambda file: not inner(file)
        if self._is("sign", "("):
            inner = self.either()
            self._next(("sign", ")"))
            return inner
        kind, said = self._next()
        if kind == "text":
            self._next(("word", "in"))
            field = self._field(self._next()[1])
            return lambda file: said in field(file)
        return self._compared(said)

    def _field(self, name: str) -> Callable[[Any], Any]:
        if name not in self.fields:
            raise BadQuery(name)
        return self.fields[name]

    def _compared(self, name: str) -> Test:
        field = self._field(name)
        sign = self._next()[1]
        if sign == "has":
            return self._has(field)
        kind, value = self._next()
        wanted: Any = {"true": True, "false": False}.get(value, value) if kind == "word" else value
        tests: dict[str, Callable[[Any], bool]] = {
            "=": lambda has: has == wanted,
            "!=": lambda has: has != wanted,
            "<": lambda has: has < wanted,
            "<=": lambda has: has <= wanted,
            ">": lambda has: has > wanted,
            ">=": lambda has: has >= wanted,
            "contains": lambda has: str(has).lower().startswith(str(wanted).lower()),
        }
        if sign not in tests:
            raise BadQuery(sign)
        return lambda file: tests[sign](field(file))

    def _has(self, field: Callable[[Any], Any]) -> Test:
        self._next(("sign", "{"))
        self._next(("word", "key"))
        self._next(("sign", "="))
        key = self._next()[1]
        self._next(("word", "and"))
        self._next(("word", "value"))
        self._next(("sign", "="))
        value = self._next()[1]
        self._next(("sign", "}"))
        return lambda file: field(file).get(key) == value
