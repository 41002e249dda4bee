"""The recovery key: what is printed on the emergency kit and opens the vault when all else is gone.

Eight groups of five letters, "KXWAF-…". The alphabet has 23 letters (no I, O, U). The first four letters of a group
are random, 32 in all, which is 144 bits; the fifth is a checksum over them and the number of the group, so a
mistyped letter, two letters in the wrong order or a swapped group is found, and where.

The text exactly as printed, capitals with dashes, is the password of a restic key file: stock restic opens the vault
with it. parse() takes what people make of it: any case, spaces, other dashes, line breaks.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable

from chatkeep.errors import WrongPassphrase

ALPHABET = "ABCDEFGHJKLMNPQRSTVWXYZ"
GROUPS = 8
LETTERS = 5
_LOOKS = re.compile(r"[^A-Z0-9]+")


class MistypedKey(WrongPassphrase):
    """A recovery key that cannot be right, and where. group: number from 1, or 0 when the length is wrong."""

    standing_hint = "Compare it with the printed recovery key, group by group."

    def __init__(self, what: str, *, group: int = 0) -> None:
        super().__init__(what)
        self.group = group


class RecoveryKey:
    """A recovery key in its one form. str() is the text as printed; repr shows nothing."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "RecoveryKey(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RecoveryKey) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    @property
    def groups(self) -> list[str]:
        """The eight groups, for a page that prints them in rows."""
        return self._text.split("-")

    @classmethod
    def generate(cls, choose: Callable[[str], str] = secrets.choice) -> RecoveryKey:
        """A new key of 144 random bits."""
        groups = ["".join(choose(ALPHABET) for _ in range(LETTERS - 1)) for _ in range(GROUPS)]
        return cls("-".join(group + _check_letter(group, i) for i, group in enumerate(groups)))

    @classmethod
    def parse(cls, text: str) -> RecoveryKey:
        """The key a person typed or pasted.

        Raises MistypedKey, naming the group where the mistake is, or saying how many letters are missing.
        """
        letters = _letters(text)
        if len(letters) != GROUPS * LETTERS:
            wanted = f"{GROUPS} groups of {LETTERS} letters"
            raise MistypedKey(f"A recovery key has {wanted}; this one has {len(letters)} letters.")
        groups = [letters[i : i + LETTERS] for i in range(0, len(letters), LETTERS)]
        for i, group in enumerate(groups):
            if set(group) - set(ALPHABET) or _check_letter(group[:-1], i) != group[-1]:
                raise MistypedKey(f"Group {i + 1} of the recovery key has a typing mistake.", group=i + 1)
        return cls("-".join(groups))


def looks_like_recovery_key(text: str) -> bool:
    """Whether a person probably meant this as a recovery key: about the right number of letters, nothing else."""
    letters = _letters(text)
    groups = [part for part in re.split(r"[\s\W]+", text.strip()) if part]
    right_length = abs(len(letters) - GROUPS * LETTERS) <= 3
    return right_length and (len(groups) == GROUPS or bool(re.fullmatch(r"[A-Za-z]+", text.strip())))


def _letters(text: str) -> str:
    return _LOOKS.sub("", unicodedata.normalize("NFKC", text).upper())


def _check_letter(group: str, number: int) -> str:
    # Weights that all differ, modulo a prime: any one wrong letter and any two swapped ones change the sum.
    total = 11 * (number + 1) + sum((i + 2) * ALPHABET.index(letter) for i, letter in enumerate(group))
    return ALPHABET[total % len(ALPHABET)]
