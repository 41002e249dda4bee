"""Cutting what is long into pieces, so that a message added to a long conversation costs one piece and not all.

Documents above 128 KiB are cut where a message ends, at ends that the messages themselves choose: the same messages
give the same cuts, wherever they stand. Everything that changes when a message is added sorts after `messages` in
the canonical bytes, so it lands in the last piece. Attachments never change and are cut at fixed lengths.

The constants never change: other ones would store every long conversation once more.
"""

from __future__ import annotations

import hashlib

import msgspec

CUT_ABOVE = 128 * 1024
SHORTEST = 32 * 1024
LONGEST = 512 * 1024
ATTACHMENT_PIECE = 4 * 1024 * 1024
_CHOSEN_BELOW = 256 >> 4
"""A message chooses its end as a cut when the first byte of its SHA-256 is below this: one in sixteen does."""


class _Messages(msgspec.Struct):
    messages: list[msgspec.Raw]


def cut(data: bytes) -> list[bytes]:
    """The pieces of a document, in order; joined they are the document. One piece up to 128 KiB.

    Pieces have 32 to 512 KiB, but for the last one, which may be shorter.
    """
    if len(data) <= CUT_ABOVE:
        return [data]
    cuts = [0]
    last_end = 0
    for end, chosen in _message_ends(data):
        while end - cuts[-1] > LONGEST:
            cuts.append(last_end if last_end - cuts[-1] >= SHORTEST else cuts[-1] + LONGEST)
        last_end = end
        if chosen and end - cuts[-1] >= SHORTEST:
            cuts.append(end)
    while len(data) - cuts[-1] > LONGEST:
        cuts.append(last_end if last_end - cuts[-1] >= SHORTEST else cuts[-1] + LONGEST)
    return [data[a:b] for a, b in zip(cuts, [*cuts[1:], len(data)], strict=True) if a < b]


def _message_ends(data: bytes) -> list[tuple[int, bool]]:
    """(offset after a message, whether it chose to be cut after) for each message of canonical JSON.

    Bytes that are no such document have no ends, and are cut at the longest length.
    """
    try:
        messages = [bytes(memoryview(raw)) for raw in msgspec.json.decode(data, type=_Messages).messages]
    except msgspec.DecodeError:
        return []
    at = _first_message(data, messages)
    ends = []
    for message in messages if at >= 0 else []:
        at += len(message)
        ends.append((at, hashlib.sha256(message).digest()[0] < _CHOSEN_BELOW))
        at += 1
    return ends


def _first_message(data: bytes, messages: list[bytes]) -> int:
    """Where the first message begins, or -1. The joined messages prove that it is the right place."""
    key = b'"messages":['
    joined = b",".join(messages) + b"]"
    at = data.find(key)
    while at >= 0 and not data.startswith(joined, at + len(key)):
        at = data.find(key, at + 1)
    return at + len(key) if at >= 0 else -1
