"""People, whose archives they may see, invitations, and the log of what was done."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone


class Role(models.TextChoices):
    """What somebody may do beside keeping chats. Operators run the server; auditors look at how it is run."""

    MEMBER = "member", "Member"
    OPERATOR = "operator", "Operator"
    AUDITOR = "auditor", "Auditor"


class Users(BaseUserManager["User"]):
    """Finds people by their e-mail address, however it is written."""

    def get_by_natural_key(self, username: str | None) -> User:
        """The person with this address. Raises User.DoesNotExist."""
        return self.get(email=plain_email(username or ""))


class User(AbstractBaseUser):
    """A person. On a laptop there is one, the keeper.

    email: what they sign in with, in small letters; "keeper" on a laptop. name: how they want to be called.
    cohorts: names of groups, ["team"], ["invited"]. is_active: False while an operator has disabled the account.
    most_bytes, most_attachment_bytes, most_connections: how much they may keep; None for what the server gives to all.
    erased_at: when it was asked that everything about them be erased; they cannot sign in any more then.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=100, blank=True, default="")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    cohorts = models.JSONField(default=list, blank=True)
    is_active = models.BooleanField(default=True)
    made_at = models.DateTimeField(default=timezone.now)
    most_bytes = models.BigIntegerField(null=True, default=None, blank=True)
    most_attachment_bytes = models.BigIntegerField(null=True, default=None, blank=True)
    most_connections = models.PositiveIntegerField(null=True, default=None, blank=True)
    erased_at = models.DateTimeField(null=True, default=None)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    objects = Users()

    class Meta:
        ordering = ("made_at", "id")

    def __str__(self) -> str:
        return str(self.name or self.email)

    def save(self, *arguments: Any, **options: Any) -> None:
        """Saved with the address in small letters, so that one address is one person."""
        self.email = plain_email(self.email)
        super().save(*arguments, **options)

    def __repr__(self) -> str:
        return f"User({self.pk})"

    @property
    def mark(self) -> str:
        """What logs call them: no name and no address."""
        return f"user:{self.pk.hex}"


def plain_email(text: str) -> str:
    """An address as it is kept."""
    return text.strip().lower()


class Membership(models.Model):
    """That somebody may see an archive and work in it. owns: it was made for them, and they decide who else may."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    archive = models.CharField(max_length=32, db_index=True)
    owns = models.BooleanField(default=True)
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-owns", "since", "id")
        constraints = (models.UniqueConstraint(fields=("user", "archive"), name="people_one_membership"),)

    def __str__(self) -> str:
        return f"{self.user} in {self.archive}"


class Invitation(models.Model):
    """A link that makes somebody an account, or lets them into an archive, once. Only the hash of its token is kept.

    email: whom it is for, "" for whoever has the link. role, cohorts: of the account. archive: the one it opens, "" for
    an account with one of its own. made_by: None when the command line made it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    token_hash = models.CharField(max_length=64, unique=True)
    email = models.EmailField(max_length=254, blank=True, default="")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    cohorts = models.JSONField(default=list, blank=True)
    archive = models.CharField(max_length=32, blank=True, default="", db_index=True)
    made_by = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    made_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, default=None)
    used_by = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")

    class Meta:
        ordering = ("-made_at",)

    def __str__(self) -> str:
        return f"invitation of {self.made_at:%Y-%m-%d}"


class Audit(models.Model):
    """One line of what was done. Lines are added and never changed; on PostgreSQL the database itself sees to it.

    actor: who did it, "user:<id>", "the command line". what: a dotted code. about: what it was done to.
    before, hash: of the line before and of this one, so that a line that was changed or taken out is noticed.
    """

    at = models.DateTimeField()
    actor = models.CharField(max_length=80, db_index=True)
    what = models.CharField(max_length=80)
    about = models.CharField(max_length=120, blank=True, default="", db_index=True)
    details = models.JSONField(default=dict)
    before = models.CharField(max_length=64, unique=True)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.what} of {self.about}"


class Certificate(models.Model):
    """What was erased of a person, who can have it by a link that they were shown. It names nobody.

    user: the id of the account. counts: how many of what. unreached: what is not here and was not erased. hash: of all
    that, which is in the log as well.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.UUIDField(unique=True)
    token_hash = models.CharField(max_length=64, unique=True)
    asked_at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField(null=True, default=None)
    counts = models.JSONField(default=dict)
    unreached = models.JSONField(default=list)
    hash = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        ordering = ("-asked_at",)

    def __str__(self) -> str:
        return f"certificate of {self.mark}"

    @property
    def mark(self) -> str:
        """What logs called them."""
        return f"user:{self.user.hex}"

    def counted(self, what: str, number: int, *, unreached: str = "") -> None:
        """Add to what was erased, at once on disk, so that a run that goes on counts on."""
        self.counts[what] = self.counts.get(what, 0) + number
        if unreached:
            self.unreached.append(unreached)
        self.save(update_fields=["counts", "unreached"])
