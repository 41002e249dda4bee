"""What happens reaches whoever listens, and costs next to nothing when nobody does."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from chatkeep import happenings

here: ContextVar[str] = ContextVar("here", default="")


class Diary:
    """Writes down what it is told, and what it follows."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, float, dict[str, str]]] = []
        self.followed: list[tuple[str, dict[str, str], str]] = []

    def __call__(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        self.lines.append((name, value, dict(labels)))

    @contextlib.contextmanager
    def follow(self, name: str, facts: dict[str, str], *, after: str) -> Iterator[None]:
        before = here.set(name)
        try:
            yield
        finally:
            here.reset(before)
            self.followed.append((name, dict(facts), after))

    def thread(self) -> str:
        return here.get()


@pytest.fixture
def diary() -> Iterator[Diary]:
    found = Diary()
    ends = [happenings.listen(found), happenings.follow(found)]
    yield found
    for end in ends:
        end()


def test_what_is_told_reaches_a_listener_until_it_ends_listening() -> None:
    diary = Diary()
    end = happenings.listen(diary)
    happenings.tell("backup_bytes_total", 12, provider="dropbox")
    end()
    end()
    happenings.tell("backup_bytes_total", 13)
    assert diary.lines == [("backup_bytes_total", 12, {"provider": "dropbox"})]


def test_a_listener_that_fails_harms_neither_the_work_nor_other_listeners(
    diary: Diary, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str, value: float, labels: Mapping[str, str]) -> None:
        raise OSError("full")

    end = happenings.listen(broken)
    with caplog.at_level(logging.ERROR):
        happenings.tell("one")
    end()
    happenings.tell("two")
    assert [line[0] for line in diary.lines] == ["one", "two"]
    assert "listens to one" in caplog.text


def test_what_takes_time_is_followed_with_what_was_learnt_until_its_end(diary: Diary) -> None:
    with happenings.during("remote request", after="before", provider="dropbox") as facts:
        facts["code"] = "200"
    assert diary.followed == [("remote request", {"provider": "dropbox", "code": "200"}, "before")]


def test_a_follower_that_cannot_begin_does_not_keep_the_work_from_being_done(
    diary: Diary, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Diary):
        def follow(self, name: str, facts: dict[str, str], *, after: str) -> contextlib.AbstractContextManager[None]:
            raise OSError("full")

    end = happenings.follow(Broken())
    with caplog.at_level(logging.ERROR), happenings.during("job"):
        done = True
    end()
    assert done
    assert [name for name, _, _ in diary.followed] == ["job"]


def test_an_error_passes_through_whoever_follows(diary: Diary) -> None:
    with pytest.raises(KeyError), happenings.during("job"):
        raise KeyError("x")
    assert diary.followed


def test_work_that_other_threads_do_is_still_a_part_of_what_is_under_way(diary: Diary) -> None:
    with happenings.during("job"), ThreadPoolExecutor(2) as pool:
        found = list(pool.map(happenings.carried(lambda _: happenings.thread()), range(4)))
        apart = list(pool.map(lambda _: happenings.thread(), range(2)))
    assert found == ["job"] * 4
    assert apart == ["", ""]


def test_telling_costs_next_to_nothing_while_nobody_listens() -> None:
    assert not happenings.is_heard()
    rounds = 20_000

    def measured() -> float:
        begun = time.perf_counter()
        for _ in range(rounds):
            happenings.tell("remote_requests_total", provider="dropbox", code="200")
            with happenings.during("remote request", provider="dropbox"):
                pass
        return (time.perf_counter() - begun) / rounds

    # Less than a microsecond where it was measured (Python 3.11, two slow cores); a busy machine is given fifty.
    assert min(measured() for _ in range(5)) < 50e-6
