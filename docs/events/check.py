"""Checks docs/events/asyncapi.yaml, and events against it: `.dev/venv/bin/python docs/events/check.py --help`."""

from __future__ import annotations

import argparse
import copy
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import yaml
from jsonschema import Draft7Validator
from jsonschema.exceptions import SchemaError

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE / "asyncapi.yaml"
COMMON = HERE.parents[1] / "crates/common/src"
MAX_LINE_CHARACTERS = 300_000  # An envelope is at most 256 KiB.

EPILOG = """
Always checks the document: its structure, its schemas, its examples, and that it describes the same routing keys and
fields as crates/common/src/contracts.rs. Then every FILE (`-`: standard input) of one JSON object a line:

  a whole envelope             as it travels
  {"type", "data"}             a row of an outbox; "subject" and more may stand beside them
  {"id", "type", "subject"}    what `examples/events/watch.py --json` prints; without data only the type is checked

A field of the data that is not described is a fault here, although consumers ignore it. What is wrong is said by place
and rule, never by value.

example:
  deploy/dev/stack.sh psql dev -At -c \\
    "select jsonb_build_object('type', event_type, 'data', data) from social.outbox" |
    .dev/venv/bin/python docs/events/check.py -

exit status: 0 all is well, 1 something is wrong, 2 wrong usage
"""

Json = dict[str, Any]


def contracts() -> str:
    """The contracts of the code, of every file that holds some."""
    files = [COMMON / "contracts.rs", *sorted((COMMON / "contracts").glob("*.rs"))]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


class Contract:
    """The document with a strict validator per routing key."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self._validators: dict[str, tuple[Draft7Validator, Draft7Validator]] = {}

    @property
    def channels(self) -> Json:
        """The channels by routing key."""
        return self.document.get("channels", {})

    def published(self) -> list[str]:
        """The routing keys that some service publishes today."""
        return [key for key, channel in self.channels.items() if channel.get("x-published", True)]

    def payload(self, key: str) -> Json:
        """The schema of the envelope of a routing key. Raises KeyError where there is none."""
        return self.document["components"]["messages"][key]["payload"]

    def data(self, key: str) -> Json:
        """The schema of the data of a routing key, without its reference. Raises KeyError."""
        for part in self.payload(key)["allOf"]:
            reference = part.get("properties", {}).get("data", {}).get("$ref")
            if reference:
                return resolve(self.document, reference)
        raise KeyError(key)

    def faults(self, event: Json) -> Iterator[str]:
        """What is wrong with one event, whole or with its data only."""
        key = event.get("type")
        if key not in self.channels:
            yield "/type: no such routing key"
            return
        whole, data_only = self._of(key)
        if "specversion" in event:
            yield from problems(whole, event)
        elif "data" in event:
            yield from (f"/data{problem}" for problem in problems(data_only, event["data"]))

    def _of(self, key: str) -> tuple[Draft7Validator, Draft7Validator]:
        """Validators that refuse fields of the data that are not described."""
        if key not in self._validators:
            components = copy.deepcopy(self.document["components"])
            closed = Contract({"components": components})
            closed.data(key)["additionalProperties"] = False
            self._validators[key] = (
                Draft7Validator({**closed.payload(key), "components": components}),
                Draft7Validator({**closed.data(key), "components": components}),
            )
        return self._validators[key]


def problems(validator: Draft7Validator, value: Any) -> Iterator[str]:
    """Place and rule of each fault; values stay out, since a broken event may hold anything."""
    for error in sorted(validator.iter_errors(value), key=lambda error: error.json_path):
        place = "".join(f"/{part}" for part in error.absolute_path)
        rule = str(error.validator)
        if rule == "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            rule = f"lacks {', '.join(missing)}"
        elif rule == "additionalProperties":
            rule = "has a field that is not described"
        yield f"{place}: {rule}"


def resolve(document: Json, reference: str) -> Any:
    """What a reference within the document points at. Raises KeyError."""
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def references(value: Any) -> Iterator[str]:
    """Every `$ref` in a value."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from references(inner)


def structure_faults(document: Json) -> Iterator[str]:
    """What is wrong with the document itself."""
    if not str(document.get("asyncapi", "")).startswith("3.0."):
        yield "asyncapi: not 3.0"
    unusable = [
        f"{reference}: leads nowhere"
        for reference in sorted(set(references(document)))
        if not resolves(document, reference)
    ]
    unusable += schema_faults(document)
    if unusable:
        yield from unusable
        return
    contract = Contract(document)
    for key, channel in contract.channels.items():
        yield from channel_faults(contract, key, channel)
    yield from operation_faults(contract)


