"""How long an event takes from the writer's answer, which is after the commit, to a consumer's hands.

Run by itself by the Python of the examples, which has pika:  python -m measure.events BASE TOKEN FIRST SECONDS RATE,
with RECOVERLY_AMQP_URL. A writer keeps the rate whatever the answers take; prints one line of JSON.
"""

import http.client
import json
import multiprocessing
import os
import sys
import threading
import time

EXCHANGE, EVENT = "recoverly.events", "social.prediction.recorded"
WRITERS = 16
PREFETCH = 500
GRACE_SECONDS = 5
SCORES = {
    "p_craving": 0.1, "p_relapse": 0.1, "p_negative_mood": 0.2, "p_neutral": 0.7, "p_toxic": 0.0, "p_isolation": 0.2,
    "risk_score": 0.15, "model_version": "bench_events",
}


def consume(url, ready, stop, results):
    """Collects prediction id -> moment of arrival on a queue of its own."""
    import pika

    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, EXCHANGE, EVENT)
    channel.basic_qos(prefetch_count=PREFETCH)
    arrived = {}
    ready.set()
    for method, _, body in channel.consume(queue, inactivity_timeout=0.1):
        now = time.monotonic()
        if method is not None:
            data = json.loads(body)["data"]
            arrived.setdefault(data.get("prediction_id", data.get("id")), now)
            channel.basic_ack(method.delivery_tag)
        elif stop.is_set():
            break
    results.put(arrived)


class Writer:
    """Sends one prediction for each of the messages, at even intervals, from several connections."""

    def __init__(self, base, token, first, count, rate, scores=SCORES):
        self.address, self.token, self.body = base.removeprefix("http://"), token, json.dumps(scores)
        self.next, self.last, self.first = first, first + count - 1, first
        self.interval, self.began = 1 / rate, time.monotonic() + 0.2
        self.lock, self.answered, self.refused, self.late = threading.Lock(), {}, 0, 0

    def take(self):
        with self.lock:
            if self.next > self.last:
                return None, 0
            message, self.next = self.next, self.next + 1
            return message, self.began + (message - self.first) * self.interval

    def work(self):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        while True:
            message, due = self.take()
            if message is None:
                return
            time.sleep(max(0.0, due - time.monotonic()))
            self.late = max(self.late, time.monotonic() - due)
            connection.request("POST", f"/v1/messages/{message}/predictions", self.body, headers)
            answer = connection.getresponse()
            content, now = answer.read(), time.monotonic()
            if answer.status == 201:
                self.answered[json.loads(content)["id"]] = (now, now - due)
            else:
                self.refused += 1

    def all(self):
        threads = [threading.Thread(target=self.work) for _ in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def percentile(sorted_values, p):
    return round(sorted_values[min(len(sorted_values) - 1, len(sorted_values) * p // 100)] * 1e3, 2)


def main(base, token, first, seconds, rate):
    ready, stop, results = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.Queue()
    url = os.environ["RECOVERLY_AMQP_URL"]
    consumer = multiprocessing.Process(target=consume, args=(url, ready, stop, results))
    consumer.start()
    if not ready.wait(GRACE_SECONDS):
        consumer.terminate()
        raise SystemExit("the consumer did not connect")
    count = int(seconds) * int(rate)
    writer = Writer(base, token, int(first), count, int(rate))
    writer.all()
    took = time.monotonic() - writer.began
    time.sleep(1)
    stop.set()
    arrived = results.get(timeout=60)
    consumer.join()
    both = [id for id in writer.answered if id in arrived]
    # Below zero where the consumer was faster than the writer's reading of its answer.
    delays = sorted(max(0.0, arrived[id] - writer.answered[id][0]) for id in both)
    answers = sorted(spent for _, spent in writer.answered.values())
    if not delays:
        raise SystemExit(f"no event arrived ({len(writer.answered)} answered 201, {writer.refused} otherwise)")
    print(json.dumps({
        "writes": len(writer.answered), "refused": writer.refused, "rate": round(count / took, 1),
        "arrived": len(both), "p50_ms": percentile(delays, 50), "p99_ms": percentile(delays, 99),
        "max_ms": round(delays[-1] * 1e3, 2), "answer_p50_ms": percentile(answers, 50),
        "answer_p99_ms": percentile(answers, 99),
    }))


if __name__ == "__main__":
    main(*sys.argv[1:])
