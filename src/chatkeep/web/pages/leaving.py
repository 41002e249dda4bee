"""Taking everything away as one file, being erased, and the certificate of it."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from django.contrib.auth import logout
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatkeep.errors import NotFound, WrongUse
from chatkeep.jobs import queue
from chatkeep.jobs.leaving import NOBODYS
from chatkeep.people import audit, belonging
from chatkeep.people.models import Certificate
from chatkeep.people.roles import operators_only
from chatkeep.web import held
from chatkeep.web.configuration import CHATKEEP
from chatkeep.web.pages.exporting import new_zip
from chatkeep.web.stepping_up import stepped_up


@stepped_up
@require_POST
def everything(request: HttpRequest) -> HttpResponseBase:
    """Make a file of all that is known of whoever is signed in."""
    user = held.person(request)
    arguments = {"user": user.pk.hex, "out": new_zip(request, "everything")}
    audit.note(user.mark, "user.took-everything", user.mark)
    return redirect("run", held.enqueue(request, "everything", arguments=arguments).pk)


@stepped_up
@require_http_methods(["GET", "POST"])
def erase(request: HttpRequest) -> HttpResponseBase:
    """Ask to be erased. Whoever types their address is signed out, and shown the link to the certificate."""
    user = held.person(request)
    if request.method == "GET":
        return render(request, "people/erase.html", {"person": user})
    if request.POST.get("email", "").strip().lower() != user.email:
        raise WrongUse("This is not the address of your account.", hint="Go back and type it as it is shown.")
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        made = Certificate.objects.create(user=user.pk, token_hash=_hash(token))
        user.erased_at, user.is_active = timezone.now(), False
        user.save(update_fields=["erased_at", "is_active"])
        audit.note(user.mark, "user.erasure-asked", user.mark)
        arguments = {"certificate": str(made.pk)}
        queue.enqueue("erase", f"user:{user.pk.hex}", arguments, by="whoever it was", archive=NOBODYS)
        belonging.sign_out(user)
    logout(request)
    link = CHATKEEP.public_url + reverse("certificate", args=[token])
    return render(request, "people/certificate.html", {"one": made, "link": link})


@require_GET
def certificate(request: HttpRequest, token: str) -> HttpResponseBase:
    """The certificate, for whoever has its link."""
    found = Certificate.objects.filter(token_hash=_hash(token)).first()
    if found is None:
        raise NotFound("There is no such certificate.")
    if request.GET.get("download") == "1" and found.done_at:
        return _file(_plain(found), f"certificate-{found.hash[:8]}.json")
    return render(request, "people/certificate.html", {"one": found})


@operators_only
@require_GET
def erasures(request: HttpRequest) -> HttpResponse:
    """Every erasure, with its certificate."""
    if request.GET.get("download") == "1":
        return _file([_plain(one) for one in Certificate.objects.all()], "certificates.json")
    page = Paginator(Certificate.objects.all(), 50).get_page(request.GET.get("page"))
    return render(request, "operator/erasures.html", {"page": page})


def _plain(one: Certificate) -> dict[str, Any]:
    return {
        "account": one.mark,
        "asked_at": one.asked_at,
        "done_at": one.done_at,
        "counts": one.counts,
        "unreached": one.unreached,
        "hash": one.hash,
    }


def _file(value: Any, name: str) -> HttpResponse:
    response = JsonResponse(value, safe=False, json_dumps_params={"indent": 1})
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
