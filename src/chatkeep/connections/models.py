"""This device, the places it is connected to, and consents being asked for, as app.sqlite3 keeps them."""

from __future__ import annotations

import secrets

from django.db import models
from django.utils import timezone

from chatkeep.connections.installation import OWN


def _suffix() -> str:
    return secrets.token_hex(4)


def _uid() -> str:
    return secrets.token_hex(8)


class Device(models.Model):
    """Where an archive is kept, as backups name it: one row for each archive.

    A name may be borne by two machines and a machine may be cloned, so the host in the vault is the name and a random
    suffix. A new suffix makes this machine a new device. On a server the machines come and go, so there each archive
    is a device.
    """

    archive = models.CharField(max_length=32, unique=True, default=OWN)
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

    uid: what jobs and sealed values refer to, for as long as the connection lasts. archive: whose link it is.
    location: what the provider needs to open the place, {"path": "/media/stick/Chats"}, {"folder": "Chatkeep"}; where
        somebody signs in also "client_id", which app the consent was given to.
    account, quota: as the provider said when it was last asked, the quota at quota_at. account_id: which account it
        is, for ever.
    secrets: what the provider needs and nobody may see, sealed, {"password": …}; of an own app "client_secret".
    tokens: the sign-in, sealed. scopes: what it allows. consented_at: when it was given; ends_at: when it ends, as the
        provider said (ends_surely) or as it does for apps on trial. signed_out: the provider no longer accepts it.
    master_key: of the vault, sealed, so that a passphrase is asked for once and scrypt is paid once.
    backed_up, checked, drilled: the last reports, as `operations` gives them.
    backed_up_change: the number of the archive's last change that is in the last backup.
    retention: which backups stay there, fields of `chatkeep.vault.Policy` that somebody set; None for the usual.
    trouble: why the last run failed, "" when it did not.
    """

    uid = models.CharField(max_length=16, unique=True, default=_uid, editable=False)
    archive = models.CharField(max_length=32, default=OWN, db_index=True)
    name = models.CharField(max_length=100)
    provider = models.CharField(max_length=40)
    location = models.JSONField(default=dict)
    account = models.CharField(max_length=200, blank=True, default="")
    account_id = models.CharField(max_length=200, blank=True, default="")
    quota = models.JSONField(null=True, default=None)
    quota_at = models.DateTimeField(null=True, default=None)
    vault_id = models.CharField(max_length=64, blank=True, default="")
    master_key = models.BinaryField(default=bytes)
    secrets = models.BinaryField(default=bytes)
    tokens = models.BinaryField(default=bytes)
    scopes = models.JSONField(default=list)
    consented_at = models.DateTimeField(null=True, default=None)
    ends_at = models.DateTimeField(null=True, default=None)
    ends_surely = models.BooleanField(default=False)
    signed_out = models.BooleanField(default=False)
    connected_at = models.DateTimeField(auto_now_add=True)
    backed_up_at = models.DateTimeField(null=True, default=None)
    backed_up_change = models.BigIntegerField(default=0)
    backed_up = models.JSONField(null=True, default=None)
    checked_at = models.DateTimeField(null=True, default=None)
    checked = models.JSONField(null=True, default=None)
    drilled_at = models.DateTimeField(null=True, default=None)
    drilled = models.JSONField(null=True, default=None)
    retention = models.JSONField(null=True, default=None)
    trouble = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ("connected_at", "id")
        constraints = (models.UniqueConstraint(fields=("archive", "name"), name="connections_one_name"),)

    def __str__(self) -> str:
        return str(self.name)

    @property
    def subject(self) -> str:
        """What jobs about this connection are serial by."""
        return f"connection:{self.uid}"

    def place(self, field: str) -> str:
        """What a sealed value of this connection is bound to."""
        return _place(self.uid, field)


class Consent(models.Model):
    """A consent that a person is being asked for: from the address at the provider to the connection it becomes.

    uid: becomes that of the connection, so that what was sealed here opens there. archive: whose it will be.
    state_hash: of the value that the provider sends back, good for one return. "" once it has come back, so that a
        second return finds nothing. browser: hash of the session it began in, "" for the command line.
    asked: sealed; the address, the verifier, the state, the code of a device.
    redirect: where the provider sends the browser, "" if it shows a code instead. origin: where the browser was,
        "http://127.0.0.1:8765". wider: more is asked for, because the least did not work.
    reconnects: uid of the connection that shall get a new sign-in, "" for a new one.
    location, secrets, tokens, account, account_id, scopes, consented_at, ends_at, ends_surely: as in a connection.
    looked: what was found at the place, fields of `chatkeep.connections.consenting.Looked`.
    trouble: why it did not go on, as `NoConsent.why` has it; told, hint: its words.
    """

    uid = models.CharField(max_length=16, unique=True, default=_uid, editable=False)
    archive = models.CharField(max_length=32, default=OWN, db_index=True)
    provider = models.CharField(max_length=40)
    name = models.CharField(max_length=100, blank=True, default="")
    location = models.JSONField(default=dict)
    secrets = models.BinaryField(default=bytes)
    reconnects = models.CharField(max_length=16, blank=True, default="")
    state_hash = models.CharField(max_length=64, blank=True, default="", db_index=True)
    browser = models.CharField(max_length=64, blank=True, default="")
    redirect = models.CharField(max_length=300, blank=True, default="")
    origin = models.CharField(max_length=300, blank=True, default="")
    wider = models.BooleanField(default=False)
    asked = models.BinaryField(default=bytes)
    made_at = models.DateTimeField(default=timezone.now)
    tokens = models.BinaryField(default=bytes)
    account = models.CharField(max_length=200, blank=True, default="")
    account_id = models.CharField(max_length=200, blank=True, default="")
    scopes = models.JSONField(default=list)
    consented_at = models.DateTimeField(null=True, default=None)
    ends_at = models.DateTimeField(null=True, default=None)
    ends_surely = models.BooleanField(default=False)
    looked = models.JSONField(null=True, default=None)
    trouble = models.CharField(max_length=40, blank=True, default="")
    told = models.CharField(max_length=500, blank=True, default="")
    hint = models.CharField(max_length=500, blank=True, default="")

    def __str__(self) -> str:
        return f"consent at {self.provider}"

    def place(self, field: str) -> str:
        """What a sealed value of this consent is bound to: the same as in the connection that it becomes."""
        return _place(self.uid, field)


class Note(models.Model):
    """What a storage remembers beyond the life of a process (`chatkeep.providers.notes`), sealed.

    owner: uid of the connection, or of the consent that becomes it. key: as a hash, because it may name things.
    """

    owner = models.CharField(max_length=16)
    key = models.CharField(max_length=64)
    value = models.BinaryField(default=bytes)
    written_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("owner", "key"), name="connections_one_note"),)

    def __str__(self) -> str:
        return f"note of {self.owner}"

    def place(self, field: str) -> str:
        """What the sealed value is bound to."""
        return _place(self.owner, f"note {self.key}")


class Pause(models.Model):
    """How long nobody shall ask a provider about an account, for all processes, on the clock of the database.

    gate: hash of the provider and the account. asked_at: when the pause was asked for; a clock that shows less was
        set back.
    """

    gate = models.CharField(max_length=64, unique=True)
    provider = models.CharField(max_length=40)
    asked_at = models.DateTimeField()
    opens_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"pause of {self.provider}"


class Spending(models.Model):
    """What one app (client id) spent of what a provider lets it ask, for all processes, on the clock of the database.

    app: hash of the provider and the client id. spent_until: up to when what the provider gives by the second is
        spent; before now if some is left.
    """

    app = models.CharField(max_length=64, unique=True)
    provider = models.CharField(max_length=40)
    spent_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"spending at {self.provider}"


def _place(uid: str, field: str) -> str:
    return f"connection/{uid}/{field}"
