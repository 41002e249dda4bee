"""What importers find in generated exports is what the generator put there, to the last message and the last letter."""

from __future__ import annotations

from pathlib import Path

import pytest

import truth
from chatkeep.importers.detect import detect
from chatkeep.model import encode
from chatkeep.testing.reading import read
from corpus.item import Settings
from corpus.write import Order, write_corpus

SMALL = [("chatgpt", "classic", 1), ("chatgpt", "sharded", 2), ("claude", "", 3)]
SMALL += [("whatsapp", "", 1), ("whatsapp", "", 2), ("claude-code", "", 1), ("claude-code", "", 4)]
LARGE = [
    (form, layout, seed)
    for form, layout in (("chatgpt", "classic"), ("chatgpt", "sharded"), ("claude", ""), ("claude-code", ""))
    for seed in (1, 4)
]


def _write(folder: Path, form: str, count: int, *, layout: str, seed: int, start: int = 0) -> Path:
    out = folder / f"{form}-{layout}-{seed}-{start}-{count}.zip"
    settings = Settings(format=form, layout=layout or "classic", seed=seed, tame=False)
    write_corpus(Order(settings=settings, conversations=count, out=out, start=start, jobs=1))
    return out


def _check(corpus: Path, form: str) -> None:
    [(importer, source)] = detect([corpus])
    with source:
        found = read(importer, source)
    assert importer.platform == form
    assert [problem.what for problem in found.problems] == []
    assert found.unknown == {}
    assert truth.count(found.conversations, truth.RULES[form]) == truth.expected(corpus)


@pytest.mark.parametrize(("form", "layout", "seed"), SMALL)
def test_a_small_corpus_is_found_whole(tmp_path: Path, form: str, layout: str, seed: int) -> None:
    _check(_write(tmp_path, form, 60, layout=layout, seed=seed), form)


@pytest.mark.slow
@pytest.mark.parametrize(("form", "layout", "seed"), LARGE)
def test_a_larger_corpus_is_found_whole(tmp_path: Path, form: str, layout: str, seed: int) -> None:
    _check(_write(tmp_path, form, 1000, layout=layout, seed=seed), form)


@pytest.mark.parametrize("form", ["chatgpt", "claude", "claude-code", "whatsapp"])
def test_what_two_exports_share_is_equal_in_both(tmp_path: Path, form: str) -> None:
    documents = []
    for count in (20, 25):
        [(importer, source)] = detect([_write(tmp_path, form, count, layout="classic", seed=5)])
        with source:
            found = read(importer, source)
        documents.append([encode(one) for one in found.conversations])
    assert len(documents[0]) == 20
    assert set(documents[0]) < set(documents[1])


def test_both_layouts_of_one_export_show_the_same_path(tmp_path: Path) -> None:
    """Without `children` the order of siblings comes from times, and it is the same."""
    [(importer, source)] = detect([_write(tmp_path, "chatgpt", 40, layout="sharded", seed=6)])
    with source:
        for conversation in read(importer, source).conversations:
            siblings: dict[str, list[int]] = {}
            for message in sorted(conversation.messages, key=lambda one: (one.sent_at, one.id)):
                siblings.setdefault(message.parent, []).append(message.order)
            assert all(orders == sorted(orders) for parent, orders in siblings.items() if parent)
