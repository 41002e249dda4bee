"""A vault: sealed, versioned copies of an archive in a storage, in a format that stock restic reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from chatkeep.errors import Damaged, NotFound, Problem, Refused, WrongPassphrase
from chatkeep.storage import Below, Storage, delete_many
from chatkeep.vault import check as checking
from chatkeep.vault import config as configs
from chatkeep.vault import diff, keys, load, moving, save
from chatkeep.vault import erase as erasing
from chatkeep.vault import snapshot as snapshots
from chatkeep.vault import tidy as tidying
from chatkeep.vault.cache import Cache
from chatkeep.vault.check import CheckReport
from chatkeep.vault.config import NAME, make_config, seal_config, unseal_config
from chatkeep.vault.contents import Contents
from chatkeep.vault.diff import Difference, Known
from chatkeep.vault.erase import Erased
from chatkeep.vault.keys import Key
from chatkeep.vault.load import VaultDocument
from chatkeep.vault.lock import ExclusiveLock
from chatkeep.vault.objects import Objects
from chatkeep.vault.readme import README, readme_of
from chatkeep.vault.recovery import MistypedKey, RecoveryKey
from chatkeep.vault.retention import Policy
from chatkeep.vault.save import Saved
from chatkeep.vault.seal import MasterKey, Seal
from chatkeep.vault.sealed import unseal_json
from chatkeep.vault.snapshot import Snapshot, SnapshotObject
from chatkeep.vault.tidy import Tidied
from chatkeep.vault.tree import Node
from chatkeep.vault.trees import MANIFEST, TOMBSTONES, Trees

READ_BACK = "read-back"
FOLDER = "Vault"
"""Where the vault lies in the storage: below this folder, with README.txt beside it."""

Progress = Callable[[int, int], None]
Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot says of itself: how much it holds, and its place in the chain of its host."""

    counts: Mapping[str, int]
    host: str
    sequence: int
    parent: str


