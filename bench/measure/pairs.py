"""What a guard costs: our service with it and without it, in the same round."""

from dataclasses import dataclass

NOTHING = """create or replace function core.write_audit(entries jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$ begin end $$"""
AUDIT = "select pg_get_functiondef('core.write_audit(jsonb)'::regprocedure)"
GUARDED = "select oid::regclass::text from pg_class where relrowsecurity order by 1"


@dataclass(frozen=True)
class Pair:
    """Who is measured without which guard, on which paths, and what share of the rate the guard must leave."""

    who: str
    guard: str
    paths: tuple
    must: float


PAIRS = (
    Pair("unaudited", "the audit", ("write",), 0.90),
    Pair("unguarded", "row-level security", ("write", "caseload"), 0.85),
)


class Guards:
    """Takes a guard out of a database and puts it back as it was."""

    def __init__(self, database):
        self.database = database
        self.audit = database.psql("-At", "-c", AUDIT)
        self.guarded = [table for (table,) in database.rows(GUARDED)]

    def without(self, who):
        return {"unaudited": NOTHING, "unguarded": self._row_level_security("disable")}[who]

    def back(self, who):
        return {"unaudited": self.audit, "unguarded": self._row_level_security("enable")}[who]

    def _row_level_security(self, change):
        return ";\n".join(f"alter table {table} {change} row level security" for table in self.guarded)

    def apply(self, sql):
        self.database.psql("-f", "-", stdin=sql)
