#!/usr/bin/env python3
"""Print what a Chatkeep is made of, as CycloneDX 1.6: every package of a lock, with its version and hashes.

    deploy/sbom.py requirements/server.txt > chatkeep.cdx.json

It reads nothing but the lock and pyproject.toml, so that the same commit gives the same list everywhere.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_PIN = re.compile(r"([\w.-]+)==([^\s;]+)\s*(?:;\s*(.*?))?\s*(?=--hash|$)")


def of(lock: str) -> dict[str, Any]:
    """The list of parts of the project with this lock; the same for the same files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    pinned = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": project["name"],
                "name": project["name"],
                "version": project["version"],
                "licenses": [{"license": {"id": project["license"]}}],
            }
        },
        "components": [_part(line) for line in pinned],
    }


def _part(line: str) -> dict[str, Any]:
    found = _PIN.match(line)
    if found is None:
        raise SystemExit(f"Not a pinned package: {line[:80]}")
    name, version, condition = found.groups()
    address = f"pkg:pypi/{name}@{version}"
    part: dict[str, Any] = {
        "type": "library",
        "bom-ref": address,
        "name": name,
        "version": version,
        "purl": address,
        "hashes": [{"alg": "SHA-256", "content": value} for value in re.findall(r"--hash=sha256:([0-9a-f]{64})", line)],
    }
    if condition:
        part["properties"] = [{"name": "chatkeep:only-where", "value": condition}]
    return part


if __name__ == "__main__":
    print(json.dumps(of(sys.argv[1] if len(sys.argv) > 1 else "requirements/run.txt"), indent=1))
