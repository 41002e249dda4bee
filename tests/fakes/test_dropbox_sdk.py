"""The official Python SDK of Dropbox against the fake: an independent client that says whether the fake is faithful."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from fakes.given import Cloud

sdk: Any = pytest.importorskip("dropbox")
files: Any = pytest.importorskip("dropbox.files")


@pytest.fixture
def line(dropbox_fake: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The fake in the place of the real hosts."""
    for name, value in dropbox_fake.front.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(dropbox_fake.front.ca_file))
    return dropbox_fake


@pytest.fixture
def client(line: Cloud) -> Iterator[Any]:
    with sdk.Dropbox(oauth2_refresh_token=line.fake.issue().refresh, app_key="cid", max_retries_on_error=0) as opened:
        yield opened


def test_a_person_signs_in_by_a_copied_code_with_pkce_and_without_a_secret(line: Cloud) -> None:
    line.fake.consent.automatic = "allow"
    flow = sdk.DropboxOAuth2FlowNoRedirect("cid", use_pkce=True, token_access_type="offline")
    address = flow.start().replace("https://", f"{line.url}/")
    with urllib.request.urlopen(address) as page:
        found = re.search(r'<code id="code">([^<]+)<', page.read().decode())
    assert found
    signed = flow.finish(found[1])
    assert signed.account_id == line.fake.people["alice"].id
    assert signed.refresh_token
    with sdk.Dropbox(oauth2_refresh_token=signed.refresh_token, app_key="cid") as opened:
        told = opened.users_get_current_account()
        assert (told.account_id, told.email) == (signed.account_id, "alice@example.com")
        assert opened.users_get_space_usage().allocation.get_individual().allocated == 2 * 2**30


def test_what_is_uploaded_is_found_listed_and_downloaded_with_its_hash(client: Any) -> None:
    data = b"Gr\xc3\xbc\xc3\x9fe" * 1000
    told = client.files_upload(data, "/Chats/Grüße an Ana.txt")
    assert (told.name, told.size, told.path_display) == ("Grüße an Ana.txt", len(data), "/Chats/Grüße an Ana.txt")
    found = client.files_get_metadata("/CHATS/GRÜSSE an ana.txt".replace("SS", "ß"))
    assert (found.id, found.rev, found.content_hash) == (told.id, told.rev, told.content_hash)
    listed = client.files_list_folder("", recursive=True).entries
    assert [type(entry).__name__ for entry in listed] == ["FolderMetadata", "FileMetadata"]
    metadata, answer = client.files_download("/Chats/Grüße an Ana.txt")
    assert (metadata.rev, answer.content) == (told.rev, data)
    answer.close()


def _cursor(session: str, offset: int) -> Any:
    return files.UploadSessionCursor(session_id=session, offset=offset)


def _commit(path: str, mode: Any = None) -> Any:
    return files.CommitInfo(path=path, mode=mode or files.WriteMode.overwrite)


def test_a_session_tells_where_it_is_and_makes_a_file_of_its_pieces(client: Any) -> None:
    session = client.files_upload_session_start(b"one ").session_id
    client.files_upload_session_append_v2(b"two ", _cursor(session, 4))
    with pytest.raises(sdk.exceptions.ApiError) as raised:
        client.files_upload_session_append_v2(b"two ", _cursor(session, 4))
    assert raised.value.error.get_incorrect_offset().correct_offset == 8
    with pytest.raises(sdk.exceptions.ApiError) as raised:
        client.files_upload_session_finish(b"three", _cursor(session, 0), _commit("/a"))
    assert raised.value.error.get_lookup_failed().get_incorrect_offset().correct_offset == 8
    told = client.files_upload_session_finish(b"three", _cursor(session, 8), _commit("/a"))
    assert (told.size, client.files_download("/a")[1].content) == (13, b"one two three")
    with pytest.raises(sdk.exceptions.ApiError) as raised:
        client.files_upload_session_append_v2(b"", _cursor("pid_upload_session:unknown", 0))
    assert raised.value.error.is_not_found()


