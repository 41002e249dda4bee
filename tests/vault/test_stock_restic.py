"""Stock restic is the judge: what we write it must find clean, restore byte for byte, and add to."""

from __future__ import annotations

import json
from pathlib import Path

from tests.vault.small_archive import Restic, as_files, attachment, contents, document, documents, loaded

from chatkeep import vault
from chatkeep.providers.folder import Folder
from chatkeep.vault import Vault, VaultDocument

HOST = "laptop-7f3a"


def test_a_new_vault_is_clean_and_empty(kept: Vault, restic: Restic) -> None:
    assert restic.is_clean()
    assert json.loads(restic.run("snapshots", "--json")) == []


def test_restic_restores_every_file_byte_for_byte(kept: Vault, restic: Restic, tmp_path: Path) -> None:
    held = documents(40) | documents(2, first=500, messages=1500)
    picture, nothing, film = attachment(b"\x89PNG" * 99), attachment(b""), attachment(bytes(range(256)) * 40_000)
    tombstones = {"aa-1": b'{"seen":1}', "bb-2": b""}
    kept.save(contents(held, attachments=[film, picture, nothing], tombstones=tombstones), host=HOST)
    assert restic.is_clean()
    found = restic.restored(tmp_path / "out")
    manifest = json.loads(found.pop("manifest.json"))
    expected = as_files(held)
    expected |= {f"tombstones/{name}": data for name, data in tombstones.items()}
    for data, held_one in ((b"\x89PNG" * 99, picture), (b"", nothing), (bytes(range(256)) * 40_000, film)):
        expected[f"attachments/{held_one.sha256[:2]}/{held_one.sha256}"] = data
    assert found == expected
    assert manifest == {
        "counts": {"attachments": 3, "conversations": 42, "messages": 0, "tombstones": 2},
        "format": 1,
    }


def test_an_empty_archive_can_be_saved(kept: Vault, restic: Restic, tmp_path: Path) -> None:
    saved = kept.save(contents({}), host=HOST)
    assert restic.is_clean()
    assert list(restic.restored(tmp_path / "out")) == ["manifest.json"]
    assert list(kept.load(saved.snapshot)) == []


def test_restic_sees_the_difference_between_two_snapshots_as_we_made_it(kept: Vault, restic: Restic) -> None:
    held = documents(30)
    before = kept.save(contents(held), host=HOST).snapshot
    changed, removed = sorted(held)[3], sorted(held)[9]
    held[changed] += b" "
    del held[removed]
    new, data = document(999)
    held[new] = data
    after = kept.save(contents(held), host=HOST).snapshot
    lines = restic.run("diff", before.id, after.id).splitlines()
    marked = {line[0]: line.rsplit("/", 1)[1] for line in lines if line.endswith(".json") and "manifest" not in line}
    assert marked == {"M": f"{changed}.json", "-": f"{removed}.json", "+": f"{new}.json"}


def test_restic_lists_our_snapshots_by_device_and_parent(kept: Vault, restic: Restic) -> None:
    held = documents(3)
    first = kept.save(contents(held, messages=9), host=HOST).snapshot
    held.update(documents(1, first=50))
    second = kept.save(contents(held, messages=12), host="desktop-11aa").snapshot
    third = kept.save(contents(documents(5), messages=15), host=HOST).snapshot
    listed = json.loads(restic.run("snapshots", "--json"))
    seen = {found["id"]: (found["hostname"], found.get("parent", ""), found["paths"]) for found in listed}
    assert seen == {
        first.id: (HOST, "", ["/Chatkeep"]),
        second.id: ("desktop-11aa", "", ["/Chatkeep"]),
        third.id: (HOST, first.id, ["/Chatkeep"]),
    }
    assert third.sequence == 2
    assert all("chatkeep" in found["tags"] for found in listed)


