"""One of everything that a conversation can hold, written by hand: what exporters and readers are looked at with."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path
from typing import Any

from chatkeep.merge import settle
from chatkeep.model import FORMAT, Conversation, Edit, Message, Part, Participant, Reaction, identify

CITE = "\ue200cite\ue202turn0search1\ue202turn0search4\ue201"


def picture() -> bytes:
    """A PNG of 240 × 120 points that fades from sand to sea."""
    rows = b"".join(
        b"\0" + b"".join(bytes((220 - x * 2 // 3, 190 - y // 2, 120 + x // 3)) for x in range(240)) for y in range(120)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 240, 120, 8, 2, 0, 0, 0)
    # Stored, not deflated: another version of zlib would give other bytes.
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")


FILES = {
    "picture": picture(),
    "notes": b"Eggs, milk, and a ticket for the museum.\n",
    "page": b"<!doctype html><script>document.title = 'ran'</script>",
    "voice": b"OggS" + bytes(60),
}
"""The bytes of the attachments that are there."""

ATTACHMENTS = {hashlib.sha256(data).hexdigest(): data for data in FILES.values()}
"""The same by their sha256."""


def kept(folder: Path) -> dict[str, Path]:
    """The attachments as files, as an archive has them: sha256 → path."""
    for sha256, data in ATTACHMENTS.items():
        (folder / sha256).write_bytes(data)
    return {sha256: folder / sha256 for sha256 in ATTACHMENTS}


def _file(name: str, key: str, media_type: str, **more: Any) -> Part:
    data = FILES[key]
    sha256 = hashlib.sha256(data).hexdigest()
    return Part(type="attachment", name=name, sha256=sha256, size=len(data), media_type=media_type, **more)


def _text(text: str, markup: str = "markdown") -> Part:
    return Part(type="text", text=text, markup=markup)


_GUIDE = f"""# A day at the museum

The **whale hall** opens at *nine*; the ~~old~~ new entrance is on the left.{CITE} Ask for `--quiet` tours.

1. Take the stairs
   - [x] buy tickets
   - [ ] find the cloakroom
2. See the *meteorites*

> Please do not touch the skeletons.

| Hall | Height (m) | Open |
|:-----|-----------:|:----:|
| Whales | 12.5 | yes |
| Minerals | 4 | no |

The whale falls for \\(t = \\sqrt{{2h/g}}\\) seconds, about $1.6$ of them; a ticket costs $12 and a guide $5.

\\[
h(t) = h_0 - \\frac{{1}}{{2}} g t^2
\\]

```python
def fall(height: float) -> float:
    \"\"\"Seconds until the floor.\"\"\"
    return (2 * height / 9.81) ** 0.5  # air is left out
```

