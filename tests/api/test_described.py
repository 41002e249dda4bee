"""The OpenAPI document: complete, true, and asked by schemathesis for all that it promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from django.test import Client
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection

from api.conftest import Program
from archive.talks import take, talk
from chatkeep.api.described import openapi
from chatkeep.api.models import Answer, Webhook
from chatkeep.api.tokens import SCOPES
from chatkeep.archive import Archive

DESCRIPTION = json.loads(openapi())
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
SCHEMA.app = get_wsgi_application()


@schemathesis.serializer("application/x-ndjson")
def as_lines(context: Any, value: Any) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


@pytest.mark.slow
@SCHEMA.parametrize()
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_operation_does_what_its_description_says(case: Any, archive: Archive, program: Program) -> None:
    if case.media_type == "application/x-ndjson" and not isinstance(case.body, str):
        return  # lines are text whatever is in them
    if any(_has_nothing(value) for value in (case.query or {}).values()):
        return  # an address knows neither null nor an empty list: what was wrong about the query is not sent
    if archive.count() == 0:
        take(archive, talk("tea", ["Which tea?", "Green tea."]))
    # An Idempotency-Key of an earlier example and one webhook too many are rightly refused.
    Answer.objects.all().delete()
    Webhook.objects.all().delete()
    # Of several conversations each is taken or refused by itself, so one that does not fit is told of in a 200.
    each = [negative_data_rejection] if (case.method, case.path) == ("POST", "/api/v1/conversations") else []
    case.call_and_validate(
        headers={"Authorization": f"Bearer {program.token}", "Host": "127.0.0.1"}, excluded_checks=each
    )


def _has_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_has_nothing, value)))


def test_the_description_needs_no_token_and_names_every_scope(client: Client) -> None:
    answer = client.get("/api/v1/openapi.json", headers={"host": "127.0.0.1"})
    assert answer.json() == DESCRIPTION
    assert answer.json()["openapi"] == "3.1.0"
    assert all(f"`{scope}`" in DESCRIPTION["info"]["description"] for scope in SCOPES)


def test_the_page_that_is_made_from_it_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "api" / "openapi.json"
    assert page.read_bytes() == openapi(), "`make fix` writes it anew."


def test_every_operation_says_what_it_does_and_how_it_may_fail() -> None:
    operations = [one for path in DESCRIPTION["paths"].values() for one in path.values()]
    assert len(operations) > 30
    for one in operations:
        assert one["description"].endswith("."), one["operationId"]
        assert {"401", "403", "422", "429", "500"} <= one["responses"].keys()
        assert one["security"] == [{"token": []}]
    assert len({one["operationId"] for one in operations}) == len(operations)


def test_every_reference_leads_somewhere() -> None:
    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*(references(one) for one in value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    for reference in references(DESCRIPTION):
        found: Any = DESCRIPTION
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
