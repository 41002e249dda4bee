"""Texts that try to run, load or submit something where they are shown, and a look at HTML that finds out whether.

Each payload calls `ran(<number>)` if it gets to run; `payloads` makes them from families, so that every spelling of a
trick meets every trick. `wrongs` parses HTML as browsers do and tells what in it is not inert.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser


class Payload(NamedTuple):
    """One text. markup: what it is written in."""

    number: int
    family: str
    markup: str
    text: str


def payloads() -> list[Payload]:
    """More than 400, numbered from 1."""
    found: list[Payload] = []
    for family, make in FAMILIES.items():
        for text in make():
            for markup in _markups(family):
                number = len(found) + 1
                found.append(Payload(number, family, markup, text.replace("JS", f"ran({number})")))
    return found


def _markups(family: str) -> tuple[str, ...]:
    return ("markdown",) if family in _MARKDOWN_ONLY else ("markdown", "html")


# ------------------------------------------------------------------ families


def _scripts() -> Iterator[str]:
    for tag in ("<script>JS</script>", "<ScRiPt>JS</ScRiPt>", "<script\t>JS</script\n>", "<script/x>JS</script>"):
        yield tag
        yield f"text before {tag} and after"
    yield "<script src='data:text/javascript,JS'></script>"
    yield "<script type=module>JS</script>"
    yield "<scr<script>ipt>JS</scr</script>ipt>"
    yield "<script>JS"
    yield "</p></div><script>JS</script>"
    yield "<svg><script>JS</script></svg>"
    yield "<math><script>JS</script></math>"
    yield "\n\n<script>\n\nJS\n\n</script>\n"
    yield "- item\n  <script>JS</script>"
    yield "> <script>JS</script>"
    yield "| a |\n|---|\n| <script>JS</script> |"


def _events() -> Iterator[str]:
    for tag in (
        "img src=x",
        "video src=x",
        "audio src=x",
        "input autofocus",
        "details open",
        "body",
        "svg",
        "iframe src=x",
    ):
        for event in _EVENTS.get(tag.split()[0], ("onerror", "onload")):
            for spelling in (event, event.upper()):
                yield f"<{tag} {spelling}=JS>"
    yield "<img src=x onerror='JS'//>"
    yield "<img/src=x/onerror=JS>"
    yield "<img src='x' title='>' onerror=JS>"
    yield '<img src=x alt="`><img src=x onerror=JS>`">'
    yield '<a href="#" onclick=JS>press</a>'
    yield "<p onmouseover=JS onclick=JS>touch</p>"
    yield "<x onclick=JS tabindex=1 autofocus onfocus=JS>y</x>"
    yield "<style onload=JS></style>"
    yield "<marquee onstart=JS>m</marquee>"
    yield "<img src=x onerror=&#114;an&#40;0);JS>"


_EVENTS = {
    "img": ("onerror", "onload", "onpointerenter"),
    "video": ("onerror", "onloadstart"),
    "audio": ("onerror", "onloadstart"),
    "input": ("onfocus", "oninput"),
    "details": ("ontoggle",),
    "body": ("onload", "onpageshow"),
    "svg": ("onload", "onclick"),
}

_SCHEMES = (
    "javascript:JS",
    "JaVaScRiPt:JS",
    " javascript:JS",
    "java\tscript:JS",
    "java&#10;script:JS",
    "&#106;avascript:JS",
    "&#x6A;avascript&colon;JS",
    "javascript&#58;JS",
    "\x01javascript:JS",
    "javascript://museum.example/%0aJS",
    "vbscript:JS",
    "data:text/html,<script>JS</script>",
    "data:text/html;base64,PHNjcmlwdD5yYW4oMCk8L3NjcmlwdD4=",
    "data:image/svg+xml,<svg onload=JS>",
    "file:///etc/passwd",
    "blob:https://museum.example/1",
    "//museum.example/x",
    "/settings/erase?yes=1",
    "view-source:javascript:JS",
    "intent://x#Intent;scheme=javascript;end",
)


def _links() -> Iterator[str]:
    for address in _SCHEMES:
        yield f'<a href="{address}">press</a>'
        yield f'<area href="{address}"><form action="{address}"><button>press</button></form>'
        yield f'<iframe src="{address}"></iframe>'


def _markdown_links() -> Iterator[str]:
    for address in _SCHEMES:
        yield f"[press](<{address}>)"
        yield f"[press]({address})"
        yield f"[press][a]\n\n[a]: {address}"
        yield f"<{address}>"
        yield f"![picture](<{address}>)"
    yield '[press](https://museum.example/"onclick="JS)'
    yield "[press](https://museum.example/ \"title' onclick='JS\")"
    yield "[a](javascript:JS 'x') [b](\\javascript:JS)"
    yield "[x](http://museum.example/?\">'<img src=x onerror=JS>)"
    yield '![x"onerror="JS](x)'
    yield '![x](https://museum.example/a.png"onerror="JS)'
    yield '![<img src=x onerror="JS">](https://museum.example/a.png)'
    yield "[![x](javascript:JS)](javascript:JS)"
    yield "[<script>JS</script>](https://museum.example)"
    yield "https://museum.example/<script>JS</script>"
    yield "https://museum.example/'onmouseover='JS"
    yield "http://museum.example/\u202egnp.sj"


def _svg() -> Iterator[str]:
    for inner in (
        "<animate onbegin=JS attributeName=x dur=1s>",
        "<set attributeName=onmouseover to=JS>",
        "<a xlink:href='javascript:JS'><text y=20>press</text></a>",
        "<foreignObject><iframe srcdoc='<script>parent.JS</script>'></iframe></foreignObject>",
        "<use href='data:image/svg+xml,<svg id=x onload=JS>#x'/>",
        "<style><img src=x onerror=JS></style>",
        "<title><img src=x onerror=JS></title>",
        "<desc><![CDATA[</desc><img src=x onerror=JS>]]></desc>",
        "<image href=x onerror=JS />",
    ):
        yield f"<svg>{inner}</svg>"
        yield f"<svg><g>{inner}"


def _mathml() -> Iterator[str]:
    yield "<math><mi xlink:href='javascript:JS'>press</mi></math>"
    yield "<math href='javascript:JS'>press</math>"
    yield "<math><maction actiontype='statusline#' xlink:href='javascript:JS'>press</maction></math>"
    yield "<math><mtext><table><mglyph><style><img src=x onerror=JS></style></mglyph></table></mtext></math>"
    yield "<math><mtext></form><form><mglyph><style></math><img src onerror=JS></style></mglyph></form>"
    yield "<math><annotation-xml encoding='text/html'><img src=x onerror=JS></annotation-xml></math>"
    yield "<math><annotation-xml encoding='text/html'><style><img src=x onerror=JS></style></annotation-xml></math>"
    yield "<math><mi><svg onload=JS></svg></mi></math>"
    yield "<math><mrow onclick=JS style='position:fixed'><mi>press</mi></mrow></math>"


def _css() -> Iterator[str]:
    for rule in (
        "background:url(https://museum.example/seen)",
        "background:url(javascript:JS)",
        "position:fixed;inset:0;z-index:9999",
        "behavior:url(x.htc)",
        "width:expression(JS)",
    ):
        yield f'<div style="{rule}">over all</div>'
        yield f"<style>*{{{rule}}}</style>"
    yield "<style>@import 'https://museum.example/seen.css';</style>"
    yield "<link rel=stylesheet href='https://museum.example/seen.css'>"
    yield "<link rel=preload as=script href='https://museum.example/seen.js'>"
    yield "<font color=red style=JS>red</font>"


def _htmx() -> Iterator[str]:
    for attribute in (
        "hx-get='/erase' hx-trigger=load",
        "hx-post='/erase' hx-trigger=load",
        "data-hx-get='/erase' data-hx-trigger=load",
        "hx-on:click=JS",
        "hx-on::load=JS",
        "hx-vals='js:{x: JS}' hx-get=/x hx-trigger=load",
        "hx-swap-oob=true id=main",
        "hx-boost=true",
        "_='on load call JS'",
        "x-data x-init=JS",
        "@click=JS",
    ):
        yield f"<div {attribute}>swapped</div>"
        yield f"<a {attribute} href='https://museum.example'>swapped</a>"


def _frames() -> Iterator[str]:
    yield "<iframe srcdoc='<script>parent.JS</script>'></iframe>"
    yield "<iframe srcdoc='&lt;script&gt;parent.JS&lt;/script&gt;'></iframe>"
    yield "<object data='data:text/html,<script>JS</script>'></object>"
    yield "<embed src='data:text/html,<script>JS</script>'>"
    yield "<frameset><frame src='javascript:JS'></frameset>"
    yield "<portal src='https://museum.example'></portal>"
    yield "<object type='text/html' data='https://museum.example'></object>"
    yield "<applet code=x></applet>"


def _documents() -> Iterator[str]:
    yield "<meta http-equiv=refresh content='0;url=javascript:JS'>"
    yield "<meta http-equiv=refresh content='0;url=https://museum.example'>"
    yield "<meta http-equiv=Content-Security-Policy content='script-src *'>"
    yield "<base href='https://museum.example/'>"
    yield "<base target=_top><a href='/x'>press</a>"
    yield "<template><script>JS</script></template>"
    yield "<template shadowrootmode=open><img src=x onerror=JS></template>"
    yield "<div><template shadowrootmode=open><script>JS</script></template></div>"
    yield "<form id=f action='https://museum.example'><input name=x></form><button form=f>send</button>"
    yield "<button formaction='javascript:JS'>press</button>"
    yield "<input type=image src=x onerror=JS>"
    yield "<isindex type=image src=x onerror=JS>"
    yield "<dialog open onclose=JS><form method=dialog><button>press</button></form></dialog>"
    yield "<textarea autofocus onfocus=JS></textarea>"
    yield "<select autofocus onfocus=JS></select>"
    yield "<keygen autofocus onfocus=JS>"
    yield "<a id=location name=cookie href='https://museum.example'>clobber</a>"
    yield "<img name=getElementById src='https://museum.example/seen.png'>"
    yield "<a href='https://museum.example' target=_blank ping='https://museum.example/seen'>press</a>"
    yield "<video poster='https://museum.example/seen.png'></video>"
    yield "<audio><source src='https://museum.example/seen.ogg'></audio>"
    yield "<picture><source srcset='https://museum.example/seen.png'><img></picture>"
    yield "<img srcset='https://museum.example/seen.png 1x'>"
    yield "<table background='https://museum.example/seen.png'><tr><td>x</td></tr></table>"


def _mutations() -> Iterator[str]:
    yield "<noscript><p title='</noscript><img src=x onerror=JS>'></noscript>"
    yield "<p title='</p><img src=x onerror=JS>'>x</p>"
    yield "<style><style/><img src=x onerror=JS>"
    yield "<listing>&lt;img src=x onerror=JS&gt;</listing>"
    yield "<xmp><p title='</xmp><img src=x onerror=JS>'></xmp>"
    yield "<plaintext><img src=x onerror=JS>"
    yield "<svg></p><style><a id='</style><img src=x onerror=JS>'>"
    yield "<svg><p><style><a title='</style><img src=x onerror=JS>'></a></style></p></svg>"
    yield "<math></br><style><a title='</style><img src=x onerror=JS>'>"
    yield "<form><div></form><form><math><mtext></form><form><mglyph><style></math><img src onerror=JS>"
    yield "<select><template><img src=x onerror=JS></template></select>"
    yield "<select><iframe></select><img src=x onerror=JS>"
    yield "<table><td><a href='javascript:JS'>press</table>"
    yield "<a><table><a href='javascript:JS'>press</a></table></a>"
    yield "<b <script>JS</script>0"
    yield "<img src='x`' onerror='JS`'>"
    yield "<div id='&quot;&gt;&lt;img src=x onerror=JS&gt;'></div><img src=x onerror=JS>"
    yield "<![CDATA[<img src=x onerror=JS>]]>"
    yield "<?xml version='1.0'?><img src=x onerror=JS>"
    yield "<!--><img src=x onerror=JS>-->"
    yield "<!-- --!><img src=x onerror=JS> -->"
    yield "<!--[if gte IE 4]><script>JS</script><![endif]-->"
    yield "<!doctype html [<!ENTITY x 'JS'>]><img src=x onerror=JS>"
    yield "<comment><img src='</comment><img src=x onerror=JS>'></comment>"
    yield "\x00<scr\x00ipt>JS</scr\x00ipt><img src=x\x00 onerror=JS>"
    yield "<img src=x\u00a0onerror=JS><img\u3000src=x onerror=JS><img src=x onerror=JS>"


def _markdown_tricks() -> Iterator[str]:
    for info in ("html", "python onload=JS", '"><img src=x onerror=JS>', "'onclick='JS", "<script>", "js\u202e"):
        yield f"```{info}\n<script>JS</script>\n```"
        yield f"~~~ {info}\n</code></pre><img src=x onerror=JS>\n~~~"
    yield "    <script>JS</script>\n\n<script>JS</script>"
    yield "`<img src=x onerror=JS>` <img src=x onerror=JS>"
    yield "``<script>` JS</script>`` <img src=x onerror=JS>"
    yield "\\`<script>JS</script>\\`"
    yield "&lt;script&gt;JS&lt;/script&gt; &#60;img src=x onerror=JS&#62; <img src=x onerror=JS>"
    yield "# <img src=x onerror=JS>\n\n<img src=x onerror=JS>\n==="
    yield "<details><summary><img src=x onerror=JS></summary></details>"
    yield "* <img src=x\n  onerror=JS>"
    yield "<img src=x\n\nonerror=JS><img src=x onerror=JS>"
    yield "[a]: <https://museum.example> 'x'\n[a] <img src=x onerror=JS>"
    yield "- [ ] <img src=x onerror=JS>\n- [x] <svg onload=JS>"
    yield "|a|\n|-|\n|`|`<img src=x onerror=JS>|"
    yield "~~<img src=x onerror=JS>~~ **<svg onload=JS>**"
    yield "```\n<b>\n  ```\n<img src=x onerror=JS>"
    yield "  ```\n```\n<img src=x onerror=JS>\n```"
    yield "- ```\n<img src=x onerror=JS>\n  ```"
    yield "> ```\n<img src=x onerror=JS>\n```"


def _latex() -> Iterator[str]:
    for source in (
        "\\href{javascript:JS}{press}",
        "\\text{<img src=x onerror=JS>}",
        "<img src=x onerror=JS>",
        "\\style{position:fixed}{x}",
        "\\html{<script>JS</script>}",
        '\\class{x" onclick="JS}{y}',
        "\\color{red;background:url(https://museum.example/seen)}{x}",
        "\\unicode{<svg onload=JS>}",
        "\\mathrm{</math><img src=x onerror=JS>}",
        "\\begin{matrix}<script>JS</script>\\end{matrix}",
        "\\require{html}\\data{x=JS}{y}",
        "\\def\\x{\\x\\x}\\x",
    ):
        yield f"${source}$ <img src=x onerror=JS>"
        yield f"$$\n{source}\n$$"
        yield f"\\[ {source} \\] <svg onload=JS>"


def _directions() -> Iterator[str]:
    for sign in ("\u202e", "\u202d", "\u2066", "\u2067", "\u200f"):
        yield f"{sign}<img src=x onerror=JS>"
        yield f"[gpj.{sign}exe](javascript:JS) <a href='javascript:JS'>{sign}press</a>"
    yield "\ue200cite\ue202<img src=x onerror=JS>\ue201<img src=x onerror=JS>"
    yield "\ue2001\ue201<img src=x onerror=JS>"
    yield "【1†<script>JS</script>】<img src=x onerror=JS>"
    yield "\ue200url\ue202<script>JS</script>\ue202javascript:JS\ue201<svg onload=JS>"
    yield '\ue200entity\ue202["x","<img src=x onerror=JS>"]\ue201<svg onload=JS>'


FAMILIES: dict[str, Callable[[], Iterator[str]]] = {
    "script": _scripts,
    "event": _events,
    "link": _links,
    "markdown link": _markdown_links,
    "svg": _svg,
    "mathml": _mathml,
    "css": _css,
    "htmx": _htmx,
    "frame": _frames,
    "document": _documents,
    "mutation": _mutations,
    "markdown": _markdown_tricks,
    "latex": _latex,
    "direction": _directions,
}
_MARKDOWN_ONLY = frozenset({"markdown link", "markdown", "latex"})


# ------------------------------------------------------------------ a look at HTML


_LIVE = frozenset(
    [
        *(
            "applet",
            "area",
            "base",
            "button",
            "dialog",
            "embed",
            "form",
            "frame",
            "frameset",
            "iframe",
            "input",
            "keygen",
        ),
        *("link", "meta", "object", "picture", "plaintext", "portal", "script", "select", "source", "style", "svg"),
        *(
            "template",
            "textarea",
            "title",
            "track",
            "use",
            "xmp",
            "noscript",
            "marquee",
            "math:script",
            "annotation-xml",
        ),
    ]
)
_LOADING = frozenset(
    [
        "action",
        "background",
        "data",
        "formaction",
        "ping",
        "poster",
        "srcdoc",
        "srcset",
        "xlink:href",
        "style",
        "is",
        "slot",
    ]
)
_ADDRESS = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
_OWN_ATTRIBUTES = re.compile(
    r"alt|aria-label|class|colspan|controls|datetime|dir|display|download|href|id|lang|loading|open|preload|rel|rowspan|"
    r"scope|src|start|title|value|accent|accentunder|column\w+|depth|displaystyle|fence|form|height|largeop|"
    r"linethickness|[lr]space|maths\w+|mathvariant|m(ax|in)size|movablelimits|notation|row\w+|scriptlevel|separator|"
    r"stretchy|symmetric|voffset|width"
)


def wrongs(html: str, *, sources: Callable[[str], bool] = lambda _: False) -> list[str]:
    """What in a piece of HTML is not inert; nothing for one that is safe. sources: which `src` are our own."""
    tree = LexborHTMLParser(f"<!doctype html><body><div id=shown>{html}</div>")
    found = []
    for node in tree.css("body *"):
        tag = (node.tag or "").lower()
        if tag in _LIVE:
            found.append(f"<{tag}>")
        for name, value in node.attributes.items():
            found += _wrong_attribute(tag, name.lower(), value or "", sources)
    found += [f"<{node.tag}> in the head" for node in tree.css("head *")]
    return found


def _wrong_attribute(tag: str, name: str, value: str, sources: Callable[[str], bool]) -> Iterator[str]:
    if name.startswith("on") or name in _LOADING or not _OWN_ATTRIBUTES.fullmatch(name):
        yield f"{tag} {name}"
    elif name == "src" and not sources(value):
        yield f"{tag} src={value[:40]}"
    elif name == "href" and not (_ADDRESS.match(value) or sources(value)):
        yield f"{tag} href={value[:40]}"
    elif name == "href" and re.search("[\x00-\x20\u202a-\u202e\u2066-\u2069]", value):
        yield f"{tag} href with signs that deceive"


_OPEN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_OPEN.validateLink = lambda _address: True  # type: ignore[assignment,method-assign]


def unguarded(payload: Payload) -> str:
    """The control: what a reader without any care makes of it."""
    return payload.text if payload.markup == "html" else str(_OPEN.render(payload.text))
