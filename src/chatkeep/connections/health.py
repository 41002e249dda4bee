"""How a sign-in stands: whether it renews itself, when it will end, or that it has ended. Said before it happens."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from chatkeep import providers
from chatkeep.connections.models import Connection

WARNED_BEFORE = timedelta(days=3)


class SignInHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the sign-in of a place stands. text: for people; advice: what to do, "" for nothing.

    state: "none" where nobody signs in, "fine", "ending" within three days, "over".
    ends_at: when it ends, or may end; None where it renews itself.
    """

    state: Literal["none", "fine", "ending", "over"]
    text: str = ""
    advice: str = ""
    ends_at: datetime | None = None


def health(connection: Connection, *, now: datetime) -> SignInHealth:
    """How the sign-in of a connection stands at a moment."""
    kind = providers.provider(connection.provider)
    if kind.sign_in is None:
        return SignInHealth(state="none")
    ends_at = connection.ends_at
    if connection.signed_out:
        is_trial = ends_at is not None and ends_at <= now + timedelta(days=1)
        advice = f"{kind.sign_in.trial_note if is_trial else ''} Reconnect; everything that was saved stays.".strip()
        return SignInHealth(state="over", text=f"{kind.title} no longer accepts the sign-in.", advice=advice)
    if ends_at is None or (ends_at <= now and not connection.ends_surely):
        return SignInHealth(state="fine", text="It renews itself.")
    verb = "ends" if connection.ends_surely else "may end"
    text = f"It {verb} on {ends_at.day} {ends_at:%B %Y, %H:%M} UTC."
    state: Literal["fine", "ending"] = "ending" if ends_at - now <= WARNED_BEFORE else "fine"
    return SignInHealth(state=state, text=text, advice=kind.sign_in.trial_note, ends_at=ends_at)