class Vault:
    """An open vault. It keeps what it has read, so a second run is quicker; it belongs to one thread at a time.

    Get one from create, open_vault or open_with_master_key. It does not close the storage. folder: where it lies.
    """

    def __init__(self, objects: Objects, folder: str = "Vault") -> None:
        self._objects = objects
        self.folder = folder

    @property
    def id(self) -> str:
        """The name of this vault, 64 hex digits, for ever the same."""
        return self._objects.config.id

    @property
    def master_key(self) -> MasterKey:
        """What the token safe keeps, so that the vault opens again without a passphrase."""
        return self._objects.key

    def keys(self) -> list[Key]:
        """What opens this vault, the oldest first; key files that are damaged are left out."""
        return keys.listed(self._objects.storage)

    def opens_with(self, secret: str) -> bool:
        """Whether a passphrase or recovery key opens this vault. Raises MistypedKey, with the group, and Damaged."""
        try:
            return keys.find_master_key(self._objects.storage, secret) == self._objects.key
        except MistypedKey:
            raise
        except WrongPassphrase:
            return False

    def add_recovery_key(self, *, hostname: str) -> RecoveryKey:
        """One more recovery key, which is shown once and kept nowhere. It was read back and opened the vault."""
        recovery = RecoveryKey.generate()
        self._add_key(str(recovery), keys.RECOVERY, hostname)
        return recovery

    def set_passphrase(self, passphrase: str, *, hostname: str) -> None:
        """Make this the passphrase of the vault: the ones before open it no more, recovery keys still do.

        The new one is read back and opens the vault before an old one goes. Whoever has opened the vault with an old
        one can still read it: the master key is the same. Raises WrongUse for a passphrase that is none.
        """
        made = self._add_key(keys.check_passphrase(passphrase), keys.PASSPHRASE, hostname)
        for key in self.keys():
            if key.kind == keys.PASSPHRASE and key.id != made:
                keys.remove_key_file(self._objects.storage, key.id)

    def _add_key(self, password: str, kind: str, hostname: str) -> str:
        objects = self._objects
        id = keys.write_key_file(
            objects.storage, objects.key, password=password, kind=kind, hostname=hostname, now=objects.clock()
        )
        keys.prove(objects.storage, id, password=password, key=objects.key)
        return id

    def remove_key(self, id: str) -> Key:
        """Let a key, named by the beginning of its id, open the vault no more.

        Raises NotFound, WrongUse when several begin so and for the last one.
        """
        return keys.remove_key_file(self._objects.storage, id)

    def snapshots(self) -> list[Snapshot]:
        """All snapshots, oldest first, with their counts; those of other programs are marked foreign.

        One listing, and one read for each that is not yet known. Those that cannot be read are left out: `unread`.
        """
        return self._objects.refresh_snapshots()

    def unread(self) -> list[str]:
        """The ids of snapshots that the last `snapshots` saw and could not read."""
        return list(self._objects.unread_snapshots)

    def read_again(self, snapshot: Snapshot) -> Snapshot:
        """A snapshot as the storage has it now, not as we remember it: one read. Raises NotFound, Damaged."""
        objects = self._objects
        data = objects.fetch(snapshots.FOLDER + snapshot.id)
        found = unseal_json(objects.seal, snapshot.id, data, kind=SnapshotObject)
        return snapshots.from_object(snapshot.id, found)

    def was_read_back(self, snapshot: Snapshot) -> bool:
        """Whether this machine has read this snapshot back after it was made, and noted so."""
        return self._objects.cache.get(READ_BACK) == snapshot.id.encode()

    def note_read_back(self, snapshot: Snapshot) -> None:
        """Remember that this snapshot was read back from the storage and is what it should be; one is remembered."""
        self._objects.cache.put(READ_BACK, snapshot.id.encode())

    def move(
        self,
        storage: Storage,
        *,
        passphrase: str | None,
        hostname: str,
        cache: Path | None = None,
        progress: Progress | None = None,
    ) -> tuple[Vault, RecoveryKey, str]:
        """Copy everything into a new vault with a new master key, beside this one, and prove that it is all there.

        storage: that both lie in. Whoever knows a key of this vault cannot open the new one; its keys are the new
        recovery key and the passphrase, if one is given. Gives the new vault, its recovery key and its folder. This
        vault stays as it is; what a move that was interrupted left behind is removed by the next. progress: called
        with (packs copied, to copy).
        Raises Damaged when something here cannot be read, Busy, WrongUse for an empty passphrase, and what the
        storage raises; then there is no new vault.
        """
        with ExclusiveLock(self._objects, host=hostname) as held:
            _remove_begun(storage)
            folder = next_folder(storage)
            copied, recovery = moving.move(
                self._objects,
                Below(storage, folder),
                held=held,
                passphrase=passphrase,
                hostname=hostname,
                cache=cache,
                progress=progress or (lambda done, total: None),
            )
        storage.put("README.txt", readme_of(folder).encode())
        return Vault(copied, folder), recovery, folder

    def remove(self, storage: Storage, folder: str) -> None:
        """Delete this vault, all of it: first what it opens with, so that nobody takes what is left for a vault."""
        inside = Below(storage, folder)
        inside.delete(NAME)
        delete_many(inside, [stored.name for stored in inside.listing()])

    def newest(self, host: str) -> Snapshot | None:
        """The last snapshot of a host, by its own numbers, or None."""
        return save.newest(self.snapshots(), host)

    def save(
        self, contents: Contents, *, host: str, parents: Sequence[Snapshot] = (), progress: Progress | None = None
    ) -> Saved:
        """Save a whole archive; what is stored is what the vault does not hold yet.

        Packs, then index, then snapshot, each durable before the next: a crash costs time and never data. Nothing
        is written when nothing changed since the newest snapshot of the host. A document whose bytes do not fit its
        revision, or that load cannot give (Damaged, NotFound), is a problem, and its version of the snapshot before
        stays. parents: the newest snapshot of each other host that was merged into the archive; the new snapshot says
        so, by which a host that is withheld later is noticed. progress: called with (done, to do); what it raises
        ends the run cleanly.
        Raises Busy when another program has the vault to itself, WrongUse for ids that are none, and what the
        storage raises; in all these cases no snapshot was written.
        """
        return save.save(self._objects, contents, host=host, parents=parents, progress=progress)

    def load(self, snapshot: Snapshot, *, ids: Iterable[str] | None = None) -> Iterator[VaultDocument | Problem]:
        """The documents of a snapshot, all or those of these ids, in the order that costs least.

        Every byte is checked. What is damaged or not there is a Problem that names its conversation, and all else
        still comes. Everything reads each pack once in flat memory; one conversation takes a few range reads.
        """
        self._objects.refresh_index()
        return load.load_documents(self._objects, snapshot.tree, ids=ids)

    def difference(self, snapshot: Snapshot, known: Known) -> Difference:
        """What a snapshot of another device has that is not known here; only folders that are new are read.

        Raises Damaged when the snapshot cannot be read at all.
        """
        self._objects.know(snapshot.tree)
        return diff.difference(self._objects, snapshot.tree, known, host=snapshot.host)

    def fetch(self, nodes: Iterable[tuple[str, Node]]) -> Iterator[VaultDocument | Problem]:
        """The bytes of what `difference` found, by name, each pack read once; what is damaged is a problem."""
        return load.load_nodes(self._objects, nodes)

    def remember_merged(self, snapshot: Snapshot, difference: Difference) -> None:
        """Keep which folders of a host were seen, once all of the difference is in the archive."""
        diff.remember(self._objects, snapshot.host, snapshot.identity, difference.trees)

    def conversations(self, snapshot: Snapshot, *, prefix: str) -> list[str]:
        """The ids of a snapshot that begin with this, sorted; three letters or more cost four small reads at most.

        Raises Damaged when the folder that would list them cannot be read.
        """
        self._objects.know(snapshot.tree)
        return Trees(self._objects).ids(snapshot.tree, prefix)

    def attachments(self, snapshot: Snapshot) -> Iterator[tuple[str, int] | Problem]:
        """(sha256, size) of every attachment of a snapshot, sorted, or a problem for a folder that is damaged."""
        self._objects.know(snapshot.tree)
        for sha256, node in Trees(self._objects).attachments(snapshot.tree):
            yield node if isinstance(node, Problem) else (sha256, node.size)

    def attachment(self, snapshot: Snapshot, sha256: str) -> Iterator[bytes]:
        """The bytes of an attachment in pieces. Raises NotFound, and Damaged at the latest after the last piece."""
        self._objects.know(snapshot.tree)
        node = Trees(self._objects).attachment(snapshot.tree, sha256)
        if node is None:
            raise NotFound(f"The attachment {sha256} is not in this snapshot.")
        return load.load_attachment(self._objects, node, sha256=sha256)

    def tombstones(self, snapshot: Snapshot) -> Iterator[tuple[str, bytes] | Problem]:
        """(name, bytes) of every tombstone of a snapshot, sorted, or a problem for one that is damaged."""
        self._objects.know(snapshot.tree)
        try:
            nodes = Trees(self._objects).folder(snapshot.tree, TOMBSTONES)
        except Damaged as error:
            yield Problem("all tombstones", error.what)
            return
        for node in nodes:
            try:
                yield node.name, load.load_file(self._objects, node)
            except Damaged as error:
                yield Problem(f"tombstone {node.name}", error.what)

    def manifest(self, snapshot: Snapshot) -> Manifest:
        """The counts of a snapshot as its tree has them, and its place in the chain. Raises Damaged, NotFound."""
        self._objects.know(snapshot.tree)
        nodes = Trees(self._objects).folder(snapshot.tree)
        node = next((node for node in nodes if node.name == MANIFEST), None)
        if node is None:
            raise NotFound("The snapshot has no manifest; it was made by another program.")
        found = msgspec.json.decode(load.load_file(self._objects, node), type=dict[str, object])
        counts = msgspec.convert(found.get("counts"), type=dict[str, int])
        return Manifest(counts=counts, host=snapshot.host, sequence=snapshot.sequence, parent=snapshot.parent)

    def tidy(
        self,
        policy: Policy | None = None,
        *,
        host: str,
        all_devices: bool = False,
        dry_run: bool = False,
        progress: Callable[[str], None] | None = None,
    ) -> Tidied:
        """Forget snapshots by a policy, remove what no snapshot needs, merge what is small.

        host: this device; only its snapshots are judged, unless all_devices. Snapshots of other programs always stay.
        What nothing needs is doomed first and deleted a day later, by the next call. dry_run: only say what would go.
        progress: called with what it does now. It can be stopped anywhere and run again.
        Raises Busy when anybody else works on the vault, and what the storage raises.
        """
        policy = policy or Policy()
        if dry_run:
            return tidying.preview(self._objects, policy, host=host, all_devices=all_devices)
        told = progress or (lambda doing: None)
        return tidying.tidy(self._objects, policy, host=host, all_devices=all_devices, progress=told)

    def erase(self, ids: Iterable[str], *, host: str, attachments: Iterable[str] = ()) -> Erased:
        """Take conversations out of all snapshots of all devices, and attachments that only they named.

        ids: whole ones. Afterwards the sealed bytes go too: at once where the storage shows locks at once, else within
        two days; the report says which. What it cannot reach is told. Run again it does nothing more.
        Raises Busy when anybody else works on the vault, and what the storage raises.
        """
        return erasing.erase(self._objects, ids, attachments=attachments, host=host)

    def needs_tidying(self, *, host: str, policy: Policy | None = None) -> bool:
        """Whether there is enough to tidy, by what is known already: no request."""
        return tidying.due(self._objects, policy or Policy(), host)

    def check(
        self, *, read_data: bool = False, sample_percent: float | None = None, progress: Progress | None = None
    ) -> CheckReport:
        """Whether everything that the snapshots name is there, with the right sizes.

        read_data: also read every pack, and check the hash of it and of every blob. sample_percent: read so many
        packs, those that this machine has not checked for longest. progress: called with (packs read, to read).
        """
        return checking.check(self._objects, read_data=read_data, sample_percent=sample_percent, progress=progress)


