"""Microsoft's own SDK against the fake. It cannot send sessions (two faults of its own); rclone proves those."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from fakes.given import Cloud
from fakes.microsoft import MicrosoftFake
from fakes.server import Front

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]  # the SDK's own

Ask = Callable[[Callable[[Any], Awaitable[Any]]], Any]


@pytest.fixture(params=["personal", "business"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    fake = MicrosoftFake(kind=request.param)
    with Front([fake]) as front:
        yield Cloud(front, fake)


class Credential:
    """What the SDK wants to get tokens from."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def get_token(self, *scopes: str, **more: object) -> Any:
        from azure.core.credentials import AccessToken

        return AccessToken(self._token, int(time.time()) + 3600)

    async def close(self) -> None:
        """Nothing is held open."""


@pytest.fixture
def ask(cloud: Cloud) -> Ask:
    """Runs what asks a client that comes in by the plain door."""
    from msgraph import GraphServiceClient

    token = cloud.tokens().access

    def ask(asking: Callable[[Any], Awaitable[Any]]) -> Any:
        async def asked() -> Any:
            client = GraphServiceClient(Credential(token), ["https://graph.microsoft.com/.default"])
            client.request_adapter.base_url = f"{cloud.url}/graph.microsoft.com/v1.0"
            try:
                return await asking(client)
            finally:
                opened = client.request_adapter._http_client
                await opened._transport.transport.aclose()  # what the SDK wraps, and forgets to close
                await opened.aclose()

        return asyncio.run(asked())

    return ask


def items(client: Any, drive: str) -> Any:
    return client.drives.by_drive_id(drive).items


def test_whose_drive_it_is_and_how_full(cloud: Cloud, ask: Ask) -> None:
    cloud.fake.write("Documents/a", b"12345")
    me = ask(lambda client: client.me.get())
    drive = ask(lambda client: client.me.drive.get())
    assert me.display_name == "Alice"
    assert me.user_principal_name.startswith("alice@")
    assert drive.drive_type == cloud.fake.kind
    assert (drive.quota.used, drive.quota.total, drive.quota.remaining) == (5, 5 * 2**30, 5 * 2**30 - 5)


def test_the_app_folder_is_made_by_asking_and_files_come_and_go_in_it(cloud: Cloud, ask: Ask) -> None:
    data = bytes(range(256)) * 10

    async def story(client: Any) -> dict[str, Any]:
        drive = (await client.me.drive.get()).id
        app = await client.drives.by_drive_id(drive).special.by_drive_item_id("approot").get()
        place = f"{app.id}:/Grüße #1/a.bin:"
        put = await items(client, drive).by_drive_item_id(place).content.put(data)
        got = await items(client, drive).by_drive_item_id(place).get()
        read = await items(client, drive).by_drive_item_id(put.id).content.get()
        above = await items(client, drive).by_drive_item_id(app.id).children.get()
        inside = await items(client, drive).by_drive_item_id(above.value[0].id).children.get()
        await items(client, drive).by_drive_item_id(put.id).delete()
        return {"app": app, "put": put, "got": got, "read": read, "above": above.value, "inside": inside.value}

    told = ask(story)
    assert told["app"].special_folder.name == "approot"
    assert told["read"] == data
    assert [item.name for item in told["above"]] == ["Grüße #1"]
    assert told["above"][0].folder.child_count == 1
    assert [item.name for item in told["inside"]] == ["a.bin"]
    assert told["got"].id == told["put"].id
    assert told["got"].parent_reference.path.startswith("/drive/root:/Apps/Chatkeep/")
    hashes = told["got"].file.hashes
    if cloud.fake.kind == "personal":
        assert hashes.sha256_hash == hashlib.sha256(data).hexdigest().upper()
    else:
        assert (hashes.sha256_hash, hashes.sha1_hash) == (None, None)
    assert hashes.quick_xor_hash
    assert cloud.fake.files() == {}


