"""An ordinary calendar program, by the `icalendar` library, reads the feed behind a secret link. Prints its name and a line
for each event; exit status 1 where the feed is none."""

from __future__ import annotations

import os

import requests
from icalendar import Calendar


def main() -> None:
    answer = requests.get(os.environ["RECOVERLY_CALENDAR_URL"], timeout=10)
    assert answer.status_code == 200, answer.status_code
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8", answer.headers
    lines = answer.content.split(b"\r\n")
    assert all(len(line) <= 75 and b"\n" not in line for line in lines), "lines are folded at 75 bytes and end with CRLF"
    calendar = Calendar.from_ical(answer.content)
    assert not calendar.errors and calendar["version"] == "2.0" and calendar["prodid"]
    print(calendar["x-wr-calname"])
    events = calendar.walk("VEVENT")
    assert len({event["uid"] for event in events}) == len(events), "ids are unique"
    for event in events:
        assert not event.errors and event["dtstamp"].dt.tzinfo is not None, event.errors
        starts_at, ends_at = (event[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ") for name in ("dtstart", "dtend"))
        print(starts_at, ends_at, event["summary"], sep=" | ")


if __name__ == "__main__":
    main()
