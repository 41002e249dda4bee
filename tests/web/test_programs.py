"""The page on which programs are let in, and out again."""

from __future__ import annotations

import html
import re

from django.test import Client

from chatkeep.api import tokens
from chatkeep.api.models import Token
from chatkeep.archive import Archive


def test_a_token_is_shown_once_and_lets_its_program_in(keeper: Client, archive: Archive) -> None:
    assert "No program may ask" in keeper.get("/programs/").content.decode()
    made = keeper.post("/programs/add", {"name": "My <notes>", "scope": ["read"], "days": "30"}).content.decode()
    [text] = re.findall(r"ck_[A-Za-z0-9_-]{43}", html.unescape(made))
    access = tokens.bearer(text)
    assert access is not None
    assert (access.name, access.scopes, access.archive_id) == ("My <notes>", {"read"}, "own")
    again = keeper.get("/programs/").content.decode()
    assert text not in again
    assert "My &lt;notes&gt;" in again
    keeper.post(f"/programs/{access.token}/revoke")
    assert tokens.bearer(text) is None


def test_a_token_that_makes_no_sense_is_told_on_the_page(keeper: Client, archive: Archive) -> None:
    for wrong in ({"name": "x"}, {"name": "", "scope": "read"}, {"name": "x", "scope": "read", "days": "7"}):
        answer = keeper.post("/programs/add", wrong)
        assert answer.status_code == 400
        assert "notice bad" in answer.content.decode()
    assert Token.objects.count() == 0


def test_a_token_of_another_archive_is_not_seen_and_not_taken_back(keeper: Client, archive: Archive) -> None:
    _, row = tokens.add("of somebody else", ["read"], archive="b" * 32)
    assert "of somebody else" not in keeper.get("/programs/").content.decode()
    assert keeper.post(f"/programs/{row.pk}/revoke").status_code == 404
    assert not Token.objects.get().is_over


def test_strangers_let_nobody_in(stranger: Client) -> None:
    assert stranger.post("/programs/add", {"name": "x", "scope": "read"}).status_code == 401
    assert Token.objects.count() == 0
