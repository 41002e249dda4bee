"""What is measured: one function for each group of figures, which yields its rows."""

from __future__ import annotations

import filecmp
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import ranked
from .clouds import clouds, packs
from .corpora import Corpora
from .measure import Cost, Failed, cost_of, interleaved, median
from .peers import Convoviz, Restic, floor, python_start, ripgrep
from .product import PROGRAM, Chatkeep, answer
from .table import Row
from .warm import Worker

# A word of one message in ten thousand, one of a conversation in ten, one of nearly every message.
WORDS = ("needletenthousand", "needleten", "which")


@dataclass(frozen=True)
class Run:
    """What all groups share: the size and number of rounds asked for, the peers, a folder to work in."""

    conversations: int
    rounds: int
    large: bool
    corpora: Corpora
    convoviz: Convoviz | None
    folder: Path

    def fresh(self, name: str) -> Path:
        """An empty folder of that name; what it held before is removed."""
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place


def start(run: Run) -> Iterator[Row]:
    """What every command pays before it does anything."""
    costs = interleaved(
        run.rounds, {"ours": lambda _: cost_of([PROGRAM, "--help"]), "python": lambda _: python_start()}
    )
    yield Row(what="`chatkeep --help`, CPU", ours=costs["ours"].cpu, reach=0.3)
    yield Row(what="a Python that does nothing, CPU", ours=costs["python"].cpu)


def imports(run: Run) -> Iterator[Row]:
    """Import and import again, beside convoviz and the floor, in both layouts of ChatGPT; then export to Markdown."""
    for layout in ("classic", "sharded"):
        yield from _imports(run, layout, conversations=run.conversations, rounds=run.rounds)
    if run.large:
        yield from _imports(run, "classic", conversations=50_000, rounds=1)


def _imports(run: Run, layout: str, *, conversations: int, rounds: int) -> Iterator[Row]:
    export = run.corpora.chatgpt(conversations, layout=layout)
    name = f"{conversations:,} conversations, {layout}"
    ours = Chatkeep(run.folder / "home")

    def first(_: int) -> Cost:
        run.fresh("home")
        return ours.add(export)

    runs: dict[str, Callable[[int], Cost]] = {
        "import": first,
        "again": lambda _: ours.add(export),
        "export": lambda _: ours.export("markdown", run.fresh("markdown") / "out"),
        "floor": lambda _: floor(export, run.fresh("floor")),
    }
    if run.convoviz:
        convert = run.convoviz.convert
        runs["convoviz"] = lambda _: convert(export, run.fresh("convoviz") / "out")
    costs = interleaved(rounds, runs)
    _all_there(costs["import"], conversations)
    peer = costs.get("convoviz")
    wall, peak = (peer.wall, peer.peak) if peer else (None, None)
    label = "convoviz" if peer else "convoviz not measured"
    took = costs["import"]
    yield Row(what=f"import, {name}", ours=took.wall, peer=wall, peer_name=label, reach=1 / 6 if peer else None)
    yield Row(what="the same, peak memory", ours=took.peak, unit="MB", peer_name=_memory(peak), reach=200)
    yield Row(what="the same, wall", ours=took.wall, peer=costs["floor"].wall, peer_name="floor", reach=1.5)
    yield Row(what="the same, CPU", ours=took.cpu, peer=costs["floor"].cpu, peer_name="floor")
    yield Row(what="again, nothing new", ours=costs["again"].wall, peer=took.wall, peer_name="first", reach=0.25)
    out = costs["export"]
    yield Row(what="export to Markdown", ours=out.wall, peer=wall, peer_name=label, reach=1 / 7 if peer else None)
    yield Row(what="the same, peak memory", ours=out.peak, unit="MB", peer_name=_memory(peak))


def _memory(peak: float | None) -> str:
    return "convoviz not measured" if peak is None else f"convoviz {peak:,.0f} MB"


def _all_there(took: Cost, conversations: int) -> None:
    """A quick import that leaves something out would be no figure."""
    added = answer(took)["added"]
    if added != conversations:
        raise SystemExit(f"The import added {added} of {conversations} conversations; there is nothing to measure.")