def test_restic_adds_its_own_snapshot_and_forgets_and_prunes_and_we_still_read(
    kept: Vault, restic: Restic, storage: Folder, tmp_path: Path
) -> None:
    held = documents(20)
    kept.save(contents(held), host=HOST)
    held[sorted(held)[0]] += b" "
    kept.save(contents(held), host=HOST)
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / 'Ünï "quoted" <&> .txt').write_text("x")
    (strange / "empty").write_bytes(b"")
    (strange / "link").symlink_to("empty")
    (strange / "large").write_bytes(bytes(range(256)) * 10_000)
    restic.run("backup", str(strange), "--host", "elsewhere")
    found = kept.snapshots()
    assert [snapshot.foreign for snapshot in found] == [False, False, True]
    assert list(kept.load(found[2])) == []
    assert kept.check(read_data=True).ok
    restic.run("forget", "--keep-last", "1", "--prune")
    for reader in (kept, vault.open_with_master_key(storage, kept.master_key)):
        left = [snapshot for snapshot in reader.snapshots() if not snapshot.foreign]
        assert len(left) == 1
        assert loaded(reader.load(left[0])) == held
        assert reader.check(read_data=True).ok
    held.update(documents(1, first=77))
    assert kept.save(contents(held), host=HOST).verified
    assert restic.is_clean()


def test_a_snapshot_that_restic_renamed_by_tagging_is_still_ours(kept: Vault, restic: Restic) -> None:
    held = documents(3)
    before = contents(held, messages=9)
    first = kept.save(before, host=HOST).snapshot
    restic.run("tag", "--add", "precious", first.id)
    (found,) = kept.snapshots()
    assert (found.foreign, found.original, found.counts["messages"]) == (False, first.id, 9)
    assert loaded(kept.load(found)) == held
    assert kept.save(before, host=HOST).unchanged


def test_what_restic_backed_up_into_the_vault_is_not_stored_twice(kept: Vault, restic: Restic, tmp_path: Path) -> None:
    held = documents(60)
    for name, data in held.items():
        (tmp_path / f"{name}.json").write_bytes(data)
    restic.run("backup", *(str(path) for path in tmp_path.glob("*.json")), "--host", "elsewhere")
    saved = kept.save(contents(held), host=HOST)
    assert saved.new_documents == 0
    assert loaded(kept.load(saved.snapshot)) == held
    assert restic.is_clean()


def test_a_key_that_restic_added_opens_the_vault(kept: Vault, restic: Restic, storage: Folder, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("another passphrase")
    restic.run("key", "add", "--new-password-file", str(tmp_path / "new"))
    held = documents(2)
    saved = kept.save(contents(held), host=HOST)
    opened = vault.open_vault(storage, secret="another passphrase")
    assert loaded(opened.load(saved.snapshot)) == held


def test_an_index_that_restic_rebuilt_serves_us(kept: Vault, restic: Restic, storage: Folder) -> None:
    held = documents(10)
    for count in (3, 6, 10):
        kept.save(contents(dict(list(held.items())[:count])), host=HOST)
    restic.run("rebuild-index", "--read-all-packs")
    opened = vault.open_with_master_key(storage, kept.master_key)
    assert loaded(opened.load(opened.snapshots()[-1])) == held
    assert kept.save(contents(held), host=HOST).unchanged


def test_times_that_no_calendar_has_do_not_make_a_tree_unreadable(kept: Vault, restic: Restic) -> None:
    held = documents(1)
    for time in (
        "2024-02-30T00:00:00Z",
        "2016-12-31T23:59:60Z",
        "",
        "yesterday",
        "2024-01-01T00:00:00+02:00",
        "9999-12-31T23:59:59.999999999Z",
    ):
        saved = kept.save(contents(held, updated_at=time), host=HOST)
        (found,) = kept.load(saved.snapshot)
        assert isinstance(found, VaultDocument)
        assert found.updated_at == (time if time.startswith("9999") else "")
    assert restic.is_clean()
    restic.run("ls", "latest")
