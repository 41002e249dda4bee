"""Serves all fakes until it is interrupted, and prints what to set: `PYTHONPATH=src:tests python -m fakes`."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import signal
import threading

from fakes.fixtures import KINDS
from fakes.server import Front


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fakes", description=__doc__)
    parser.add_argument("--port", type=int, default=8787, help="the plain door and the proxy")
    parser.add_argument("--automatic", choices=["allow", "deny"], default="", help="answer the consent pages so")
    given = parser.parse_args()
    fakes = [
        getattr(importlib.import_module(f"fakes.{name}"), kind)()
        for name, kind in KINDS.items()
        if importlib.util.find_spec(f"fakes.{name}")
    ]
    for fake in fakes:
        fake.consent.automatic = given.automatic
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with Front(fakes, port=given.port) as front:
        settings = {"CHATKEEP_CLOUD_BASE": front.url}
        settings |= {f"CHATKEEP_{name}_CLIENT_ID": "cid" for name in ("GOOGLE_DRIVE", "DROPBOX", "ONEDRIVE")}
        settings["CHATKEEP_GOOGLE_DRIVE_CLIENT_SECRET"] = "csec"
        lines = [f"export {name}={value}" for name, value in settings.items()]
        lines.append("# for programs that know only the real addresses:")
        lines += [f"export {name}={value}" for name, value in front.environment().items()]
        lines.append(f"# TLS: https://127.0.0.1:{front.tls_port}")
        print("\n".join(lines), flush=True)  # noqa: T201
        ended.wait()


if __name__ == "__main__":
    main()
