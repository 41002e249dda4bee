"""The emergency kit: one page that opens the vault when this machine and this program are gone."""

from __future__ import annotations

from datetime import date

_PAGE = """\
CHATKEEP EMERGENCY KIT                                              {made}

This page opens the vault in which your conversations are kept. Print it, or keep it in a
password manager. Do not keep it in the place that holds the vault.

  Place of the vault   {provider}: {account}
  Name                 {name}
  Vault                {vault}

  Recovery key         {recovery_key}

Whoever has this key and can reach the place can read everything in the vault. If you lose
both the passphrase and this key, nobody can open the vault, including us.

TO GET EVERYTHING BACK WITH CHATKEEP
  1. Install Chatkeep on any computer.
  2. {connect}
  3. chatkeep restore

TO GET EVERYTHING BACK WITHOUT CHATKEEP
  The vault is an ordinary restic repository (https://restic.net).
{fetch}     restic -r {repository} restore latest --target my-conversations
     Give the recovery key, exactly as printed, with its dashes, as the password.
  Conversations are JSON files in my-conversations/conversations.
"""


def emergency_kit(*, name: str, provider: str, account: str, vault: str, recovery_key: str, made: date) -> str:
    """The page as text, 90 columns wide. It holds the recovery key: treat it as the key itself."""
    connect, fetch, repository = _ways(provider, account)
    return _PAGE.format(
        made=made.isoformat(),
        provider=provider,
        account=account,
        connect=connect,
        fetch=fetch,
        repository=repository,
        name=name,
        vault=vault[:16],
        recovery_key=recovery_key,
    )


def _ways(provider: str, account: str) -> tuple[str, str, str]:
    """How to connect the place again, how its files are fetched for restic, and what restic is given."""
    give = "(give the recovery key when it asks)"
    if provider == "folder":
        return f"chatkeep connect folder {_quoted(account)}     {give}", "", _quoted(f"{account}/Vault")
    fetch = "     Download the folder that holds Vault and README.txt, and go into it.\n"
    if provider in ("webdav", "s3"):
        return f"chatkeep connect {provider} {_quoted(account)} …     {give}", fetch, "Vault"
    return (
        f"chatkeep connect {provider}     (sign in as {account};\n     give the recovery key when it asks)",
        fetch,
        "Vault",
    )


def _quoted(path: str) -> str:
    plain = all(c.isalnum() or c in "/._-~:" for c in path)
    return path if plain else "'" + path.replace("'", "'\\''") + "'"