def test_listings_have_pages(cloud: Cloud, ask: Ask) -> None:
    cloud.fake.page = 3

    async def story(client: Any) -> list[str]:
        drive = (await client.me.drive.get()).id
        app = await client.drives.by_drive_id(drive).special.by_drive_item_id("approot").get()
        for i in range(7):
            await items(client, drive).by_drive_item_id(f"{app.id}:/{i}:").content.put(b"x")
        found = []
        children = items(client, drive).by_drive_item_id(app.id).children
        page = await children.get()
        while page:
            found += [item.name for item in page.value]
            more = page.odata_next_link
            page = await children.with_url(more).get() if more else None
        return found

    assert ask(story) == [str(i) for i in range(7)]


def test_what_is_refused_has_code_and_status(ask: Ask) -> None:
    async def story(client: Any) -> list[tuple[int, str]]:
        from msgraph.generated.models.o_data_errors.o_data_error import ODataError

        drive = (await client.me.drive.get()).id
        app = await client.drives.by_drive_id(drive).special.by_drive_item_id("approot").get()
        found = []
        for place in (f"{app.id}:/nothing:", "root", f"{app.id}:/a:b:"):
            with pytest.raises(ODataError) as raised:
                await items(client, drive).by_drive_item_id(place).get()
            found.append((raised.value.response_status_code, raised.value.error.code))
        return found

    assert ask(story)[:2] == [(404, "itemNotFound"), (403, "accessDenied")]


def test_a_stale_tag_is_refused_and_a_right_one_taken(ask: Ask) -> None:
    async def story(client: Any) -> list[int]:
        from kiota_abstractions.base_request_configuration import RequestConfiguration
        from msgraph.generated.models.o_data_errors.o_data_error import ODataError

        drive = (await client.me.drive.get()).id
        app = await client.drives.by_drive_id(drive).special.by_drive_item_id("approot").get()
        place = items(client, drive).by_drive_item_id(f"{app.id}:/head:").content
        first = await place.put(b"1")
        right: RequestConfiguration[Any] = RequestConfiguration()
        right.headers.add("If-Match", first.e_tag)
        await place.put(b"2", request_configuration=right)
        with pytest.raises(ODataError) as raised:
            await place.put(b"3", request_configuration=right)
        return [raised.value.response_status_code]

    assert ask(story) == [412]


def test_the_feed_tells_what_came_and_what_went(cloud: Cloud, ask: Ask) -> None:
    async def story(client: Any) -> list[Any]:
        drive = (await client.me.drive.get()).id
        app = await client.drives.by_drive_id(drive).special.by_drive_item_id("approot").get()
        first = await items(client, drive).by_drive_item_id(f"{app.id}:/a:").content.put(b"x")
        delta = items(client, drive).by_drive_item_id(app.id).delta
        begun = await delta.get()
        await items(client, drive).by_drive_item_id(f"{app.id}:/b:").content.put(b"x")
        await items(client, drive).by_drive_item_id(first.id).delete()
        after = await delta.with_url(begun.odata_delta_link).get()
        return [begun.value, after.value, first.id]

    if cloud.fake.kind == "business":
        with pytest.raises(Exception, match="501"):
            ask(story)
        return
    begun, after, first = ask(story)
    assert [item.name for item in begun] == ["Chatkeep", "a"]
    told = {item.id: item for item in after}
    assert told[first].deleted.state == "deleted"
    assert {item.name for item in after if item.deleted is None} == {"Chatkeep", "b"}
    assert all(item.parent_reference.path is None for item in after)


def test_a_session_is_begun(cloud: Cloud, ask: Ask) -> None:
    async def story(client: Any) -> Any:
        from msgraph.generated.drives.item.items.item.create_upload_session import (
            create_upload_session_post_request_body as body,
        )
        from msgraph.generated.models.drive_item_uploadable_properties import DriveItemUploadableProperties

        drive = (await client.me.drive.get()).id
        app = await client.drives.by_drive_id(drive).special.by_drive_item_id("approot").get()
        wanted = body.CreateUploadSessionPostRequestBody(item=DriveItemUploadableProperties(file_size=5))
        return await items(client, drive).by_drive_item_id(f"{app.id}:/large:").create_upload_session.post(wanted)

    session = ask(story)
    assert session.next_expected_ranges == ["0-"]
    assert session.upload_url.startswith(cloud.url)
    assert session.expiration_date_time.year >= 2026
