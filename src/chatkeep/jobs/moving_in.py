"""The places of a laptop whose archive moved to a server: they come paused, and wait for their person."""

from __future__ import annotations

from pathlib import Path

from django.db import transaction

from chatkeep.connections import adopting
from chatkeep.connections.adopting import AdoptedPlaces
from chatkeep.connections.installation import Installation
from chatkeep.jobs import rota, schedules
from chatkeep.jobs.models import Why

_WHAT = "It came with the archive of another machine, which may go on with it."
_HINT = "Resume it to back up from here; both may do so, under names of their own."


def places(folder: Path, installation: Installation) -> AdoptedPlaces:
    """Bring the connections of a laptop's data folder to an archive here, and pause all that would be done there."""
    with transaction.atomic():  # nothing is asked for in between
        found = adopting.adopt(folder, installation)
        for place in found.added:
            rota.connected(place)
            schedules.pause(place.subject, Why.PERSON, what=_WHAT, hint=_HINT)
    return found
