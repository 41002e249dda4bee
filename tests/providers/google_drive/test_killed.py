"""A process that is killed in the middle of sending, for good, and the next one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatkeep.errors import NotFound
from chatkeep.providers.google_drive import SIGN_IN, GoogleDrive
from chatkeep.providers.google_drive.uploads import UNIT
from chatkeep.testing.storage_suite import sample
from fakes.given import Cloud, means

ROOT = Path(__file__).parents[3]
SESSION = "PUT .*upload_id="
SIZE = 20_000_000


class KeptNotes:
    """Notes that outlive the process: a file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def get(self, key: str) -> bytes | None:
        path = self.folder / key
        return path.read_bytes() if path.exists() else None

    def put(self, key: str, value: bytes) -> None:
        (self.folder / "new").write_bytes(value)
        (self.folder / "new").replace(self.folder / key)

    def drop(self, key: str) -> None:
        (self.folder / key).unlink(missing_ok=True)


_SENDING = """
import sys
from pathlib import Path
from chatkeep.providers.google_drive import SIGN_IN, GoogleDrive
from chatkeep.providers.http import Endpoints, Gate
from chatkeep.providers.oauth import Access, Client, Tokens
from chatkeep.providers.provider import Means
from chatkeep.testing.storage_suite import sample
from fakes.given import MemoryTokens
from tests.providers.google_drive.test_killed import SIZE, KeptNotes
base, token, notes = sys.argv[1:]
endpoints = Endpoints(base)
access = Access(SIGN_IN, Client("cid", "csec"), MemoryTokens(Tokens(token, "", 9e9, ())), endpoints)
storage = GoogleDrive(Means(access, KeptNotes(Path(notes)), endpoints, Gate()), new=True)
storage.put("Vault/small", b"x")
storage.put("Vault/pack", sample(SIZE))
"""


def test_what_was_sent_before_the_kill_is_not_sent_again(google_fake: Cloud, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    env = {**os.environ, "PYTHONPATH": "src:tests:."}
    command = [sys.executable, "-c", _SENDING, google_fake.url, google_fake.fake.issue().access, str(notes)]
    sending: list[subprocess.Popen[bytes]] = []
    google_fake.faults.cut(SESSION, after=31 * UNIT + 17, then=lambda: sending[0].kill())
    with subprocess.Popen(command, env=env, cwd=ROOT) as process:
        sending.append(process)
    assert process.returncode == -9
    storage = GoogleDrive(means(google_fake, SIGN_IN, notes=KeptNotes(notes)))
    with pytest.raises(NotFound):
        storage.get("Vault/pack")
    assert storage.get("Vault/small") == b"x"
    storage.put("Vault/pack", sample(SIZE))
    sent = [entry.sent for entry in google_fake.journal.entries if "upload_id=" in entry.query]
    assert sent == [31 * UNIT + 17, 0, SIZE - 31 * UNIT]
    assert storage.get("Vault/pack") == sample(SIZE)
    assert google_fake.journal.count("uploadType=resumable&fields") == 1
    assert sum(file.name == "pack" for file in google_fake.fake.users["alice"].files.values()) == 1
    storage.close()