A picture elsewhere stays there: ![the whale](https://museum.example/whale.jpg). More at https://museum.example/(halls).

Raw <b>HTML</b> & entities stay text: <script>alert("no")</script>
"""

_OTHER = "Come on a Tuesday; it is empty then.\n\n```\nan open code block"


def museum() -> Conversation:
    """A conversation with an assistant: a tree, with every type of part."""
    user, assistant, tool, system = ("user", "assistant", "tool", "system")
    messages = [
        _at(0, system, "root", "", [_text("You are a helpful guide.", "plain")], hidden=True),
        _at(1, user, "ask", "root", [_text("Plan a day at the museum.\nWith my aunt – she is 80.", "plain")]),
        _at(2, assistant, "think", "ask", [Part(type="thinking", text="An aunt of 80: *stairs* are hard.")]),
        _at(3, assistant, "call", "think", _call(), hidden=True),
        _at(4, tool, "result", "call", _result(), hidden=True),
        _at(5, assistant, "other", "result", [_text(_OTHER)], model="guide-1"),
        _at(6, assistant, "guide", "result", _guide(), model="guide-2", previous=[_text("A day at the museum")]),
        _at(7, user, "files", "guide", _files()),
        _at(8, assistant, "odd", "files", _odd()),
        _at(9, user, "bye", "odd", [_text("Danke! 谢谢，再见。 ありがとう 🐋👩‍👧", "plain")]),
    ]
    return settle(
        Conversation(
            format=FORMAT,
            id=identify("museum", "tree"),
            platform="chatgpt",
            source_id="museum-1",
            title="Whales: a day at the museum / <b>with</b> my aunt…",
            created_at="2024-03-09T08:00:00Z",
            updated_at="2024-03-09T23:30:00Z",
            project="Trips",
            shown_leaf=identify("museum", "bye"),
            participants=(
                Participant(id="assistant", role="assistant"),
                Participant(id="system", role="system"),
                Participant(id="tool", role="tool", name="web"),
                Participant(id="user", role="person"),
            ),
            messages=tuple(messages),
            user={"labels": Edit(stamp=(1, "device"), value=["family", "things to do"])},
        )
    )


def _at(
    minute: int,
    author: str,
    name: str,
    parent: str,
    parts: list[Part],
    *,
    hidden: bool = False,
    model: str = "",
    previous: list[Part] | None = None,
) -> Message:
    message = Message(
        id=identify("museum", name),
        parent=identify("museum", parent) if parent else "",
        author=author,
        sent_at=f"2024-03-09T23:{minute * 3:02}:00Z",
        hidden=hidden,
        model=model,
        parts=tuple(parts),
        raw=f"{minute:032x}",
        by="chatgpt/1",
    )
    if previous is None:
        return message
    earlier = Message(id=message.id, parent=message.parent, author=author, parts=tuple(previous), raw="f" * 32)
    return Message(
        **{
            field: getattr(message, field)
            for field in ("id", "parent", "author", "sent_at", "model", "parts", "raw", "by")
        },
        edited_at="2024-03-09T23:20:00Z",
        previous=(earlier,),
    )


def _call() -> list[Part]:
    asked = {"query": "museum opening times", "fresh": True, "weight": {"$number": "1.50"}}
    return [Part(type="tool_call", call_id="1", name="web.search", input=asked)]


def _result() -> list[Part]:
    found = Part(type="text", text="Open from nine to five, except on *Mondays*.", markup="markdown")
    return [Part(type="tool_result", call_id="1", name="web.search", parts=(found,))]


def _guide() -> list[Part]:
    start = _GUIDE.index(CITE)
    place: dict[str, Any] = {"start": start, "end": start + len(CITE)}
    return [
        _text(_GUIDE),
        Part(type="citation", title="Opening times", url="https://museum.example/times", **place),
        Part(type="citation", title="The new entrance [map]", url="https://museum.example/map?a=1&b=2", **place),
        Part(type="citation", title="A leaflet without an address"),
    ]


def _files() -> list[Part]:
    return [
        _file("whale.png", "picture", "image/png", caption="The whale, from below"),
        _file("shopping list.txt", "notes", "text/plain"),
        _file("invoice\u202egnp.html", "page", "text/html"),
        _file("voice.ogg", "voice", "audio/ogg", transcript="Don't forget the tickets."),
        Part(type="attachment", name="lost.pdf", missing=True, media_type="application/pdf", source_id="file-1"),
        _text("<p>Sent as <b>HTML</b> with a <a href='https://museum.example/'>link</a></p>", "html"),
    ]


def _odd() -> list[Part]:
    return [
        Part(type="code", language="sql", text="SELECT name FROM whales WHERE length > 20;"),
        Part(type="unknown", kind="hologram", raw={"depth": 3, "layers": ["a", "b"]}),
        Part(type="tool_result", name="python", is_error=True, text="Traceback: no such whale"),
        _text("שלום! زيارة سعيدة. Back to the left.\n\nA mark nobody knows 【7†source】 is gone.\x1b"),
    ]


def group() -> Conversation:
    """A chat of three people on a phone: a line, local times, answers, reactions, marks of WhatsApp."""
    rows: list[tuple[str, str, dict[str, Any]]] = [
        ("a", "*Sunday* lunch at _ours_?\n# not a heading\n1. not a list", {}),
        ("a", "https://lunch.example/menu_of_the_day?x=1", {}),
        ("b", "Yes! I bring ~wine~ juice", {"reactions": (Reaction(sign="❤️", by=("a", "c")), Reaction(sign="👍"))}),
        ("c", "כן, בשמחה", {"reply_to": identify("group", "0")}),
        ("b", "", {"status": "deleted"}),
        ("a", "See you <soon> & bring $5", {"edited_at": "2024-05-05T10:00:00Z"}),
    ]
    messages = [
        Message(
            id=identify("group", str(number)),
            author=author,
            local_time=f"2024-05-04T21:1{number}:00",
            order=number,
            parts=(_text(text, "plain"),) if text else (),
            by="whatsapp/1",
            **more,
        )
        for number, (author, text, more) in enumerate(rows)
    ]
    people = (("a", "Ada"), ("b", "Bo *the* Brave"), ("c", "חנה"))
    return settle(
        Conversation(
            format=FORMAT,
            id=identify("museum", "group"),
            platform="whatsapp",
            title="Family 👨‍👩‍👧",
            participants=tuple(Participant(id=one, name=name, role="person") for one, name in people),
            messages=tuple(messages),
        )
    )


def collection() -> list[Conversation]:
    """Everything in the museum, newest first."""
    return [group(), museum()]
