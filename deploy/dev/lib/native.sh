# shellcheck shell=bash
#
# The three servers as private processes: configuration, start, readiness, stop.

readonly LEFTOVER_TIMEOUT_S=5

native_start() {
  local server starting=()
  locate_servers
  choose_identity
  for server in "$@"; do
    is_running "$server" || starting+=("$server")
  done
  for server in "${starting[@]}"; do
    [[ $server != rabbitmq ]] || stop_process epmd TERM
    clear_leftovers "$server"
    assign_ports "$server"
    say "starting $server"
    "start_$server"
  done
  # Started together, awaited one by one: the slowest decides. A server that runs already may still be starting.
  for server in "$@"; do
    await_ready "$server"
  done
}

native_stop() {
  local server
  for server in "$@"; do
    if is_running "$server"; then
      say "stopping $server"
    fi
    "stop_$server" &
  done
  wait
}

# Children of a killed server that have not noticed yet would work on the data beside the new one.
clear_leftovers() {
  retry_for "$LEFTOVER_TIMEOUT_S" is_gone "$1" || kill_process "$1"
}

await_ready() {
  local server=$1 deadline=$((SECONDS + START_TIMEOUT_S))
  until "ready_$server"; do
    if ! is_running "$server" || ((SECONDS >= deadline)); then
      warn "$server did not start; the end of ${PROFILE_DIR#"$REPO_DIR"/}/logs/$server.log:"
      tail -n "$ERROR_LOG_LINES" -- "$PROFILE_DIR/logs/$server.log" >&2 || true
      die "$server is not running"
    fi
    sleep 0.1
  done
}

# Makes a server's data folder, open to its user alone.
make_data_dir() {
  local dir
  dir=$(data_dir "$1")
  mkdir -p -- "$dir"
  chmod 700 -- "$dir"
  chmod 711 -- "$PROFILE_DIR/data"
}

# --- Postgres --------------------------------------------------------------------------------------------------------

start_postgres() {
  local dir
  dir=$(data_dir postgres)
  # No process of an earlier start is left (clear_leftovers), so the lock file is stale. Postgres itself would trust
  # it as long as its pid belongs to anybody, even to a zombie.
  rm -f -- "$dir/postmaster.pid"
  [[ -s $dir/PG_VERSION ]] || create_cluster "$dir"
  postgres_settings >"$dir/recoverly.conf"
  hand_over "$dir/recoverly.conf"
  spawn postgres "$PG_BIN/postgres" -D "$dir"
}

create_cluster() {
  local dir=$1 password_file=$PROFILE_DIR/data/.password locale=(--locale=C.UTF-8)
  # The builtin provider sorts alike on every machine; it came with version 17.
  if (($(postgres_version) >= 17)); then
    locale=(--locale-provider=builtin --locale=C.UTF-8)
  fi
  say "creating the Postgres data folder"
  rm -rf -- "$dir"
  make_data_dir postgres
  write_private "$password_file" <<<"${SECRET[postgres]}"
  hand_over "$dir" "$password_file"
  if ! run_as_server "$PG_BIN/initdb" -D "$dir" -U postgres -A scram-sha-256 --pwfile="$password_file" -E UTF8 \
    "${locale[@]}" --data-checksums >"$PROFILE_DIR/logs/initdb.log" 2>&1; then
    tail -n "$ERROR_LOG_LINES" -- "$PROFILE_DIR/logs/initdb.log" >&2
    rm -rf -- "$dir" "$password_file"
    die "the Postgres data folder could not be created"
  fi
  rm -f -- "$password_file"
  printf "include_if_exists = 'recoverly.conf'\n" >>"$dir/postgresql.conf"
}

# Statements and row contents stay out of the log: they may hold passwords or what clients wrote.
postgres_settings() {
  cat <<CONF
# written at every start; changes are lost
listen_addresses = '127.0.0.1'
port = ${PORT[postgres]}
unix_socket_directories = ''
cluster_name = 'recoverly-$PROFILE'
timezone = 'UTC'
log_timezone = 'UTC'
log_min_error_statement = panic
log_error_verbosity = terse
jit = off
CONF
  case $PROFILE in
    test) # thrown away after a run: durability would only cost time
      printf '%s\n' "max_connections = 400" "shared_buffers = 256MB" "fsync = off" "synchronous_commit = off" \
        "full_page_writes = off" "max_wal_size = 2GB" "authentication_timeout = 5s"
      ;;
    bench) # durable; checkpoints rare enough not to fall into a measured round
      printf '%s\n' "max_connections = 200" "shared_buffers = 512MB" "max_wal_size = 4GB" "checkpoint_timeout = 30min"
      ;;
    *)
      printf '%s\n' "max_connections = 200" "shared_buffers = 128MB"
      ;;
  esac
}

