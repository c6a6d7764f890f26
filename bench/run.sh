#!/usr/bin/env bash
#
# `make bench`: our services over HTTP against what the same Postgres can do with nothing in front of it, in one run.
# `run.sh --help` lists the knobs; README.md beside it tells what is measured and how to read it.

set -euo pipefail

BENCH_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
STACK_DIR=$BENCH_DIR/../deploy/dev
readonly BENCH_DIR STACK_DIR
SPEAKER=bench
# shellcheck source=../deploy/dev/lib/common.sh
source "$STACK_DIR/lib/common.sh"
# shellcheck source=../deploy/dev/lib/project.sh
source "$STACK_DIR/lib/project.sh"

# Servers outlive the run: they must not hold its lock.
stack() { "$STACK_DIR/stack.sh" "$@" {BENCH_LOCK}>&-; }

readonly PACKAGES=(core-service social-service risk-service reco-service causal-service)

usage() {
  cat <<'TEXT'
usage: bench/run.sh [--help]        (= make bench)

Measures, on one durable Postgres and in alternating rounds: pgbench with the reference kit's statements (the limit),
our services over HTTP, and with BENCH_PEER=1 the kit's FastAPI service. Prints Markdown; bench/results/latest.json
has every row. Takes about 11 minutes on two cores, the first build not counted.

Knobs, all in the environment:
  QUICK=1              a look of two minutes: 1 round, 2 s a series, concurrency 1 and 64
  BENCH_PEER=1         measure the FastAPI peer too (its packages are installed into .dev/bench/peer)
  BENCH_PATHS=LIST     of write,batch,profile,caseload,messages,context,
                       message_batch,risk_batch,search,search_caseload,search_client,health    [all]
  CONC=LIST            concurrencies                                      [1,16,64]
  ROUNDS=N             alternating rounds                                 [3]
  DURATION=S           seconds of a series                                [3]
  BENCH_STATEMENTS=1   tell which statements Postgres spends its time on (pg_stat_statements; costs a few percent)
  BENCH_TRY=FILE       run this SQL on our database first: to try an index or a setting before it is a migration
  EVENT_SECONDS=S      measure events out for so long; 0 does not         [10]
  EVENT_RATE=N         writes a second meanwhile                          [500]
  PAGE_SECONDS=S       measure the first page of escalations for so long; 0 does not   [10]
  PAGE_RATE=N          escalations a second meanwhile                     [50]
  PATIENCE=S           wait so long for quiet neighbours before a series  [2]
  BENCH_USERS=N        clients                                            [10000]
  BENCH_MESSAGES=N     messages of 60 days, each with its prediction      [200000]
  BENCH_MEMORIES=N     memories with embeddings, where searches are measured  [100000]
  BENCH_FRESH=N        messages that a write series may score             [100000]
  BENCH_BUILD=0        do not build: measure the release binaries that are there
  BENCH_KEEP=1         leave the servers of the profile bench running
  RESULTS=FOLDER       where the rows go                                  [bench/results]
TEXT
}

install_wrk() {
  ! has_command wrk || return 0
  if [[ $(id -u) == 0 ]] && has_command apt-get; then
    { apt-get -q -y install --no-install-recommends wrk || { apt-get -q update && apt-get -q -y install --no-install-recommends wrk; }; } \
      >/dev/null 2>&1 </dev/null || true
  fi
  has_command wrk || die "wrk is needed and could not be installed: apt-get install wrk"
}

build() {
  [[ ${BENCH_BUILD:-1} != 0 ]] || return 0
  local package arguments=()
  for package in "${PACKAGES[@]}"; do
    arguments+=(-p "$package")
  done
  cargo build --release --locked "${arguments[@]}" </dev/null
}

# Native even where containers could be had: their network would be measured with the database.
start_servers() {
  export RECOVERLY_STACK=${RECOVERLY_STACK:-native}
  stack up bench
}

# Where Postgres' time goes is told by a module that must be loaded at its start.
set_statements() {
  local wanted='' change="alter system reset shared_preload_libraries"
  if [[ ${BENCH_STATEMENTS:-0} != 0 ]]; then
    wanted=pg_stat_statements
    change="alter system set shared_preload_libraries = '$wanted'"
  fi
  [[ $(stack psql bench -Atc "show shared_preload_libraries") != "$wanted" ]] || return 0
  stack psql bench -q -c "$change"
  stack stop bench postgres
  stack start bench postgres
}

# Two runs at once would measure each other, and stop each other's servers.
lock_bench() {
  mkdir -p -- "$DEV_DIR"
  exec {BENCH_LOCK}>>"$DEV_DIR/.lock-measuring"
  flock -n "$BENCH_LOCK" || die "another run is measuring on this checkout"
}

stop_servers() {
  [[ ${BENCH_KEEP:-0} != 0 ]] || stack down bench >/dev/null
}

main() {
  case ${1:-} in
    '') ;;
    -h | --help) usage; return ;;
    *) usage >&2; exit 2 ;;
  esac
  cd -- "$REPO_DIR"
  lock_bench
  step "Packages of this machine" stack setup
  require_rust
  step "Load generator" install_wrk
  step "Services, release build (the first takes some minutes)" build
  trap stop_servers EXIT
  step "Servers: Postgres, RabbitMQ and Redis, profile bench" start_servers
  set_statements
  export_settings bench
  printf '\n── Measuring\n'
  PYTHONPATH=$BENCH_DIR PYTHONDONTWRITEBYTECODE=1 python3 -m measure
}

main "$@"
