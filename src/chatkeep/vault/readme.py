"""The text that lies beside every vault, for somebody who finds it in ten years and has nothing else."""

README = """\
This folder was made by Chatkeep. It keeps a sealed copy of somebody's conversations.

  Vault/    the conversations, compressed and encrypted
  Chats/    readable copies, if the owner wanted them
  Inbox/    exports put here are imported, if the owner wanted that


To get everything back with Chatkeep

  Install Chatkeep, connect it to this folder, and restore. It asks for the passphrase or the recovery key.


To get everything back without Chatkeep

  The vault is an ordinary restic repository, format 2. restic is free, is part of most systems, and needs to be
  version 0.14 or later. Download this folder to a disk, then, beside it:

    restic -r Vault snapshots
    restic -r Vault restore latest --target restored
    restic -r Vault check --read-data

  restic asks for a password. That is the passphrase, or the recovery key exactly as it was printed: in capitals,
  eight groups of five letters with a dash between them.

  What comes out:

    conversations/   one JSON file for each conversation: "title", "messages", and in each message its "parts"
    attachments/     pictures and files, named by their SHA-256; a conversation names them so
    tombstones/      what the owner deleted
    manifest.json    how much of each there should be


Please do not rename, move or delete single files in Vault/. Without the passphrase or the recovery key nobody can
read it: not the provider, not the makers of Chatkeep, not you.
"""


def readme_of(folder: str) -> str:
    """The text for a vault that lies in another folder than `Vault`."""
    return (
        README.replace("Vault/ ", f"{folder}/ ")
        .replace("-r Vault ", f"-r {folder} ")
        .replace("in Vault/", f"in {folder}/")
    )
