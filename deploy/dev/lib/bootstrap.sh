# shellcheck shell=bash
#
# Prepares the database after every `up`: roles, passwords, the application database, schemas and default privileges.

# Sets PSQL to a psql of any origin: the tree's, the host's, and for an external server without either, a new tree's.
locate_psql() {
  if tree_is_ready; then
    use_tree
    PSQL=$PG_BIN/psql
  elif has_command psql; then
    PSQL=psql
  elif [[ $(driver_of postgres) == compose ]]; then
    PSQL=
  else
    locate_servers
    PSQL=$PG_BIN/psql
  fi
}

# psql_at URL [ARG...]   The password travels by environment, since ps shows command lines.
psql_at() {
  local url=$1 user password
  shift
  if [[ -z $PSQL ]]; then
    compose_psql "${url##*/}" "$@"
    return
  fi
  if [[ $url =~ ^([^:]+://)([^:@/]*):([^@/]*)@(.*)$ ]]; then
    user=${BASH_REMATCH[2]}
    password=${BASH_REMATCH[3]}
    url=${BASH_REMATCH[1]}$user@${BASH_REMATCH[4]}
    PGPASSWORD=$(percent_decode "$password") "$PSQL" -X "$url" "$@"
  else
    "$PSQL" -X "$url" "$@"
  fi
}

percent_decode() { printf '%b' "${1//%/\\x}"; }

# Runs SQL from stdin and stops at the first error.
run_sql() { psql_at "$1" -q -v ON_ERROR_STOP=1 -o /dev/null; }

bootstrap_database() {
  local sql=$REPO_DIR/deploy/postgres
  locate_psql
  {
    cat -- "$sql/roles.sql"
    set_passwords
    create_database
  } | run_sql "$(admin_url)" || die "the roles and the database could not be made (see above)"
  run_sql "$(platform_admin_url)" <"$sql/database.sql" || die "the database could not be prepared (see above)"
}

set_passwords() {
  local service
  printf "alter role recoverly_owner password '%s';\n" "${SECRET[owner]}"
  for service in "${SERVICES[@]}"; do
    printf "alter role recoverly_%s password '%s';\n" "$service" "${SECRET[$service]}"
  done
}

# `create database` knows no "if not exists" and no transaction: psql runs the command that the query returns, if any.
create_database() {
  cat <<SQL
select 'create database $DATABASE owner recoverly_owner template template0 encoding ''UTF8'''
where not exists (select from pg_database where datname = '$DATABASE') \gexec
SQL
}
