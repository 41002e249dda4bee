"""Google's own libraries against the fake: what they accept is what our storage may rely on."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import httpx2
import pytest
from google.oauth2.credentials import Credentials
from google_auth_oauthlib.flow import InstalledAppFlow
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaInMemoryUpload

from chatkeep.testing.storage_suite import sample
from fakes.given import Cloud
from fakes.google import DRIVE_FILE, GoogleFake

FOLDER = "application/vnd.google-apps.folder"
SECTION = 512 * 1024


@pytest.fixture
def build(google_fake: Cloud) -> Iterator[Callable[[str], Any]]:
    """Drive as Google's library builds it from its own cached description of an API version."""
    made: list[Any] = []

    def build(version: str) -> Any:
        text = (files("googleapiclient.discovery_cache") / "documents" / f"drive.{version}.json").read_text()
        described = json.loads(text)
        described["rootUrl"] = f"{google_fake.url}/www.googleapis.com/"
        described["baseUrl"] = f"{google_fake.url}/www.googleapis.com/drive/{version}/"
        described.pop("mtlsRootUrl", None)
        issued = google_fake.fake.issue()
        credentials = Credentials(  # type: ignore[no-untyped-call]
            issued.access,
            refresh_token=issued.refresh,
            token_uri=f"{google_fake.url}/oauth2.googleapis.com/token",
            client_id="cid",
            client_secret="csec",
        )
        made.append(build_from_document(described, credentials=credentials))
        return made[-1]

    yield build
    for drive in made:
        drive.close()
        drive._http.credentials = None


@pytest.fixture
def drive(build: Callable[[str], Any]) -> Any:
    return build("v3")


def media(data: bytes, **more: Any) -> MediaInMemoryUpload:
    return MediaInMemoryUpload(data, mimetype="application/octet-stream", **more)


def refused(call: Any) -> tuple[int, str]:
    with pytest.raises(HttpError) as raised:
        call.execute()
    return int(raised.value.status_code), raised.value.error_details[0]["reason"]


def test_files_are_made_read_changed_listed_and_deleted(drive: Any) -> None:
    folder = drive.files().create(body={"name": "Chatkeep", "mimeType": FOLDER}).execute()
    assert folder.keys() == {"kind", "id", "name", "mimeType"}
    body = {"name": "it's", "parents": [folder["id"]], "appProperties": {"k": "v"}}
    made = drive.files().create(body=body, media_body=media(b"hello\r"), fields="id,size,md5Checksum").execute()
    assert made == {"id": made["id"], "size": "6", "md5Checksum": "b66a760f2857d6afdc587ade9b6a94fa"}
    assert drive.files().get_media(fileId=made["id"]).execute() == b"hello\r"
    query = "name = 'it\\'s' and '{}' in parents and trashed=false and appProperties has {{ key='k' and value='v' }}"
    found = drive.files().list(q=query.format(folder["id"])).execute()
    assert [file["id"] for file in found["files"]] == [made["id"]]
    drive.files().update(fileId=made["id"], body={"name": "b"}, media_body=media(b"new")).execute()
    assert drive.files().get(fileId=made["id"], fields="name,size").execute() == {"name": "b", "size": "3"}
    assert drive.files().delete(fileId=made["id"]).execute() == ""
    assert refused(drive.files().get(fileId=made["id"])) == (404, "notFound")


def test_pages_go_on_until_the_last(google_fake: Cloud, drive: Any) -> None:
    for i in range(25):
        drive.files().create(body={"name": str(i)}).execute()
    seen, asked = [], drive.files().list(pageSize=10, fields="nextPageToken,files/name")
    while asked is not None:
        page = asked.execute()
        seen += [file["name"] for file in page["files"]]
        asked = drive.files().list_next(asked, page)
    assert sorted(seen, key=int) == [str(i) for i in range(25)]


def test_an_id_is_good_for_one_file(drive: Any) -> None:
    ids = drive.files().generateIds(count=3).execute()["ids"]
    assert len(set(ids)) == 3
    drive.files().create(body={"name": "a", "id": ids[0]}).execute()
    assert refused(drive.files().create(body={"name": "a", "id": ids[0]}))[0] == 409
    assert refused(drive.files().create(body={"name": "a", "id": "of my own"}))[0] == 400
    assert refused(drive.files().generateIds(count=1001))[0] == 400


