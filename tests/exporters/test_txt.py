"""Plain text."""

from __future__ import annotations

from pathlib import Path

from chatkeep.exporters.txt import TXT
from chatkeep.testing.exporter_suite import ExporterSuite


class TestTxt(ExporterSuite):
    exporter = TXT
    golden = Path(__file__).parents[1] / "golden" / "txt"
