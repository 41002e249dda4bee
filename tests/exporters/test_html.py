"""Pages that stand for themselves."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from selectolax.lexbor import LexborHTMLParser

from chatkeep.exporters import Customisation, export, output, preview
from chatkeep.exporters.html import CSS, HTML
from chatkeep.testing import museum
from chatkeep.testing.exporter_suite import ExporterSuite
from chatkeep.testing.hostile import wrongs


def is_beside(address: str) -> bool:
    return bool(re.fullmatch(r"(\.\./)*attachments/[0-9a-f]{2}/[0-9a-f]{64}\.\w+|(\.\./)*index\.html|#\w+", address))


class TestHtml(ExporterSuite):
    exporter = HTML
    golden = Path(__file__).parents[1] / "golden" / "html"

    def tidied(self, text: str) -> str:
        return re.sub("'sha256-[^']+'", "'sha256-…'", text.replace(CSS, "…"))

    def check_harmless(self, path: str, text: str) -> None:
        if path != "index.html":
            assert wrongs(text.partition("<body>")[2], sources=is_beside) == [], path
        head = text.partition("<body>")[0]
        assert head.count("<script") == 0
        assert head.count("<style>") == 1


def test_every_page_forbids_what_it_does_not_need() -> None:
    page = LexborHTMLParser(preview(museum.museum(), HTML, Customisation()))
    [policy] = [meta.attributes["content"] for meta in page.css("meta[http-equiv=Content-Security-Policy]")]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "script-src" not in rules
    assert re.fullmatch(r"'sha256-[\w+/=]+'", rules["style-src"])
    assert not any("http" in rule or "*" in rule for rule in rules.values())


def test_every_link_of_the_index_leads_to_a_page_and_back(tmp_path: Path) -> None:
    files = museum.kept(tmp_path)
    done = export(
        iter(museum.collection()),
        exporter=HTML,
        customisation=Customisation(),
        out=output(tmp_path / "site"),
        attachment=files.get,
    )
    index = tmp_path / "site" / "index.html"
    links = [unquote(link.attributes["href"] or "") for link in LexborHTMLParser(index.read_text("utf-8")).css("li a")]
    assert len(links) == done.conversations
    for link in links:
        page = index.parent / link
        tree = LexborHTMLParser(page.read_text("utf-8"))
        [back] = [one.attributes["href"] for one in tree.css("nav a")]
        assert (page.parent / (back or "")).resolve() == index.resolve()
        for picture in tree.css("img"):
            assert (page.parent / (picture.attributes["src"] or "")).is_file()


def test_one_page_holds_its_pictures(tmp_path: Path) -> None:
    place = tmp_path / "all.html"
    files = museum.kept(tmp_path)
    export(
        iter(museum.collection()), exporter=HTML, customisation=Customisation(), out=output(place), attachment=files.get
    )
    tree = LexborHTMLParser(place.read_text("utf-8"))
    assert [(one.attributes["src"] or "")[:22] for one in tree.css("img")] == ["data:image/png;base64,"]
    contents = [link.attributes["href"] for link in tree.css("#contents a")]
    assert contents == ["#c1", "#c2"]
    assert all(len(tree.css(f"section{link}")) == 1 for link in contents)


def test_other_versions_are_folded_in_their_place() -> None:
    tree = LexborHTMLParser(preview(museum.museum(), HTML, Customisation(branches="all")))
    labels = [one.text() for one in tree.css("details.branch > summary")]
    assert labels == ["Another version: 1 of 2", "An earlier version of the next message"]


def test_what_a_page_is_not_asked_for_is_not_in_it() -> None:
    page = preview(museum.museum(), HTML, Customisation())
    for word in ("helpful guide", "stairs</em> are hard", "museum opening times", "Tuesday", "hologram"):
        assert word not in page
