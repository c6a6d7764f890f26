"""Checks that every test which docs/SEEDS.md names is there, and that no row is without one."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# A cell: `<file> `test`, `test`; <file> `test``, with words in between. `*core unit*` stands for the service's own modules.
NAMED = re.compile(r"(?:(?P<file>\*core unit\*|\b[a-z_]+) )?`(?P<test>[a-z0-9_]+)`")
NO_TEST = "*not yet*"


def text_of(file: str) -> str:
    if file == "*core unit*":
        return "".join(path.read_text(encoding="utf-8") for path in (ROOT / "services/core/src").rglob("*.rs"))
    return "".join(path.read_text(encoding="utf-8") for path in ROOT.glob(f"services/*/tests/api/{file}.rs"))


def faults(cell: str) -> list[str]:
    """What is wrong with the last cell of a row."""
    named, file, found = list(NAMED.finditer(cell)), "", []
    for match in named:
        is_file = match["file"] and (match["file"].startswith("*") or text_of(match["file"]))
        file = match["file"] if is_file else file
        if f"fn {match['test']}(" not in text_of(file):
            found.append(f"no test {match['test']} in {file or 'any file'}")
    return found or ([] if named or NO_TEST in cell else ["names no test"])


if __name__ == "__main__":
    lines = (ROOT / "docs/SEEDS.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ") and not line.startswith("| there ")]
    wrong = [f"docs/SEEDS.md: {row[0]}: {fault}" for row in rows for fault in faults(row[-1])]
    print("\n".join(wrong) or "every row names tests that are there")
    sys.exit(1 if wrong else 0)
