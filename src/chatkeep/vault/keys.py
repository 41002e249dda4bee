"""Key files: the master key, sealed under a key that scrypt makes of a password. One file for each password.

A key file is plain JSON, named by the SHA-256 of its bytes, as restic has it. What it says is not trusted: the
provider could write costs that would exhaust this machine, so they are bounded before scrypt runs.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from datetime import datetime

import msgspec

from chatkeep.errors import Damaged, NotFound, WrongPassphrase, WrongUse
from chatkeep.storage import Storage
from chatkeep.vault.recovery import MistypedKey, RecoveryKey, looks_like_recovery_key
from chatkeep.vault.seal import MasterKey, Seal

FOLDER = "keys/"
COST_N = 2**17
COST_R = 8
COST_P = 1
SALT = 64
MOST_MEMORY = 2**30
_SPARE = 2**20
RECOVERY = "recovery-key"
PASSPHRASE = "passphrase"  # noqa: S105 - the name of a kind of key file


class _Mac(msgspec.Struct):
    k: bytes
    r: bytes


class _Master(msgspec.Struct):
    mac: _Mac
    encrypt: bytes


class KeyFile(msgspec.Struct, kw_only=True):
    """The content of a key file, in restic's field names. username says which kind of password opens it."""

    created: str
    username: str = ""
    hostname: str = ""
    kdf: str
    cost_n: int = msgspec.field(name="N")
    r: int
    p: int
    salt: bytes
    data: bytes


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One password that opens the vault. id: of its key file. kind: "passphrase", "recovery-key" or "other".

    created: RFC 3339; hostname: the device it was made on.
    """

    id: str
    kind: str
    created: str
    hostname: str


def listed(storage: Storage) -> list[Key]:
    """The keys of a vault, the oldest first; files that are damaged are left out."""
    files, _ = _key_files(storage)
    return sorted((_key(id, file) for id, file in files.items()), key=lambda key: key.created)


def _key(id: str, file: KeyFile) -> Key:
    kind = file.username if file.username in (RECOVERY, PASSPHRASE) else "other"
    return Key(id=id, kind=kind, created=file.created, hostname=file.hostname)


def write_key_file(storage: Storage, key: MasterKey, *, password: str, kind: str, hostname: str, now: datetime) -> str:
    """Add a key file that opens with this password, and give its id. kind: RECOVERY or PASSPHRASE."""
    salt = os.urandom(SALT)
    derived = derive(password, salt, n=COST_N, r=COST_R, p=COST_P)
    master = _Master(mac=_Mac(k=key.mac_k, r=key.mac_r), encrypt=key.encrypt)
    content = KeyFile(
        created=now.isoformat().replace("+00:00", "Z"),
        username=kind,
        hostname=hostname,
        kdf="scrypt",
        cost_n=COST_N,
        r=COST_R,
        p=COST_P,
        salt=salt,
        data=Seal(derived).seal(msgspec.json.encode(master)),
    )
    data = msgspec.json.encode(content)
    id = hashlib.sha256(data).hexdigest()
    storage.put(FOLDER + id, data)
    return id


def prove(storage: Storage, id: str, *, password: str, key: MasterKey) -> None:
    """Read a key file back and open it. Raises Damaged, NotFound when it does not give the master key."""
    if open_key_file(read_key_file(storage.get(FOLDER + id), id), password) != key:
        raise Damaged("The new key does not open the vault; it was not taken into use.", hint="Try again.")


def remove_key_file(storage: Storage, id: str) -> Key:
    """Remove the key file whose id begins so, and say which it was.

    Raises NotFound when there is none, WrongUse when several begin so and for the last key of the vault.
    """
    keys = listed(storage)
    meant = [key for key in keys if id and key.id.startswith(id)]
    if not meant:
        raise NotFound(f"The vault has no key {id!r}.", hint="See them with: chatkeep keys")
    if len(meant) > 1:
        raise WrongUse(f"{len(meant)} keys begin with {id!r}.", hint="Give more of the id.")
    if len(keys) == 1:
        raise WrongUse("This is the last key of the vault: without it nobody could open it.", hint="Add another first.")
    storage.delete(FOLDER + meant[0].id)
    return meant[0]


def derive(password: str, salt: bytes, *, n: int, r: int, p: int) -> MasterKey:
    """The key that scrypt makes of a password: 64 bytes, the first 32 for AES, then k, then r."""
    made = hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=MOST_MEMORY + _SPARE, dklen=64)
    return MasterKey.from_bytes(made)


def read_key_file(data: bytes, name: str) -> KeyFile:
    """A key file, checked before any work is spent on it. Raises Damaged."""
    if hashlib.sha256(data).hexdigest() != name:
        raise Damaged("A key file is not what was written.")
    try:
        found = msgspec.json.decode(data, type=KeyFile)
    except msgspec.DecodeError as error:
        raise Damaged("A key file cannot be read.") from error
    whole = found.cost_n > 1 and found.cost_n & (found.cost_n - 1) == 0 and found.r > 0 and found.p > 0
    if found.kdf != "scrypt" or not whole or 128 * found.cost_n * found.r * found.p > MOST_MEMORY:
        raise Damaged("A key file asks for a computation that this program does not make.")
    return found


def open_key_file(found: KeyFile, password: str) -> MasterKey | None:
    """The master key, or None when the password is another one."""
    try:
        derived = derive(password, found.salt, n=found.cost_n, r=found.r, p=found.p)
        master = msgspec.json.decode(Seal(derived).unseal(found.data), type=_Master)
        return MasterKey.from_bytes(master.encrypt + master.mac.k + master.mac.r)
    except (Damaged, msgspec.DecodeError):
        return None


def find_master_key(storage: Storage, secret: str) -> MasterKey:
    """The master key that a passphrase or recovery key opens.

    Raises WrongPassphrase (MistypedKey, with the group, for what was plainly meant as a recovery key), NotFound
    when there is no key file at all, Damaged when there are some and none can be read.
    """
    files, damaged = _key_files(storage)
    if not files:
        if damaged:
            raise Damaged(f"All {damaged} key files of the vault are damaged.", hint="Get them from another copy.")
        raise NotFound("There is no key file in the vault.")
    passwords, mistake = _passwords(secret)
    for password, kind in passwords:
        for found in sorted(files.values(), key=lambda file: file.username != kind):
            key = open_key_file(found, password)
            if key is not None:
                return key
    if mistake is not None:
        raise mistake
    also = f" ({damaged} more key files are damaged and could not be tried.)" if damaged else ""
    raise WrongPassphrase("The passphrase or recovery key does not open this vault." + also)


def _key_files(storage: Storage) -> tuple[dict[str, KeyFile], int]:
    """The key files that can be read, by id, and how many cannot."""
    files, damaged = {}, 0
    for stored in storage.listing(FOLDER):
        id = stored.name.removeprefix(FOLDER)
        try:
            files[id] = read_key_file(storage.get(stored.name), id)
        except (Damaged, NotFound):
            damaged += 1
    return files, damaged


def _passwords(secret: str) -> tuple[list[tuple[str, str]], MistypedKey | None]:
    """What to try, the likeliest first, and what to say if a recovery key was meant and mistyped."""
    try:
        return [(str(RecoveryKey.parse(secret)), RECOVERY)], None
    except MistypedKey as error:
        mistake = error if looks_like_recovery_key(secret) else None
    forms = dict.fromkeys([unicodedata.normalize("NFC", secret), secret, unicodedata.normalize("NFD", secret)])
    return [(form, PASSPHRASE) for form in forms if form and _is_whole(form)], mistake


def _is_whole(text: str) -> bool:
    """Whether a text holds no half characters; with one of those it cannot be anybody's passphrase."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def check_passphrase(passphrase: str) -> str:
    """The passphrase in the one form it is stored in (NFC). Raises WrongUse when there is nothing in it."""
    if not passphrase.strip() or "\x00" in passphrase or "\n" in passphrase or not _is_whole(passphrase):
        raise WrongUse("A passphrase is one line and not empty.")
    return unicodedata.normalize("NFC", passphrase)
