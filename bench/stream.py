"""How much memory open streams take.

Starts nothing: a running social service on this machine, the token of an app and ids of clients are given.

    RECOVERLY_TOKEN_APP=… python3 bench/stream.py PID < ids-of-clients

PID is the service's process; RECOVERLY_SOCIAL_URL names it where it is not on its own port. STREAMS (1,000) are opened, eight
a client at most, as the app for one client after the other, and stay open for SECONDS (20), in which each is sent a
heartbeat. Printed is the resident memory of the service before and after.

Exit status 1 where a stream was not opened or did not hear a heartbeat, or where the service then holds more than the goal.
"""

import asyncio
import os
import sys
from urllib.parse import urlsplit

STREAMS = int(os.environ.get("STREAMS") or 1_000)
SECONDS = int(os.environ.get("SECONDS") or 20)
STREAMS_OF_ONE = 8
GOAL_MEBIBYTES = 100
# At a time; each waits for its row in the audit.
OPENING = 50


def resident_mebibytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        found = next(line for line in status if line.startswith("VmRSS:"))
    return int(found.split()[1]) / 1024


async def open_stream(url, token, client, turn):
    async with turn:
        reader, writer = await asyncio.open_connection(url.hostname, url.port, limit=4_096)
        writer.write(
            f"GET /v1/stream HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {token}\r\n"
            f"X-On-Behalf-Of: {client}\r\n\r\n".encode()
        )
        status = await reader.readline()
        if b" 200 " not in status:
            raise SystemExit(f"stream: {client}: {status.decode().strip()}")
        await reader.readuntil(b"retry: ")
    return reader, writer


async def hears(stream):
    reader, _ = stream
    await reader.readuntil(b"\n:\n")


async def main():
    pid, token = sys.argv[1], os.environ["RECOVERLY_TOKEN_APP"]
    url = urlsplit(os.environ.get("RECOVERLY_SOCIAL_URL") or "http://127.0.0.1:8082")
    clients = [line.strip() for line in sys.stdin if line.strip()]
    if len(clients) * STREAMS_OF_ONE < STREAMS:
        raise SystemExit(f"stream: {STREAMS} streams need {-(-STREAMS // STREAMS_OF_ONE)} clients")
    turn = asyncio.Semaphore(OPENING)
    # One, so that pools and caches are there before they count.
    first = await open_stream(url, token, clients[-1], turn)
    before = resident_mebibytes(pid)
    opening = [open_stream(url, token, clients[n % len(clients)], turn) for n in range(STREAMS - 1)]
    streams = [first, *await asyncio.gather(*opening)]
    opened = resident_mebibytes(pid)
    await asyncio.wait_for(asyncio.gather(*map(hears, streams)), SECONDS)
    after = resident_mebibytes(pid)
    print(f"{STREAMS} streams: {before:.1f} MiB with one, {opened:.1f} MiB opened, {after:.1f} MiB after a heartbeat each,")
    print(f"{(after - before) * 1024 / (STREAMS - 1):.1f} KiB a stream")
    for _, writer in streams:
        writer.close()
    sys.exit(after > GOAL_MEBIBYTES)


if __name__ == "__main__":
    asyncio.run(main())