def folders(storage: Storage) -> list[str]:
    """The folders of the storage that are vaults: "Vault", and after a move to a new key "Vault-2" and so on.

    The oldest that is there comes first, since it is in charge until it is removed; then the newest.
    """
    numbered = [f"{FOLDER}-{number}" for number in sorted(_numbers(storage), reverse=True)]
    return [folder for folder in (FOLDER, *numbered) if is_vault(storage, folder)]


def _remove_begun(storage: Storage) -> None:
    """Remove what moves that were interrupted left: folders that never became a vault."""
    for number in _numbers(storage):
        if not is_vault(storage, f"{FOLDER}-{number}"):
            delete_many(storage, [stored.name for stored in storage.listing(f"{FOLDER}-{number}/")])


def next_folder(storage: Storage) -> str:
    """A folder for a vault that takes the place of the one that is there; nothing was ever put below it."""
    return f"{FOLDER}-{max(_numbers(storage), default=1) + 1}"


def _numbers(storage: Storage) -> set[int]:
    tops = {stored.name.partition("/")[0] for stored in storage.listing(f"{FOLDER}-")}
    return {int(number) for top in tops if (number := top.removeprefix(f"{FOLDER}-")).isdecimal() and len(number) < 6}


def is_vault(storage: Storage, folder: str = FOLDER) -> bool:
    """Whether a vault lies in this folder of the storage."""
    try:
        Below(storage, folder).stat(NAME)
    except NotFound:
        return False
    return True


