"""`chatkeep server adopt`: a laptop's data folder comes into the archive of somebody on the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from archive.talks import take, talk
from archives import on_laptop
from chatkeep.archive import Archive
from chatkeep.cli.operating import server
from chatkeep.connections.keeping import TOKENS
from chatkeep.connections.models import Connection
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import Secrets
from chatkeep.errors import Damaged
from chatkeep.jobs.means import means_of
from chatkeep.jobs.models import Schedule, Why
from chatkeep.people import belonging
from chatkeep.people.models import User
from chatkeep.settings import Settings

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


def adopted(laptop: Path) -> dict[str, Any]:
    result = CliRunner().invoke(
        server, ["adopt", str(laptop), "--archive", "anna@example.org", "--json"], standalone_mode=False
    )
    assert (result.exception, result.return_value) == (None, 0)
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def texts(archive: Archive) -> dict[str, list[str]]:
    return {one.title: [message.parts[0].text for message in one.messages] for one in archive.documents()}


@pytest.fixture
def anna(home: Path) -> User:
    return User.objects.create(email="anna@example.org")


def test_what_was_imported_on_the_laptop_is_undone_on_the_server(anna: User, tmp_path: Path) -> None:
    with on_laptop(tmp_path / "laptop", device="laptop-1") as laptop:
        take(laptop, talk("garden", ["peas"]), talk("hill", ["sheep"]))
        take(laptop, talk("garden", ["peas", "beans"]), talk("sea", ["boats"]))
        take(laptop, talk("hill", ["sheep"]), importer="test/2")  # had it as well
        told = [(one.at, one.source, one.added, one.updated) for one in laptop.receipts()]
    for _ in range(2):
        assert adopted(tmp_path / "laptop")["receipts"] == {"given": 3, "here": 3}
    means = means_of(Settings.from_environment())
    archive = means.archive_of(belonging.archive_of(anna))
    assert [(one.at, one.source, one.added, one.updated) for one in archive.receipts()] == told
    _, second, first = archive.receipts()
    archive.undo(second.id)
    assert texts(archive) == {"About garden": ["peas"], "About hill": ["sheep"]}
    archive.undo(first.id)
    assert texts(archive) == {"About hill": ["sheep"]}
    assert archive.check() == []
    means.close()


def test_receipts_do_not_come_between_those_of_an_archive_that_has_some(anna: User, tmp_path: Path) -> None:
    means = means_of(Settings.from_environment())
    archive = means.archive_of(belonging.archive_of(anna))
    mine = take(archive, talk("garden", ["peas"]), importer="mine/1")
    with on_laptop(tmp_path / "laptop", device="laptop-1") as laptop:
        take(laptop, talk("garden", ["peas", "beans"]), talk("sea", ["boats"]))
    report = adopted(tmp_path / "laptop")
    assert (report["receipts"], report["conversations"]) == ({"given": 1, "here": 0}, {"given": 2, "here": 2})
    assert [one.id for one in archive.receipts()] == [mine.id]
    means.close()


ON_A_LAPTOP = """
import sys
from pathlib import Path
from chatkeep.connections import start
home = Path(sys.argv[1])
start.start(home)
from chatkeep.connections.keeping import TOKENS
from chatkeep.connections.models import Connection
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import Secrets
cloud = Connection(name="dropbox", provider="dropbox", account="anna", account_id="dbid:1", location={"folder": "C"})
cloud.tokens = Safe(Secrets(home)).seal(b"the sign-in", place=cloud.place(TOKENS))
cloud.save()
Connection.objects.create(name="stick", provider="folder", account="/media/stick", location={"path": "/media/stick"})
"""


def test_accounts_at_clouds_come_sealed_anew_and_paused(anna: User, tmp_path: Path) -> None:
    laptop = tmp_path / "laptop"
    on_laptop(laptop).close()
    quiet = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "CHATKEEP_KEY")}
    env = {**quiet, "PYTHONPATH": os.pathsep.join(sys.path), "CHATKEEP_HOME": str(laptop)}
    subprocess.run([sys.executable, "-c", ON_A_LAPTOP, str(laptop)], env=env, check=True)
    for _ in range(2):
        report = adopted(laptop)["connections"]
        assert (report["given"], report["here"]) == (2, 1)
        assert [one["where"] for one in report["left"]] == ["connection stick"]
        [cloud] = Connection.objects.filter(archive=belonging.archive_of(anna))
    assert (cloud.name, cloud.provider, cloud.account_id) == ("dropbox", "dropbox", "dbid:1")
    means = means_of(Settings.from_environment())
    safe = means.installation_of(cloud.archive).safe
    assert safe.unseal(bytes(cloud.tokens), place=cloud.place(TOKENS)) == b"the sign-in"
    with pytest.raises(Damaged):
        Safe(Secrets(laptop)).unseal(bytes(cloud.tokens), place=cloud.place(TOKENS))
    means.close()
    paused = set(Schedule.objects.filter(subject=cloud.subject).values_list("paused_for", flat=True))
    assert paused == {Why.PERSON}


def test_a_sign_in_that_does_not_open_is_told_and_does_not_come(anna: User, tmp_path: Path) -> None:
    laptop = tmp_path / "laptop"
    on_laptop(laptop).close()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CHATKEEP_HOME": str(laptop), "DATABASE_URL": ""}
    subprocess.run([sys.executable, "-c", ON_A_LAPTOP, str(laptop)], env=env, check=True)
    (laptop / "secret.key").unlink()
    report = adopted(laptop)["connections"]
    assert (report["here"], len(report["left"])) == (0, 2)
    assert not Connection.objects.filter(archive=belonging.archive_of(anna)).exists()
    assert not (laptop / "secret.key").exists()
