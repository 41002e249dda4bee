"""zstd frames, opened by one decompressor in each thread.

To make a decompressor takes as long as to open a document of 20 KB with it, and one may not be used by two threads at
once. Source: https://python-zstandard.readthedocs.io/en/latest/decompressor.html, seen 2026-11.
"""

from __future__ import annotations

import threading

import zstandard


class _Local(threading.local):
    def __init__(self) -> None:
        self.decompressor = zstandard.ZstdDecompressor()


_local = _Local()


def expand(frame: bytes, *, size: int = 0) -> bytes:
    """What a frame holds. size: at most [bytes], where the frame itself may not say. Raises zstandard.ZstdError."""
    return _local.decompressor.decompress(frame, max_output_size=size)