def test_a_large_upload_goes_in_chunks_and_goes_on_after_an_error(google_fake: Cloud, drive: Any) -> None:
    data = sample(5 * SECTION + 77)
    upload = drive.files().create(
        body={"name": "large"}, media_body=media(data, resumable=True, chunksize=SECTION), fields="id,sha256Checksum"
    )
    google_fake.faults.cut("PUT .*upload_id=", after=SECTION // 2 + 5, nth=3)
    done, interrupted = None, 0
    while done is None:
        try:
            _, done = upload.next_chunk()
        except OSError:
            interrupted += 1
    assert interrupted == 1
    assert drive.files().get_media(fileId=done["id"]).execute() == data


def test_what_was_not_kept_is_sent_again(google_fake: Cloud, drive: Any) -> None:
    google_fake.fake.partial_store = True
    data = sample(3 * SECTION)
    upload = drive.files().create(body={"name": "large"}, media_body=media(data, resumable=True, chunksize=SECTION))
    progress, done = [], None
    while done is None:
        status, done = upload.next_chunk()
        progress.append(status.resumable_progress if status else len(data))
    assert progress == [SECTION // 2, SECTION // 2 + SECTION, SECTION // 2 + 2 * SECTION, len(data)]
    assert drive.files().get_media(fileId=done["id"]).execute() == data


def test_calls_go_together_in_a_batch(drive: Any) -> None:
    answers: dict[str, Any] = {}
    batch = drive.new_batch_http_request(callback=lambda id, answer, error: answers.update({id: error or answer}))
    batch.add(drive.files().create(body={"name": "x", "mimeType": FOLDER}), request_id="one")
    batch.add(drive.files().get(fileId="nowhere"), request_id="two")
    batch.execute()
    assert answers["one"]["name"] == "x"
    assert answers["two"].status_code == 404


def test_the_feed_tells_each_file_once_and_goes_on_from_its_token(drive: Any) -> None:
    token = drive.changes().getStartPageToken().execute()["startPageToken"]
    assert drive.changes().list(pageToken=token).execute()["changes"] == []
    kept, gone = (drive.files().create(body={"name": name}).execute()["id"] for name in ("kept", "gone"))
    drive.files().update(fileId=kept, body={"name": "renamed"}).execute()
    drive.files().delete(fileId=gone).execute()
    told = drive.changes().list(pageToken=token, pageSize=1).execute()
    changes = told["changes"]
    while "nextPageToken" in told:
        told = drive.changes().list(pageToken=told["nextPageToken"], pageSize=1).execute()
        changes += told["changes"]
    assert [(one["fileId"], one["removed"]) for one in changes] == [(kept, False), (gone, True)]
    assert changes[0]["file"]["name"] == "renamed"
    assert drive.changes().list(pageToken=told["newStartPageToken"]).execute()["changes"] == []
    assert refused(drive.changes().list(pageToken="never given"))[0] == 400


def test_about_needs_fields_and_tells_numbers_as_text(drive: Any) -> None:
    assert refused(drive.about().get())[0] == 400
    told = drive.about().get(fields="user(emailAddress),storageQuota(limit,usage)").execute()
    assert told == {
        "user": {"emailAddress": "alice@example.com"},
        "storageQuota": {"limit": "16106127360", "usage": "0"},
    }


@pytest.mark.parametrize("resumable", [False, True])
def test_version_two_replaces_only_what_it_read(build: Callable[[str], Any], resumable: bool) -> None:
    drive = build("v2")
    made = drive.files().insert(body={"title": "head"}, media_body=media(b"1")).execute()
    etag = drive.files().get(fileId=made["id"], fields="etag").execute()["etag"]

    def replacing(data: bytes) -> Any:
        call = drive.files().update(fileId=made["id"], media_body=media(data, resumable=resumable))
        call.headers["If-Match"] = etag
        return call

    assert replacing(b"two").execute()["fileSize"] == "3"
    assert refused(replacing(b"three")) == (412, "conditionNotMet")
    assert drive.files().get_media(fileId=made["id"]).execute() == b"two"
    deleting = drive.files().delete(fileId=made["id"])
    deleting.headers["If-Match"] = etag
    assert refused(deleting)[0] == 412


def test_version_three_knows_no_precondition(drive: Any) -> None:
    made = drive.files().create(body={"name": "head"}, media_body=media(b"1"), fields="*").execute()
    assert "etag" not in made
    call = drive.files().update(fileId=made["id"], media_body=media(b"2"))
    call.headers["If-Match"] = '"long ago"'
    call.execute()


def test_a_stale_token_is_renewed_by_the_library(google_fake: Cloud, drive: Any) -> None:
    google_fake.fake.consent.expire_access()
    assert drive.files().list().execute()["files"] == []
    assert google_fake.fake.consent.refreshes == 1


def test_a_person_signs_in_through_the_library_with_pkce(
    google_fake: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    google_fake.fake.consent.automatic = "allow"
    config = {
        "installed": {
            "client_id": "cid",
            "client_secret": "csec",
            "auth_uri": f"{google_fake.url}/accounts.google.com/o/oauth2/v2/auth",
            "token_uri": f"{google_fake.url}/oauth2.googleapis.com/token",
            "redirect_uris": ["http://localhost"],
        }
    }
    flow = InstalledAppFlow.from_client_config(config, [DRIVE_FILE])

    class Browser:
        """Opens a page and goes where it is sent, as soon as somebody listens there."""

        def open(self, address: str, **_: Any) -> bool:
            visit = threading.Thread(target=httpx2.get, args=(address,), kwargs={"follow_redirects": True})
            visit.start()
            return True

    monkeypatch.setattr("webbrowser.get", lambda *_: Browser())
    credentials = flow.run_local_server(port=0, open_browser=True)
    asked = google_fake.journal.lines("GET accounts.google.com")[0]
    assert re.search(r"code_challenge=[\w-]{43}&.*code_challenge_method=S256", asked)
    assert google_fake.fake.consent.grant(credentials.token).scopes == (DRIVE_FILE,)
    assert credentials.refresh_token
    capsys.readouterr()


def test_both_libraries_and_we_are_asked_for_a_secret(google_fake: Cloud) -> None:
    fake: GoogleFake = google_fake.fake
    form = {"grant_type": "refresh_token", "refresh_token": fake.issue().refresh, "client_id": "cid"}
    answer = httpx2.post(f"{google_fake.url}/oauth2.googleapis.com/token", data=form)
    assert (answer.status_code, answer.json()["error_description"]) == (400, "client_secret is missing.")
