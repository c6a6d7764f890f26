"""Postgres: databases, psql, and pgbench with the kit's statements, which is the limit."""

import csv
import glob
import os
import random
import re
import subprocess
import tempfile
from urllib.parse import unquote, urlsplit

from . import knobs

SCORES = ["p_craving", "p_relapse", "p_negative_mood", "p_neutral", "p_toxic", "p_isolation"]
USER = "('user-' || lpad(CAST(:u AS text), 7, '0'))"
BATCHES = 8  # different ones that pgbench sends
PERCENTILES = (50, 90, 99)


def programs():
    """The folder with psql and pgbench: the stack's own tree, else the newest of the machine."""
    for pattern in (".dev/tree/usr/lib/postgresql/*/bin", "/usr/lib/postgresql/*/bin"):
        for folder in sorted(glob.glob(os.path.join(knobs.REPO, pattern)), reverse=True):
            if os.access(os.path.join(folder, "pgbench"), os.X_OK):
                return folder
    raise SystemExit("bench: pgbench is missing: on Debian it is in the package postgresql")


class Database:
    """One database of the server, reached as a superuser or as whom the URL names."""

    def __init__(self, admin_url, name, options="-c client_min_messages=warning"):
        at = urlsplit(admin_url)
        self.name, self.programs = name, programs()
        self.environment = {
            **os.environ,
            "PGHOST": at.hostname,
            "PGPORT": str(at.port or 5432),
            "PGUSER": unquote(at.username or ""),
            "PGPASSWORD": unquote(at.password or ""),
            "PGDATABASE": name,
            "PGOPTIONS": options,
        }

    def psql(self, *arguments, stdin=None):
        command = [os.path.join(self.programs, "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments]
        run = subprocess.run(command, env=self.environment, input=stdin, capture_output=True, text=True)
        if run.returncode:
            raise SystemExit(f"bench: psql failed on {self.name}: {run.stderr[-2000:]}")
        return run.stdout

    def file(self, path, **variables):
        settings = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
        self.psql(*settings, "-f", path)

    def rows(self, sql):
        return [line.split("\t") for line in self.psql("-At", "-F", "\t", "-c", sql).splitlines()]

    def value(self, sql):
        return self.rows(sql)[0][0]

    def number(self, sql):
        return int(self.value(sql))


def statement(name, **replacements):
    """A statement of the kit, with some of its binds replaced by an expression."""
    with open(os.path.join(knobs.KIT, "sql", name + ".sql")) as f:
        text = f.read().strip()
    for bind, expression in replacements.items():
        text = re.sub(rf"(?<!:):{bind}\b", expression, text)
    return text


def functions():
    """limits/functions.sql, complete: the profile updates in it are the statements of the kit."""
    with open(os.path.join(knobs.KIT, "limits", "functions.sql")) as f:
        text = f.read()
    one = statement("update_profile", user_id="owner")
    many = statement("batch_update_profiles", user_ids="l_users")
    return text.replace("@UPDATE_ONE@", one).replace("@UPDATE_MANY@", many)


def _pick(messages):
    lines = [f"\\set {score} random(0, 10000) / 10000.0" for score in SCORES]
    lines += ["\\set x random(0, 10000) / 10000.0", "\\set risk_score :x * :x * :x * :x"]
    return "\n".join([*lines, f"\\set message_id random(1, {messages})", ""])


def _write(run):
    defines = {
        "model_version": "risk-model-1.4.2",
        "urgency": "high",
        "trigger_reason": "risk_score 0.91, label moderate",
        "trigger_data": '{"prediction_id": 200001, "previous_label": "moderate"}',
        "event": "prediction.recorded",
        "event2": "escalation.created",
        "payload": '{"prediction_id":200001,"message_id":123456,"user_id":"user-0001234","risk_score":0.4321,'
        '"risk_label":"low","short_avg_risk_score":0.22222}',
        "payload2": '{"escalation_id":4001,"user_id":"user-0001234","urgency":"high","risk_label":"moderate"}',
    }
    script = (
        _pick(run.messages)
        + "\\set escalate :risk_score >= 0.85\nBEGIN;\n"
        + statement("lock") + " \\gset\n"
        + statement("insert_prediction") + " \\gset\n"
        + statement("update_profile") + " \\gset\n"
        + "\\if :escalate\n"
        + statement("insert_escalation") + " \\gset\n"
        + statement("insert_outbox", event_type=":event2", payload=":payload2") + ";\n\\endif\n"
        + statement("insert_outbox", event_type=":event") + ";\nCOMMIT;\n"
    )
    return [script], defines


def _write_function(run):
    scores = ", ".join(f":{score}" for score in SCORES)
    call = f"SELECT * FROM bench.record_prediction(:message_id, {scores}, :risk_score, :model_version);\n"
    return [_pick(run.messages) + call], {"model_version": "risk-model-1.4.2"}


def _batch(run):
    numbers, scripts, defines = random.Random(5), [], {"model_version": "risk-model-1.4.2"}
    for i in range(BATCHES):
        first = numbers.randint(1, run.messages - run.batch)
        defines[f"ids{i}"] = "{" + ",".join(str(first + j) for j in range(run.batch)) + "}"
        for score in SCORES:
            defines[f"{score}{i}"] = "{" + ",".join(f"{numbers.random():.4f}" for _ in range(run.batch)) + "}"
        defines[f"risk{i}"] = "{" + ",".join(f"{numbers.random() ** 4:.4f}" for _ in range(run.batch)) + "}"
        scores = ", ".join(f":{score}{i}" for score in SCORES)
        scripts.append(f"SELECT bench.record_batch(:ids{i}, {scores}, :risk{i}, :model_version);\n")
    return scripts, defines


def _audited(select, action):
    """The select and the row that it leaves behind, in one statement and one commit."""
    return (
        "with audited as (insert into bench.audit_events"
        " (event_type, actor, actor_kind, subject_refs, action, object_type, decision, purpose, request_id)"
        " values ('read', cast(gen_random_uuid() as text), 'staff',"
        f" array[gen_random_uuid()], '{action}', 'records', 'allow', 'caseload',"
        f" cast(gen_random_uuid() as text)))\n{select};\n"
    )


def _profile(run):
    return [f"\\set u random(1, {run.users})\n" + statement("read_profile", user_id=USER) + ";\n"], {}


def _profile_audited(run):
    read = _audited(statement("read_profile", user_id=USER), "GET /v1/risk-profiles/{user_id}")
    return [f"\\set u random(1, {run.users})\n{read}"], {}


def _caseload(_):
    return [statement("read_label") + ";\n"], {"label": "high", "limit": "50"}


def _caseload_own(run):
    """The statement that the service sends for the first page of a counselor, by the service's role and as its actor."""
    with open(os.path.join(knobs.BENCH, "service", "caseload.sql")) as f:
        text = f.read().strip()
    for number, type_name in enumerate(("varchar", "varchar", "int4", "float8", "varchar"), 1):
        text = text.replace(f"${number}", f"cast(null as {type_name})")
    text = text.replace("$6", "51")
    # chr(58): pgbench would take what follows a colon for a variable of its own.
    actor = "'staff' || chr(58) || 'counselor-' || cast(cast(:c as int) as text)"
    guard = f"(select set_config('recoverly.actor', {actor}, true)) is not null"
    counselors = run.users // run.caseload
    return [f"\\set c random(1, {counselors})\nselect asked.* from ({text}) as asked where {guard};\n"], {}


def _caseload_audited(run):
    """Our statement, and what it leaves in our audit about fifty people."""
    [script], defines = _caseload_own(run)
    people = f"(select jsonb_agg({USER.replace(':u', '(50 * (:c - 1) + n)')}) from generate_series(1, 50) n)"
    fields = {"event_type": "read", "actor": "bench", "actor_kind": "staff", "action": "GET /v1/risk-profiles", "decision": "allow"}
    words = ", ".join(f"'{name}', '{value}'" for name, value in fields.items())
    entry = f"jsonb_build_array(jsonb_build_object({words}, 'people', {people}))"
    audited = script.replace("from (", f"from (select core.write_audit({entry})) as audited cross join (", 1)
    return [audited], defines


def _messages(run):
    script = f"\\set u random(1, {run.users // 5})\n" + statement("read_messages", user_id=USER) + ";\n"
    return [script], {"limit": "50"}


def _messages_audited(run):
    read = _audited(statement("read_messages", user_id=USER), "GET /v1/users/{user_id}/messages")
    return [f"\\set u random(1, {run.users // 5})\n{read}"], {"limit": "50"}


def _context(run):
    """Seed 003's query 3 on our tables."""
    with open(os.path.join(knobs.BENCH, "service", "context.sql")) as f:
        text = f.read().strip()
    # ::json would be a variable of pgbench's.
    text = text.replace("'[]'::json", "cast('[]' as json)").replace("$1", USER).replace("$2", "10")
    return [f"\\set u random(1, {run.users})\n{text};\n"], {}


def _context_audited(run):
    """The same, and what it leaves in our audit."""
    [script], defines = _context(run)
    fields = {"event_type": "read", "actor": "bench", "actor_kind": "staff", "action": "GET /v1/users/{user_id}/context", "decision": "allow"}
    words = ", ".join(f"'{name}', '{value}'" for name, value in fields.items())
    entry = f"jsonb_build_array(jsonb_build_object({words}, 'people', jsonb_build_array({USER})))"
    return [script.replace("select\n    (select", f"select core.write_audit({entry}),\n    (select", 1)], defines


def _message_batch(run, told=False):
    """The rows alone: no lock, no event, no audit, nothing that follows; or with the event that tells of each, as if it
    were published already."""
    columns = {"users": "varchar", "texts": "text", "types": "varchar"}
    arrays = ", ".join(f"cast(:{name} as {type_name}[])" for name, type_name in columns.items())
    script = (
        "insert into core.messages (user_id, message_text, conversation_type, timestamp)"
        f" select n.*, now() from unnest({arrays}) as n"
    )
    if told:
        data = "'message_id', s.message_id, 'user_id', s.user_id, 'timestamp', s.timestamp"
        data += ", 'conversation_type', s.conversation_type, 'sender_role', s.sender_role"
        script = (
            f"with s as ({script} returning *) insert into core.outbox (event_id, event_type, subject, data, published_at)"
            f" select gen_random_uuid(), 'core.message.created', s.user_id, jsonb_build_object({data}), now() from s"
        )
    text = "Synthetic message: today was a day like the others, but for the rain"
    users = ",".join(f"user-{1 + n * 31 % run.users:07}" for n in range(run.batch))
    texts = ",".join(f'"{text} {n}"' for n in range(run.batch))
    return [script + ";\n"], {"users": f"{{{users}}}", "texts": f"{{{texts}}}", "types": "{" + ",".join(["buddy"] * run.batch) + "}"}


def _risk_batch(run):
    """The rows of snapshots, predictions and ten contributions each, into tables like ours: with the same keys, indexes and
    references, and nothing that follows."""
    contributions = 10
    script = (
        "with s as (insert into bench.feature_snapshots"
        " (user_id, captured_at, feature_set_version, features, source, features_hash)"
        " select n.user_id, clock_timestamp(), 'bench-1', cast(:features as jsonb), 'bench', sha256('')"
        " from unnest(cast(:users as varchar[])) as n (user_id) returning snapshot_id, user_id, captured_at),"
        " p as (insert into bench.model_predictions (user_id, snapshot_id, model_name, model_version, predicted_at,"
        " horizon_days, probability, risk_level, threshold, stage, label_due_at)"
        " select s.user_id, s.snapshot_id, 'bench-7d', '1', s.captured_at, 7, 0.4, 'MODERATE', 0.8, 'live',"
        " s.captured_at + interval '7 days' from s returning prediction_id)"
        " insert into bench.xai_explanations (prediction_id, method, rank, base_value, link, feature_name, feature_value,"
        " contribution)"
        " select p.prediction_id, 'shap', c.rank, 0.2, 'identity', c.feature_name, cast('0.5' as jsonb), 0.02 from p cross join"
        " unnest(cast(:ranks as int2[]), cast(:names as varchar[])) as c (rank, feature_name);\n"
    )
    users = ",".join(f"user-{1 + n * 31 % run.users:07}" for n in range(run.batch))
    names = [f"f{n}" for n in range(contributions)]
    return [script], {
        "users": f"{{{users}}}",
        "features": "{" + ",".join(f'"{name}":0.5' for name in names) + "}",
        "names": "{" + ",".join(names) + "}",
        "ranks": "{" + ",".join(str(n + 1) for n in range(contributions)) + "}",
    }


QUERY = "(select q.embedding from bench.queries q where q.q = :q)"


def _search(actor, client=None):
    """The statement that the service sends, by the service's role and as its actor."""

    def script(run):
        with open(os.path.join(knobs.BENCH, "service", "search_client.sql" if client else "search.sql")) as f:
            text = f.read().strip()
        nothing = [f"cast(null as {type_name})" for type_name in ("varchar", "varchar", "uuid")]
        values = ["10", "false", *nothing, "timestamptz 'epoch'", "timestamptz 'infinity'", *([client] if client else []), QUERY]
        for number, value in reversed(list(enumerate(values, 1))):
            text = text.replace(f"${number}", value)
        guard = f"(select set_config('recoverly.actor', {actor}, true)) is not null"
        settings = f"\\set q random(1, 128)\n\\set u random(1, {run.users})\n"
        settings += f"\\set c 1 + :u % {run.users // run.caseload}\n"
        # An entry about as many people as are found, as the service leaves one.
        fields = {"event_type": "read", "actor": "bench", "actor_kind": "staff", "action": "POST /v1/search/memory", "decision": "allow"}
        words = ", ".join(f"'{name}', '{value}'" for name, value in fields.items())
        person = USER.replace(":u", f"(1 + (:u + n) % {run.users})")
        people = f"(select jsonb_agg({person}) from generate_series(1, 10) n)"
        entry = f"jsonb_build_array(jsonb_build_object({words}, 'people', {people}))"
        audited = f"select core.write_audit({entry}) as audited"
        return [f"{settings}select asked.* from ({audited}) as audited cross join ({text}) as asked where {guard};\n"], {}

    return script


SUPERVISOR = "'staff' || chr(58) || 'supervisor-1'"
COUNSELOR = "'staff' || chr(58) || 'counselor-' || cast(cast(:c as int) as text)"

SCRIPTS = {
    "write": _write,
    "write_function": _write_function,
    "batch": _batch,
    "profile": _profile,
    "profile_audited": _profile_audited,
    "caseload": _caseload,
    "caseload_audited": _caseload_audited,
    "caseload_own": _caseload_own,
    "messages": _messages,
    "messages_audited": _messages_audited,
    "context": _context,
    "context_audited": _context_audited,
    "message_batch": _message_batch,
    "message_batch_told": lambda run: _message_batch(run, told=True),
    "risk_batch": _risk_batch,
    "search": _search(SUPERVISOR),
    "search_caseload": _search(COUNSELOR),
    "search_client": _search(f"{COUNSELOR} || '/' || {USER}", client=USER),
}


def run_pgbench(database, run, path, concurrency, seconds):
    """One series, prepared statements, one transaction each: (transactions, facts)."""
    scripts, defines = SCRIPTS[path](run)
    with tempfile.TemporaryDirectory() as folder:
        command = [os.path.join(database.programs, "pgbench"), "-n", "-M", "prepared", "-c", str(concurrency)]
        command += ["-j", "1" if concurrency < 16 else "2", "-T", str(seconds)]
        command += ["-l", f"--log-prefix={os.path.join(folder, 'log')}"]
        for i, script in enumerate(scripts):
            name = os.path.join(folder, f"{i}.sql")
            with open(name, "w") as f:
                f.write(script)
            command += ["-f", name]
        for name, value in defines.items():
            command += ["-D", f"{name}={value}"]
        ran = subprocess.run(command, env=database.environment, capture_output=True, text=True)
        rate = re.search(r"^tps = ([0-9.]+)", ran.stdout, re.M)
        if ran.returncode or not rate:
            raise SystemExit(f"bench: pgbench failed on {path}: {ran.stdout[-1000:]}{ran.stderr[-1000:]}")
        done = int(re.search(r"actually processed: (\d+)", ran.stdout).group(1))
        return done, {"rate": float(rate.group(1)), "errors": 0, **_latencies(folder)}


def _latencies(folder):
    found = []
    for name in glob.glob(os.path.join(folder, "log.*")):
        with open(name) as f:
            found += [int(row[2]) for row in csv.reader(f, delimiter=" ")]
    found.sort()
    return {f"p{p}_ms": found[min(len(found) - 1, len(found) * p // 100)] / 1e3 for p in PERCENTILES}
