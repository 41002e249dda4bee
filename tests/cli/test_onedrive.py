"""OneDrive from a terminal, from the consent to the restore, also where Microsoft refuses the app folder."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator

import pytest

from chatkeep.cli import consenting
from fakes.given import Cloud

from .conftest import Command

HOME = "Apps/Chatkeep/Chatkeep"


@pytest.fixture
def cloud(microsoft_fake: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """OneDrive, an app that the operator gave, and a browser whose owner agrees to everything."""
    microsoft_fake.fake.consent.automatic = "allow"
    monkeypatch.setenv("CHATKEEP_CLOUD_BASE", microsoft_fake.url)
    monkeypatch.setenv("CHATKEEP_ONEDRIVE_CLIENT_ID", "cid")
    monkeypatch.setenv("CHATKEEP_PASSPHRASE", "open sesame")
    visits: list[threading.Thread] = []

    def visit(address: str) -> None:
        try:
            urllib.request.urlopen(address, timeout=20).close()
        except urllib.error.HTTPError as error:
            error.close()

    def opened(address: str) -> bool:
        visits.append(threading.Thread(target=visit, args=(address,)))
        visits[-1].start()
        return True

    monkeypatch.setattr(webbrowser, "open", opened)
    yield microsoft_fake
    for visiting in visits:
        visiting.join()


def test_a_vault_is_made_filled_checked_and_restored(filled: Command, cloud: Cloud) -> None:
    made = filled("connect", "onedrive", "--json").json
    assert (made["provider"], made["account"]) == ("onedrive", "alice@outlook.example")
    assert made["quota"]["total"] == 5 * 2**30
    report = filled("backup", "--json").json
    assert (report["conversations"], report["verified"]) == (2, True)
    files = cloud.fake.files()
    assert f"{HOME}/README.txt" in files
    assert any(path.startswith(f"{HOME}/Vault/data/") for path in files)
    assert filled("check").code == 0
    assert filled("connections", "test").code == 0
    assert filled("backup", "--json").json["unchanged"]
    with cloud.journal.counted() as lines:
        report = filled("backup", "--json").json
    assert report["unchanged"]
    # One for what changed, and two to read the snapshot back: an object is fetched from where the first answer points.
    assert report["requests"] == len(lines) <= 2, "\n".join(lines)
    ended = filled("restore", "--json")
    assert ended.code == 0, ended.err


def test_where_the_app_folder_is_refused_more_is_asked_for_and_nothing_else_is_used(
    filled: Command, cloud: Cloud
) -> None:
    cloud.fake.approot_regression = True
    cloud.fake.write("Documents/private.txt", b"not ours")
    ended = filled("connect", "onedrive")
    assert ended.code == 0, ended.err
    assert "all your files" in ended.err
    asked = cloud.journal.lines("/authorize")
    assert ["Files.ReadWrite.AppFolder" in line for line in asked] == [True, False]
    assert filled("backup").code == 0
    assert all(path.startswith((HOME, "Documents/")) for path in cloud.fake.files())


def test_a_consent_that_was_ended_is_told_and_given_anew(filled: Command, cloud: Cloud) -> None:
    filled("connect", "onedrive")
    cloud.fake.consent.revoke_all()
    assert filled("backup").code == 1
    assert "chatkeep reconnect onedrive" in filled("status").out
    assert filled("reconnect").code == 0
    assert filled("backup").code == 0
    left = filled("disconnect", "onedrive")
    assert "https://account.live.com/consent/Manage" in left.out + left.err
    assert any(path.startswith(f"{HOME}/Vault/") for path in cloud.fake.files())


def test_a_code_typed_on_another_device_connects(
    filled: Command, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = cloud.fake.clock()
    cloud.fake.clock = lambda: now

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        for typed in cloud.fake.consent._typed:
            cloud.fake.consent.decide_device(typed)

    monkeypatch.setattr(consenting.time, "sleep", sleep)
    ended = filled("connect", "onedrive", "--no-browser")
    assert ended.code == 0, ended.err
    assert "type this code" in ended.err
    assert filled("backup").code == 0
