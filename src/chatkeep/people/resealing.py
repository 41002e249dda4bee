"""The secrets of second factors, sealed anew when the secret of the installation is replaced."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator

from chatkeep.connections.safe import Safe
from chatkeep.people.accounts import PLACE

SEALED = ("secret", "seed", "migrated_codes")


def seal_anew(safe: Safe) -> int:
    """Seal every secret of a second factor anew, within the transaction of the caller. How many."""
    number = 0
    # Held until all is sealed anew: a second factor that is set up or used meanwhile would be overwritten.
    for row in Authenticator.objects.select_for_update().order_by("pk").iterator():
        found = {name: row.data[name] for name in SEALED if row.data.get(name)}
        if found:
            row.data = row.data | {name: _anew(value, safe) for name, value in found.items()}
            row.save(update_fields=["data"])
            number += len(found)
    return number


def _anew(value: Any, safe: Safe) -> Any:
    if isinstance(value, list):
        return [_anew(one, safe) for one in value]
    return safe.seal(safe.unseal(bytes.fromhex(value), place=PLACE), place=PLACE).hex()
