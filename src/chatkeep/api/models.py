"""Rows of the API: tokens, answers that are kept for repetition, webhooks and what is to be delivered to them."""

from __future__ import annotations

import secrets

from django.db import models
from django.utils import timezone

from chatkeep.connections.installation import OWN


def _id() -> str:
    return secrets.token_hex(16)


class Token(models.Model):
    """A program's right to act. Only the hash of the token is kept, so a copy of the database lets nobody in.

    archive: whose conversations it reaches; "" for a service, which names a user with each request.
    user: the id of the person it belongs to, or of the operator who made it.
    scopes: names of `chatkeep.api.tokens.SCOPES`. per_minute: requests it may make.
    level, level_at: of its bucket of requests, which all processes share (`chatkeep.api.rates`).
    """

    token_hash = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=100)
    archive = models.CharField(max_length=32, default=OWN, blank=True, db_index=True)
    user = models.CharField(max_length=64, default="", blank=True, db_index=True)
    scopes = models.JSONField(default=list)
    per_minute = models.PositiveIntegerField(default=600)
    made_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, default=None)
    used_at = models.DateTimeField(null=True, default=None)
    revoked_at = models.DateTimeField(null=True, default=None)
    level = models.FloatField(default=0.0)
    level_at = models.DateTimeField(null=True, default=None)

    class Meta:
        ordering = ("-made_at", "-id")

    def __str__(self) -> str:
        return str(self.name)

    @property
    def is_service(self) -> bool:
        """Whether it acts for users that it names, and has no archive of its own."""
        return not self.archive

    @property
    def is_over(self) -> bool:
        """Whether it lets nobody in any more."""
        return self.revoked_at is not None or (self.expires_at is not None and self.expires_at <= timezone.now())


class Known(models.Model):
    """A user as a service calls them, and the archive that was made for them at the first push."""

    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="known")
    name = models.CharField(max_length=200)
    archive = models.CharField(max_length=32, db_index=True)
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("token", "name"), name="api_one_archive_a_name"),)

    def __str__(self) -> str:
        return str(self.name)


class Answer(models.Model):
    """What was answered to a request with an Idempotency-Key. status 0: the request is at work.

    body: sealed, as it may hold a secret that is shown once.
    """

    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="answers")
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)
    made_at = models.DateTimeField(default=timezone.now, db_index=True)
    status = models.PositiveSmallIntegerField(default=0)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=bytes)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("token", "key"), name="api_one_answer_a_key"),)

    def __str__(self) -> str:
        return str(self.key)

    def place(self, field: str) -> str:
        """What a sealed value of this row is bound to."""
        return f"answer {self.request_hash} {field}"


class Webhook(models.Model):
    """Where somebody wants to be told. secret: what its messages are signed with, sealed.

    seen_at: until when ends of jobs were looked through for it.
    failing_since: since when no message arrives; "" in `trouble` when they do.
    """

    uid = models.CharField(max_length=32, unique=True, default=_id, editable=False)
    archive = models.CharField(max_length=32, default=OWN, db_index=True)
    url = models.CharField(max_length=2000)
    events = models.JSONField(default=list)
    secret = models.BinaryField(default=bytes)
    made_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    failing_since = models.DateTimeField(null=True, default=None)
    trouble = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ("made_at", "id")

    def __str__(self) -> str:
        return str(self.url)

    def place(self, field: str) -> str:
        """What a sealed value of this row is bound to."""
        return f"webhook {self.uid} {field}"


class Delivery(models.Model):
    """One message to one webhook. key: what it is about, so that the same is told once.

    body: the JSON that is signed; ids and counts alone. due_at: when it is tried next, None when nothing is to be done.
    """

    uid = models.CharField(max_length=32, unique=True, default=_id, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=40)
    key = models.CharField(max_length=120)
    body = models.TextField()
    made_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(null=True, default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True, default=None)
    status = models.PositiveSmallIntegerField(null=True, default=None)
    trouble = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ("-made_at", "-id")
        indexes = (models.Index(fields=("due_at",), name="api_delivery_due"),)
        constraints = (models.UniqueConstraint(fields=("webhook", "key"), name="api_told_once"),)

    def __str__(self) -> str:
        return f"{self.event} of {self.made_at:%Y-%m-%d %H:%M}"
