"""The corpus that figures are measured on is the same everywhere, and its truth is true."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from corpus.item import Settings
from corpus.truth import digest64
from corpus.write import Order, write_corpus

Truth = dict[str, Any]
INTERNAL = {
    "thoughts",
    "reasoning_recap",
    "tether_browsing_display",
    "system_error",
    "user_editable_context",
    "model_editable_context",
}


def write(out: Path, form: str, count: int, *, layout: str = "classic", start: int = 0, jobs: int = 1) -> Truth:
    settings = Settings(form, layout, 1, tame=False)
    return write_corpus(Order(settings=settings, conversations=count, out=out, start=start, jobs=jobs))


def conversations_of(path: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        shards = [n for n in archive.namelist() if n.startswith("conversations") and n.endswith(".json")]
        return [conversation for name in sorted(shards) for conversation in json.loads(archive.read(name))]


def visible_text(message: dict[str, Any]) -> str:
    content = message["content"]
    hidden = (message.get("metadata") or {}).get("is_visually_hidden_from_conversation")
    if hidden or message["author"]["role"] == "system" or content["content_type"] in INTERNAL:
        return ""
    if "text" in content:
        return str(content["text"])
    parts = (part if isinstance(part, str) else part.get("text", "") for part in content["parts"])
    return "".join(parts)


def messages_of(conversation: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each message, and whether it is on the path that the person sees."""
    mapping = conversation["mapping"]
    current, at = set(), conversation["current_node"]
    while at:
        current.add(at)
        at = mapping[at]["parent"]
    for node_id, node in mapping.items():
        if node["message"]:
            yield node["message"], node_id in current


@pytest.mark.parametrize("layout", ["classic", "sharded"])
def test_truth_of_a_chatgpt_corpus_is_what_reading_it_back_counts(tmp_path: Path, layout: str) -> None:
    truth = write(tmp_path / "export.zip", "chatgpt", 130, layout=layout)
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    titles = messages = 0
    times = []
    for conversation in conversations_of(tmp_path / "export.zip"):
        counts["conversations"] += 1
        titles += digest64(conversation["title"] or "")
        for message, current in messages_of(conversation):
            text = visible_text(message)
            counts["messages_nodes"] += 1
            if not text.strip():
                continue
            counts["messages"] += 1
            counts["messages_current"] += current
            counts["text_chars"] += len(text)
            counts.update(word for word in text.split() if word in truth["needles"])
            kinds[f"{message['author']['role']}/{message['content']['content_type']}"] += 1
            messages += digest64(message["id"], text)
            times.append(message["create_time"])
    needles = truth["needles"]
    assert counts == {key: truth[key] for key in counts if key not in needles} | {k: n for k, n in needles.items() if n}
    assert kinds == truth["by_kind"]
    assert [f"{total % 2**64:016x}" for total in (titles, messages)] == [truth["titles_sum64"], truth["messages_sum64"]]
    assert [min(times), max(times)] == [truth["first_time"], truth["last_time"]]
    assert needles["needlehundred"] == 2


def test_truth_of_a_claude_corpus_is_what_reading_it_back_counts(tmp_path: Path) -> None:
    truth = write(tmp_path / "export.zip", "claude", 60)
    conversations = conversations_of(tmp_path / "export.zip")
    every = [message for conversation in conversations for message in conversation["chat_messages"]]
    seen = [message for message in every if message["text"].strip()]
    assert truth["conversations"] == len(conversations) == 60
    assert truth["messages_nodes"] == len(every)
    assert truth["messages"] == len(seen) < len(every)
    assert truth["messages_sum64"] == f"{sum(digest64(m['uuid'], m['text']) for m in seen) % 2**64:016x}"
    assert truth["last_time"] == max(datetime.fromisoformat(m["created_at"]).timestamp() for m in seen)


def test_truth_of_claude_code_sessions_is_what_reading_them_back_counts(tmp_path: Path) -> None:
    truth = write(tmp_path / "projects", "claude-code", 30)
    files = sorted((tmp_path / "projects").rglob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    kinds = Counter(line["type"] for line in lines)
    assert kinds["summary"] == truth["conversations"] == 30
    assert kinds["user"] + kinds["assistant"] == truth["messages_nodes"]
    contents = [line["message"]["content"] for line in lines if "message" in line]
    texts = [c if isinstance(c, str) else c[0].get("text", "") for c in contents]
    assert sum(bool(text) for text in texts) == truth["messages"]
    assert sum(map(len, texts)) == truth["text_chars"]


def test_a_whatsapp_chat_holds_what_its_truth_says(tmp_path: Path) -> None:
    truth = write(tmp_path / "chat.txt", "whatsapp", 1)
    text = (tmp_path / "chat.txt").read_text(encoding="utf-8")
    assert text.count("<Media omitted>") == truth["hidden_kinds"]["person/media"]
    assert text.count("This message was deleted") == truth["hidden_kinds"]["person/deleted"]
    assert truth["messages"] == truth["by_kind"]["person/text"]
    starts = [line for line in text.splitlines() if line[2:3] == "/" and " - " in line]
    assert len(starts) == truth["messages_nodes"]


def test_a_corpus_is_the_start_of_every_larger_one(tmp_path: Path) -> None:
    write(tmp_path / "small.zip", "chatgpt", 20)
    write(tmp_path / "large.zip", "chatgpt", 25)
    write(tmp_path / "rest.zip", "chatgpt", 5, start=20)
    small, large, rest = (conversations_of(tmp_path / f"{name}.zip") for name in ("small", "large", "rest"))
    assert large == small + rest
    assert len(rest) == 5


# Figures of different years can be compared only while these stay what they are.
FROZEN = {
    "chatgpt/classic": "15aa6b3e0afcb539fbcb0ccfb37ff0a701cf03ca8280b8fe1b6430bae70f542a",
    "chatgpt/sharded": "6abfdfd42f4342fca89f4003a6b4948b3aacadfb584d45c5687cb2f9f3809575",
    "claude/": "2b072736274873762adea39b42743b6a8aaa35538aed6f9ba0b52c10159f200d",
    "whatsapp/": "537141e9c4470a94e6a4b857b7e8cfcb5110d20b4608120d13989c01983974ce",
    "claude-code/": "36aa69c5980d3618d90b0eb6c2297eafe7213c70167796edea922a8df46296ea",
}


@pytest.mark.parametrize("name", FROZEN)
def test_a_corpus_never_changes(tmp_path: Path, name: str) -> None:
    form, layout = name.split("/")
    suffix = "" if form == "claude-code" else ".zip"
    truth = write(tmp_path / f"corpus{suffix}", form, 12, layout=layout)
    assert truth["content_sha256"] == FROZEN[name]


@pytest.mark.slow
def test_several_processes_write_the_same_corpus_as_one(tmp_path: Path) -> None:
    one = write(tmp_path / "one.zip", "whatsapp", 510)
    several = write(tmp_path / "several.zip", "whatsapp", 510, jobs=2)
    assert one == several
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "several.zip").read_bytes()


def test_a_folder_that_was_not_made_here_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(FileExistsError):
        write(tmp_path / "mine", "whatsapp", 2)
    assert (tmp_path / "mine" / "letter.txt").read_text(encoding="utf-8") == "dear"
