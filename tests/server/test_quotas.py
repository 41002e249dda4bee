"""Limits of what each person may keep: asked at imports, pushes and new places, told with what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from chatkeep import example
from chatkeep.api import tokens
from chatkeep.connections.models import Connection
from chatkeep.errors import QuotaFull
from chatkeep.jobs import queue, room
from chatkeep.jobs.kinds import kinds
from chatkeep.jobs.worker import Worker
from chatkeep.operations import import_from
from chatkeep.people.belonging import archives_of
from chatkeep.people.models import User
from chatkeep.web import held

pytestmark = pytest.mark.usefixtures("tables")
Pair = tuple[User, Client]


@pytest.fixture(autouse=True)
def _count_anew() -> None:
    room.forget()


@pytest.fixture
def limited(alice: Pair) -> Callable[..., str]:
    """Gives Alice limits; her archive, with the example in it."""
    own = archives_of(alice[0])[0]
    import_from(held.means().archive_of(own), example.paths())

    def limit(**most: int) -> str:
        User.objects.filter(pk=alice[0].pk).update(**{f"most_{name}": value for name, value in most.items()})
        return own

    return limit


def upload(browser: Client) -> Any:
    return browser.post("/import/", {"files": [SimpleUploadedFile("x.json", b"[]")]})


def test_an_import_that_has_no_room_is_refused_with_what_is_used_and_what_to_do(
    limited: Callable[..., str], alice: Pair
) -> None:
    assert upload(alice[1]).status_code == 302  # without a limit
    own = limited(bytes=1000)
    said = upload(alice[1])
    assert said.status_code == 400
    text = said.content.decode()
    assert "of 0.0 MB of conversations are used" in text
    assert "ask whoever runs this server" in text
    job = queue.enqueue("import", queue.archive_subject(own), {"paths": [str(p) for p in example.paths()]}, archive=own)
    worker = Worker(kinds(held.means()))
    while worker.run_one():
        pass
    ended = queue.find(job.pk)
    assert (ended.state, ended.code) == ("failed", "QuotaFull")


def test_an_import_that_outgrows_the_room_is_stopped_on_its_way(
    limited: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "COUNTED_FOR_S", 0.0)
    own = limited(attachment_bytes=10)
    told: list[object] = []
    watched = room.watching(held.means(), own, told.append)
    with pytest.raises(QuotaFull):
        watched(None)  # type: ignore[arg-type]
    assert told == [None]


def test_a_push_that_has_no_room_is_refused(limited: Callable[..., str], alice: Pair) -> None:
    own = limited(bytes=100)
    token, _ = tokens.add("test", ["write"], archive=own, user=alice[0].pk.hex)
    sent = Client(headers={"host": "127.0.0.1:8765", "authorization": f"Bearer {token}"})
    answer = sent.post("/api/v1/conversations", b"[]", content_type="application/json")
    assert answer.status_code == 507, answer.content
    assert "conversations are used" in answer.content.decode()
    limited(bytes=0)
    room.forget()
    assert sent.post("/api/v1/conversations", b"[]", content_type="application/json").status_code != 507


def test_a_place_too_many_is_refused_before_anybody_is_sent_to_the_provider(
    limited: Callable[..., str], alice: Pair
) -> None:
    own = limited(connections=1)
    form = {"do": "begin", "client_id": "x", "folder": "Chatkeep"}
    assert alice[1].post("/connect/to/dropbox/", form).status_code == 302
    Connection.objects.create(archive=own, name="first", provider="dropbox")
    refused = alice[1].post("/connect/to/dropbox/", form)
    assert refused.status_code == 400
    assert "1 of 1 connected places are there" in refused.content.decode()


def test_what_is_left_is_shown_under_settings(limited: Callable[..., str], alice: Pair) -> None:
    limited(bytes=10_000_000, connections=3)
    page = alice[1].get("/settings/").content.decode()
    assert "0 of 3" in page
    assert "without a limit" in page


def test_a_limit_for_all_holds_where_somebody_has_none_of_their_own(limited: Callable[..., str], settings: Any) -> None:
    import msgspec

    settings.CHATKEEP = msgspec.structs.replace(settings.CHATKEEP, most_bytes=10)
    own = limited()
    with pytest.raises(QuotaFull):
        room.check(held.means(), own, {"bytes": 1})
    limited(bytes=0)
    room.check(held.means(), own, {"bytes": 1})
