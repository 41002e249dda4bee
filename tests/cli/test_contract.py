"""What scripts rely on: the keys of every --json, and the exit codes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from tests import exports
from tests.cli.conftest import Command

from archive.talks import take, talk
from chatkeep import operations, vault
from chatkeep.archive import Archive
from chatkeep.cli import cli
from chatkeep.providers.folder import Folder
from chatkeep.settings import Settings
from chatkeep.storage import Counting


def test_import(chatkeep: Command, export: Path) -> None:
    found = chatkeep("import", export, "--json").json
    assert found.items() >= {"added": 2, "updated": 0, "unchanged": 0, "messages": 5, "unknown": {}}.items()
    assert found["attachments"] == {"stored": 1, "missing": 0}
    assert found["problems"] == []
    assert found["source"] == [{"path": str(export), "platform": "chatgpt"}]


def test_import_with_problems_ends_with_3_and_lists_them(chatkeep: Command, tmp_path: Path) -> None:
    good = exports.conversation(exports.CAKE, "Cake", ["One?", "Two."])
    bad = exports.conversation(exports.BOAT, "Boat", ["Three?"]) | {"mapping": 7}
    ended = chatkeep("import", exports.export(tmp_path / "export.zip", [good, bad]), "--json")
    assert ended.code == 3
    assert [sorted(problem) for problem in ended.json["problems"]] == [["what", "where"]]


def test_import_with_missing_attachments_alone_ends_with_0(chatkeep: Command, tmp_path: Path) -> None:
    cake = exports.conversation(exports.CAKE, "Cake", ["One?"], picture="file_0a1b2c3d4e5f")
    ended = chatkeep("import", exports.export(tmp_path / "export.zip", [cake]), "--json")
    assert ended.code == 0
    assert ended.json["attachments"] == {"stored": 0, "missing": 1}


def test_list(filled: Command) -> None:
    found = filled("list", "--json").json
    assert [one["title"] for one in found] == ["Boats", "A birthday cake"]
    for one in found:
        assert one.keys() >= {"id", "title", "platform", "created_at", "updated_at", "messages", "revision"}
    assert found[0]["created_at"] == "2024-03-09T16:00:00Z"
    assert len(filled("list", "--json", "--limit", 1).json) == 1
    assert filled("list", "--json", "--since", "2024-01-01").json == found[:1]
    assert filled("list", "--json", "--id", found[1]["id"][:6]).json == found[1:]
    assert filled("list", "--json", "--platform", "whatsapp").json == []


def test_search(filled: Command) -> None:
    found = filled("search", "forty", "--json").json
    assert found["total"] == 1
    (hit,) = found["hits"]
    assert hit.keys() >= {"conversation", "message", "title", "platform", "snippet", "sent_at"}
    assert (hit["title"], hit["platform"], hit["snippet"]) == ("A birthday cake", "chatgpt", "Forty minutes.")
    assert filled("search", "boat", "-small", "--json").code in (0, 2)
    assert filled("search", "nowhere", "--json").json == {"total": 0, "exact": True, "hits": []}


def test_show_prints_the_document_as_it_is_kept(filled: Command, home: Path) -> None:
    from chatkeep.archive import Archive

    with Archive.open(home) as archive:
        id = archive.listing()[0].id
        document = archive.document(id)
    assert filled("show", id[:8], "--document").out.encode() == document
    assert filled("show", id, "--json").json == json.loads(document)


@pytest.mark.parametrize("exporter", ["txt", "json", "markdown", "html"])
def test_export(filled: Command, tmp_path: Path, exporter: str) -> None:
    found = filled("export", "--format", exporter, "--out", tmp_path / "out", "--json").json
    assert found.items() >= {"conversations": 2, "messages": 5, "attachments": 1, "problems": []}.items()
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert found["files"] == len(files)
    assert found["bytes"] == sum(path.stat().st_size for path in files)


def test_export_of_a_selection_into_a_zip_a_file_and_a_pipe(filled: Command, tmp_path: Path) -> None:
    one = ("--since", "2024-01-01")
    assert filled("export", "-f", "markdown", "-o", tmp_path / "a.zip", *one, "--json").json["conversations"] == 1
    assert zipfile.is_zipfile(tmp_path / "a.zip")
    assert filled("export", "-f", "html", "-o", tmp_path / "a.html", *one, "--json").json["files"] == 1
    piped = filled("export", "-f", "txt", "-o", "-", *one, "--no-citations", "--times", "none", "--json")
    assert "A small one." in piped.out
    assert "birthday" not in piped.out
    assert json.loads(piped.err)["messages"] == 3


def test_a_json_export_holds_the_canonical_documents(filled: Command, tmp_path: Path) -> None:
    filled("export", "-f", "json", "-o", tmp_path / "out")
    for one in filled("list", "--json").json:
        (file,) = (tmp_path / "out").rglob(f"*{one['id']}*")
        assert filled("show", one["id"], "--document").out.encode() == file.read_bytes()


def test_an_export_that_the_format_cannot_fulfil_is_wrong_use(filled: Command, tmp_path: Path) -> None:
    assert filled("export", "-f", "json", "-o", tmp_path / "out", "--redact", "boat").code == 2
    assert filled("export", "-f", "txt", "-o", tmp_path / "out", "--zone", "Nowhere/There").code == 2
    assert filled("export", "-f", "txt", "-o", tmp_path / "out", "--rename", "Anna").code == 2
    assert not (tmp_path / "out").exists()


def test_connect_and_connections(filled: Command, place: Path) -> None:
    made = filled("connect", "folder", place, "--json").json
    assert made.keys() >= {"name", "provider", "account", "quota"}
    assert (made["name"], made["provider"], made["account"]) == ("folder", "folder", str(place))
    assert made["recovery_key"]
    (listed,) = filled("connections", "--json").json
    assert listed.keys() >= {"name", "provider", "account", "quota"}
    assert "recovery_key" not in listed
    assert filled("connections", "test", "--json").json["ok"]


def test_backup(backed_up: Command) -> None:
    found = backed_up("backup", "--json").json
    wanted = {"snapshot", "conversations", "new_documents", "bytes_sent", "requests", "verified"}
    assert found.keys() >= wanted
    assert (found["conversations"], found["new_documents"], found["verified"]) == (2, 0, True)


def test_snapshots(backed_up: Command) -> None:
    (found,) = backed_up("snapshots", "--json").json
    assert found.keys() >= {"id", "time", "device", "conversations", "messages"}
    assert (found["conversations"], found["messages"]) == (2, 5)


def test_restore(backed_up: Command) -> None:
    found = backed_up("restore", "--json").json
    assert found.keys() >= {"expected", "restored", "changed", "problems"}
    assert (found["expected"], found["restored"], found["changed"], found["problems"]) == (2, 2, 0, [])


def test_restore_beside_the_archive(backed_up: Command, tmp_path: Path) -> None:
    found = backed_up("restore", "--as-files", tmp_path / "all.zip", "--format", "txt", "--json").json
    assert (found["expected"], found["restored"], found["changed"], found["files"]) == (2, 2, 0, 3)
    assert (tmp_path / "all.zip").exists()
    found = backed_up("restore", "--into", tmp_path / "new", "--json").json
    assert (found["restored"], found["out"]) == (2, str(tmp_path / "new"))
    assert (tmp_path / "new" / "archive.sqlite3").exists()
    assert backed_up("restore", "--into", tmp_path / "new").code == 2
    assert backed_up("restore", "--into", tmp_path / "x", "--replace").code == 2
    assert "restored to" in backed_up("restore", "--as-files", tmp_path / "files").out


def test_drill(backed_up: Command) -> None:
    assert "never rehearsed" in backed_up("status").out
    found = backed_up("drill", "--json").json
    assert (found["ok"], found["compared"], found["as_here"], found["problems"]) == (True, 2, 2, [])
    assert "the restore works" in backed_up("drill", "--sample", "1").out
    status = backed_up("status", "--json").json
    assert status["places"][0]["drill_ok"]


def test_a_drill_that_fails_says_so_until_one_goes_well(backed_up: Command, place: Path) -> None:
    packs = [path for path in (place / "Vault" / "data").rglob("*") if path.is_file()]
    for pack in packs:
        pack.with_suffix(".away").write_bytes(pack.read_bytes())
        pack.write_bytes(bytes(pack.stat().st_size))
    assert backed_up("drill").code == 3
    assert not backed_up("status", "--json").json["safe"]
    for pack in packs:
        pack.with_suffix(".away").replace(pack)
    assert backed_up("drill").code == 0
    assert backed_up("status", "--json").json["safe"]


def test_a_wrong_request_is_not_noted_as_trouble_of_the_place(backed_up: Command) -> None:
    assert backed_up("restore", "--conversation", "ffffffff").code == 1
    assert backed_up("restore", "--snapshot", "ffff").code == 1
    (place,) = backed_up("connections", "--json").json
    assert place["state"] == "ready"


def test_check(backed_up: Command) -> None:
    found = backed_up("check", "--read-data", "--json").json
    assert found.keys() >= {"ok", "damaged", "missing", "read"}
    assert (found["ok"], found["damaged"], found["missing"]) == (True, 0, 0)
    assert backed_up("check", "--sample", "50", "--json").json["ok"]


def test_check_of_a_damaged_vault_ends_with_3(backed_up: Command, place: Path) -> None:
    pack = max((p for p in (place / "Vault" / "data").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes()[:-1])
    ended = backed_up("check", "--read-data", "--json")
    assert ended.code == 3
    assert not ended.json["ok"]
    assert ended.json["problems"]


def test_damage_that_a_check_found_is_not_called_safe_also_after_another_backup(
    backed_up: Command, place: Path
) -> None:
    assert backed_up("status", "--json").json["safe"]
    pack = max((p for p in (place / "Vault" / "data").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes()[:-1])
    backed_up("check", "--read-data", "--json")
    assert not backed_up("status", "--json").json["safe"]
    backed_up("backup", "--json")
    assert not backed_up("status", "--json").json["safe"]


def test_trash_and_undo(filled: Command) -> None:
    id = filled("list", "--json").json[0]["id"]
    assert filled("trash", id[:8], "--json").json == [{"id": id, "title": "Boats", "trashed": True}]
    assert [one["id"] for one in filled("list", "--json", "--trashed").json] == [id]
    assert filled("trash", "--back", id[:8], "--json").code == 0
    assert len(filled("list", "--json").json) == 2
    undone = filled("undo", "--json").json
    assert undone["undone"]["removed"] == 2
    assert filled("list", "--json").json == []
    assert filled("undo", "--list", "--json").json[0]["undone_at"]
    assert filled("undo", "--json").code == 1


def test_sync(backed_up: Command, place: Path, tmp_path: Path) -> None:
    found = backed_up("sync", "--json").json
    assert found.keys() >= {"pulled", "merged", "conflicts", "deleted", "pushed", "requests", "problems"}
    _other_machine(place, tmp_path, lambda other: take(other, *(talk(f"talk {n}", ["peas"]) for n in range(8))))
    found = backed_up("sync", "folder", "--json").json
    assert (found["pulled"], found["merged"], found["deleted"], found["problems"]) == (8, 8, 0, [])
    assert "in step with 1 other machine" in backed_up("sync").out
    ids = [talk(f"talk {n}").id for n in range(3)]
    _other_machine(place, tmp_path, lambda other: operations.delete(other, ids))
    ended = backed_up("sync", "--json")
    assert (ended.code, ended.json["held_back"]) == (3, 3)
    assert backed_up("sync", "--accept-deletions", "--json").json["deleted"] == 3


def _other_machine(place: Path, folder: Path, act: Callable[[Archive], object]) -> None:
    """Another machine with the same vault syncs, does something, and syncs."""
    counting = Counting(Folder(place, new=False))
    opened = vault.open_vault(counting, secret="open sesame")
    with Archive.open(folder / "other", device="desktop-7") as other:
        operations.sync(other, opened, host="desktop-7", counting=counting)
        act(other)
        operations.sync(other, opened, host="desktop-7", counting=counting)


def test_delete_asks_for_ids_or_the_trash(filled: Command) -> None:
    boats, cake = [one["id"] for one in filled("list", "--json").json]
    assert filled("delete").code == 2
    assert filled("delete", boats, "--trash").code == 2
    assert filled("delete", "ffffffff").code == 1
    assert filled("delete", boats[:8], "--json").json["conversations"] == 1
    filled("trash", cake)
    assert filled("delete", "--trash", "--yes").out.startswith("1 conversation deleted, 1 attachment")
    assert filled("list", "--json").json == []
    assert filled("conflicts", "--json").json == []


def test_forget_says_what_it_did_not_reach(backed_up: Command) -> None:
    boats, _ = [one["id"] for one in backed_up("list", "--json").json]
    assert backed_up("forget").code == 2
    assert backed_up("forget", "ffffffff", "--yes").code == 1
    ended = backed_up("forget", boats[:8], "--json")
    assert ended.code == 0
    assert (ended.json["conversations"], ended.json["rewritten"], ended.json["backups"]) == (1, 1, 0)
    assert len(backed_up("list", "--json").json) == 1
    assert backed_up("restore", "--conversation", boats, "--json").json["restored"] == 0


def test_conflicts_are_listed_and_settled(backed_up: Command, place: Path, tmp_path: Path) -> None:
    def edited(archive: Archive) -> None:
        take(archive, talk("garden", ["blue peas"]))

    def here() -> Archive:
        return Archive.open(Settings.from_environment().home)

    with here() as archive:
        take(archive, talk("garden", ["red peas"]))
    _other_machine(place, tmp_path, edited)
    assert backed_up("sync", "--json").json["conflicts"] == 1
    (conflict,) = backed_up("conflicts", "--json").json
    assert conflict.keys() >= {"id", "kind", "message", "versions", "title"}
    id, red = conflict["id"], next(raw for raw, text in conflict["versions"] if text == "red peas")
    assert "red peas" in backed_up("conflicts").out
    assert backed_up("conflicts", "--keep").code == 2
    assert backed_up("conflicts", id, "--choose", "ffff").code == 1
    assert backed_up("conflicts", "ffff", "--keep").code == 1
    assert backed_up("conflicts", id[:8], "--choose", red[:8], "--json").json == []
    assert "red peas" in backed_up("show", id).out
    assert len(backed_up("conflicts", id, "--undo", "--json").json) == 1
    assert backed_up("conflicts", id, "--keep").out == "Settled.\n"
    assert backed_up("conflicts").out == "Nothing differs.\n"


def test_status_and_keys_and_doctor(backed_up: Command) -> None:
    status = backed_up("status", "--json").json
    assert status.items() >= {"safe": True, "state": "safe", "conversations": 2, "messages": 5}.items()
    keys = backed_up("keys", "--json").json
    assert sorted(key["kind"] for key in keys["keys"]) == ["passphrase", "recovery-key"]
    assert backed_up("doctor", "--json").json["ok"]


def test_disconnect(backed_up: Command, place: Path) -> None:
    assert "stays" in backed_up("disconnect", "folder", "--json").json["what"]
    assert backed_up("connections", "--json").json == []
    assert (place / "Vault" / "config").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["list", "--nonsense"], 2),
        (["nonsense"], 2),
        (["import"], 2),
        ([], 2),
        (["list", "--since", "yesterday"], 2),
        (["restore", "--snapshot", "a", "--as-of", "2024-01-01"], 2),
        (["show", "ffff"], 1),
        (["backup"], 1),
        (["import", "nothing.zip"], 1),
        (["--help"], 0),
        (["--version"], 0),
        (["list"], 0),
    ],
)
def test_exit_codes_mean_something(chatkeep: Command, arguments: list[str], code: int) -> None:
    ended = chatkeep(*arguments)
    assert ended.code == code
    if code:
        assert ended.out == ""
        assert ended.err


def test_with_json_an_error_is_one_object_on_standard_error(chatkeep: Command, tmp_path: Path) -> None:
    picture = tmp_path / "holiday.jpg"
    picture.write_bytes(b"\xff\xd8\xff\xe0" + b"\0" * 500)
    ended = chatkeep("import", picture, "--json")
    assert (ended.code, ended.out) == (1, "")
    found = json.loads(ended.err)
    assert found["error"] == "UnknownFormat"
    assert "ChatGPT" in found["hint"]


def _commands(group: click.Group, path: str = "") -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        found.append((f"{path}{name}", command))
        if isinstance(command, click.Group):
            found += _commands(command, f"{path}{name} ")
    return found


def test_every_command_has_json_and_a_help() -> None:
    commands = _commands(cli)
    assert len(commands) > 18
    for name, command in commands:
        assert command.help, name
        if not (isinstance(command, click.Group) and not command.invoke_without_command):  # then its commands have it
            assert any("--json" in option.opts for option in command.params), name
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, f"{name} {option.opts}"
