"""Reads one message from RabbitMQ with the CloudEvents package and holds it to our rules.

The envelope is CloudEvents 1.0 in structured JSON mode; docs/EVENTS tells what is promised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_structured
from cloudevents.core.exceptions import BaseCloudEventException
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

CONTENT_TYPE = "application/cloudevents+json"
DATA_CONTENT_TYPE = "application/json"
UUID_VERSION = 7

# The package makes these up where they are missing, so they are looked for before it does.
DEFAULTED_ATTRIBUTES = ("specversion", "id", "time")

# Events about a model or the whole population are about nobody in particular.
TYPES_WITHOUT_SUBJECT = frozenset({"risk.drift.detected"})

# What must never travel in an event, wherever in its data it hides.
FORBIDDEN_KEYS = frozenset(
    "message_text notes email phone full_name display_name username "
    "latitude longitude token".split()
)

_SOURCE = re.compile(r"/recoverly/[a-z]+")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SEQUENCE = re.compile(r"[1-9][0-9]*")


class BadEnvelope(Exception):
    """A message that breaks the contract; the text says how, without any of its data."""


@dataclass(frozen=True)
class Event:
    """What the consumer keeps of an event. `subject` is a user id, None where there is none."""

    id: str
    type: str
    subject: str | None


def read(body: bytes, content_type: str | None, routing_key: str) -> Event:
    """Parse and check one message. Raises BadEnvelope with everything that is wrong with it."""
    if content_type != CONTENT_TYPE:
        raise BadEnvelope(f"content type {content_type!r} instead of {CONTENT_TYPE!r}")
    try:
        event = from_structured(RabbitMQMessage({}, content_type, body), JSONFormat(), complete)
    except (BaseCloudEventException, ValueError, TypeError, AttributeError) as fault:
        raise BadEnvelope(f"the CloudEvents package refuses it: {fault}") from None
    faults = list(attribute_faults(event, routing_key))
    faults.extend(f"data holds {key!r}" for key in sorted(forbidden_keys(event.get_data())))
    if faults:
        raise BadEnvelope(f"event {event.get_id()} ({event.get_type()}): " + "; ".join(faults))
    return Event(event.get_id(), event.get_type(), event.get_subject())


def complete(attributes: dict[str, Any], data: Any) -> CloudEvent:
    """A CloudEvent with nothing made up. Raises BadEnvelope when the package would have to."""
    missing = [name for name in DEFAULTED_ATTRIBUTES if name not in attributes]
    if missing:
        raise BadEnvelope(f"{', '.join(missing)} missing")
    return CloudEvent(attributes, data)


def attribute_faults(event: BaseCloudEvent, routing_key: str) -> Iterator[str]:
    """What is wrong with the attributes, one short text each."""
    if not is_uuid7(event.get_id()):
        yield f"id is no UUID of version {UUID_VERSION}"
    if not _SOURCE.fullmatch(event.get_source()):
        yield f"source {event.get_source()!r} is not /recoverly/<service>"
    if event.get_type() != routing_key:
        yield f"type differs from the routing key {routing_key!r}"
    if event.get_subject() is None and event.get_type() not in TYPES_WITHOUT_SUBJECT:
        yield "subject is missing"
    moment = event.get_time()
    if moment is None or moment.utcoffset() != timedelta(0):
        yield "time is not in UTC"
    if not event.get_dataschema():
        yield "dataschema is missing"
    if event.get_datacontenttype() != DATA_CONTENT_TYPE:
        yield f"datacontenttype is not {DATA_CONTENT_TYPE}"
    if not matches(_TRACEPARENT, event.get_extension("traceparent")):
        yield "traceparent is missing or malformed"
    if not matches(_SEQUENCE, event.get_extension("sequence")):
        yield "sequence is missing or no decimal number"
    if not isinstance(event.get_data(), dict):
        yield "data is no JSON object"


def matches(pattern: re.Pattern[str], value: Any) -> bool:
    """Whether `value` is a string that `pattern` matches as a whole."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def is_uuid7(text: str) -> bool:
    """Whether `text` is a UUID of version 7."""
    try:
        return UUID(text).version == UUID_VERSION
    except ValueError:
        return False


def forbidden_keys(value: Any) -> set[str]:
    """The forbidden keys in `value`, at any depth."""
    if isinstance(value, dict):
        nested = [forbidden_keys(inner) for inner in value.values()]
        return set(FORBIDDEN_KEYS & value.keys()).union(*nested)
    if isinstance(value, list):
        return set().union(*(forbidden_keys(inner) for inner in value))
    return set()
