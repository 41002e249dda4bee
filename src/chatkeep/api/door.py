"""What a request to the API passes: address, token, rate, what it may say, idempotency; and errors as problems.

Nothing of a browser counts here: no cookie is read, so that no page can act for somebody, and no other site is let in.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import ResolverMatch, URLResolver
from django.urls.resolvers import RegexPattern
from django.views.decorators.csrf import csrf_exempt

from chatkeep.api import behalf, house, once, problems, rates, tokens
from chatkeep.api.problems import ApiError
from chatkeep.api.tokens import Access

if TYPE_CHECKING:
    from ninja.operation import Operation

ROOT = "/api/v1/"
DESCRIPTION = "/api/v1/openapi.json"
LARGEST_BODY = 64 << 20
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_READ_AS_IT_COMES = "put_attachment"


@csrf_exempt
def answer(request: HttpRequest) -> HttpResponseBase:
    """The answer to any request below /api/."""
    try:
        response = _described(request) if request.path == DESCRIPTION else _answer(request)
    except Exception as error:
        response = problems.answer(_as_ours(error))
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'; sandbox"
    return response


def _described(request: HttpRequest) -> HttpResponse:
    if request.method != "GET":
        raise _wrong_method(["GET"])
    return HttpResponse(_description(), content_type="application/json")


@lru_cache(maxsize=1)
def _description() -> bytes:
    from chatkeep.api.described import openapi

    return openapi()


@lru_cache(maxsize=1)
def _resolver() -> URLResolver:
    """The addresses of the API. django-ninja is loaded here, at the first request."""
    from chatkeep.api.served import patterns

    return URLResolver(RegexPattern(f"^{ROOT}"), patterns())


def _answer(request: HttpRequest) -> HttpResponseBase:
    try:
        match = _resolver().resolve(request.path)
    except Http404:
        raise ApiError(404, "There is nothing at this address.", hint=f"See {DESCRIPTION}.") from None
    operation = _operation(request, match)
    access = _who(request)
    rates.spend(access)
    _refuse_unknown(request, operation)
    request.by_service = access.is_service  # type: ignore[attr-defined]
    request.access = behalf.acting(request, access)  # type: ignore[attr-defined]
    body = b"" if operation.view_func.__name__ == _READ_AS_IT_COMES else _body(request, operation)
    request.payload = body  # type: ignore[attr-defined]

    def do() -> HttpResponseBase:
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        return response

    if request.method == "POST" and "Idempotency-Key" in request.headers:
        safe = house.means().installation_of(request.access.archive_id).safe  # type: ignore[attr-defined]
        return once.once(access.token, request, body, safe, do)
    return do()


def _operation(request: HttpRequest, match: ResolverMatch) -> Operation:
    view: Any = match.func
    found: dict[str, Operation] = view.operations
    if request.method not in found:
        raise _wrong_method(found)
    return found[request.method]


def _wrong_method(allowed: Any) -> ApiError:
    names = ", ".join(name for name in _METHODS if name in allowed)
    return ApiError(405, f"This address answers to {names}.", headers={"Allow": names})


def _who(request: HttpRequest) -> Access:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    behalf_of = request.headers.get(behalf.HEADER, "")
    access = tokens.bearer(token.strip(), behalf_of) if kind.lower() == "bearer" else None
    if access is None:
        raise ApiError(
            401,
            "There is no valid token in the Authorization header.",
            hint="Make one with: chatkeep tokens add. Send it as: Authorization: Bearer ck_…",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return access


def _refuse_unknown(request: HttpRequest, operation: Operation) -> None:
    """A mistyped condition must not select everything."""
    known: set[str] = set()
    single: set[str] = set()
    for model in operation.models:
        if model.__ninja_param_source__ == "query":
            known |= set(model.__ninja_flatten_map__)
            single |= {name for name in model.__ninja_flatten_map__ if name not in model.__ninja_collection_fields__}
    if unknown := sorted(request.GET.keys() - known):
        hint = f"Known are: {', '.join(sorted(known))}." if known else "This address takes none."
        raise ApiError(422, f"The query has {unknown[0][:60]!r}, which is not known here.", hint=hint)
    for name in single:
        if len(request.GET.getlist(name)) > 1:
            raise ApiError(422, f"The query has {name!r} more than once.")


def _body(request: HttpRequest, operation: Operation) -> bytes:
    """The body, which then stands for the request's; at most LARGEST_BODY."""
    told = request.headers.get("Content-Length", "")
    if told.isdecimal() and int(told) > LARGEST_BODY:
        raise _too_large()
    body = request.read(LARGEST_BODY + 1)
    if len(body) > LARGEST_BODY:
        raise _too_large()
    request._body = body
    wanted = _content_types(operation)
    if wanted and (request.content_type or "").lower() not in wanted:
        raise ApiError(415, f"The body has to be {' or '.join(wanted)}.", hint="Say so with Content-Type.")
    return body


def _content_types(operation: Operation) -> list[str]:
    if any(model.__ninja_param_source__ == "body" for model in operation.models):
        return ["application/json"]
    extra: dict[str, Any] = operation.openapi_extra or {}
    return list(extra.get("requestBody", {}).get("content", {}))


def _too_large() -> ApiError:
    return ApiError(413, f"The body has more than {LARGEST_BODY:,} bytes.", hint="Send less with one request.")


def _as_ours(error: Exception) -> BaseException:
    """Errors of the libraries below as problems that say which value does not fit, and quote none."""
    from ninja.errors import HttpError, ValidationError

    if isinstance(error, ValidationError):
        return ApiError(422, "; ".join(_fault(one) for one in error.errors[:5]) + ".")
    if isinstance(error, HttpError):
        return ApiError(error.status_code if error.status_code in problems.TITLES else 400, "The body is no JSON.")
    return error


def _fault(one: dict[str, Any]) -> str:
    """A fault of pydantic without the value. Its text is ours or pydantic's, which speaks of the rule alone."""
    source, *place = one["loc"]
    where = ".".join(str(step) for step in place if step != "query") or "body"
    kind = str(one["type"])
    rule = "it is not one of those that are known" if kind == "extra_forbidden" else str(one["msg"])
    return f"{where[:100]} ({source}): {rule}" if kind != "value_error" else f"{where[:100]} ({source}): not possible"
