"""The line between us and a cloud: cut, broken off, silent, busy, or somebody else's."""

from __future__ import annotations

import gc
import itertools
import socket
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.weather.skies import Device, Sky
from tests.weather.story import Story, kinds
from tests.weather.tally import TALLY

from chatkeep.errors import SlowDown, Unavailable
from chatkeep.providers.http import METADATA_CAP, UNTRUSTED, Gate
from fakes.faults import Fault, Faults

WRITING = "^(POST|PUT|PATCH|DELETE) "
MOST = 60
HTML = {"Content-Type": "text/html; charset=utf-8"}
TEXT = {"Content-Type": "text/plain"}
JSON = {"Content-Type": "application/json"}
SHAPES = (b"{}", b"[]", b"null", b'"x"', b'{"size": "big", "files": 5, "value": 5, "entries": {}, ".tag": []}')

Making = Callable[[Faults, int], Fault]

ANYWHERE: dict[str, Making] = {
    "cut at its start": lambda faults, nth: faults.cut(WRITING, after=0, nth=nth),
    "cut at 60 bytes": lambda faults, nth: faults.cut(WRITING, after=60, nth=nth),
    "cut at 400 bytes": lambda faults, nth: faults.cut(WRITING, after=400, nth=nth),
    "answer lost": lambda faults, nth: faults.lose("", nth=nth),
    "answer broken off": lambda faults, nth: faults.shorten("", to=nth % 2 * 30, nth=nth),
    "server error": lambda faults, nth: faults.fail("", (500, 502, 504)[nth % 3], headers=HTML, body=b"<h1>!", nth=nth),
    "page of a hotel": lambda faults, nth: faults.fail("", 200, headers=(HTML, TEXT)[nth % 2], body=b"<h1>Hi", nth=nth),
    "busy": lambda faults, nth: faults.fail("", (429, 503)[nth % 2], headers={"Retry-After": "7"}, nth=nth),
}


@pytest.mark.parametrize("what", ANYWHERE)
def test_a_fault_at_any_request_of_a_backup_costs_a_repetition_and_nothing_else(
    sky: Sky, tmp_path: Path, what: str
) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    for nth in range(1, MOST):
        sky.cloud.faults.clear()
        fault = ANYWHERE[what](sky.cloud.faults, nth)
        story.change()
        saved = story.back_up()
        if fault.seen < nth:
            break
        assert saved is not None, (nth, story.errors)
        assert saved.verified
        story.met()
    assert 3 < nth < MOST - 1
    assert not story.errors
    story.ends_well()


@pytest.mark.parametrize("shape", SHAPES)
def test_json_of_another_shape_at_any_request_is_asked_for_again_and_never_taken_for_nothing(
    sky: Sky, tmp_path: Path, shape: bytes
) -> None:
    """What follows the word of such an answer, that a lock has gone, is one more object that the next runs read."""
    story = Story(sky, tmp_path)
    story.back_up()
    for nth in range(1, 20):
        sky.cloud.faults.clear()
        sky.cloud.faults.fail("", 200, headers=JSON, body=shape, nth=nth)
        story.change()
        saved = story.back_up()
        assert saved is not None, (nth, story.errors)
        assert saved.verified
        sky.cloud.faults.clear()
        sky.cloud.faults.fail("", 200, headers=JSON, body=shape, nth=nth)
        assert story.look() in (None, *story.told.values())  # an older one where the newest came changed
        story.met(faults=2)
    assert kinds(story.errors) <= {"Unavailable"}  # of the looks: opening a place is not repeated
    story.ends_well()
    gc.collect()  # a connection that was left open is an error of the test that drops it


