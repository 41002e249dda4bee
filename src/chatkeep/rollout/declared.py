"""The flags there are, in code: what each does, since when, and how it stands until the operator says otherwise.

A flag goes when its work is done: what everybody has for two releases needs none. Kill switches stay.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from chatkeep.errors import NotFound
from chatkeep.rollout.rings import EVERYONE, TEAM

CLOUD_WRITES = "cloud-writes"
SYNC_DELETIONS = "sync-deletions"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a flag goes back by itself.

    kinds: the jobs that are watched. fewest: runs of those who have it, of those kinds, before anything is concluded.
    lowest: where nobody is left to compare with, the share of runs that must end well [percent].
    drop: by so much they may be worse than the others [points of a percent], beyond what chance explains.
    hours: how far back is looked. off: go back all the way at once, else one ring.
    """

    kinds: tuple[str, ...] = ("backup", "restore", "sync")
    fewest: int = 20
    lowest: int = 90
    drop: int = 5
    hours: int = 24
    off: bool = False


class Flag(msgspec.Struct, frozen=True):
    """Something that can be on for some and off for others.

    does: what people have when it is on, as a sentence. since: the release that has it first.
    laptop, server: the ring until somebody changes it. is_switch: only ever on or killed, for everybody at once.
    at_own_risk: a keeper on a laptop may turn it on or off, under Labs. kinds: the jobs that only it makes possible.
    rule: for going back by itself, None for never.
    """

    name: str
    does: str
    since: str
    laptop: str = EVERYONE
    server: str = EVERYONE
    is_switch: bool = False
    at_own_risk: bool = False
    kinds: tuple[str, ...] = ()
    rule: Rule | None = None


FLAGS: Mapping[str, Flag] = {
    flag.name: flag
    for flag in (
        Flag(
            CLOUD_WRITES,
            "Anything is written to or deleted at people's places: backups, syncs, copies, tidying, the inbox.",
            since="0.1.0",
            is_switch=True,
        ),
        Flag(
            SYNC_DELETIONS,
            "A sync deletes here what another device deleted, and empties the trash.",
            since="0.1.0",
            is_switch=True,
        ),
        Flag(
            "tidying",
            "Old backups are thinned out by themselves after a backup or a sync, and what nothing needs is removed.",
            since="0.1.0",
            server=TEAM,
            at_own_risk=True,
            rule=Rule(kinds=("backup", "sync", "restore", "check"), off=True),
        ),
        Flag(
            "readable-copies",
            "Readable files of all conversations can be kept at a place, beside the backup.",
            since="0.1.0",
            server=TEAM,
            kinds=("publish",),
            rule=Rule(kinds=("backup", "publish")),
        ),
        Flag(
            "inbox",
            "Exports that are put into the inbox of a place are imported by themselves.",
            since="0.1.0",
            server=TEAM,
            kinds=("inbox",),
            rule=Rule(kinds=("backup", "inbox")),
        ),
    )
}

WRITES = frozenset({"backup", "sync", "publish", "tidy", "inbox", "keys"})
"""The work that writes or deletes at a place. Everything else only reads there, and goes on."""


def flag(name: str) -> Flag:
    """The flag of this name. Raises NotFound."""
    if name not in FLAGS:
        raise NotFound(f"There is no flag {name!r}.", hint=f"There are: {', '.join(FLAGS)}.")
    return FLAGS[name]


def flag_of(kind: str) -> str:
    """The flag that makes a kind of job possible; "" when none does, and everybody may have it."""
    return next((one.name for one in FLAGS.values() if kind in one.kinds), "")
