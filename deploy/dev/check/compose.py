"""Checks docker-compose.yml without a container engine: `compose.py FILE`; exit status 1 when something is wrong.

It must be YAML; every service must have an image with a full version, a health check and, where it publishes a port,
publish it on the loopback address only; every named volume must be declared; every bound file must exist.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

PINNED = re.compile(r"^[\w./-]+:v?\d+\.\d+(\.\d+)?[\w.-]*$")


def faults(path: Path) -> Iterator[str]:
    """What is wrong, one sentence each."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        yield f"no YAML: {error}"
        return
    volumes = document.get("volumes") or {}
    for name, service in document["services"].items():
        if not PINNED.match(service.get("image", "")):
            yield f"{name}: the image has no pinned version"
        if "test" not in service.get("healthcheck", {}):
            yield f"{name}: no health check"
        for port in service.get("ports", []):
            if not str(port).startswith("127.0.0.1:"):
                yield f"{name}: port {port} is open to the network"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                if not (path.parent / source).exists():
                    yield f"{name}: {source} does not exist"
            elif source not in volumes:
                yield f"{name}: volume {source} is not declared"


def main(arguments: list[str]) -> int:
    """Check one file; the exit status."""
    (name,) = arguments
    found = list(faults(Path(name)))
    for fault in found:
        print(f"{name}: {fault}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