FORMS = ["7", "7.5", " 12 ", "0", "-5", "1e9", "1e400", "nan", "soon", "", "Fri, 15 Jan 2027 08:00:30 GMT", "7, 9"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", [429, 503])
def test_no_request_comes_before_the_pause_that_was_asked_for_and_none_is_longer_than_an_hour(
    sky: Sky, tmp_path: Path, form: str, status: int
) -> None:
    device = Device(sky, tmp_path, name="laptop-1")
    storage = device.open(new=True)
    storage.put("a", b"x")
    sky.cloud.journal.clear()
    sky.cloud.faults.fail("", status, headers={"Retry-After": form}, times=3)
    assert storage.get("a") == b"x"
    at = [entry.at for entry in sky.cloud.journal.entries]
    gaps = [later - earlier for earlier, later in itertools.pairwise(at[:4])]
    meant = {"7": 7, "7.5": 7.5, " 12 ": 12, "1e9": 3600, "1e400": 3600}.get(form, 0)
    early = sum(gap < meant for gap in gaps)
    TALLY.add(sky.name, "asked too early", early)
    assert not early, gaps
    assert all(gap <= 3700 for gap in gaps), gaps
    TALLY.add(sky.name, "faults injected", 3)
    TALLY.add(sky.name, "survived", 3)


def test_what_arrives_changed_is_sent_again_and_what_comes_changed_is_never_given(sky: Sky, tmp_path: Path) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    for match, how in ((sky.writes, "garble"), (sky.reads, "corrupt")):
        for nth in range(1, 6):
            sky.cloud.faults.clear()
            fault = getattr(sky.cloud.faults, how)(match, at=-60 if how == "garble" else 5, nth=nth)
            story.change()
            saved = story.back_up() or story.back_up()
            assert saved is not None, (nth, story.errors)
            assert saved.verified
            assert story.look() in (None, *story.told.values())  # an older one where the newest came changed
            if fault.seen < nth:
                break
            story.met()
        assert nth > 1, how
    story.ends_well()


@pytest.mark.parametrize("gone", ["nobody listens", "a certificate of a stranger"])
def test_a_line_that_cannot_be_trusted_is_not_used_at_all(sky: Sky, tmp_path: Path, gone: str) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    sky.cloud.journal.clear()
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        free = nobody.getsockname()[1]
    port = free if gone == "nobody listens" else sky.cloud.front.tls_port
    storage = story.laptop.open(base=f"https://127.0.0.1:{port}")
    for call in (storage.listing, lambda: storage.get("README.txt"), lambda: storage.put("a", b"x")):
        with pytest.raises(Unavailable):
            call()
    assert sky.cloud.journal.count() == 0
    story.met(faults=3)
    story.ends_well()


CERTIFICATES: dict[str, tuple[dict[str, Any], bool]] = {
    "in order": ({}, True),
    "expired": ({"age": timedelta(days=31)}, False),
    "not valid yet": ({"age": timedelta(days=-2)}, False),
    "another host's": ({"address": "127.0.0.9"}, False),
}
"""How the certificate is made, and whether anything may be sent. The one in order is the control."""


@pytest.mark.parametrize("what", CERTIFICATES)
def test_a_certificate_of_an_authority_we_trust_must_be_in_order_too(
    sky: Sky, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    front = sky.cloud.front
    front.certified, good = CERTIFICATES[what]
    monkeypatch.setenv("SSL_CERT_FILE", str(front.ca_file))
    sky.cloud.journal.clear()
    storage = story.laptop.open(base=f"https://127.0.0.1:{front.tls_port}", attempts=1)
    for call in (storage.listing, lambda: storage.get("README.txt"), lambda: storage.put("a", b"x")):
        with pytest.raises(Unavailable) as raised:
            call()
        assert (raised.value.what == UNTRUSTED) is not good
    assert bool(sky.cloud.journal.count()) is good
    if not good:
        story.met(faults=3)
    story.ends_well()


@cache
def bomb() -> bytes:
    """A small answer that unpacks to four times what is ever taken as metadata."""
    packing = zlib.compressobj(9, wbits=31)
    blank = b" " * 2**20
    return b"".join(packing.compress(blank) for _ in range(4 * METADATA_CAP // len(blank))) + packing.flush()


PACKED = {"Content-Type": "application/json", "Content-Encoding": "gzip"}


def test_an_answer_that_unpacks_to_very_much_is_left_at_the_limit(sky: Sky, tmp_path: Path) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    before = sky.ours()
    sky.cloud.faults.fail("", 200, headers=PACKED, body=bomb(), times=99)
    story.change()
    tracemalloc.start()
    try:
        assert story.back_up(attempts=1) is None
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 3 * METADATA_CAP
    assert kinds(story.errors) == {"Unavailable"}
    assert sky.ours() == before
    story.met()
    story.ends_well()


@pytest.mark.parametrize("status", [429, 503])
def test_a_storm_of_pauses_is_waited_out_by_all_who_share_an_account_and_costs_little_more(
    sky: Sky, tmp_path: Path, status: int
) -> None:
    gate = Gate(clock=sky.time, sleep=sky.time.sleep, patience_s=60.0)
    first = Device(sky, tmp_path, name="laptop-1", gate=gate).open(new=True, attempts=1)
    first.put("a", b"x")
    second = Device(sky, tmp_path, name="laptop-2", gate=gate).open(attempts=1)
    assert second.get("a") == b"x"
    sky.cloud.journal.clear()
    began, storms = sky.time(), 60
    for nth in range(1, 2 * storms, 2):
        sky.cloud.faults.fail("", status, headers={"Retry-After": "7"}, nth=nth)
    faults = list(sky.faults)
    while faults[-1].seen < faults[-1].nth:
        for storage in (first, second):  # who is told to wait gives up, and the other comes at once
            with suppress(SlowDown, Unavailable):
                assert storage.get("a") == b"x"
    entries = sky.cloud.journal.entries
    early = sum(two.at - one.at < 7 for one, two in itertools.pairwise(entries) if one.status == status)
    TALLY.add(sky.name, "asked too early", early)
    assert not early
    assert sum(entry.status == status for entry in entries) == storms
    assert sky.time() - began <= 1.1 * 7 * storms
    TALLY.add(sky.name, "faults injected", storms)
    TALLY.add(sky.name, "survived", storms)
