"""The test vectors of docs/design/document.md, and the documents of every format we ever wrote."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep import model
from chatkeep.errors import Damaged, VaultTooNew
from chatkeep.model import Conversation, Message, Part, arrange, identify
from chatkeep.testing.strategies import conversations, messages

PAGE = Path(__file__).parents[1] / "docs/design/document.md"
VECTORS = re.findall(
    r"^\d+\. (.+?)\.\n\n   ```json\n   (.+)\n   ```\n\n   `([0-9a-f]{64})`", PAGE.read_text("utf-8"), re.MULTILINE
)


def test_the_page_has_its_twenty_vectors() -> None:
    assert len(VECTORS) == 20


@pytest.mark.parametrize(("name", "text", "revision"), VECTORS)
def test_vector(name: str, text: str, revision: str) -> None:
    data = text.encode()
    assert model.revision(data) == revision, name
    assert model.encode(model.decode(data)) == data, name


@given(conversations())
def test_a_document_reads_back_and_writes_the_same(conversation: Conversation) -> None:
    data = model.encode(conversation)
    assert model.decode(data) == conversation
    assert model.encode(model.decode(data)) == data


def test_a_later_format_is_refused_and_says_so() -> None:
    data = b'{"format":2,"id":"x","platform":"chatgpt","shape":"new"}'
    with pytest.raises(VaultTooNew, match="format 2"):
        model.decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format":1}',
        b"\xff",
        b'{"format":1,"id":1,"platform":"x"}',
        b'{"format":1,"id":"x","platform":"x","messages":{}}',
    ],
)
def test_what_is_no_document_is_damaged(data: bytes) -> None:
    with pytest.raises(Damaged):
        model.decode(data)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=3))
def test_ids_are_uuids_of_version_five(names: list[str]) -> None:
    assert identify(*names) == str(uuid.uuid5(model.NAMESPACE, "\0".join(names)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "1970-01-01T00:00:00Z"),
        ({"$number": "1693526400.120"}, "2023-09-01T00:00:00.12Z"),
        ({"$number": "1693526400.0"}, "2023-09-01T00:00:00Z"),
        ({"$number": "1.6935264001E9"}, "2023-09-01T00:00:00.1Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (10**12, ""),
        (-(10**12), ""),
        ({"$number": "NaN"}, ""),
        ({"$number": "1e400"}, ""),
        ("1693526400", ""),
        (True, ""),
        (None, ""),
    ],
)
def test_seconds_become_times_and_nonsense_becomes_none(value: object, expected: str) -> None:
    assert model.from_seconds(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-05T10:00:00.500Z", "2024-01-05T10:00:00.5Z"),
        ("2024-01-05T10:00:00+08:00", "2024-01-05T02:00:00Z"),
        ("2024-01-05T10:00:00.123456789Z", "2024-01-05T10:00:00.123456789Z"),
        ("2024-01-05T10:00:00", ""),
        ("2024-13-05T10:00:00Z", ""),
        ("0001-01-01T00:00:00+14:00", ""),
        ("yesterday", ""),
        (None, ""),
    ],
)
def test_iso_times_become_utc(text: object, expected: str) -> None:
    assert model.from_iso(text) == expected


def test_moments_are_whole_to_the_microsecond() -> None:
    moment = model.instant("2024-01-05T10:00:00.123456789Z")
    assert moment is not None
    assert moment.isoformat() == "2024-01-05T10:00:00.123456+00:00"
    assert model.instant("") is None


@given(st.lists(messages(), max_size=6, unique_by=lambda m: m.id), st.randoms())
def test_document_order_depends_on_the_set_alone(found: list[Message], chance: object) -> None:
    arranged = arrange(found)
    shuffled = list(found)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert arrange(shuffled) == arranged == arrange(arranged)
    assert sorted(m.id for m in arranged) == sorted(m.id for m in found)


def test_a_long_chain_of_parents_is_arranged_without_deep_recursion() -> None:
    chain = [Message(id=f"{n:06}", parent=f"{n - 1:06}") for n in range(50_000)]
    assert [m.id for m in arrange(reversed(chain))] == [m.id for m in chain]


def test_all_that_changes_at_an_append_sorts_after_the_messages() -> None:
    fields = list(Conversation.__struct_fields__)
    before = fields[: fields.index("messages")]
    assert set(before) <= {"account", "created_at", "format", "id", "extra"}


def test_fields_stand_in_the_order_of_their_names() -> None:
    for kind in (Conversation, Message, Part, model.Participant, model.Reaction, model.Edit):
        names = [name for name in kind.__struct_fields__ if name != "extra"]
        assert names == sorted(names), kind
