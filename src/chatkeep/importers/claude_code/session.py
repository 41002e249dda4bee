"""One session as documents: the talk of a person with Claude, and a document for each sub-agent that Claude called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from chatkeep import exact
from chatkeep.errors import Damaged, Problem
from chatkeep.importers import Keep, Loaded
from chatkeep.importers.claude_code import drafts
from chatkeep.importers.claude_code.blocks import Blocks, unknown_in
from chatkeep.importers.claude_code.drafts import CALLER, CLAUDE, CONSTANT, PERSON, PROGRAM, Draft
from chatkeep.importers.claude_code.files import TALK, File, rows
from chatkeep.importers.claude_code.tree import last_leaf, straighten
from chatkeep.importers.fields import Json, record_of
from chatkeep.merge import settle
from chatkeep.model import FORMAT, Conversation, Message, Part, Participant, fingerprint, identify
from chatkeep.source import Member

PLATFORM = "claude-code"
BY = "claude-code/2"
LONGEST_TITLE = 120

_TITLES = {"custom-title": ("customTitle", "title"), "ai-title": ("aiTitle", "title"), "agent-name": ("agentName",)}
# Kept, for the session that a summary names may be gone, or not be given; but there is nothing in it to be understood.
_UNDERSTOOD = frozenset({"summary"})
_CALLS = frozenset({"Task", "Agent"})


def read_session(
    name: str,
    files: list[File],
    *,
    keep: Keep,
    outputs: Mapping[str, Member],
    described: Mapping[str, Member],
    summaries: Mapping[str, str],
) -> Loaded:
    """What the files hold of one session.

    name: its id; "" for the one session of a file that names none. outputs: files with output of tools, by the names
    that lines may use. described: what sub-agents were called for, by agent. summaries: titles by uuid of a leaf.
    """
    session = _Session(name, keep, outputs, described)
    for file in files:
        session.read(file)
    return session.load(summaries)


class _Session:
    def __init__(self, name: str, keep: Keep, outputs: Mapping[str, Member], described: Mapping[str, Member]) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self.blocks = Blocks(keep, outputs)
        self._outputs = outputs
        self._described = described
        self._drafts: list[Draft] = []
        self._by_uuid: dict[str, Draft] = {}
        self._by_key: dict[tuple[str, str], Draft] = {}
        self._passed: dict[str, str | None] = {}  # uuid of a line that is no message → the line it follows
        self._chains: dict[str, str] = {}  # uuid of a line of a sub-agent → the agent
        self._kept_lines: set[str] = set()
        self._lines: dict[str, list[Json]] = {}
        self._titles: dict[str, str] = {}
        self._constants: Json = {}
        self._leaf = ("", 0)
        self._alike = Counter[str]()
        self._count = 0

    # -------------------------------------------------------------- lines

    def read(self, file: File) -> None:
        """Take in the lines of a file that belong to this session."""
        where = file.member.where
        is_own = self.name in ("", file.own)
        self._alike = Counter[str]()
        try:
            for row in rows(file):
                if isinstance(row, Problem):
                    if is_own:
                        self.problems.append(row)
                    continue
                number, raw, complete = row
                line, problem = _decoded(raw, complete)
                if line is None:
                    if is_own:
                        self.problems.append(Problem(f"{where}, line {number:,}", problem))
                    continue
                if (_text(line.get("sessionId")) or file.own) == self.name:
                    self._take(line, file)
        except Damaged as error:
            if is_own:
                self.problems.append(Problem(where, f"{error.what} The lines before that were read."))
        self._tell_damage(where)

    def _tell_damage(self, where: str) -> None:
        self.problems += [Problem(where, what) for what in self.blocks.damaged]
        self.blocks.damaged.clear()

    def _take(self, line: Json, file: File) -> None:
        self._count += 1
        kind = _text(line.get("type"))
        for name in CONSTANT:
            if name not in self._constants and name in line and kind in TALK:
                self._constants[name] = line[name]
        agent = self._agent(line, file)
        caller = CALLER if agent else PERSON
        uuid, above = _text(line.get("uuid")), drafts.above_of(line)
        if kind == "user":
            if not _is_odd(line):
                return self._add(
                    drafts.from_user(self._count, line, self.blocks, self._constants, caller=caller), agent
                )
        elif kind == "assistant":
            if not _is_odd(line):
                return self._add(drafts.from_assistant(self._count, line, self.blocks, self._constants), agent)
        elif kind == "system" and _text(line.get("content")):
            return self._add(drafts.from_program(self._count, line, self._constants), agent)
        elif kind == "attachment":
            draft = drafts.from_attachment(self._count, line, self.blocks, self._constants, caller=caller)
            return self._add(draft, agent)
        if uuid:
            self._passed.setdefault(uuid, above)
        self._keep_line(kind or "line", line)
        return None

    def _agent(self, line: Json, file: File) -> str:
        """The sub-agent that speaks in a line; "" for the main talk."""
        if line.get("isSidechain") is not True and not file.agent:
            return ""
        uuid, above = _text(line.get("uuid")), _text(line.get("parentUuid"))
        agent = _text(line.get("agentId")) or file.agent or self._chains.get(above) or uuid or "agent"
        if uuid:
            self._chains.setdefault(uuid, agent)
        return agent

    def _keep_line(self, kind: str, line: Json) -> None:
        """A line that is no message: a title, or book-keeping, which is kept and counted."""
        for name in _TITLES.get(kind, ()):
            if title := _text(line.get(name)).strip():
                self._titles[kind] = title
                return
        if kind == "last-prompt":
            self._leaf = (_text(line.get("leafUuid")), self._count)
        line.pop("sessionId", None)
        mark = fingerprint(line)
        self._alike[mark] += 1
        mark = f"{mark} {self._alike[mark]}"
        if mark in self._kept_lines:
            return  # the same line in the file of a session that was resumed
        self._kept_lines.add(mark)
        self._lines.setdefault(kind, []).append(line)

    # -------------------------------------------------------------- messages

    def _add(self, draft: Draft, agent: str) -> None:
        draft.agent = agent
        if not draft.key:
            draft.key = self._made_key(draft)
        known = self._by_key.get((agent, draft.key)) or next(
            (found for uuid in draft.uuids if (found := self._by_uuid.get(uuid))), None
        )
        if known is None:
            self._by_key[agent, draft.key] = draft
            self._drafts.append(draft)
        elif known.raw != draft.raw:
            self._add_version(known, draft)
        elif known.author is CLAUDE:
            drafts.join(known, draft)
        for uuid in draft.uuids:
            self._by_uuid.setdefault(uuid, known or draft)

    def _made_key(self, draft: Draft) -> str:
        """What stands for the id of a line without one: its content, and its number among its like in this file."""
        content = f"{draft.stamp} {draft.author.id} {draft.raw}"
        self._alike[content] += 1
        return f"{content} {self._alike[content]}"

    def _add_version(self, known: Draft, draft: Draft) -> None:
        """Another line with the same uuid that says something else: a further version of the message."""
        draft.key, draft.agent = known.key, known.agent
        draft.above_id = known.above_id
        if not known.parts:
            known.spoken = known.spoken or draft.spoken
        known.versions.append(draft)

    def load(self, summaries: Mapping[str, str]) -> Loaded:
        if not self._drafts:
            is_lost = bool(self._lines.keys() - _UNDERSTOOD)
            notes = [f"Session {self.name or 'without an id'} has lines but no messages."] if is_lost else []
            return Loaded((), self.problems, self._unknown(), notes=notes)
        self._add_unused_outputs()
        title = self._title(summaries)
        chains: dict[str, list[Draft]] = {}
        for draft in self._drafts:
            chains.setdefault(draft.agent, []).append(draft)
        own_id = self._own_id(chains)
        agents = {agent: identify(PLATFORM, "conversation", self.name or own_id, agent) for agent in chains if agent}
        described = {agent: self._description(agent) for agent in agents}
        calls = self._calls(chains, agents, described)
        documents = []
        for agent, chain in chains.items():
            if agent:
                documents.append(self._agent_document(agent, chain, agents[agent], described[agent], calls.get(agent)))
            else:
                documents.append(self._document(chain, own_id, title=_first_prompt(chain) if title is None else title))
        return Loaded([settle(one) for one in documents], self.problems, self._unknown())

    def _unknown(self) -> dict[str, int]:
        """What was kept raw: lines of book-keeping, and blocks, by their kinds."""
        parts = (part for draft in self._drafts for one in (draft, *draft.versions) for part in one.parts)
        lines = {kind: len(found) for kind, found in self._lines.items() if kind not in _UNDERSTOOD}
        return dict(Counter(lines) + Counter(unknown_in(parts)))

    def _own_id(self, chains: Mapping[str, list[Draft]]) -> str:
        if self.name:
            return identify(PLATFORM, "conversation", self.name)
        first = [draft.key for chain in chains.values() for draft in chain[:3]]
        return identify(PLATFORM, "conversation", "", *first)

    def _add_unused_outputs(self) -> None:
        """Outputs that no line refers to are kept too, in a message of their own."""
        left = {one.name: one for one in self._outputs.values() if one.name not in self.blocks.used}
        if not left:
            return
        draft = Draft(self._count + 1, {}, author=PROGRAM, spoken=False)
        draft.key, draft.hidden, draft.above_id = "tool-results", True, ""
        draft.parts = [self.blocks.kept(left[name]) for name in sorted(left)]
        draft.raw = fingerprint(sorted(one.base for one in left.values()))
        self._drafts.append(draft)
        self._tell_damage(next(iter(left.values())).where)

    # -------------------------------------------------------------- titles and sub-agents

    def _title(self, summaries: Mapping[str, str]) -> str | None:
        """The title that a person or Claude gave; None when nobody did."""
        for kind in ("custom-title", "ai-title"):
            if kind in self._titles:
                return self._titles[kind]
        found = [
            (self._by_uuid[leaf].number, text)
            for leaf, text in summaries.items()
            if leaf in self._by_uuid and not self._by_uuid[leaf].agent
        ]
        passed = [text for leaf, text in summaries.items() if leaf in self._passed]
        return max(found)[1] if found else passed[-1] if passed else self._titles.get("agent-name")

    def _description(self, agent: str) -> Json:
        member = self._described.get(agent)
        if member is None:
            return {}
        try:
            value = record_of(exact.decode(member.read(1 << 20)))
        except (ValueError, Damaged):
            value = None
        if value is None:
            self.problems.append(
                Problem(member.where, "It is not in the form expected; the sub-agent was read without it.")
            )
        return value or {}

    def _calls(
        self, chains: Mapping[str, list[Draft]], agents: Mapping[str, str], described: Mapping[str, Json]
    ) -> dict[str, Part]:
        """The call of each sub-agent, as far as it is found; the calls then carry the id of the agent's document."""
        by_call = {_text(one.get("toolUseId")): agent for agent, one in described.items() if one.get("toolUseId")}
        by_prompt = {chain[0].prompt: agent for agent, chain in chains.items() if agent and chain[0].prompt}
        for draft in self._drafts:
            result = draft.unknown.get("toolUseResult")
            agent = _text(result.get("agentId")) if type(result) is dict else ""
            if agent in agents:
                by_call |= {part.call_id: agent for part in draft.parts if part.type == "tool_result"}
        found: dict[str, Part] = {}
        for draft in self._drafts:
            for place, part in enumerate(draft.parts):
                if part.type != "tool_call":
                    continue
                prompt = _text(part.input.get("prompt")) if type(part.input) is dict else ""
                agent = by_call.get(part.call_id) or (by_prompt.get(prompt, "") if part.name in _CALLS else "")
                if agent and agent != draft.agent and agent not in found:
                    found[agent] = part
                    draft.parts[place] = replace(part, unknown=part.unknown | {"conversation": agents[agent]})
        return found

    def _agent_document(
        self, agent: str, chain: list[Draft], own_id: str, described: Json, call: Part | None
    ) -> Conversation:
        title = _text(described.get("description"))
        given = call.input if call is not None and type(call.input) is dict else {}
        title = title or _text(given.get("description")) or _first_prompt(chain)
        document = self._document(chain, own_id, title=title)
        link: Json = {"agent": agent, "session": self.name}
        if call is not None:
            link["call"] = call.call_id
        if described:
            link["description"] = described
        source_id = f"{self.name}/{agent}" if self.name else ""
        return replace(document, source_id=source_id, unknown=document.unknown | {"called": link})

    # -------------------------------------------------------------- documents

    def _document(self, chain: list[Draft], own_id: str, *, title: str) -> Conversation:
        leaf = self._link(chain)
        ids = {draft.number: identify(own_id, draft.key) for draft in chain}
        is_tree = any(draft.linked for draft in chain)
        messages: list[Message] = []
        sorts = _places(chain, is_tree=is_tree)
        people: dict[str, Participant] = {}
        for draft, (sorts_at, order) in zip(chain, sorts, strict=True):
            for version in (draft, *draft.versions):
                people[version.author.id] = version.author
                above = ids[draft.above.number] if is_tree and draft.above is not None else ""
                messages.append(_message(version, ids[draft.number], above, sorts_at, order))
        unknown: Json = {}
        if not chain[0].agent:
            if self._constants:
                unknown["session"] = self._constants
            if self._lines:
                unknown["lines"] = self._lines
        stamps = [draft.stamp for draft in chain if draft.stamp]
        return Conversation(
            created_at=min(stamps, default=""),
            format=FORMAT,
            id=own_id,
            messages=tuple(messages),
            participants=tuple(people.values()),
            platform=PLATFORM,
            project=_last_step(_text(self._constants.get("cwd"))),
            shown_leaf=ids[leaf.number] if leaf is not None and is_tree else "",
            source_id=self.name,
            title=title,
            unknown=unknown,
            updated_at=max(stamps, default=""),
        )

    def _link(self, chain: list[Draft]) -> Draft | None:
        """Find what each message follows; the end of the path that was seen last."""
        before: Draft | None = None
        for draft in chain:
            found = self._above(draft)
            draft.linked = found is not None
            if found is None and draft.above_id is not None:
                # The line before is lost, or the line does not name one: it followed what stands before it.
                found = before
                if draft.above_id:
                    draft.unknown["parentUuid"] = draft.above_id
            draft.above = found
            before = draft
        straighten(list(chain))
        name, count = self._leaf
        named = self._by_uuid.get(name)
        is_last = named is not None and named in chain and count > chain[-1].number
        leaf = last_leaf(list(chain), named if is_last else None)
        return leaf if isinstance(leaf, Draft) else None

    def _above(self, draft: Draft) -> Draft | None:
        above, seen = draft.above_id, set[str]()
        while above and above not in seen:
            seen.add(above)
            found = self._by_uuid.get(above)
            if found is not None:
                return found if found is not draft and found.agent == draft.agent else None
            above = self._passed.get(above, "")
        if above is None:
            draft.above_id = None
        return None


