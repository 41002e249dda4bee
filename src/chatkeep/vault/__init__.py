"""Sealed, versioned copies of an archive in a storage: restic repository format 2 by our own code.

The vault knows conversations as bytes with an id, a revision and a time. What each byte means to it, and the order
of writes that keeps it whole, is in docs/design/vault.md.
"""

from chatkeep.vault.check import CheckReport
from chatkeep.vault.contents import Contents, Entry, VaultAttachment, ZstdFrame
from chatkeep.vault.diff import Difference, Known, Nodes
from chatkeep.vault.load import VaultDocument
from chatkeep.vault.readme import README
from chatkeep.vault.recovery import MistypedKey, RecoveryKey
from chatkeep.vault.retention import Policy
from chatkeep.vault.save import Saved
from chatkeep.vault.seal import MasterKey
from chatkeep.vault.snapshot import Snapshot
from chatkeep.vault.tidy import Tidied
from chatkeep.vault.vault import Manifest, Vault, create, exists, folders, is_vault, open_vault, open_with_master_key

__all__ = [
    "README",
    "CheckReport",
    "Contents",
    "Difference",
    "Entry",
    "Known",
    "Manifest",
    "MasterKey",
    "MistypedKey",
    "Nodes",
    "Policy",
    "RecoveryKey",
    "Saved",
    "Snapshot",
    "Tidied",
    "Vault",
    "VaultAttachment",
    "VaultDocument",
    "ZstdFrame",
    "create",
    "exists",
    "folders",
    "is_vault",
    "open_vault",
    "open_with_master_key",
]
