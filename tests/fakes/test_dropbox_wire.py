"""What Dropbox says to calls that mean nothing, and answers that no client in these tests asks for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakes.dropbox import API, CONTENT, NOTIFY, DropboxFake
from fakes.wire import Request, Response

JSON = {"content-type": "application/json"}
BYTES = {"content-type": "application/octet-stream"}


@pytest.fixture
def fake() -> DropboxFake:
    return DropboxFake()


def _call(
    fake: DropboxFake,
    route: str,
    arg: Any = None,
    *,
    host: str = API,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    method: str = "POST",
    signed: bool = True,
) -> Response:
    sent = dict(JSON if headers is None else headers)
    if signed:
        sent["authorization"] = f"Bearer {fake.issue().access}"
    if host == CONTENT and arg is not None:
        sent["dropbox-api-arg"] = json.dumps(arg)
    content = body if body is not None else b"" if host == CONTENT else json.dumps(arg).encode()
    return fake.answer(Request(method, host, f"/2/{route}", headers=sent, body=content))


@pytest.mark.parametrize(
    ("route", "arg", "more", "says"),
    [
        ("files/list_folder", {"path": "/"}, {}, "root folder as an empty string"),
        ("files/list_folder", {"path": "a"}, {}, "did not match pattern"),
        ("files/list_folder", {"path": "", "limit": 0}, {}, "limit"),
        ("files/list_folder", {"path": "", "pages": 7}, {}, "unknown field 'pages'"),
        ("files/list_folder", {}, {}, "missing required field 'path'"),
        ("files/list_folder", [], {}, "expected object"),
        ("files/list_folder", None, {"body": b"{"}, "could not decode"),
        ("files/list_folder", {"path": ""}, {"headers": {"content-type": "text/xml"}}, "Content-Type"),
        ("files/list_folder", {"path": ""}, {"signed": False}, "Authorization"),
        ("files/list_folder/continue", {"cursor": "of another"}, {}, "cursor"),
        ("files/get_metadata", {"path": "/"}, {}, "root folder is unsupported"),
        ("files/upload", {"path": "/a"}, {"host": CONTENT, "headers": JSON}, "Content-Type"),
        ("files/upload", None, {"host": CONTENT, "headers": BYTES}, "Dropbox-API-Arg"),
        ("files/upload", {"path": "/" + "a" * 9000}, {"host": CONTENT, "headers": BYTES}, "too long"),
        (
            "files/upload",
            {"path": "/a", "mode": {"update": "0123456789"}},
            {"host": CONTENT, "headers": BYTES},
            "without its .tag",
        ),
        (
            "files/upload",
            {"path": "/a", "mode": {".tag": "update", "update": "x"}},
            {"host": CONTENT, "headers": BYTES},
            "expected a revision",
        ),
        ("files/upload", {"path": "/a", "mode": "replace"}, {"host": CONTENT, "headers": BYTES}, "unknown tag"),
        ("files/download", {"path": "/a"}, {"host": CONTENT, "headers": {}, "body": b"x"}, "take a body"),
        ("files/upload_session/start_batch", {"num_sessions": 1001}, {}, "between 1 and 1000"),
        ("files/upload_session/finish_batch_v2", {"entries": []}, {}, "from 1 to 1000"),
        ("files/list_folder/longpoll", {"cursor": "x"}, {"host": NOTIFY}, "does not use it"),
        ("files/list_folder/longpoll", {"cursor": "x", "timeout": 3}, {"host": NOTIFY, "signed": False}, "timeout"),
        ("files/list_folder/longpoll", {"cursor": "x"}, {"host": NOTIFY, "signed": False}, "cursor"),
    ],
)
def test_a_call_that_means_nothing_is_refused_in_plain_words(
    fake: DropboxFake, route: str, arg: Any, more: dict[str, Any], says: str
) -> None:
    answer = _call(fake, route, arg, **more)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert says in answer.body.decode()
    assert answer.headers["X-Dropbox-Request-Id"]


def test_a_header_that_is_not_ascii_is_refused(fake: DropboxFake) -> None:
    headers = BYTES | {"dropbox-api-arg": '{"path":"/\x7f"}'}
    assert _call(fake, "files/upload", host=CONTENT, headers=headers).status == 400


def test_a_route_has_its_host_and_its_method(fake: DropboxFake) -> None:
    assert _call(fake, "files/forget").status == 404
    assert _call(fake, "files/list_folder", {"path": ""}, host=CONTENT).status == 404
    assert _call(fake, "files/list_folder", {"path": ""}, method="GET").status == 405


def test_what_returns_nothing_returns_null_as_plain_json(fake: DropboxFake) -> None:
    session = json.loads(_call(fake, "files/upload_session/start", {}, host=CONTENT, headers=BYTES).body)["session_id"]
    cursor = {"session_id": session, "offset": 0}
    answer = _call(fake, "files/upload_session/append_v2", {"cursor": cursor}, host=CONTENT, headers=BYTES)
    assert (answer.body, answer.headers["Content-Type"]) == (b"null", "application/json")


@pytest.mark.parametrize(
    ("route", "arg", "body", "tags"),
    [
        ("start", {"session_type": {".tag": "concurrent"}}, b"x", ["concurrent_session_data_not_allowed"]),
        ("start", {"session_type": "concurrent", "close": True}, b"", ["concurrent_session_close_not_allowed"]),
        ("append_batch", {"entries": [{"cursor": {}, "length": 2}]}, b"x", ["length_mismatch"]),
    ],
)
def test_sessions_that_cannot_be_are_refused(
    fake: DropboxFake, route: str, arg: dict[str, Any], body: bytes, tags: list[str]
) -> None:
    answer = _call(fake, f"files/upload_session/{route}", arg, host=CONTENT, headers=BYTES, body=body)
    assert (answer.status, json.loads(answer.body)["error"][".tag"]) == (409, tags[0])


def test_a_body_that_is_too_large_is_refused(fake: DropboxFake) -> None:
    fake.request_limit = 10
    answer = _call(fake, "files/upload", {"path": "/a"}, host=CONTENT, headers=BYTES, body=b"x" * 11)
    assert json.loads(answer.body)["error"] == {".tag": "payload_too_large"}


def test_a_concurrent_session_with_a_hole_is_no_file(fake: DropboxFake) -> None:
    started = _call(fake, "files/upload_session/start", {"session_type": "concurrent"}, host=CONTENT, headers=BYTES)
    cursor = {"session_id": json.loads(started.body)["session_id"], "offset": 4194304}
    finishing = {"cursor": cursor, "commit": {"path": "/a"}}

    def finished() -> str:
        answer = _call(fake, "files/upload_session/finish", finishing, host=CONTENT, headers=BYTES)
        return str(json.loads(answer.body)["error"][".tag"])

    assert finished() == "concurrent_session_not_closed"
    append = {"cursor": cursor, "close": True}
    _call(fake, "files/upload_session/append_v2", append, host=CONTENT, headers=BYTES, body=b"x")
    assert finished() == "concurrent_session_missing_data"


def test_a_file_is_found_by_its_id_and_its_revision_and_not_sent_again(fake: DropboxFake) -> None:
    first = fake.write("/a", b"first")
    second = fake.write("/A", b"second")
    for path, data in ((first.id, b"second"), (f"rev:{first.rev}", b"first"), ("/a", b"second")):
        assert _call(fake, "files/download", {"path": path}, host=CONTENT, headers={}).body == data
    tag = {"if-none-match": f'"{second.rev}"'}
    answer = _call(fake, "files/download", {"path": "/a"}, host=CONTENT, headers=tag, method="GET")
    assert (answer.status, answer.body) == (304, b"")


def test_slashes_are_joined_and_deleted_files_told_if_asked(fake: DropboxFake) -> None:
    fake.write("/ck/a", b"x")
    fake.remove("/ck/a")
    listed = _call(fake, "files/list_folder", {"path": "//ck", "include_deleted": True})
    assert [entry[".tag"] for entry in json.loads(listed.body)["entries"]] == ["deleted"]
    told = _call(fake, "files/get_metadata", {"path": "/ck/a", "include_deleted": True})
    assert json.loads(told.body)[".tag"] == "deleted"


def test_the_older_commit_of_many_is_a_job(fake: DropboxFake) -> None:
    started = _call(fake, "files/upload_session/start", {"close": True}, host=CONTENT, headers=BYTES, body=b"abc")
    cursor = {"session_id": json.loads(started.body)["session_id"], "offset": 3}
    entries = [{"cursor": cursor, "commit": {"path": "/a"}}]
    job = json.loads(_call(fake, "files/upload_session/finish_batch", {"entries": entries}).body)["async_job_id"]
    for tag in ("in_progress", "complete", "complete"):
        told = json.loads(_call(fake, "files/upload_session/finish_batch/check", {"async_job_id": job}).body)
        assert told[".tag"] == tag
    assert (told["entries"][0][".tag"], fake.files()) == ("success", {"/a": b"abc"})
    lost = _call(fake, "files/upload_session/finish_batch/check", {"async_job_id": "unknown"})
    assert json.loads(lost.body)["error"] == {".tag": "invalid_async_job_id"}


def test_error_summaries_differ_so_that_nobody_reads_them(fake: DropboxFake) -> None:
    said = {json.loads(_call(fake, "files/get_metadata", {"path": "/a"}).body)["error_summary"] for _ in range(60)}
    assert len(said) > 3
    assert all(summary.startswith("path/not_found/") for summary in said)
    fake.summary_noise = False
    assert json.loads(_call(fake, "files/get_metadata", {"path": "/a"}).body)["error_summary"] == "path/not_found/"
