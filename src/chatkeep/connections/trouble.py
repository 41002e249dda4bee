"""What can go wrong on the way to a consent: for each its own words, and the one thing to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chatkeep import providers
from chatkeep.connections.models import Consent
from chatkeep.errors import ChatkeepError, QuotaFull, Refused, SignInAgain
from chatkeep.providers import NoConsent

SAID = {
    "access_denied": "denied",
    "user_cancelled_authorize": "denied",
    "consent_required": "blocked",
    "interaction_required": "blocked",
    "admin_policy_enforced": "blocked",
    "org_internal": "blocked",
    "invalid_scope": "client",
    "unauthorized_client": "client",
    "invalid_client": "client",
    "server_error": "unavailable",
    "temporarily_unavailable": "unavailable",
}
"""What a provider may say in place of a code (RFC 6749, 4.1.2.1, and their own), and what that means here."""

WORDS = {
    "denied": (
        "You did not allow access at {title}.",
        "Nothing was changed. If that was a mistake, ask again and choose Allow.",
    ),
    "late": (
        "It took longer than ten minutes, so the answer from {title} is not taken any more.",
        "Ask again; nothing was changed.",
    ),
    "unknown": (
        "This answer from {title} belongs to no sign-in that is under way here.",
        "It was used already, or it began in another browser. Begin again; nothing was changed.",
    ),
    "code": (
        "{title} does not take the code any more that it gave.",
        "A code works once, for a few minutes. Ask again for a new one.",
    ),
    "scopes": (
        "A permission that backups need was left out at {title}.",
        "Ask again, and leave every box on {title}'s page ticked. It is for a folder of our own only.",
    ),
    "account": (
        "You chose another account than before: {found}. This place belongs to {expected}.",
        "Nothing was changed. Ask again and choose {expected}; to use the other account, connect it as a new place.",
    ),
    "client": (
        "{title} does not know this app, or its secret is another one.",
        "Compare the client id and the client secret with what {title} shows for your app, and give them again.",
    ),
    "redirect": (
        "{title} does not send people back to this address: it is not registered for the app.",
        "Register exactly {redirect} for your app at {title}, then ask again.",
    ),
    "blocked": (
        "{title} lets nobody of your organisation connect this app without an administrator.",
        "Ask the administrator to allow it, or use an account of your own.",
    ),
    "wider": (
        "{title} does not open a folder of our own in this account with the least permission.",
        "This is known of some accounts. Ask again with the permission for all your files; Chatkeep still uses nothing "
        "but its own folder.",
    ),
    "unavailable": (
        "{title} cannot be reached at present.",
        "Nothing is lost: look at the connection to the internet, then try the same again.",
    ),
    "full": ("No space is left in this account at {title}.", "Free some space there, then try the same again."),
    "other": ("{title} ended the sign-in without saying why.", "Ask again; nothing was changed."),
}
"""Each `why` of NoConsent: what happened, what to do."""


def no(why: str, row: Consent, *, expected: str = "") -> NoConsent:
    """The error for one of the words above."""
    what, hint = WORDS[why]
    title = providers.provider(row.provider).title
    filled = {"title": title, "redirect": row.redirect or "nothing", "found": row.account, "expected": expected}
    return NoConsent(what.format(**filled), why=why, hint=hint.format(**filled))


@contextmanager
def noting(row: Consent) -> Iterator[None]:
    """Note with the question what went wrong, in our words where we have some, and raise it in these."""
    try:
        yield
    except ChatkeepError as error:
        told = _told(error, row)
        row.trouble, row.told, row.hint = _why(told), told.what[:500], told.hint[:500]
        row.save(update_fields=["trouble", "told", "hint"])
        if told is error:
            raise
        raise told from error


def _told(error: ChatkeepError, row: Consent) -> ChatkeepError:
    if isinstance(error, NoConsent) and error.why != "account" and error.why in WORDS:
        return no(error.why, row)
    if isinstance(error, SignInAgain):
        return no("code", row)
    return error


def _why(error: ChatkeepError) -> str:
    if isinstance(error, NoConsent):
        return error.why
    if error.temporary:
        return "unavailable"
    return "full" if isinstance(error, QuotaFull) else "refused" if isinstance(error, Refused) else "other"
