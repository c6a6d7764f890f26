#!/usr/bin/env bash
#
# Runs the servers Recoverly stands on (Postgres, RabbitMQ, Valkey) for one profile.
# `stack.sh help` lists the commands; deploy/README.md explains profiles, files and ports.

set -euo pipefail

STACK_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
readonly STACK_DIR
# shellcheck source=lib/common.sh
source "$STACK_DIR/lib/common.sh"
# shellcheck source=lib/process.sh
source "$STACK_DIR/lib/process.sh"
# shellcheck source=lib/profile.sh
source "$STACK_DIR/lib/profile.sh"
# shellcheck source=lib/settings.sh
source "$STACK_DIR/lib/settings.sh"
# shellcheck source=lib/report.sh
source "$STACK_DIR/lib/report.sh"
# shellcheck source=lib/tree.sh
source "$STACK_DIR/lib/tree.sh"
# shellcheck source=lib/native.sh
source "$STACK_DIR/lib/native.sh"
# shellcheck source=lib/compose.sh
source "$STACK_DIR/lib/compose.sh"
# shellcheck source=lib/bootstrap.sh
source "$STACK_DIR/lib/bootstrap.sh"
# shellcheck source=lib/setup.sh
source "$STACK_DIR/lib/setup.sh"

usage() {
  cat <<'TEXT'
usage: stack.sh COMMAND [PROFILE] [SERVER...]

  up      [PROFILE] [SERVER...]   start what is not running and prepare the database
  down    [PROFILE] [SERVER...]   stop gracefully, keep the data ("all": every profile)
  status  [PROFILE]               table of servers; exit code 3 when one is down
  logs    [PROFILE] [SERVER...]   last log lines ("-f" in front of PROFILE follows)
  env     [PROFILE]               print the settings programs need (KEY=value)
  psql    [PROFILE] [ARG...]      open psql on the application database
  start   PROFILE SERVER          start one server and wait until it answers
  stop    PROFILE SERVER          stop one server gracefully
  kill    PROFILE SERVER          end one server with SIGKILL
  clean   [PROFILE]               stop and delete the data ("all": also the server files)
  setup                           install missing Debian packages

  PROFILE  dev (default), test, chaos, bench
  SERVER   postgres, rabbitmq, redis (default: all three)
TEXT
}

# Splits "[profile] [server...]" into PROFILE and SERVERS.
parse_target() {
  PROFILE=dev
  if (($# > 0)) && is_profile "$1"; then
    PROFILE=$1
    shift
  fi
  SERVERS=("$@")
  ((${#SERVERS[@]} > 0)) || SERVERS=("${ALL_SERVERS[@]}")
  local server
  for server in "${SERVERS[@]}"; do
    is_server "$server" || die "'$server' is neither a profile (${ALL_PROFILES[*]}) nor a server (${ALL_SERVERS[*]})"
  done
}

# Fault tests name the profile and the server, so that neither is hit by a default.
parse_single() {
  (($# == 2)) || die "say which profile and which server, for example: test rabbitmq"
  is_profile "$1" || die "no such profile: $1"
  is_server "$2" || die "no such server: $2"
  PROFILE=$1
  SERVERS=("$2")
}

cmd_up() {
  parse_target "$@"
  local began=$SECONDS
  lock_profile
  profile_prepare
  start_servers
  write_env_file
  if [[ " ${SERVERS[*]} " == *" postgres "* ]]; then
    bootstrap_database
  fi
  say "ready in $((SECONDS - began)) s; settings are in ${ENV_FILE#"$REPO_DIR"/}"
  print_status
}

cmd_down() {
  if [[ ${1:-} == all ]]; then
    for_each_profile cmd_down
    return
  fi
  parse_target "$@"
  profile_exists || { say "profile $PROFILE was never started"; return 0; }
  lock_profile
  profile_load
  stop_servers
}

cmd_status() {
  parse_target "$@"
  profile_exists || { say "profile $PROFILE was never started"; return 3; }
  profile_load
  print_status
}

cmd_logs() {
  local follow=()
  if [[ ${1:-} == -f ]]; then
    follow=(-F)
    shift
  fi
  parse_target "$@"
  profile_exists || die "profile $PROFILE was never started"
  profile_load
  show_logs "${follow[@]}"
}

cmd_env() {
  parse_target "$@"
  [[ -r $DEV_DIR/$PROFILE/env ]] || die "no settings yet: run 'stack.sh up $PROFILE'"
  cat -- "$DEV_DIR/$PROFILE/env"
}

cmd_psql() {
  PROFILE=dev
  if (($# > 0)) && is_profile "$1"; then
    PROFILE=$1
    shift
  fi
  profile_exists || die "profile $PROFILE was never started"
  profile_load
  locate_psql
  psql_at "$(platform_admin_url)" "$@"
}

cmd_start() {
  parse_single "$@"
  lock_profile
  profile_prepare
  start_servers
}

cmd_stop() {
  parse_single "$@"
  profile_exists || die "profile $PROFILE was never started"
  lock_profile
  profile_load
  stop_servers
}

cmd_kill() {
  parse_single "$@"
  profile_exists || die "profile $PROFILE was never started"
  lock_profile
  profile_load
  kill_server "${SERVERS[0]}"
}

cmd_clean() {
  if [[ ${1:-} == all ]]; then
    for_each_profile cmd_clean
    rm -rf -- "$TREE_DIR" "$TREE_DIR".new "$DEV_DIR"/external
    say "deleted the server files"
    return
  fi
  parse_target "$@"
  ((${#SERVERS[@]} == ${#ALL_SERVERS[@]})) || die "clean deletes a whole profile, not single servers"
  profile_exists || { say "profile $PROFILE holds no data"; return 0; }
  lock_profile
  profile_load
  stop_servers
  delete_volumes
  rm -rf -- "$PROFILE_DIR"
  # Its tokens belong to the database that has just been deleted.
  [[ $PROFILE != dev ]] || rm -f -- "$DEV_DIR/credentials.json" "$DEV_DIR/sign-ins.json"
  say "deleted the data of profile $PROFILE"
}

# Runs a command for every profile that has been used. A subshell each, as a profile's settings are globals.
for_each_profile() {
  local name
  for name in "${ALL_PROFILES[@]}"; do
    if [[ -d $DEV_DIR/$name ]]; then
      ("$1" "$name")
    fi
  done
}

main() {
  local command=${1:-help}
  (($# == 0)) || shift
  case $command in
    up | down | status | logs | env | psql | start | stop | kill | clean) "cmd_$command" "$@" ;;
    setup) install_packages ;;
    help | -h | --help) usage ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
}

main "$@"
