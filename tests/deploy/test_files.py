"""What lies in deploy/: as far as it can be tried without the machines it is for.

systemd checks its own files, caddy serves with its own (`test_proxy`), and the Dockerfile's steps are taken in a
folder. Those of compose and Kubernetes are read, and held against one another: no Docker and no cluster is asked.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chatkeep.errors import WrongUse
from chatkeep.settings import Settings

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
SETTING = re.compile(r"\b(?:CHATKEEP_[A-Z_]*[A-Z]|DATABASE_URL(?:_FILE)?)\b")
UNITS = ("chatkeep-web.socket", "chatkeep-web.service", "chatkeep-worker@.service", "chatkeep-migrate.service")


def documents(name: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")) if one]


def test_every_setting_that_is_used_here_is_explained() -> None:
    page = (ROOT / "docs/guide/settings.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(\w+)`", page, re.M))
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and "secrets" not in path.parts]
    used = {word for path in files for word in SETTING.findall(path.read_text(encoding="utf-8"))}
    assert {"CHATKEEP_KEY_FILE", "CHATKEEP_PUBLIC_URL"} <= used
    assert {word.removesuffix("_FILE") for word in used} - explained == set()


def test_no_image_names_a_registry() -> None:
    texts = [(DEPLOY / name).read_text(encoding="utf-8") for name in ("Dockerfile", "compose.yaml")]
    images = [match for text in texts for match in re.findall(r"(?:image: |ARG PYTHON=)([^\s$]+)", text)]
    assert len(images) >= 3
    assert [image for image in images if "." in image.split("/")[0].split(":")[0]] == []


# compose


def services() -> dict[str, Any]:
    found: dict[str, Any] = documents("compose.yaml")[0]["services"]
    return found


def test_compose_names_only_what_it_has() -> None:
    whole = documents("compose.yaml")[0]
    for name, service in services().items():
        assert set(service.get("depends_on", [])) <= set(services()), name
        assert set(service.get("networks", [])) <= set(whole["networks"]), name
        assert set(service.get("secrets", [])) <= set(whole["secrets"]), name
        mounted = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert {volume for volume in mounted if not volume.startswith(".")} <= set(whole["volumes"]), name
        assert all((DEPLOY / volume).exists() for volume in mounted if volume.startswith(".")), name
        files = [value for key, value in service.get("environment", {}).items() if key.endswith("_FILE")]
        assert {value.removeprefix("/run/secrets/") for value in files} <= set(service.get("secrets", [])), name


def test_compose_starts_nothing_before_the_migration_and_holds_no_secret_itself() -> None:
    for name in ("web", "worker"):
        assert services()[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    secret = re.compile("KEY|PASSWORD|SECRET|DATABASE_URL")
    said = [key for service in services().values() for key in service.get("environment", {}) if secret.search(key)]
    assert said
    assert [key for key in said if not key.endswith("_FILE")] == []


def test_compose_lets_ours_write_nothing_but_its_store_and_the_database_reach_nobody() -> None:
    for name in ("migrate", "web", "worker"):
        ours = services()[name]
        assert (ours["read_only"], ours["cap_drop"]) == (True, ["ALL"]), name
        assert ours["stop_grace_period"] == "40s"
    assert services()["postgres"]["networks"] == ["database"]
    assert documents("compose.yaml")[0]["networks"]["database"] == {"internal": True}
    assert [name for name, service in services().items() if "ports" in service] == ["proxy"]


def test_the_secrets_that_are_made_are_good_and_are_made_once(tmp_path: Path) -> None:
    script = shutil.copy(DEPLOY / "make-secrets", tmp_path)
    subprocess.run([script], check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert set(made) == {"key", "database_url", "database_password"}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    environment = {
        "CHATKEEP_KEY_FILE": str(tmp_path / "secrets/key"),
        "DATABASE_URL_FILE": str(tmp_path / "secrets/database_url"),
        "CHATKEEP_PUBLIC_URL": "https://chats.example",
    }
    assert made["database_password"] in Settings.from_environment(environment).database_url
    subprocess.run([script], check=True)
    assert made == {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}


# systemd


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """The units, with a program in them that this machine has."""
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/opt/chatkeep/bin/chatkeep", sys.executable))
    return [tmp_path / name for name in UNITS]


def analyze(verb: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", verb, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_systemd_understands_the_units(units: list[Path]) -> None:
    verified = analyze("verify", *units)
    assert (verified.returncode, verified.stderr) == (0, "")
    broken = units[1]
    broken.write_text(broken.read_text().replace("Restart=always", "Restart=sometimes"))
    assert "sometimes" in analyze("verify", broken).stderr


def test_the_units_give_the_programs_few_rights(units: list[Path]) -> None:
    services = [unit for unit in units if unit.suffix == ".service"]
    assert len(services) == 3
    for unit in services:
        assert analyze("security", "--offline=yes", "--threshold=20", unit).returncode == 0, unit.name
    open_unit = services[0]
    open_unit.write_text(
        re.sub(r"^(Protect|Private|Restrict|System|NoNew|Cap).*\n", "", open_unit.read_text(), flags=re.M)
    )
    assert analyze("security", "--offline=yes", "--threshold=20", open_unit).returncode != 0


def test_systemd_waits_longer_than_chatkeep_takes_to_end() -> None:
    from chatkeep.web import processes

    for name in ("chatkeep-web.service", "chatkeep-worker@.service"):
        found = re.search(r"TimeoutStopSec=(\d+)", (DEPLOY / "systemd" / name).read_text(encoding="utf-8"))
        assert found
        assert int(found[1]) > processes.PATIENCE_S + 5


# Kubernetes

KUBERNETES = ("store.yaml", "migrate.yaml", "web.yaml", "worker.yaml", "network.yaml")


def kubernetes() -> dict[tuple[str, str], dict[str, Any]]:
    found = [one for name in KUBERNETES for one in documents(f"kubernetes/{name}")]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for (kind, name), one in kubernetes().items():
        if kind in ("Deployment", "Job"):
            yield name, one["spec"]["template"]


def test_kubernetes_applies_every_file_and_each_object_once() -> None:
    listed = documents("kubernetes/kustomization.yaml")[0]
    assert tuple(listed["resources"]) == KUBERNETES
    assert {path.name for path in (DEPLOY / "kubernetes").iterdir()} == {*KUBERNETES, "kustomization.yaml"}
    assert len(kubernetes()) == sum(len(documents(f"kubernetes/{name}")) for name in KUBERNETES)
    assert listed["images"] == [{"name": "chatkeep", "newTag": project_version()}]


def project_version() -> str:
    found = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)
    assert found
    return found[1]


def test_everything_that_kubernetes_selects_is_there() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods()}
    for name in ("chatkeep-web", "chatkeep-worker"):
        deployment = kubernetes()["Deployment", name]["spec"]
        assert deployment["selector"]["matchLabels"] == labels[name]
        assert kubernetes()["PodDisruptionBudget", name]["spec"]["selector"]["matchLabels"] == labels[name]
        assert deployment["replicas"] > kubernetes()["PodDisruptionBudget", name]["spec"]["maxUnavailable"]
    service = kubernetes()["Service", "chatkeep"]["spec"]
    assert service["selector"] == labels["chatkeep-web"]
    web = dict(pods())["chatkeep-web"]["spec"]["containers"][0]
    assert service["ports"][0]["targetPort"] in {port["name"] for port in web["ports"]}
    backend = kubernetes()["Ingress", "chatkeep"]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert (backend["name"], backend["port"]["name"]) == ("chatkeep", service["ports"][0]["name"])
    policy = kubernetes()["NetworkPolicy", "chatkeep-web"]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels["chatkeep-web"]


def test_every_pod_has_few_rights_and_mounts_what_it_declares() -> None:
    assert len(dict(pods())) == 3
    for name, pod in pods():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["automountServiceAccountToken"] is False, name
        volumes = {volume["name"] for volume in spec["volumes"]}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes, name
            assert "memory" in container["resources"]["limits"], name
            paths = [mount["mountPath"] for mount in container["volumeMounts"]]
            files = [variable["value"] for variable in container["env"] if variable["name"].endswith("_FILE")]
            assert len(files) == 2
            assert all(any(value.startswith(path) for path in paths) for value in files), name


def test_probes_ask_under_a_name_that_chatkeep_answers_to() -> None:
    web = dict(pods())["chatkeep-web"]["spec"]["containers"][0]
    probes = [web[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    for probe in probes:
        assert {header["name"]: header["value"] for header in probe["httpHeaders"]}["Host"] in Settings(
            home=ROOT
        ).allowed_hosts


# the image


def steps() -> Iterator[tuple[str, str]]:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            verb, _, rest = line.partition(" ")
            yield verb, rest.strip()


def ignored(name: str) -> bool:
    """Whether the builder never sees a file, by the last rule that fits it."""
    out = False
    for rule in (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split():
        plain = rule.removeprefix("!")
        fits = (
            any(fnmatch.fnmatch(part, plain.removeprefix("**/")) for part in above(name))
            if "**" in plain
            else (any(fnmatch.fnmatch(part, plain) for part in above(name)))
        )
        if fits:
            out = not rule.startswith("!")
    return out


def above(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)] + parts


@pytest.mark.slow
def test_the_steps_of_the_dockerfile_give_a_program_that_runs_as_nobody(tmp_path: Path) -> None:
    """Each RUN and COPY of the first stage is taken in a folder instead of an image; then the program is started."""
    context, image = tmp_path / "context", tmp_path / "image"
    for path in ROOT.rglob("*"):
        name = path.relative_to(ROOT).as_posix()
        if path.is_file() and not name.startswith((".", "build/")) and not ignored(name):
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, context / name)
    assert not (context / "tests").exists()
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    stages = 0
    for verb, rest in steps():
        stages += verb == "FROM"
        if stages == 2:
            break
        if verb == "ENV":
            environment |= dict(word.split("=", 1) for word in shlex.split(rest))
        elif verb == "RUN":
            moved = re.sub(r"(?<![\w.])/(opt|src)\b", rf"{image}/\1", rest)
            subprocess.run(
                ["sh", "-c", moved], check=True, env=environment, cwd=tmp_path, timeout=400, capture_output=True
            )
        elif verb == "COPY":
            *sources, target = rest.split()
            for source in sources:
                to = image / target.lstrip("/")
                if (context / source).is_dir():
                    shutil.copytree(context / source, to, dirs_exist_ok=True)
                else:
                    file = to / Path(source).name if target.endswith("/") else to
                    file.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(context / source, file)
    last = dict(step for step in steps() if step[0] in ("USER", "ENTRYPOINT", "CMD"))
    assert last == {"USER": "10001:10001", "ENTRYPOINT": '["chatkeep"]', "CMD": '["serve"]'}
    ran = subprocess.run(
        [image / "opt/chatkeep/bin/chatkeep", "--version"], capture_output=True, text=True, timeout=60, env=environment
    )
    assert ran.stdout.split() == ["chatkeep", project_version()]


def test_a_server_without_its_secrets_does_not_start() -> None:
    with pytest.raises(WrongUse, match="CHATKEEP_KEY"):
        Settings.from_environment({"DATABASE_URL": "postgresql://chatkeep@postgres/chatkeep"})
