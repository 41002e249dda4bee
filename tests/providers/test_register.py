from __future__ import annotations

from pathlib import Path

import pytest

from chatkeep import providers
from chatkeep.errors import Unavailable, WrongUse
from chatkeep.providers.memory import Memory


def test_a_folder_is_opened_by_name_and_settings(tmp_path: Path) -> None:
    place = {"path": str(tmp_path / "new")}
    with pytest.raises(Unavailable):
        providers.open_storage("folder", place)
    providers.open_storage("folder", place, new=True).put("a", b"x")
    assert providers.open_storage("folder", place).get("a") == b"x"


def test_an_unknown_provider_is_wrong_use_and_says_which_are_known() -> None:
    with pytest.raises(WrongUse) as raised:
        providers.open_storage("floppy", {})
    assert "folder" in raised.value.hint


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(WrongUse, match="path"):
        providers.open_storage("folder", {})


def test_a_strangers_provider_comes_in_by_the_same_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "_providers", {})
    attic = providers.Provider(name="attic", title="The attic", needs=(), open=lambda settings, new, means: Memory())
    providers.register(attic)
    assert providers.providers() == [attic]
    assert providers.open_storage("attic", {}).listing() == []
