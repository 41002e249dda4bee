"""Conversations in order, made by several processes a bounded number of blocks ahead."""

from __future__ import annotations

import gc
import itertools
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from typing import Protocol

from .chatgpt import ChatGPT
from .claude import Claude
from .claude_code import ClaudeCode
from .item import Item, Settings
from .text import TextModel
from .truth import Truth
from .whatsapp import WhatsApp

BLOCK = 250  # conversations made by one task


class Maker(Protocol):
    """Makes the conversations of one format and counts them in `truth`."""

    truth: Truth

    def item(self, index: int) -> Item: ...


FORMATS: dict[str, Callable[[Settings, TextModel], Maker]] = {
    "chatgpt": ChatGPT,
    "claude": Claude,
    "whatsapp": WhatsApp,
    "claude-code": ClaudeCode,
}

_maker: Maker


def make_items(settings: Settings, truth: Truth, *, begin: int, end: int, jobs: int) -> Generator[Item, None, None]:
    """Yield conversations begin to end (exclusive) in order; `truth` counts those that were yielded."""
    blocks = ((at, min(at + BLOCK, end)) for at in range(begin, end, BLOCK))
    if jobs <= 1 or end - begin <= 2 * BLOCK:
        _start(settings)
        for block in blocks:
            items, part = _make(*block)
            truth.add(part)
            yield from items
        return
    with ProcessPoolExecutor(jobs, initializer=_start_worker, initargs=(settings,)) as pool:
        waiting = deque(pool.submit(_make, *block) for block in itertools.islice(blocks, 2 * jobs))
        while waiting:
            items, part = waiting.popleft().result()
            truth.add(part)
            waiting.extend(pool.submit(_make, *block) for block in itertools.islice(blocks, 1))
            yield from items


def _start(settings: Settings) -> None:
    """Prepare this process to make blocks."""
    global _maker
    _maker = FORMATS[settings.format](settings, text_model(settings.seed, tame=settings.tame))


def _start_worker(settings: Settings) -> None:
    gc.disable()  # nothing made here has cycles
    _start(settings)


@lru_cache(maxsize=2)  # its tapes take seconds to draw
def text_model(seed: int, *, tame: bool) -> TextModel:
    """The text that corpora of this seed are drawn from."""
    return TextModel(seed, tame=tame)


def _make(begin: int, end: int) -> tuple[list[Item], Truth]:
    _maker.truth = Truth()
    return [_maker.item(index) for index in range(begin, end)], _maker.truth
