"""For whom a service asks: the user that it names, and the archive that is theirs."""

from __future__ import annotations

import re
import uuid

import msgspec
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from chatkeep.api.models import Known
from chatkeep.api.problems import ApiError
from chatkeep.api.tokens import Access
from chatkeep.people import belonging
from chatkeep.people.models import Membership, User, plain_email

HEADER = "Chatkeep-On-Behalf-Of"
NAME = re.compile(r"[!-~]{1,200}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}")
_MAKING = ("POST", "PUT")


def acting(request: HttpRequest, access: Access) -> Access:
    """The access with the archive that the request is about. A service's user gets one with their first push.

    Raises ApiError: 403 when a personal token names somebody, 422 when a service names nobody, 404 for a user whom
    the service has not pushed for yet.
    """
    name = request.headers.get(HEADER)
    if name is not None and not NAME.fullmatch(name):
        raise ApiError(422, f"{HEADER} has 1 to 200 plain signs without spaces.")
    if not access.is_service:
        if name is not None:
            raise ApiError(403, "This token acts for its own user alone.", hint=f"Leave out {HEADER}.")
        return access
    if name is None:
        if request.path == "/api/v1/me":
            return access
        raise ApiError(422, "A service has to say for whom it asks.", hint=f"Name the user with {HEADER}.")
    may_make = request.method in _MAKING and "write" in access.scopes
    return msgspec.structs.replace(access, archive_id=_archive(access.token, name, may_make=may_make))


def _archive(token: int, name: str, *, may_make: bool) -> str:
    """The archive of somebody with an account, by id or address; else the one that this service's pushes made."""
    user = _user(name)
    if user is not None:
        if may_make or Membership.objects.filter(user=user).exists():
            return belonging.archive_of(user)
        raise _nobody()
    found = Known.objects.filter(token=token, name=name).first()
    if found is None and may_make:
        try:
            with transaction.atomic():
                found = Known.objects.create(token_id=token, name=name, archive=uuid.uuid4().hex)
        except IntegrityError:  # somebody else pushed first
            found = Known.objects.get(token=token, name=name)
    if found is None:
        raise _nobody()
    return str(found.archive)


def _user(name: str) -> User | None:
    """The person with this id or address. Raises ApiError when they were disabled or erased."""
    if "@" in name:
        user = User.objects.filter(email=plain_email(name)).first()
    elif _UUID.fullmatch(name):
        user = User.objects.filter(pk=name).first()
    else:
        return None
    if user is not None and (not user.is_active or user.erased_at):
        raise _nobody()
    return user


def _nobody() -> ApiError:
    return ApiError(404, "Nothing was pushed for this user yet.")
