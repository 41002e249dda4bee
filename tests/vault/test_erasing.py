"""Erasing: every snapshot is as if the conversation had never been saved, and its sealed bytes are gone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.vault.small_archive import Restic, as_files, attachment, contents, documents, loaded

from chatkeep import vault
from chatkeep.providers.folder import Folder
from chatkeep.storage import Around, Traits
from chatkeep.vault import Vault

HOST = "laptop-7f3a"
OTHER = "phone-0001"
PICTURE = attachment(b"picture" * 100)


def sealed_bytes_of(storage: Folder, kept: Vault, data: bytes) -> bool:
    """Whether any pack still holds a blob."""
    fresh = vault.open_with_master_key(storage, kept.master_key)
    fresh._objects.refresh_index()
    fresh._objects.search_packs()
    return bool(fresh._objects.index.places("data", hashlib.sha256(data).digest()))


def test_a_conversation_is_taken_out_of_every_snapshot_of_every_device(
    kept: Vault, storage: Folder, restic: Restic, tmp_path: Path
) -> None:
    held = documents(12)
    gone = sorted(held)[4]
    kept.save(contents(held, messages=36, attachments=[PICTURE]), host=HOST)
    text = held[gone]
    held[gone] = text + b" "
    kept.save(contents(held, messages=36, attachments=[PICTURE]), host=OTHER)
    del held[gone]
    kept.save(contents(held, messages=33), host=HOST)
    before = kept.snapshots()
    told = kept.erase([gone], host=HOST, attachments=[PICTURE.sha256])
    assert (told.snapshots_rewritten, told.left) == (2, [])
    assert told.objects_removed >= 2
    after = kept.snapshots()
    assert [one.identity for one in after] == [one.id for one in before]
    assert [(one.host, one.sequence, one.time) for one in after] == [(o.host, o.sequence, o.time) for o in before]
    for one in after:
        assert loaded(kept.load(one)) == held
        assert (one.counts["conversations"], one.counts["messages"], one.counts["attachments"]) == (11, 33, 0)
        assert kept.manifest(one).counts == one.counts
    for data in (text, text + b" ", b"picture" * 100):
        assert not sealed_bytes_of(storage, kept, data)
    assert kept.check(read_data=True).ok
    assert restic.is_clean()
    found = restic.restored(tmp_path / "out", after[0].id)
    assert json.loads(found.pop("manifest.json"))["counts"]["conversations"] == 11
    assert found == as_files(held)
    assert kept.erase([gone], host=HOST).snapshots_rewritten == 0


def test_where_locks_are_seen_late_the_sealed_bytes_go_later_and_that_is_said(kept: Vault, storage: Folder) -> None:
    class Late(Around):
        traits = Traits(settles=0.01)

    held = documents(5)
    gone = sorted(held)[2]
    late = vault.open_with_master_key(Late(storage), kept.master_key)
    late.save(contents(held), host=HOST)
    told = late.erase([gone], host=HOST)
    assert (told.snapshots_rewritten, told.objects_removed) == (1, 0)
    assert [problem.where for problem in told.left] == ["sealed bytes"]
    del held[gone]
    assert loaded(late.load(late.snapshots()[0])) == held


def test_what_another_program_saved_is_left_and_told(
    kept: Vault, storage: Folder, restic: Restic, tmp_path: Path
) -> None:
    held = documents(5)
    gone = sorted(held)[2]
    kept.save(contents(held), host=HOST)
    (tmp_path / "mine.json").write_bytes(held[gone])
    restic.run("backup", str(tmp_path / "mine.json"), "--host", "elsewhere")
    told = kept.erase([gone], host=HOST)
    assert told.snapshots_rewritten == 1
    assert restic.is_clean()
    assert restic.restored(tmp_path / "out")
    assert sealed_bytes_of(storage, kept, held[gone])
    assert told.left


def test_the_next_backup_goes_on_as_before(kept: Vault, storage: Folder) -> None:
    held = documents(5)
    kept.save(contents(held), host=HOST)
    gone = sorted(held)[2]
    kept.erase([gone], host=HOST)
    del held[gone]
    saved = kept.save(contents(held), host=HOST)
    assert (saved.snapshot.sequence, saved.verified) == (1, True) or saved.snapshot.sequence == 2
    assert kept.check(read_data=True).ok
