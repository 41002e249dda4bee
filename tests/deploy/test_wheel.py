"""What is installed on a server: a wheel that anybody can build again, byte for byte, and that serves by itself."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from functools import partial
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from deploy import sbom

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "chatkeep"


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def _build(tree: Path, out: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def _copied(to: Path, *, second: int, mode: int) -> Path:
    """The files that belong to the repository, in a folder of their own, as another machine may have them."""
    for name in _tracked():
        if name.startswith("src/") or "/" not in name:
            copy = to / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy)
            copy.chmod(mode)
            os.utime(copy, (second, second))
    return to


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return _build(_copied(folder / "tree", second=1_700_000_000, mode=0o644), folder / "out")


def test_two_builds_on_two_machines_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    other = _build(_copied(tmp_path / "elsewhere", second=1_600_000_001, mode=0o600), tmp_path / "out")
    assert hashlib.sha256(other.read_bytes()).hexdigest() == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_a_changed_file_makes_another_wheel(wheel: Path, tmp_path: Path) -> None:
    tree = _copied(tmp_path / "changed", second=1_700_000_000, mode=0o644)
    (tree / "src/chatkeep/py.typed").write_text("x")
    assert _build(tree, tmp_path / "out").read_bytes() != wheel.read_bytes()


def test_everything_the_program_needs_is_in_the_wheel_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert {"chatkeep/web/templates/base.html", "chatkeep/web/static/chatkeep/app.css"} <= held
    assert held == {name.removeprefix("src/") for name in _tracked() if name.startswith("src/chatkeep/")}


def test_the_list_of_parts_names_every_locked_package_with_its_hashes() -> None:
    made = sbom.of("requirements/server.txt")
    parts = {part["name"]: part for part in made["components"]}
    pinned = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements/server.txt").read_text(), re.M)
    assert {(name, part["version"]) for name, part in parts.items()} == set(pinned)
    assert parts["django"]["purl"] == f"pkg:pypi/django@{parts['django']['version']}"
    assert all(re.fullmatch("[0-9a-f]{64}", h["content"]) for part in parts.values() for h in part["hashes"])
    assert all(part["hashes"] for part in parts.values())
    assert made == sbom.of("requirements/server.txt")


@pytest.fixture
def served(wheel: Path, tmp_path: Path) -> Iterator[str]:
    """The link of a Chatkeep that was installed from the wheel and the lock into an empty environment."""
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    pip = [str(python), "-m", "pip", "--no-input", "--quiet", "install"]
    locked = ["--require-hashes", "--only-binary", ":all:", "-r", str(ROOT / "requirements/run.txt")]
    subprocess.run([*pip, *locked], check=True, timeout=300, capture_output=True)
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True, timeout=60, capture_output=True)
    bare = {"PATH": os.environ["PATH"], "CHATKEEP_HOME": str(tmp_path / "home")}
    command = [str(python.with_name("chatkeep")), "serve", "--port", "0", "--no-browser"]
    # Whoever starts the tests may have had Ctrl-C ignored, and children inherit that.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, cwd=tmp_path, env=bare, stdout=subprocess.PIPE, text=True, preexec_fn=heard
    ) as running:
        try:
            assert running.stdout
            yield next(line.strip() for line in running.stdout if "http://" in line)
        finally:
            running.send_signal(signal.SIGINT)
            try:
                assert running.wait(20) == 0
            finally:
                running.kill()


@pytest.mark.slow
def test_the_wheel_with_its_lock_serves_pages_from_an_empty_environment(served: str) -> None:
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    home = browser.open(served, timeout=30).read().decode()
    style = re.search(r'href="(/static/[^"]+\.css)"', home)
    assert style, home[:500]
    origin = served.split("/sign-in")[0]
    assert browser.open(origin + style[1], timeout=30).status == 200
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', home)
    assert token
    form = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1]}).encode()
    browser.open(f"{origin}/import/example", form, timeout=60).close()
    for _ in range(60):
        if re.search(r'href="/chats/[0-9a-f-]{36}/', browser.open(f"{origin}/chats/", timeout=30).read().decode()):
            return
        time.sleep(0.5)
    pytest.fail("The example that lies in the wheel was not imported.")
