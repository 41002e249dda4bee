"""Code with its words coloured, by classes alone: the colours are in style.css."""

from __future__ import annotations

import re
from functools import cache
from html import escape

from pygments.formatters.html import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

MAX_LENGTH = 20_000  # characters that are coloured; longer code is shown plain
MAX_LINE = 2_000  # some grammars take quadratic time in the length of a line

# What people and assistants write code in. Each grammar is one more that must be fast on hostile text, so others
# are shown without colours.
_LANGUAGES = (
    "apache awk bash bat c c++ c# cmake clojure cpp cs csharp css csv dart diff docker dockerfile elixir elm erlang "
    "f# fortran fsharp go golang gradle graphql groovy haskell hcl html http ini java javascript js json jsonc jsx "
    "julia kotlin kt latex lean less lisp lua make makefile markdown matlab md mysql nginx nim nix objc objective-c "
    "ocaml octave pascal patch perl php plpgsql postgres postgresql powershell ps1 proto protobuf py python python3 "
    "r rb rs ruby rust sass scala scheme scss sh shell solidity sql sqlite swift tcl terraform tex toml ts tsx "
    "typescript vb vbnet verilog vhdl vim xml yaml yml zig zsh"
)
LANGUAGES = frozenset(_LANGUAGES.split())
_NAME = re.compile(r"[\w+#.-]{1,30}")
_FORMATTER = HtmlFormatter(nowrap=True)


def to_html(code: str, language: str = "") -> str:
    """A block of code with the name of its language above. language: as written, "Python" or "py title=x"."""
    found = _NAME.match(language.strip())
    name = found[0] if found else ""
    label = f"<figcaption>{escape(name)}</figcaption>" if name else ""
    inner = coloured(code, name.lower())
    return f'<figure class="chat-code">{label}<pre dir="ltr"><code>{inner}</code></pre></figure>'


def coloured(code: str, language: str) -> str:
    """The code escaped, with the spans of its language if it is one we colour."""
    if language not in LANGUAGES or len(code) > MAX_LENGTH or _longest(code) > MAX_LINE:
        return escape(code, quote=False)
    lexer = _lexer(language)
    return _format(lexer, code) if lexer else escape(code, quote=False)


def _longest(code: str) -> int:
    return max(map(len, code.splitlines()), default=0)


def _format(lexer: Lexer, code: str) -> str:
    parts: list[str] = []
    _FORMATTER.format(lexer.get_tokens(code), _Collected(parts))
    return "".join(parts)


class _Collected:
    """The part of a file that the formatter writes to."""

    def __init__(self, parts: list[str]) -> None:
        self.write = parts.append


@cache
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
