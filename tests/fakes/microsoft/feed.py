"""The change feed: what became of items since a moment, in pages, by addresses that are opaque to clients."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from fakes.microsoft.drive import Drive, GraphError, Item

_NOT_IN_A_FEED = ("path",)


def token_of(**values: int) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def read_token(token: str) -> dict[str, int]:
    try:
        found = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError:
        raise GraphError(400, "invalidRequest", "invalidToken") from None
    return dict(found)


class Feed:
    """Answers delta requests. page: items in one answer.

    repeats: an item may come twice in one set, its older state first. expired: the next token that is used is
    refused with 410 and the address to start from. folder_alone: of a deleted folder nothing inside is told.
    """

    def __init__(self) -> None:
        self.page = 200
        self.repeats = False
        self.expired = False
        self.folder_alone = False

    def answer(
        self,
        drive: Drive,
        scope: Item,
        options: dict[str, str],
        written: Callable[[Item], dict[str, Any]],
        address: Callable[[str], str],
    ) -> dict[str, Any]:
        """One page. written: an item as JSON; address: the address of this feed with a token, "" to start over."""
        token = options.get("token", "")
        if token == "latest":
            return {"value": [], "@odata.deltaLink": address(token_of(since=drive.changes))}
        if token and self.expired:
            self.expired = False
            raise GraphError(410, "resyncChangesApplyDifferences", headers={"Location": address("")})
        place = read_token(token) if token else {"since": 0}
        until = place.get("until", drive.changes)
        found = self._set(drive, scope, place["since"], until, leave_above="nothing_above" in options)
        start = place.get("at", 0)
        size = min(self.page, int(options.get("$top", self.page)))
        page = [self._entry(drive, scope, item, written, stale) for item, stale in found[start : start + size]]
        if start + size < len(found):
            more = token_of(since=place["since"], until=until, at=start + size)
            return {"value": page, "@odata.nextLink": address(more)}
        return {"value": page, "@odata.deltaLink": address(token_of(since=until))}

    def _set(self, drive: Drive, scope: Item, since: int, until: int, *, leave_above: bool) -> list[tuple[Item, bool]]:
        """Each item once, parents first; with True where it is to be given in an older state."""
        changed = [
            item
            for item in drive.items.values()
            if since < item.changed <= until
            and drive.within(item, scope)
            and (since or not item.deleted)
            and not (self.folder_alone and item.deleted and drive.items[item.parent].deleted)
        ]
        wanted = {item.id: item for item in changed}
        if not leave_above:
            wanted |= {
                above.id: above for item in changed for above in drive.ancestors(item) if drive.within(above, scope)
            }
        gone = [
            item
            for number, folder, item in drive.left
            if since < number <= until and drive.within(drive.items[folder], scope) and not drive.within(item, scope)
        ]
        ordered = sorted(wanted.values(), key=lambda item: sum(1 for _ in drive.ancestors(item)))
        again = [item for item in ordered if not item.deleted and not item.is_folder]
        repeated = [(again[0], True)] if self.repeats and again else []
        return repeated + [(item, False) for item in (*ordered, *gone)]

    def _entry(
        self, drive: Drive, scope: Item, item: Item, written: Callable[[Item], dict[str, Any]], stale: bool
    ) -> dict[str, Any]:
        body = written(item)
        body["parentReference"] = {k: v for k, v in body["parentReference"].items() if k not in _NOT_IN_A_FEED}
        if stale:
            return body | {"name": "before " + item.name, "size": 0}
        if item.deleted or not drive.within(item, scope):
            missing = ("name",) if drive.kind == "business" else ("size", "cTag")
            body = {k: v for k, v in body.items() if k not in (*missing, "fileSystemInfo", "webUrl")}
            body["deleted"] = {"state": "deleted"}
        return body
