"""How long a revoked token still works in each service.

Starts nothing: five running services and a program's secret are given by the environment.

    RECOVERLY_CLIENT_ID=… RECOVERLY_CLIENT_SECRET=… python3 bench/revocation.py

RECOVERLY_<SERVICE>_URL names a service that is not on its own port of this machine; REVOCATIONS is how often it is
measured, by default 200. Each time a new token is shown to all five services twice, so that they remember it, and is then
revoked by `POST /oauth/revoke` while five connections go on asking. The time runs from the moment the revocation is sent
until a refusal has arrived, so it holds the revocation itself, a pause of a millisecond, and the request that was refused.

Exit status 1 where the slowest of a hundred (p99) takes longer than the goal.
"""

import base64
import http.client
import json
import os
import sys
import threading
import time
from urllib.parse import urlencode, urlsplit

PORTS = {"core": 8081, "social": 8082, "risk": 8083, "reco": 8084, "causal": 8085}
GOAL_P99_MILLISECONDS = 100
PAUSE_SECONDS = 0.001
# A service that has not heard within this time has lost its line; the measurement ends there.
PATIENCE_SECONDS = 40
# Every service has it, and every valid token gets another answer than 401.
ROUTE = "/v1/dead-letters"


def setting(name):
    value = os.environ.get(name)
    if not value:
        raise SystemExit(f"revocation: {name} must be set")
    return value


class Service:
    def __init__(self, name):
        self.name = name
        url = urlsplit(os.environ.get(f"RECOVERLY_{name.upper()}_URL") or f"http://127.0.0.1:{PORTS[name]}")
        make = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        self.connection = make(url.netloc, timeout=PATIENCE_SECONDS)

    def send(self, method, path, headers, body=None):
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def accepts(self, token):
        status, _ = self.send("GET", ROUTE, {"Authorization": f"Bearer {token}"})
        if status not in (200, 401, 403):
            raise SystemExit(f"revocation: {self.name} answered {status}")
        return status != 401


class Program:
    """The program whose tokens are made and revoked."""

    def __init__(self):
        self.core = Service("core")
        pair = f"{setting('RECOVERLY_CLIENT_ID')}:{setting('RECOVERLY_CLIENT_SECRET')}"
        self.headers = {
            "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }

    def ask(self, path, **form):
        status, body = self.core.send("POST", path, self.headers, urlencode(form))
        if status != 200:
            raise SystemExit(f"revocation: {path} answered {status}: {body.decode(errors='replace')}")
        return body

    def token(self):
        return json.loads(self.ask("/oauth/token", grant_type="client_credentials"))["access_token"]


def until_refused(service, token, ready, refused_at):
    ready.wait()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while service.accepts(token):
        if time.monotonic() > deadline:
            return
        time.sleep(PAUSE_SECONDS)
    refused_at[service.name] = time.monotonic()


def measure(program, services):
    """Milliseconds until each service refused, of one revocation."""
    token = program.token()
    for service in services:
        if not (service.accepts(token) and service.accepts(token)):
            raise SystemExit(f"revocation: {service.name} refuses a token that is valid")
    ready, refused_at = threading.Barrier(len(services) + 1), {}
    threads = [
        threading.Thread(target=until_refused, args=(service, token, ready, refused_at)) for service in services
    ]
    for thread in threads:
        thread.start()
    ready.wait()
    sent_at = time.monotonic()
    program.ask("/oauth/revoke", token=token)
    for thread in threads:
        thread.join()
    missing = [service.name for service in services if service.name not in refused_at]
    if missing:
        raise SystemExit(f"revocation: still accepted after {PATIENCE_SECONDS} s by {', '.join(missing)}")
    return {name: (at - sent_at) * 1000 for name, at in refused_at.items()}


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def main():
    count = int(os.environ.get("REVOCATIONS") or 200)
    program = Program()
    services = [Service(name) for name in PORTS]
    rounds = [measure(program, services) for _ in range(count)]
    print(f"{count} revocations; milliseconds until a revoked token is refused\n")
    print("| service |    p50 |    p99 |    max |\n|---|---|---|---|")
    worst = 0.0
    for name in PORTS:
        of_service = [round_[name] for round_ in rounds]
        p99 = percentile(of_service, 0.99)
        worst = max(worst, p99)
        print(f"| {name:<7} | {percentile(of_service, 0.5):6.1f} | {p99:6.1f} | {max(of_service):6.1f} |")
    sys.exit(worst > GOAL_P99_MILLISECONDS)


if __name__ == "__main__":
    main()
