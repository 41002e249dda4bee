"""For whom a service asks: the user that it names, and the archive that is theirs."""

from __future__ import annotations

import re
import uuid

import msgspec
from django.db import IntegrityError, transaction
from django.db.models import OuterRef, Subquery
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
    return msgspec.structs.replace(access, archive_id=_archive(access, name, may_make=may_make))


def _archive(access: Access, name: str, *, may_make: bool) -> str:
    """The archive of somebody with an account, by id or address; else the one that this service's pushes made."""
    of_account = _of_account(name, may_make=may_make)
    if of_account or access.known:
        return of_account or access.known
    if not may_make:
        raise _nobody()
    try:
        with transaction.atomic():
            return str(Known.objects.create(token_id=access.token, name=name, archive=uuid.uuid4().hex).archive)
    except IntegrityError:  # somebody else pushed first
        return str(Known.objects.get(token=access.token, name=name).archive)


def _of_account(name: str, *, may_make: bool) -> str:
    """The archive of the person with this id or address; "" when nobody has it.

    Raises ApiError when they were disabled or erased, or have no archive and none may be made.
    """
    if "@" in name:
        which: dict[str, str] = {"email": plain_email(name)}
    elif _UUID.fullmatch(name):
        which = {"pk": name}
    else:
        return ""
    own = Membership.objects.filter(user=OuterRef("pk")).values("archive")[:1]
    found = User.objects.filter(**which).values_list("pk", "is_active", "erased_at", Subquery(own)).first()
    if found is None:
        return ""
    pk, is_active, erased_at, archive = found
    if not is_active or erased_at or not (archive or may_make):
        raise _nobody()
    return archive or belonging.new_archive(User.objects.get(pk=pk))


def _nobody() -> ApiError:
    return ApiError(404, "Nothing was pushed for this user yet.")
