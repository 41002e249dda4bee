"""`chatkeep server adopt`: a laptop's data folder comes into the archive of somebody on the server."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from archive.talks import take, talk
from archives import on_laptop
from chatkeep.cli.operating import server
from chatkeep.people.models import User

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_folder_comes_into_the_archive_of_a_person_and_the_counts_are_shown(home: Path, tmp_path: Path) -> None:
    User.objects.create(email="anna@example.org")
    with on_laptop(tmp_path / "laptop", device="laptop-1") as laptop:
        take(laptop, talk("garden", ["peas", "beans"]), talk("sea", ["boats"]))
    for _ in range(2):
        command = ["adopt", str(tmp_path / "laptop"), "--archive", "anna@example.org"]
        result = CliRunner().invoke(server, command, standalone_mode=False)
        assert (result.exception, result.return_value) == (None, 0)
        assert [line.split() for line in result.stdout.splitlines()][:2] == [
            ["conversations", "2", "given", "2", "here"],
            ["messages", "3", "given", "3", "here"],
        ]


def test_a_person_who_is_not_there_is_named(home: Path, tmp_path: Path) -> None:
    on_laptop(tmp_path / "laptop").close()
    result = CliRunner().invoke(
        server, ["adopt", str(tmp_path / "laptop"), "--archive", "nobody"], standalone_mode=False
    )
    assert "nobody" in str(result.exception)
