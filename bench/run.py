#!/usr/bin/env python3
"""Print how Chatkeep does beside its peers: wall clock, processor, memory, requests, as one Markdown table.

Ours and the peer's take turns in one run, as whole processes, and each figure is the median of its rounds. On a
machine shared with others the ratio says more than the seconds; how busy it was stands below the table.

    make bench                              10,000 conversations, three rounds
    make bench ARGS="--only backup"         one group of figures
    make bench ARGS="--large --rounds 1"    also 50,000 conversations, and search over 1,000,000 messages
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))  # the imitated clouds

from figures.corpora import Corpora
from figures.measure import Failed, Pressure
from figures.peers import CACHE, Convoviz, version_of
from figures.product import PROGRAM
from figures.rows import GROUPS, Run
from figures.table import head, line


def main() -> int:
    args = _parse()
    convoviz = Convoviz.installed() if "import" in args.only else None
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, {platform.platform()}")
    print(", ".join(_versions(convoviz, wanted="import" in args.only)))
    failed = False
    with tempfile.TemporaryDirectory(prefix="chatkeep-bench-", dir=args.folder) as folder:
        run = Run(
            conversations=args.conversations,
            rounds=args.rounds,
            large=args.large,
            corpora=Corpora(CACHE / "corpora"),
            convoviz=convoviz,
            folder=Path(folder),
        )
        print(f"\n{head()}")
        busy = []
        for name in args.only:
            pressure = Pressure()
            try:
                for row in GROUPS[name](run):
                    print(line(row), flush=True)
            except Failed as error:
                failed = True
                print(f"{name}: no figures. {error}", file=sys.stderr)
            busy.append(f"{name}: {pressure}")
    print("\n" + "\n".join(busy))
    return int(failed)


def _versions(convoviz: Convoviz | None, *, wanted: bool) -> list[str]:
    missing = ["no convoviz (it wants Python 3.12; name one as PEER_PYTHON)"] if wanted else []
    return [
        version_of(str(PROGRAM), "--version"),
        *([convoviz.version] if convoviz else missing),
        version_of("restic", "version"),
        version_of("rclone", "version"),
        version_of("rg", "--version"),
    ]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("-n", "--conversations", type=int, default=10_000, metavar="N", help="default: %(default)s")
    add("--rounds", type=int, default=3, metavar="N", help="default: %(default)s")
    add("--large", action="store_true", help="also the large corpora; takes long")
    add("--only", nargs="+", choices=sorted(GROUPS), default=list(GROUPS), help="groups of figures")
    add("--folder", type=Path, default=None, help="where to work; default: the system's temporary folder")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
