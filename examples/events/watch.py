"""Watches the events from outside: `python3 examples/events/watch.py --help`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker, ProbableAuthenticationError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from apiclient.errors import UserError  # noqa: E402 (needs the path set above)
from events.counts import Counts, line  # noqa: E402
from events.envelope import BadEnvelope, read  # noqa: E402

EXCHANGE = "recoverly.events"
URL_VARIABLE = "RECOVERLY_AMQP_URL"
MAX_UNACKED = 500
POLL_SECONDS = 0.2
CONNECT_TIMEOUT_SECONDS = 10

EPILOG = f"""
It has a queue of its own, gone when it ends, and shares no code with the services: it shows that
any AMQP client with a CloudEvents library can read the events. {URL_VARIABLE} says where
RabbitMQ is; the development stack writes it to .dev/dev/env. Events from before it started, or
from while it is not connected, are not seen.

examples:
  . .dev/dev/env; export {URL_VARIABLE}
  python3 examples/events/watch.py                   until Ctrl-C, then a table
  python3 examples/events/watch.py --until-idle 5    until nothing came for 5 seconds
  python3 examples/events/watch.py --json --count 10 ten events, one JSON line each

exit status: 0 every envelope was good, 1 a bad envelope or no connection, 2 wrong usage,
3 the time was over before --count events came
"""


class Stopped(Exception):
    """Somebody asked the watcher to end (SIGTERM)."""


def parse(arguments: list[str]) -> argparse.Namespace:
    """The parsed command line; exits with 2 and a reason when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="watch.py",
        description="Count and check the events on RabbitMQ.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=positive, help="end after this time")
    parser.add_argument("--count", type=positive_whole, help="end after so many deliveries")
    parser.add_argument(
        "--until-idle", type=positive, metavar="SECONDS", help="end when none came for this time"
    )
    parser.add_argument(
        "--json", action="store_true", help="one line per event on stdout, the table on stderr"
    )
    parser.add_argument(
        "--ready-file", type=Path, help="make this empty file once the queue is bound"
    )
    return parser.parse_args(arguments)


def positive(text: str) -> float:
    """A number of seconds above 0, for argparse."""
    value = float(text)
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"a number above 0, not {text!r}")
    return value


def positive_whole(text: str) -> int:
    """A count of at least 1, for argparse."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"a whole number above 0, not {text!r}")
    return int(text)


def open_channel() -> tuple[BlockingChannel, str]:
    """A channel and the name of a queue of our own that gets every event. Raises UserError."""
    url = os.environ.get(URL_VARIABLE)
    if not url:
        raise UserError(f"{URL_VARIABLE} is not set: `. .dev/dev/env; export {URL_VARIABLE}`.")
    try:
        parameters = pika.URLParameters(url)
        parameters.blocked_connection_timeout = CONNECT_TIMEOUT_SECONDS
        parameters.socket_timeout = CONNECT_TIMEOUT_SECONDS
        channel = pika.BlockingConnection(parameters).channel()
        channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=True, passive=True)
        queue = channel.queue_declare("", exclusive=True, auto_delete=True).method.queue
        channel.queue_bind(queue, EXCHANGE, routing_key="#")
        channel.basic_qos(prefetch_count=MAX_UNACKED)
    except ChannelClosedByBroker as fault:
        raise UserError(
            f"RabbitMQ refuses the queue ({fault.reply_text}).\n"
            f"  Start a service first: it makes the exchange {EXCHANGE}."
        ) from None
    except ProbableAuthenticationError:
        raise UserError(f"RabbitMQ refuses the name or password in {URL_VARIABLE}.") from None
    except (AMQPError, OSError, ValueError) as fault:
        raise UserError(
            f"no connection to RabbitMQ ({type(fault).__name__}).\n"
            f"  `make status` tells whether it runs; {URL_VARIABLE} must point to it."
        ) from None
    return channel, queue


def watch(
    channel: BlockingChannel, queue: str, options: argparse.Namespace, counts: Counts
) -> None:
    """Take events until an end in `options` comes. Raises BadEnvelope, AMQPError, UserError."""
    started = last = time.monotonic()
    for method, properties, body in channel.consume(queue, inactivity_timeout=POLL_SECONDS):
        now = time.monotonic()
        if method is not None:
            event = read(body, properties.content_type, method.routing_key)
            counts.add(event)
            last = now
            if options.json:
                print(line(event), flush=True)
            channel.basic_ack(method.delivery_tag)
        if options.count and counts.deliveries >= options.count:
            return
        if options.seconds and now - started >= options.seconds:
            return
        if options.until_idle and now - last >= options.until_idle:
            return
    raise UserError("RabbitMQ took the queue away; is it shutting down? Start the watcher again.")


def stop(_signal: int, _frame: object) -> None:
    """Handles SIGTERM as Ctrl-C is handled: end and show the table."""
    raise Stopped


def run(options: argparse.Namespace, counts: Counts) -> None:
    """Connect and watch. Raises UserError."""
    channel, queue = open_channel()
    if options.ready_file:
        options.ready_file.touch()
    print(f"watching {EXCHANGE}", file=sys.stderr, flush=True)
    try:
        watch(channel, queue, options, counts)
    except BadEnvelope as fault:
        raise UserError(f"bad envelope: {fault}") from None
    except AMQPError as fault:
        raise UserError(
            f"the connection to RabbitMQ was lost ({type(fault).__name__}); "
            "events from now on are not seen. Start the watcher again."
        ) from None


def main(arguments: list[str]) -> int:
    """Watch, then show the table; the exit status."""
    options = parse(arguments)
    counts = Counts()
    status = 0
    signal.signal(signal.SIGTERM, stop)
    try:
        run(options, counts)
    except UserError as fault:
        print(f"watch: {fault}", file=sys.stderr)
        status = 1
    except (KeyboardInterrupt, Stopped):
        pass
    if counts.deliveries:
        print(counts.table(), file=sys.stderr if options.json else sys.stdout)
    if status == 0 and options.count and counts.deliveries < options.count:
        print(f"watch: {counts.deliveries} of {options.count} events came", file=sys.stderr)
        return 3
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
