"""A server as an operator has it: PostgreSQL, a migration as a step of its own, processes that wait for it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
import urllib.error
from pathlib import Path

import psycopg
import pytest

from deploy.running import chatkeep, get, serving, settings
from postgres import Cluster


@pytest.fixture
def environment(cluster: Cluster, tmp_path: Path) -> dict[str, str]:
    return settings(tmp_path, database=cluster.fresh())


def test_the_database_is_migrated_once_and_then_is_up_to_date(environment: dict[str, str]) -> None:
    assert re.match(r"\d+ migrations done", chatkeep("server", "migrate", environment=environment))
    assert "up to date" in chatkeep("server", "migrate", environment=environment)


def test_of_two_that_migrate_at_once_one_does_it(environment: dict[str, str]) -> None:
    said: list[str] = []
    threads = [
        threading.Thread(target=lambda: said.append(chatkeep("server", "migrate", environment=environment)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted("done" in line for line in said) == [False, True]


ONLY_THE_FIRST_OF_JOBS = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", "jobs", "0001", verbosity=0)
"""


def test_a_change_waits_briefly_for_its_lock_and_is_tried_again(environment: dict[str, str]) -> None:
    with_django = {**environment, "DJANGO_SETTINGS_MODULE": "chatkeep.web.configuration"}
    subprocess.run([sys.executable, "-c", ONLY_THE_FIRST_OF_JOBS], env=with_django, check=True, timeout=60)
    with psycopg.connect(Path(environment["DATABASE_URL_FILE"]).read_text().strip()) as busy:
        busy.execute("SELECT count(*) FROM jobs_job")  # a transaction that reads, and takes its time
        done: list[str] = []
        migrating = threading.Thread(target=lambda: done.append(chatkeep("server", "migrate", environment=environment)))
        migrating.start()
        time.sleep(7)
        assert done == []
        with psycopg.connect(busy.info.dsn) as other:  # others read meanwhile: nobody queues behind the change for long
            other.execute("SET statement_timeout = '5s'")
            other.execute("SELECT count(*) FROM jobs_job")
        busy.commit()
        migrating.join()
    assert re.match(r"\d+ migrations done", done[0])


@pytest.mark.slow
def test_processes_of_a_new_version_wait_for_its_migration_then_answer(environment: dict[str, str]) -> None:
    with serving(environment) as port:
        answers: list[int] = []
        asking = threading.Thread(target=lambda: answers.append(get(port, "/health").status))
        asking.start()
        time.sleep(4)
        assert answers == []
        chatkeep("server", "migrate", environment=environment)
        asking.join(60)
        assert answers == [200]


def test_over_https_cookies_are_bound_to_the_host_and_browsers_come_back_over_https(
    environment: dict[str, str],
) -> None:
    chatkeep("server", "migrate", environment=environment)
    with serving(environment) as port:
        secure = get(port, "/health", X_Forwarded_Proto="https")
        assert secure.headers["Strict-Transport-Security"].startswith("max-age=31536000")
        assert "Strict-Transport-Security" not in get(port, "/health", X_Forwarded_Proto="http").headers
        with pytest.raises(urllib.error.HTTPError, match="400"):
            get(port, "/health", Host="elsewhere.example")