def test_many_sessions_are_begun_filled_and_committed_together(client: Any) -> None:
    sessions = client.files_upload_session_start_batch(3).session_ids
    entries = [
        files.UploadSessionAppendBatchArgEntry(cursor=_cursor(session, 0), length=size, close=True)
        for session, size in zip(sessions[:2], (2, 3), strict=True)
    ]
    told = client.files_upload_session_append_batch(b"aabbb", entries)
    assert [entry.is_success() for entry in told.entries] == [True, True]
    args = [
        files.UploadSessionFinishArg(cursor=_cursor(session, size), commit=_commit(f"/many/{name}"))
        for session, size, name in zip(sessions, (2, 3, 0), "abc", strict=True)
    ]
    told = client.files_upload_session_finish_batch_v2(args)
    assert [entry.is_success() for entry in told.entries] == [True, True, False]
    assert told.entries[2].get_failure().get_lookup_failed().is_not_closed()
    assert [entry.get_success().size for entry in told.entries[:2]] == [2, 3]


def test_a_concurrent_session_takes_its_pieces_in_any_order(client: Any) -> None:
    kind = files.UploadSessionType.concurrent
    session = client.files_upload_session_start(b"", session_type=kind).session_id
    block = 4 * 2**20
    with pytest.raises(sdk.exceptions.ApiError) as raised:
        client.files_upload_session_append_v2(b"x", _cursor(session, 1))
    assert raised.value.error.is_concurrent_session_invalid_offset()
    client.files_upload_session_append_v2(b"a" * block, _cursor(session, 0))
    client.files_upload_session_append_v2(b"end", _cursor(session, block), close=True)
    assert client.files_upload_session_finish(b"", _cursor(session, block + 3), _commit("/big")).size == block + 3


def test_a_write_names_the_revision_that_it_replaces(client: Any) -> None:
    first = client.files_upload(b"1", "/head")
    second = client.files_upload(b"2", "/HEAD", mode=files.WriteMode.update(first.rev))
    assert (second.id, second.name) == (first.id, "head")
    for mode in (files.WriteMode.update(first.rev), files.WriteMode.add):
        with pytest.raises(sdk.exceptions.ApiError) as raised:
            client.files_upload(b"3", "/head", mode=mode)
        assert raised.value.error.get_path().reason.get_conflict().is_file()
    held = raised.value.error.get_path().upload_session_id
    told = client.files_upload_session_finish(b"", _cursor(held, 1), _commit("/elsewhere"))
    assert (told.size, told.name) == (1, "elsewhere")
    assert client.files_upload(b"2", "/head", mode=files.WriteMode.add).rev == second.rev
    with pytest.raises(sdk.exceptions.ApiError):
        client.files_upload(b"2", "/head", mode=files.WriteMode.add, strict_conflict=True)
    assert client.files_upload(b"3", "/head", autorename=True).name == "head (1)"
    with pytest.raises(sdk.exceptions.ApiError) as raised:
        client.files_delete_v2("/head", parent_rev=first.rev)
    assert client.files_delete_v2("/head", parent_rev=second.rev).metadata.rev == second.rev
    assert [old.rev for old in client.files_list_revisions("/head").entries] == [second.rev, first.rev]
    assert client.files_restore("/head", first.rev).size == 1


def test_bytes_that_are_not_what_their_hash_says_are_not_kept(client: Any) -> None:
    with pytest.raises(sdk.exceptions.ApiError) as raised:
        client.files_upload(b"abc", "/a", content_hash="0" * 64)
    assert raised.value.error.is_content_hash_mismatch()
    assert client.files_list_folder("").entries == []


def test_a_cursor_serves_pages_and_then_tells_what_changed(line: Cloud, client: Any) -> None:
    for number in range(5):
        client.files_upload(b"x", f"/folder/{number}")
    page = client.files_list_folder("/folder", recursive=True, limit=2)
    names = [entry.name for entry in page.entries]
    while page.has_more:
        page = client.files_list_folder_continue(page.cursor)
        names += [entry.name for entry in page.entries]
    assert names == ["folder", "0", "1", "2", "3", "4"]
    assert client.files_list_folder_longpoll(page.cursor).changes is False
    line.fake.write("/folder/new", b"from another device")
    line.fake.write("/elsewhere", b"not below the folder")
    line.fake.remove("/folder/3")
    assert client.files_list_folder_longpoll(page.cursor).changes is True
    told = client.files_list_folder_continue(page.cursor)
    assert [(type(entry).__name__, entry.name) for entry in told.entries] == [
        ("FileMetadata", "new"),
        ("DeletedMetadata", "3"),
    ]
    assert client.files_list_folder_continue(told.cursor).entries == []
    latest = client.files_list_folder_get_latest_cursor("", recursive=True).cursor
    assert client.files_list_folder_continue(latest).entries == []
    line.fake.longpoll_spurious = True
    assert client.files_list_folder_longpoll(latest).changes is True
    line.fake.reset_cursors()
    with pytest.raises(sdk.exceptions.ApiError) as raised:
        client.files_list_folder_continue(latest)
    assert raised.value.error.is_reset()


