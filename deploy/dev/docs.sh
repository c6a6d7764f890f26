#!/usr/bin/env bash
#
# `make docs`: writes the pages that are generated from the code and from a freshly migrated database.
#
#   docs.sh           writes docs/openapi/<service>.json, docs/SCHEMA.md and docs/VARIABLES.md
#   docs.sh --check   writes nothing and fails where a page is not current
#
# Both also undo all migrations and apply them again, and fail where the schema is not the same afterwards.

set -euo pipefail

STACK_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
readonly STACK_DIR
SPEAKER=docs
# shellcheck source=lib/common.sh
source "$STACK_DIR/lib/common.sh"
# shellcheck source=lib/project.sh
source "$STACK_DIR/lib/project.sh"

readonly SCRATCH=recoverly_docs_$$
# More than any schema has migrations.
readonly ALL_STEPS=100000

# 1 as soon as something is wrong that does not keep the pages from being written.
STATUS=0

# psql of the test server in the scratch database; statements come from stdin.
scratch_psql() {
  { printf '\\connect %s\n' "$SCRATCH" && cat; } | stack psql test -qAt -v ON_ERROR_STOP=1
}

create_scratch() {
  stack psql test -q -v ON_ERROR_STOP=1 \
    -c "create database $SCRATCH owner recoverly_owner template template0 encoding 'UTF8'"
  scratch_psql <deploy/postgres/database.sql
}

clean_up() {
  rm -rf -- "$OUT"
  stack psql test -q -c "drop database if exists $SCRATCH with (force)" >/dev/null 2>&1 || true
}

# migrate up|down   in the order in which the schemas refer to each other.
migrate() {
  local service owner_url=${RECOVERLY_OWNER_DATABASE_URL/\/"$DATABASE"/\/$SCRATCH}
  local services=("${SERVICES[@]}") arguments=(up)
  if [[ $1 == down ]]; then
    services=(causal reco risk social core)
    arguments=(down --steps "$ALL_STEPS")
  fi
  for service in "${services[@]}"; do
    RECOVERLY_OWNER_DATABASE_URL=$owner_url "$(program "$service")" migrate "${arguments[@]}" >/dev/null ||
      die "'recoverly-$service migrate $1' failed"
  done
}

catalogue() { scratch_psql <deploy/dev/check/catalogue.sql; }

same_catalogue() {
  diff -u <(python3 -m json.tool "$OUT/$1") <(python3 -m json.tool "$OUT/$2") >"$OUT/difference" && return
  head -n 60 -- "$OUT/difference"
  die "$3"
}

# Nothing but the histories may be left when everything is undone.
expect_empty() {
  local left
  left=$(scratch_psql <<'SQL'
select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('core', 'social', 'risk', 'reco', 'causal') and c.relkind in ('r', 'p', 'v', 'm', 'S')
  and c.relname <> 'schema_history'
union all
select n.nspname || '.' || p.proname || '()' from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname in ('core', 'social', 'risk', 'reco', 'causal')
SQL
  )
  [[ -z $left ]] || die "all migrations are undone, but there still is: ${left//$'\n'/, }"
}

write_schema() {
  create_scratch
  migrate up
  catalogue >"$OUT/first.json"
  migrate down
  expect_empty
  migrate up
  catalogue >"$OUT/again.json"
  same_catalogue first.json again.json "undone and applied again, the schema is another one (see above)"
  # The page is complete also where it finds something that nobody explained.
  python3 deploy/dev/check/schema_page.py docs/SCHEMA.head.md "$OUT/first.json" >"$OUT/docs/SCHEMA.md" || STATUS=1
}

write_openapi() {
  local service
  mkdir -p -- "$OUT/docs/openapi"
  for service in "${SERVICES[@]}"; do
    "$(program "$service")" openapi >"$OUT/docs/openapi/$service.json"
  done
}

write_variables() {
  local service help=()
  for service in "${SERVICES[@]}"; do
    "$(program "$service")" --help >"$OUT/$service.help"
    help+=("$service=$OUT/$service.help")
  done
  python3 deploy/dev/check/variables_page.py "${help[@]}" >"$OUT/docs/VARIABLES.md"
}

# Says which pages differ.
compare() {
  local page
  while read -r page; do
    if ! diff -u --label "$page (committed)" --label "$page (generated)" -- "$page" "$OUT/$page" >"$OUT/difference" 2>&1; then
      head -n 20 -- "$OUT/difference"
      warn "$page is not current: run 'make docs'"
      STATUS=1
    fi
  done < <(cd -- "$OUT" && find docs -type f | sort)
  ((STATUS != 0)) || say "all pages are current; all migrations can be undone"
}

main() {
  cd -- "$REPO_DIR"
  OUT=$(mktemp -d)
  mkdir -p -- "$OUT/docs"
  trap clean_up EXIT
  stack up test postgres >/dev/null
  export_settings test
  build_services --quiet
  write_openapi
  write_variables
  write_schema
  case ${1:-} in
    --check) compare ;;
    '')
      cp -R -- "$OUT/docs/." docs/
      say "written: $(cd -- "$OUT" && find docs -type f | sort | tr '\n' ' ')"
      ;;
    *) die "unknown argument $1: none, or --check" ;;
  esac
  return "$STATUS"
}

main "$@"
