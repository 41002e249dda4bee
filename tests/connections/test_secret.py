"""The secret of an installation, and the safe that it locks."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import FILE, Secret, read_secret
from chatkeep.errors import Damaged, WrongUse

LONG = "a secret that is long enough for this test"


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    first = read_secret(tmp_path / "home")
    assert read_secret(tmp_path / "home").key("x") == first.key("x")
    assert (tmp_path / "home" / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == [FILE]
    assert read_secret(tmp_path / "another").key("x") != first.key("x")


def test_programs_that_start_at_the_same_moment_agree(tmp_path: Path) -> None:
    found: set[bytes] = set()
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        found.add(read_secret(tmp_path).key("x"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1


def test_purposes_have_keys_of_their_own() -> None:
    secret = Secret(LONG)
    assert secret.key("pages") != secret.key("token safe")
    assert len(secret.key("pages")) == 32


def test_a_secret_from_outside_needs_no_file(tmp_path: Path) -> None:
    assert read_secret(tmp_path, given=LONG).key("x") == Secret(LONG).key("x")
    assert list(tmp_path.iterdir()) == []


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(WrongUse, match="CHATKEEP_KEY"):
        read_secret(Path(), given="short")


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 64])
def test_a_file_that_holds_no_secret_is_said_so_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(Damaged):
        read_secret(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def test_nothing_secret_is_shown() -> None:
    assert LONG not in repr(Secret(LONG))


def test_a_sealed_value_opens_in_its_place_alone() -> None:
    safe = Safe(Secret(LONG))
    sealed = safe.seal(b"token", place="connection/1/tokens")
    assert safe.unseal(sealed, place="connection/1/tokens") == b"token"
    assert b"token" not in sealed
    with pytest.raises(Damaged):
        safe.unseal(sealed, place="connection/2/tokens")
    with pytest.raises(Damaged):
        Safe(Secret(LONG + "!")).unseal(sealed, place="connection/1/tokens")


def test_a_value_sealed_twice_looks_different() -> None:
    safe = Safe(Secret(LONG))
    assert safe.seal(b"token", place="x") != safe.seal(b"token", place="x")


def test_changed_bytes_never_open() -> None:
    safe = Safe(Secret(LONG))
    sealed = safe.seal(b"token", place="x")
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(Damaged):
            safe.unseal(changed, place="x")
    with pytest.raises(Damaged):
        safe.unseal(b"", place="x")
