"""The fake's switches, and what of Drive the libraries do not ask: queries, masks, who sees what, ends of ranges."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from fakes.google import AUTH, DRIVE_FILE, UNIT, GoogleFake
from fakes.google_queries import BadQuery, masked
from fakes.wire import Request, Response

FOLDER = "application/vnd.google-apps.folder"


class Caller:
    """Asks the fake as one client of one person."""

    def __init__(self, fake: GoogleFake, user: str = "alice", **more: Any) -> None:
        self.fake = fake
        self.token = fake.issue(user, **more).access

    def __call__(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: Any
    ) -> Response:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        signed = {"authorization": f"Bearer {self.token}"} | (headers or {})
        return self.fake.answer(Request(method, "www.googleapis.com", path, urlencode(query), signed, content))

    def json(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        return json.loads(self(method, path, body, **query).body)

    def make(self, name: str, data: bytes = b"", **more: Any) -> str:
        id: str = self.json("POST", "/drive/v3/files", {"name": name, **more})["id"]
        if data:
            self("PATCH", f"/upload/drive/v3/files/{id}", data, uploadType="media")
        return id

    def names(self, q: str, **query: Any) -> list[str]:
        return [file["name"] for file in self.json("GET", "/drive/v3/files", q=q, **query)["files"]]


@pytest.fixture
def fake() -> GoogleFake:
    return GoogleFake(clock=lambda: 1_700_000_000.0)


@pytest.fixture
def call(fake: GoogleFake) -> Caller:
    return Caller(fake)


def reason(answer: Response) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["error"]["errors"][0]["reason"]


def test_queries_of_real_clients_are_understood(call: Caller) -> None:
    """Source: what rclone 1.60 and opendal 0.47 were seen to send."""
    a = call.make("a", mimeType=FOLDER)
    b = call.make("b", mimeType=FOLDER)
    call.make("it's \\ here", parents=[a])
    call.make("sub", parents=[b], mimeType=FOLDER, appProperties={"k": "v"})
    assert call.names(f"trashed=false and ('{a}' in parents or '{b}' in parents)") == ["it's \\ here", "sub"]
    assert call.names(f"trashed=false and ('{a}' in parents) and (name='it\\'s \\\\ here')") == ["it's \\ here"]
    kinds = f"(mimeType='{FOLDER}' or mimeType='application/vnd.google-apps.shortcut')"
    assert call.names(f"trashed=false and ('{b}' in parents) and (name='sub') and {kinds}") == ["sub"]
    assert call.names(
        "name = 'a' and 'root' in parents and trashed = false", orderBy="modifiedTime desc,createdTime desc"
    ) == ["a"]
    assert call.names("appProperties has { key='k' and value='v' }") == ["sub"]
    assert call.names("not 'root' in parents and name contains 'IT'") == ["it's \\ here"]
    assert call.names("", orderBy="folder,name desc") == ["sub", "b", "a", "it's \\ here"]


@pytest.mark.parametrize(
    "q", ["name =", "name ~ 'x'", "(name = 'x'", "nothing = 'x'", "'x' on parents", "name = 'x' name", "$"]
)
def test_a_query_that_means_nothing_is_refused(call: Caller, q: str) -> None:
    assert reason(call("GET", "/drive/v3/files", q=q)) == (400, "invalid")


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ("a", {"a": 1}),
        ("b(c,d)", {"b": [{"c": 2, "d": 3}]}),
        ("b/c,a", {"b": [{"c": 2}], "a": 1}),
        ("b(d),none", {"b": [{"d": 3}]}),
        ("*", {"a": 1, "b": [{"c": 2, "d": 3, "e": 4}]}),
        ("b(*)", {"b": [{"c": 2, "d": 3, "e": 4}]}),
    ],
)
def test_a_mask_gives_what_it_names(mask: str, expected: Any) -> None:
    assert masked({"a": 1, "b": [{"c": 2, "d": 3, "e": 4}]}, mask) == expected


@pytest.mark.parametrize("mask", ["a(", "a)", "a,,b", "(a)"])
def test_a_mask_that_means_nothing_is_refused(mask: str) -> None:
    with pytest.raises(BadQuery):
        masked({}, mask)


def test_without_a_mask_little_is_told(fake: GoogleFake, call: Caller) -> None:
    id = call.make("a", b"x")
    assert call.json("GET", f"/drive/v3/files/{id}").keys() == {"kind", "id", "name", "mimeType"}
    fake.default_fields = False
    assert call.json("GET", f"/drive/v3/files/{id}")["size"] == "1"


def test_an_app_sees_what_it_made_and_a_wider_scope_sees_all(fake: GoogleFake, call: Caller) -> None:
    id = call.make("a")
    other, wide = Caller(fake, client="other"), Caller(fake, client="other", scopes=(AUTH + "drive",))
    nobody = Caller(fake, scopes=("openid",))
    assert reason(other("GET", f"/drive/v3/files/{id}")) == (404, "notFound")
    assert (other.names(""), wide.names(""), Caller(fake, "bob").names("")) == ([], ["a"], [])
    assert reason(nobody("GET", "/drive/v3/files")) == (403, "insufficientPermissions")
    assert reason(call("DELETE", "/drive/v3/files/trash")) == (403, "insufficientPermissions")
    assert reason(call("GET", "/drive/v3/files/root")) == (404, "notFound")
    assert wide.json("GET", "/drive/v3/files/root", fields="name") == {"name": "My Drive"}
    fake.consent.expire_access()
    assert reason(call("GET", "/drive/v3/files")) == (401, "authError")


@pytest.mark.parametrize(
    ("asked", "status", "body", "told"),
    [
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=3-", 206, b"3456789", "bytes 3-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_ranges(call: Caller, asked: str, status: int, body: bytes | None, told: str | None) -> None:
    id = call.make("a", b"0123456789")
    answer = call("GET", f"/drive/v3/files/{id}", headers={"range": asked}, alt="media")
    assert (answer.status, answer.headers.get("Content-Range")) == (status, told)
    assert body is None or answer.body == body


def begun(call: Caller, size: int) -> dict[str, str]:
    headers = {"x-upload-content-length": str(size)}
    answer = call("POST", "/upload/drive/v3/files", {"name": "large"}, headers, uploadType="resumable")
    assert (answer.status, answer.body) == (200, b"")
    return {"uploadType": "resumable", "upload_id": answer.headers["X-GUploader-UploadID"]}


def put(call: Caller, session: dict[str, str], span: str, data: bytes = b"", method: str = "PUT") -> Response:
    return call(method, "/upload/drive/v3/files", data, {"content-range": span}, **session)


def test_a_session_tells_how_far_it_is_without_a_place_to_go_to(call: Caller) -> None:
    session = begun(call, UNIT + 5)
    asked = put(call, session, f"bytes */{UNIT + 5}")
    assert (asked.status, asked.headers) == (308, {})
    first = put(call, session, f"bytes 0-{UNIT - 1}/{UNIT + 5}", bytes(UNIT), method="POST")
    assert (first.status, first.headers) == (308, {"Range": f"bytes=0-{UNIT - 1}"})
    done = put(call, session, f"bytes {UNIT}-{UNIT + 4}/{UNIT + 5}", b"12345")
    assert (done.status, json.loads(done.body)["name"]) == (200, "large")
    assert put(call, session, f"bytes */{UNIT + 5}").body == done.body
    assert call.names("") == ["large"]


def test_chunks_must_fit_and_join(call: Caller) -> None:
    session = begun(call, 3 * UNIT)
    assert put(call, session, f"bytes 0-9/{3 * UNIT}", bytes(10)).status == 400
    assert put(call, session, f"bytes {UNIT}-{2 * UNIT - 1}/{3 * UNIT}", bytes(UNIT)).status == 400
    assert put(call, session, f"bytes 0-{UNIT - 1}/{3 * UNIT}", bytes(7)).status == 400
    assert put(call, session, "bytes of mine", bytes(UNIT)).status == 400
    assert put(call, session, f"bytes 0-{UNIT - 1}/*", bytes(UNIT)).status == 308


def test_a_session_ends_when_it_is_cancelled_lost_or_a_week_old(fake: GoogleFake, call: Caller) -> None:
    cancelled, old, lost = (begun(call, 5) for _ in range(3))
    assert put(call, cancelled, "", method="DELETE").status == 499
    assert put(call, cancelled, "bytes */5").status == 404
    fake.sessions[old["upload_id"]].begun -= 8 * 86400
    assert put(call, old, "bytes 0-4/5", b"12345").status == 404
    fake.lose_sessions()
    assert put(call, lost, "bytes 0-4/5", b"12345").status == 404
    assert call.names("") == []


def test_folders_are_deleted_with_all_below_and_binned_with_all_below(fake: GoogleFake, call: Caller) -> None:
    top = call.make("top", mimeType=FOLDER)
    file = call.make("file", b"12345", parents=[call.make("sub", parents=[top], mimeType=FOLDER)])
    call("PATCH", f"/drive/v3/files/{top}", {"trashed": True})
    told = call.json("GET", f"/drive/v3/files/{file}", fields="trashed,explicitlyTrashed")
    assert told == {"trashed": True, "explicitlyTrashed": False}
    about = call.json("GET", "/drive/v3/about", fields="storageQuota(usage,usageInDriveTrash)")
    assert about == {"storageQuota": {"usage": "5", "usageInDriveTrash": "5"}}
    assert call("DELETE", f"/drive/v3/files/{top}").status == 204
    assert call("GET", f"/drive/v3/files/{file}").status == 404
    assert call("DELETE", f"/drive/v3/files/{top}").status == 404


def test_a_file_has_one_parent_that_is_a_folder(call: Caller) -> None:
    file, folder = call.make("file"), call.make("folder", mimeType=FOLDER)
    assert reason(call("POST", "/drive/v3/files", {"parents": [folder, "root"]}))[0] == 400
    assert reason(call("POST", "/drive/v3/files", {"parents": [file]}))[0] == 403
    assert reason(call("POST", "/drive/v3/files", {"parents": ["nowhere"]})) == (404, "notFound")
    call("PATCH", f"/drive/v3/files/{file}", {}, addParents=folder, removeParents="root")
    assert call.names(f"'{folder}' in parents") == ["file"]


def test_names_may_be_doubled_unless_that_is_switched_off(fake: GoogleFake, call: Caller) -> None:
    call.make("a")
    call.make("a")
    assert call.names("") == ["a", "a"]
    fake.duplicate_names = False
    assert call("POST", "/drive/v3/files", {"name": "a"}).status == 400


def test_lists_and_the_feed_can_lag(fake: GoogleFake, call: Caller) -> None:
    now = 1_700_000_000.0
    fake.clock = lambda: now
    token = call.json("GET", "/drive/v3/changes/startPageToken")["startPageToken"]
    fake.list_lag = fake.feed_lag = 60
    call.make("new")
    assert call.names("") == []
    told = call.json("GET", "/drive/v3/changes", pageToken=token)
    assert (told["changes"], told["newStartPageToken"]) == ([], token)
    now += 61
    assert call.names("") == ["new"]
    assert len(call.json("GET", "/drive/v3/changes", pageToken=token)["changes"]) == 1


def test_units_are_counted_by_what_a_call_does(fake: GoogleFake, call: Caller) -> None:
    now = 1_700_000_000.0
    fake.clock = lambda: now
    fake.units_per_minute = 50 + 100 + 200 + 5
    id = call.make("a")
    assert call("GET", "/drive/v3/files").status == 200
    assert call("GET", f"/drive/v3/files/{id}", alt="media").status == 200
    assert call("GET", f"/drive/v3/files/{id}").status == 200
    assert reason(call("GET", f"/drive/v3/files/{id}")) == (403, "userRateLimitExceeded")
    now += 60
    assert call("GET", f"/drive/v3/files/{id}").status == 200


def test_a_full_account_takes_no_more(fake: GoogleFake, call: Caller) -> None:
    fake.users["alice"].limit = 10
    id = call.make("a", b"12345678")
    assert reason(call("PATCH", f"/upload/drive/v3/files/{id}", bytes(11), uploadType="media")) == (
        403,
        "storageQuotaExceeded",
    )
    headers = {"x-upload-content-length": "3"}
    assert call("POST", "/upload/drive/v3/files", {}, headers, uploadType="resumable").status == 403


def test_a_client_in_testing_loses_its_consent_after_a_week(fake: GoogleFake) -> None:
    now = 1_700_000_000.0
    fake.clock = lambda: now
    fake.testing = True
    assert fake.testing
    refresh = fake.issue(scopes=(DRIVE_FILE,)).refresh
    form = urlencode(
        {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": "cid", "client_secret": "csec"}
    )
    asked = Request("POST", "oauth2.googleapis.com", "/token", body=form.encode())
    assert fake.answer(asked).status == 200
    now += 7 * 86400 + 1
    assert json.loads(fake.answer(asked).body)["error"] == "invalid_grant"


def test_a_batch_holds_a_hundred_calls_and_no_media(call: Caller) -> None:
    def batch(*lines: str) -> Response:
        parts = "".join(f"--b\r\nContent-Type: application/http\r\n\r\n{line} HTTP/1.1\r\n\r\n\r\n" for line in lines)
        return call(
            "POST", "/batch/drive/v3", f"{parts}--b--".encode(), {"content-type": "multipart/mixed; boundary=b"}
        )

    assert batch(*["GET /drive/v3/files"] * 101).status == 400
    answered = batch("GET /drive/v3/files", "GET /drive/v3/files/x?alt=media").body
    assert answered.count(b"HTTP/1.1 200") == answered.count(b"HTTP/1.1 400") == 1
