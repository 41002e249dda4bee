"""How texts become words of the index, and queries likewise.

The tokenizer of the index (unicode61) takes runs of letters, numbers and marks as words, folds case, and drops the
accents of Latin letters. For most texts that is right. `treated` rewrites the others before they reach it, for the
index and for queries alike:

- a run of a script that does not put spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese), or whose
  words take endings (Korean), becomes overlapping pairs of characters and its last one: 你好吗 gives 你好 好吗 吗;
- an emoji becomes a word of its own, a character of the private planes; skin tones and joiners are dropped;
- compatible forms (full width, ligatures) become the ordinary ones; accents of Greek, vowel points of Hebrew and
  Arabic, and the dots of ё are dropped; й, ї and ў keep theirs, as they are letters of their own.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from array import array
from functools import cache
from operator import add

# What unicode61 does right by itself: Latin, Cyrillic without ё, punctuation, signs of currency, arrows, mathematics.
_ORDINARY = "\x00-\xac\xae-\u02ff\u0400\u0402-\u0450\u0452-\u052f\u2000-\u200a\u200e-\u2027\u2030-\u205e\u20a0-\u20bf"
_SPECIAL = f"[^{_ORDINARY}\u2190-\u22ff\ufffd]"
_SPACELESS = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e80-\u0ecf\u0edc-\u0edf\u1000-\u103f\u1050-\u109f\u1780-\u17d3\u1100-\u11ff"
    "\u3005-\u3007\u3040-\u30fa\u30fc-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua960-\ua97f\uaa60-\uaa7f\uac00-\ud7fb\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_EMOJI = "\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001f3fa\U0001f400-\U0001faff"
_DROPPED = "[\xad\u0640\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
_ACCENTS = (
    "(?<![иіуИІУ])[\u0300-\u036f]|[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed]"
)
# Characters with another, ordinary form, and those with accents to drop: only these need the slow road of `normal`.
_BENT = (
    "[\xad\u0300-\u03ff\u0401\u0451\u0591-\u06ff\u0900-\u0dff\u0e33\u0eb3\u0f00-\u10ff\u1100-\u11ff\u1b00-\u1bff"
    "\u1d00-\u1fff\u200b-\u200d\u2060-\u206f\u2070-\u209f\u2100-\u218f\u2460-\u24ff\u2c00-\u2dff\u2e80-\u2fdf"
    "\u3099-\u309c\u309f\u30ff\u3130-\u318f\u3200-\u33ff\ua640-\ua7ff\uf900-\ufaff\ufb00-\ufe0f\ufe70-\ufeff"
    "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uffdc\U0001d400-\U0001d7ff\U0001ee00-\U0001f265"
    "\U0001f3fb-\U0001f3ff\U0002f800-\U0002fa1f\U000e0020-\U000e007f]"
)
_MARK = (
    "[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u1056-\u1059\u105e-\u1060"
    "\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d\u17b4-\u17d3\u3099\u309a]"
)
_WIDE = "utf-32-le" if sys.byteorder == "little" else "utf-32-be"
_RUN = f"[{_SPACELESS}]+|[{_EMOJI}]"
_EMOJI_ALONE = f"[{_EMOJI}]"
_SPACE = array("I", [32])
_LAST_RUN = f"[{_SPACELESS}]+\\Z"


@cache
def _pattern(characters: str) -> re.Pattern[str]:
    """Made when it is first needed: these take a millisecond each, and a search for an ordinary word needs none."""
    return re.compile(characters)


def is_special(text: str) -> bool:
    """Whether `treated` may change the text."""
    return not text.isascii() and _pattern(_SPECIAL).search(text) is not None


def treated(text: str) -> str:
    """The text as it goes to the tokenizer of the index."""
    if text.isascii():
        return text
    text = normal(text)
    return _pattern(_RUN).sub(_split if _pattern(_MARK).search(text) else _split_plain, text)


def normal(text: str) -> str:
    """The text with ordinary forms of its characters, without the accents that the tokenizer would keep."""
    if text.isascii() or _pattern(_BENT).search(text) is None:
        return text
    return unicodedata.normalize(
        "NFC", _pattern(_ACCENTS).sub("", unicodedata.normalize("NFKD", _pattern(_DROPPED).sub("", text)))
    )


def ends_without_space(text: str) -> int:
    """The length of the run of a script without spaces at the end of a normal text [characters with their marks]."""
    if text.isascii():
        return 0
    found = _pattern(_LAST_RUN).search(text)
    return len(_characters(found[0])) if found else 0


def has_word(text: str) -> bool:
    """Whether the tokenizer finds anything in a treated text."""
    return any(char.isalnum() or unicodedata.category(char)[0] in "LNM" or is_private(char) for char in text)


def is_private(char: str) -> bool:
    return unicodedata.category(char) == "Co"


def _split_plain(found: re.Match[str]) -> str:
    """An emoji, or the pairs of a run without marks. Texts in Chinese are one run after another: this is for speed."""
    run = found[0]
    if len(run) < 12:
        if len(run) == 1 and _pattern(_EMOJI_ALONE).match(run):
            return f" {_emoji(run)} "
        return f" {' '.join(map(add, run, run[1:]))} {run[-1]} "
    codes = array("I", run.encode(_WIDE))
    result = _SPACE * (3 * len(codes) + 1)
    result[1::3] = codes
    result[2::3] = codes[1:] + _SPACE
    return result.tobytes().decode(_WIDE)


def _split(found: re.Match[str]) -> str:
    run = found[0]
    if len(run) == 1 and _pattern(_EMOJI_ALONE).match(run):
        return f" {_emoji(run)} "
    characters = _characters(run)
    return f" {' '.join(map(add, characters, characters[1:]))} {characters[-1]} "


def _emoji(char: str) -> str:
    code = ord(char)
    return chr(0xF0000 + (code & 0xFFFF)) if code >= 0x1F000 else chr(0x100000 + code)


def _characters(run: str) -> list[str]:
    """The characters of a run, each with the marks that stand on it."""
    result: list[str] = []
    for char in run:
        if result and unicodedata.category(char)[0] == "M":
            result[-1] += char
        else:
            result.append(char)
    return result
