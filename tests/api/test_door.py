"""Who gets in, how often, and what those are told who do not."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from api.conftest import Program
from archive.talks import take, talk
from chatkeep.api import once, rates, tokens
from chatkeep.api.models import Answer, Token
from chatkeep.archive import Archive
from chatkeep.errors import NotFound, SlowDown, WrongUse
from chatkeep.model import encode
from chatkeep.web.models import new_token

PROBLEM = "application/problem+json"


def is_problem(answer: HttpResponse, status: int) -> bool:
    told = json.loads(answer.content)
    return (
        answer.status_code == told["status"] == status
        and answer["Content-Type"] == PROBLEM
        and {"type", "title", "status", "detail"} <= told.keys()
    )


def test_only_a_token_gets_in_and_no_cookie_does(archive: Archive, program: Program) -> None:
    keeper = Client(headers={"host": "127.0.0.1"})
    keeper.get(f"/sign-in/{new_token()}")
    assert keeper.get("/").status_code == 200
    assert is_problem(keeper.get("/api/v1/me"), 401)
    for token in ("", "ck_", "ck_" + "a" * 43, program.token[:-1], program.token + "a", "x" * 10_000):
        assert is_problem(Program(token).get("me"), 401), token
    assert program.get("me").json()["scopes"] == sorted(tokens.SCOPES)


def test_a_token_is_kept_as_a_hash_alone(archive: Archive) -> None:
    text, row = tokens.add("notes", ["read"])
    assert row.token_hash == hashlib.sha256(text.encode()).hexdigest()
    assert text not in json.dumps(Token.objects.values_list()[0], default=str)
    assert len(text) == 46


def test_a_token_that_ended_or_was_revoked_lets_nobody_in() -> None:
    text, row = tokens.add("notes", ["read"], expires_at=timezone.now() + timedelta(days=1))
    assert (access := tokens.bearer(text)) is not None
    assert access.scopes == {"read"}
    Token.objects.update(expires_at=timezone.now())
    assert tokens.bearer(text) is None
    Token.objects.update(expires_at=None)
    assert tokens.bearer(text) is not None
    tokens.revoke(row.pk)
    assert tokens.bearer(text) is None
    assert tokens.listed() == []
    assert tokens.listed(over=True) == [row]


def test_a_token_of_another_archive_is_not_found() -> None:
    _, row = tokens.add("notes", ["read"], archive="a" * 32)
    with pytest.raises(NotFound):
        tokens.revoke(row.pk, archive="b" * 32)
    assert tokens.listed(archive="b" * 32) == []


@pytest.mark.parametrize(("scopes", "name"), [([], "x"), (["all"], "x"), (["read"], " ")])
def test_a_token_needs_a_name_and_scopes_that_are_known(scopes: list[str], name: str) -> None:
    with pytest.raises(WrongUse):
        tokens.add(name, scopes)


def test_its_last_use_is_noted_to_the_minute() -> None:
    text, row = tokens.add("notes", ["read"])
    assert row.used_at is None
    tokens.bearer(text)
    row.refresh_from_db()
    first = row.used_at
    tokens.bearer(text)
    row.refresh_from_db()
    assert first is not None
    assert row.used_at == first


NEEDED = [
    ("read", "GET", "conversations"),
    ("read", "GET", "changes"),
    ("read", "GET", "search?q=tea"),
    ("read", "GET", "jobs"),
    ("read", "GET", "connections"),
    ("read", "GET", "receipts"),
    ("write", "POST", "conversations"),
    ("write", "PUT", f"conversations/{talk('tea').id}"),
    ("write", "DELETE", f"conversations/{talk('tea').id}"),
    ("write", "PUT", f"attachments/{'0' * 64}"),
    ("write", "POST", "receipts/1/undo"),
    ("write", "POST", "jobs/1/cancel"),
    ("export", "POST", "exports"),
    ("export", "GET", "jobs/1/result"),
    ("backup", "POST", "backups"),
    ("restore", "POST", "restores"),
]


@pytest.mark.parametrize(("scope", "method", "path"), NEEDED)
def test_a_scope_that_is_missing_is_named(
    scope: str, method: str, path: str, with_scopes: Callable[..., Program], archive: Archive
) -> None:
    kind = "application/octet-stream" if path.startswith("attachments") else "application/json"
    others = with_scopes(*(tokens.SCOPES.keys() - {scope}))
    answer = others.ask(method, path, {}, content_type=kind)
    assert is_problem(answer, 403)
    assert scope in answer.json()["detail"]
    assert with_scopes(scope).ask(method, path, {}, content_type=kind).status_code != 403


def test_addresses_and_methods_that_are_not_there_are_problems(program: Program, archive: Archive) -> None:
    assert is_problem(program.get("nothing"), 404)
    assert is_problem(program.get("conversations/not-an-id"), 422)
    wrong = program.ask("DELETE", "conversations")
    assert is_problem(wrong, 405)
    assert wrong["Allow"] == "GET, POST"
    assert is_problem(program.post("exports", b"{", content_type="application/json"), 400)
    assert is_problem(program.post("exports", b"a=1", content_type="application/x-www-form-urlencoded"), 415)
    assert is_problem(program.post("exports", {"format": "json", "selecton": {}}), 422)
    assert is_problem(program.get("conversations?limit=1&limit=2"), 422)
    assert is_problem(program.get("conversations?limit=1.0"), 422)


def test_an_error_that_should_not_be_quotes_nothing(
    program: Program, archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the secret love letter")

    monkeypatch.setattr(Archive, "page", broken)
    answer = program.get("conversations")
    assert is_problem(answer, 500)
    assert b"letter" not in answer.content
    assert "RuntimeError" in caplog.text
    assert "letter" not in caplog.text


def test_answers_are_kept_by_nobody_and_run_nowhere(program: Program, archive: Archive) -> None:
    answer = program.get("conversations")
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in answer
    assert not answer.cookies


def test_what_is_too_large_is_refused_by_its_length(program: Program, archive: Archive) -> None:
    from chatkeep.api import door

    assert is_problem(program.post("conversations", b"[]", headers={"Content-Length": str(door.LARGEST_BODY + 1)}), 413)


# ------------------------------------------------------------------ how often


def test_a_token_may_ask_so_often_and_is_told_how_long_to_wait() -> None:
    text, _ = tokens.add("busy", ["read"], per_minute=60)
    busy = Program(text)
    statuses = [busy.get("me").status_code for _ in range(62)]
    assert statuses[:60] == [200] * 60
    slow = busy.get("me")
    assert is_problem(slow, 429)
    assert 1 <= int(slow["Retry-After"]) <= 2


def test_the_bucket_is_shared_by_all_processes() -> None:
    text, row = tokens.add("busy", ["read"], per_minute=60)
    access = tokens.bearer(text)
    assert access is not None
    spent = 0
    with contextlib.suppress(SlowDown):
        for _ in range(100):
            rates.spend(access)
            spent += 1
            if spent % 10 == 0:
                rates.forget()  # as another process would begin
    assert 0 < spent <= 60
    Token.objects.filter(pk=row.pk).update(level_at=timezone.now() - timedelta(seconds=30))
    rates.spend(access)


# ------------------------------------------------------------------ once


def test_a_key_makes_a_request_be_done_once_and_answered_twice_alike(archive: Archive, program: Program) -> None:
    take(archive, talk("tea", ["x"]))
    headers = {"Idempotency-Key": "k1"}
    first = program.post("exports", {"format": "txt"}, headers=headers)
    again = program.post("exports", {"format": "txt"}, headers=headers)
    assert first.status_code == again.status_code == 202
    assert (first.content, first["Location"]) == (again.content, again["Location"])
    assert again["Idempotent-Replayed"] == "true"
    assert len(program.get("jobs").json()["jobs"]) == 1
    other = program.post("exports", {"format": "json"}, headers=headers)
    assert is_problem(other, 422)
    assert (
        program.post("exports", {"format": "txt"}, headers={"Idempotency-Key": "k2"}).json()["id"] != first.json()["id"]
    )


def test_keys_of_two_tokens_have_nothing_to_do_with_one_another(archive: Archive, program: Program) -> None:
    take(archive, talk("tea", ["x"]))
    other = Program(tokens.add("another", ["export"])[0])
    headers = {"Idempotency-Key": "k1"}
    assert program.post("exports", {"format": "txt"}, headers=headers).status_code == 202
    answer = other.post("exports", {"format": "json"}, headers=headers)
    assert answer.status_code == 202
    assert "Idempotent-Replayed" not in answer


def test_a_request_that_is_still_at_work_is_not_begun_again(archive: Archive, program: Program) -> None:
    body = b'{"format": "txt"}'
    take(archive, talk("tea", ["x"]))
    program.post("exports", body, headers={"Idempotency-Key": "k"})
    Answer.objects.update(status=0)
    busy = program.post("exports", body, headers={"Idempotency-Key": "k"})
    assert is_problem(busy, 409)
    assert busy["Retry-After"] == "1"
    Answer.objects.update(made_at=timezone.now() - once.LONGEST_WORK - timedelta(seconds=1))
    assert program.post("exports", body, headers={"Idempotency-Key": "k"}).status_code == 202


def test_a_key_is_forgotten_after_a_day(archive: Archive, program: Program) -> None:
    take(archive, talk("tea", ["x"]))
    program.post("exports", {"format": "txt"}, headers={"Idempotency-Key": "k"})
    Answer.objects.update(made_at=timezone.now() - once.KEPT - timedelta(seconds=1))
    answer = program.post("exports", {"format": "json"}, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 202
    Answer.objects.update(made_at=timezone.now() - once.KEPT - timedelta(seconds=1))
    assert once.sweep() == 1


def test_an_error_of_ours_is_not_kept_as_the_answer(
    archive: Archive, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Archive, "take_in", lambda *_, **__: 1 / 0)
        assert (
            program.post(
                "conversations", [json.loads(encode(talk("a", ["x"])))], headers={"Idempotency-Key": "k"}
            ).status_code
            == 500
        )
    answer = program.post("conversations", [json.loads(encode(talk("a", ["x"])))], headers={"Idempotency-Key": "k"})
    assert answer.json()["added"] == 1


# ------------------------------------------------------------------ many at once


def test_many_that_push_at_once_are_each_answered_for_what_is_on_disk(archive: Archive, program: Program) -> None:
    talks = [talk(f"talk {number}", ["hello"] * 3) for number in range(40)]
    answers: list[Any] = []

    def push(some: list[Any]) -> None:
        for one in some:
            answers.append((one.id, program.put(f"conversations/{one.id}", encode(one)).json()))
        connection.close()

    threads = [threading.Thread(target=push, args=(talks[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 40
    for id, answer in answers:
        assert (answer["outcome"], answer["revision"]) == ("added", archive.listed(id).revision)
    assert sum(receipt.added for receipt in archive.receipts()) == 40


def test_one_that_cannot_be_written_spoils_no_other(archive: Archive) -> None:
    from chatkeep.api import pushing
    from chatkeep.records import Loaded

    good, bad = pushing._Sheet("x", [Loaded((talk("a", ["x"]),))]), pushing._Sheet("x", [None])  # type: ignore[list-item]
    pushing._write_all(archive, [good, bad])
    assert good.error is None
    assert bad.error is not None
    assert archive.count() == 1


# ------------------------------------------------------------------ for whom


def test_a_personal_token_acts_for_nobody_else(archive: Archive, program: Program) -> None:
    assert is_problem(program.get("conversations", headers={"Chatkeep-On-Behalf-Of": "bob"}), 403)
    assert is_problem(program.get("conversations", headers={"Chatkeep-On-Behalf-Of": "b\xf6b"}), 422)


def test_a_service_says_for_whom_it_asks(archive: Archive) -> None:
    service = Program(tokens.add("the chat platform", ["read", "write"], archive="")[0])
    assert service.get("me").json()["service"] is True
    assert is_problem(service.get("conversations"), 422)
    assert is_problem(service.get("conversations", headers={"Chatkeep-On-Behalf-Of": "ana"}), 404)