ready_postgres() { "$PG_BIN/pg_isready" -q -t 2 -h 127.0.0.1 -p "${PORT[postgres]}"; }

# SIGINT is Postgres' fast shutdown: open transactions are rolled back, nothing waits for clients.
stop_postgres() { stop_process postgres INT; }

# --- RabbitMQ --------------------------------------------------------------------------------------------------------

start_rabbitmq() {
  local dir scheduler_args
  dir=$(data_dir rabbitmq)
  make_data_dir rabbitmq
  make_data_dir epmd
  mkdir -p -- "$dir"/{mnesia,log}
  cp -- "$REPO_DIR/deploy/rabbitmq/enabled_plugins" "$dir/enabled_plugins"
  rabbitmq_settings | write_private "$dir/rabbitmq.conf"
  [[ -s $dir/.erlang.cookie ]] || write_private "$dir/.erlang.cookie" <<<"${SECRET[rabbitmq_cookie]}"
  hand_over "$dir" "$(data_dir epmd)"
  chmod 400 -- "$dir/.erlang.cookie"
  # Erlang's name service would listen on all addresses, on one port for all of the machine, and outlive the broker.
  spawn epmd "$(epmd_program)" -address 127.0.0.1 -port "${PORT[epmd]}"
  retry_for "$STOP_TIMEOUT_S" port_open "${PORT[epmd]}" || die "epmd did not start"
  # Schedulers that sleep instead of spinning leave the cores to the tests.
  scheduler_args="+sbwt none +sbwtdcpu none +sbwtdio none"
  # RUNNING_UNDER_SYSTEMD makes the script become the broker instead of staying in front of it.
  spawn rabbitmq "PATH=$ERLANG_BIN:$PATH" RUNNING_UNDER_SYSTEMD=true ERL_EPMD_ADDRESS=127.0.0.1 \
    "ERL_EPMD_PORT=${PORT[epmd]}" RABBITMQ_CONF_ENV_FILE=/dev/null "RABBITMQ_NODENAME=recoverly-$PROFILE@localhost" \
    "RABBITMQ_MNESIA_BASE=$dir/mnesia" "RABBITMQ_LOG_BASE=$dir/log" RABBITMQ_LOGS=- \
    "RABBITMQ_CONFIG_FILE=$dir/rabbitmq.conf" "RABBITMQ_ADVANCED_CONFIG_FILE=$dir/none" \
    "RABBITMQ_ENABLED_PLUGINS_FILE=$dir/enabled_plugins" "RABBITMQ_PID_FILE=$dir/pid" \
    "RABBITMQ_DIST_PORT=${PORT[distribution]}" "RABBITMQ_FEATURE_FLAGS_FILE=$dir/feature_flags" \
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} $scheduler_args" \
    ERL_CRASH_DUMP_SECONDS=0 "$RABBIT_BIN/rabbitmq-server"
}

epmd_program() {
  compgen -G "$ERLANG_BIN/epmd" || compgen -G "$ERLANG_BIN/../erts-*/bin/epmd" | head -n 1
}

rabbitmq_settings() {
  cat <<CONF
# written at every start; changes are lost
listeners.tcp.1 = 127.0.0.1:${PORT[amqp]}
management.tcp.ip = 127.0.0.1
management.tcp.port = ${PORT[management]}
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = ${PORT[prometheus]}
default_user = recoverly
default_pass = ${SECRET[rabbitmq]}
CONF
  cat -- "$REPO_DIR/deploy/rabbitmq/limits.conf"
}

ready_rabbitmq() {
  port_open "${PORT[amqp]}" && port_open "${PORT[management]}" && port_open "${PORT[prometheus]}"
}

stop_rabbitmq() {
  stop_process rabbitmq TERM
  stop_process epmd TERM
}

# --- Valkey ----------------------------------------------------------------------------------------------------------

start_redis() {
  local dir
  dir=$(data_dir redis)
  make_data_dir redis
  redis_settings "$dir" | write_private "$dir/redis.conf"
  hand_over "$dir"
  spawn redis "$REDIS_SERVER" "$dir/redis.conf"
}

redis_settings() {
  local durable=yes
  [[ $PROFILE != test ]] || durable=no
  cat <<CONF
bind 127.0.0.1
protected-mode yes
port ${PORT[redis]}
dir $1
requirepass ${SECRET[redis]}
appendonly $durable
save ""
maxmemory 256mb
maxmemory-policy noeviction
CONF
}

# A real PING, as the port already answers while the data are still being read.
ready_redis() {
  local answer
  answer=$(
    exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/${PORT[redis]}" || exit 1
    printf 'AUTH %s\r\nPING\r\n' "${SECRET[redis]}" >&3
    read -r -t 2 _ <&3 && read -r -t 2 pong <&3 && printf '%s' "$pong"
  ) || return 1
  [[ $answer == +PONG* ]]
}

stop_redis() { stop_process redis TERM; }
