"""Two or three devices, one cloud, any weather: nothing is lost, nothing comes back, and every backup can be read.

What the devices do is `operations.sync` and `operations.back_up`, with the real vault, merge and tombstones; only the
archive is one in memory (`Remembering`), for a seed costs less than a tenth of a second so. tests/laws/test_syncing.py
asks the same operations over real archives, in good weather. Each seed is run twice and must go the same way. `make
soak` runs a hundred thousand of them. A judge that never found anything would prove nothing, so the code is spoilt here
on purpose, and the simulation must notice.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.simulator.run import STORM, Judgement, Run, judged

from chatkeep import merge as merging
from chatkeep.archive import tombstones
from chatkeep.operations import syncing
from chatkeep.vault import collect
from chatkeep.vault.compact import PackState

SEEDS = int(os.environ.get("SEEDS", "2000"))
FIRST = int(os.environ.get("FIRST_SEED", "0"))
PARTS = 20
FOR_A_MUTANT = 100

Patch = pytest.MonkeyPatch


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_in_any_weather_nothing_is_lost_and_nothing_comes_back(part: int) -> None:
    wrong = {}
    for seed in range(FIRST + part, FIRST + SEEDS, PARTS):
        try:
            judged(seed, weather=STORM if seed % 10 == 0 else None)
        except Exception as error:  # every seed is told, with what became of it
            wrong[seed] = f"{type(error).__name__}: {error}"
    assert wrong == {}


@pytest.mark.parametrize(
    "seed",
    [
        1_890,  # a process took an older snapshot for the newest: listings did not show the newest yet
        1_001_673,  # a pack that went while it was still listed was told as trouble
        1_004_062,  # the same
        1_001_840,  # a pack that no index had named was named by the collection that deleted it
        1_004_650,  # the same
    ],
)
def test_what_went_wrong_once_goes_right(seed: int) -> None:
    judged(seed, weather=STORM if seed % 10 == 0 else None)


def test_another_seed_goes_another_way() -> None:
    assert len({Run(seed).judged() for seed in range(5)}) == 5


def no_grace(patch: Patch) -> None:
    """What is doomed may go at once."""
    patch.setattr(collect, "GRACE", timedelta(0))


def one_phase(patch: Patch) -> None:
    """What no snapshot needs is deleted without being doomed first."""

    def at_once(self: collect.Collection, packs: list[PackState]) -> list[PackState]:
        return [pack for pack in packs if not pack.needed and pack.size >= 0]

    patch.setattr(collect.Collection, "_expired", at_once)


def no_tombstones(patch: Patch) -> None:
    """What others deleted is not taken away here."""
    patch.setattr(tombstones, "outcome", lambda conversation, tombstone: conversation)


def one_sided_merge(patch: Patch) -> None:
    """Of two documents of one conversation the greater one is taken whole."""
    patch.setattr(merging, "merge", lambda a, b: max(a, b, key=repr))


def deaf(patch: Patch) -> None:
    """What others saved is noted as merged, and is not merged."""
    patch.setattr(syncing._Sync, "_take", lambda *_: None)


MUTANTS = [no_grace, one_phase, no_tombstones, one_sided_merge, deaf]


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_spoilt_product_is_found_out(mutant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mutant(monkeypatch)
    for seed in range(FOR_A_MUTANT):
        try:
            Run(seed, weather=STORM if mutant in (no_grace, one_phase) else None).judged()
        except (Judgement, AssertionError):
            return
    raise AssertionError(f"{FOR_A_MUTANT} seeds did not notice: {mutant.__doc__}")