def exists(storage: Storage) -> bool:
    """Whether the storage holds a vault."""
    return is_vault(storage) or bool(folders(storage))


def create(
    storage: Storage, *, passphrase: str | None, hostname: str, cache: Path | None = None, clock: Clock = _now
) -> tuple[Vault, RecoveryKey]:
    """A new vault below `Vault/` in the storage, and its recovery key, which is shown once and kept nowhere.

    Both the passphrase, if there is one, and the recovery key open it, here and with stock restic. README.txt beside
    it says how. hostname: shown in the list of keys. A creation that was interrupted can be repeated.
    Raises Refused when there is a vault already, or the remains of one; WrongUse for an empty passphrase.
    """
    inside = Below(storage, FOLDER)
    secret = keys.check_passphrase(passphrase) if passphrase is not None else None
    _make_room(inside)
    key, recovery = MasterKey.generate(), RecoveryKey.generate()
    keys.write_key_file(inside, key, password=str(recovery), kind=keys.RECOVERY, hostname=hostname, now=clock())
    if secret is not None:
        keys.write_key_file(inside, key, password=secret, kind=keys.PASSPHRASE, hostname=hostname, now=clock())
    storage.put("README.txt", README.encode())
    config = make_config()
    inside.put(NAME, seal_config(Seal(key), config))
    return Vault(Objects(inside, key, config, cache=Cache(cache, config.id), clock=clock)), recovery


def _make_room(inside: Storage) -> None:
    left = [stored.name for stored in inside.listing() if not stored.name.startswith("locks/")]
    if any(not name.startswith(keys.FOLDER) for name in left):
        raise Refused("There is a vault in this place already.", hint="Join it, or choose an empty folder.")
    for name in left:  # keys of a creation that was interrupted; nothing was ever sealed with them
        inside.delete(name)


def open_vault(
    storage: Storage, *, secret: str, cache: Path | None = None, clock: Clock = _now, folder: str = FOLDER
) -> Vault:
    """Open a vault with its passphrase or recovery key; that takes half a second and 128 MB by design.

    folder: where it lies, as `folders` says.
    Raises NotFound when there is none, WrongPassphrase (MistypedKey names the group), VaultTooNew, Damaged.
    """
    inside = Below(storage, folder)
    config = _config(inside)
    key = keys.find_master_key(inside, secret)
    found = unseal_config(Seal(key), config)
    return Vault(Objects(inside, key, found, cache=Cache(cache, found.id), clock=clock), folder)


def open_with_master_key(
    storage: Storage, key: MasterKey, *, cache: Path | None = None, clock: Clock = _now, folder: str = FOLDER
) -> Vault:
    """Open a vault with the key that the token safe kept; at once.

    folder: where it lies, as `folders` says. cache: a folder where this machine remembers what it read of vaults. Where
    the storage has a feed of changes and the cache remembers the vault, opening asks nothing: what the feed tells
    first says whether it is still there.
    Raises NotFound, VaultTooNew, and Damaged when the key is not that of this vault.
    """
    inside = Below(storage, folder)
    data = configs.remembered(key, cache)
    if data is None:
        data = _config(inside)
        configs.remember(data, key, cache)
    found = unseal_config(Seal(key), data)
    return Vault(Objects(inside, key, found, cache=Cache(cache, found.id), clock=clock), folder)


def _config(inside: Storage) -> bytes:
    try:
        return inside.get(NAME)
    except NotFound:
        hint = "If another device gave it a new key, disconnect here and connect again with the new recovery key."
        raise NotFound("There is no vault in this place.", hint=hint) from None
