"""Whether two documents without platform ids are exports of one chat, found by the sequence of their messages. Pure.

Some platforms give nothing an id. The same chat comes again longer, cut at either end, in another language, with a
contact renamed, with all times moved because the phone was elsewhere, or with day and month read the other way round.
`fingerprints` finds documents that may be the same chat; `align` decides, and rewrites the new one with the known
ids, so that `chatkeep.merge.merge` doubles nothing.

It is one chat when what both hold of their common time is mostly the same, said by the same people, in the same order,
moved by one constant; and when enough of it is more than stock phrases. Two people's exports of one chat stay apart:
in a chat of two the title names the other person, so where the titles name different sides of the same talk these
are two views; without titles, or in a group, they are taken for one unless most of the people are called otherwise.
"""

from __future__ import annotations

import hashlib
import unicodedata
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import msgspec

from chatkeep.model import Conversation, Message, Part, Participant, encode_message, identify

DISTINCTIVE = 24  # bytes of text that two chats do not share by chance
RUN = 3  # pairs in a row that show a change of clocks
WINDOW = 4  # short messages in a row that stand for one distinctive text
ENOUGH = 3.0  # weight of the messages that must agree; less will do where title, names and times agree as well
ENOUGH_WITH_NAMES = 0.9
MOSTLY = 0.7
MUCH = 0.2
_HOUR = 60  # minutes; two zones may change their clocks on different days

_ATTACHED, _DELETED, _NOTICE, _WORDED = "\x01", "\x02", "\x03", "\x04"
_INVISIBLE = dict.fromkeys([0x200E, 0x200F, 0x061C, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])


def fingerprints(conversation: Conversation) -> list[str]:
    """What other exports of the same chat share with this one [16 hex digits each], in the order of the messages.

    They depend on what people wrote, never on names or on the language of placeholders. Long texts stand for
    themselves; short ones count together with the three that follow, and together with their minute.
    """
    side = _Side(conversation)
    texts = [side.keys[at] for at in side.said]
    found = []
    for place, at in enumerate(side.said):
        key = side.keys[at]
        if _is_distinctive(key):
            found.append(f"text\0{key}")
            continue
        window = texts[place : place + WINDOW]
        if len(window) == WINDOW and any(len(text) > 1 for text in window):
            found.append("row\0" + "\0".join(window))
        if len(key) > 1:
            found.append(f"minute\0{side.minutes[at]}\0{key}")
    hashes = (hashlib.sha256(text.encode()).hexdigest()[:16] for text in found)
    return list(dict.fromkeys(hashes))


def align(known: Conversation, new: Conversation) -> Conversation | None:
    """The new document with the ids of the known one, if both are exports of one chat; else None.

    Messages that both have get the id, author, time and place of the known one; the others get ids beside those and
    times moved into the known frame. Two documents that already have one id are always aligned.
    """
    if known.platform != new.platform:
        return None
    left, right = _Side(known), _Side(new)
    match = _match(left, right)
    if known.id != new.id and not _is_one_chat(left, right, match):
        return None
    return _rewritten(left, right, match)


def content_key(message: Message, *, is_system: bool) -> str:
    """What a message says, without its author, its time and the language of the phone: for ids and for matching."""
    if is_system:
        return _NOTICE
    if message.status == "deleted" and not message.parts:
        return _DELETED
    kind = message.unknown.get("kind")
    if kind == "call":
        return f"{_WORDED}call"
    text = "\n".join(_words_of(part) for part in message.parts)
    if kind == "poll":
        text = _WORDED + (text.split("\n", 2)[1:2] or [""])[0]
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.translate(_INVISIBLE))
    return " ".join(text.split())


def _words_of(part: Part) -> str:
    if part.type == "attachment":
        return _ATTACHED + part.caption
    if part.type == "text":
        return part.text
    whole = encode_message(Message(id="", parts=(part,)))
    return f"{part.text}{_WORDED}{part.type} {hashlib.sha256(whole).hexdigest()[:16]}"


class Numbering:
    """Gives messages without platform ids their ids, one after the other in the order of the chat.

    A draft has the key of its content in `source_id`. The same text of one author at one time gets further ids.
    """

    def __init__(self, platform: str, conversation: str, taken: Iterable[str] = ()) -> None:
        self.conversation = conversation
        self._platform = platform
        self._taken = set(taken)
        self._alike: Counter[str] = Counter()

    def __call__(self, draft: Message) -> Message:
        when, key = draft.local_time or draft.sent_at, draft.source_id
        name = first = self._id(when, draft.author, key, 0)
        while name in self._taken:
            # Counted, not searched: of a chat without dates thousands of messages are alike.
            self._alike[first] += 1
            name = self._id(when, draft.author, key, self._alike[first])
        self._taken.add(name)
        return msgspec.structs.replace(draft, id=name, source_id="")

    def _id(self, when: str, author: str, key: str, number: int) -> str:
        return identify(self._platform, self.conversation, when, author, key, str(number))


