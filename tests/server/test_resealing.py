"""Second factors when the secret of the installation is replaced: all open with the new one, and none is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.db import OperationalError, connection

from chatkeep.connections.rotating import replace_secret
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import Secrets
from chatkeep.errors import Damaged
from chatkeep.people import resealing
from chatkeep.people.accounts import PLACE
from chatkeep.people.models import User
from chatkeep.people.resealing import seal_anew

pytestmark = pytest.mark.usefixtures("tables")
OLD = "the secret before, which is long enough"
NEW = "the secret after, which is long enough as well"


@pytest.fixture
def kept() -> dict[int, dict[str, Any]]:
    """Second factors of two people, sealed with the old secret; by key, what is sealed in each."""
    safe = Safe(Secrets(Path("nowhere"), given=OLD))

    def sealed(text: str) -> str:
        return safe.seal(text.encode(), place=PLACE).hex()

    made = {}
    for name in ("ana", "bea"):
        user = User.objects.create(email=f"{name}@example.org")
        rows: list[tuple[str, dict[str, Any]]] = [
            ("totp", {"secret": f"app of {name}"}),
            ("recovery_codes", {"seed": f"codes of {name}", "migrated_codes": [f"one of {name}", f"two of {name}"]}),
            ("webauthn", {}),
        ]
        for kind, plain in rows:
            data = {
                key: [sealed(one) for one in value] if isinstance(value, list) else sealed(value)
                for key, value in plain.items()
            }
            row = Authenticator.objects.create(user=user, type=kind, data=data | {"name": "mine"})
            made[row.pk] = plain
    return made


def opened(safe: Safe, data: dict[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(one) for one in value]
        return safe.unseal(bytes.fromhex(value), place=PLACE).decode()

    return {key: plain(value) for key, value in data.items() if key != "name"}


def all_open(secret: str, kept: dict[int, dict[str, Any]]) -> bool:
    safe = Safe(Secrets(Path("nowhere"), given=secret))
    try:
        return {row.pk: opened(safe, row.data) for row in Authenticator.objects.all()} == kept
    except Damaged:
        return False


def test_all_open_with_the_new_secret_alone(kept: dict[int, dict[str, Any]], tmp_path: Path) -> None:
    assert all_open(OLD, kept)
    assert replace_secret(Secrets(tmp_path, given=NEW, before=OLD), also=seal_anew) == 6
    assert all_open(NEW, kept)
    assert not all_open(OLD, kept)
    assert {row.data["name"] for row in Authenticator.objects.all()} == {"mine"}


def test_cut_off_in_the_middle_all_still_open_and_it_is_done_again(
    kept: dict[int, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = Secrets(tmp_path, given=NEW, before=OLD)
    sealed, real = [], resealing._anew

    def until_the_fourth(value: Any, safe: Safe) -> Any:
        sealed.append(value)
        if len(sealed) == 4:
            raise KeyboardInterrupt
        return real(value, safe)

    with monkeypatch.context() as patched:
        patched.setattr(resealing, "_anew", until_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            replace_secret(secrets, also=seal_anew)
    assert all_open(OLD, kept)
    replace_secret(secrets, also=seal_anew)
    assert all_open(NEW, kept)


def test_nobody_changes_a_second_factor_between_its_reading_and_its_sealing(
    kept: dict[int, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, real = [], resealing._anew
    wanted = min(kept)

    def while_somebody_writes(value: Any, safe: Safe) -> Any:
        if not outcome:
            writer = threading.Thread(target=write, args=(wanted, outcome.append))
            writer.start()
            writer.join()
        return real(value, safe)

    monkeypatch.setattr(resealing, "_anew", while_somebody_writes)
    replace_secret(Secrets(tmp_path, given=NEW, before=OLD), also=seal_anew)
    assert outcome == ["waits"]
    assert all_open(NEW, kept)


def write(pk: int, tell: Callable[[str], None]) -> None:
    """Change a row from another connection, or tell that it would have to wait."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
        Authenticator.objects.filter(pk=pk).update(data={})
        tell("wrote")
    except OperationalError:
        tell("waits")
    finally:
        connection.close()
