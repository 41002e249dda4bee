"""`chatkeep tokens`: programs are let in and out from the command line."""

from __future__ import annotations

from tests.cli.conftest import Command


def test_a_token_is_made_listed_and_taken_back(chatkeep: Command) -> None:
    made = chatkeep("tokens", "add", "notes", "--scope", "read", "--scope", "write", "--days", "3", "--json").json
    assert made["token"].startswith("ck_")
    assert (made["name"], made["scopes"], made["service"]) == ("notes", ["read", "write"], False)
    [listed] = chatkeep("tokens", "list", "--json").json
    assert "token" not in listed
    assert listed["id"] == made["id"]
    chatkeep("tokens", "revoke", str(made["id"]))
    assert chatkeep("tokens", "--json").json == []
    [revoked] = chatkeep("tokens", "list", "--all", "--json").json
    assert revoked["revoked_at"]


def test_what_makes_no_sense_is_refused(chatkeep: Command) -> None:
    assert chatkeep("tokens", "add", "notes", "--scope", "everything", "--json").code == 2
    assert chatkeep("tokens", "add", "notes", "--scope", "read", "--service", "--json").code == 2
    assert chatkeep("tokens", "revoke", "7", "--json").code == 1
