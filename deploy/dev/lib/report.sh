# shellcheck shell=bash
#
# What `status` and `logs` show.

print_status() {
  local server down=0 port
  local -A listener=([postgres]=postgres [rabbitmq]=amqp [redis]=redis)
  printf '%-10s %-9s %-9s %-8s %-17s %s\n' "PROFILE" "SERVER" "STATE" "PID" "ADDRESS" "MEMORY"
  for server in "${ALL_SERVERS[@]}"; do
    port=${PORT[${listener[$server]}]:-}
    case $(driver_of "$server") in
      external) status_row "$server" external - - - ;;
      compose) status_row "$server" "$(compose_state "$server")" - "$port" - ;;
      native)
        if is_running "$server"; then
          status_row "$server" up "$(main_pid "$server")" "$port" "$(memory_mib "$server") MiB"
        else
          status_row "$server" down - "$port" -
        fi
        ;;
    esac
    is_asked_and_down "$server" && down=1
  done
  return $((down * 3))
}

status_row() {
  local address=-
  [[ $4 == - || -z $4 ]] || address=127.0.0.1:$4
  printf '%-10s %-9s %-9s %-8s %-17s %s\n' "$PROFILE" "$1" "$2" "$3" "$address" "$5"
}

is_asked_and_down() {
  [[ " ${SERVERS[*]} " == *" $1 "* ]] || return 1
  case $(driver_of "$1") in
    external) return 1 ;;
    compose) [[ $(compose_state "$1") != up ]] ;;
    native) ! is_running "$1" ;;
  esac
}

readonly LOG_LINES=60

show_logs() {
  local server files=()
  if [[ $MODE == docker ]]; then
    select_driver compose
    compose logs --tail "$LOG_LINES" "${@/#-F/--follow}" "${SELECTED[@]}"
    return
  fi
  select_driver native
  for server in "${SELECTED[@]}"; do
    [[ ! -e $PROFILE_DIR/logs/$server.log ]] || files+=("$PROFILE_DIR/logs/$server.log")
  done
  ((${#files[@]} > 0)) || die "no logs yet"
  tail -n "$LOG_LINES" "$@" -- "${files[@]}"
}
