"""Conversations out of the archive, as files to read or to keep."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from chatkeep import exporters
from chatkeep.archive import Archive
from chatkeep.errors import NotFound, WrongUse
from chatkeep.exporters import Customisation
from chatkeep.exporters.output import output_at
from chatkeep.operations.progress import Progress, Step, quiet
from chatkeep.operations.reports import ExportReport
from chatkeep.selection import Selection


def export_to(
    archive: Archive,
    selection: Selection,
    *,
    exporter: str,
    customisation: Customisation,
    out: str,
    stream: BinaryIO | None = None,
    progress: Progress = quiet,
) -> ExportReport:
    """Write the selected conversations in one format, in the order of `Archive.listing`, in flat memory.

    exporter: "txt", "json", "markdown" or "html". out: a folder, a `.zip`, one file, or "-" for `stream`.
    A file under its final name is complete, also when this is stopped. An attachment that cannot be read is a problem,
    and the rest is written.
    Raises WrongUse for what the format cannot do, NotFound for an id that is not there, Refused and QuotaFull.
    """
    chosen = exporters.find(exporter)
    suffixes = [".markdown", ".htm", *(one.suffix for one in exporters.EXPORTERS.values())]
    if out == "-" and stream is None:
        raise WrongUse("There is no stream to export to.", hint="Give a folder, a .zip or a file.")
    total = archive.count(selection)
    progress(Step("Writing", 0, total, "conversations"))
    written = exporters.export(
        archive.documents(selection),
        exporter=chosen,
        customisation=customisation,
        out=output_at(out, stream=stream or BytesIO(), suffixes=suffixes),
        attachment=lambda sha256: _attachment(archive, sha256),
        progress=lambda done: progress(Step("Writing", done, total, "conversations")),
    )
    return ExportReport(
        files=written.files,
        conversations=written.conversations,
        messages=written.messages,
        bytes=written.bytes,
        attachments=written.attachments,
        missing_attachments=written.missing,
        left_out=written.left_out,
        problems=list(written.problems),
    )


def _attachment(archive: Archive, sha256: str) -> Path | None:
    try:
        return archive.attachment(sha256)
    except NotFound:
        return None
