"""The parts of a message written for files: as Markdown, and as plain text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from markdown_it import MarkdownIt

from chatkeep import exact
from chatkeep.model import Part
from chatkeep.rendering import citations, foreign, links, texts
from chatkeep.rendering.citations import Note
from chatkeep.rendering.parts import (
    EVERYTHING,
    MAX_NESTING,
    AttachmentUrl,
    Showing,
    label_of,
    name_of,
    nowhere,
    size_of,
    sources_of,
    spoken,
)

# ------------------------------------------------------------------ Markdown


def to_markdown(
    parts: Sequence[Part],
    platform: str = "",
    *,
    attachment_url: AttachmentUrl = nowhere,
    showing: Showing = EVERYTHING,
    footnote: str = "",
) -> str:
    """The parts of a message that are shown, as Markdown that stands for itself wherever it is put.

    Markdown stays as it was written, but what would be live HTML is escaped and an open code block is closed; plain
    text is escaped so that it shows as it was. Sources become footnotes; footnote: what makes their names unique.
    """
    if len(parts) == 1 and (part := parts[0]).type == "text" and not citations.is_cited(part.text):
        return _text_as_markdown(exact.readable(part.text), texts.markup_of(part, platform))
    shown, notes = citations.resolve(parts)
    notes = notes if showing.citations else []
    block = partial(_as_markdown, platform=platform, notes=len(notes), footnote=footnote, url=attachment_url)
    written = [*_written(shown, block, showing, 0), *_footnotes(notes, footnote)]
    return "\n\n".join(text for text in written if text)


def _written(parts: Sequence[Part], block: Callable[..., str], showing: Showing, depth: int) -> Iterator[str]:
    for part in parts:
        if showing.shows(part) and part.type != "citation":
            yield block(part)
            if part.type not in ("text", "code", "attachment") and depth < MAX_NESTING:
                yield from _written(part.parts, block, showing, depth + 1)


def _as_markdown(part: Part, *, platform: str, notes: int, footnote: str, url: AttachmentUrl) -> str:
    if part.type == "text":
        text = _text_as_markdown(exact.readable(part.text), texts.markup_of(part, platform))
        return citations.replace(text, lambda number: f"[^{footnote}{number}]" if number <= notes else "")
    if part.type == "code":
        return fenced(exact.readable(part.text), part.language)
    if part.type == "attachment":
        return _attachment_as_markdown(part, url)
    label = f"*{escape_markdown(label_of(part))}*"
    if part.type == "thinking":
        quoted = _text_as_markdown(exact.readable(part.text), part.markup or "markdown")
        return "\n".join(f"> {line}".rstrip() for line in [label, "", *quoted.splitlines()])
    return "\n\n".join([label, *(fenced(source, part.language) for source in sources_of(part))])


def _text_as_markdown(text: str, markup: str) -> str:
    if markup == "markdown":
        return _self_contained(text.strip("\n"))
    if markup == "html":
        return foreign.to_markdown(text)
    if markup == "whatsapp":
        text = _WHATSAPP_BOLD.sub(r"\1**\2**", text)
        return _broken(_escaped(text, _NEEDS_ESCAPE_BESIDE_MARKS))
    return _broken(_escaped(text, _NEEDS_ESCAPE))


_WHATSAPP_BOLD = re.compile(r"(?<![\w*])()\*([^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])")
_ADDRESS = re.compile(r"(https?://[^\s<>]+)")


class _Signs:
    """What Markdown takes for a sign. Most texts hold few, so each step is one that passes quickly over the rest.

    anywhere: signs by themselves. begins: those that count at the beginning of a line, beside numbers of a list.
    emphasis: whether an underscore at the edge of a word is one.
    """

    def __init__(self, anywhere: str, begins: str, *, emphasis: bool) -> None:
        self._anywhere = re.compile(f"[{re.escape(anywhere)}]")
        # Searching for the end of the line before is a search for one letter.
        self._begins = re.compile(rf"\n[ \t]*(?:[{begins}]|\d+(?=[.)]))")
        self._emphasis = emphasis

    def escaped(self, text: str) -> str:
        """The text with a backslash before each sign; its first letter begins a line."""
        text = self._anywhere.sub(_behind_backslash, text)
        if self._emphasis and "_" in text:
            text = _EDGE.sub(_behind_backslash, text)
        return self._begins.sub(_backslash, f"\n{text}")[1:]


_EDGE = re.compile(r"_(?:(?<!\w_)|(?!\w))")  # the sign first, as a search for one letter is quick
_NEEDS_ESCAPE = _Signs("\\`*[]<|~$", "-+>#=", emphasis=True)
_NEEDS_ESCAPE_BESIDE_MARKS = _Signs("\\[]<|$", "-+#=", emphasis=False)


def escape_markdown(text: str) -> str:
    """The text on one line, so that it shows as it is."""
    return _escaped(" ".join(text.split()), _NEEDS_ESCAPE)


def _escaped(text: str, signs: _Signs) -> str:
    """The text with a backslash before what Markdown would take for a sign; addresses stay whole."""
    if "://" not in text:
        return signs.escaped(text)
    pieces = _ADDRESS.split(text)
    return "".join(piece if at % 2 and links.safe(piece) else signs.escaped(piece) for at, piece in enumerate(pieces))


def _behind_backslash(found: re.Match[str]) -> str:
    """Takes a fifth of the time of a template."""
    return f"\\{found[0]}"


def _backslash(found: re.Match[str]) -> str:
    sign = found[0].lstrip("\n \t")
    margin = found[0][: len(found[0]) - len(sign)]
    # Of a number that would begin a list, the sign after it is the one to escape.
    return f"{margin}{sign}\\" if sign.isdigit() else f"{margin}\\{sign}"


def _broken(text: str) -> str:
    """The text with its line breaks as Markdown's hard ones: two spaces at the end of a line that another follows."""
    if "\n" not in text:
        return text
    lines = text.strip("\n").split("\n")
    for at, following in enumerate(lines[1:]):
        if following and (line := lines[at].rstrip(" \t")) and not line[-1].isspace():
            lines[at] = f"{line}  "
    return "\n".join(lines)


