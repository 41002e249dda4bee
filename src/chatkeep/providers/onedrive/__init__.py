"""OneDrive through Microsoft Graph: a folder that is the app's own, in a personal or a work account."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from chatkeep.errors import Refused, Unavailable
from chatkeep.providers.http import Http
from chatkeep.providers.notes import Notes
from chatkeep.providers.oauth import SignIn
from chatkeep.providers.onedrive import names
from chatkeep.providers.onedrive.graph import WIDER, Answer, Graph, problem
from chatkeep.providers.onedrive.storage import OneDrive
from chatkeep.providers.onedrive.tree import NOTE as ITEMS
from chatkeep.providers.provider import Account, Means, Provider, Space
from chatkeep.providers.shapes import understood

__all__ = ["ONEDRIVE", "SIGN_IN", "OneDrive"]

ROOT = "root"
APP_FOLDER = "/me/drive/special/approot"
_TENANT = "https://login.microsoftonline.com/common/oauth2/v2.0"

SIGN_IN = SignIn(
    authorize=f"{_TENANT}/authorize",
    token=f"{_TENANT}/token",
    device=f"{_TENANT}/devicecode",
    scopes=("Files.ReadWrite.AppFolder", "offline_access", "User.Read"),
    wider=("Files.ReadWrite", "offline_access", "User.Read"),
    parameters={"response_mode": "query", "prompt": "select_account"},
    redirect_host="localhost",
    revocable_note=(
        "Microsoft lets no program end a consent. To end it, open https://account.live.com/consent/Manage for a "
        "personal account or https://myapps.microsoft.com for a work account, and remove Chatkeep there."
    ),
)


REQUESTS_PER_S = 1000.0
"""Graph takes 2,000 requests a second of one app over all people; half of it, since processes may hold shares of it.
Source: "Microsoft Graph throttling guidance", 2026-11."""


class _Root(msgspec.Struct, frozen=True):
    """Which folder is ours. id: of its item; above: how long its path is [UTF-16 units]; folder: the setting."""

    id: str
    above: int
    folder: str


def _graph(means: Means) -> Graph:
    http = Http(means.endpoints, access=means.access, gate=means.gate, allowance=means.allowance)
    return Graph(http, means.gate)


@understood
def open_onedrive(settings: Mapping[str, str], new: bool, means: Means | None) -> OneDrive:
    """The folder `settings["folder"]` (default "Chatkeep") in the app folder of the account.

    Costs no request after the first time: which folder it is stands in the notes.
    Raises Refused with the way out when the account needs the wider permission, Unavailable when the folder is gone.
    """
    if means is None:
        raise Refused("OneDrive cannot be opened without a sign-in.")
    folder = settings.get("folder") or "Chatkeep"
    graph = _graph(means)
    try:
        root = _root(graph, means.notes, folder, new=new)
    except BaseException:
        graph.http.close()
        raise
    return OneDrive(graph, means.notes, root=root.id, above=root.above)


def _root(graph: Graph, notes: Notes, folder: str, *, new: bool) -> _Root:
    before = _kept(notes)
    if before is not None and before.folder == folder and not new:
        return before
    root = _found(graph, folder, new=new)
    notes.put(ROOT, msgspec.json.encode(root))
    if before is not None and before.id != root.id:
        notes.drop(ITEMS)  # they were those of another folder
    return root


def _kept(notes: Notes) -> _Root | None:
    try:
        return msgspec.json.decode(notes.get(ROOT) or b"", type=_Root)
    except msgspec.DecodeError:  # none yet, or one of another time
        return None


def _app_folder(graph: Graph) -> Answer:
    """The app's folder; asking for it makes it. It must be asked before anything is written."""
    answer = graph.ask("GET", APP_FOLDER)
    if answer.status == 403:
        raise Refused("OneDrive does not let Chatkeep into its own folder.", hint=WIDER)
    if not answer.ok or "id" not in answer.body:
        raise problem(answer, "Chatkeep's folder in OneDrive")
    return answer


def _found(graph: Graph, folder: str, *, new: bool) -> _Root:
    names.check(folder, above=0)
    app = _app_folder(graph)
    above = names.units(_path(app)) + 1 + names.units(folder)
    address = f"/me/drive/items/{names.quoted(str(app.body['id']))}"
    answer = graph.ask("GET", f"{address}:/{names.quoted(folder)}?$select=id,folder")
    if answer.status == 404 and new:
        answer = _made(graph, address, folder)
    if answer.status == 404:
        raise Unavailable(
            f"The folder {folder} is not in your OneDrive.",
            hint="Look in OneDrive's recycle bin and put it back, or connect again to begin with a new folder.",
        )
    if not answer.ok:
        raise problem(answer, f"The folder {folder}")
    root = _Root(str(answer.body["id"]), above, folder)
    if "folder" not in answer.body:
        raise Refused(f"In your OneDrive {folder} is a file and no folder.")
    return root


def _made(graph: Graph, address: str, folder: str) -> Answer:
    """Our folder, made with all above it."""
    answer = Answer(404, {})
    for name in folder.split("/"):
        wanted = {"name": name, "folder": {}, "@microsoft.graph.conflictBehavior": "fail"}
        answer = graph.ask("POST", f"{address}/children", json=wanted)
        if answer.status == 409:  # it is there: a race, or the upper part of a longer path
            answer = graph.ask("GET", f"{address}:/{names.quoted(name)}?$select=id,folder")
        if not answer.ok:
            return answer
        address = f"/me/drive/items/{names.quoted(str(answer.body['id']))}"
    return answer


def _path(item: Answer) -> str:
    """Where an item is, from the root of the drive; its parent's path is percent-encoded and its name is not."""
    above = str((item.body.get("parentReference") or {}).get("path", "")).partition("root:")[2]
    return f"{names.plain(above)}/{item.body.get('name', '')}"


@understood
def account(means: Means) -> Account:
    """Whose account it is, by the id of the person and not of the drive.

    Graph writes the id of one drive in several ways, and does not tell it at all to a consent that OneDrive will only
    take with the wider permission; this is asked before that comes out.
    """
    graph = _graph(means)
    try:
        me = graph.ask("GET", "/me")
        if not me.ok or "id" not in me.body:
            raise problem(me, "Your Microsoft account")
        email = str(me.body.get("mail") or me.body.get("userPrincipalName") or "")
        return Account(str(me.body["id"]).lower(), str(me.body.get("displayName") or email), email)
    finally:
        graph.http.close()


@understood
def space(settings: Mapping[str, str], means: Means) -> Space:
    """How full the drive is. Raises Refused where the account does not tell."""
    graph = _graph(means)
    try:
        drive = graph.ask("GET", "/me/drive?$select=quota")
        if not drive.ok:
            raise problem(drive, "The space of your OneDrive")
        quota = drive.body.get("quota") or {}
        total = int(quota.get("total") or 0)
        return Space(int(quota.get("used") or 0), total or None)
    finally:
        graph.http.close()


ONEDRIVE = Provider(
    name="onedrive",
    title="OneDrive",
    needs=(),
    open=open_onedrive,
    sign_in=SIGN_IN,
    units_per_s=REQUESTS_PER_S,
    account=account,
    space=space,
)