def search(run: Run) -> Iterator[Row]:
    """Search as a cold process beside ripgrep over the Markdown of the same conversations."""
    conversations = 50_000 if run.large else run.conversations
    export = run.corpora.chatgpt(conversations, layout="classic")
    ours = Chatkeep(run.fresh("home"))
    ours.add(export)
    markdown = run.fresh("markdown") / "out"
    ours.export("markdown", markdown)
    for word in WORDS:
        runs = {"ours": _searching(ours, word), "python": lambda _: python_start(), "rg": _grepping(word, markdown)}
        costs = interleaved(max(run.rounds, 5), runs)
        took = costs["ours"].wall - costs["python"].wall
        what = f"search “{word}”, {conversations:,} conversations, cold, less the start of Python"
        yield Row(what=what, ours=took, peer=costs["rg"].wall, peer_name="rg", reach=1 / 5)


def _searching(ours: Chatkeep, word: str) -> Callable[[int], Cost]:
    return lambda _: ours.search(word)


def _grepping(word: str, folder: Path) -> Callable[[int], Cost]:
    return lambda _: ripgrep(word, folder)


def ranked_search(run: Run) -> Iterator[Row]:
    """Any word, two hundred of them, in the library itself: over a million messages if --large."""
    export = run.corpora.chatgpt(95_000 if run.large else run.conversations, layout="sharded")
    home = run.fresh("home")
    floor(export, run.fresh("floor"))
    Chatkeep(home).add(export)
    ours, plain = ranked.ours(home), ranked.plain(run.folder / "floor" / "floor.sqlite3")
    name = f"ranked search with snippets, {ours.messages:,} messages"
    yield Row(what=f"{name}, p50", ours=ours.p50, unit="ms", peer_name=f"`ORDER BY rank` {plain.p50:,.1f} ms")
    yield Row(
        what="the same, p99", ours=ours.p99, unit="ms", peer_name=f"`ORDER BY rank` {plain.p99:,.1f} ms", reach=30
    )
    what = "the same, p99, the first time each word is asked for"
    yield Row(what=what, ours=ours.first, unit="ms", peer_name=f"`ORDER BY rank` {plain.first:,.1f} ms")


def backup(run: Run) -> Iterator[Row]:
    """A first backup, one of 20 changes, one of nothing, cold and warm, beside restic on the same files."""
    home = run.fresh("home")
    ours = Chatkeep(home)
    ours.add(run.corpora.chatgpt(run.conversations, layout="classic"))
    files = run.fresh("files") / "chats"
    exported = answer(ours.export("json", files))
    kept = run.folder / "home-kept"
    shutil.rmtree(kept, ignore_errors=True)
    home.rename(kept)
    rounds = [_backups(run, number, files=files, kept=kept) for number in range(run.rounds)]
    costs = {what: median([one[what] for one in rounds]) for what in rounds[0]}
    yield from _first_backup(costs, conversations=run.conversations, files=exported["files"])
    for what, cold, warm in (("after 20 changes", 1.0, 1 / 5), ("nothing changed", None, 1 / 5)):
        ours_cold, peer = costs[f"{what}, cold"], costs[f"{what}, restic"]
        yield Row(what=f"backup, {what}, cold", ours=ours_cold.wall, peer=peer.wall, peer_name="restic", reach=cold)
        yield Row(what="the same, CPU", ours=ours_cold.cpu, peer=peer.cpu, peer_name="restic")
        ours_warm = costs[f"{what}, warm"]
        what = f"backup, {what}, in the worker"
        yield Row(what=what, ours=ours_warm.wall, peer=peer.wall, peer_name="restic", reach=warm)


def _backups(run: Run, number: int, *, files: Path, kept: Path) -> dict[str, Cost]:
    """One round: a vault and a repository from empty, with the same changes."""
    shutil.rmtree(run.folder / "home", ignore_errors=True)
    shutil.copytree(kept, run.folder / "home")
    copy = run.fresh("restic-files") / "chats"
    shutil.copytree(files, copy)
    ours, restic = Chatkeep(run.folder / "home"), Restic(run.fresh("restic") / "repository")
    place = run.fresh("place") / "vault"
    ours.connect_folder(place)
    restic.create()
    costs = {"first": ours.back_up(), "first, restic": restic.back_up(copy)}
    costs |= {"nothing changed, cold": ours.back_up(), "nothing changed, restic": restic.back_up(copy)}
    change = run.conversations + 40 * number
    _add_twenty(run, ours, change, copy=copy)
    before = sum(1 for path in place.rglob("*") if path.is_file())
    costs |= {"after 20 changes, cold": ours.back_up(), "after 20 changes, restic": restic.back_up(copy)}
    _few_files(sum(1 for path in place.rglob("*") if path.is_file()) - before)
    with Worker(ours.env) as worker:
        costs["nothing changed, warm"] = worker.back_up()
        _add_twenty(run, ours, change + 20, copy=copy)
        costs["after 20 changes, warm"] = worker.back_up()
        costs["nothing changed, warm"] = worker.back_up()
    return costs


