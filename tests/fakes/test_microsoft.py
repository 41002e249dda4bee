"""What the fake must do as Microsoft does, where no client of somebody else shows it."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from fakes.microsoft import MicrosoftFake
from fakes.microsoft.sessions import UNIT
from fakes.wire import Request, Response

GRAPH = "graph.microsoft.com"


class Client:
    """Asks a fake without a line between. scopes: what its token is good for."""

    def __init__(self, fake: MicrosoftFake, *scopes: str) -> None:
        self.fake = fake
        given = scopes or ("Files.ReadWrite.AppFolder", "User.Read")
        self.signed = {"authorization": f"Bearer {fake.issue(scopes=given).access}"}

    def raw(self, method: str, path: str, body: bytes | dict[str, Any] = b"", **headers: str) -> Response:
        where, _, query = path.partition("?")
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.fake.answer(Request(method, GRAPH, f"/v1.0{where}", query, self.signed | named, sent))

    def __call__(self, method: str, path: str, body: bytes | dict[str, Any] = b"", **headers: str) -> tuple[int, Any]:
        said = self.raw(method, path, body, **headers)
        return said.status, json.loads(said.body) if said.body else None

    def there(self, method: str, address: str, body: bytes = b"", **headers: str) -> Response:
        """Asks an address that the fake gave out, without a sign-in."""
        parts = urlsplit(address)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.fake.answer(Request(method, parts.hostname or "", parts.path, parts.query, named, body))


@pytest.fixture
def fake() -> MicrosoftFake:
    return MicrosoftFake()


@pytest.fixture
def client(fake: MicrosoftFake) -> Client:
    client = Client(fake)
    assert client("GET", "/me/drive/special/approot")[0] == 200
    return client


def codes(body: Any) -> tuple[str, str]:
    return body["error"]["code"], body["error"]["innerError"].get("code", "")


APP = "/me/drive/special/approot"


# Who may do what


def test_the_app_folder_is_made_by_a_get_alone_and_its_alias_folds_no_case(fake: MicrosoftFake) -> None:
    client = Client(fake)
    assert client("PUT", f"{APP}:/a:/content", b"x")[0] == 404
    assert client("GET", "/me/drive/special/AppRoot")[0] == 404
    assert client("GET", APP)[1]["name"] == "Chatkeep"
    assert client("PUT", f"{APP}:/a:/content", b"x")[0] == 201


@pytest.mark.parametrize("path", ["/me/drive/root", "/me/drive/root/delta", "/me/drive/root:/Documents/a:/content"])
def test_with_the_small_permission_nothing_outside_is_reached(fake: MicrosoftFake, client: Client, path: str) -> None:
    fake.write("Documents/a", b"x")
    status, body = client("GET", path)
    assert (status, codes(body)[0]) == (403, "accessDenied")
    assert Client(fake, "Files.ReadWrite").raw("GET", path).status in (200, 302)


def test_an_item_outside_is_not_reached_by_its_id(fake: MicrosoftFake, client: Client) -> None:
    fake.write("Documents/a", b"x")
    drive = fake.drive()
    outside = drive.at(drive.root, ["Documents"]).id
    assert client("GET", f"/me/drive/items/{outside}/children")[0] == 403
    assert client("GET", f"/me/drive/items/{outside}:/a:")[0] == 403


def test_without_user_read_nobody_says_who_it_is(fake: MicrosoftFake) -> None:
    assert Client(fake, "Files.ReadWrite.AppFolder")("GET", "/me")[0] == 403


def test_the_fault_of_the_app_folder_is_mended_by_the_larger_permission_once_used(fake: MicrosoftFake) -> None:
    fake.approot_regression = True
    small, large = Client(fake), Client(fake, "Files.ReadWrite")
    assert codes(small("GET", APP)[1]) == ("accessDenied", "serviceReadOnly")
    assert small("GET", "/me/drive")[0] == 403
    assert large("GET", APP)[0] == 200
    assert small("GET", APP)[0] == 200


def test_a_token_that_ran_out_or_is_none_is_401_and_says_so(fake: MicrosoftFake) -> None:
    client = Client(fake)
    fake.consent.expire_access()
    said = client.raw("GET", "/me")
    assert said.status == 401
    assert "expired_token" in said.headers["WWW-Authenticate"]


# Names and places


def test_names_fold_case_and_keep_it(fake: MicrosoftFake, client: Client) -> None:
    assert client("PUT", f"{APP}:/Folder/Name.TXT:/content", b"1")[0] == 201
    assert client("PUT", f"{APP}:/folder/NAME.txt:/content", b"2")[0] == 200
    assert fake.files() == {"Apps/Chatkeep/Folder/Name.TXT": b"2"}


def test_an_item_is_named_in_many_ways(fake: MicrosoftFake, client: Client) -> None:
    made = client("PUT", f"{APP}:/a%20%23%25/b:/content", b"x")[1]
    app, drive = client("GET", APP)[1]["id"], client("GET", "/me/drive")[1]["id"]
    for place in (
        f"{APP}:/a%20%23%25/b",
        f"{APP}:/a%20%23%25/b:",
        f"/me/drive/items/{made['id']}",
        f"/me/drive/items/{made['id'].replace('!', '%21')}",
        f"/drives/{drive}/items/{app}:/A%20%23%25/B:",
        f"/drives/{drive.lower()}/items/{app}%3A%2Fa%20%23%25%2Fb%3A",
    ):
        assert client("GET", place)[1]["id"] == made["id"], place
    assert client("GET", f"/me/drive/items/{made['id'].lower()}")[0] == 404  # ids fold no case
    assert client("GET", f"/drives/ffff/items/{made['id']}")[0] == 404


@pytest.mark.parametrize("name", ["con", "a%3Fb", "dot.", "%20a", "a%20", "_vti_x", "~$a", "x" * 256, "desktop.ini"])
def test_names_that_are_not_taken(client: Client, name: str) -> None:
    status, body = client("PUT", f"{APP}:/{name}:/content", b"x")
    assert (status, codes(body)[0]) == (400, "invalidRequest")
    assert client("POST", f"{APP}:/{name}:/createUploadSession", {})[0] == 400


def test_a_folder_is_made_once_replaced_or_given_another_name(client: Client) -> None:
    def make(behaviour: str, word: str = "@microsoft.graph.conflictBehavior") -> tuple[int, Any]:
        return client("POST", f"{APP}/children", {"name": "f", "folder": {}, word: behaviour})

    assert make("fail")[0] == 201
    assert (make("fail")[0], codes(make("fail", "@name.conflictBehavior")[1])[0]) == (409, "nameAlreadyExists")
    assert make("rename")[1]["name"] == "f 1"


def test_the_id_of_one_drive_is_written_in_several_ways(fake: MicrosoftFake, client: Client) -> None:
    fake.drive_id_case = "mixed"
    seen = {client("GET", "/me/drive")[1]["id"] for _ in range(4)}
    assert len(seen) == 2
    assert len({id.lower() for id in seen}) == 1


# Tags


def test_a_tag_that_is_stale_is_412_for_every_change(client: Client) -> None:
    old = client("PUT", f"{APP}:/a:/content", b"1")[1]
    new = client("PUT", f"{APP}:/a:/content", b"2", if_match=old["eTag"])[1]
    for method, path, body in (
        ("PUT", ":/content", b"3"),
        ("PATCH", "", {"name": "b"}),
        ("DELETE", "", b""),
        ("POST", ":/createUploadSession", {}),
    ):
        status, said = client(method, f"{APP}:/a{path}", body, if_match=old["eTag"])  # type: ignore[arg-type]
        assert (status, *codes(said)) == (412, "resourceModified", "entityTagDoesNotMatch")
    assert client("GET", f"{APP}:/a", if_none_match=new["eTag"])[0] == 304
    assert client("POST", f"{APP}:/a:/createUploadSession", {}, if_none_match="*")[0] == 412


def test_the_content_tag_stays_when_only_the_name_changes(client: Client) -> None:
    before = client("PUT", f"{APP}:/a:/content", b"1")[1]
    after = client("PATCH", f"{APP}:/a", {"name": "b"})[1]
    assert before["cTag"] == after["cTag"]
    assert before["eTag"] != after["eTag"]


def test_a_right_tag_is_refused_once_where_the_switch_says_so(fake: MicrosoftFake, client: Client) -> None:
    item = client("PUT", f"{APP}:/a:/content", b"1")[1]
    fake.false_412 = True
    assert client("POST", f"{APP}:/a:/createUploadSession", {}, if_match=item["eTag"])[0] == 412
    assert client("POST", f"{APP}:/a:/createUploadSession", {}, if_match=item["eTag"])[0] == 200


# Content


def test_content_is_elsewhere_in_parts_and_without_a_sign_in(fake: MicrosoftFake, client: Client) -> None:
    client("PUT", f"{APP}:/a:/content", b"0123456789")
    said = client.raw("GET", f"{APP}:/a:/content")
    address = said.headers["Location"]
    assert (said.status, urlsplit(address).hostname) == (302, "my.microsoftpersonalcontent.com")
    for wanted, status, content, where in (
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
    ):
        part = client.there("GET", address, range=wanted)
        assert (part.status, part.body, part.headers["Content-Range"]) == (status, content, where)
    fake.auth_on_upload = "refuse"
    assert client.there("GET", address, authorization="Bearer x").status == 401
    assert client.there("GET", address).body == b"0123456789"


def test_a_download_address_is_good_for_an_hour() -> None:
    now = 1e9
    fake = MicrosoftFake(lambda: now)
    client = Client(fake)
    client("GET", APP)
    address = client("PUT", f"{APP}:/a:/content", b"x")[1]["@microsoft.graph.downloadUrl"]
    assert client.there("GET", address).status == 200
    now += 3601
    assert client.there("GET", address).status == 401


def test_what_is_cut_off_leaves_nothing(fake: MicrosoftFake, client: Client) -> None:
    request = Request("PUT", GRAPH, f"/v1.0{APP}:/a:/content", "", client.signed, b"half", whole=False)
    fake.answer(request)
    assert fake.files() == {}


# Sessions


def begin(client: Client, name: str = "large", **item: Any) -> str:
    status, body = client("POST", f"{APP}:/{name}:/createUploadSession", {"item": item} if item else {})
    assert status == 200
    assert body["nextExpectedRanges"] == ["0-"]
    return str(body["uploadUrl"])


def fragment(client: Client, address: str, first: int, data: bytes, total: int) -> tuple[int, Any]:
    span = f"bytes {first}-{first + len(data) - 1}/{total}"
    said = client.there("PUT", address, data, content_range=span)
    return said.status, json.loads(said.body)


@pytest.mark.parametrize(("style", "expected"), [("open", f"{UNIT}-"), ("closed", f"{UNIT}-{UNIT + 4}")])
def test_fragments_come_in_order_and_are_acknowledged(
    fake: MicrosoftFake, client: Client, style: str, expected: str
) -> None:
    fake.sessions.range_style = style
    address, total = begin(client), UNIT + 5
    status, body = fragment(client, address, 0, bytes(UNIT), total)
    assert (status, body["nextExpectedRanges"]) == (202, [expected])
    assert json.loads(client.there("GET", address).body)["nextExpectedRanges"] == [expected]
    assert codes(fragment(client, address, 0, bytes(UNIT), total)[1]) == ("invalidRange", "fragmentOverlap")
    assert fragment(client, address, UNIT + 1, b"1234", total)[0] == 416
    assert fragment(client, address, UNIT, b"12345", total + 1)[0] == 400  # another total
    status, body = fragment(client, address, UNIT, b"12345", total)
    assert (status, body["size"]) == (201, total)
    assert client.there("GET", address).status == 404


def test_a_fragment_of_an_odd_size_is_refused_unless_it_is_the_last(client: Client) -> None:
    address = begin(client)
    assert fragment(client, address, 0, bytes(UNIT - 1), 2 * UNIT)[0] == 400
    assert fragment(client, address, 0, bytes(UNIT), 2 * UNIT)[0] == 202


def test_a_name_that_was_taken_meanwhile_clashes_at_the_end_and_the_session_lives(
    fake: MicrosoftFake, client: Client
) -> None:
    address = begin(client)
    client("PUT", f"{APP}:/large:/content", b"faster")
    assert codes(fragment(client, address, 0, b"12345", 5)[1])[0] == "nameAlreadyExists"
    kept = {"@microsoft.graph.sourceUrl": address}
    assert client("PUT", f"{APP}:/other", kept)[0] == 201
    assert fake.files() == {"Apps/Chatkeep/large": b"faster", "Apps/Chatkeep/other": b"12345"}


def test_a_session_replaces_where_it_was_told_to_and_can_be_cancelled(fake: MicrosoftFake, client: Client) -> None:
    client("PUT", f"{APP}:/large:/content", b"old")
    address = begin(client, **{"@microsoft.graph.conflictBehavior": "replace"})
    assert fragment(client, address, 0, b"12345", 5)[0] == 200
    address = begin(client)
    assert client.there("DELETE", address).status == 204
    assert client.there("GET", address).status == 404


def test_a_session_for_more_than_there_is_room_is_not_begun(fake: MicrosoftFake, client: Client) -> None:
    fake.drive().total = 100
    status, body = client("POST", f"{APP}:/a:/createUploadSession", {"item": {"fileSize": 101}})
    assert (status, codes(body)[0]) == (507, "quotaLimitReached")
    assert client("PUT", f"{APP}:/a:/content", bytes(101))[0] == 507
    assert client("PUT", f"{APP}:/a:/content", bytes(100))[0] == 201
    assert client("PUT", f"{APP}:/a:/content", bytes(99))[0] == 200


def test_on_business_a_session_blocks_another_for_the_name_until_it_ends() -> None:
    now = 1e9
    fake = MicrosoftFake(lambda: now, kind="business")
    client = Client(fake)
    client("GET", APP)
    address = begin(client, "Large")
    assert client("POST", f"{APP}:/large:/createUploadSession", {})[0] == 409
    assert client("POST", f"{APP}:/other:/createUploadSession", {})[0] == 200
    client.there("DELETE", address)
    address = begin(client)
    now += 16 * 3600
    client = Client(fake)
    assert client("POST", f"{APP}:/large:/createUploadSession", {})[0] == 200
    assert client.there("GET", address).status == 404


@pytest.mark.parametrize("kind", ["personal", "business"])
def test_a_session_may_wait_for_its_commit(kind: str) -> None:
    fake = MicrosoftFake(kind=kind)
    client = Client(fake)
    client("GET", APP)
    address = client("POST", f"{APP}:/large:/createUploadSession", {"deferCommit": True})[1]["uploadUrl"]
    assert fragment(client, address, 0, b"12345", 5)[0] == 202
    assert fake.files() == {}
    if kind == "business":
        assert client.there("POST", address).status == 201
    else:
        assert client.there("POST", address).status == 405
        assert client("PUT", f"{APP}:/large", {"@microsoft.graph.sourceUrl": address})[0] == 201
    assert fake.files() == {"Apps/Chatkeep/large": b"12345"}


def test_a_copy_is_asked_after_elsewhere(fake: MicrosoftFake, client: Client) -> None:
    client("PUT", f"{APP}:/a:/content", b"x")
    said = client.raw("POST", f"{APP}:/a:/copy", {"name": "b"})
    assert said.status == 202
    assert json.loads(client.there("GET", said.headers["Location"]).body)["status"] == "completed"
    assert fake.files() == {"Apps/Chatkeep/a": b"x", "Apps/Chatkeep/b": b"x"}
    assert client("POST", f"{APP}:/a:/copy", {"name": "b"})[0] == 409


# Hashes


def test_a_hash_comes_late_where_the_switch_says_so() -> None:
    now = 1e9
    fake = MicrosoftFake(lambda: now)
    fake.hash_delay = 3
    client = Client(fake)
    client("GET", APP)
    assert "hashes" not in client("PUT", f"{APP}:/a:/content", b"x")[1]["file"]
    now += 3
    assert set(client("GET", f"{APP}:/a")[1]["file"]["hashes"]) == {"quickXorHash", "sha1Hash", "sha256Hash"}


# The feed


def test_the_feed_has_pages_repeats_and_no_paths(fake: MicrosoftFake, client: Client) -> None:
    for i in range(5):
        client("PUT", f"{APP}:/{i}:/content", b"x")
    fake.feed.page, fake.feed.repeats = 2, True
    path: str | None = f"{APP}/delta"
    seen: list[Any] = []
    while path:
        body = client("GET", path)[1]
        seen += body["value"]
        path = body.get("@odata.nextLink", "").partition("/v1.0")[2]
    assert [item["name"] for item in seen] == ["before 0", "Chatkeep", "0", "1", "2", "3", "4"]
    assert all("path" not in item["parentReference"] for item in seen)
    after = body["@odata.deltaLink"].partition("/v1.0")[2]
    assert client("GET", after)[1]["value"] == []
    token = after.partition("token=")[2]
    assert client("GET", f"{APP}/delta(token='{token}')")[1]["value"] == []


def test_a_token_that_is_refused_comes_with_a_place_to_start_from(fake: MicrosoftFake, client: Client) -> None:
    link = client("GET", f"{APP}/delta?token=latest")[1]["@odata.deltaLink"].partition("/v1.0")[2]
    fake.feed.expired = True
    said = client.raw("GET", link)
    assert (said.status, json.loads(said.body)["error"]["code"]) == (410, "resyncChangesApplyDifferences")
    assert client("GET", said.headers["Location"].partition("/v1.0")[2])[0] == 200


@pytest.mark.parametrize(("kind", "missing"), [("personal", {"size", "cTag"}), ("business", {"name"})])
def test_what_was_deleted_is_told_with_gaps(kind: str, missing: set[str]) -> None:
    fake = MicrosoftFake(kind=kind)
    client = Client(fake, "Files.ReadWrite")
    item = client("PUT", "/me/drive/root:/a:/content", b"x")[1]
    link = client("GET", "/me/drive/root/delta?token=latest")[1]["@odata.deltaLink"].partition("/v1.0")[2]
    client("DELETE", f"/me/drive/items/{item['id']}")
    told = {one["id"]: one for one in client("GET", link)[1]["value"]}[item["id"]]
    assert told["deleted"] == {"state": "deleted"}
    assert not missing & set(told)
    assert {"id", "parentReference"} <= set(told)


def test_business_drives_have_a_feed_of_the_root_alone() -> None:
    client = Client(MicrosoftFake(kind="business"), "Files.ReadWrite")
    client("GET", APP)
    assert client("GET", "/me/drive/root/delta")[0] == 200
    status, body = client("GET", f"{APP}/delta")
    assert (status, codes(body)[0]) == (501, "notSupported")


# Batches


def test_a_batch_is_twenty_requests_answered_in_any_order(fake: MicrosoftFake, client: Client) -> None:
    body = base64.b64encode(b"hello").decode()
    bytes_of = {"headers": {"Content-Type": "application/octet-stream"}, "body": body}
    wanted: list[dict[str, Any]] = [
        {"id": "1", "method": "PUT", "url": f"{APP}:/a:/content", **bytes_of},
        {"id": "2", "method": "GET", "url": f"{APP}:/a", "dependsOn": ["1"]},
        {"id": "3", "method": "GET", "url": f"{APP}:/nothing"},
        {"id": "4", "method": "GET", "url": f"{APP}:/a", "dependsOn": ["3"]},
        {"id": "5", "method": "GET", "url": f"{APP}:/a:/content"},
    ]
    status, whole = client("POST", "/$batch", {"requests": wanted})
    said = {one["id"]: one for one in whole["responses"]}
    assert status == 200
    assert [one["id"] for one in whole["responses"]] != ["1", "2", "3", "4", "5"]
    assert {id: one["status"] for id, one in said.items()} == {"1": 201, "2": 200, "3": 404, "4": 424, "5": 302}
    assert json.loads(base64.b64decode(said["1"]["body"]))["name"] == "a"
    assert said["2"]["body"]["size"] == 5
    assert said["5"]["headers"]["Location"].startswith("https://")
    many = [{"id": str(i), "method": "GET", "url": "/me"} for i in range(21)]
    assert client("POST", "/$batch", {"requests": many})[0] == 400


def test_one_of_a_batch_is_throttled_alone(fake: MicrosoftFake, client: Client) -> None:
    fake.throttled_in_batch = 1
    wanted = [{"id": str(i), "method": "GET", "url": "/me"} for i in range(3)]
    said = {one["id"]: one for one in client("POST", "/$batch", {"requests": wanted})[1]["responses"]}
    assert [said[id]["status"] for id in "012"] == [429, 200, 200]
    assert said["0"]["headers"]["Retry-After"] == "7"


def test_what_was_deleted_lies_in_the_bin_and_only_business_deletes_for_good(fake: MicrosoftFake) -> None:
    client = Client(fake)
    client("GET", APP)
    client("PUT", f"{APP}:/folder/a:/content", b"12345")
    assert client("POST", f"{APP}:/folder/a:/permanentDelete")[0] == 400
    assert client("DELETE", f"{APP}:/folder")[0] == 204
    assert client("DELETE", f"{APP}:/folder")[0] == 404
    quota = client("GET", "/me/drive")[1]["quota"]
    assert (quota["used"], quota["deleted"]) == (0, 5)
