"""A line that fails in every way: with retries everything ends as it should, and nothing is half there."""

from __future__ import annotations

import random

import pytest
from tests.providers.onedrive.conftest import Clock, Opening

from chatkeep.errors import ChatkeepError, NotFound
from chatkeep.providers import Gate, MemoryNotes
from chatkeep.providers.onedrive import OneDrive
from chatkeep.providers.onedrive.uploads import FRAGMENT
from chatkeep.storage import Retrying, delete_many, put_many
from chatkeep.testing.storage_suite import sample
from fakes.given import Cloud

PLACE = "Apps/Chatkeep/Chatkeep/"


def clouded(cloud: Cloud, chance: random.Random) -> None:
    """One thing to go wrong at one of the next requests, anywhere."""
    faults, nth = cloud.faults, chance.randint(1, 4)
    faults.clear()  # two tokens refused in a row would be the end of the sign-in
    body = b'{"error":{"code":"generalException"}}'
    json = {"Content-Type": "application/json"}
    chance.choice(
        [
            lambda: faults.fail("", 500, headers=json, body=body, nth=nth),
            lambda: faults.fail("graph", 503, headers={"Retry-After": "2"}, nth=nth, times=2),
            lambda: faults.fail("", 429, headers={"Retry-After": "1"}, nth=nth),
            lambda: faults.fail("graph", 401, nth=nth),
            lambda: faults.fail("graph", 200, headers={"Content-Type": "text/html"}, body=b"<p>hotel", nth=nth),
            lambda: faults.cut("^(PUT|POST)", after=chance.randrange(3000), nth=nth),
            lambda: faults.lose("", nth=nth),
            lambda: faults.shorten("^GET", to=chance.randrange(20), nth=nth),
        ]
    )()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_fails_on_the_way_the_contents_are_right_in_the_end(cloud: Cloud, opening: Opening, seed: int) -> None:
    chance, clock = random.Random(seed), Clock()
    cloud.fake.page = chance.choice([2, 200])

    def opened(*, new: bool) -> OneDrive:
        gate = Gate(clock=clock, sleep=clock.sleep)
        return opening(cloud, notes=notes, gate=gate, new=new)

    notes = MemoryNotes()
    storage = Retrying(opened(new=True), sleep=clock.sleep, attempts=8)
    expected: dict[str, bytes] = {}
    for step in range(40):
        clouded(cloud, chance)
        name, other = (f"{chance.choice(['', 'a/', 'a/b/'])}{chance.randrange(5)}" for _ in range(2))
        size = chance.choice([0, 1, 3000, FRAGMENT + 7]) if step % 8 == 0 else chance.randrange(3000)
        data = sample(size, of=f"{seed}-{step}")
        match chance.randrange(6):
            case 0 | 1:
                storage.put(name, data)
                expected[name] = data
            case 2:
                put_many(storage, {name: data, other: data[:5]})
                expected |= {name: data, other: data[:5]}
            case 3:
                delete_many(storage, [name, other])
                expected.pop(name, None)
                expected.pop(other, None)
            case 4:
                try:
                    assert storage.get(name) == expected[name]
                except (NotFound, KeyError):
                    assert name not in expected
            case 5:
                storage = Retrying(opened(new=False), sleep=clock.sleep, attempts=8)
                assert {one.name: one.size for one in storage.listing()} == {n: len(d) for n, d in expected.items()}
    cloud.faults.clear()
    assert cloud.fake.files() == {PLACE + name: data for name, data in expected.items()}


@pytest.mark.parametrize("seed", range(4))
def test_without_retries_every_failure_is_one_of_ours_and_leaves_whole_objects(
    cloud: Cloud, opening: Opening, seed: int
) -> None:
    chance, clock = random.Random(1000 + seed), Clock()
    storage = opening(cloud, gate=Gate(clock=clock, sleep=clock.sleep))
    written: dict[str, set[bytes]] = {}
    errors: list[ChatkeepError] = []
    for step in range(40):
        clouded(cloud, chance)
        name, data = f"{chance.randrange(4)}", sample(chance.randrange(2000), of=f"{seed}-{step}")
        written.setdefault(name, set()).add(data)
        try:
            storage.put(name, data) if chance.random() < 0.7 else storage.delete(name)
        except ChatkeepError as error:
            errors.append(error)
    assert errors
    assert all(error.temporary for error in errors), errors
    for path, data in cloud.fake.files().items():
        assert data in written[path.removeprefix(PLACE)]