def test_folders_are_made_moved_and_deleted_with_what_they_hold(client: Any) -> None:
    assert client.files_create_folder_v2("/a").metadata.name == "a"
    with pytest.raises(sdk.exceptions.ApiError) as raised:
        client.files_create_folder_v2("/A")
    assert raised.value.error.get_path().get_conflict().is_folder()
    client.files_upload(b"x", "/a/b/c")
    assert client.files_move_v2("/a", "/z").metadata.path_display == "/z"
    assert client.files_get_metadata("/z/b/c").size == 1
    with pytest.raises(sdk.exceptions.ApiError) as raised:
        client.files_move_v2("/a", "/y")
    assert raised.value.error.get_from_lookup().is_not_found()
    with pytest.raises(sdk.exceptions.ApiError) as raised:
        client.files_upload(b"x", "/z/b/c/below-a-file")
    assert raised.value.error.get_path().reason.get_conflict().is_file_ancestor()
    assert client.files_delete_v2("/z").metadata.name == "z"
    with pytest.raises(sdk.exceptions.ApiError) as raised:
        client.files_delete_v2("/z")
    assert raised.value.error.get_path_lookup().is_not_found()


def test_many_files_are_deleted_by_a_job(client: Any) -> None:
    client.files_upload(b"x", "/a")
    job = client.files_delete_batch([files.DeleteArg("/a"), files.DeleteArg("/missing")]).get_async_job_id()
    assert client.files_delete_batch_check(job).is_in_progress()
    entries = client.files_delete_batch_check(job).get_complete().entries
    assert entries[0].get_success().metadata.name == "a"
    assert entries[1].get_failure().get_path_lookup().is_not_found()


@pytest.mark.parametrize(
    ("path", "tag"),
    [("/desktop.ini", "disallowed_name"), ("/trailing ", "disallowed_name"), ("/back\\slash", "malformed_path")],
)
def test_names_that_dropbox_does_not_take_are_refused(client: Any, path: str, tag: str) -> None:
    with pytest.raises(sdk.exceptions.ApiError) as raised:
        client.files_upload(b"x", path)
    assert raised.value.error.get_path().reason._tag == tag


def test_a_full_account_a_lost_sign_in_and_a_pause_are_told_as_the_sdk_knows_them(line: Cloud, client: Any) -> None:
    line.fake.account().quota = 10
    with pytest.raises(sdk.exceptions.ApiError) as raised:
        client.files_upload(b"x" * 11, "/a")
    assert raised.value.error.get_path().reason.is_insufficient_space()
    line.fake.throttle(1, retry_after=0)
    assert client.files_list_folder("").entries == []  # the SDK waited and asked again
    line.fake.consent.expire_access()
    assert client.files_list_folder("").entries == []  # and here it renewed its token
    client.auth_token_revoke()
    with pytest.raises(sdk.exceptions.AuthError):
        client.files_list_folder("")


def test_a_scope_that_was_not_given_is_named(line: Cloud, client: Any) -> None:
    for grant in line.fake.consent.live_grants():
        grant.scopes = ("files.metadata.read",)
    assert client.files_list_folder("").entries == []
    with pytest.raises(sdk.exceptions.AuthError) as raised:
        client.files_upload(b"x", "/a")
    assert raised.value.error.get_missing_scope().required_scope == "files.content.write"


def test_commits_at_the_same_time_are_refused(line: Cloud, client: Any) -> None:
    def meanwhile() -> None:
        line.fake.during_commit = lambda: None
        with pytest.raises(sdk.exceptions.ApiError) as raised:
            client.files_upload(b"y", "/b")
        assert raised.value.error.get_path().reason.is_too_many_write_operations()

    line.fake.during_commit = meanwhile
    client.files_upload(b"x", "/a")
    assert list(line.fake.files()) == ["/a"]
