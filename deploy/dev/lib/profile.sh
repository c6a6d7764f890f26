# shellcheck shell=bash
#
# A profile is one independent instance of the servers: its ports, passwords, settings and, per server, its driver:
#   external  a server named by RECOVERLY_DATABASE_URL, RECOVERLY_AMQP_URL or RECOVERLY_REDIS_URL
#   compose   a container of docker-compose.yml
#   native    a private process below .dev/<profile>

declare -A PORT SECRET EXTERNAL

# First port of each profile and each listener's place behind it. Below 32768, where Linux takes ports for outgoing
# connections from; steps of ten leave room to evade ports that others use.
declare -rA PORT_BASE=([dev]=27100 [test]=27200 [chaos]=27300 [bench]=27400)
declare -rA PORT_OFFSET=([postgres]=0 [amqp]=1 [management]=2 [prometheus]=3 [distribution]=4 [epmd]=5 [redis]=6)
declare -rA LISTENERS=([postgres]="postgres" [rabbitmq]="amqp management prometheus distribution epmd" [redis]="redis")
readonly PORT_NAMES=(postgres amqp management prometheus distribution epmd redis)
readonly PORT_STEP=10
# Keys of 32 bytes that the services sign with; Postgres has none of them.
readonly KEYS=(cursor_key audit_key totp_key erasure_key)
readonly MAX_PORT_STEPS=9

declare -rA URL_VARIABLE=([postgres]=RECOVERLY_DATABASE_URL [rabbitmq]=RECOVERLY_AMQP_URL [redis]=RECOVERLY_REDIS_URL)

profile_paths() {
  PROFILE_DIR=$DEV_DIR/$PROFILE
  ENV_FILE=$PROFILE_DIR/env
  SECRETS_FILE=$PROFILE_DIR/secrets
  PORTS_FILE=$PROFILE_DIR/ports
  EXTERNAL_FILE=$PROFILE_DIR/external
  MODE_FILE=$PROFILE_DIR/mode
}

profile_exists() { [[ -d $DEV_DIR/$PROFILE ]]; }

# For commands that only look at or stop what an earlier `up` made.
profile_load() {
  profile_paths
  # Another user's servers would look like servers that are down.
  [[ ! -e $SECRETS_FILE || -r $SECRETS_FILE ]] || die "profile $PROFILE belongs to user $(stat -c %U -- "$SECRETS_FILE")"
  load_pairs PORT "$PORTS_FILE"
  load_pairs SECRET "$SECRETS_FILE"
  load_pairs EXTERNAL "$EXTERNAL_FILE"
  MODE=$(cat -- "$MODE_FILE" 2>/dev/null) || MODE=native
  load_shared_passwords
}

# For `up` and `start`: everything that must exist before a server can start.
profile_prepare() {
  profile_paths
  mkdir -p -- "$PROFILE_DIR"/{data,logs,pids}
  load_pairs PORT "$PORTS_FILE"
  ensure_secrets
  find_external_servers
  load_shared_passwords
  choose_mode
}

# load_pairs ARRAY FILE   reads KEY=value lines into an associative array; a missing file is an empty one.
load_pairs() {
  local -n into=$1
  local key value
  [[ -r $2 ]] || return 0
  while IFS='=' read -r key value; do
    # shellcheck disable=SC2004,SC2034  # the caller's associative array, by reference
    [[ -z $key ]] || into[$key]=$value
  done <"$2"
}

# Writes stdin to a file only its owner may read; in one step, so that a reader never sees half of it.
write_private() {
  (umask 077 && cat >"$1.new")
  mv -f -- "$1.new" "$1"
}

# Makes the passwords that are missing. They stay until `clean`, as the servers' data know them.
ensure_secrets() {
  local name names=(postgres rabbitmq rabbitmq_cookie redis owner "${SERVICES[@]}")
  load_pairs SECRET "$SECRETS_FILE"
  for name in "${names[@]}"; do
    [[ -n ${SECRET[$name]:-} ]] || SECRET[$name]=$(random_hex)
  done
  for name in "${KEYS[@]}"; do
    [[ -n ${SECRET[$name]:-} ]] || SECRET[$name]=$(random_hex 32)
  done
  save_secrets "${KEYS[@]}" "${names[@]}" | write_private "$SECRETS_FILE"
}

save_secrets() {
  local name
  for name in "$@"; do
    printf '%s=%s\n' "$name" "${SECRET[$name]}"
  done
}

# Roles belong to a database server, not to a profile: profiles that share an external server share its passwords,
# or the second profile's `up` would lock out the first.
load_shared_passwords() {
  local shared=$DEV_DIR/external/secrets name
  is_external postgres || return 0
  mkdir -p -- "${shared%/*}"
  if [[ ! -s $shared ]]; then
    save_secrets owner "${SERVICES[@]}" | write_private "$shared"
  fi
  load_pairs SECRET "$shared"
}

is_external() { [[ -n ${EXTERNAL[$1]:-} ]]; }

