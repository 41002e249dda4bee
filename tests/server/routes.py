"""Every address there is, as the resolver knows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from django.urls import URLPattern, URLResolver, get_resolver


class Route(msgspec.Struct, frozen=True):
    """One address. form: "/chats/{name}/"; parameters: the names in it."""

    name: str
    form: str
    parameters: tuple[str, ...]

    def filled(self, values: dict[str, Any]) -> str:
        return self.form.format(**{name: values[f"{self.name}.{name}"] for name in self.parameters})


_IN_PATH = re.compile(r"<(?:\w+:)?(\w+)>")
_IN_REGEX = re.compile(r"\(\?P<(\w+)>[^)]*\)")


def routes(resolver: URLResolver | None = None, begin: str = "/") -> Iterator[Route]:
    """All of them, with those that are included."""
    for pattern in (resolver or get_resolver()).url_patterns:
        form = begin + _plain(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, form)
        elif isinstance(pattern, URLPattern):
            yield Route(pattern.name or form, form, tuple(re.findall(r"{(\w+)}", form)))


def _plain(pattern: str) -> str:
    if "(?P<" in pattern or pattern.startswith("^"):
        return _IN_REGEX.sub(r"{\1}", pattern.lstrip("^").rstrip("$"))
    return _IN_PATH.sub(r"{\1}", pattern)
