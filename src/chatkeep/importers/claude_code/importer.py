"""Transcripts of Claude Code, as it keeps them below ~/.claude/projects, or any part of them.

Source: samples claude-code/* and docs/platforms/claude-code.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial

from chatkeep.errors import Problem
from chatkeep.importers import Keep, Record
from chatkeep.importers.claude_code.files import File, descriptions, outputs, scan, transcripts
from chatkeep.importers.claude_code.session import read_session
from chatkeep.source import Member, Source


class ClaudeCode:
    """Reads sessions of Claude Code. See `chatkeep.importers.Importer` for what callers may rely on."""

    platform = "claude-code"
    title = "Claude Code"
    version = 2
    expects = "the folder ~/.claude/projects, a zip of it, or a session file (.jsonl) from it"

    def sniff(self, source: Source) -> frozenset[str]:
        """The transcripts, and the files with output and descriptions that belong to them."""
        found = transcripts(source)
        if not found:
            return frozenset()
        names = {file.member.name for file in found}
        stems = {file.member.base.rpartition(".")[0] for file in found}
        names.update(one.name for session, some in outputs(source).items() if session in stems for one in some)
        agents = {file.agent for file in found}
        names.update(one.name for agent, one in descriptions(source).items() if agent in agents)
        return frozenset(names)

    def read(self, source: Source, keep: Keep) -> Iterator[Record | Problem]:
        """One record for each session, with its sub-agents."""
        files = transcripts(source)
        for file in files:
            scan(file)
        summaries = {leaf: text for file in files for leaf, text in reversed(file.summaries.items())}
        results, described = outputs(source), descriptions(source)
        for name, some in _sessions(files).items():
            found = _by_name(results.get(name, []))
            agents = {file.agent: described[file.agent] for file in some if file.agent in described}
            load = partial(
                read_session,
                name if not name.startswith("\0") else "",
                some,
                keep=keep,
                outputs=found,
                described=agents,
                summaries=summaries,
            )
            digest = self._digest(name, some, found, agents, summaries)
            yield Record(some[0].member.where, digest, load)

    def _digest(
        self,
        name: str,
        files: list[File],
        results: Mapping[str, Member],
        described: Mapping[str, Member],
        summaries: Mapping[str, str],
    ) -> bytes:
        """Of all bytes of the session's files, and of what else its documents depend on."""
        if any(file.digest == b"" for file in files):
            return b""
        session = "" if name.startswith("\0") else name
        digest = hashlib.sha256(f"claude-code/{self.version}\0{session}\0".encode("utf-8", "surrogatepass"))
        for file in files:
            digest.update(f"{file.member.base}\0".encode("utf-8", "surrogatepass"))
            digest.update(file.digest)
        own = {leaf for file in files for leaf in file.summaries}
        others = sorted((leaf, text) for leaf, text in summaries.items() if leaf not in own)
        outside = sorted({(one.base, one.size) for one in (*results.values(), *described.values())})
        digest.update(repr((others, outside)).encode("utf-8", "backslashreplace"))
        return digest.digest()


def _sessions(files: list[File]) -> dict[str, list[File]]:
    """The files that hold lines of each session, the main ones first. A file without any session is one by itself."""
    found: dict[str, list[File]] = {}
    for number, file in enumerate(sorted(files, key=lambda one: bool(one.agent))):
        for name in file.sessions or [f"\0{number}"]:
            found.setdefault(name, []).append(file)
    return found


def _by_name(members: list[Member]) -> dict[str, Member]:
    """Output files under their names with and without the ending: lines name them, or they are named for a call."""
    stems = {one.base.rpartition(".")[0]: one for one in members if "." in one.base}
    return stems | {one.base: one for one in members}


CLAUDE_CODE = ClaudeCode()
