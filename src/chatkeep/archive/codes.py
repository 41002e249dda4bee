"""What the numbers in the tables mean. Apart from `rows`, as a search needs these and no conversations."""

from __future__ import annotations

from functools import lru_cache

LAST_MONTH = 8191  # in the year 2652; what is said to be later is counted in it
VISIBLE, ATTACHED, TITLE = 1, 2, 4  # flags of a message row
TEXT, HIDDEN, TITLED, SPECIAL = 0, 1, 2, 4  # kinds of a text row; SPECIAL is added to one of the others


@lru_cache(maxsize=8192)
def _month(text: str) -> int:
    try:
        year, number = int(text[:4]), int(text[5:7])
    except ValueError:
        return 0
    return min(max((year - 1970) * 12 + number, 1), LAST_MONTH)


def month(when: str) -> int:
    """The month of a time, from 1 on for 1970-01 and all before; 0 when it is not known.

    Row numbers begin with it, so that the newest matches are the last ones of an index, and a range of dates is a range
    of rows. Finer would make an index larger: what stands side by side in time would be far apart in number.
    """
    return _month(when[:7])
