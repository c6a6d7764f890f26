# shellcheck shell=bash
#
# The servers as containers, where Docker or Podman answers: a thin layer over docker-compose.yml.

readonly ENGINE_TIMEOUT_S=10

# Sets COMPOSE to the command of an engine that is there and answers; false when none does.
find_compose() {
  if has_command docker && timeout "$ENGINE_TIMEOUT_S" docker info >/dev/null 2>&1; then
    if docker compose version >/dev/null 2>&1; then
      COMPOSE=(docker compose)
      return
    elif has_command docker-compose; then
      COMPOSE=(docker-compose)
      return
    fi
  fi
  if has_command podman && timeout "$ENGINE_TIMEOUT_S" podman info >/dev/null 2>&1; then
    if podman compose version >/dev/null 2>&1; then
      COMPOSE=(podman compose)
      return
    fi
  fi
  return 1
}

engine_answers() { find_compose; }

compose() {
  [[ -n ${COMPOSE:-} ]] || find_compose || die "profile $PROFILE uses containers, but no engine answers"
  "${COMPOSE[@]}" --project-name "recoverly-$PROFILE" --env-file "$PROFILE_DIR/compose.env" \
    --file "$REPO_DIR/docker-compose.yml" "$@"
}

compose_start() {
  local server
  for server in "$@"; do
    # A running container holds its ports itself; asking for new ones would move it.
    [[ -e $PROFILE_DIR/compose.env && $(compose_state "$server") == up ]] || assign_ports "$server"
  done
  write_compose_env
  say "starting containers: $*"
  compose up --detach --wait --wait-timeout "$START_TIMEOUT_S" "$@" || die "the containers did not become healthy"
}

write_compose_env() {
  local durable=on
  [[ $PROFILE != test ]] || durable=off
  write_private "$PROFILE_DIR/compose.env" <<ENV
RECOVERLY_POSTGRES_PORT=${PORT[postgres]}
RECOVERLY_POSTGRES_PASSWORD=${SECRET[postgres]}
RECOVERLY_POSTGRES_DURABLE=$durable
RECOVERLY_AMQP_PORT=${PORT[amqp]}
RECOVERLY_AMQP_MANAGEMENT_PORT=${PORT[management]}
RECOVERLY_AMQP_PROMETHEUS_PORT=${PORT[prometheus]}
RECOVERLY_AMQP_PASSWORD=${SECRET[rabbitmq]}
RECOVERLY_REDIS_PORT=${PORT[redis]}
RECOVERLY_REDIS_PASSWORD=${SECRET[redis]}
ENV
}

compose_stop() { compose stop --timeout "$STOP_TIMEOUT_S" "$@"; }

compose_state() {
  if [[ -n $(compose ps --quiet --status running "$1" 2>/dev/null) ]]; then
    echo up
  else
    echo down
  fi
}

# For hosts without a psql of their own.
compose_psql() {
  local database=$1
  shift
  compose exec --no-TTY postgres psql -X -U postgres -d "${database%%\?*}" "$@"
}
