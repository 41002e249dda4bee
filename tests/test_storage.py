from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from chatkeep.errors import ChatkeepError, NotFound, Refused, SlowDown, Unavailable
from chatkeep.providers.folder import Folder
from chatkeep.providers.memory import Memory
from chatkeep.storage import (
    Below,
    Counting,
    Paced,
    ReadOnly,
    Retrying,
    Storage,
    StoredObject,
    Traits,
    changes,
    delete_many,
    move,
    put_many,
)
from chatkeep.testing.faulty import Crash, Fault, FaultyStorage
from chatkeep.testing.storage_suite import StorageSuite


class Sleeps:
    """Remembers how long it was asked to sleep, and does not. Its clock goes on by just that."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)

    def clock(self) -> float:
        return sum(self.slept)


class TestRetrying(StorageSuite):
    feeds = True

    @pytest.fixture
    def storage(self) -> Storage:
        return Retrying(Memory())


class TestCounting(StorageSuite):
    feeds = True

    @pytest.fixture
    def storage(self) -> Storage:
        return Counting(Memory())


class TestPaced(StorageSuite):
    feeds = True

    @pytest.fixture
    def storage(self) -> Storage:
        return Paced(Memory(), per_second=1_000_000)


class TestBelow(StorageSuite):
    feeds = True

    @pytest.fixture
    def storage(self) -> Storage:
        whole = Memory()
        whole.put("Vaulted", b"a neighbour whose name begins alike")
        return Below(whole, "Vault")


class TestFaultyWithoutFaults(StorageSuite):
    feeds = True

    @pytest.fixture
    def storage(self) -> Storage:
        return FaultyStorage(Memory())


VERBS = [
    ("put", lambda storage: storage.put("a", b"new")),
    ("get", lambda storage: storage.get("a")),
    ("stat", lambda storage: storage.stat("a")),
    ("listing", lambda storage: storage.listing()),
    ("delete", lambda storage: storage.delete("a")),
    ("changes", lambda storage: changes(storage)),
]


def _with(error: ChatkeepError, *, times: int) -> FaultyStorage:
    memory = Memory()
    memory.put("a", b"old")
    return FaultyStorage(memory, *(Fault("any", nth, "fail", lambda: error) for nth in range(1, times + 1)))


@pytest.mark.parametrize(("verb", "call"), VERBS)
def test_a_short_outage_is_not_seen_above(verb: str, call: object) -> None:
    sleeps = Sleeps()
    faulty = _with(Unavailable("down"), times=3)
    call(Retrying(faulty, sleep=sleeps))  # type: ignore[operator]
    assert [called for called, _ in faulty.calls] == [verb] * 4
    assert len(sleeps.slept) == 3
    assert sleeps.slept[0] < sleeps.slept[2]


def test_a_long_outage_is_passed_on_after_the_last_attempt() -> None:
    faulty = _with(Unavailable("down"), times=99)
    with pytest.raises(Unavailable):
        Retrying(faulty, attempts=4, sleep=Sleeps()).get("a")
    assert len(faulty.calls) == 4


@pytest.mark.parametrize("error", [NotFound("no"), Refused("no")])
def test_what_will_not_change_is_not_tried_again(error: ChatkeepError) -> None:
    faulty = _with(error, times=1)
    with pytest.raises(type(error)):
        Retrying(faulty, sleep=Sleeps()).get("a")
    assert len(faulty.calls) == 1


def test_a_storage_that_names_its_wait_is_given_it() -> None:
    sleeps = Sleeps()
    Retrying(_with(SlowDown("later", wait_s=17), times=2), sleep=sleeps).get("a")
    assert min(sleeps.slept) >= 17


def test_a_wait_beyond_patience_is_passed_on() -> None:
    sleeps = Sleeps()
    with pytest.raises(SlowDown) as raised:
        Retrying(_with(SlowDown("later", wait_s=3600), times=1), sleep=sleeps).get("a")
    assert raised.value.wait_s == 3600
    assert sleeps.slept == []


def test_every_call_and_byte_is_counted() -> None:
    counting = Counting(Memory())
    counting.put("a", b"12345")
    counting.get("a", start=1, length=2)
    counting.stat("a")
    counting.listing()
    counting.delete("a")
    with pytest.raises(NotFound):
        counting.get("a")
    assert counting.calls == {"put": 1, "get": 2, "stat": 1, "listing": 1, "delete": 1}
    assert (counting.requests, counting.sent, counting.received) == (6, 5, 2)


def test_a_read_only_storage_shows_everything_and_changes_nothing() -> None:
    memory = Memory()
    memory.put("a", b"x")
    storage = ReadOnly(memory)
    assert storage.get("a") == b"x"
    assert [stored.name for stored in storage.listing()] == ["a"]
    with pytest.raises(Refused):
        storage.put("b", b"")
    for changing in (
        lambda: storage.delete("a"),
        lambda: delete_many(storage, ["a"]),
        lambda: put_many(storage, {"a": b"new"}),
        lambda: move(storage, "a", "b"),
    ):
        with pytest.raises(Refused):
            changing()
    assert memory.get("a") == b"x"


def test_a_paced_storage_lets_a_burst_through_and_then_keeps_its_gap() -> None:
    sleeps = Sleeps()
    storage = Paced(Memory(), per_second=2, burst=4, sleep=sleeps, clock=sleeps.clock)
    for _ in range(4):
        storage.listing()
    assert sleeps.slept == []
    for _ in range(10):
        storage.listing()
    assert sum(sleeps.slept) == pytest.approx(5.0)


def test_below_a_folder_nothing_else_is_seen() -> None:
    whole = Memory()
    whole.put("Vault/a", b"in")
    whole.put("Chats/b", b"out")
    below = Below(whole, "Vault")
    assert [stored.name for stored in below.listing()] == ["a"]
    with pytest.raises(Refused):
        below.get("../Chats/b")


def test_a_crash_leaves_what_was_done_and_nothing_tidies_up_after_it() -> None:
    for how, kept in (("crash", ["1"]), ("crash after", ["1", "2"])):
        memory = Memory()
        storage = FaultyStorage(memory, Fault("put", 2, how))  # type: ignore[arg-type]
        storage.put("1", b"x")
        with pytest.raises(Crash):
            storage.put("2", b"x")
        with pytest.raises(Crash):
            storage.delete("1")
        assert [stored.name for stored in memory.listing()] == kept


def test_a_truncating_storage_gives_half() -> None:
    storage = FaultyStorage(Memory(), Fault("get", 2, "truncate"))
    storage.put("a", b"123456")
    assert [storage.get("a"), storage.get("a"), storage.get("a")] == [b"123456", b"123", b"123456"]


class Batching(Memory):
    """Takes many objects at once, moves by itself, waits on a line, and says how many requests it made."""

    traits = Traits(parallel=4)

    def __init__(self) -> None:
        super().__init__()
        self.requests = 100

    def put_many(self, objects: Mapping[str, bytes]) -> list[StoredObject]:
        self.requests += 2
        return [self.put(name, data) for name, data in objects.items()]

    def delete_many(self, names: Iterable[str]) -> None:
        self.requests += 1
        for name in names:
            self.delete(name)

    def move(self, old: str, new: str) -> None:
        self.requests += 1
        data = self.get(old)
        self.delete(old)
        self.put(new, data)


class TestBatching(StorageSuite):
    feeds = True

    @pytest.fixture
    def storage(self) -> Storage:
        return Retrying(Counting(Paced(Below(Batching(), "Vault"), per_second=1_000_000)))


def test_what_a_storage_does_at_once_passes_every_wrapper_as_one_call() -> None:
    counting = Counting(Below(Retrying(Batching()), "Vault"))
    put_many(counting, {"a": b"1", "b": b"23", "c": b""})
    move(counting, "a", "d")
    delete_many(counting, ["b", "c"])
    assert counting.calls == {"put_many": 1, "move": 1, "delete_many": 1}
    assert (counting.requests, counting.sent) == (4, 3)
    assert [stored.name for stored in counting.listing()] == ["d"]


def test_elsewhere_each_object_passes_the_wrappers_by_itself() -> None:
    faulty = FaultyStorage(Memory(), Fault("put", 2, "fail"), Fault("delete", 1, "fail"))
    retrying = Retrying(faulty, sleep=Sleeps())
    counting = Counting(retrying)
    put_many(counting, {"a": b"1", "b": b"23"})
    move(counting, "a", "d")
    delete_many(counting, ["b", "d"])
    assert counting.calls == {"put": 3, "get": 1, "delete": 3}
    assert [verb for verb, _ in faulty.calls] == [
        "put",
        "put",
        "put",
        "get",
        "put",
        "delete",
        "delete",
        "delete",
        "delete",
    ]
    assert (counting.requests, counting.sent) == (7, 4)


def test_after_an_error_among_many_no_further_object_is_begun() -> None:
    class Waiting(Memory):
        traits = Traits(parallel=2)

    faulty = FaultyStorage(Waiting(), *(Fault("put", nth, "fail") for nth in range(1, 100)))
    with pytest.raises(Unavailable):
        put_many(faulty, {str(i): b"x" for i in range(99)})
    assert len(faulty.calls) < 99


def test_a_storage_without_a_feed_says_so_through_every_wrapper(tmp_path: Path) -> None:
    storage = Counting(Retrying(Below(Folder(tmp_path), "Vault")))
    assert changes(storage) is None
    assert storage.requests == 0


def test_below_a_folder_only_its_own_changes_are_told() -> None:
    whole = Memory()
    below = Below(whole, "Vault")
    begun = changes(below)
    assert begun
    for name in ("Vault/a", "Vaulted", "Chats/b"):
        whole.put(name, b"x")
    told = changes(below, begun.cursor)
    assert told
    assert told.changed == {"a"}
