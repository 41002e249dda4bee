"""Google Drive: how a person consents, whose account it is, and the folder that copies go to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatkeep.errors import Refused, WrongUse
from chatkeep.providers.google_drive.calls import API, UNITS_PER_S, Calls
from chatkeep.providers.google_drive.storage import GoogleDrive
from chatkeep.providers.oauth import SignIn
from chatkeep.providers.provider import Account, Means, Provider, Space
from chatkeep.providers.shapes import understood
from chatkeep.storage import check_name

__all__ = ["GOOGLE_DRIVE", "GoogleDrive"]

LONGEST_FOLDER = 100
"""Of the name of the top folder [bytes]: Drive takes 124 for a property's key and value together."""

DRIVE_FILE = "https://www.googleapis.com/auth/drive.file"

# Source: "OAuth 2.0 for Mobile & Desktop Apps" and the list of scopes of Google's identity guides; 2026-11.
SIGN_IN = SignIn(
    authorize="https://accounts.google.com/o/oauth2/v2/auth",
    token="https://oauth2.googleapis.com/token",  # noqa: S106 - an address
    revoke="https://oauth2.googleapis.com/revoke",
    device="https://oauth2.googleapis.com/device/code",
    scopes=(DRIVE_FILE,),
    needed=(DRIVE_FILE,),
    parameters={"access_type": "offline", "prompt": "consent"},
    redirect_host="127.0.0.1",
    secret=True,
    trial_days=7,
    trial_note='Google ends sign-ins after seven days while the project of your app is in "Testing": publish it there.',
)


@understood
def _open(settings: Mapping[str, str], new: bool, means: Means | None) -> GoogleDrive:
    if means is None:
        raise WrongUse("Google Drive is opened with a sign-in.")
    folder = settings.get("folder") or "Chatkeep"
    check_name(folder)
    if "/" in folder or len(folder.encode()) > LONGEST_FOLDER:
        raise Refused("The folder at Google Drive is one short name, without a slash.")
    return GoogleDrive(means, folder=folder, new=new)


def _about(means: Means, fields: str) -> dict[str, Any]:
    calls = Calls(means)
    try:
        return calls.json("GET", f"{API}/about", "The account", params={"fields": fields})
    finally:
        calls.http.close()


@understood
def account(means: Means) -> Account:
    """Whose Drive this is."""
    user = _about(means, "user(displayName,emailAddress,permissionId)")["user"]
    return Account(id=user["permissionId"], name=user.get("displayName", ""), email=user.get("emailAddress", ""))


@understood
def space(settings: Mapping[str, str], means: Means) -> Space:
    """How full the whole Google account is: Drive shares its room with Gmail and Photos."""
    room = _about(means, "storageQuota(limit,usage)")["storageQuota"]
    return Space(used=int(room.get("usage", 0)), total=int(room["limit"]) if "limit" in room else None)


GOOGLE_DRIVE = Provider(
    name="google-drive",
    title="Google Drive",
    needs=(),
    open=_open,
    sign_in=SIGN_IN,
    units_per_s=UNITS_PER_S,
    account=account,
    space=space,
)
