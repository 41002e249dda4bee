"""Who claims what: every sample belongs to exactly one importer, and what is no export to nobody."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from chatkeep.importers.registry import ALL
from chatkeep.source import Source
from chatkeep.testing.importer_suite import STRANGERS
from chatkeep.testing.reading import source_of

TESTS = Path(__file__).parents[1]
PLATFORMS = sorted(one.platform for one in ALL)
SAMPLES = [path for platform in PLATFORMS for path in sorted((TESTS / "samples" / platform).glob("*/input"))]
SHARED = TESTS.parents[1] / "shared" / "samples"


def _claims(source: Source) -> list[str]:
    return [one.platform for one in ALL if one.sniff(source)]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: f"{path.parents[1].name}/{path.parent.name}")
def test_exactly_one_importer_claims_a_sample(sample: Path) -> None:
    with Source.open([sample]) as source:
        assert _claims(source) == [sample.parents[1].name]


def test_every_importer_has_samples() -> None:
    assert {sample.parents[1].name for sample in SAMPLES} >= set(PLATFORMS)


@pytest.mark.parametrize("name", sorted(STRANGERS))
def test_nobody_claims_what_is_no_export(name: str) -> None:
    assert _claims(source_of({name: STRANGERS[name]})) == []


@pytest.mark.parametrize(
    "name", ["conversations.json", "_chat.txt", "projects.json", "session.jsonl", "a.zip", "chat.html"]
)
def test_nobody_claims_noise_under_the_name_of_an_export(name: str) -> None:
    rng = random.Random(name)
    for size in (0, 1, 2, 100, 5000):
        assert _claims(source_of({name: rng.randbytes(size)})) == []


def test_real_exports_of_other_platforms_are_left_to_their_importers() -> None:
    found = sorted(path for path in SHARED.glob("*") if path.is_dir()) if SHARED.exists() else []
    for folder in found:
        with Source.open([folder]) as source:
            claims = _claims(source)
        expected = [folder.name] if folder.name in PLATFORMS else []
        assert claims == expected, folder.name
