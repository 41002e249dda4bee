"""Dropbox from a terminal, from the consent to the day everything is restored."""

from __future__ import annotations

import io
import re
import sys
import urllib.request

import pytest

from chatkeep.connections import consenting
from fakes.given import Cloud

from .conftest import Command


@pytest.fixture
def cloud(dropbox_fake: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Dropbox, with an app that the operator gave; who is sent there agrees, and copies the code that is shown."""
    dropbox_fake.fake.consent.automatic = "allow"
    monkeypatch.setenv("CHATKEEP_CLOUD_BASE", dropbox_fake.url)
    monkeypatch.setenv("CHATKEEP_DROPBOX_CLIENT_ID", "cid")
    monkeypatch.setenv("CHATKEEP_PASSPHRASE", "open sesame")
    asked = consenting.address_of

    def answered(row: object, here: object) -> str:
        address = asked(row, here)  # type: ignore[arg-type]
        with urllib.request.urlopen(address) as page:
            code = re.search(r'<code id="code">([^<]+)<', page.read().decode())
        assert code
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{code[1]}\n"))
        return address

    monkeypatch.setattr(consenting, "address_of", answered)
    return dropbox_fake


def test_a_vault_is_made_filled_checked_and_restored(filled: Command, cloud: Cloud) -> None:
    made = filled("connect", "dropbox", "--no-browser", "--json").json
    assert (made["provider"], made["account"]) == ("dropbox", "alice@example.com")
    assert made["quota"]["total"] == 2 * 2**30
    report = filled("backup", "--json").json
    assert (report["conversations"], report["verified"]) == (2, True)
    files = cloud.fake.files()
    assert "/Chatkeep/README.txt" in files
    assert any(path.startswith("/Chatkeep/Vault/data/") for path in files)
    assert filled("check").code == 0
    assert filled("connections", "test").code == 0
    assert filled("backup", "--json").json["unchanged"]
    before = cloud.journal.count()
    assert filled("backup", "--json").json["unchanged"]
    # a look by the feed whether this device was copied, one for the vault, and the snapshot read back
    assert len(cloud.journal.lines()[before:]) <= 2, cloud.journal.lines()[before:]
    ended = filled("restore", "--json")
    assert ended.code == 0, ended.err


def test_a_removed_app_is_told_and_connected_anew(filled: Command, cloud: Cloud) -> None:
    filled("connect", "dropbox", "--no-browser")
    cloud.fake.consent.revoke_all()
    assert filled("backup").code == 1
    assert "chatkeep reconnect dropbox" in filled("status").out
    assert filled("reconnect", "--no-browser").code == 0
    assert filled("backup").code == 0
    left = filled("disconnect", "dropbox", "--json").json
    assert left["revoked"]
    assert cloud.fake.consent.live_grants() == []
    assert any(path.startswith("/Chatkeep/Vault/") for path in cloud.fake.files())
