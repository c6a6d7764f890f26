# shellcheck shell=bash
#
# Starting, finding and ending native server processes.
#
# A server's processes are recognised by their working folder, which is the server's data folder: this needs no pid
# file, survives kill -9, cannot mistake a recycled pid for ours, and does not see zombies (they have no folder).

DROP_COMMAND=()

data_dir() { printf '%s/data/%s' "$PROFILE_DIR" "$1"; }

# Pids whose working folder is exactly $1, oldest first.
pids_in_dir() {
  { find /proc/[0-9]*/cwd -maxdepth 0 -printf '%h %l\n' 2>/dev/null || true; } |
    WANTED=$1 awk '{ link = $0; sub(/^[^ ]+ /, "", link); sub("/proc/", "", $1); if (link == ENVIRON["WANTED"]) print $1 }' |
    sort -n
}

server_pids() { pids_in_dir "$(data_dir "$1")"; }
is_running() { main_pid "$1" >/dev/null; }
is_gone() { [[ -z $(server_pids "$1") ]]; }

# The process that was started. Its children may outlive it for a moment after kill -9: without it, the server is down.
main_pid() {
  local pids recorded
  pids=$(server_pids "$1")
  [[ -n $pids ]] || return 1
  recorded=$(cat -- "$PROFILE_DIR/pids/$1" 2>/dev/null) || recorded=${pids%%$'\n'*}
  grep -qx -- "$recorded" <<<"$pids" || return 1
  printf '%s' "$recorded"
}

# Memory of all processes of a server in MiB; shared pages are counted once.
memory_mib() {
  local pid total=0 pss
  for pid in $(server_pids "$1"); do
    pss=$(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup" 2>/dev/null) || pss=0
    total=$((total + ${pss:-0}))
  done
  printf '%d' $((total / 1024))
}

# Decides as whom servers run. Postgres refuses to run as root, so root steps down to `nobody`, or, where the folder
# is not reachable for nobody (a checkout under /root), to a user namespace in which root's own files belong to nobody.
choose_identity() {
  local uid gid
  DROP_COMMAND=()
  [[ $(id -u) == 0 ]] || return 0
  uid=$(id -u nobody 2>/dev/null) || uid=65534
  gid=$(id -g nobody 2>/dev/null) || gid=65534
  local as_nobody=(setpriv "--reuid=$uid" "--regid=$gid" --clear-groups)
  local in_namespace=(unshare --user "--map-user=$uid" "--map-group=$gid")
  chmod 755 -- "$DEV_DIR" "$PROFILE_DIR"
  if "${as_nobody[@]}" test -x "$PROFILE_DIR" 2>/dev/null; then
    DROP_COMMAND=("${as_nobody[@]}")
    SERVER_OWNER=$uid:$gid
  elif "${in_namespace[@]}" true 2>/dev/null; then
    DROP_COMMAND=("${in_namespace[@]}")
  else
    die "running as root, but 'nobody' cannot reach $DEV_DIR and user namespaces are off: move the checkout to a folder others may enter, or run as an ordinary user"
  fi
}

# Gives files to the user the servers run as.
hand_over() {
  [[ -z ${SERVER_OWNER:-} ]] || chown -R -- "$SERVER_OWNER" "$@"
}

# Runs a short helper (initdb) as the servers' user, with a clean environment.
run_as_server() (
  cd -- "$PROFILE_DIR" || exit
  "${DROP_COMMAND[@]}" env -i "PATH=$PATH" LC_ALL=C.UTF-8 HOME=/nonexistent "$@"
)

# spawn SERVER [NAME=value...] COMMAND...   starts a daemon in the server's data folder, detached from this terminal.
# The environment starts empty: a caller's secrets and library paths have no business in a server.
spawn() {
  local server=$1 dir log
  shift
  dir=$(data_dir "$server")
  log=$PROFILE_DIR/logs/$server.log
  rotate_log "$log"
  (
    cd -- "$dir" || exit
    eval "exec $PROFILE_LOCK_FD>&- $TREE_LOCK_FD>&-"
    ulimit -Sn "$MAX_OPEN_FILES" 2>/dev/null || ulimit -Sn "$(ulimit -Hn)"
    setsid "${DROP_COMMAND[@]}" env -i "PATH=$PATH" LC_ALL=C.UTF-8 "HOME=$dir" "$@" >>"$log" 2>&1 </dev/null &
    printf '%s\n' "$!" >"$PROFILE_DIR/pids/$server"
  )
}

# A broker needs a descriptor per connection and queue file; the usual soft limit is 1,024.
readonly MAX_OPEN_FILES=65536

readonly MAX_LOG_BYTES=$((20 * 1024 * 1024))

rotate_log() {
  local size
  size=$(stat -c %s -- "$1" 2>/dev/null) || return 0
  ((size <= MAX_LOG_BYTES)) || mv -f -- "$1" "$1.1"
}

# stop_process SERVER SIGNAL   asks the main process to end, waits, and insists when it does not.
stop_process() {
  local server=$1 signal=$2 pid
  pid=$(main_pid "$server") || return 0
  kill "-$signal" "$pid" 2>/dev/null || true
  if ! retry_for "$STOP_TIMEOUT_S" is_gone "$server"; then
    warn "$server did not stop within $STOP_TIMEOUT_S s: killing it"
    kill_process "$server"
  fi
  rm -f -- "$PROFILE_DIR/pids/$server"
}

# Ends all processes of a server at once, main process first so that it starts no new children.
kill_process() {
  local pid main
  main=$(main_pid "$1") || main=
  for pid in $main $(server_pids "$1"); do
    kill -KILL "$pid" 2>/dev/null || true
  done
  retry_for "$STOP_TIMEOUT_S" is_gone "$1" || die "$1 could not be killed"
}
