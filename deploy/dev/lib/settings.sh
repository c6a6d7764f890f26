# shellcheck shell=bash
#
# The addresses of a profile's servers, and the env file that hands them to programs.

admin_url() {
  if is_external postgres; then
    printf '%s' "${EXTERNAL[postgres]}"
  else
    printf 'postgres://postgres:%s@127.0.0.1:%s/postgres' "${SECRET[postgres]}" "${PORT[postgres]}"
  fi
}

# database_url [USER:PASSWORD]   the application database on the server of admin_url, as another user if one is given.
database_url() {
  local url scheme rest authority query=
  url=$(admin_url)
  scheme=${url%%://*}
  rest=${url#*://}
  if [[ $rest == *\?* ]]; then
    query="?${rest#*\?}"
    rest=${rest%%\?*}
  fi
  authority=${rest%%/*}
  [[ -z ${1:-} ]] || authority=$1@${authority##*@}
  printf '%s://%s/%s%s' "$scheme" "$authority" "$DATABASE" "$query"
}

platform_admin_url() { database_url; }

amqp_url() {
  if is_external rabbitmq; then
    printf '%s' "${EXTERNAL[rabbitmq]}"
  else
    printf 'amqp://recoverly:%s@127.0.0.1:%s/%%2f' "${SECRET[rabbitmq]}" "${PORT[amqp]}"
  fi
}

# An external broker's management address cannot be derived from its URL: it may be given beside it.
management_url() {
  if is_external rabbitmq; then
    printf '%s' "${RECOVERLY_AMQP_MANAGEMENT_URL:-}"
  else
    printf 'http://recoverly:%s@127.0.0.1:%s' "${SECRET[rabbitmq]}" "${PORT[management]}"
  fi
}

redis_url() {
  if is_external redis; then
    printf '%s' "${EXTERNAL[redis]}"
  else
    printf 'redis://default:%s@127.0.0.1:%s/0' "${SECRET[redis]}" "${PORT[redis]}"
  fi
}

write_env_file() {
  local service
  {
    printf 'RECOVERLY_ADMIN_DATABASE_URL=%s\n' "$(admin_url)"
    printf 'RECOVERLY_OWNER_DATABASE_URL=%s\n' "$(database_url "recoverly_owner:${SECRET[owner]}")"
    for service in "${SERVICES[@]}"; do
      printf 'RECOVERLY_%s_DATABASE_URL=%s\n' "${service^^}" "$(database_url "recoverly_$service:${SECRET[$service]}")"
    done
    printf 'RECOVERLY_AMQP_URL=%s\n' "$(amqp_url)"
    [[ -z $(management_url) ]] || printf 'RECOVERLY_AMQP_MANAGEMENT_URL=%s\n' "$(management_url)"
    printf 'RECOVERLY_REDIS_URL=%s\n' "$(redis_url)"
    printf 'RECOVERLY_CURSOR_KEY=%s\n' "${SECRET[cursor_key]}"
    printf 'RECOVERLY_ERASURE_KEY=%s\n' "${SECRET[erasure_key]}"
  } | write_private "$ENV_FILE"
}
