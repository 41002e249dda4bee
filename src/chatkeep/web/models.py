"""Links that sign the keeper in, each good for one use."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import models
from django.utils import timezone

LASTS = timedelta(days=1)


class SignInLink(models.Model):
    """A link that was printed. Only the hash of its token is kept, so a copy of the database signs nobody in."""

    token_hash = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(null=True, default=None)

    def __str__(self) -> str:
        return f"link of {self.made_at:%Y-%m-%d %H:%M}"


def new_token() -> str:
    """A token for one sign-in, 256 bits. Older ones that were never used are dropped."""
    token = secrets.token_urlsafe(32)
    SignInLink.objects.filter(made_at__lt=timezone.now() - 2 * LASTS).delete()
    SignInLink.objects.create(token_hash=_hash(token))
    return token


def use_token(token: str) -> bool:
    """Whether the token signs in now. It does so once; of two at the same moment one gets in."""
    now = timezone.now()
    fresh = SignInLink.objects.filter(token_hash=_hash(token), used_at=None, made_at__gt=now - LASTS)
    return bool(fresh.update(used_at=now))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
