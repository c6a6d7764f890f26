#!/usr/bin/env bash
#
# `make demo`: starts everything, loads a made-up cohort, scores its messages and shows what came of it.
#
# Everything keeps running afterwards (`make down` stops it). A second run finds what the first one made and doubles
# nothing. RECOVERLY_PORT_BASE moves the five services from port 8081 and on to other ports.

set -euo pipefail

STACK_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
readonly STACK_DIR
SPEAKER=demo
# shellcheck source=lib/common.sh
source "$STACK_DIR/lib/common.sh"
# shellcheck source=lib/project.sh
source "$STACK_DIR/lib/project.sh"

readonly FIRST_PORT=${RECOVERLY_PORT_BASE:-8081}
readonly EVENTS=$DEV_DIR/dev/events.jsonl
readonly NEW_EVENTS=$EVENTS.new
readonly WATCHER_LOG=$DEV_DIR/dev/logs/watcher.log
readonly WATCHER_READY=$DEV_DIR/dev/watcher.ready
readonly WATCHER_TIMEOUT_S=20
readonly DRAIN_TIMEOUT_S=180
# So many looks, a second apart, without any event in motion mean that all have arrived.
readonly QUIET_LOOKS=3

WATCHER=

python() { PYTHONPATH=$REPO_DIR/examples "$DEV_DIR/venv/bin/python" "$@"; }

url() { printf 'http://127.0.0.1:%d' $((FIRST_PORT + $1)); }

migrations() {
  local service
  for service in "${SERVICES[@]}"; do
    "$(program "$service")" migrate up || return
  done
}

credentials() {
  "$(program core)" admin demo-credentials --file .dev/credentials.json
}

# An independent program that reads the events which the next steps cause.
start_watcher() {
  rm -f -- "$WATCHER_READY"
  # Not by the function python: $! would be a shell around the program, which a signal would not reach.
  PYTHONPATH=$REPO_DIR/examples "$DEV_DIR/venv/bin/python" examples/events/watch.py --json \
    --ready-file "$WATCHER_READY" >"$NEW_EVENTS" 2>"$WATCHER_LOG" </dev/null &
  WATCHER=$!
  if ! retry_for "$WATCHER_TIMEOUT_S" test -e "$WATCHER_READY"; then
    cat -- "$WATCHER_LOG" >&2
    return 1
  fi
}

stop_watcher() {
  local watcher=$WATCHER
  [[ -n $watcher ]] || return 0
  WATCHER=
  kill -TERM "$watcher" 2>/dev/null || true
  wait "$watcher"
}

# A run that caused no events shows those of the run before it.
end_watcher() {
  if ! stop_watcher; then
    cat -- "$WATCHER_LOG" >&2
    return 1
  fi
  if [[ -s $NEW_EVENTS || ! -e $EVENTS ]]; then
    mv -f -- "$NEW_EVENTS" "$EVENTS"
  else
    printf '   no new events; the table below is of an earlier run\n'
  fi
}

# "events not yet published, events received": both stand still once every service has seen everything.
events_in_motion() {
  stack psql dev -qAt -F ' ' -c "
    select (select count(*) from core.outbox where published_at is null)
         + (select count(*) from social.outbox where published_at is null)
         + (select count(*) from risk.outbox where published_at is null)
         + (select count(*) from reco.outbox where published_at is null)
         + (select count(*) from causal.outbox where published_at is null),
           (select count(*) from core.inbox) + (select count(*) from social.inbox) + (select count(*) from risk.inbox)
         + (select count(*) from reco.inbox) + (select count(*) from causal.inbox)"
}

await_quiet() {
  local deadline=$((SECONDS + DRAIN_TIMEOUT_S)) waiting received before='' quiet=0
  while ((quiet < QUIET_LOOKS)); do
    ((SECONDS < deadline)) || { warn "events are still in motion after $DRAIN_TIMEOUT_S s"; return 1; }
    read -r waiting received < <(events_in_motion) || return
    if [[ $waiting == 0 && $received == "$before" ]]; then
      quiet=$((quiet + 1))
    else
      quiet=0
      show_progress "$waiting wait to be published, $received received"
    fi
    before=$received
    sleep 0.5
  done
  show_progress "all published, $received received"
  [[ ! -t 1 ]] || printf '\n'
}

# One line that is written over on a terminal, lines elsewhere.
show_progress() {
  if [[ -t 1 ]]; then
    printf '\r   events: %s\033[K' "$1"
  else
    printf '   events: %s\n' "$1"
  fi
}

show() {
  local place arguments=(--events "$EVENTS")
  for place in "${!SERVICES[@]}"; do
    arguments+=("--${SERVICES[place]}" "$(url "$place")")
  done
  python examples/demo/show.py "${arguments[@]}"
}

main() {
  cd -- "$REPO_DIR"
  local began=$SECONDS core social risk
  core=$(url 0)
  social=$(url 1)
  risk=$(url 2)
  trap 'stop_watcher || true' EXIT
  step "Packages of this machine" stack setup
  step "Ports of the services: $FIRST_PORT to $((FIRST_PORT + ${#SERVICES[@]} - 1))" deploy/dev/services.sh ports
  step "Servers: Postgres, RabbitMQ and Valkey, profile dev" stack up dev
  step "Build of the five services (the first takes some minutes)" build_services
  step "Python packages of the examples" examples/setup.sh
  export_settings dev
  step "Migrations" migrations
  step "Accounts, tokens and passwords of the demo: .dev/credentials.json, .dev/sign-ins.json" credentials
  step "Services: core, social, risk, reco, causal" deploy/dev/services.sh start
  step "A watcher of its own on RabbitMQ" start_watcher
  step "A made-up cohort: 60 clients, 30 days of messages" python -m cohort load --core "$core"
  step "The pipeline scores the messages" python -m pipeline --core "$core" --social "$social"
  step "A sample model of relapse risk, beside scikit-learn" python -m riskmodel --core "$core" --risk "$risk"
  step "Events arrive in every service" await_quiet
  step "The watcher ends" end_watcher
  show
  printf '\n'
  say "done in $(duration $((SECONDS - began))); everything keeps running, 'make status' shows it, 'make down' stops it"
}

main "$@"
