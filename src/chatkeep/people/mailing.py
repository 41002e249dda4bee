"""Mail to people who have an account, where the operator set mail up: that something is there, and where to read it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.conf import settings
from django.core.mail import send_mail

from chatkeep.people.models import Role, User

_log = logging.getLogger(__name__)


def send(address: str, subject: str, text: str) -> bool:
    """Send a mail. False without a mail server, without an address, and when it could not be sent."""
    if not (address and settings.CHATKEEP.smtp_url):
        return False
    try:
        return bool(send_mail(subject, text, None, [address]))
    except OSError as error:  # whatever is said stands on a page in any case
        _log.warning("A mail could not be sent: %s", type(error).__name__)
        return False


def tell(people: Iterable[User], subject: str, text: str, *, path: str) -> int:
    """Tell each of them, with the address of the page to look at. How many mails were sent."""
    link = f"{settings.CHATKEEP.public_url}{path}"
    return sum(send(person.email, subject, f"{text}\n\n{link}\n") for person in people)


def operators() -> Iterable[User]:
    """Whoever runs this server."""
    return User.objects.filter(role=Role.OPERATOR, is_active=True, erased_at=None)