def fenced(text: str, language: str = "") -> str:
    """A block of code that no text inside can end."""
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    fence = "`" * max(3, longest + 1)
    name = re.match(r"[\w+#.-]{0,30}", language.strip())
    return f"{fence}{name[0] if name else ''}\n{text.strip(chr(10))}\n{fence}"


def _attachment_as_markdown(part: Part, attachment_url: AttachmentUrl) -> str:
    name = escape_markdown(name_of(part))
    said = [_broken(_escaped(text, _NEEDS_ESCAPE)) for text in spoken(part)]
    url = attachment_url(part.sha256) if part.sha256 else None
    if not url:
        shown = f"*{name} ({'not in the export' if part.missing or not part.sha256 else 'not included here'})*"
    else:
        shown = f"{'!' if part.media_type.startswith('image/') else ''}[{name}](<{url}>)"
    return "\n\n".join([shown, *said])


def _footnotes(notes: Sequence[Note], footnote: str) -> Iterator[str]:
    for note in notes:
        title = escape_markdown(note.title)
        quote = f" “{escape_markdown(note.quote)}”" if note.quote else ""
        yield f"[^{footnote}{note.number}]: " + (f"[{title}](<{note.url}>)" if note.url else title) + quote


# ------------------------------------------------------------------ Markdown that stands for itself

_SUSPICIOUS = re.compile(r"<[A-Za-z/!?]")
_FENCE = re.compile(r"\n([ ]*)(`{3,}|~{3,})(.*)")
_SPAN = re.compile(r"(?<![`\\])(`+)(?!`)([^`\n|]+)\1(?!`)")
_ADDRESS_MARK = re.compile(r"<(?=(?:https?://|mailto:)[^\s<>]*>)")
_LIVE = re.compile(r"<(?=[A-Za-z/!?])")
_WITH_HTML = MarkdownIt("commonmark", {"html": True, "maxNesting": 30}).enable(["table"])


def _is_suspicious(text: str) -> bool:
    """What the pattern finds, in a third of the time: most texts have few of these signs, if any."""
    at = text.find("<")
    while at >= 0:
        if _SUSPICIOUS.match(text, at):
            return True
        at = text.find("<", at + 1)
    return False


def _self_contained(text: str) -> str:
    """Markdown as it was, without live HTML and pictures elsewhere, with formulas as most programs know them.

    Its last code block is closed, so that it cannot swallow what follows.
    """
    is_suspicious = _is_suspicious(text)
    is_unsettled = ("\\" in text and ("\\[" in text or "\\(" in text)) or ("!" in text and "![" in text)
    if not is_suspicious and not is_unsettled and "```" not in text and "~~~" not in text:
        return text
    runs, fence, is_plain = _fences(text)
    if is_unsettled:
        runs = [(is_code, run if is_code else _outside_spans(run, _settle)) for is_code, run in runs]
        text = "".join(run for _, run in runs)
    closing = f"\n{fence}" if fence and _swallows(text) else ""
    if is_suspicious:
        # Where code and text cannot be told apart for certain, all of it is taken for text, which is the safe side.
        text = _without_html(text, runs if is_plain else [(False, text)])
    return text + closing


# A picture; not the end of a macro of Rust, `vec![1]`, unless an address follows it.
_PICTURE = re.compile(r"(?<!\w)!(?=\[)|!(?=\[[^\]\n]{0,300}\]\(\s{0,3}<?(?:https?:)?//)")
# Neither holds another one, so that a search ends where the next begins.
_FORMULA = re.compile(r"(?<!\\)\\\(((?:[^\n\\]|\\[^()\n]){1,2000})\\\)")
_DISPLAYED = re.compile(r"(?<!\\)\\\[((?:[^\n\\]|\\[^\[\]]|\n(?!\n)){1,4000})\\\]")


def _settle(text: str) -> str:
    """Links instead of pictures that would be loaded from elsewhere; dollars around formulas."""
    if "![" in text:
        text = _PICTURE.sub("", text)
    if "\\(" in text:
        text = _FORMULA.sub(lambda found: f"${found[1].strip()}$", text)
    return _DISPLAYED.sub(lambda found: f"$${found[1]}$$", text) if "\\[" in text else text


