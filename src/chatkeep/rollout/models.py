"""How each flag stands, once somebody has changed it; and which rounds were made, so that one machine makes each."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Standing(models.Model):
    """How a flag stands. Without a row it stands as it was declared.

    ring: as in `rings`. since: when it came into this ring, or was killed or lifted. killed: off for everybody,
    whatever the ring, because of `why`. rule: when it goes back by itself, fields of `declared.Rule`; None for never.
    fell: what made it go back by itself, and fell_at when; "" once the operator has seen it.
    number: of changes, so that two people who change it at the same moment do not overwrite one another.
    """

    flag = models.CharField(max_length=40, unique=True)
    ring = models.CharField(max_length=10)
    since = models.DateTimeField(default=timezone.now)
    killed = models.BooleanField(default=False)
    why = models.CharField(max_length=500, blank=True, default="")
    rule = models.JSONField(null=True, default=None)
    fell = models.CharField(max_length=500, blank=True, default="")
    fell_at = models.DateTimeField(null=True, default=None)
    number = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.flag}: {'killed' if self.killed else self.ring}"


class Round(models.Model):
    """Something that is looked after now and then by one machine of all. at: when somebody last began to."""

    name = models.CharField(max_length=40, unique=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.name)
