"""Vaults that earlier versions wrote open, restore and check for ever."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.vault.small_archive import Restic, contents, documents, loaded

from chatkeep import vault
from chatkeep.providers.folder import Folder
from chatkeep.storage import ReadOnly
from chatkeep.vault import Vault

FROZEN = sorted((Path(__file__).parents[1] / "samples" / "vault").iterdir())


@pytest.fixture(params=FROZEN, ids=lambda path: path.name)
def frozen(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A copy of a frozen vault that may be written to, and what must come out of it."""
    place = tmp_path / "frozen"
    shutil.copytree(request.param / "input", place)
    return place, json.loads((request.param / "expected.json").read_text())


def restored(kept: Vault) -> list[dict[str, Any]]:
    return [
        {
            "host": snapshot.host,
            "sequence": snapshot.sequence,
            "tree": snapshot.tree,
            "counts": dict(snapshot.counts),
            "documents": {n: hashlib.sha256(d).hexdigest() for n, d in loaded(kept.load(snapshot)).items()},
            "attachments": dict(item for item in kept.attachments(snapshot) if isinstance(item, tuple)),
            "tombstones": {n: d.decode() for n, d in (i for i in kept.tombstones(snapshot) if isinstance(i, tuple))},
        }
        for snapshot in kept.snapshots()
    ]


def test_a_frozen_vault_is_restored_as_it_was(frozen: tuple[Path, dict[str, Any]]) -> None:
    place, expected = frozen
    for secret in (expected["passphrase"], expected["recovery_key"]):
        kept = vault.open_vault(ReadOnly(Folder(place)), secret=secret)
        assert restored(kept) == expected["snapshots"]
        assert kept.check(read_data=True).ok


def test_a_frozen_vault_is_clean_for_restic_and_goes_on_being_used(frozen: tuple[Path, dict[str, Any]]) -> None:
    place, expected = frozen
    restic = Restic(place, password=expected["passphrase"])
    assert restic.is_clean()
    kept = vault.open_vault(Folder(place), secret=expected["passphrase"])
    saved = kept.save(contents(documents(3)), host=expected["snapshots"][0]["host"])
    assert saved.new_documents == 0  # equal bytes have the same name for ever
    assert restored(kept)[:-1] == expected["snapshots"]
    assert restic.is_clean()
