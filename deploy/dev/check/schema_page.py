"""Writes docs/SCHEMA.md: `schema_page.py HEAD CATALOGUE` joins the hand-written head and what catalogue.sql printed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

# Tables that every service has; they are told once where they are alike.
COMMON = ("outbox", "inbox", "dead_letters", "idempotency_keys", "schema_history")
# The one table that no migration makes, so that it has no comments of its own.
HISTORY = "schema_history"
HISTORY_COMMENT = "Which migrations are applied; kept by `migrate` through refinery."
SHORT_TYPES = {
    "timestamp with time zone": "timestamptz",
    "character varying": "varchar",
    "time without time zone": "time",
}
COMMANDS = {"*": "all", "r": "select", "a": "insert", "w": "update", "d": "delete"}
VOLATILITY = {"i": "immutable", "s": "stable", "v": "volatile"}
# The rights that a service has on its own tables unless a table says otherwise.
OWN_RIGHTS = ("delete", "insert", "select", "update")
SERVICES = ("core", "social", "risk", "reco", "causal")

Table = dict[str, Any]
Schema = dict[str, Any]


def short(kind: str) -> str:
    """A type's name as people write it."""
    for long, name in SHORT_TYPES.items():
        kind = kind.replace(long, name)
    return kind


def cell(text: str | None) -> str:
    """Text for one cell of a table."""
    return (text or "").replace("|", "\\|").replace("\n", " ")


def code(text: str) -> str:
    """Text as code in running text or a cell."""
    return "`" + " ".join(text.split()).replace("|", "\\|") + "`"


def default_of(column: dict[str, Any]) -> str:
    """How a column gets its value by itself."""
    if column["identity"]:
        return "identity"
    if column["generated"]:
        return f"generated: {code(column['default'])}"
    return code(short(column["default"])) if column["default"] else ""


def columns(table: Table) -> list[str]:
    """The columns as a table."""
    lines = ["| column | type | null | default | meaning |", "|---|---|---|---|---|"]
    for column in table["columns"]:
        null = "yes" if column["nullable"] else ""
        cells = (code(column["name"]), short(column["type"]), null, default_of(column), cell(column["comment"]))
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def bullets(title: str, items: list[str]) -> list[str]:
    """A list under a title, or nothing."""
    return [f"{title}:", *(f"- {item}" for item in items), ""] if items else []


def policy(of: dict[str, Any]) -> str:
    """One row policy."""
    kind = "" if of["permissive"] else ", restrictive"
    parts = [f"{code(of['name'])} ({COMMANDS[of['command']]}{kind}) for {', '.join(map(code, of['roles'] or ['public']))}"]
    if of["using"]:
        parts.append(f"using {code(of['using'])}")
    if of["check"]:
        parts.append(f"check {code(of['check'])}")
    return " ".join(parts)


def rights(table: Table) -> dict[str, tuple[str, ...]]:
    """What each role may do, column grants with their columns."""
    found: dict[str, list[str]] = {}
    for grant in table["grants"]:
        named = [name for name in grant["columns"] or [] if name]
        what = f"{grant['privilege']} ({', '.join(named)})" if named else grant["privilege"]
        found.setdefault(grant["role"], []).append(what)
    return {role: tuple(sorted(what)) for role, what in found.items()}


def who(roles: set[str]) -> str:
    """Roles in a few words: a service stands for its login and its worker role together."""
    names = []
    rest = set(roles)
    for service in SERVICES:
        both = {f"recoverly_{service}", f"recoverly_{service}_worker"}
        if both <= rest:
            rest -= both
            names.append(service)
    if len(names) == len(SERVICES):
        names = ["all services"]
    return ", ".join(names + [code(role) for role in sorted(rest)]) or "nobody else"


def unusual_rights(schema: str, table: Table) -> list[str]:
    """Grants that differ from what a service has on its own tables."""
    own = {f"recoverly_{schema}", f"recoverly_{schema}_worker"}
    found = rights(table)
    holders: dict[tuple[str, ...], set[str]] = {}
    for role in sorted(found.keys() | own):
        what = found.get(role, ("nothing",))
        if role not in own or what != OWN_RIGHTS:
            holders.setdefault(what, set()).add(role)
    return [f"{who(roles)}: {', '.join(what)}" for what, roles in sorted(holders.items())]


def indexes(table: Table) -> list[str]:
    """Indexes that no constraint makes."""
    return [
        code(index["definition"].removeprefix("CREATE ")) + (f": {index['comment']}" if index["comment"] else "")
        for index in table["indexes"]
    ]


