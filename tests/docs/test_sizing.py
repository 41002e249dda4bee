"""The tables of the page on sizes are what its inputs say."""

from __future__ import annotations

import pytest

from docs import sizing


def test_the_tables_are_what_the_inputs_say() -> None:
    page = sizing.PAGE.read_text(encoding="utf-8")
    assert sizing.renewed(page) == page
    assert page.count("\n| 10,000,000 |") == 3


def test_another_input_makes_other_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "CONVERSATIONS", 3 * sizing.CONVERSATIONS)
    page = sizing.PAGE.read_text(encoding="utf-8")
    assert sizing.renewed(page) != page


def test_numbers_have_two_figures() -> None:
    assert [sizing.number(value) for value in (0.04, 3.0, 9.87, 123, 14_680)] == ["0", "3", "9.9", "120", "15,000"]
    assert [sizing.size(value) for value in (1.5, 1500, 4.5e9)] == ["1.5 kB", "1.5 MB", "4.5 TB"]
