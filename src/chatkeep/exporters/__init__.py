"""Taking conversations away as files: formats, what is customised, where it goes.

`export` writes conversations into an output, `preview` gives one as text; both take an exporter of `EXPORTERS` and a
`Customisation`. Files are complete under their final names, named safely, and hold nothing that runs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

from chatkeep.exporters.customisation import (
    ATTACHMENTS,
    BRANCHES,
    FIELDS,
    FILES,
    NAME_PATTERN,
    NAMES,
    TIMES,
    Customisation,
)
from chatkeep.exporters.exporter import Entry, Exporter, Place, Written
from chatkeep.exporters.exporting import Attachment, Exported, export, preview, rendered
from chatkeep.exporters.output import Folder, OneFile, Output, Stream, Zip, output_at
from chatkeep.exporters.registry import EXPORTERS, find

__all__ = [
    "ATTACHMENTS",
    "BRANCHES",
    "EXPORTERS",
    "FIELDS",
    "FILES",
    "NAMES",
    "NAME_PATTERN",
    "TIMES",
    "Attachment",
    "Customisation",
    "Entry",
    "Exported",
    "Exporter",
    "Folder",
    "OneFile",
    "Output",
    "Place",
    "Stream",
    "Written",
    "Zip",
    "export",
    "find",
    "output",
    "preview",
    "rendered",
]


def output(place: str | Path, *, stream: BinaryIO | None = None) -> Output:
    """The output that a person means: a folder, a `.zip`, one file (by the ending of a format), or "-".

    stream: what "-" stands for; standard output if none is given.
    """
    suffixes = [".markdown", ".htm", *(one.suffix for one in EXPORTERS.values())]
    return output_at(place, stream=stream or sys.stdout.buffer, suffixes=suffixes)
