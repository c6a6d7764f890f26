"""Writes docs/VARIABLES.md: `variables_page.py NAME=HELP_FILE...` joins what `recoverly-<name> --help` printed."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

LINE = re.compile(r"^  (?P<name>[A-Z][A-Z0-9_]+)\s+(?P<help>.*?)(?: \[(?P<default>[^\[\]]*)\])?$")

HEAD = """# Settings

Every service reads its settings from the environment once, at start, and refuses to start on a wrong one, naming it.
This page is written by `make docs` from `recoverly-<service> --help`; `make check` tells when it is out of date.
The database is named by the service's own variable, else by `RECOVERLY_DATABASE_URL`: one of the two must be set.
`migrate` needs one variable only: `RECOVERLY_OWNER_DATABASE_URL`, the Postgres URL of the owner role.
"""


@dataclass(frozen=True)
class Variable:
    """One line of the help: `default` is "required", a value, or empty for an optional one."""

    name: str
    help: str
    default: str


def read(path: Path) -> list[Variable]:
    """The variables in the section `Environment:` of a help text."""
    section = path.read_text(encoding="utf-8").partition("Environment:\n")[2]
    found = [LINE.match(line) for line in section.splitlines() if line.strip()]
    return [Variable(m["name"], m["help"].strip(), m["default"] or "") for m in found if m]


def table(variables: list[Variable]) -> str:
    """A Markdown table."""
    lines = ["| variable | meaning | default |", "|---|---|---|"]
    for v in variables:
        default = v.default if v.default in ("", "required") else f"`{v.default}`"
        lines.append(f"| `{v.name}` | {v.help} | {default} |")
    return "\n".join(lines)


def page(services: dict[str, list[Variable]]) -> str:
    """The variables that all services share, then those of each."""
    shared = [v for v in next(iter(services.values())) if all(v in other for other in services.values())]
    parts = [HEAD, "## All services", "", table(shared), ""]
    for name, variables in services.items():
        own = [v for v in variables if v not in shared]
        if own:
            parts += [f"## {name}", "", table(own), ""]
    return "\n".join(parts).rstrip() + "\n"


def main(arguments: list[str]) -> int:
    """Print the page; the exit status."""
    services = {}
    for argument in arguments:
        name, _, path = argument.partition("=")
        services[name] = read(Path(path))
        if not services[name]:
            print(f"{path} names no variables", file=sys.stderr)
            return 1
    sys.stdout.write(page(services))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