def one_table(schema: str, table: Table) -> list[str]:
    """Everything about one table."""
    comment = HISTORY_COMMENT if table["name"] == HISTORY else table["comment"]
    lines = [f"### {code(schema + '.' + table['name'])}", "", comment or "", ""] + columns(table)
    if table["definition"]:
        lines += ["```sql", table["definition"], "```", ""]
    keys = [f"{code(key['name'])} {code(key['definition'])}" for key in table["constraints"]]
    lines += bullets("Keys and checks", keys) + bullets("Indexes", indexes(table))
    if table["row_security"]:
        forced = ", also for the owner" if table["row_security_forced"] else ""
        lines += bullets(f"Row-level security{forced}", [policy(of) for of in table["policies"]])
    lines += bullets("Triggers", [code(trigger["definition"]) for trigger in table["triggers"]])
    return lines + bullets("Rights beyond the usual", unusual_rights(schema, table))


def box(name: str) -> str:
    """A table's name as Mermaid takes it."""
    return name.replace(".", "_")


def diagram(schema: Schema) -> list[str]:
    """Keys and references of the schema's own tables as a Mermaid diagram."""
    lines = ["```mermaid", "erDiagram"]
    relations = []
    for table in own_tables(schema):
        marks: dict[str, list[str]] = {}
        for key in table["constraints"]:
            mark = {"p": "PK", "f": "FK", "u": "UK"}.get(key["kind"])
            for column in (key["columns"] or []) if mark else []:
                if mark not in marks.setdefault(column, []):
                    marks[column].append(str(mark))
            if key["kind"] == "f":
                target = key["refers_to"].removeprefix(f"{schema['name']}.")
                label = ", ".join(key["columns"])
                relations.append(f'    {box(target)} ||--o{{ {box(table["name"])} : "{label}"')
        lines.append(f"    {box(table['name'])} {{")
        for column in table["columns"]:
            if column["name"] in marks:
                kind = short(column["type"]).split("(")[0].replace(" ", "_")
                lines.append(f"        {kind} {column['name']} {', '.join(marks[column['name']])}")
        lines.append("    }")
    return [*lines, *relations, "```", ""]


def own_tables(schema: Schema) -> list[Table]:
    """The tables of a schema without those that all have."""
    return [table for table in schema["tables"] if table["name"] not in COMMON]


def functions(schema: Schema) -> list[str]:
    """The schema's functions as a table."""
    if not schema["functions"]:
        return []
    lines = ["### Functions", "", "| function | returns | rights of | executable by | meaning |", "|---|---|---|---|---|"]
    for of in schema["functions"]:
        call = code(f"{schema['name']}.{of['name']}({short(of['arguments'])})")
        rights_of = "its owner" if of["definer"] else "its caller"
        callers = who(set(of["executable_by"] or []))
        returns = f"{short(of['returns'] or '')} ({VOLATILITY[of['volatility']]})"
        lines.append(f"| {call} | {cell(returns)} | {rights_of} | {callers} | {cell(of['comment'])} |")
    return [*lines, ""]


def without_name(schema: str, text: str) -> str:
    """The text with `<service>` for the schema's name wherever that is code."""
    name = re.compile(rf"\b(recoverly_)?{schema}(?=[._`])")
    return re.sub(r"`[^`]*`", lambda span: name.sub(r"\1<service>", span[0]), text)


def common(schemas: list[Schema]) -> list[str]:
    """The tables that all schemas have, once where they are alike, else each."""
    lines = [
        "## In every schema",
        "",
        "Of these tables every service has its own; `<service>` stands for each of the five.",
        "",
    ]
    for name in COMMON:
        versions: dict[str, list[str]] = {}
        for schema in schemas:
            for table in schema["tables"]:
                if table["name"] == name:
                    text = "\n".join(one_table(schema["name"], table))
                    alike = without_name(schema["name"], text)
                    versions.setdefault(alike, []).append(text)
        for alike, texts in versions.items():
            lines += [alike] if len(texts) == len(schemas) else texts
    return lines


def uncommented(schemas: list[Schema]) -> list[str]:
    """Tables and columns of the migrations that nobody explained."""
    missing = []
    for schema in schemas:
        for table in schema["tables"]:
            name = f"{schema['name']}.{table['name']}"
            if table["name"] == HISTORY:
                continue
            missing += [] if table["comment"] else [name]
            missing += [f"{name}.{column['name']}" for column in table["columns"] if not column["comment"]]
    return missing


def page(head: str, schemas: list[Schema]) -> str:
    """The whole page."""
    lines = [head.rstrip(), ""]
    for schema in schemas:
        lines += [f"## {schema['name']}", ""]
        if own_tables(schema):
            lines += diagram(schema)
        for table in own_tables(schema):
            lines += one_table(schema["name"], table)
        lines += functions(schema)
    lines += common(schemas)
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: list[str]) -> int:
    """Print the page; the exit status, 1 where something has no comment."""
    head, catalogue = (Path(name).read_text(encoding="utf-8") for name in arguments)
    schemas = json.loads(catalogue)
    sys.stdout.write(page(head, schemas))
    for name in uncommented(schemas):
        print(f"{name} has no comment: add `comment on …` to its migration", file=sys.stderr)
    return 1 if uncommented(schemas) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
