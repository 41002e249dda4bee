"""The OpenAPI document: what django-ninja knows of the operations, and what it cannot know: documents and errors."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import msgspec

from chatkeep.api import reading, values
from chatkeep.api.problems import MEDIA_TYPE, TITLES, TYPE
from chatkeep.api.served import api
from chatkeep.api.tokens import SCOPES
from chatkeep.exact import MAX_INTEGER
from chatkeep.model import Conversation

ROOT = "/api/v1/"
_EVERY = (400, 401, 403, 422, 429, 500, 503)
_BODY = (413, 415)
_INTRODUCTION = """Push conversations as they happen; read, search, export, back up and restore them.

Every request carries a token: `Authorization: Bearer ck_…`. A token belongs to one archive and has scopes: {scopes}.
A service token acts for the user that `Chatkeep-On-Behalf-Of` names.

Errors are problems of RFC 9457 and quote no chat. A POST with an `Idempotency-Key` is done once within 24 hours.
429 and 503 say in `Retry-After` how long to wait [s]. What belongs to somebody else is not found.
"""
_TEXT = {"type": "string", "pattern": "^[^\\x00]*$"}
_NAMES = {"pattern": "^[^\\x00]*$"}
_ANYTHING = {"additionalProperties": {"$ref": "#/components/schemas/Exact"}, "propertyNames": _NAMES}
_ID = {"type": "string", "minLength": 1, "maxLength": reading.LONGEST_ID, "pattern": "^[^\\x00]*$"}
_PATTERNS: dict[tuple[str, str], dict[str, Any]] = {
    ("Document", "id"): {"type": "string", "pattern": reading.ID},
    ("Document", "format"): {"type": "integer", "enum": [1]},
    ("Document", "platform"): {"type": "string", "pattern": reading.PLATFORM},
    ("Document", "created_at"): {"type": "string", "pattern": reading.TIME},
    ("Document", "updated_at"): {"type": "string", "pattern": reading.TIME},
    ("Document", "stamps"): {
        "type": "object",
        "additionalProperties": {"type": "string", "pattern": reading.TIME},
        "propertyNames": _NAMES,
    },
    ("Participant", "id"): _ID,
    ("Participant", "role"): {"type": "string", "enum": list(reading.ROLES)},
    ("Message", "id"): _ID,
    ("Message", "sent_at"): {"type": "string", "pattern": reading.TIME},
    ("Message", "edited_at"): {"type": "string", "pattern": reading.TIME},
    ("Message", "local_time"): {"type": "string", "pattern": reading.LOCAL_TIME},
    ("Message", "sorts_at"): {"type": "string", "pattern": reading.SORT_TIME},
    ("Message", "order"): {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER},
    ("Part", "type"): {"type": "string", "enum": list(reading.TYPES)},
    ("Part", "sha256"): {"type": "string", "pattern": reading.SHA256},
    **{("Part", name): {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER} for name in ("size", "start", "end")},
    ("Reaction", "count"): {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER},
    ("Edit", "stamp"): {
        "type": "array",
        "prefixItems": [
            {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER},
            {"type": "string", "maxLength": reading.LONGEST_ID, "pattern": "^[^\\x00]*$"},
        ],
        "items": False,
        "minItems": 2,
        "maxItems": 2,
    },
}
_EXACT = {
    "description": "Any JSON value. Fractions are kept as their text; see exact values in docs/design/document.md.",
    "anyOf": [
        {"type": "null"},
        {"type": "boolean"},
        {"type": "number", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
        _TEXT,
        {"type": "array", "items": {"$ref": "#/components/schemas/Exact"}},
        {"type": "object", **_ANYTHING},
    ],
}
_EXAMPLE = {
    "format": 1,
    "id": "97fe15d4-0e47-570a-bf73-6c8312d2ec4e",
    "platform": "chatgpt",
    "source_id": "c0ffee",
    "title": "Tea",
    "created_at": "2024-05-31T10:00:00Z",
    "participants": [{"id": "ana", "name": "Ana", "role": "person"}, {"id": "assistant", "role": "assistant"}],
    "messages": [
        {
            "id": "f05bbb50-94a6-5db4-b3a8-31fc598b8886",
            "author": "ana",
            "sent_at": "2024-05-31T10:00:00Z",
            "parts": [{"type": "text", "text": "Which tea is best after dinner?"}],
        }
    ],
}


def openapi() -> bytes:
    """The document, the same bytes for the same version."""
    found: dict[str, Any] = json.loads(json.dumps(api().get_openapi_schema(path_prefix=ROOT)))
    scopes = ", ".join(f"`{name}` ({what})" for name, what in SCOPES.items())
    found["info"] = {"title": "Chatkeep", "version": "1", "description": _INTRODUCTION.format(scopes=scopes)}
    found["servers"] = [{"url": "/", "description": "This installation."}]
    schemas = found["components"]["schemas"]
    schemas |= _documents()
    schemas["Problem"] = _problem_schema()
    schemas["Native"] = _native()
    found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "ck_…"}}
    found["components"]["parameters"] = _parameters()
    found["components"]["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    found["components"]["responses"] = {str(status): _problem_answer(status) for status in TITLES}
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            _finish(operation, path, method)
    return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _finish(operation: dict[str, Any], path: str, method: str) -> None:
    """What every operation has: errors, one scheme of security, parameters that may not be null."""
    operation["security"] = [{"token": []}]
    operation["summary"] = operation["description"].partition(".")[0]
    for parameter in operation["parameters"]:
        parameter.pop("examples", None)
        parameter["schema"] = _never_null(parameter["schema"])
    operation["parameters"] += [{"$ref": "#/components/parameters/behalf"}]
    errors = [*_EVERY, *(_BODY if "requestBody" in operation else ()), 404, 409]
    if method == "post":
        operation["parameters"] += [{"$ref": "#/components/parameters/idempotency"}]
    for status in errors + ([507] if method in ("post", "put") else []):
        operation["responses"].setdefault(str(status), {"$ref": f"#/components/responses/{status}"})
    for status, answer in operation["responses"].items():
        if answer.get("description") == "Unknown Status Code" or ("description" not in answer and "$ref" not in answer):
            answer["description"] = HTTPStatus(int(status)).phrase


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that is left out rather than null."""
    kinds: list[dict[str, Any]] = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    return rest | kinds[0] if len(kinds) == 1 else schema


