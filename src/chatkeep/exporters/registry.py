"""Every export format there is, by its name."""

from __future__ import annotations

from chatkeep.errors import WrongUse
from chatkeep.exporters.exporter import Exporter
from chatkeep.exporters.html import HTML
from chatkeep.exporters.json import JSON
from chatkeep.exporters.markdown import MARKDOWN
from chatkeep.exporters.txt import TXT

EXPORTERS: dict[str, Exporter] = {one.name: one for one in (TXT, JSON, MARKDOWN, HTML)}


def find(name: str) -> Exporter:
    """The exporter of a name. Raises WrongUse when there is none."""
    if name not in EXPORTERS:
        raise WrongUse(f"There is no export format {name}.", hint=f"There are {', '.join(EXPORTERS)}.")
    return EXPORTERS[name]
