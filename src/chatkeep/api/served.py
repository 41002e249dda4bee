"""The operations as django-ninja serves them. It is loaded with the first request, or to describe them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NoReturn

from django.http import HttpRequest
from django.urls import URLPattern, path
from ninja import NinjaAPI
from ninja.operation import Operation

from chatkeep.api.routes import about, attachments, conversations, jobs, webhooks


class Api(NinjaAPI):
    """All operations. Errors pass through it: the door explains them, in one place."""

    def on_exception(self, request: HttpRequest, exc: Exception) -> NoReturn:  # type: ignore[override]
        raise exc

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__


@lru_cache(maxsize=1)
def api() -> Api:
    """The one of this process."""
    made = Api(title="Chatkeep", docs_url=None, openapi_url=None, urls_namespace="chatkeep-api")
    for module in (conversations, attachments, jobs, about, webhooks):
        made.add_router("", module.router)
    return made


def patterns() -> list[URLPattern]:
    """The addresses below /api/v1/, each with a view whose `operations` are its operations by method."""
    found = []
    for bound in api()._get_bound_routers():
        for address, view in bound.path_operations.items():
            answer: Any = view.get_view()
            answer.operations = {method: operation for operation in view.operations for method in operation.methods}
            found.append(path(address.strip("/").replace("{", "<").replace("}", ">"), answer))
    return found
