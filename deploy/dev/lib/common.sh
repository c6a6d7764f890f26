# shellcheck shell=bash
#
# Names, places, messages and locks used by every other part of the stack scripts.

readonly ALL_PROFILES=(dev test chaos bench)
readonly ALL_SERVERS=(postgres rabbitmq redis)
readonly DATABASE=recoverly_platform
readonly SERVICES=(core social risk reco causal)

# Seconds a server may take to answer, to stop, and to let go of a lock.
readonly START_TIMEOUT_S=90
readonly STOP_TIMEOUT_S=30
readonly LOCK_TIMEOUT_S=900

# Lines of a log that an error message quotes.
readonly ERROR_LOG_LINES=20

REPO_DIR=$(cd -- "$STACK_DIR/../.." && pwd -P)
readonly REPO_DIR
readonly DEV_DIR=$REPO_DIR/.dev
readonly TREE_DIR=$DEV_DIR/tree

# A stripped environment may lack the sbin folders, where setpriv's kin live on some systems.
export PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin"
export LC_ALL=C.UTF-8

# Who speaks in messages; scripts that use these parts set their own name.
readonly SPEAKER=${SPEAKER:-stack}

say() { printf '%s: %s\n' "$SPEAKER" "$*"; }
warn() { printf '%s: %s\n' "$SPEAKER" "$*" >&2; }
die() {
  warn "$*"
  exit 1
}

is_profile() { [[ " ${ALL_PROFILES[*]} " == *" $1 "* ]]; }
is_server() { [[ " ${ALL_SERVERS[*]} " == *" $1 "* ]]; }
has_command() { command -v -- "$1" >/dev/null 2>&1; }

# join_by SEPARATOR WORD...
join_by() {
  local separator=$1 joined=$2
  shift 2
  printf '%s' "$joined"
  (($# == 0)) || printf "$separator%s" "$@"
}

# Takes a lock file on a fixed descriptor. Daemons close both descriptors (see spawn), or a server would keep its
# profile locked for as long as it runs.
readonly PROFILE_LOCK_FD=9
readonly TREE_LOCK_FD=8

lock_profile() {
  local file=$DEV_DIR/.lock-$PROFILE
  if ! { mkdir -p -- "$DEV_DIR" && : >>"$file"; } 2>/dev/null; then
    die "cannot write to $DEV_DIR (made by another user?)"
  fi
  eval "exec $PROFILE_LOCK_FD>>\"\$file\""
  wait_for_lock "$PROFILE_LOCK_FD" "profile $PROFILE"
}

lock_tree() {
  eval "exec $TREE_LOCK_FD>\"\$DEV_DIR/.lock-tree\""
  wait_for_lock "$TREE_LOCK_FD" "the server files"
}

wait_for_lock() {
  flock -n "$1" && return
  say "waiting for another command that is working on $2"
  flock -w "$LOCK_TIMEOUT_S" "$1" || die "gave up after $LOCK_TIMEOUT_S s waiting for $2"
}

# True when something accepts connections on 127.0.0.1:PORT.
port_open() { host_port_open 127.0.0.1 "$1"; }
host_port_open() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# 192 random bits as hex: safe unquoted in URLs, SQL and configuration files.
random_hex() { od -An -v -tx1 -N"${1:-24}" /dev/urandom | tr -d ' \n'; }

# Runs the rest of the arguments until they succeed, for at most SECONDS; false when the time is over.
retry_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}
