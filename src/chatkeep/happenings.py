"""What happens, told to whoever listens: so that providers, operations and jobs need not know who counts or traces.

The bottom of the house: this module knows nobody. While nobody listens, telling costs a look at an empty tuple.
Names are those of metrics and are listed where they are counted (`chatkeep.watching.names`). Labels take few values
that are known beforehand: a provider, a code, a stage. They never hold a person, a title, a name of a file, an address.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context, copy_context
from typing import Protocol, TypeVar

Given = TypeVar("Given")
Back = TypeVar("Back")
Listener = Callable[[str, float, Mapping[str, str]], None]
"""Is given the name of what happened, how much or how often, and its labels. It must not block."""

_log = logging.getLogger(__name__)


class Follower(Protocol):
    """Follows what takes time: a request, a job, a call to a provider."""

    def follow(self, name: str, facts: dict[str, str], *, after: str) -> AbstractContextManager[object]:
        """Around the thing. facts: of the thing, some of which are known only at its end. after: see `during`."""

    def thread(self) -> str:
        """What names the thing that is under way here, for `after` elsewhere; "" for none."""


_listeners: tuple[Listener, ...] = ()
_followers: tuple[Follower, ...] = ()


def listen(listener: Listener) -> Callable[[], None]:
    """Have everything told to a listener from now on. Gives what ends that; calling it twice is quiet."""
    global _listeners
    _listeners = (*_listeners, listener)

    def end() -> None:
        global _listeners
        _listeners = tuple(one for one in _listeners if one is not listener)

    return end


def follow(follower: Follower) -> Callable[[], None]:
    """Have a follower around everything that takes time from now on. Gives what ends that."""
    global _followers
    _followers = (*_followers, follower)

    def end() -> None:
        global _followers
        _followers = tuple(one for one in _followers if one is not follower)

    return end


def tell(name: str, value: float = 1.0, **labels: str) -> None:
    """Say that something happened. Never raises, whatever the listeners do."""
    for listener in _listeners:
        try:
            listener(name, value, labels)
        except Exception:  # who listens must not harm who works
            _log.exception("Somebody who listens to %s failed", name)


def is_heard() -> bool:
    """Whether anybody listens or follows, so that what is to be told is worth finding out."""
    return bool(_listeners or _followers)


def during(name: str, *, after: str = "", **facts: str) -> AbstractContextManager[dict[str, str]]:
    """Around something that takes time. Gives its facts, to which more may be added until it ends.

    after: what `thread` gave where this was asked for, perhaps in another process; "" for what is under way here.
    """
    return _during(name, facts, after) if _followers else nullcontext(facts)


@contextlib.contextmanager
def _during(name: str, facts: dict[str, str], after: str) -> Iterator[dict[str, str]]:
    with contextlib.ExitStack() as stack:
        for follower in _followers:
            try:
                stack.enter_context(follower.follow(name, facts, after=after))
            except Exception:
                _log.exception("Somebody who follows %s failed", name)
        yield facts


def thread() -> str:
    """What names the thing that is under way here, to be carried along with work that is done later or elsewhere."""
    return next(filter(None, (follower.thread() for follower in _followers)), "")


def carried(work: Callable[[Given], Back]) -> Callable[[Given], Back]:
    """The same work, for another thread, there still a part of what is under way here."""
    if not _followers:
        return work
    context = copy_context()

    def there(given: Given) -> Back:
        inner: Context = context.copy()  # a context is entered by one thread at a time
        return inner.run(work, given)

    return there
