"""Dropbox: a folder in a person's account, seen through an app that has a folder of its own.

Everything about the service is here; docs/providers/dropbox.md says the same for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatkeep.errors import WrongUse
from chatkeep.providers.dropbox.api import Api, content_hash
from chatkeep.providers.dropbox.storage import Dropbox
from chatkeep.providers.oauth import SignIn
from chatkeep.providers.provider import Account, Means, Provider, Space
from chatkeep.providers.shapes import understood

__all__ = ["DROPBOX", "Dropbox", "content_hash"]

FOLDER_NAME = "Chatkeep"
SCOPES = ("account_info.read", "files.metadata.read", "files.content.read", "files.content.write")

SIGN_IN = SignIn(
    authorize="https://www.dropbox.com/oauth2/authorize",
    token="https://api.dropboxapi.com/oauth2/token",  # noqa: S106 - an address
    revoke="https://api.dropboxapi.com/2/auth/token/revoke",
    revoke_with_access=True,
    scopes=SCOPES,
    needed=SCOPES,
    parameters={"token_access_type": "offline"},
    redirect_host="localhost",
    exact_redirect=True,
    without_redirect=True,
)


def _api(means: Means | None) -> Api:
    if means is None:
        raise WrongUse("Dropbox is opened with a sign-in.")
    return Api(means.endpoints, means.access, means.gate)


@understood
def _open(settings: Mapping[str, str], new: bool, means: Means | None) -> Dropbox:
    api = _api(means)
    assert means is not None
    try:
        return Dropbox(api, means.notes, settings.get("folder", FOLDER_NAME).strip("/"), new=new)
    except BaseException:
        api.close()
        raise


def _told(means: Means, route: str) -> Any:
    """One question that is about the account."""
    api = _api(means)
    try:
        return api.ask(route).of("the account")
    finally:
        api.close()


@understood
def _account(means: Means) -> Account:
    told = _told(means, "users/get_current_account")
    return Account(str(told["account_id"]), str(told["name"]["display_name"]), str(told.get("email", "")))


@understood
def _space(settings: Mapping[str, str], means: Means) -> Space:
    """How full the Dropbox is; of a team's, the share of this person if there is one."""
    told = _told(means, "users/get_space_usage")
    of = told["allocation"]
    if of[".tag"] == "individual":
        return Space(int(told["used"]), int(of["allocated"]))
    if of[".tag"] != "team":
        return Space(int(told["used"]), None)
    own = int(of.get("user_within_team_space_allocated", 0))
    return Space(int(told["used"]), own) if own else Space(int(of["used"]), int(of["allocated"]))


DROPBOX = Provider(
    name="dropbox",
    title="Dropbox",
    needs=(),
    open=_open,
    sign_in=SIGN_IN,
    account=_account,
    space=_space,
)
