"""The rows of watching: counts, signs of life, what was told to whom, and what operators say of the service."""

from __future__ import annotations

from datetime import date

from django.db import models
from django.utils import timezone

EVER = date(1970, 1, 1)
"""The day under which the counts of days that are long over are kept, so that no counter ever falls."""


class Tally(models.Model):
    """How often something happened on a day [UTC], in all processes together.

    labels: JSON with sorted keys. Of a histogram also "le": the upper end of the bucket, not cumulative, or "sum".
    """

    day = models.DateField()
    name = models.CharField(max_length=64)
    labels = models.CharField(max_length=300)
    value = models.FloatField(default=0.0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("day", "name", "labels"), name="watching_one_tally"),)
        indexes = (models.Index(fields=("name", "day"), name="watching_tally_name"),)

    def __str__(self) -> str:
        return f"{self.name}{self.labels} on {self.day}: {self.value}"


class Sign(models.Model):
    """A moment that is remembered under a name: a worker's sign of life ("worker:…"), a check that found all whole."""

    name = models.CharField(max_length=100, unique=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = (models.Index(fields=("at",), name="watching_sign_at"),)

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M:%S}"


SEALED = ("mail", "ntfy", "webhook", "ping")


class Channels(models.Model):
    """How the keeper of an archive is told that something is wrong. The addresses are sealed: they may hold passwords.

    mail: of an SMTP server, with from and to; ntfy: of a topic; webhook: gets JSON; ping: is called after each good
    check. digest: also a word each week that all is well. checked_at: when this archive was last looked at.
    """

    archive = models.CharField(max_length=32, unique=True, default="own")
    mail = models.BinaryField(default=bytes)
    ntfy = models.BinaryField(default=bytes)
    webhook = models.BinaryField(default=bytes)
    ping = models.BinaryField(default=bytes)
    digest = models.BooleanField(default=False)
    digest_at = models.DateTimeField(null=True, default=None)
    checked_at = models.DateTimeField(null=True, default=None)

    class Meta:
        indexes = (models.Index(fields=("checked_at",), name="watching_checked"),)

    def __str__(self) -> str:
        return f"channels of {self.archive}"

    def place(self, field: str) -> str:
        """What a sealed value is bound to."""
        return f"watching/{self.archive}/{field}"


class Notice(models.Model):
    """Something wrong that was found: once for each archive, code and subject, for as long as it lasts.

    told_at: when somebody was told. tries, tried_at: how often that was tried without success, and when last.
    """

    archive = models.CharField(max_length=32, default="own")
    code = models.CharField(max_length=40)
    subject = models.CharField(max_length=100, blank=True, default="")
    what = models.CharField(max_length=500)
    first_seen = models.DateTimeField()
    told_at = models.DateTimeField(null=True, default=None)
    tries = models.PositiveIntegerField(default=0)
    tried_at = models.DateTimeField(null=True, default=None)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("archive", "code", "subject"), name="watching_one_notice"),)

    def __str__(self) -> str:
        return f"{self.code} of {self.archive}"


class Incident(models.Model):
    """What operators say of a disturbance, for everybody to read. part: a name of `chatkeep.watching.service.PARTS`."""

    title = models.CharField(max_length=200)
    part = models.CharField(max_length=40)
    severity = models.CharField(max_length=12, default="disturbed")
    begun_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, default=None)

    class Meta:
        ordering = ("-begun_at", "-id")

    def __str__(self) -> str:
        return str(self.title)


class Update(models.Model):
    """What operators said of an incident at a moment."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="updates")
    at = models.DateTimeField(default=timezone.now)
    text = models.TextField()

    class Meta:
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"update of {self.at:%Y-%m-%d %H:%M}"
