#!/usr/bin/env python3
"""Write a deterministic, realistic corpus of chat exports, and the truth about it.

The corpus is for tests and benchmarks of importers. Beside OUT the program writes OUT.truth.json: what a
correct importer must find (see corpus/truth.py), counted while the data was made and not by parsing it
back.

Formats (--format):
  chatgpt      OUT is a zip as ChatGPT's "Export data" delivers it; --layout classic or sharded.
  claude       OUT is a zip as claude.ai delivers it.
  whatsapp     One "conversation" is one chat export. OUT is a folder of chats, or a zip of them if it ends in
               .zip, or one text if it ends in .txt and N is 1. Media are left out.
  claude-code  One "conversation" is one session. OUT is a folder that looks like ~/.claude/projects (a zip
               of it if OUT ends in .zip).

Properties:
  * Deterministic: the same format, layout, seed and N give the same bytes inside the zip (the deflate
    stream itself may differ between zlib versions).
  * A prefix: conversation i depends on the seed and i only, so the corpus of N conversations is the start
    of every larger one. `-n 1000` then `-n 1100` is a new export with 100 more. --start skips the first
    ones.
  * Flat memory: conversations are made in blocks and streamed.
  * Hostile details that occur in real exports: null and duplicate titles, titles that no file system takes,
    the node id "client-created-root" in many conversations, system nodes without a time, pointers to files
    that are not there. --tame leaves the titles out: other tools stop at them.
  * Words follow Zipf's law, and many messages hold a token that occurs nowhere else, so that full-text
    indexes grow as they do with real text. "Needles" of known frequency are planted for search.
  * Not here: chat.html is a stub (a real one repeats all conversations), and pictures are tiny. Sentences
    come from a fixed tape of about 12 MB, so a compressor with a large window does better here than with
    real text.

Examples:
  make_corpus.py --format chatgpt -n 10000 --seed 1 --out corpus/c10k.zip
  make_corpus.py --format chatgpt --layout sharded -n 1000 --out corpus/new.zip
  make_corpus.py --format whatsapp -n 3 --out corpus/chats
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from corpus.blocks import FORMATS
from corpus.item import Settings
from corpus.write import Order, write_corpus


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    order = Order(
        settings=Settings(args.format, args.layout, args.seed, args.tame),
        conversations=args.conversations,
        out=args.out,
        start=args.start,
        jobs=args.jobs,
        level=args.level,
        max_assets=args.max_assets,
    )
    begin = time.perf_counter()
    try:
        truth = write_corpus(order)
    except FileExistsError as error:
        sys.exit(str(error))
    seconds = time.perf_counter() - begin
    if not args.quiet:
        counts = f"{truth['conversations']:,} conversations, {truth['messages']:,} messages"
        rate = truth["conversations"] / max(seconds, 1e-9)
        size = truth["content_bytes"] / 1e6
        print(f"{args.out}: {counts}, {size:,.1f} MB in {seconds:.1f} s, {rate:,.0f}/s")
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    jobs = min(4, os.cpu_count() or 1)
    add("--format", choices=sorted(FORMATS), default="chatgpt", help="default: %(default)s")
    add("--layout", choices=("classic", "sharded"), default="classic", help="of a ChatGPT zip")
    add("-n", "--conversations", type=int, default=1000, metavar="N", help="default: %(default)s")
    add("--start", type=int, default=0, metavar="I", help="number of the first conversation")
    add("--seed", type=int, default=1, metavar="S", help="default: %(default)s")
    add("--out", type=Path, required=True, metavar="PATH", help="the file or folder to write")
    add("--jobs", type=int, default=jobs, help="processes; the output is the same")
    add("--level", type=int, default=1, choices=range(10), metavar="0..9", help="of deflate; 1 is fast")
    add("--max-assets", type=int, default=2000, metavar="N", help="pictures at most; default: %(default)s")
    add("--tame", action="store_true", help="no titles that no file system takes")
    add("--quiet", action="store_true", help="print nothing")
    args = parser.parse_args(argv)
    if args.conversations < 0 or args.start < 0 or args.seed < 0:
        parser.error("N, I and S must not be negative")
    if args.out.suffix == ".txt" and (args.format != "whatsapp" or args.conversations != 1):
        parser.error("a .txt holds one WhatsApp chat: --format whatsapp -n 1")
    return args


if __name__ == "__main__":
    sys.exit(main())
