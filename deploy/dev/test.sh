#!/usr/bin/env bash
#
# `make test`: starts the servers of the profile `test`, then runs all tests on them.
#
#   test.sh            everything: Rust tests, documentation tests, tests of the Python examples
#   test.sh FILTER...  only the Rust tests that match, as `cargo nextest run FILTER...` understands it

set -euo pipefail

STACK_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
readonly STACK_DIR
SPEAKER="test"
# shellcheck source=lib/common.sh
source "$STACK_DIR/lib/common.sh"
# shellcheck source=lib/project.sh
source "$STACK_DIR/lib/project.sh"

readonly LOGS=$DEV_DIR/test/logs
RESULTS=()

# The runner as a prebuilt program; else compiled, which takes minutes; else without it.
find_runner() {
  if cargo nextest --version >/dev/null 2>&1; then
    RUNNER=nextest
  elif install_tool "$CARGO_NEXTEST" || compile_nextest; then
    RUNNER=nextest
  else
    say "cargo-nextest could not be installed: using plain 'cargo test', which has no time limit per test"
    RUNNER=cargo
  fi
}

compile_nextest() {
  say "compiling cargo-nextest (once, some minutes)"
  cargo install cargo-nextest --locked --quiet </dev/null
}

rust_tests() {
  case $RUNNER in
    nextest) nextest "$@" ;;
    cargo) plain_cargo "$@" ;;
  esac
}

nextest() {
  local profile=default status=0 xml=$REPO_DIR/target/nextest
  [[ -z ${CI:-} ]] || profile=ci
  rm -f -- "$xml/$profile/results.xml"
  cargo nextest run --workspace --profile "$profile" "$@" </dev/null || status=$?
  RESULTS+=("Rust: $(counts_of "$xml/$profile/results.xml")")
  return "$status"
}

# The head line of a JUnit file: <testsuites name=".." tests="12" failures="0" errors="0" ..>
counts_of() {
  local head tests failures errors
  head=$(grep -m1 '<testsuites ' -- "$1" 2>/dev/null) || { echo "did not run"; return; }
  tests=$(attribute tests "$head")
  failures=$(attribute failures "$head")
  errors=$(attribute errors "$head")
  printf '%d run, %d failed' "$tests" $((failures + errors))
}

attribute() { sed -E "s/.* $1=\"([0-9]+)\".*/\1/" <<<"$2"; }

# One binary after the other, so that the tests that stop servers (tests/crash) have them to themselves.
plain_cargo() {
  local status=0
  cargo test --workspace --lib --bins --tests --no-fail-fast "$@" </dev/null 2>&1 | tee "$LOGS/rust-tests.log" || status=$?
  RESULTS+=("Rust: $(sum_results "$LOGS/rust-tests.log")")
  return "$status"
}

doc_tests() {
  local status=0
  cargo test --workspace --doc --no-fail-fast --quiet </dev/null >"$LOGS/doc-tests.log" 2>&1 || status=$?
  RESULTS+=("Documentation: $(sum_results "$LOGS/doc-tests.log")")
  ((status == 0)) || cat -- "$LOGS/doc-tests.log"
  return "$status"
}

# Adds up cargo's lines "test result: ok. 3 passed; 0 failed; …".
sum_results() {
  awk '/^test result: / { passed += $4; failed += $6 }
    END { printf "%d run, %d failed", passed + failed, failed }' "$1"
}

python_tests() {
  local status=0 ran log=$LOGS/python-tests.log
  PYTHONPATH=examples .dev/venv/bin/python -m unittest discover -s examples/tests >"$log" 2>&1 || status=$?
  ran=$(awk '/^Ran / { print $2 }' "$log")
  if ((status == 0)); then
    RESULTS+=("Python: ${ran:-0} run, 0 failed")
  else
    RESULTS+=("Python: ${ran:-0} run, some failed")
    cat -- "$log"
  fi
  return "$status"
}

# Databases that killed test runs left behind, and templates of migrations that have changed since. A test's database
# carries the time in its name (a version 7 UUID): what is older than an hour has no test any more.
drop_leftovers() {
  stack psql test -q -v ON_ERROR_STOP=1 <<'SQL' >/dev/null
select format('drop database if exists %I with (force)', datname) from pg_database
where datname ~ '^recoverly_test_[0-9a-f]{32}$'
  and ('x' || lpad(substr(datname, 16, 12), 16, '0'))::bit(64)::bigint
      < extract(epoch from now() - interval '1 hour') * 1000
union all
(select format('drop database if exists %I with (force)', datname) from pg_database
 where datname ~ '^recoverly_template_[0-9a-f]{16}$' order by oid desc offset 3) \gexec
SQL
}

main() {
  cd -- "$REPO_DIR"
  local began=$SECONDS
  step "Packages of this machine" stack setup
  require_rust
  step "Servers: Postgres, RabbitMQ and Valkey, profile test" stack up test
  export_settings test
  drop_leftovers || warn "left-over test databases could not be dropped; the tests do not mind"
  step "Python, also for the Rust test that reads our events with it" "$REPO_DIR/examples/setup.sh"
  step "Test runner" find_runner
  attempt "Rust tests (the first build takes some minutes)" rust_tests "$@"
  if (($# == 0)); then
    attempt "Documentation tests" doc_tests
    attempt "Tests of the Python examples" python_tests
  fi
  printf '\n── Result after %s\n' "$(duration $((SECONDS - began)))"
  printf '   %s\n' "${RESULTS[@]}"
  finish_steps
}

main "$@"
