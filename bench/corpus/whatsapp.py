"""WhatsApp's "Export chat": one text for each chat; Android, iOS and US date styles take turns."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from .item import Item, Settings, reseed, some_moment
from .text import TextModel
from .truth import Truth
from .words import EMOJI

NAMES = ("Ana", "Борис", "Chloé 🌸", "+44 7700 900123", "محمد", "Dr. Müller", "小林")
STYLES = ("android", "ios", "us")


class WhatsApp:
    """Makes chats, one at a time. Media are left out, as when a person exports without them."""

    def __init__(self, settings: Settings, text: TextModel) -> None:
        self.settings = settings
        self.text = text
        self.rng = random.Random()
        self.truth = Truth()

    def item(self, index: int) -> Item:
        """Chat number `index`."""
        rng = self.rng
        reseed(rng, self.settings, index=index)
        lang, emoji = self.text.language(rng)
        style = STYLES[index % 3]
        people = rng.sample(NAMES, rng.choice((2, 2, 2, 4)))
        clock = int(some_moment(rng))
        title = people[0] if len(people) == 2 else f"Group {index}"
        self.truth.conversation(title)
        self.truth.hidden("system/notice")
        lines = [_line(style, clock, sender=None, words="Messages and calls are end-to-end encrypted.")]
        planted = False
        for _ in range(max(2, min(5000, round(rng.lognormvariate(5.0, 1.0))))):
            clock += int(rng.expovariate(1 / 3600.0)) + 1
            if style != "ios":
                clock -= clock % 60  # these exports have no seconds
            sender = rng.choice(people)
            roll = rng.random()
            if roll < 0.05 or (roll < 0.055 and len(people) > 2):
                lines.append(self._without_words(style, clock, sender=sender, roll=roll))
                continue
            words = self._words(lang, roll, emoji=emoji)
            if not planted:
                planted = True
                words = self.truth.plant(index, words)
            self.truth.visible(sender, words, kind="person/text", when=float(clock))
            lines.append(_line(style, clock, sender=sender, words=words))
        end = "\r\n" if style == "ios" else "\n"
        return Item((end.join(lines) + end).encode(), f"WhatsApp Chat with {title} {index:06d}.txt", [])

    def _words(self, lang: str, roll: float, *, emoji: bool) -> str:
        rng = self.rng
        words = self.text.prose(rng, lang, chars=min(rng.lognormvariate(3.6, 0.8), 4000))
        if roll > 0.95:
            words += "\n" + self.text.prose(rng, lang, chars=60)
        if emoji or roll > 0.9:
            words += " " + rng.choice(EMOJI)
        return words

    def _without_words(self, style: str, clock: int, *, sender: str, roll: float) -> str:
        if roll < 0.04:
            self.truth.hidden("person/media")
            return _line(style, clock, sender=sender, words=_media(style, clock))
        if roll < 0.05:
            self.truth.hidden("person/deleted")
            return _line(style, clock, sender=sender, words="This message was deleted")
        self.truth.hidden("system/notice")
        return _line(style, clock, sender=None, words=f"{sender} changed the group icon")


def _media(style: str, clock: int) -> str:
    if style == "ios":
        when = datetime.fromtimestamp(clock, UTC).strftime("%Y-%m-%d-%H-%M-%S")
        return f"\u200e<attached: {clock % 10**8:08d}-PHOTO-{when}.jpg>"
    return "<Media omitted>"


def _line(style: str, clock: int, *, sender: str | None, words: str) -> str:
    when = datetime.fromtimestamp(clock, UTC)
    who = f"{sender}: " if sender else ""
    if style == "ios":
        mark = "" if sender else "\u200e"
        return f"[{when:%d/%m/%Y, %H:%M:%S}] {who}{mark}{words}"
    if style == "us":
        hour = when.hour % 12 or 12
        half = "AM" if when.hour < 12 else "PM"
        stamp = f"{when.month}/{when.day}/{when:%y}, {hour}:{when:%M}\u202f{half}"
    else:
        stamp = f"{when:%d/%m/%Y, %H:%M}"
    return f"{stamp} - {who}{words}"
