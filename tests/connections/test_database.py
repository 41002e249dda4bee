"""The address of a database, understood in all its parts."""

from __future__ import annotations

from pathlib import Path

from chatkeep.connections.database import configured

HOME = Path("/home")


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
