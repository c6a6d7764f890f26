"""Progress on stderr: a bar on a terminal, plain lines elsewhere (logs, CI)."""

from __future__ import annotations

import sys
import time
from typing import TextIO

BAR_CELLS = 28
REDRAW_SECONDS = 0.1
LINE_SECONDS = 5.0


class Progress:
    """Counts items done, out of `total` where it is known (None where it is not)."""

    def __init__(self, label: str, total: int | None, stream: TextIO | None = None) -> None:
        self._label = label
        self._total = total
        self._stream = stream if stream is not None else sys.stderr
        self._terminal = self._stream.isatty()
        self._started = time.monotonic()
        self._drawn_at = self._started
        self.done = 0

    def advance(self, count: int = 1) -> None:
        """`count` more items are done; redraws now and then."""
        self.done += count
        now = time.monotonic()
        if now - self._drawn_at < (REDRAW_SECONDS if self._terminal else LINE_SECONDS):
            return
        self._drawn_at = now
        self._draw("\r" if self._terminal else "", "" if self._terminal else "\n")

    def close(self) -> None:
        """Write the final state, once, with a line end."""
        self._draw("\r" if self._terminal else "", "\n")

    def _draw(self, start: str, end: str) -> None:
        clear = "\x1b[K" if self._terminal else ""
        self._stream.write(f"{start}{self._text()}{clear}{end}")
        self._stream.flush()

    def _text(self) -> str:
        rate = self.done / max(time.monotonic() - self._started, 0.001)
        if self._total is None:
            return f"{self._label}: {self.done} ({rate:.0f}/s)"
        share = self.done / self._total if self._total else 1.0
        if not self._terminal:
            return f"{self._label}: {self.done} of {self._total}"
        filled = int(BAR_CELLS * min(share, 1.0))
        bar = "█" * filled + "░" * (BAR_CELLS - filled)
        return f"{self._label} {bar} {self.done}/{self._total} ({rate:.0f}/s)"