# ------------------------------------------------------------------ what is compared


def _is_distinctive(key: str) -> bool:
    return len(key) >= DISTINCTIVE or (not key.isascii() and len(key.encode()) >= DISTINCTIVE)


def _weight(key: str) -> float:
    if _is_distinctive(key):
        return 1.0
    return 0.3 if len(key) > 1 and key[0] > _WORDED else 0.1


class _Side:
    """A document with what is compared of each message. said: the places of what people wrote, notices left out."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.messages = conversation.messages
        self.names = {one.id: one.name for one in conversation.participants}
        system = {one.id for one in conversation.participants if one.role == "system"}
        self.notices = [message.author in system for message in self.messages]
        self.keys = [
            content_key(message, is_system=notice) for message, notice in zip(self.messages, self.notices, strict=True)
        ]
        self.minutes = [_minute(message.local_time or message.sent_at) for message in self.messages]
        self.said = [at for at, notice in enumerate(self.notices) if not notice]

    def speakers(self) -> set[str]:
        return {self.messages[at].author for at in self.said}


def _minute(time: str) -> int | None:
    """Minutes since the year 1; None for no time."""
    try:
        moment = datetime.fromisoformat(time[:16])
    except ValueError:
        return None
    return moment.toordinal() * 1440 + moment.hour * 60 + moment.minute


def _swapped(time: str) -> str:
    """The time with day and month exchanged; "" where that is no date."""
    other = f"{time[:5]}{time[8:10]}-{time[5:7]}{time[10:]}"
    return other if _minute(other) is not None else ""


# ------------------------------------------------------------------ matching


@dataclass(frozen=True, slots=True)
class _Match:
    """pairs: place in new → place in known. shifts: minutes to add to a new time, by place of the anchor before.

    swap: day and month of the new times are exchanged first. authors: new participant → known participant.
    ordered: the share of what agrees that stands in the same order and the same distance of time.
    """

    pairs: dict[int, int]
    anchors: list[int]
    shifts: list[int]
    swap: bool
    authors: dict[str, str]
    ordered: float

    def shift(self, place: int) -> int:
        """Minutes to add to the time of the message at this place of the new document."""
        if not self.shifts:
            return 0
        return self.shifts[max(0, bisect_left(self.anchors, place + 1) - 1)]


def _match(known: _Side, new: _Side) -> _Match:
    candidates = _unique_pairs(known, new)
    chain = _longest_chain(candidates)
    swap, kept = max(
        ((swap, _steady(chain, known, new, swap=swap)) for swap in (False, True)),
        key=lambda one: (len(one[1]), not one[0]),
    )
    anchors = [right for _, right, _ in kept]
    shifts = [shift for _, _, shift in kept]
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for left, right, _ in kept:
        votes[new.messages[right].author][known.messages[left].author] += 1
    authors = {one: found.most_common(1)[0][0] for one, found in votes.items()}
    agreeing = sum(found.most_common(1)[0][1] for found in votes.values())
    ordered = agreeing / max(1, len(candidates))
    match = _Match({right: left for left, right, _ in kept}, anchors, shifts, swap, authors, ordered)
    for one in new.speakers() - authors.keys():
        if one in known.names:
            authors[one] = one
    _match_rest(known, new, match)
    return match


def _unique_pairs(known: _Side, new: _Side) -> list[tuple[int, int]]:
    """Places in both documents that hold what occurs just once in each, by place in the known one."""
    left, right = _landmarks(known), _landmarks(new)
    return sorted({(at, right[mark]) for mark, at in left.items() if mark in right})


def _landmarks(side: _Side) -> dict[tuple[object, ...], int]:
    """What occurs once: long texts, rows of short ones, names of files, and what was said in a minute."""
    found: dict[tuple[object, ...], int | None] = {}
    for place, at in enumerate(side.said):
        for mark in _marks(side, place, at):
            found[mark] = None if mark in found else at
    return {mark: at for mark, at in found.items() if at is not None}


def _marks(side: _Side, place: int, at: int) -> Iterator[tuple[object, ...]]:
    key = side.keys[at]
    for part in side.messages[at].parts:
        if part.type == "attachment" and part.name:
            yield ("file", part.name)
    if _is_distinctive(key):
        yield ("text", key)
        return
    row = side.said[place : place + WINDOW]
    if len(row) == WINDOW:
        yield ("row", *(side.keys[one] for one in row))
    if key and side.minutes[at] is not None:
        yield ("minute", side.minutes[at], key)


def _longest_chain(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs that rises on both sides (patience sorting)."""
    tops: list[int] = []
    piles: list[int] = []
    links: list[int] = []
    for number, (_, right) in enumerate(pairs):
        pile = bisect_left(tops, right)
        links.append(piles[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(right)
            piles.append(number)
        else:
            tops[pile], piles[pile] = right, number
    chain = []
    number = piles[-1] if piles else -1
    while number >= 0:
        chain.append(pairs[number])
        number = links[number]
    # Two pairs of one known place can both be in a rising run; each place is used once.
    return list({left: (left, right) for left, right in reversed(chain)}.values())


def _steady(chain: list[tuple[int, int]], known: _Side, new: _Side, *, swap: bool) -> list[tuple[int, int, int]]:
    """The pairs whose times differ by the constant of the chat, each with its own difference [minutes]."""
    timed = []
    for left, right in chain:
        before, after = known.minutes[left], _new_minute(new, right, swap)
        if before is not None and after is not None:
            timed.append((left, right, before - after))
        elif before is None and new.minutes[right] is None:
            timed.append((left, right, 0))
    if not timed:
        return []
    constant = Counter(shift for _, _, shift in timed).most_common(1)[0][0]
    near = [
        (left, right, constant + hour) for left, right, shift in timed if (hour := _hour(shift - constant)) is not None
    ]
    runs = [list(run) for _, run in groupby(near, key=lambda one: one[2])]
    # One pair an hour aside is a chance; where clocks were changed, all that follow are.
    return [one for run in runs if run[0][2] == constant or len(run) >= RUN for one in run]


def _hour(difference: int) -> int | None:
    """The difference to the constant [minutes]: none, or an hour, a minute more or less; None for another one."""
    return next((hour for hour in (0, _HOUR, -_HOUR) if abs(difference - hour) <= 1), None)


def _new_minute(new: _Side, place: int, swap: bool) -> int | None:
    if not swap:
        return new.minutes[place]
    message = new.messages[place]
    return _minute(_swapped(message.local_time or message.sent_at))


def _match_rest(known: _Side, new: _Side, match: _Match) -> None:
    """Pair what is left: the same words of the same person in the same minute; notices; and what was changed since."""
    taken = set(match.pairs.values())
    bounds = _Bounds(match, len(known.messages))
    first = match.anchors[0] if match.anchors else 0
    # A cut begins with the last of several alike, so what stands before the first anchor is paired backwards.
    places = [*reversed(range(first)), *range(first, len(new.messages))]
    for name in (_by_words, _by_minute, _by_change):
        waiting: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for at in range(len(known.messages)):
            if at not in taken and (mark := name(known, at, known.minutes[at], known.messages[at].author)):
                waiting[mark].append(at)
        for at in places:
            if at in match.pairs:
                continue
            minute = _new_minute(new, at, match.swap)
            moved = None if minute is None else minute + match.shift(at)
            author = match.authors.get(new.messages[at].author, "")
            mark = name(new, at, moved, author)
            if mark and (queue := waiting.get(mark)) and (name is not _by_change or _is_change(known, new, queue, at)):
                match.pairs[at] = queue.pop(bounds.choose(queue, at, from_the_end=at < first))
                taken.add(match.pairs[at])


class _Bounds:
    """Between which places of the known document a message of the new one belongs, by the anchors around it."""

    def __init__(self, match: _Match, end: int) -> None:
        self._anchors = match.anchors
        self._known = [-1, *(match.pairs[at] for at in match.anchors), end]

    def choose(self, queue: list[int], at: int, *, from_the_end: bool) -> int:
        """Which of the known places that wait to take: one between the anchors, else the first of all."""
        place = bisect_left(self._anchors, at)
        low, high = bisect_left(queue, self._known[place] + 1), bisect_left(queue, self._known[place + 1])
        if low < high:
            return high - 1 if from_the_end else low
        return 0


def _by_words(side: _Side, at: int, minute: int | None, author: str) -> tuple[object, ...]:
    return () if side.notices[at] else (minute, author, side.keys[at])


def _by_minute(side: _Side, at: int, minute: int | None, author: str) -> tuple[object, ...]:
    return ("notice", minute) if side.notices[at] else ()


def _by_change(side: _Side, at: int, minute: int | None, author: str) -> tuple[object, ...]:
    return () if side.notices[at] or minute is None or not author else (minute, author)


def _is_change(known: _Side, new: _Side, queue: list[int], at: int) -> bool:
    """Whether the one message that waits may be the same before or after it was edited, deleted or left out."""
    if len(queue) != 1:
        return False
    before, after = known.messages[queue[0]], new.messages[at]
    both_files = known.keys[queue[0]].startswith(_ATTACHED) and new.keys[at].startswith(_ATTACHED)
    return bool(before.status or after.status) or both_files


# ------------------------------------------------------------------ the decision


def _is_one_chat(known: _Side, new: _Side, match: _Match) -> bool:
    pairs = [(left, right) for right, left in match.pairs.items() if not new.notices[right]]
    if not pairs or match.ordered < MOSTLY or not _is_mostly_shared(known, new, match, pairs):
        return False
    if not _same_view(known, new, match, pairs):
        return False
    weight = sum(_weight(new.keys[right]) for _, right in pairs)
    alike = not match.swap and _names_agree(known, new, match) and not any(match.shifts)
    return weight >= (ENOUGH_WITH_NAMES if alike else ENOUGH)


def _names_agree(known: _Side, new: _Side, match: _Match) -> bool:
    same = all(known.names.get(mine) == new.names.get(one) for one, mine in match.authors.items())
    return same and known.conversation.title == new.conversation.title


def _is_mostly_shared(known: _Side, new: _Side, match: _Match, pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether the stretch of time that both cover holds mostly the same messages, of everybody who speaks in it.

    Messages may be gone from one side, so one share must be large and the other one not small.
    """
    left = _shares(known, {one for one, _ in pairs})
    right = _shares(new, {one for _, one in pairs})
    shares = sorted((_share(left), _share(right)))
    if shares[0] < MUCH or shares[1] < MOSTLY:
        return False
    fuller = left if _share(left) >= _share(right) else right
    others = right if fuller is left else left
    silent = any(there >= 3 and not matched for matched, there in others.values())
    return not silent and all(there < 3 or matched * 2 >= there for matched, there in fuller.values())


_Shares = dict[str, tuple[int, int]]


def _shares(side: _Side, matched: set[int]) -> _Shares:
    """Author → messages matched, messages there, between the first and the last that is matched."""
    first, last = min(matched), max(matched)
    there = Counter(side.messages[at].author for at in side.said if first <= at <= last)
    found = Counter(side.messages[at].author for at in matched)
    return {author: (found[author], count) for author, count in there.items()}


def _share(shares: _Shares) -> float:
    return sum(found for found, _ in shares.values()) / max(1, sum(count for _, count in shares.values()))


def _same_view(known: _Side, new: _Side, match: _Match, pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether both were exported by the same person, as far as titles and names tell."""
    speakers = {known.messages[left].author for left, _ in pairs}
    mine, theirs = _counterpart(known), _counterpart(new)
    if mine and match.authors.get(theirs):
        return match.authors[theirs] == mine
    titles = (known.conversation.title, new.conversation.title)
    if len(speakers) == 1:
        # One person's words alone may be a circular to several people.
        return titles[0] == titles[1] or not all(titles)
    renamed = sum(known.names.get(left) != new.names.get(right) for right, left in match.authors.items())
    return renamed * 2 <= len(match.authors)


def _counterpart(side: _Side) -> str:
    """The participant whom a chat of two is named after, seen from the phone it was exported on; "" for others."""
    speakers = side.speakers()
    if len(speakers) > 2:
        return ""
    named = [one for one in speakers if side.names.get(one) == side.conversation.title]
    return named[0] if len(named) == 1 else ""


# ------------------------------------------------------------------ the new document in the known one's frame


def _rewritten(known: _Side, new: _Side, match: _Match) -> Conversation:
    numbering = Numbering(new.conversation.platform, known.conversation.id, (one.id for one in known.messages))
    better = match.swap and _is_assumed(known) and not _is_assumed(new)
    messages: list[Message] = []
    fixed: list[bool] = []
    for at, message in enumerate(new.messages):
        left = match.pairs.get(at)
        if left is None:
            messages.append(numbering(_moved(new, at, match, better=better)))
        else:
            same, notice = known.keys[left] == new.keys[at], new.notices[at]
            joined = _joined(known.messages[left], message, same_words=same, is_notice=notice, better=better)
            messages.append(joined)
        fixed.append(left is not None)
    _place(messages, fixed)
    ids = {old.id: one.id for old, one in zip(new.messages, messages, strict=True)}
    messages = [_relinked(one, ids, match.authors) for one in messages]
    times = [time for one in messages if (time := one.local_time or one.sent_at)]
    document = new.conversation
    return msgspec.structs.replace(
        document,
        created_at=min(times, default="") if document.created_at else "",
        id=known.conversation.id,
        messages=tuple(messages),
        participants=_people(new, match.authors),
        shown_leaf=ids.get(document.shown_leaf, document.shown_leaf),
        updated_at=max(times, default="") if document.updated_at else "",
    )


def _people(new: _Side, authors: dict[str, str]) -> tuple[Participant, ...]:
    """The new document's people under their known ids; of two that are one, the name that speaks last stays."""
    people = {
        authors.get(one.id, one.id): msgspec.structs.replace(one, id=authors.get(one.id, one.id))
        for one in new.conversation.participants
    }
    return tuple(sorted(people.values(), key=lambda one: one.id))


def _joined(known: Message, new: Message, *, same_words: bool, is_notice: bool, better: bool) -> Message:
    """A message that both have, as a reading of the known one. better: the new one knows the order of dates."""
    if is_notice and not better:
        return msgspec.structs.replace(known, previous=())
    frame = new if better else known
    return msgspec.structs.replace(
        new,
        author=known.author,
        id=known.id,
        local_time=frame.local_time,
        order=frame.order,
        previous=(),
        raw=known.raw if same_words else new.raw,
        sent_at=frame.sent_at,
        sorts_at=frame.sorts_at,
        # Of two readings of one record the more detailed one stays in a merge.
        unknown=new.unknown | {"dates": "read again"} if better else new.unknown,
    )


def _is_assumed(side: _Side) -> bool:
    """Whether day and month were told apart by habit alone."""
    return str(side.conversation.unknown.get("dates", "")).startswith("assumed")


def _moved(new: _Side, at: int, match: _Match, *, better: bool) -> Message:
    """A draft of a message that only the new document has, at its time in the known frame."""
    message = new.messages[at]
    if better:
        author = match.authors.get(message.author, message.author)
        return msgspec.structs.replace(message, author=author, source_id=new.keys[at])
    local, sent = _moved_time(message.local_time, at, match), _moved_time(message.sent_at, at, match)
    author = match.authors.get(message.author, message.author)
    return msgspec.structs.replace(
        message, author=author, local_time=local, order=0, sent_at=sent, sorts_at="", source_id=new.keys[at]
    )


def _moved_time(time: str, at: int, match: _Match) -> str:
    minutes = match.shift(at)
    if match.swap:
        time = _swapped(time) or time
    if not time or not minutes:
        return time
    moved = datetime.fromisoformat(time[:16]) + timedelta(minutes=minutes)
    return f"{moved:%Y-%m-%dT%H:%M}{time[16:]}"


def _relinked(message: Message, ids: dict[str, str], authors: dict[str, str]) -> Message:
    if not (message.parent or message.reply_to or message.reactions):
        return message
    reactions = tuple(
        msgspec.structs.replace(one, by=tuple(authors.get(who, who) for who in one.by)) for one in message.reactions
    )
    parent, reply_to = ids.get(message.parent, message.parent), ids.get(message.reply_to, message.reply_to)
    return msgspec.structs.replace(message, parent=parent, reply_to=reply_to, reactions=reactions)


def _place(messages: list[Message], fixed: list[bool]) -> None:
    """Give the messages that only the new document has places between those that both have."""
    spots = [_spot(one) for one in messages]
    for at in range(1, len(messages)):
        if not fixed[at] and spots[at] <= spots[at - 1]:
            spots[at] = (spots[at - 1][0], spots[at - 1][1] + 1)
    for at in range(len(messages) - 2, -1, -1):
        if not fixed[at] and spots[at] >= spots[at + 1]:
            spots[at] = (spots[at + 1][0], spots[at + 1][1] - 1)
    moved = [not one for one in fixed]
    for at in range(1, len(messages)):
        # No room between two known ones in one minute: the later ones move on, and a higher place wins a merge.
        if spots[at] <= spots[at - 1] and (not fixed[at] or moved[at - 1]):
            spots[at] = (spots[at - 1][0], spots[at - 1][1] + 1)
            moved[at] = True
    for at, (time, order) in enumerate(spots):
        message = messages[at]
        if (time, order) != _spot(message):
            own = message.local_time or message.sent_at
            sorts_at = "" if time == own.removesuffix("Z") else time
            messages[at] = msgspec.structs.replace(message, sorts_at=sorts_at, order=order)


def _spot(message: Message) -> tuple[str, int]:
    time = message.sorts_at or message.local_time or message.sent_at
    return (time.removesuffix("Z"), message.order)