# Takes over the URLs in the environment, except those that one of our own `env` files put there: a shell that has
# sourced the settings of `dev` must not make `up test` use the servers of `dev`.
find_external_servers() {
  local server variable url
  for server in "${ALL_SERVERS[@]}"; do
    variable=${URL_VARIABLE[$server]}
    url=${!variable:-}
    if [[ -n $url ]] && ! is_own_url "$url"; then
      EXTERNAL[$server]=$url
    fi
  done
  for server in "${!EXTERNAL[@]}"; do
    printf '%s=%s\n' "$server" "${EXTERNAL[$server]}"
  done | write_private "$EXTERNAL_FILE"
}

is_own_url() {
  local file
  for file in "$DEV_DIR"/*/env; do
    [[ -r $file ]] || continue
    # A profile on external servers repeats their URLs in its env file: those stay external.
    if has_value "$1" "$file" && ! has_value "$1" "${file%/env}/external"; then
      return 0
    fi
  done
  return 1
}

# True when a KEY=value file holds exactly this value.
has_value() { [[ -r $2 ]] && grep -qxF -- "$1" < <(cut -d= -f2- -- "$2"); }

# Containers or native processes. What the profile was made with wins, as its data live there.
choose_mode() {
  local wanted=${RECOVERLY_STACK:-}
  [[ -n $wanted || ! -s $MODE_FILE ]] || wanted=$(<"$MODE_FILE")
  case $wanted in
    native | docker) MODE=$wanted ;;
    '') if engine_answers; then MODE=docker; else MODE=native; fi ;;
    *) die "RECOVERLY_STACK must be 'native' or 'docker', not '$wanted'" ;;
  esac
  printf '%s\n' "$MODE" >"$MODE_FILE"
}

driver_of() {
  if is_external "$1"; then
    echo external
  elif [[ $MODE == docker ]]; then
    echo compose
  else
    echo native
  fi
}

# Fills SELECTED with those of SERVERS that have this driver.
select_driver() {
  local server
  SELECTED=()
  for server in "${SERVERS[@]}"; do
    [[ $(driver_of "$server") != "$1" ]] || SELECTED+=("$server")
  done
}

start_servers() {
  local server
  select_driver external
  for server in "${SELECTED[@]}"; do
    check_external "$server"
  done
  select_driver compose
  ((${#SELECTED[@]} == 0)) || compose_start "${SELECTED[@]}"
  select_driver native
  ((${#SELECTED[@]} == 0)) || native_start "${SELECTED[@]}"
  assign_ports "" # the listeners of servers that were not asked for, so that the env file is complete
}

stop_servers() {
  select_driver compose
  ((${#SELECTED[@]} == 0)) || compose_stop "${SELECTED[@]}"
  select_driver native
  ((${#SELECTED[@]} == 0)) || native_stop "${SELECTED[@]}"
}

kill_server() {
  case $(driver_of "$1") in
    external) die "$1 is not ours to kill: ${URL_VARIABLE[$1]} names it" ;;
    compose) compose kill -s KILL "$1" ;;
    native) kill_process "$1" ;;
  esac
  say "$1 killed"
}

delete_volumes() {
  [[ $MODE != docker ]] || compose down --volumes --remove-orphans
}

check_external() {
  local authority=${EXTERNAL[$1]#*://} host port
  local -A default_port=([postgres]=5432 [rabbitmq]=5672 [redis]=6379)
  authority=${authority%%[/?]*}
  authority=${authority##*@}
  host=${authority%%:*}
  port=${default_port[$1]}
  [[ $authority != *:* ]] || port=${authority##*:}
  say "using the $1 that ${URL_VARIABLE[$1]} names ($host:$port)"
  host_port_open "$host" "$port" || die "nothing answers at $host:$port: correct or unset ${URL_VARIABLE[$1]}"
}

# assign_ports SERVER   gives each listener of a server that is about to start a port nobody else uses.
# With an empty name it only completes the list. The choice is remembered in .dev/<profile>/ports.
assign_ports() {
  local name wanted port step moved=()
  for name in "${PORT_NAMES[@]}"; do
    wanted=$((PORT_BASE[$PROFILE] + PORT_OFFSET[$name]))
    port=${PORT[$name]:-$wanted}
    if [[ -n $1 && " ${LISTENERS[$1]} " == *" $name "* ]]; then
      for ((step = 1; step <= MAX_PORT_STEPS; step++)); do
        port_open "$port" || break
        port=$((wanted + step * PORT_STEP))
      done
      ((step == 1)) || moved+=("$name $port")
      ((step <= MAX_PORT_STEPS)) || die "found no free port for $name from $wanted in steps of $PORT_STEP"
    fi
    PORT[$name]=$port
  done
  ((${#moved[@]} == 0)) || say "other programs use some ports of $1, which takes: $(join_by ', ' "${moved[@]}")"
  for name in "${PORT_NAMES[@]}"; do
    printf '%s=%s\n' "$name" "${PORT[$name]}"
  done >"$PORTS_FILE.new"
  mv -f -- "$PORTS_FILE.new" "$PORTS_FILE"
}
