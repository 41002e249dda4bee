"""The last gate: what leaves here is inert, whatever went wrong before.

An allow-list of elements and attributes (docs/design/rendering.md has the reasons). Nothing here can run, load,
submit, style the page, or lead anywhere but to the web and to mailboxes. MathML is in it, pictures are not: those
of the archive are put around texts by `chatkeep.rendering.parts`, those elsewhere become links.
"""

from __future__ import annotations

import nh3
from pygments.token import STANDARD_TYPES

_BLOCKS = {"blockquote", "dd", "div", "dl", "dt", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6"}
_BLOCKS |= {"li", "ol", "p", "pre", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul", "caption"}
_INLINE = {"a", "abbr", "b", "bdi", "bdo", "br", "cite", "code", "del", "dfn", "em", "hr", "i", "ins", "kbd", "mark"}
_INLINE |= {"q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var"}
_MATHS = {"math", "menclose", "mfenced", "mfrac", "mi", "mmultiscripts", "mn", "mo", "mover", "mpadded", "mphantom"}
_MATHS |= {"mprescripts", "mroot", "mrow", "ms", "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup", "mtable"}
_MATHS |= {"mtd", "mtext", "mtr", "munder", "munderover", "none"}
TAGS = frozenset(_BLOCKS | _INLINE | _MATHS)

SCHEMES = frozenset({"http", "https", "mailto"})
REL = "noopener noreferrer nofollow"

_MATH_ATTRIBUTES = {"accent", "accentunder", "columnalign", "columnlines", "columnspacing", "depth", "displaystyle"}
_MATH_ATTRIBUTES |= {"fence", "form", "height", "largeop", "linethickness", "lspace", "mathsize", "mathvariant"}
_MATH_ATTRIBUTES |= {"maxsize", "minsize", "movablelimits", "notation", "rowlines", "rowspacing", "rspace"}
_MATH_ATTRIBUTES |= {"scriptlevel", "separator", "stretchy", "symmetric", "voffset", "width"}

_ATTRIBUTES: dict[str, set[str]] = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
} | {tag: set(_MATH_ATTRIBUTES) for tag in _MATHS - {"math"}}

_DIRECTED = (_BLOCKS | {"span", "code", "bdi", "bdo", "a"}) - {"table", "tbody", "thead", "tfoot", "tr"}
_VALUES: dict[str, dict[str, set[str]]] = {tag: {"dir": {"auto", "ltr", "rtl"}} for tag in _DIRECTED}
_VALUES["math"] = {"display": {"block", "inline"}}

# Classes that the renderers of this package write; those of Pygments colour code.
_CLASSES: dict[str, set[str]] = {
    "code": {"chat-source"},
    "div": {"chat-maths"},
    "figure": {"chat-code"},
    "li": {"chat-task"},
    "p": {"chat-plain"},
    "span": {"chat-tex", *filter(None, STANDARD_TYPES.values())},
    "sup": {"chat-note"},
    "td": {"right", "center"},
    "th": {"right", "center"},
}

_CLEANER = nh3.Cleaner(
    tags=set(TAGS),
    clean_content_tags={"script", "style", "template", "noscript", "iframe", "object", "title", "textarea"},
    attributes=_ATTRIBUTES,
    tag_attribute_values=_VALUES,
    allowed_classes=_CLASSES,
    url_schemes=set(SCHEMES),
    url_relative="deny",
    link_rel=REL,
)


def pass_through(html: str) -> str:
    """The HTML with everything taken out that is not on the list; its text stays."""
    return _CLEANER.clean(html)
