"""The API in the process that serves the pages: it works with what they work with."""

from __future__ import annotations

from chatkeep.api import door
from chatkeep.api.house import lend
from chatkeep.web import held

lend(lambda: held.means())
answer = door.answer
