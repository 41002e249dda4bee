"""Text that behaves like people's: words follow Zipf's law, and many messages hold a token of their own."""

from __future__ import annotations

import itertools
import random
from bisect import bisect_left

from .words import ALPHABETS, CODE_LINES, COMMON, DENSE, EMOJI, HOSTILE_TITLES, LANGUAGES, SYLLABLES


class TextModel:
    """Draws text from tapes of sentences, one tape a language, about 12 MB together."""

    def __init__(self, seed: int, *, tame: bool = False) -> None:
        rng = random.Random(f"tape/{seed}")
        self.tame = tame
        self.tapes: dict[str, tuple[str, list[int]]] = {}
        for lang in COMMON:
            words = _vocabulary(rng, lang)
            self.tapes[lang] = _tape(rng, lang, words=words, count=1_900_000 if lang == "en" else 60_000)
        self.snippets = [_snippet(rng) for _ in range(400)]

    def language(self, rng: random.Random) -> tuple[str, bool]:
        """A language, and whether its writer likes emoji."""
        roll = rng.random()
        return next((lang, emoji) for share, lang, emoji in LANGUAGES if roll < share)

    def prose(self, rng: random.Random, lang: str, *, chars: float) -> str:
        """Whole sentences, about `chars` characters of them, at least one."""
        text, offsets = self.tapes[lang]
        first = int(rng.random() * (len(offsets) - 1))
        begin = offsets[first]
        last = bisect_left(offsets, begin + chars)
        end = offsets[last] if first < last < len(offsets) else offsets[first + 1]
        return text[begin:end].rstrip()

    def title(self, rng: random.Random, lang: str, *, emoji: bool) -> str | None:
        """A title: at times none, "New chat", or one that no file system takes."""
        roll = rng.random()
        if roll < 0.01:
            return None
        if roll < 0.05:
            return "New chat"
        if roll < 0.06:
            hostile = rng.choice(HOSTILE_TITLES)
            return "New chat" if self.tame else hostile
        text, offsets = self.tapes[lang]
        at = offsets[int(rng.random() * (len(offsets) - 40))]
        if lang in DENSE:
            title = text[at : at + rng.randint(4, 14)].replace("\n", "")
        else:
            title = " ".join(text[at : at + 80].split()[: rng.randint(2, 6)]).strip(".?! ")
        return f"{title} {rng.choice(EMOJI)}" if emoji else title

    def question(self, rng: random.Random, lang: str, *, emoji: bool) -> str:
        """What a person writes: mostly short, at times a pasted file."""
        text = self.prose(rng, lang, chars=min(rng.lognormvariate(4.6, 1.25), 60_000))
        roll = rng.random()
        if roll < 0.08:
            text += "\n\n" + rng.choice(self.snippets)
        elif roll < 0.28:
            text += f" Ticket {rng.getrandbits(36):x}"
        if emoji:
            text += " " + rng.choice(EMOJI)
        return text

    def answer(self, rng: random.Random, lang: str, *, emoji: bool) -> str:
        """What a model writes: prose with lists, headings, tables and code."""
        text = self.prose(rng, lang, chars=min(rng.lognormvariate(6.8, 0.95), 60_000))
        roll = rng.random()
        if roll < 0.30:
            text += "\n\n" + rng.choice(self.snippets)
            if roll < 0.12:
                text += "\n\n" + self.prose(rng, lang, chars=300)
        elif roll < 0.48:
            text = "## " + text.replace(". ", ".\n- ")
        elif roll < 0.52:
            text += "\n\n| a | b |\n|---|---|\n| 1 | $x^2$ |\n\n\\[ e^{i\\pi} + 1 = 0 \\]"
        elif roll < 0.75:
            text += f" See https://example.org/{rng.getrandbits(44):x} for v{rng.randint(0, 99)}."
        if emoji:
            text = rng.choice(EMOJI) + " " + text
        return text


def _vocabulary(rng: random.Random, lang: str) -> list[str]:
    words = list(COMMON[lang])
    if lang in DENSE:
        return words + [chr(0x4E00 + n) for n in rng.sample(range(4000), 2500)]
    seen = set(words)
    size = 60_000 if lang == "en" else 8_000
    letters = ALPHABETS.get(lang)
    while len(words) < size:
        if letters:
            word = "".join(rng.choices(letters, k=rng.randint(3, 8)))
        else:
            word = "".join(rng.choices(SYLLABLES, k=rng.choice((1, 2, 2, 3, 3, 4))))
        if word not in seen:
            seen.add(word)
            words.append(word)
    return words


def _tape(rng: random.Random, lang: str, *, words: list[str], count: int) -> tuple[str, list[int]]:
    """(text, offsets): the text, and where each of its sentences starts."""
    weights = itertools.accumulate(1.0 / (rank + 2.7) ** 1.05 for rank in range(len(words)))
    drawn = rng.choices(words, cum_weights=list(weights), k=count)
    parts: list[str] = []
    offsets: list[int] = []
    position = at = 0
    while at < count:
        size = rng.randint(5, 25)
        piece = _sentence(rng, drawn[at : at + size], dense=lang in DENSE)
        at += size
        offsets.append(position)
        position += len(piece)
        parts.append(piece)
    return "".join(parts), offsets


def _sentence(rng: random.Random, words: list[str], *, dense: bool) -> str:
    glue, stop = ("", "。") if dense else (" ", ".")
    roll = rng.random()
    end = stop if roll < 0.85 else ("?" if roll < 0.92 else "!")
    tail = "\n\n" if rng.random() < 0.12 else ("" if dense else " ")
    sentence = glue.join(words)
    return sentence[:1].upper() + sentence[1:] + end + tail


def _snippet(rng: random.Random) -> str:
    lang = rng.choice(tuple(CODE_LINES))
    name = "".join(rng.choices(SYLLABLES, k=2))
    other = "".join(rng.choices(SYLLABLES, k=2))
    count = rng.randint(3, 30)
    body = "\n".join(CODE_LINES[lang](name, other, rng.randint(0, 999)) for _ in range(count))
    return f"```{lang}\n{body}\n```"
