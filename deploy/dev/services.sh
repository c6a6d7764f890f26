#!/usr/bin/env bash
#
# Runs Recoverly's five services on the servers of the profile `dev`, in the background.
#
#   services.sh start    starts what is not running, and restarts what was built or configured anew; waits until ready
#   services.sh stop     ends them gracefully
#   services.sh ports    fails where another program has a port that `start` needs
#   services.sh status   table of services
#
# They listen on 127.0.0.1:8081 to 8085; RECOVERLY_PORT_BASE is the first of these five ports.
# RECOVERLY_LOG, RECOVERLY_LOG_FORMAT and OTEL_EXPORTER_OTLP_ENDPOINT are passed on. Logs: .dev/dev/logs/<service>.log

set -euo pipefail

STACK_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
readonly STACK_DIR
SPEAKER=services
# shellcheck source=lib/common.sh
source "$STACK_DIR/lib/common.sh"
# shellcheck source=lib/process.sh
source "$STACK_DIR/lib/process.sh"
# shellcheck source=lib/profile.sh
source "$STACK_DIR/lib/profile.sh"
# shellcheck source=lib/report.sh
source "$STACK_DIR/lib/report.sh"
# shellcheck source=lib/project.sh
source "$STACK_DIR/lib/project.sh"

readonly PROFILE=dev
readonly FIRST_PORT=${RECOVERLY_PORT_BASE:-8081}
readonly READY_TIMEOUT_S=60

# address_of SERVICE   host:port, the port by the service's place in SERVICES.
address_of() {
  local place
  for place in "${!SERVICES[@]}"; do
    [[ ${SERVICES[place]} != "$1" ]] || printf '127.0.0.1:%d' $((FIRST_PORT + place))
  done
}

# The settings a service is started with, NAME=value, one a line.
settings_of() {
  local name
  cat -- "$ENV_FILE"
  printf 'RECOVERLY_%s_LISTEN=%s\n' "${1^^}" "$(address_of "$1")"
  # Nobody balances load here, so that a stopping service need not wait until that is noticed.
  printf 'RECOVERLY_DRAIN_PAUSE_MILLISECONDS=0\n'
  for name in RECOVERLY_LOG RECOVERLY_LOG_FORMAT OTEL_EXPORTER_OTLP_ENDPOINT; do
    [[ -z ${!name:-} ]] || printf '%s=%s\n' "$name" "${!name}"
  done
}

# What a running service was started from: its program (a new build is a new file) and its settings.
origin_of() {
  stat -c %d:%i:%Y -- "$(program "$1")"
  settings_of "$1" | sha256sum
  address_of "$1"
}

origin_file() { printf '%s/pids/%s.origin' "$PROFILE_DIR" "$1"; }

is_current() { is_running "$1" && [[ $(cat -- "$(origin_file "$1")" 2>/dev/null) == "$(origin_of "$1")" ]]; }

expect_free_port() {
  local address port
  address=$(address_of "$1")
  port=${address#*:}
  if port_open "$port"; then
    die "port $port is taken by another program: end that, or set RECOVERLY_PORT_BASE to the first of five free ports"
  fi
}

launch() {
  local service=$1 settings=()
  expect_free_port "$service"
  mkdir -p -- "$(data_dir "$service")"
  mapfile -t settings < <(settings_of "$service")
  spawn "$service" "${settings[@]}" "$(program "$service")" serve
  origin_of "$service" >"$(origin_file "$service")"
}

# ready SERVICE   true when it can serve and has reached the broker; fails for good when it has ended.
is_ready() {
  local answer
  is_running "$1" || return 0
  answer=$(curl --silent --fail --max-time 2 "http://$(address_of "$1")/readyz") || return 1
  [[ $answer == *'"broker":"ok"'* ]]
}

await_ready() {
  local service=$1
  if retry_for "$READY_TIMEOUT_S" is_ready "$service" && is_running "$service"; then
    return
  fi
  tail -n "$ERROR_LOG_LINES" -- "$PROFILE_DIR/logs/$service.log" >&2 || true
  die "$service is not ready; its last log lines are above, the rest is in .dev/dev/logs/$service.log"
}

cmd_start() {
  local service began=()
  [[ -r $ENV_FILE ]] || die "the servers were never started: run 'make up'"
  for service in "${SERVICES[@]}"; do
    [[ -x $(program "$service") ]] || die "recoverly-$service is not built: run 'cargo build --workspace'"
    is_current "$service" || began+=("$service")
  done
  ((${#began[@]} == 0)) || end "${began[@]}"
  for service in "${began[@]}"; do
    launch "$service"
  done
  for service in "${SERVICES[@]}"; do
    await_ready "$service"
  done
  if ((${#began[@]} > 0)); then
    say "started $(join_by ', ' "${began[@]}")"
  else
    say "all were running"
  fi
}

# Asks all to end before it waits for the first.
end() {
  local service pid
  for service in "$@"; do
    pid=$(main_pid "$service") || continue
    kill -TERM "$pid" 2>/dev/null || true
  done
  for service in "$@"; do
    stop_process "$service" TERM
    rm -f -- "$(origin_file "$service")"
  done
}

cmd_stop() {
  local service running=()
  for service in "${SERVICES[@]}"; do
    ! is_running "$service" || running+=("$service")
  done
  ((${#running[@]} > 0)) || return 0
  end "${running[@]}"
  say "stopped $(join_by ', ' "${running[@]}")"
}

# A service of ours that runs on another port is no obstacle: it is restarted.
cmd_ports() {
  local service
  for service in "${SERVICES[@]}"; do
    if ! is_running "$service" || [[ $(tail -n 1 -- "$(origin_file "$service")" 2>/dev/null) != "$(address_of "$service")" ]]; then
      expect_free_port "$service"
    fi
  done
}

cmd_status() {
  local service address
  for service in "${SERVICES[@]}"; do
    address=$(tail -n 1 -- "$(origin_file "$service")" 2>/dev/null) || address=
    if ! is_running "$service"; then
      status_row "$service" down - - -
    elif curl --silent --fail --max-time 2 --output /dev/null "http://$address/readyz"; then
      status_row "$service" up "$(main_pid "$service")" "${address#*:}" "$(memory_mib "$service") MiB"
    else
      status_row "$service" unready "$(main_pid "$service")" "${address#*:}" "$(memory_mib "$service") MiB"
    fi
  done
}

main() {
  profile_paths
  case ${1:-} in
    start | stop)
      profile_exists || [[ $1 == start ]] || return 0
      lock_profile
      "cmd_$1"
      ;;
    ports) cmd_ports ;;
    status) ! profile_exists || cmd_status ;;
    *) die "usage: services.sh start | stop | ports | status" ;;
  esac
}

main "$@"
