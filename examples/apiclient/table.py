"""Plain text tables for terminals of any width."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

MIN_LAST_COLUMN = 24


def render(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int = 100) -> str:
    """Left-aligned columns; the last one wraps in what is left of `width` characters."""
    leading = len(headers) - 1
    sizes = [max([len(headers[at]), *(len(row[at]) for row in rows)]) for at in range(leading)]
    free = max(width - sum(sizes) - 2 * leading, MIN_LAST_COLUMN)
    rest = min(free, max([len(headers[leading]), *(len(row[leading]) for row in rows)]))
    lines = [_line(headers, sizes), _line(["─" * size for size in sizes] + ["─" * rest], sizes)]
    for row in rows:
        wrapped = textwrap.wrap(row[leading], rest) or [""]
        lines.append(_line([*row[:leading], wrapped[0]], sizes))
        lines.extend(_line([""] * leading + [more], sizes) for more in wrapped[1:])
    return "\n".join(lines)


def _line(cells: Sequence[str], sizes: Sequence[int]) -> str:
    padded = [cell.ljust(size) for cell, size in zip(cells, sizes, strict=False)]
    return "  ".join([*padded, cells[-1]]).rstrip()
