"""An example to look around in: small exports, written by hand, imported like any other."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def paths() -> list[Path]:
    """The exports of the example, as a person would give them."""
    return [_HERE / "chatgpt", _HERE / "whatsapp"]
