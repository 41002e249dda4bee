"""Merging is commutative, associative and idempotent, and never loses what one side had."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from chatkeep.merge import has_content, merge, settle
from chatkeep.model import Conversation, Edit, Message, Part, decode, encode
from chatkeep.testing.strategies import conversations


@given(conversations())
def test_merging_a_document_with_itself_changes_nothing(a: Conversation) -> None:
    assert encode(merge(a, a)) == encode(a)


@given(conversations())
def test_a_settled_document_stays_as_it_is(a: Conversation) -> None:
    assert settle(a) == a


@given(conversations(), conversations())
def test_it_does_not_matter_who_comes_first(a: Conversation, b: Conversation) -> None:
    assert encode(merge(a, b)) == encode(merge(b, a))


@settings(max_examples=400)
@given(conversations(), conversations(), conversations())
def test_it_does_not_matter_who_meets_first(a: Conversation, b: Conversation, c: Conversation) -> None:
    assert encode(merge(merge(a, b), c)) == encode(merge(a, merge(b, c)))


@given(conversations(), conversations())
def test_meeting_again_changes_nothing(a: Conversation, b: Conversation) -> None:
    joined = merge(a, b)
    assert merge(joined, a) == joined == merge(b, joined)


@given(conversations(), conversations())
def test_the_result_is_a_settled_document_that_reads_back(a: Conversation, b: Conversation) -> None:
    joined = merge(a, b)
    assert settle(joined) == joined
    assert encode(decode(encode(joined))) == encode(joined)


@given(conversations(), conversations())
def test_every_message_record_and_hash_survives(a: Conversation, b: Conversation) -> None:
    joined = merge(a, b)
    assert _records(joined) == _records(a) | _records(b)
    # Of two hashes for one attachment of one record, one stays; an attachment never loses its only one.
    assert {key[:3] for key in _hashes(a) | _hashes(b)} == {key[:3] for key in _hashes(joined)}


def _versions(conversation: Conversation) -> list[Message]:
    return [version for message in conversation.messages for version in (message, *message.previous)]


def _records(conversation: Conversation) -> set[tuple[str, str]]:
    return {(message.id, message.raw) for message in _versions(conversation)}


def _hashes(conversation: Conversation) -> set[tuple[str, str, str, str]]:
    return {
        (message.id, message.raw, part.source_id, part.sha256)
        for message in _versions(conversation)
        for part in message.parts
        if part.sha256 and part.source_id
    }


@given(conversations(), conversations())
def test_no_emptier_value_replaces_a_fuller_one(a: Conversation, b: Conversation) -> None:
    joined = merge(a, b)
    assert bool(joined.title) == bool(a.title or b.title)
    assert bool(joined.unknown) == bool(a.unknown or b.unknown)
    full = {m.id for side in (a, b) for m in side.messages if has_content(m)}
    chosen = {name for name in joined.user if name.startswith("version/")}
    emptied = {m.id for m in joined.messages if m.id in full and not has_content(m)}
    assert all("version/" + name in chosen or _later_importer_says_empty(joined, name) for name in emptied)


def _later_importer_says_empty(joined: Conversation, name: str) -> bool:
    """The full version was of the same record as a version by a later importer, which stands for it."""
    versions = [m for m in _versions(joined) if m.id == name]
    raws = [m.raw for m in versions]
    # Beside a later reading of the same record stands only one that alone has a place for an attachment.
    return not any(has_content(version) for version in versions if raws.count(version.raw) == 1)


def _exported(title: str, updated_at: str, *said: str) -> Conversation:
    messages = tuple(
        Message(id=f"m{n}", by="x/1", raw=f"{n}-{text}", order=n, parts=(Part(type="text", text=text),))
        for n, text in enumerate(said)
    )
    return settle(Conversation(format=1, id="c", platform="x", title=title, updated_at=updated_at, messages=messages))


def test_a_blank_shell_does_not_empty_what_was_there() -> None:
    full = _exported("Photosynthesis", "2025-01-01T00:00:00Z", "How?", "With light.")
    shell = _exported("", "2026-01-01T00:00:00Z", "", "")
    joined = merge(full, shell)
    assert joined.title == "Photosynthesis"
    assert [m.parts[0].text for m in joined.messages] == ["How?", "With light."]
    assert all(len(m.previous) == 1 for m in joined.messages)


def test_the_older_title_stays_behind_a_later_one_in_any_order_of_three() -> None:
    exports = [
        _exported("First", "2024-01-01T00:00:00Z", "a"),
        _exported("", "2024-03-01T00:00:00Z", "a"),
        _exported("Second", "2024-02-01T00:00:00Z", "a"),
    ]
    results = {encode(merge(merge(a, b), c)) for a, b, c in permutations(exports)}
    assert [decode(data).title for data in results] == ["Second"]


def test_a_later_importer_takes_the_place_of_an_earlier_one_and_keeps_the_attachment_it_had() -> None:
    def version(number: int, **attachment: object) -> Conversation:
        part = Part(type="attachment", source_id="f", **attachment)  # type: ignore[arg-type]
        text = Part(type="text", text=f"as importer {number} reads it")
        return settle(
            Conversation(
                format=1,
                id="c",
                platform="x",
                messages=(Message(id="m", by=f"x/{number}", raw="r", parts=(part, text)),),
            )
        )

    devices = [version(9, sha256="aa"), version(10, missing=True), version(2, missing=True)]
    for a, b, c in permutations(devices):
        (message,) = merge(merge(a, b), c).messages
        assert message.by == "x/10"
        assert message.parts[0].sha256 == "aa"
        assert not message.parts[0].missing
        assert message.previous == ()


def test_an_answer_that_is_still_being_written_does_not_cover_the_whole_one() -> None:
    def pushed(text: str, raw: str, status: str, edited_at: str = "") -> Conversation:
        part = Part(type="text", text=text)
        message = Message(id="m", by="x/1", edited_at=edited_at, parts=(part,), raw=raw, status=status)
        return settle(Conversation(format=1, id="c", platform="x", messages=(message,)))

    late = "2024-02-29T00:00:00Z"
    for status in ("in_progress", "unfinished"):
        pushes = [
            pushed("Tea", "9", status),
            pushed("Tea needs", "8", status, late),
            pushed("Tea needs water.", "1", ""),
        ]
        for order in permutations(pushes):
            (message,) = merge(merge(order[0], order[1]), order[2]).messages
            assert message.parts[0].text == "Tea needs water."
            assert {one.parts[0].text for one in message.previous} == {"Tea", "Tea needs"}
        (message,) = merge(pushed("Tea", "r", status), pushed("Tea", "r", "")).messages
        assert (message.status, message.previous) == ("", ())


def test_a_person_may_choose_the_version_that_is_shown() -> None:
    old, new = _exported("", "", "a"), _exported("", "", "b")
    joined = merge(old, new)
    shown = joined.messages[0].parts[0].text
    other = "a" if shown == "b" else "b"
    choice = {"version/m0": Edit(stamp=(1, "d"), value=f"0-{other}")}
    chosen = merge(joined, Conversation(format=1, id="c", platform="x", user=choice))
    assert chosen.messages[0].parts[0].text == other


def test_a_message_that_both_have_alike_stays_as_it_is_where_somebody_chose_it() -> None:
    """Its two attachments of one name, of which one is missing, were filled only when it met itself again."""
    here, gone = (Part(type="attachment", source_id="f", sha256=one, missing=not one) for one in ("aa", ""))
    message = Message(id="m", by="x/1", raw="r", parts=(here, gone))
    known = settle(Conversation(format=1, id="c", platform="x", messages=(message,)))
    chosen = Conversation(format=1, id="c", platform="x", user={"version/m": Edit(stamp=(1, "d"), value="r")})
    joined = merge(known, chosen)
    assert merge(joined, chosen) == joined == merge(known, joined)


@given(st.lists(conversations(), min_size=2, max_size=4), st.randoms())
def test_devices_that_meet_in_any_order_end_with_equal_documents(known: list[Conversation], chance: object) -> None:
    """Each device merges what it hears in its own order, also twice; all converge."""
    results = set()
    for _ in range(2):
        order = known * 2
        chance.shuffle(order)  # type: ignore[attr-defined]
        joined = order[0]
        for document in order[1:]:
            joined = merge(joined, document)
        results.add(encode(joined))
    assert len(results) == 1
