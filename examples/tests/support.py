"""Puts the examples on the path, and a small HTTP server that plays the services."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import TestCase

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


@dataclass(frozen=True)
class Request:
    """What a fake service received. `connection` tells connections apart."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    connection: int


@dataclass(frozen=True)
class Reply:
    """What it answers; status 0 closes the connection without an answer."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class FakeService:
    """Answers every request with what `answer` returns, and keeps all requests."""

    def __init__(self, test: TestCase, answer: Callable[[Request], Reply]) -> None:
        self.requests: list[Request] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def serve(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(
                    self.command,
                    self.path,
                    {name.lower(): value for name, value in self.headers.items()},
                    json.loads(raw) if raw else None,
                    self.client_address[1],
                )
                service.requests.append(request)
                self.reply(answer(request))

            do_GET = do_POST = do_PUT = serve

            def reply(self, reply: Reply) -> None:
                if reply.status == 0:
                    self.close_connection = True
                    return
                payload = b"" if reply.body is None else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: Any) -> None:
                """Silent: the tests read `requests`."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=lambda: server.serve_forever(0.005), daemon=True)
        thread.start()
        test.addCleanup(thread.join)
        test.addCleanup(server.server_close)
        test.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"


def in_turn(*replies: Reply) -> Callable[[Request], Reply]:
    """An `answer` that gives `replies` one after the other, then repeats the last."""
    left = list(replies)
    return lambda _request: left.pop(0) if len(left) > 1 else left[0]


def credentials_file(folder: Path) -> Path:
    """A credentials file with every entry the examples use."""
    names = "admin supervisor counselor counselor_other oncall auditor client"
    entries: dict[str, dict[str, str]] = {
        name: {"token": f"token-of-{name}", "user_id": f"staff-{name}"} for name in names.split()
    }
    for name in ("app", "pipeline"):
        entries[name] = {"token": f"token-of-{name}", "client_id": name}
    path = folder / "credentials.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


def sign_ins_file(folder: Path) -> Path:
    """A file of sign-ins beside the credentials."""
    entries = {
        name: {
            "email": f"{user_id}@demo.example",
            "password": f"password-of-{name}",
            "user_id": user_id,
        }
        for name, user_id in (("client", "client-001"), ("counselor", "staff-counselor"))
    }
    path = folder / "sign-ins.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path
