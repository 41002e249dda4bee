"""Requests that come whether or not the last ones were answered, as those of many people do.

Each request has its moment. A slow answer delays nobody else's question, and its time counts from the moment it was
due, so a server that stalls for a second shows that second in every request of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

MOST_OPEN = 512
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Question:
    """One request: method, path with query, headers beside Host, body."""

    path: str
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What came: status (0 when nothing did), seconds since the question was due, size of the body [bytes]."""

    question: Question
    status: int
    seconds: float
    size: int = 0


@dataclass
class Answers:
    """All answers of one run."""

    all: list[Answer] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def wrong(self) -> list[Answer]:
        return [answer for answer in self.all if not 200 <= answer.status < 400]

    def quantile(self, share: float) -> float:
        """The time that this share of all answers kept [s]; one that never came counts as for ever."""
        times = sorted(answer.seconds if answer.status else float("inf") for answer in self.all)
        return times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")

    @property
    def rate(self) -> float:
        return len(self.all) / self.seconds if self.seconds else 0.0


def ask(port: int, questions: Iterable[Question], *, rate: float, host: str = "") -> Answers:
    """Ask each question at its moment, `rate` [1/s] of them, and wait for all answers.

    host: what the Host header says, where it is not the address itself.
    """
    return asyncio.run(_Asking(port, host or f"127.0.0.1:{port}").paced(questions, rate))


def hurry(port: int, questions: Iterable[Question], *, hands: int, host: str = "") -> Answers:
    """Ask all questions as fast as answers come, so many at a time: how much the server can do."""
    return asyncio.run(_Asking(port, host or f"127.0.0.1:{port}").hurried(iter(questions), hands))


class _Asking:
    def __init__(self, port: int, host: str) -> None:
        self._port = port
        self._host = host
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._open = asyncio.Semaphore(MOST_OPEN)

    async def paced(self, questions: Iterable[Question], rate: float) -> Answers:
        answers, asked = Answers(), []
        start = time.perf_counter()
        for number, question in enumerate(questions):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asked.append(asyncio.create_task(self._ask(question, due)))
        answers.all = list(await asyncio.gather(*asked))
        answers.seconds = time.perf_counter() - start
        self._close()
        return answers

    async def hurried(self, questions: Iterator[Question], hands: int) -> Answers:
        answers = Answers()

        async def hand() -> None:
            for question in questions:
                answers.all.append(await self._ask(question, time.perf_counter()))

        start = time.perf_counter()
        await asyncio.gather(*(hand() for _ in range(hands)))
        answers.seconds = time.perf_counter() - start
        self._close()
        return answers

    async def _ask(self, question: Question, due: float) -> Answer:
        async with self._open:
            try:
                status, size = await asyncio.wait_for(self._exchange(question), PATIENCE_S)
            except (TimeoutError, OSError, EOFError, ValueError):
                status, size = 0, 0
        return Answer(question, status, time.perf_counter() - due, size)

    async def _exchange(self, question: Question) -> tuple[int, int]:
        while self._idle:  # a connection that the server closed meanwhile is no fault of the server
            reader, writer = self._idle.pop()
            if reader.at_eof() or writer.is_closing():
                writer.close()
                continue
            return await self._over(reader, writer, question)
        return await self._over(*await asyncio.open_connection("127.0.0.1", self._port), question)

    async def _over(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: Question
    ) -> tuple[int, int]:
        keeps = False
        try:
            lines = [f"{question.method} {question.path} HTTP/1.1", f"Host: {self._host}"]
            lines += [f"{name}: {value}" for name, value in question.headers]
            if question.body or question.method != "GET":
                lines.append(f"Content-Length: {len(question.body)}")
            writer.write("\r\n".join([*lines, "", ""]).encode() + question.body)
            await writer.drain()
            status, headers = await _head(reader)
            size = await _body(reader, headers)
            keeps = headers.get("connection", "").lower() != "close"
            return status, size
        finally:
            if keeps:
                self._idle.append((reader, writer))
            else:
                writer.close()

    def _close(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.split(":", 1) for line in lines[1:] if line)
    return int(lines[0].split()[1]), {name.lower(): value.strip() for name, value in headers.items()}


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> int:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        length = int(headers.get("content-length", "0"))
        await reader.readexactly(length)
        return length
    size = 0
    while length := int((await reader.readline()).split(b";")[0], 16):
        await reader.readexactly(length + 2)
        size += length
    await reader.readline()
    return size
