"""How long the first page of an escalation takes, from the transaction that raised it until a webhook has it.

Somebody on call gets a webhook of this program; a pipeline then posts scores in the middle of a crisis, each of another
client, at an even rate. Returns the figures of all pages, beside how long the answers took.
"""

import http.client
import http.server
import json
import threading
import time

from .events import Writer, percentile

SCORES = {
    "p_craving": 0.9, "p_relapse": 0.9, "p_negative_mood": 0.2, "p_neutral": 0.0, "p_toxic": 0.0, "p_isolation": 0.2,
    "risk_score": 0.95, "model_version": "bench_pages",
}
PATIENCE_SECONDS = 30
# Of webhooks: of the transaction that raised the episode, so the commit is within the time.
PAGES = """select json_object_agg(delivery_id, extract(epoch from created_at)) from social.notification_deliveries
    where method = 'webhook'"""


class Receiver(http.server.ThreadingHTTPServer):
    """Takes every webhook; `arrived` is id -> moment, `code` what verifies the address."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.arrived, self.code, self.verifying = {}, None, threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/pages"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        now = time.time()
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "code" in body["data"]:
            self.server.code = body["data"]["code"]
            self.server.verifying.set()
        else:
            self.server.arrived.setdefault(self.headers["webhook-id"], now)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def post(base, token, path, body):
    connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status not in (200, 201):
        raise SystemExit(f"bench: {path} answered {answer.status}: {content.decode(errors='replace')}")
    return json.loads(content)


def measure(world):
    """Raises escalations for as long and as often as the run says."""
    run, receiver = world.run, Receiver()
    base = world.programs["social"].base
    named = post(base, world.oncall_token, "/v1/contact-methods", {"method": "webhook", "address": receiver.url})
    if not receiver.verifying.wait(PATIENCE_SECONDS):
        raise SystemExit("bench: no code came to the webhook")
    verify = f"/v1/contact-methods/{named['contact_method_id']}/verify"
    post(base, world.oncall_token, verify, {"code": receiver.code})
    count = run.page_seconds * run.page_rate
    writer = Writer(base, world.pipeline_token, run.messages + 1, count, run.page_rate, SCORES)
    writer.all()
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        raised = json.loads(world.ours.value(PAGES) or "{}")
        if raised.keys() <= receiver.arrived.keys() or time.monotonic() > end:
            break
        time.sleep(0.2)
    receiver.shutdown()
    delays = sorted(receiver.arrived[page] - at for page, at in raised.items() if page in receiver.arrived)
    if not delays:
        raise SystemExit(f"bench: no page arrived ({len(writer.answered)} answered 201, {writer.refused} otherwise)")
    answers = sorted(spent for _, spent in writer.answered.values())
    return {
        "raised": len(raised), "arrived": len(delays), "rate": run.page_rate, "refused": writer.refused,
        "p50_ms": percentile(delays, 50), "p99_ms": percentile(delays, 99), "max_ms": round(delays[-1] * 1e3, 2),
        "answer_p50_ms": percentile(answers, 50), "answer_p99_ms": percentile(answers, 99),
    }