def schema_faults(document: Json) -> Iterator[str]:
    """Schemas that are none."""
    for name, schema in document["components"]["schemas"].items():
        try:
            Draft7Validator.check_schema(schema)
        except SchemaError as error:
            yield f"schema {name}: {error.message}"


def resolves(document: Json, reference: str) -> bool:
    """Whether a reference leads anywhere within the document."""
    try:
        resolve(document, reference)
    except (KeyError, TypeError):
        return False
    return reference.startswith("#/")


def channel_faults(contract: Contract, key: str, channel: Json) -> Iterator[str]:
    """What is wrong with one channel and its message."""
    if channel.get("address") != key:
        yield f"channel {key}: its address is another"
    wanted = f"#/components/messages/{key}"
    if [message.get("$ref") for message in channel.get("messages", {}).values()] != [wanted]:
        yield f"channel {key}: its one message must be {wanted}"
        return
    message = resolve(contract.document, wanted)
    if message.get("name") != key:
        yield f"message {key}: its name is another"
    for number, example in enumerate(message.get("examples", [])):
        for fault in contract.faults(example["payload"]):
            yield f"message {key}: example {number}: {fault}"
        if example["payload"].get("type") != key:
            yield f"message {key}: example {number} is of another type"


def operation_faults(contract: Contract) -> Iterator[str]:
    """What is wrong with who sends and receives."""
    senders: dict[str, list[str]] = {}
    for name, operation in contract.document.get("operations", {}).items():
        service, verb, rest = name.split(".", 2)
        key = operation["channel"]["$ref"].removeprefix("#/channels/")
        action = {"sends": "send", "receives": "receive"}.get(verb)
        if operation.get("action") != action or rest not in (key, key.removeprefix(f"{service}.")):
            yield f"operation {name}: name, action and channel do not agree"
        if action == "send":
            senders.setdefault(key, []).append(service)
    for key, channel in contract.channels.items():
        expected = [key.split(".")[0]] if channel.get("x-published", True) else []
        if senders.get(key, []) != expected:
            yield f"channel {key}: is sent by {senders.get(key, [])} instead of {expected}"


def code_faults(document: Json, rust: str) -> Iterator[str]:
    """Where the document and the contracts of the code differ: routing keys, and the fields of their data."""
    contract = Contract(document)
    keys = set(re.findall(r'const \w+: &(?:\'static )?str = "([a-z]+\.[a-z]+\.[a-z]+)"', rust))
    for key in sorted(keys ^ set(contract.channels)):
        yield f"{key}: only in {'the code' if key in keys else 'the document'}"
    schemas = document["components"]["schemas"]
    for name, body in re.findall(r"pub struct (\w+) \{(.*?)\n\}", rust, re.DOTALL):
        fields = re.findall(r"pub (\w+):", body)
        described = list(schemas.get(name, {}).get("properties", {}))
        if fields != described:
            yield f"{name}: the code has {fields}, the document {described}"


def line_faults(contract: Contract, lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """What is wrong with a file of events: line number and fault."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE_CHARACTERS:
            yield number, "too long"
            continue
        try:
            event = json.loads(line)
        except ValueError:
            yield number, "not JSON"
            continue
        if not isinstance(event, dict):
            yield number, "not an object"
            continue
        for fault in contract.faults(event):
            # The type is one of ours, or the fault says that it is not.
            known = event["type"] if event.get("type") in contract.channels else "event"
            yield number, f"{known}: {fault}"


def load(path: Path = DOCUMENT) -> Json:
    """The document. Raises OSError, yaml.YAMLError."""
    with path.open(encoding="utf-8") as file:
        return yaml.safe_load(file)


def main(arguments: list[str], out: TextIO = sys.stdout) -> int:
    """Check; the exit status."""
    parser = argparse.ArgumentParser(
        prog="check.py",
        description="Check the AsyncAPI document, and events against it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="events, one JSON object a line")
    options = parser.parse_args(arguments)
    document = load()
    faults = list(structure_faults(document))
    faults += code_faults(document, contracts())
    if not faults:
        contract = Contract(document)
        for name in options.files:
            try:
                file = sys.stdin if name == "-" else open(name, encoding="utf-8")
            except OSError as error:
                print(f"check: {name}: {error.strerror}", file=sys.stderr)
                return 2
            with file:
                faults += [f"{name}:{number}: {fault}" for number, fault in line_faults(contract, file)]
    print("\n".join(faults) or f"{len(document['channels'])} events are described; all is well", file=out)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