def restore(run: Run) -> Iterator[Row]:
    """Everything into an empty archive, beside `restic restore` of the same conversations as files, and the import of
    those files.
    """
    ours = Chatkeep(run.fresh("home"))
    ours.add(run.corpora.chatgpt(run.conversations, layout="classic"))
    place, files = run.fresh("place") / "vault", run.fresh("files") / "chats"
    ours.connect_folder(place)
    ours.back_up()
    exported = answer(ours.export("json", files))
    restic = Restic(run.fresh("restic") / "repository")
    restic.create()
    restic.back_up(files)

    def lost(_: int) -> Cost:
        new = Chatkeep(run.fresh("new-home"))
        new.connect_folder(place)
        took = new.restore()
        if (back := answer(took)["restored"]) != exported["conversations"]:
            raise Failed(f"{back} of {exported['conversations']} conversations came back")
        return took

    def restored(_: int) -> Cost:
        return restic.restore(run.fresh("restored"))

    def imported(_: int) -> Cost:
        return Chatkeep(run.fresh("other-home")).add(run.folder / "restored")

    costs = interleaved(run.rounds, {"ours": lost, "restic": restored, "import": imported})
    mine, files_back, taken_in = costs["ours"], costs["restic"], costs["import"]
    peer = "restic restore and import"
    yield Row(
        what=f"restore, {run.conversations:,} conversations, empty archive",
        ours=mine.wall,
        peer=files_back.wall + taken_in.wall,
        peer_name=peer,
        reach=1,
    )
    yield Row(what="the same, CPU", ours=mine.cpu, peer=files_back.cpu + taken_in.cpu, peer_name=peer)
    yield Row(what="the same, peak memory", ours=mine.peak, unit="MB", reach=250)


def _few_files(new: int) -> None:
    """20 changes may make four new files: a pack of documents, one of trees, an index, a snapshot."""
    if new > 4:
        print(f"The backup of 20 changes made {new} new files, where 4 are to be reached.", file=sys.stderr)


def _add_twenty(run: Run, ours: Chatkeep, start: int, *, copy: Path) -> None:
    """Twenty more conversations for the archive and, as files, for restic."""
    ours.add(run.corpora.chatgpt(20, layout="classic", start=start))
    ours.export("json", run.fresh("later") / "chats")
    _copy_new(run.folder / "later" / "chats", copy)


def _copy_new(source: Path, target: Path) -> None:
    """Files that differ or are new, and only those: restic reads again what has another time."""
    for file in source.rglob("*"):
        twin = target / file.relative_to(source)
        if file.is_file() and not (twin.exists() and filecmp.cmp(file, twin, shallow=False)):
            twin.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, twin)


def _first_backup(costs: dict[str, Cost], *, conversations: int, files: int) -> Iterator[Row]:
    ours, restic = costs["first"], costs["first, restic"]
    what = f"first backup, {conversations:,} documents"
    yield Row(what=what, ours=ours.wall, peer=restic.wall, peer_name="restic", reach=1 / 1.3)
    yield Row(what="the same, CPU", ours=ours.cpu, peer=restic.cpu, peer_name="restic", reach=1 / 2)
    yield Row(what="the same, peak memory", ours=ours.peak, peer=restic.peak, unit="MB", peer_name="restic")
    what = "the same, requests (rclone copy makes at least one a file)"
    yield Row(what=what, ours=answer(ours)["requests"], peer=files, unit="", peer_name="files", reach=1 / 100)


GROUPS: dict[str, Callable[[Run], Iterator[Row]]] = {
    "start": start,
    "import": imports,
    "search": search,
    "ranked": ranked_search,
    "backup": backup,
    "restore": restore,
    "clouds": clouds,
    "packs": packs,
}
