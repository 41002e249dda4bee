"""Connecting a folder: a vault is made or joined, nobody is asked again, and letting go deletes nothing there."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec
import pytest
from django.db import connection as database

from chatkeep import vault
from chatkeep.connections import connecting, looking, opening
from chatkeep.connections.connecting import Connected
from chatkeep.connections.installation import Installation
from chatkeep.connections.kit import emergency_kit
from chatkeep.connections.models import Connection, Device
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import Secret
from chatkeep.errors import Damaged, NotFound, Refused, Unavailable, WrongPassphrase, WrongUse
from chatkeep.vault import RecoveryKey

pytestmark = pytest.mark.django_db

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


def connect(place: Path, installation: Installation, **more: object) -> Connected:
    return connecting.connect("folder", {"path": str(place)}, installation=installation, **more)  # type: ignore[arg-type]


def open_id(installation: Installation, name: str = "") -> str:
    with opening.opened(opening.connection(name), installation) as opened:
        return opened.vault.id


def test_a_new_place_gets_a_vault_with_a_recovery_key(place: Path, installation: Installation) -> None:
    made = connect(place, installation)
    assert (made.name, made.provider, made.account, made.joined) == ("folder", "folder", str(place), False)
    assert made.quota
    assert made.quota.total >= made.quota.free > 0
    RecoveryKey.parse(made.recovery_key)
    assert made.recovery_key not in repr(made)
    assert open_id(installation) == made.vault


def test_the_database_holds_no_key_in_the_clear(place: Path, installation: Installation) -> None:
    made = connect(place, installation, passphrase=PASSPHRASE)
    with opening.opened(opening.connection(), installation) as opened:
        key = opened.vault.master_key.to_bytes()
    with database.cursor() as cursor:
        cursor.execute("SELECT * FROM connections_connection")
        row = b"|".join(bytes(v) if isinstance(v, bytes | memoryview) else str(v).encode() for v in cursor.fetchone())
    assert str(place).encode() in row  # the control: what is there is found
    for secret in (key, key[:32], key.hex().encode(), made.recovery_key.encode(), PASSPHRASE.encode()):
        assert secret not in row


def test_a_vault_that_is_there_is_joined_by_passphrase_or_recovery_key(place: Path, installation: Installation) -> None:
    made = connect(place, installation, passphrase=PASSPHRASE)
    for secret in (PASSPHRASE, made.recovery_key, made.recovery_key.lower().replace("-", " ")):
        connecting.disconnect(opening.connection(), installation)
        joined = connect(place, installation, passphrase=secret)
        assert (joined.joined, joined.recovery_key, joined.vault) == (True, "", made.vault)


def test_a_person_is_asked_only_when_there_is_a_vault_and_no_secret(place: Path, installation: Installation) -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append("once")
        return PASSPHRASE

    connect(place, installation, passphrase=PASSPHRASE, ask=ask)
    assert asked == []
    connecting.disconnect(opening.connection(), installation)
    assert connect(place, installation, ask=ask).joined
    assert asked == ["once"]


def test_without_the_right_secret_nothing_is_connected(place: Path, installation: Installation) -> None:
    connect(place, installation, passphrase=PASSPHRASE)
    connecting.disconnect(opening.connection(), installation)
    with pytest.raises(WrongUse, match="passphrase or recovery key"):
        connect(place, installation)
    with pytest.raises(WrongPassphrase):
        connect(place, installation, passphrase="another")
    assert not Connection.objects.exists()


def test_a_name_or_a_place_is_connected_once(place: Path, installation: Installation, tmp_path: Path) -> None:
    connect(place, installation, name="stick")
    with pytest.raises(WrongUse, match="already"):
        connect(tmp_path / "second", installation, name="stick")
    with pytest.raises(WrongUse, match="'stick'"):
        connect(place, installation, name="other")
    assert not (tmp_path / "second").exists()


def test_places_without_a_name_are_numbered(installation: Installation, tmp_path: Path) -> None:
    names = [connect(tmp_path / f"place-{number}", installation).name for number in range(3)]
    assert names == ["folder", "folder-2", "folder-3"]


def test_a_name_must_say_which_of_several(installation: Installation, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="Nothing is connected"):
        opening.connection()
    first = connect(tmp_path / "a", installation, name="a")
    assert opening.connection().vault_id == first.vault
    connect(tmp_path / "b", installation, name="b")
    with pytest.raises(WrongUse, match="say which"):
        opening.connection()
    with pytest.raises(NotFound, match="'c'"):
        opening.connection("c")


def test_disconnecting_deletes_nothing_at_the_place(place: Path, installation: Installation) -> None:
    made = connect(place, installation, passphrase=PASSPHRASE)
    before = sorted(path.relative_to(place) for path in place.rglob("*"))
    said = connecting.disconnect(opening.connection(), installation).what
    assert "stays" in said
    assert str(place) in said
    assert sorted(path.relative_to(place) for path in place.rglob("*")) == before
    assert connect(place, installation, passphrase=PASSPHRASE).vault == made.vault


def test_a_test_writes_reads_deletes_and_looks_for_the_vault(place: Path, installation: Installation) -> None:
    connect(place, installation)
    before = sorted(place.rglob("*"))
    tested = looking.test(opening.connection(), installation)
    assert (tested.ok, tested.steps) == (True, ["open", "write", "read", "delete", "vault"])
    assert sorted(place.rglob("*")) == before


def test_a_test_says_what_is_wrong(place: Path, installation: Installation) -> None:
    connect(place, installation)
    (place / "Vault" / "config").unlink()
    tested = looking.test(opening.connection(), installation)
    assert not tested.ok
    assert "no longer" in tested.what
    place.rename(place.with_name("moved"))
    tested = looking.test(opening.connection(), installation)
    assert (tested.ok, tested.steps) == (False, [])
    assert not place.exists()


def test_a_place_that_lies_is_not_connected(
    place: Path, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatkeep.providers.folder.Folder.get", lambda *_, **__: b"something else")
    with pytest.raises(Damaged):
        connect(place, installation)
    assert not Connection.objects.exists()
    assert not (place / "Vault").exists()


def test_remains_of_something_else_are_not_touched(place: Path, installation: Installation) -> None:
    (place / "Vault").mkdir(parents=True)
    (place / "Vault" / "thesis.odt").write_bytes(b"mine")
    with pytest.raises(Refused):
        connect(place, installation)
    assert (place / "Vault" / "thesis.odt").read_bytes() == b"mine"


def test_trouble_is_noted_and_goes_when_it_is_over(place: Path, installation: Installation) -> None:
    connect(place, installation)
    place.rename(place.with_name("moved"))
    with pytest.raises(Unavailable), opening.opened(opening.connection(), installation):
        pass
    assert "not there" in opening.connection().trouble
    place.with_name("moved").rename(place)
    opening.note_backup(opening.connection(), {"conversations": 3}, change=7)
    again = opening.connection()
    assert (again.trouble, again.backed_up_change) == ("", 7)


def test_with_another_secret_the_vault_does_not_open(place: Path, installation: Installation) -> None:
    connect(place, installation)
    with pytest.raises(Damaged, match="secret"):
        open_id(replace(installation, safe=Safe(Secret("another secret, also long enough"))))


def test_the_device_keeps_its_name_and_suffix(installation: Installation) -> None:
    first = opening.this_device("Anna's Büro")
    assert first.host.startswith("anna-s-b-ro-")
    assert opening.this_device("renamed").host == first.host
    assert Device.objects.count() == 1
    assert Device(name="日本").host.startswith("device-")


def test_the_emergency_kit_holds_what_opens_the_vault_elsewhere(place: Path, installation: Installation) -> None:
    made = connect(place, installation)
    page = emergency_kit(
        msgspec.structs.replace(made, account="/media/my stick"),
        vault=made.vault,
        recovery_key=made.recovery_key,
        made=date(2026, 11, 22),
    )
    assert made.recovery_key in page
    assert "restic -r '/media/my stick/Vault' restore latest" in page
    assert "chatkeep connect folder '/media/my stick'" in page
    assert max(map(len, page.splitlines())) <= 100
    assert vault.exists(opening.open_storage(opening.connection(), installation))


@pytest.mark.parametrize(
    ("provider", "location", "command"),
    [
        ("google-drive", {"folder": "Chatkeep"}, "chatkeep connect google-drive\n"),
        ("dropbox", {"folder": "My chats"}, "chatkeep connect dropbox --folder 'My chats'\n"),
        (
            "onedrive",
            {"folder": "Chats", "client_id": "my-app"},
            "chatkeep connect onedrive --folder Chats --client-id my-app\n",
        ),
        (
            "s3",
            {"address": "https://s3.example", "bucket": "b", "region": "r", "access_key": "AK", "folder": "Chatkeep"},
            "chatkeep connect s3 https://s3.example --bucket b --region r --access-key AK\n",
        ),
        (
            "webdav",
            {"address": "https://dav.example/my files", "user": "ana"},
            "chatkeep connect webdav 'https://dav.example/my files' --user ana\n",
        ),
    ],
)
def test_the_kit_leads_to_the_same_folder(provider: str, location: dict[str, str], command: str) -> None:
    """Without it a new and empty vault would be made beside the one that is wanted."""
    place = Connection(name="cloud", provider=provider, account="alice@example.com", location=location)
    page = emergency_kit(place, vault="0" * 64, recovery_key="KEY", made=date(2026, 11, 22))
    assert command in page
    assert ("folder" not in location) == (", folder " not in page)
