"""The address of a database, understood in all its parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import OperationalError, close_old_connections, connection

from archives import about_servers
from chatkeep.archive import kept
from chatkeep.connections.database import configured
from postgres import Cluster, at_once, cut

HOME = Path("/home")


@contextmanager
def asking() -> Iterator[None]:
    """A connection of the pool, for this thread."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        yield
    connection.close()


@about_servers
@pytest.mark.django_db(transaction=True)
def test_no_request_waits_or_fails_after_the_database_was_started_anew(cluster: Cluster) -> None:
    """Django's own check would sleep after each connection that was closed, until the half minute is over."""
    connection.close()
    at_once(10, asking)
    cut(cluster.url(str(connection.settings_dict["NAME"])))
    with asking():
        pass


@about_servers
@pytest.mark.django_db(transaction=True)
def test_unless_nobody_looks_at_a_connection_before_it_is_used(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(3, asking)
    connection.close()
    with monkeypatch.context() as patched:
        patched.setattr(kept, "_was_cut", lambda held: False)
        cut(cluster.url(str(connection.settings_dict["NAME"])))
        with pytest.raises(OperationalError), asking():
            pass
    close_old_connections()
    with asking():
        pass


def test_the_address_of_a_database_is_understood_in_all_its_parts() -> None:
    found = configured("postgresql://chat%40keep:s%2Fecret@db.example:5433/chats?sslmode=require", HOME)
    parts = [found[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")]
    assert parts == ["chats", "chat@keep", "s/ecret", "db.example", "5433"]
    assert found["OPTIONS"]["sslmode"] == "require"
    assert "synchronous_commit=on" in found["OPTIONS"]["options"]


def test_a_socket_is_named_behind_the_question_mark() -> None:
    found = configured("postgresql://me@/chats?host=/run/pg", HOME)
    assert (found["HOST"], found["USER"], found["PORT"]) == ("/run/pg", "me", "")
    assert "host" not in found["OPTIONS"]


def test_without_an_address_the_database_is_a_file_in_the_data_folder() -> None:
    assert configured("", HOME)["NAME"] == HOME / "app.sqlite3"
