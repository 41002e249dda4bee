"""Connecting WebDAV and S3 through the pages, against servers of others; and what a shared Chatkeep refuses."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client
from tests.providers.test_s3 import KEYS, moto, seaweedfs, service
from tests.providers.test_webdav import PASSWORD, USER, wsgidav_server

from chatkeep.archive import Archive
from chatkeep.connections.models import Connection
from chatkeep.vault import keys
from chatkeep.web import held

__all__ = ["moto", "seaweedfs", "service", "wsgidav_server"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COST_N", 2**10)


def _back_up(keeper: Client, name: str, work: Callable[[], None]) -> str:
    run = keeper.post(f"/backups/{name}/do", {"do": "backup"})
    work()
    return keeper.get(run.headers["Location"]).content.decode()


def test_a_folder_on_a_webdav_server_is_connected_and_backed_up_to(
    keeper: Client, example_archive: Archive, work: Callable[[], None], wsgidav_server: str
) -> None:
    assert "/connect/server/webdav/" in keeper.get("/connect/").content.decode()
    given = {"address": f"{wsgidav_server}/web/Chatkeep", "user": USER, "password": "wrong", "name": "nas"}
    refused = keeper.post("/connect/server/webdav/", given)
    assert refused.status_code == 400
    assert given["address"] in refused.content.decode()
    assert "wrong" not in refused.content.decode()
    assert not Connection.objects.exists()
    made = keeper.post("/connect/server/webdav/", {**given, "password": PASSWORD})
    assert re.search(r'class="key" translate="no">[A-Z0-9-]+<', made.content.decode())
    assert PASSWORD not in str(list(Connection.objects.values()))
    assert "Read back and compared" in _back_up(keeper, "nas", work)


def test_another_password_is_tried_before_it_is_kept(
    keeper: Client, example_archive: Archive, work: Callable[[], None], wsgidav_server: str
) -> None:
    given = {"address": f"{wsgidav_server}/again/Chatkeep", "user": USER, "password": PASSWORD, "name": "nas"}
    keeper.post("/connect/server/webdav/", given)
    Connection.objects.update(signed_out=True, trouble="The password was refused.")
    page = keeper.post("/backups/nas/reconnect", follow=True).content.decode()
    assert 'name="password"' in page
    assert 'name="address"' not in page
    uid = Connection.objects.get().uid
    assert keeper.post("/connect/server/webdav/", {"reconnects": uid, "password": "wrong"}).status_code == 400
    assert Connection.objects.get().signed_out
    answer = keeper.post("/connect/server/webdav/", {"reconnects": uid, "password": PASSWORD})
    assert answer.headers["Location"] == "/backups/nas/"
    row = Connection.objects.get()
    assert (row.signed_out, row.trouble) == (False, "")
    assert "Read back and compared" in _back_up(keeper, "nas", work)


def test_a_bucket_is_connected_and_backed_up_to(
    keeper: Client, example_archive: Archive, work: Callable[[], None], service: str
) -> None:
    given = {"address": service, "bucket": "kept", **KEYS, "region": "", "folder": "Pages", "name": "bucket"}
    missing = keeper.post("/connect/server/s3/", {**given, "bucket": ""}).content.decode()
    assert "Something is missing: Bucket." in missing
    assert "recovery key" in keeper.post("/connect/server/s3/", given).content.decode().lower()
    assert "Read back and compared" in _back_up(keeper, "bucket", work)


def test_there_is_no_form_for_other_kinds(keeper: Client) -> None:
    for kind in ("folder", "google-drive", "memory", "nonsense"):
        assert keeper.get(f"/connect/server/{kind}/").status_code == 404


@pytest.mark.parametrize("shared", [False, True])
def test_where_several_people_share_it_nobody_names_its_folders_files_and_servers(
    keeper: Client, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    """With `shared` off it is the control: one person on one machine may."""
    means = held.means()
    mine = means.installation_of
    monkeypatch.setattr(
        held, "means", lambda: dataclasses.replace(means, installation_of=lambda id: _shared(mine(id), shared))
    )
    (tmp_path / "secret.json").write_text("[]")
    place = {"path": str(tmp_path / "stick"), "name": "stick"}
    named = [
        keeper.post("/backups/connect", place).status_code,
        keeper.post("/import/", {"path": str(tmp_path / "secret.json")}).status_code,
        keeper.get("/connect/folder/").status_code,
        keeper.get("/connect/server/webdav/").status_code,
    ]
    assert named == ([400, 400, 404, 404] if shared else [200, 302, 200, 200])
    assert (tmp_path / "stick").exists() != shared
    offered = keeper.get("/connect/").content.decode() + keeper.get("/import/").content.decode()
    assert ("/connect/folder/" in offered, 'name="path"' in offered) == (not shared, not shared)


def _shared(installation: object, shared: bool) -> object:
    return dataclasses.replace(installation, shared=shared)  # type: ignore[type-var]