def _fences(text: str) -> tuple[list[tuple[bool, str]], str, bool]:
    """The text as runs (is code, text), the fence that seems to be open at its end, and whether that is certain.

    It is where every fence stands at the margin; one that is indented may belong to a list, and end with it.
    """
    runs: list[tuple[bool, str]] = []
    fence, start, is_plain = "", 0, True
    # With the end of a line before it, as a search for one letter is quick: what ends, ends one place earlier.
    for found in _FENCE.finditer(f"\n{text}"):
        margin, run, info = found.groups()
        is_plain = is_plain and not margin
        if not fence:
            if len(margin) < 4 and not (run[0] == "`" and "`" in info):
                runs.append((False, text[start : found.start()]))
                fence, start = run, found.start()
        elif len(margin) < 4 and run[0] == fence[0] and len(run) >= len(fence) and not info.strip():
            end = found.end() - 1
            runs.append((True, text[start:end]))
            fence, start = "", end
    runs.append((bool(fence), text[start:]))
    return runs, fence, is_plain


def _swallows(text: str) -> bool:
    """Whether a paragraph after the text would become part of it."""
    if len(text) > 65_536:
        return True
    tokens = _WITH_HTML.parse(f"{text}\n\nafter")
    return not (
        len(tokens) > 1 and tokens[-2].type == "inline" and tokens[-2].content == "after" and not tokens[-2].level > 1
    )


def _without_html(text: str, runs: list[tuple[bool, str]]) -> str:
    """The text with the HTML outside its code escaped; if any is left, with all of it escaped."""
    if not any(_SUSPICIOUS.search(_SPAN.sub("", run)) for is_code, run in runs if not is_code):
        return text
    if len(text) > 65_536:
        return _escape_html(text)
    if not _has_html(text):
        return text
    escaped = "".join(run if is_code else _outside_spans(run, _escape_html) for is_code, run in runs)
    return escaped if not _has_html(escaped) else _escape_html(text)


def _outside_spans(run: str, change: Callable[[str], str]) -> str:
    """The text changed, but for the code within its lines."""
    pieces, end = [], 0
    for found in _SPAN.finditer(run) if "`" in run else ():
        pieces += [change(run[end : found.start()]), found[0]]
        end = found.end()
    return "".join([*pieces, change(run[end:])])


def _escape_html(text: str) -> str:
    return _LIVE.sub(lambda found: found[0] if _ADDRESS_MARK.match(text, found.start()) else "&lt;", text)


def _has_html(text: str) -> bool:
    try:
        tokens = _WITH_HTML.parse(text)
    except Exception:
        return True
    inner = [child for token in tokens for child in token.children or ()]
    return any(token.type in ("html_block", "html_inline") for token in (*tokens, *inner))


# ------------------------------------------------------------------ plain text


def to_text(
    parts: Sequence[Part],
    platform: str = "",
    *,
    attachment_url: AttachmentUrl = nowhere,
    showing: Showing = EVERYTHING,
) -> str:
    """The parts of a message that are shown, as plain text; sources are numbered and listed at its end."""
    if len(parts) == 1 and (part := parts[0]).type == "text" and not citations.is_cited(part.text):
        return _text_as_text(exact.readable(part.text), part.markup)
    shown, notes = citations.resolve(parts)
    notes = notes if showing.citations else []
    block = partial(_as_text, notes=len(notes), url=attachment_url)
    written = [*_written(shown, block, showing, 0), "\n".join(_source_lines(notes))]
    return "\n\n".join(text for text in written if text)


def _as_text(part: Part, *, notes: int, url: AttachmentUrl) -> str:
    if part.type == "text":
        text = _text_as_text(exact.readable(part.text), part.markup)
        return citations.replace(text, lambda number: f"[{number}]" if number <= notes else "")
    if part.type == "code":
        return exact.readable(part.text).strip("\n")
    if part.type == "attachment":
        return _attachment_as_text(part, url)
    if part.type == "thinking":
        return _indented(f"[{label_of(part)}]", exact.readable(part.text))
    return _indented(f"[{label_of(part)}]", "\n".join(sources_of(part)))


def _text_as_text(text: str, markup: str) -> str:
    return foreign.to_text(text) if markup == "html" else text.strip("\n")


def _attachment_as_text(part: Part, attachment_url: AttachmentUrl) -> str:
    url = attachment_url(part.sha256) if part.sha256 else None
    facts = [size_of(part.size)] if part.size is not None else []
    facts += [url or ("not in the export" if part.missing or not part.sha256 else "not included here")]
    return "\n".join([f"[{name_of(part)}: {', '.join(facts)}]", *spoken(part)])


def _indented(label: str, text: str) -> str:
    return "\n".join([label, *(f"    {line}".rstrip() for line in text.splitlines())])


def _source_lines(notes: Sequence[Note]) -> Iterator[str]:
    for note in notes:
        address = f" <{note.url}>" if note.url and note.url != note.title else ""
        yield f"[{note.number}] {note.title}{address}" + (f" “{note.quote}”" if note.quote else "")