def _message(draft: Draft, message_id: str, above: str, sorts_at: str, order: int) -> Message:
    return Message(
        author=draft.author.id,
        by=BY,
        hidden=draft.hidden,
        id=message_id,
        model=draft.model,
        order=order,
        parent=above,
        parts=tuple(draft.parts),
        raw=draft.raw,
        sent_at=draft.stamp,
        sorts_at=sorts_at,
        source_id=draft.uuids[0] if draft.uuids else "",
        unknown=draft.unknown | _of_lines(draft),
    )


def _of_lines(draft: Draft) -> Json:
    """Ids and times of the lines that a message was put together of, where they are several."""
    found: Json = {"uuids": draft.uuids} if len(draft.uuids) > 1 else {}
    return found | ({"timestamps": draft.stamps} if len(set(draft.stamps)) > 1 else {})


def _places(chain: Iterable[Draft], *, is_tree: bool) -> list[tuple[str, int]]:
    """`sorts_at` and `order` of each message. In a line the order of the file holds, whatever the clock says."""
    found = []
    latest, order, at = "", 0, None
    for draft in chain:
        stamp = draft.stamp.removesuffix("Z")
        if not is_tree:
            latest = max(latest, stamp)
            stamp = latest
        order = order + 1 if stamp == at else 0
        at = stamp
        own = draft.stamp.removesuffix("Z")
        found.append(("" if stamp == own else f"{stamp}Z", order))
    return found


def _first_prompt(chain: Iterable[Draft]) -> str:
    """The first line that a person typed; a command only where nothing else was said."""
    prompts = [draft.prompt.strip() for draft in chain if draft.prompt.strip()]
    said = [prompt for prompt in prompts if not prompt.startswith(("/", "!"))] or prompts
    first = said[0].split("\n", 1)[0] if said else ""
    return first if len(first) <= LONGEST_TITLE else f"{first[: LONGEST_TITLE - 1].rstrip()}…"


def _decoded(raw: bytes, complete: bool) -> tuple[Json | None, str]:
    """The record of a line, or what is wrong with it."""
    try:
        value = exact.decode(raw)
    except ValueError as wrong:
        if not complete:
            return None, "The last line is cut off; it was left out."
        return None, f"This line is not JSON ({wrong}); it was left out."
    record = record_of(value)
    if record is None:
        return None, "This line is not an object, so it is no line of a transcript; it was left out."
    return dict(record), ""


def _is_odd(line: Json) -> bool:
    return line.get("message") is None


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def _last_step(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]