def _parameters() -> dict[str, Any]:
    return {
        "behalf": {
            "in": "header",
            "name": "Chatkeep-On-Behalf-Of",
            "required": False,
            "description": "For service tokens: the user it is about, as the service calls them.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
        },
        "idempotency": {
            "in": "header",
            "name": "Idempotency-Key",
            "required": False,
            "description": "Makes the request be done once: repeated within 24 hours it gets the same answer.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        },
    }


def _problem_schema() -> dict[str, Any]:
    schema: dict[str, Any] = values.Problem.model_json_schema()
    return schema


def _problem_answer(status: int) -> dict[str, Any]:
    code, title = TITLES[status]
    example = {"type": TYPE + code, "title": title, "status": status, "detail": f"{title}."}
    found: dict[str, Any] = {
        "description": title + ".",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
    }
    if status in (429, 503):
        found["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    return found


# ------------------------------------------------------------------ documents


def _native() -> dict[str, Any]:
    from chatkeep.importers.native import platforms

    return {
        "type": "object",
        "description": "A conversation as its platform has it, in the JSON that it stores or gives.",
        "properties": {"platform": {"type": "string", "enum": platforms()}, "native": {"type": ["object", "array"]}},
        "required": ["platform", "native"],
        "additionalProperties": False,
    }


def _documents() -> dict[str, Any]:
    """The schemas of a document and what it is made of. Fields that are not known are kept."""
    template = "#/components/schemas/{name}"
    _, found = msgspec.json.schema_components(
        (Conversation,), schema_hook=lambda kind: {"type": "object"}, ref_template=template
    )
    made = {("Document" if name == "Conversation" else name): schema for name, schema in found.items()}
    made.pop("Extra", None)
    for name, schema in made.items():
        properties = schema["properties"]
        properties.pop("\ufdd0extra")
        for field in properties:
            properties[field] = _PATTERNS.get((name, field)) or _tightened(properties[field])
        schema.pop("title", None)
        schema.update(_ANYTHING)
        schema["description"] = schema.get("description", name).partition("\n")[0]
    made["Document"]["example"] = _EXAMPLE
    made["Exact"] = _EXACT
    return made


def _tightened(schema: dict[str, Any]) -> dict[str, Any]:
    """The same without defaults, with texts that hold no NUL and exact values where anything may stand."""
    kept = {name: value for name, value in schema.items() if name != "default"}
    if not kept:
        return {"$ref": "#/components/schemas/Exact"}
    if kept.get("type") == "string":
        return kept | _TEXT
    if kept == {"type": "object"}:
        return kept | _ANYTHING
    for name in ("items", "additionalProperties"):
        if isinstance(kept.get(name), dict):
            kept[name] = _tightened(kept[name])
    return kept | {"propertyNames": _NAMES} if "additionalProperties" in kept else kept
