"""Puts the files of a folder into a cloud with our own client: `python putting.py SETTINGS FOLDER`."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path


class _Kept:
    """Tokens that nobody else uses."""

    def __init__(self, tokens: object) -> None:
        self.tokens = tokens
        self.lock = threading.RLock()

    def load(self) -> object:
        return self.tokens

    def save(self, tokens: object) -> None:
        self.tokens = tokens

    def alone(self) -> threading.RLock:
        return self.lock


def main() -> None:
    from chatkeep import providers
    from chatkeep.providers import Access, Client, Endpoints, Gate, Means, MemoryNotes, Tokens
    from chatkeep.storage import each

    given = json.loads(sys.argv[1])
    sign_in = providers.provider(given["provider"]).sign_in
    assert sign_in is not None
    tokens = Tokens(given["access"], given["refresh"], time.time() + 3600, tuple(sign_in.scopes))
    client = Client("cid", "csec") if sign_in.secret else Client("cid")
    endpoints = Endpoints(given["base"])
    access = Access(sign_in, client, _Kept(tokens), endpoints)  # type: ignore[arg-type]
    means = Means(access, MemoryNotes(), endpoints, Gate())
    storage = providers.open_storage(given["provider"], {"folder": "Packs"}, new=True, means=means)
    files = {path.name: path for path in Path(sys.argv[2]).iterdir() if path.is_file()}
    each(lambda name: storage.put(name, files[name].read_bytes()), sorted(files), storage.traits.parallel)
    storage.close()


if __name__ == "__main__":
    main()
