"""What people told, as they left it before they sent it."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone


class Severity(models.TextChoices):
    """How bad it is, in the words of the person. Lost data is looked at first, and stops the rollout of everything."""

    IDEA = "idea", "An idea"
    SMALL = "small", "Something small"
    BLOCKS = "blocks", "It keeps me from what I want to do"
    LOST = "lost", "Something of mine is lost"


class State(models.TextChoices):
    """How far the operator is. Done and declined are closed."""

    NEW = "new", "New"
    SEEN = "seen", "Seen"
    DOING = "doing", "Being worked on"
    DONE = "done", "Done"
    DECLINED = "declined", "Declined"


CLOSED = (State.DONE, State.DECLINED)


class Report(models.Model):
    """One report.

    who: the id of the person, known to the server because they are signed in. text, contact: what they wrote.
    data: the lines of `facts` as they left them. release, page, job: read from those, so that they can be counted.
    picture, picture_kind: the screenshot they chose, without what it says beside the picture.
    labels: words of the operator. answer: theirs to the person; answered_at: when.
    closed_at: since when it is closed; it goes 30 days later.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    who = models.CharField(max_length=40, db_index=True)
    made_at = models.DateTimeField(default=timezone.now, db_index=True)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    text = models.TextField()
    contact = models.CharField(max_length=200, blank=True, default="")
    data = models.TextField(blank=True, default="")
    release = models.CharField(max_length=40, blank=True, default="")
    page = models.CharField(max_length=120, blank=True, default="")
    job = models.BigIntegerField(null=True, default=None)
    picture = models.BinaryField(default=bytes)
    picture_kind = models.CharField(max_length=20, blank=True, default="")
    state = models.CharField(max_length=10, choices=State.choices, default=State.NEW, db_index=True)
    labels = models.JSONField(default=list)
    answer = models.TextField(blank=True, default="")
    answered_at = models.DateTimeField(null=True, default=None)
    closed_at = models.DateTimeField(null=True, default=None)

    class Meta:
        ordering = ("-made_at", "id")

    def __str__(self) -> str:
        return self.reference

    @property
    def reference(self) -> str:
        """What people call it when they ask about it."""
        return f"F-{self.id.hex[:8]}"

    @property
    def is_open(self) -> bool:
        """Whether the operator has still something to do."""
        return self.state not in CLOSED
