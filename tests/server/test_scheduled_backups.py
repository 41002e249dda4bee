"""The story that `bench/backups.py` tells, in small: scheduled backups all happen once while workers are killed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crowd.clouds import Clouds, Seen

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_with_workers_killed_every_backup_that_was_due_happens_once() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CHATKEEP_", "DATABASE_"))}
    command = [sys.executable, str(ROOT / "bench" / "backups.py"), "--people", "30", "--conversations", "1"]
    told = subprocess.run(
        [*command, "--minutes", "1", "--check-every", "5", "--limit", "900"],
        env={**environment, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'bench'}"},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    figures = dict(re.findall(r"^\| (.+) \| (.+) \|$", told.stdout, re.MULTILINE))
    assert figures["scheduled"] == figures["done"] == "30"
    assert {value for what, value in figures.items() if what.startswith(("lost", "doubled", "starved"))} == {"0"}
    assert figures["vaults with other snapshots than the jobs claim"] == "0"
    killed = re.search(r"^(\d+) workers killed", told.stdout, re.MULTILINE)
    assert killed
    assert int(killed[1]) >= 3


def test_two_processes_that_speak_to_one_account_in_turns_would_be_noticed() -> None:
    with Clouds() as clouds:
        clouds.seen = [Seen(1, "by-1", "a"), Seen(2, "by-2", "b"), Seen(3, "by-2", "a"), Seen(4, "by-2", "a")]
        assert clouds.overlaps(since=0) == []
        clouds.seen.append(Seen(5, "by-1", "a"))
        assert clouds.overlaps(since=0) == ["a"]
        assert clouds.overlaps(since=4) == []


def test_requests_of_a_process_are_seen_by_its_number() -> None:
    from chatkeep.providers import provider
    from chatkeep.providers.http import Endpoints, Http
    from chatkeep.providers.oauth import Access, Client, Tokens
    from fakes.given import MemoryTokens

    with Clouds() as clouds:
        given = clouds.sign_in("onedrive", 7)
        sign_in = provider("onedrive").sign_in
        assert sign_in
        kept = MemoryTokens(Tokens(given["access"], given["refresh"], given["expires_at"], tuple(given["scopes"])))
        endpoints = Endpoints(f"{clouds.url}/by-4711")
        http = Http(endpoints, access=Access(sign_in, Client("cid"), kept, endpoints))
        assert http.request("GET", "https://graph.microsoft.com/v1.0/me").ok
        http.close()
        assert [(one.process, one.account) for one in clouds.seen] == [("by-4711", "p7")]
