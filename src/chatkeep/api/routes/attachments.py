"""Attachments: brought and fetched by what they are, the SHA-256 of their bytes."""

from __future__ import annotations

import hashlib
import tempfile
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from django.http import FileResponse, HttpResponseBase
from ninja import Path, Router

from chatkeep.api import house, values
from chatkeep.api.problems import ApiError
from chatkeep.api.routes.frame import READ, WRITE, Asked, archive_of, raw_answer, raw_body
from chatkeep.api.values import Sha256

router = Router(tags=["attachments"])
LARGEST = 1 << 30
_IN_MEMORY = 1 << 20
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@router.get(
    "/attachments/{sha256}",
    auth=READ,
    openapi_extra={"responses": {200: raw_answer(_BYTES, "The bytes. They are given to be saved, never to be run.")}},
)
def get_attachment(request: Asked, sha256: Path[Sha256]) -> HttpResponseBase:
    """Give the bytes of an attachment that is here."""
    found = archive_of(request).attachment_info(sha256)
    response = FileResponse(found.path.open("rb"), content_type="application/octet-stream")
    response["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(found.name or sha256, safe='')}"
    response["ETag"] = f'"{sha256}"'
    return response


@router.put(
    "/attachments/{sha256}",
    auth=WRITE,
    response={200: values.Kept},
    openapi_extra=raw_body(_BYTES, "The bytes, whose SHA-256 is that of the address; at most 1 GiB."),
)
def put_attachment(request: Asked, sha256: Path[Sha256]) -> Any:
    """Bring the bytes of an attachment, before or after the conversation that names it."""
    archive = archive_of(request)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        digest, size = hashlib.sha256(), 0
        while piece := request.read(1 << 18):
            size += len(piece)
            if size > LARGEST:
                raise ApiError(413, f"An attachment has at most {LARGEST:,} bytes.")
            digest.update(piece)
            spool.write(piece)
        if digest.hexdigest() != sha256:
            raise ApiError(409, "The bytes are not those of the address: their SHA-256 is another one.")
        spool.seek(0)
        house.refuse_without_room(request.access.archive_id, attachment_bytes=size)
        kept = archive.keep(cast(BinaryIO, spool))
    return {"sha256": kept.sha256, "size": kept.size}
