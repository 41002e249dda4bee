"""The habits of the house, as far as a machine can see whether they are kept."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from chatkeep.exporters.registry import EXPORTERS
from chatkeep.importers import registry as importers
from chatkeep.providers import providers

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "chatkeep"
LOCKS = ("requirements/run.txt", "requirements/server.txt", "requirements/test.txt")

# Written so that this file does not hold what it looks for.
REGISTRIES = re.compile("|".join(("p[y]pi[.]org", "p[y]thonhosted", "registry[.]n[p]mjs", "d[e]b[.]debian[.]org")))
MACHINE_PATHS = re.compile("(^|[^A-Za-z0-9_.])/(" + "|".join(("work", "root", "farm")) + ")/")
FOR_LATER = re.compile(
    r"\b(TO" + "DO|FIX" + "ME|XX" + "X)\\b|NotImplemented" + "Error|pytest[.]mark[.](skip|xf" + "ail)"
)


@cache
def files() -> tuple[Path, ...]:
    """Everything that belongs to the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    found = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return tuple(sorted(path for path in found if path.is_file()))


def texts(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Path and text of the files with these endings, all where none is named; pictures and the like are left out."""
    for path in files():
        if not suffixes or path.suffix in suffixes:
            data = path.read_bytes()
            if b"\0" not in data:
                yield str(path.relative_to(ROOT)), data.decode("utf-8", "replace")


def lines_with(pattern: re.Pattern[str], named: Iterable[tuple[str, str]]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in named
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_package_registry_or_a_path_of_one_machine() -> None:
    assert lines_with(REGISTRIES, texts()) == []
    assert lines_with(MACHINE_PATHS, texts()) == []


def test_what_is_looked_for_would_be_found() -> None:
    named = [("a", "see https://py" + "pi.org/simple"), ("b", "open('/ro" + "ot/x')"), ("c", "# TO" + "DO: later")]
    assert [bool(lines_with(p, [n])) for p, n in zip((REGISTRIES, MACHINE_PATHS, FOR_LATER), named, strict=True)] == [
        True,
        True,
        True,
    ]


def test_nothing_is_left_for_later() -> None:
    assert lines_with(FOR_LATER, texts(".py")) == []


def test_every_lock_pins_with_hashes_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    asked = {"requirements/run.txt": project["project"]["dependencies"] + groups["build"]}
    asked["requirements/server.txt"] = (
        asked["requirements/run.txt"] + project["project"]["optional-dependencies"]["server"]
    )
    asked["requirements/test.txt"] = asked["requirements/server.txt"] + groups["dev"]
    for lock in LOCKS:
        text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
        entries = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
        assert [line for line in entries if "==" not in line or "--hash=sha256:" not in line] == []
        pinned = {plain_name(line) for line in entries}
        assert {plain_name(requirement) for requirement in asked[lock]} - pinned == set()


def test_all_locks_pin_the_same_versions() -> None:
    *others, test = (dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / lock).read_text(), re.M)) for lock in LOCKS)
    for lock in others:
        assert lock == {name: version for name, version in test.items() if name in lock}


def test_everything_that_is_installed_beside_chatkeep_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    modules: dict[str, list[str]] = {}
    for module, distributions in packages_distributions().items():
        for distribution in distributions:
            modules.setdefault(plain_name(distribution), []).append(module)
    asked = {plain_name(one) for one in [*project["dependencies"], *project["optional-dependencies"]["server"]]}
    unused = {name for name in asked if not any(re.search(rf"\b{one}\b", source) for one in modules[name])}
    assert unused == {"argon2-cffi", "qrcode"}  # Django and allauth ask for them by themselves


def plain_name(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


COMMAND = re.compile(r"(?:^|`)make ([a-z]+)(?=`|$|  | ARGS)", re.MULTILINE)


def test_pages_name_only_commands_that_make_knows() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert {"run", "test", "fix", "bench"} <= targets
    named = {(page, word) for page, text in texts(".md") for word in COMMAND.findall(text)}
    assert ("README.md", "run") in named
    assert {(page, word) for page, word in named if word not in targets} == set()


def test_ci_calls_the_same_command_as_people_do() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


LINK = re.compile(r"\]\(([^)\s#]+)")


def test_links_of_every_page_lead_somewhere() -> None:
    dead = [
        f"{page}: {target}"
        for page, text in texts(".md")
        for target in LINK.findall(text)
        if not page.startswith("tests/golden/")  # what people wrote, and what exporters made of it
        and "://" not in target
        and not target.startswith("mailto:")
        and not (ROOT / page).parent.joinpath(target).exists()
    ]
    assert dead == []


def test_every_platform_provider_and_format_has_its_page() -> None:
    def without_page(folder: str, names: Iterable[str]) -> list[str]:
        return [name for name in names if not (ROOT / "docs" / folder / f"{name}.md").exists()]

    assert len(importers.ALL) > 3
    assert without_page("platforms", (importer.platform for importer in importers.ALL)) == []
    assert without_page("providers", (provider.name for provider in providers())) == []
    assert without_page("formats", EXPORTERS) == []


def test_pages_that_the_code_refers_to_exist() -> None:
    referred = {page for _, text in texts(".py") for page in re.findall(r"docs/[\w/-]+\.md", text)}
    assert "docs/cli.md" in referred
    assert [page for page in sorted(referred) if not (ROOT / page).exists()] == []


def errors_in_source() -> set[str]:
    """The names of all classes that come from ChatkeepError, by what their files say."""
    bases: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                names = {base.id for base in node.bases if isinstance(base, ast.Name)}
                names |= {base.attr for base in node.bases if isinstance(base, ast.Attribute)}
                bases.setdefault(node.name, set()).update(names)
    found = {"ChatkeepError"}
    while more := {name for name, of in bases.items() if of & found} - found:
        found |= more
    return {name for name in found - {"ChatkeepError"} if not name.startswith("_")}


def test_every_error_is_explained() -> None:
    page = (ROOT / "docs" / "guide" / "errors.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(\w+)`", page, re.M))
    assert "WrongPassphrase" in explained
    assert explained == errors_in_source()


def test_every_setting_is_explained() -> None:
    page = (ROOT / "docs" / "guide" / "settings.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(CHATKEEP_\w+)`", page, re.M))
    source = ((name, text) for name, text in texts(".py") if name.startswith("src/") and "/testing/" not in name)
    used = {word for _, text in source for word in re.findall(r"\bCHATKEEP_[A-Z_]*[A-Z]\b", text)}
    assert "CHATKEEP_HOME" in used
    assert explained == used


@pytest.mark.parametrize("folder", ["changes", "docs/decisions"])
def test_small_pages_are_small(folder: str) -> None:
    pages = sorted((ROOT / folder).glob("*.md"))
    assert pages
    assert [str(page) for page in pages if len(page.read_text(encoding="utf-8").splitlines()) > 60] == []
