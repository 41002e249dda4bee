"""Replacing the secret: everything opens with the new one, nothing with the old; a crash in between loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.apps import apps
from django.db import models

from chatkeep.connections import rotating
from chatkeep.connections.models import Connection, Consent, Note
from chatkeep.connections.rotating import SEALED, replace_secret
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import FILE, Secret, Secrets
from chatkeep.errors import Damaged

pytestmark = pytest.mark.django_db

FIRST = "the first secret, which is long enough"
SECOND = "the second secret, also long enough"


def fill(safe: Safe) -> list[tuple[models.Model, str, str]]:
    """A row of each kind with each of its sealed fields filled; of each its row, field and place."""
    rows: list[models.Model] = [
        Connection(name="a", provider="p"),
        Connection(name="b", provider="p"),
        Consent(provider="p"),
        Note(owner="c", key="upload/1"),
    ]
    found = [(row, field, row.place(place)) for row in rows for field, place in SEALED[type(row)].items()]  # type: ignore[attr-defined]
    for row, field, place in found:
        setattr(row, field, safe.seal(f"value of {place}".encode(), place=place))
    for row in rows:
        row.save()
    return found


def opens(safe: Safe, found: list[tuple[models.Model, str, str]]) -> bool:
    for row, field, place in found:
        row.refresh_from_db()
        try:
            if safe.unseal(bytes(getattr(row, field)), place=place) != f"value of {place}".encode():
                return False
        except Damaged:
            return False
    return True


def test_every_binary_field_is_among_the_sealed_ones() -> None:
    binary = {
        (model, field.name)
        for app in ("connections", "api", "watching")
        for model in apps.get_app_config(app).get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.BinaryField)
    }
    assert binary == {(model, field) for model, fields in SEALED.items() for field in fields}


def test_all_is_sealed_anew_and_the_old_secret_opens_nothing(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    found = fill(Safe(secrets))
    old = (tmp_path / FILE).read_text().strip()
    assert replace_secret(secrets) == len(found)
    assert len((tmp_path / FILE).read_text().split()) == 1
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert opens(Safe(secrets), found)
    assert opens(Safe(Secrets(tmp_path)), found)
    assert not opens(Safe(Secret(old)), found)


def test_a_program_that_runs_meanwhile_reads_the_new_secret_by_itself(tmp_path: Path) -> None:
    running = Safe(Secrets(tmp_path))
    found = fill(running)
    replace_secret(Secrets(tmp_path))
    assert opens(running, found)
    assert Safe(Secrets(tmp_path)).unseal(running.seal(b"later", place="x"), place="x") == b"later"


def test_empty_fields_stay_empty(tmp_path: Path) -> None:
    row = Connection.objects.create(name="folder", provider="folder")
    assert replace_secret(Secrets(tmp_path)) == 0
    row.refresh_from_db()
    assert bytes(row.tokens) == b""


def test_a_crash_before_all_is_sealed_leaves_both_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = fill(Safe(Secrets(tmp_path)))

    def crash(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rotating, "_seal_anew", crash)
        with pytest.raises(KeyboardInterrupt):
            replace_secret(Secrets(tmp_path))
    assert opens(Safe(Secrets(tmp_path)), found)
    replace_secret(Secrets(tmp_path))
    assert opens(Safe(Secrets(tmp_path)), found)
    assert len((tmp_path / FILE).read_text().split()) == 1


def test_a_crash_before_the_old_secret_is_dropped_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = fill(Safe(Secrets(tmp_path)))

    def crash(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Secrets, "drop_old", crash)
        with pytest.raises(KeyboardInterrupt):
            replace_secret(Secrets(tmp_path))
    assert opens(Safe(Secrets(tmp_path)), found)


def test_a_value_that_nothing_opens_stops_it_and_the_old_secret_stays(tmp_path: Path) -> None:
    found = fill(Safe(Secrets(tmp_path)))
    Note.objects.create(owner="x", key="y", value=Safe(Secret(FIRST)).seal(b"z", place="nowhere"))
    with pytest.raises(Damaged):
        replace_secret(Secrets(tmp_path))
    assert opens(Safe(Secrets(tmp_path)), found)


def test_a_secret_from_outside_is_replaced_by_naming_the_one_before(tmp_path: Path) -> None:
    found = fill(Safe(Secrets(tmp_path, given=FIRST)))
    between = Secrets(tmp_path, given=SECOND, before=FIRST)
    assert opens(Safe(between), found)
    replace_secret(between)
    assert opens(Safe(Secrets(tmp_path, given=SECOND)), found)
    assert not opens(Safe(Secrets(tmp_path, given=FIRST)), found)
    assert list(tmp_path.iterdir()) == []


def test_the_file_gives_way_to_a_secret_from_outside_and_the_other_way(tmp_path: Path) -> None:
    found = fill(Safe(Secrets(tmp_path)))
    outside = Secrets(tmp_path, given=FIRST)
    assert opens(Safe(outside), found)
    replace_secret(outside)
    assert not (tmp_path / FILE).exists()
    assert opens(Safe(outside), found)
    back = Secrets(tmp_path, before=FIRST)
    assert opens(Safe(back), found)
    replace_secret(back)
    assert opens(Safe(Secrets(tmp_path)), found)
    assert not opens(Safe(Secret(FIRST)), found)
