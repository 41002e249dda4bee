"""Jobs as pages show them: in words, with what came of them and where to go next."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import PurePath
from typing import Any

from django.urls import reverse

from chatkeep.jobs.models import OPEN, Job, State
from chatkeep.web.templatetags.words import number, platform, plural, size

_TITLES = {
    "import": "Import",
    "export": "Export",
    "everything": "Everything about you",
    "backup": "Backup",
    "sync": "Sync",
    "restore": "Restore",
    "check": "Check of a backup",
    "drill": "Rehearsed restore",
    "publish": "Readable copies",
    "inbox": "Inbox",
    "look": "A look into a backup",
    "tidy": "Old backups put in order",
}
_FACTS: dict[str, tuple[tuple[str, str], ...]] = {
    "import": (
        ("added", "New conversations"),
        ("updated", "Conversations with something new"),
        ("unchanged", "Conversations that were here already"),
        ("messages", "Messages in the export"),
        ("shells", "Conversations the platform had emptied"),
    ),
    "export": (("conversations", "Conversations"), ("messages", "Messages"), ("files", "Files"), ("bytes", "Size")),
    "backup": (
        ("conversations", "Conversations in the backup"),
        ("new_documents", "Of these new or changed"),
        ("new_attachments", "New attachments"),
        ("bytes_sent", "Sent"),
        ("requests", "Requests"),
        ("missing_attachments", "Attachments nobody holds any more"),
    ),
    "sync": (
        ("devices", "Other machines in it"),
        ("merged", "Conversations that came or changed"),
        ("deleted", "Conversations deleted, as another machine did"),
        ("held_back", "Deletions that wait for you"),
        ("conflicts", "To be looked at"),
        ("pushed", "Conversations sent"),
        ("attachments", "Attachments that came"),
        ("requests", "Requests"),
    ),
    "restore": (
        ("expected", "Conversations in the backup"),
        ("restored", "Conversations that are here now"),
        ("changed", "Of these brought or changed"),
        ("messages", "Messages in them"),
    ),
    "drill": (
        ("conversations", "Conversations in the backup"),
        ("compared", "Of these restored and compared"),
        ("attachments", "Attachments that came with them"),
        ("bytes", "Read"),
    ),
    "publish": (
        ("conversations", "Conversations"),
        ("written", "Copies written"),
        ("removed", "Copies removed"),
        ("unchanged", "Copies that were up to date"),
        ("kept", "Copies that somebody edited, left as they are"),
        ("attachments", "Attachments put beside them"),
        ("bytes_sent", "Sent"),
    ),
    "inbox": (("bytes_received", "Fetched"),),
    "look": (("restored", "Conversations in it"), ("messages", "Messages in them")),
    "tidy": (("kept", "Backups that stay"), ("freed", "Space freed"), ("freed_later", "Space free in a day")),
    "check": (("snapshots", "Backups looked at"), ("conversations", "Conversations in the newest"), ("read", "Read")),
}
_LISTED = 200
"""How many problems, conversations or backups a page names at the most."""
_BYTES = frozenset({"bytes", "bytes_received", "bytes_sent", "freed", "freed_later", "read"})


def title_of(kind: str) -> str:
    """What a kind of job does, in words."""
    return _TITLES.get(kind, kind.replace("_", " ").capitalize())


class Shown:
    """One job for a template. Everything of the row is there too: pk, state, progress, what, hint, log, is_open."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.report: dict[str, Any] = job.report if isinstance(job.report, dict) else {}
        self.arguments: dict[str, Any] = json.loads(job.arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.job, name)

    @property
    def title(self) -> str:
        """What is done, in words."""
        title = title_of(self.job.kind)
        if names := [PurePath(path).name for path in self.arguments.get("paths", ())]:
            title = f"{title}: {names[0]}" + (f" and {len(names) - 1} more" if names[1:] else "")
        return f"{title}: a look before" if self.report.get("dry_run") else title

    @property
    def state_label(self) -> str:
        return str(State(self.job.state).label)

    @property
    def problems(self) -> list[dict[str, str]]:
        return list(self.report.get("problems", []))[:_LISTED]

    @property
    def notes(self) -> list[str]:
        """What a person should know of it that is no problem: dates that were guessed, files that were left aside."""
        return list(self.report.get("notes", []))[:100]

    @property
    def summary(self) -> list[tuple[str, str]]:
        """What came of it, as names and values; counts that are zero and say nothing are left out."""
        facts = [(title, self._fact(name)) for name, title in _FACTS.get(self.job.kind, ()) if self._counts(name)]
        if self.job.kind == "import" and self.report:
            facts += self._of_import()
        if self.job.kind == "inbox":
            facts += [(taken["name"], _brought(taken)) for taken in self.report.get("taken", [])]
            facts += [(name, "still grows; taken at the next look") for name in self.report.get("waiting", [])]
            facts += [(name, "is no export that Chatkeep knows; it stays") for name in self.report.get("left", [])]
        if self.job.kind == "backup" and self.report:
            facts.append(("Read back and compared", "yes" if self.report.get("verified") else "no"))
        if self.job.kind == "tidy":
            would = "Would go" if self.report.get("dry_run") else "Gone"
            gone = self.report.get("forgotten", [])
            facts += [(would, f"{one['time'][:16].replace('T', ' ')} UTC, {one['device']}") for one in gone[:_LISTED]]
            facts += [] if gone or not self.report else [(would, "none")]
        if self.job.kind == "drill" and self.report:
            facts.append(("All came back as it was saved", "yes" if self.report.get("ok") else "no"))
        return facts

    @cached_property
    def changes(self) -> list[dict[str, str]]:
        """What a restore does, or would do, to each conversation; the first of them, if they are many."""
        if self.job.kind != "restore" or self.report.get("out"):
            return []
        there = not self.report.get("dry_run")
        return [
            {
                "title": str(one["title"]),
                "href": reverse("chat", args=[one["id"]]) if there or not one["new"] else "",
                "what": _done_to(one),
            }
            for one in self.report.get("conversations", [])[:_LISTED]
        ]

    @property
    def more_changes(self) -> int:
        """How many conversations change beyond those that are listed."""
        return max(0, int(self.report.get("changed", 0)) - len(self.changes))

    @property
    def offers_restore(self) -> bool:
        """Whether this was a look before a restore that would change something, which may follow now."""
        return bool(self.job.kind == "restore" and self.report.get("dry_run") and self.report.get("changed"))

    def _counts(self, name: str) -> bool:
        return name in self.report and (bool(self.report[name]) or name in ("added", "changed", "new_documents"))

    def _fact(self, name: str) -> str:
        value = self.report[name]
        return size(value) if name in _BYTES else number(value)

    def _of_import(self) -> list[tuple[str, str]]:
        held = self.report.get("attachments", {})
        facts = [("Attachments kept", number(held.get("stored", 0)))] if held.get("stored") else []
        if held.get("missing"):
            facts.append(("Attachments that the export does not hold", number(held["missing"])))
        kinds = self.report.get("unknown", {})
        facts += [(f"Blocks of kind “{kind}”, kept as they are", number(count)) for kind, count in kinds.items()]
        names = sorted({platform(given["platform"]) for given in self.report.get("source", [])})
        return [("From", ", ".join(names)), *facts] if names else facts

    @property
    def links(self) -> list[dict[str, str]]:
        """Where to go from here."""
        if self.job.is_open or not self.report:
            return []
        is_restore = self.job.kind == "restore"
        if self.job.kind in ("export", "everything") or (is_restore and self.report.get("out")):
            return [{"name": "Download", "href": reverse("export-download", args=[self.job.pk])}]
        if self.job.kind == "look":
            opened = [self.arguments.get("connection", ""), self.report.get("snapshot", "")]
            return [{"name": "Look into it", "href": reverse("opened", args=opened)}]
        if self.job.kind == "sync" and self.report.get("conflicts"):
            return [{"name": "Look at what differed", "href": reverse("conflicts")}]
        brought = self.job.kind == "import" or (is_restore and not self.report.get("dry_run"))
        if brought or (self.job.kind == "inbox" and self.report.get("taken")):
            undo = self.report.get("receipt")
            found = [{"name": "Look at the chats", "href": reverse("chats")}]
            return [*found, {"name": "Receipt and undo", "href": reverse("receipt", args=[undo])}] if undo else found
        return (
            [{"name": "Backups", "href": reverse("backups")}] if self.job.kind in ("backup", "check", "drill") else []
        )


def _done_to(change: dict[str, Any]) -> str:
    """What a restore does to a conversation, in words."""
    counted = {name: plural(change[name], "message,messages") for name in ("added", "changed", "removed")}
    if change["new"]:
        return f"comes back, with {counted['added']}"
    said = [f"{words} {name}" for name, words in counted.items() if change[name]]
    return ", ".join(said) or "its title or what was noted about it"


def _brought(taken: dict[str, Any]) -> str:
    new, updated = number(taken["added"]), number(taken["updated"])
    return f"{new} new conversations, {updated} with something new, {number(taken['messages'])} messages"


def open_runs(archive: str) -> list[Shown]:
    """What is waiting, running or paused in an archive, the newest request first."""
    return [Shown(job) for job in Job.objects.filter(archive=archive, state__in=OPEN)[:20]]


def latest(kind: str, subject: str) -> Shown | None:
    """The last job of a kind about a subject that ended well."""
    ended = Job.objects.filter(kind=kind, subject=subject, state__in=(State.DONE, State.PROBLEMS))
    job = ended.order_by("-ended_at").first()
    return Shown(job) if job else None
