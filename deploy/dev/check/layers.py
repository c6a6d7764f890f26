"""Checks the rules that the compiler does not know: which layer may name which, and what is written nowhere.

    layers.py [ROOT]      checks the workspace at ROOT (default: this repository); exit status 1 when a rule is broken
    layers.py --self-test plants a violation of every rule into a temporary workspace and shows that each is found

Comments are never looked at, modules under `#[cfg(test)]` only for the rules that say "everywhere". The rules and
their reasons are in docs/ARCHITECTURE.md and docs/STYLE.md.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_FILE_LINES = 400
# How far above a spawn its `#[expect(…)]` may begin.
EXPECT_LINES = 8

TOKENS = re.compile(
    r"""(?P<comment> //[^\n]* | /\*.*?\*/ )
      | (?P<string>  (?<!\w) b?r(?P<hashes>\#*)".*?"(?P=hashes) | "(?:\\.|[^"\\])*" )
      | (?P<char>    '(?:\\[^\n']+ | \\' | [^\\'\n])' )""",
    re.VERBOSE | re.DOTALL,
)
TEST_MODULE = re.compile(r"^#\[cfg\(test\)\]\s*(?:#!?\[[^\]]*\]\s*)*mod \w+ \{", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """A Rust file. The views have its length, so that an offset is the same place in all of them."""

    path: str  # from the root of the workspace, with slashes
    everything: str  # without comments and strings
    code: str  # the same without the test module at the end
    strings: str  # what `code` leaves out of string literals, alone

    @classmethod
    def read(cls, root: Path, path: Path) -> Source:
        text = path.read_text(encoding="utf-8")
        everything = TOKENS.sub(lambda token: blank(token[0]), text)
        strings = list(blank(text))
        for token in TOKENS.finditer(text):
            if token["string"]:
                strings[token.start() : token.end()] = token[0]
        tests = TEST_MODULE.search(everything)
        end = tests.start() if tests else len(text)
        return cls(path.relative_to(root).as_posix(), everything, everything[:end], "".join(strings)[:end])


def blank(text: str) -> str:
    """Spaces of the same length, with the same line ends."""
    return re.sub(r"[^\n]", " ", text)


@dataclass(frozen=True)
class Rule:
    """No file whose path matches `where` (and not `but`) may match `pattern` in the named view."""

    name: str
    where: str
    pattern: str
    says: str
    view: str = "code"
    but: str = "(?!)"
    planted: tuple[str, str] = ("", "")  # a path and a violation, for the self-test

    def offences(self, source: Source) -> Iterator[tuple[int, str]]:
        if not re.match(self.where, source.path) or re.match(self.but, source.path):
            return
        view: str = getattr(source, self.view)
        for found in re.finditer(self.pattern, view, re.IGNORECASE if self.view == "strings" else 0):
            yield view.count("\n", 0, found.start()) + 1, " ".join(found[0].split())


def layer(name: str) -> str:
    """Paths of one layer in any service."""
    return rf"services/[^/]+/src/{name}(\.rs|/)"


def naming(*modules: str) -> str:
    """`crate::<module>`, also inside `crate::{…}` and as `super::super::<module>`."""
    return rf"\b(?:crate::(?:\{{[^}}]*?\b)?|super::super::)(?:{'|'.join(modules)})\b"


SRC = r"(crates|services)/[^/]+/src/"
RUST = r"(crates|services)/"
TESTS = r".*(^|/)tests(\.rs$|/)"

RULES = (
    Rule(
        "domain-is-pure",
        layer("domain"),
        rf"\basync\b|\.await\b|\bactix|\bdb::|\bbus::|\btokio\b|{naming('store', 'routes', 'events', 'jobs', 'ops')}",
        "domain decides: no async, no I/O, no other layer",
        planted=("services/a/src/domain/label.rs", "use crate::{domain, store};\n"),
    ),
    Rule(
        "domain-has-no-clock",
        layer("domain"),
        r"\b(?:Utc|SystemTime|Instant|Local)::now\b",
        "time is an argument",
        planted=("services/a/src/domain/quiet.rs", "let now = Utc::now();\n"),
    ),
    Rule(
        "store-knows-only-sql",
        layer("store"),
        rf"\bactix|\bbus::|{naming('routes', 'events', 'jobs', 'ops')}",
        "store holds SQL and its row mapping: no HTTP, no broker, no caller",
        planted=("services/a/src/store/nudges.rs", "use bus::Outbox;\n"),
    ),
    Rule(
        "routes-stand-alone",
        layer("routes"),
        naming("events", "jobs"),
        "what routes share with events or jobs stands in ops",
        planted=("services/a/src/routes/users.rs", "crate::events::users::apply(&tx);\n"),
    ),
    Rule(
        "events-stand-alone",
        layer("events"),
        naming("routes", "jobs"),
        "what events share with routes or jobs stands in ops",
        planted=("services/a/src/events/users.rs", "use crate::routes::users;\n"),
    ),
    Rule(
        "jobs-stand-alone",
        layer("jobs"),
        naming("routes", "events"),
        "what jobs share with routes or events stands in ops",
        planted=("services/a/src/jobs/sweep.rs", "use super::super::events;\n"),
    ),
    Rule(
        "ops-are-called",
        layer("ops"),
        naming("routes", "events", "jobs"),
        "ops are called by routes, events and jobs, never the other way",
        planted=("services/a/src/ops/record.rs", "use crate::jobs::sweep;\n"),
    ),
    Rule(
        "environment",
        SRC,
        r"\bstd::(?:\{[^}]*?\b)?env\b(?!!)",
        "only crates/config reads the environment",
        but=rf"crates/config/|{TESTS}",
        planted=("crates/db/src/pool.rs", 'let home = std::env::var("HOME");\n'),
    ),
    Rule(
        "select-star",
        SRC,
        r"\bselect\s+\*",
        "list the columns",
        view="strings",
        but=rf"crates/testkit/|{TESTS}",
        planted=("services/a/src/store/users.rs", 'const SQL: &str = "select *\\n from core.users";\n'),
    ),
    Rule(
        "by-position",
        SRC,
        r"\.try_get(?:::<[^;]*?>)?\(\s*\d+\s*\)|\.get(?:::<[^;]*?>\(\s*\d+|\(\s*0)\s*\)",
        "read rows by name; take a slice's first element with first()",
        but=rf"crates/testkit/|{TESTS}",
        planted=("services/a/src/store/rows.rs", "let id = row.try_get::<_, i64>(0)?;\n"),
    ),
    Rule(
        "allow (everywhere)",
        RUST,
        r"#!?\[\s*(?:cfg_attr\s*\([^\]]*?,\s*)?allow\s*\(",
        "write #[expect(…, reason = \"…\")], which tells when it is no longer needed",
        view="everything",
        planted=("crates/a/tests/main.rs", "#![allow(dead_code)]\n"),
    ),
)


def spawns(source: Source) -> Iterator[tuple[int, str]]:
    """Tasks that are started outside of app.rs without saying why."""
    if not re.match(SRC, source.path) or source.path.endswith("/src/app.rs") or re.match(TESTS, source.path):
        return
    lines = source.code.split("\n")
    for number, line in enumerate(lines, start=1):
        if not re.search(r"\btokio::(?:task::)?spawn\b", line):
            continue
        above = "\n".join(lines[max(0, number - 1 - EXPECT_LINES) : number])
        if not re.search(r"#\[expect\([^\]]*disallowed_methods", above):
            yield number, line.strip()


def too_long(source: Source) -> Iterator[tuple[int, str]]:
    """Files with more lines than one reads at a time, not counting their tests."""
    lines = source.code.count("\n")
    if re.match(SRC, source.path) and not re.match(TESTS, source.path) and lines > MAX_FILE_LINES:
        yield lines, f"{lines} lines"


def mod_files(source: Source) -> Iterator[tuple[int, str]]:
    """`mod.rs` files, everywhere."""
    if source.path.endswith("/mod.rs"):
        yield 1, "mod.rs"


# Rules that need more than a pattern: name, function, what it says, a planted violation.
CHECKS = (
    (
        "spawn",
        spawns,
        "tasks are started in app.rs, so that none outlives the service; elsewhere say why with #[expect]",
        ("services/a/src/gather.rs", "fn go() {\n    tokio::spawn(task());\n}\n"),
    ),
    (
        "file-length",
        too_long,
        f"at most {MAX_FILE_LINES} lines without tests",
        ("crates/a/src/long.rs", "//! Long.\n" + "fn f() {}\n" * MAX_FILE_LINES),
    ),
    ("mod-file", mod_files, "noun.rs beside noun/", ("services/a/src/store/mod.rs", "//! Store.\n")),
)

SCHEMA = re.compile(
    r"#\[derive\([^)]*\bToSchema\b[^)]*\)\](?:\s*#\[[^\]]*\])*\s*(?:pub(?:\([^)]*\))?\s+)?(?:struct|enum)\s+(\w+)"
)
NAMESAKES = "namesakes"
TWO_BODIES = (
    "services/a/src/routes/notes.rs",
    "mod a {\n    #[derive(ToSchema)]\n    struct Body;\n}\n"
    "mod b {\n    #[derive(Debug, ToSchema)]\n    #[expect(dead_code)]\n    pub(super) struct Body {\n    }\n}\n",
)


def namesakes(sources: list[Source]) -> Iterator[tuple[Source, int, str]]:
    """Bodies of one service that have one name: OpenAPI would show one of them for both, without a word."""
    known: dict[tuple[str, str], str] = {}
    for source in sources:
        if not re.match(SRC, source.path):
            continue
        scope = "/".join(source.path.split("/")[:2])
        for found in SCHEMA.finditer(source.code):
            scopes = {scope, "crates/web"} if scope.startswith("services/") else {scope}
            if any((other, found[1]) in known for other in scopes):
                yield source, source.code.count("\n", 0, found.start(1)) + 1, found[1]
            known[scope, found[1]] = source.path


# Near misses: none of them may be reported.
HARMLESS = {
    "services/a/src/domain/policy.rs": (
        "//! Never async, unlike crate::store.\n"
        'const WHY: &str = "tokio and db::Tx are for others";\n'
        "fn label(now: DateTime<Utc>) {}\n"
        "#[cfg(test)]\n#[expect(clippy::unwrap_used, reason = \"a test\")]\nmod tests {\n    use tokio::time;\n}\n"
    ),
    "services/a/src/store/events.rs": 'const SQL: &str = "select count(*) from a.inbox";\nlet x = map.get(1);\n',
    "services/a/src/app.rs": "tokio::spawn(run());\n",
    "crates/a/src/lib.rs": (
        'const VERSION: &str = env!("CARGO_PKG_VERSION");\n'
        "fn spawn() {\n"
        '    #[expect(\n        clippy::disallowed_methods,\n        reason = "joined by stop"\n    )]\n'
        "    tokio::spawn(task)\n}\n"
        "fn wait() { tokio::task::spawn_blocking(f) }\n"
    ),
    "crates/a/tests/a/main.rs": 'let n: i64 = row.try_get(0); let all = "select * from t";\n',
    "crates/config/src/lib.rs": "let pairs = std::env::vars();\n",
}


def check(root: Path) -> list[tuple[str, str]]:
    """Every offence as (rule, line to print)."""
    found = []
    sources = [
        Source.read(root, path) for top in ("crates", "services") for path in sorted((root / top).rglob("*.rs"))
    ]
    for source, line, what in namesakes(sources):
        says = "another body of this service has this name, and OpenAPI knows one of each name"
        found.append((NAMESAKES, f"{source.path}:{line}: {what}: {says} [{NAMESAKES}]"))
    for source in sources:
        for rule in RULES:
            for line, what in rule.offences(source):
                found.append((rule.name, f"{source.path}:{line}: {what}: {rule.says} [{rule.name}]"))
        for name, offences, says, _ in CHECKS:
            for line, what in offences(source):
                found.append((name, f"{source.path}:{line}: {what}: {says} [{name}]"))
    return found


def self_test() -> list[str]:
    """What the checks fail to find, or find wrongly."""
    planted = {rule.name: rule.planted for rule in RULES} | {check[0]: check[3] for check in CHECKS}
    planted[NAMESAKES] = TWO_BODIES
    faults = []
    for name, (path, text) in planted.items():
        if {found for found, _ in check_planted({path: text})} != {name}:
            faults.append(f"a planted violation of {name} is not found, or another rule is")
    faults += [f"found wrongly: {line}" for _, line in check_planted(HARMLESS)]
    return faults


def check_planted(files: dict[str, str]) -> list[tuple[str, str]]:
    """The offences in a temporary workspace with these files."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return check(Path(folder))


def main(arguments: list[str]) -> int:
    """Check or self-test; the exit status."""
    if arguments == ["--self-test"]:
        faults = self_test()
        print("\n".join(faults) or f"all {len(RULES) + len(CHECKS) + 1} rules find their planted violation")
        return 1 if faults else 0
    root = Path(arguments[0] if arguments else Path(__file__).resolve().parents[3])
    found = check(root)
    for _, line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
