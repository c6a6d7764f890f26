"""Counts what was seen; shared by the watcher and the demo, which reads a watcher's lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from apiclient.table import render
from events.envelope import Event


@dataclass
class Counts:
    """Counts per event type. Keeps all ids seen, to tell a repeated delivery from a new event."""

    by_type: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    subjects: dict[str, set[str]] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)

    def add(self, event: Event) -> None:
        """Count one delivery."""
        if event.id in self._ids:
            self.repeated[event.type] += 1
            return
        self._ids.add(event.id)
        self.by_type[event.type] += 1
        about = self.subjects.setdefault(event.type, set())
        if event.subject is not None:
            about.add(event.subject)

    @property
    def deliveries(self) -> int:
        """All deliveries, repeated ones too."""
        return self.by_type.total() + self.repeated.total()

    def table(self) -> str:
        """One line per type: events, the people they are about, repeated deliveries."""
        rows = [
            (kind, str(number), str(len(self.subjects[kind])), str(self.repeated[kind]))
            for kind, number in sorted(self.by_type.items())
        ]
        rows.append(("total", str(self.by_type.total()), "", str(self.repeated.total())))
        return render(("event type", "events", "people", "delivered again"), rows)


def line(event: Event) -> str:
    """The event as one line of JSON: id, type, subject."""
    return json.dumps({"id": event.id, "type": event.type, "subject": event.subject})


def from_lines(lines: Iterable[str]) -> Counts:
    """Counts of lines written by `line`. Raises ValueError on any other line."""
    counts = Counts()
    for text in lines:
        value = json.loads(text)
        if not isinstance(value, dict) or not {"id", "type", "subject"} <= value.keys():
            raise ValueError("not a line of events/watch.py --json")
        counts.add(Event(value["id"], value["type"], value["subject"]))
    return counts
