"""The page of keys: tested, added, changed, removed; and nothing secret stays on a page that can be opened again."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from django.test import Client

from chatkeep.vault import keys as key_files


@pytest.fixture
def stick(keeper: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A connected folder; its recovery key."""
    monkeypatch.setattr(key_files, "COST_N", 2**10)
    made = keeper.post("/backups/connect", {"path": str(tmp_path / "stick"), "name": "stick"})
    return _shown_key(made.content.decode())


def _shown_key(page: str) -> str:
    shown = re.search(r'class="key"[^>]*>([A-Z-]+)<', page)
    assert shown is not None
    return shown[1]


def _said(keeper: Client, address: str, **given: str) -> str:
    return html.unescape(keeper.post(f"/backups/stick/keys/{address}", given).content.decode())


def test_what_a_person_kept_is_tested(keeper: Client, stick: str) -> None:
    assert "What you kept opens the vault" in _said(keeper, "test", secret=stick.lower())
    assert "does not open the vault" in _said(keeper, "test", secret="something else")
    mistyped = _said(keeper, "test", secret=stick[:-1] + ("A" if stick[-1] != "A" else "B"))
    assert "Group 8" in mistyped
    assert stick not in mistyped


def test_a_new_recovery_key_is_shown_once(keeper: Client, stick: str) -> None:
    new = _shown_key(_said(keeper, "recovery"))
    assert new != stick
    assert new not in keeper.get("/backups/stick/keys").content.decode()
    assert "What you kept opens the vault" in _said(keeper, "test", secret=new)


def test_a_passphrase_is_typed_twice(keeper: Client, stick: str) -> None:
    assert "not the same" in _said(keeper, "passphrase", passphrase="one phrase", again="another")
    assert "new passphrase" in _said(keeper, "passphrase", passphrase="one phrase", again="one phrase")
    assert "What you kept opens the vault" in _said(keeper, "test", secret="one phrase")


def test_a_key_is_removed_but_not_the_last(keeper: Client, stick: str) -> None:
    assert "Remove" not in keeper.get("/backups/stick/keys").content.decode()
    new = _shown_key(_said(keeper, "recovery"))
    first = re.search(r'name="key" value="([0-9a-f]{64})"', keeper.get("/backups/stick/keys").content.decode())
    assert first is not None
    assert "opens the vault no more" in _said(keeper, "remove", key=first[1])
    assert "does not open the vault" in _said(keeper, "test", secret=stick)
    assert "What you kept opens the vault" in _said(keeper, "test", secret=new)


def test_keys_are_asked_for_by_nobody_who_has_not_signed_in(stranger: Client) -> None:
    for address in ("", "/test", "/passphrase", "/recovery", "/remove"):
        answer = stranger.post(f"/backups/stick/keys{address}")
        assert answer.status_code in (302, 401, 403)
