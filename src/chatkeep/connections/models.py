"""This device, and the places it is connected to, as app.sqlite3 keeps them."""

from __future__ import annotations

import secrets

from django.db import models


def _suffix() -> str:
    return secrets.token_hex(4)


def _uid() -> str:
    return secrets.token_hex(8)


class Device(models.Model):
    """This machine as backups name it: one row.

    A name may be borne by two machines and a machine may be cloned, so the host in the vault is the name and a random
    suffix. A new suffix makes this machine a new device.
    """

    name = models.CharField(max_length=100)
    suffix = models.CharField(max_length=16, default=_suffix)
    made_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.host

    @property
    def host(self) -> str:
        """The name in the vault, "studio-1f0c22ab": letters, digits and dashes."""
        name = str(self.name).lower()
        plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in name).strip("-")
        return f"{plain or 'device'}-{self.suffix}"


class Connection(models.Model):
    """A person's link to one place at a provider. The secrets in it are sealed (`chatkeep.connections.safe`).

    uid: what jobs and sealed values refer to, for as long as the connection lasts.
    location: what the provider needs to open the place, {"path": "/media/stick/Chats"}.
    account, quota: as the provider said when it was last asked.
    master_key: of the vault, sealed, so that a passphrase is asked for once and scrypt is paid once.
    backed_up, checked: the last reports, as `operations` gives them.
    backed_up_change: the number of the archive's last change that is in the last backup.
    trouble: why the last run failed, "" when it did not.
    """

    uid = models.CharField(max_length=16, unique=True, default=_uid, editable=False)
    name = models.CharField(max_length=100, unique=True)
    provider = models.CharField(max_length=40)
    location = models.JSONField(default=dict)
    account = models.CharField(max_length=200, blank=True, default="")
    quota = models.JSONField(null=True, default=None)
    vault_id = models.CharField(max_length=64, blank=True, default="")
    master_key = models.BinaryField(default=bytes)
    tokens = models.BinaryField(default=bytes)
    connected_at = models.DateTimeField(auto_now_add=True)
    backed_up_at = models.DateTimeField(null=True, default=None)
    backed_up_change = models.BigIntegerField(default=0)
    backed_up = models.JSONField(null=True, default=None)
    checked_at = models.DateTimeField(null=True, default=None)
    checked = models.JSONField(null=True, default=None)
    trouble = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ("connected_at", "id")

    def __str__(self) -> str:
        return str(self.name)

    @property
    def subject(self) -> str:
        """What jobs about this connection are serial by."""
        return f"connection:{self.uid}"

    def place(self, field: str) -> str:
        """What a sealed value of this connection is bound to."""
        return f"connection/{self.uid}/{field}"
