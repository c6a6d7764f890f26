# shellcheck shell=bash
#
# The native servers' files: a private tree of Debian packages in .dev/tree, or, failing that, the host's packages.
#
# apt downloads and verifies the packages with state folders of its own, dpkg-deb unpacks them, and the programs are
# pointed at the C library inside the tree. So the same server versions run on any Debian-like host, without root and
# without touching what is installed there. All profiles share the tree.

readonly TREE_CODENAME=trixie
# Raise this when the way the tree is made changes, so that trees made the old way are replaced.
readonly TREE_LAYOUT=1
readonly TREE_PACKAGES=(postgresql-17 postgresql-17-pgvector postgresql-client-17 rabbitmq-server valkey-server valkey-tools)
readonly TREE_TOOLS=(patchelf)
# Grants with INHERIT and SET options, which the roles are made of, came with Postgres 16.
readonly MIN_POSTGRES_VERSION=16
readonly DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Dependencies that only matter when packages are really installed (service managers, users, log rotation), or for
# features not used here: LLVM serves Postgres' just-in-time compiler, which the profiles switch off.
readonly SKIPPED_PACKAGES='libllvm*|llvm*|systemd*|libsystemd-shared*|logrotate|cron*|adduser|passwd|login*|dpkg|tar|bash|gawk|mawk|coreutils|util-linux|perl*|libperl*|debconf*|locales*|lsof|init-system-helpers|sysvinit*|ssl-cert|postgresql-common*|socat|procps|ucf|sensible-utils|*-doc|python3*|libpython3*|media-types|lsb-base'

# Sets PG_BIN, RABBIT_BIN, ERLANG_BIN and REDIS_SERVER.
locate_servers() {
  if ensure_tree; then
    use_tree
  elif use_host_packages; then
    say "using the server packages installed on this machine"
  else
    die "no servers to run: $TREE_PROBLEM, and Postgres ($MIN_POSTGRES_VERSION or newer), RabbitMQ and Valkey or Redis are not all installed here. Set RECOVERLY_DATABASE_URL, RECOVERLY_AMQP_URL and RECOVERLY_REDIS_URL to use servers elsewhere"
  fi
}

use_tree() {
  PG_BIN=$TREE_DIR/usr/lib/postgresql/17/bin
  RABBIT_BIN=$TREE_DIR/usr/lib/rabbitmq/bin
  ERLANG_BIN=$TREE_DIR/usr/lib/erlang/bin
  REDIS_SERVER=$TREE_DIR/usr/bin/valkey-server
}

use_host_packages() {
  local postgres rabbit
  postgres=$(compgen -G '/usr/lib/postgresql/*/bin/postgres' | sort -V | tail -n 1) || postgres=$(command -v postgres) || return 1
  PG_BIN=$(dirname -- "$(readlink -f -- "$postgres")")
  (($(postgres_version) >= MIN_POSTGRES_VERSION)) || return 1
  rabbit=$(readlink -f -- "$(command -v rabbitmq-server)") || return 1
  # Debian's command only switches users; the real script lies beside the package's other files.
  [[ ! -x /usr/lib/rabbitmq/bin/rabbitmq-server ]] || rabbit=/usr/lib/rabbitmq/bin/rabbitmq-server
  RABBIT_BIN=${rabbit%/*}
  ERLANG_BIN=$(dirname -- "$(readlink -f -- "$(command -v erl)")") || return 1
  REDIS_SERVER=$(command -v valkey-server || command -v redis-server) || return 1
}

# Major version of the Postgres in PG_BIN.
postgres_version() { "$PG_BIN/postgres" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/'; }

# The stamp names the packages and the folder, as the programs are tied to it: a moved checkout unpacks anew.
tree_stamp() { printf '%s %s %s %s\n' "$TREE_LAYOUT" "$TREE_CODENAME" "$TREE_DIR" "${TREE_PACKAGES[*]}"; }
tree_is_ready() { [[ -r $TREE_DIR/.stamp && $(<"$TREE_DIR/.stamp") == "$(tree_stamp)" ]]; }

# Sets TREE_PROBLEM and fails when the tree cannot be made on this machine.
ensure_tree() {
  local needed
  tree_is_ready && return 0
  for needed in apt-get dpkg-deb dpkg; do
    has_command "$needed" || { TREE_PROBLEM="this machine has no $needed"; return 1; }
  done
  [[ -r $DEBIAN_KEYRING ]] || { TREE_PROBLEM="$DEBIAN_KEYRING is missing (package debian-archive-keyring)"; return 1; }
  if [[ $TREE_DIR =~ [[:space:]] ]]; then
    TREE_PROBLEM="the path $REPO_DIR contains a space, which Erlang's scripts cannot handle"
    return 1
  fi
  lock_tree
  tree_is_ready || build_tree
}

build_tree() {
  local began=$SECONDS new=$TREE_DIR.new
  rm -rf -- "$new"
  mkdir -p -- "$new"/apt/{lists/partial,archives/partial,debs} || return 1
  write_apt_config "$new/apt"
  download_packages "$new/apt" || return 1
  unpack_packages "$new" || return 1
  relocate_programs "$new" || return 1
  rm -rf -- "$new/apt" "$TREE_DIR"
  mv -- "$new" "$TREE_DIR"
  tree_stamp >"$TREE_DIR/.stamp"
  say "server files are ready ($(du -sm -- "$TREE_DIR" | cut -f1) MB in .dev/tree, $((SECONDS - began)) s)"
}

# --- downloading -----------------------------------------------------------------------------------------------------

# Private state folders, the machine's own proxy settings, none of its hooks.
write_apt_config() {
  local apt_dir=$1
  : >"$apt_dir/status"
  write_sources >"$apt_dir/sources.list"
  cat >"$apt_dir/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::CNF;
Dir::Etc::SourceList "$apt_dir/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "$apt_dir";
Dir::State::Lists "$apt_dir/lists";
Dir::State::status "$apt_dir/status";
Dir::Cache "$apt_dir";
Dir::Cache::Archives "$apt_dir/archives";
Dir::Log "$apt_dir";
APT::Architecture "$(dpkg --print-architecture)";
APT::Architectures { "$(dpkg --print-architecture)"; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
APT::Get::Assume-Yes "true";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
CONF
}

private_apt() { apt-get -q -c "$APT_CONFIG_FILE" "$@"; }

download_packages() {
  local apt_dir=$1 log=$1/log wanted=() bytes=0 name size
  APT_CONFIG_FILE=$apt_dir/apt.conf
  say "reading Debian's package lists ($TREE_CODENAME)"
  if ! private_apt update >"$log" 2>&1; then
    report_apt_problem "$log" "Debian's package lists could not be read"
    return 1
  fi
  if ! private_apt install --print-uris "${TREE_PACKAGES[@]}" "${TREE_TOOLS[@]}" >"$apt_dir/uris" 2>>"$log"; then
    report_apt_problem "$log" "Debian's mirror does not offer the servers"
    return 1
  fi
  while read -r name size; do
    wanted+=("$name")
    bytes=$((bytes + size))
  done < <(wanted_packages "$apt_dir/uris")
  say "downloading ${#wanted[@]} packages ($((bytes / 1024 / 1024)) MB)"
  (cd -- "$apt_dir/debs" && private_apt download "${wanted[@]}") >>"$log" 2>&1 &
  show_download "$!" "$apt_dir/debs" && return 0
  report_apt_problem "$log" "the packages could not be downloaded"
  return 1
}

# Lines of --print-uris are: 'address' file size hash. Prints package and size.
wanted_packages() {
  local file size package
  while read -r _ file size _; do
    package=${file%%_*}
    # shellcheck disable=SC2254  # a list of patterns is meant
    if ! matches_any "$package" "$SKIPPED_PACKAGES"; then
      printf '%s %s\n' "$package" "$size"
    fi
  done < <(grep "^'" -- "$1")
}

matches_any() {
  local patterns pattern
  IFS='|' read -ra patterns <<<"$2"
  for pattern in "${patterns[@]}"; do
    # shellcheck disable=SC2053  # the right side is a pattern
    [[ $1 != $pattern ]] || return 0
  done
  return 1
}

readonly PROGRESS_EVERY_S=5

# Waits for a background download and reports how far it is.
show_download() {
  local pid=$1 folder=$2 began=$SECONDS next=$PROGRESS_EVERY_S
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - began >= next)); then
      say "  $(du -sm -- "$folder" | cut -f1) MB after $((SECONDS - began)) s"
      next=$((next + PROGRESS_EVERY_S))
    fi
  done
  wait "$pid"
}

report_apt_problem() {
  TREE_PROBLEM=$2
  warn "$2:"
  # The first complaints name the cause, the last ones only what followed from it.
  { grep -E '^(E|W):' -- "$1" || tail -n "$ERROR_LOG_LINES" -- "$1"; } | head -n 5 >&2
}

# Sources for apt: the Debian mirror this machine already uses, in the release the servers are taken from.
write_sources() {
  local main security
  main=$(debian_mirror main)
  security=$(debian_mirror security)
  if [[ -z $main ]]; then
    main=http://deb.debian.org/debian
    security=http://deb.debian.org/debian-security
  fi
  printf 'deb [signed-by=%s] %s %s main\n' "$DEBIAN_KEYRING" "$main" "$TREE_CODENAME"
  [[ -z $security ]] || printf 'deb [signed-by=%s] %s %s-security main\n' "$DEBIAN_KEYRING" "$security" "$TREE_CODENAME"
}

# debian_mirror main|security   the first mirror in the machine's sources that serves a Debian release (or its
# security updates). Releases are told by their names, so other vendors' and Ubuntu's sources do not match.
debian_mirror() {
  local releases='(buster|bullseye|bookworm|trixie|forky|duke|sid|oldstable|stable|testing|unstable)'
  local suite="^$releases/?\$"
  [[ $1 == main ]] || suite="^$releases(-security|/updates)\$"
  machine_sources | SUITE=$suite awk '$2 ~ ENVIRON["SUITE"] && $1 ~ /^(http|https|mirror\+https?):/ && !found { print $1; found = 1 }'
}

# All binary sources of this machine as lines "address suite", from both formats that apt knows.
machine_sources() {
  local lists=() stanzas=() file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [[ ! -r $file ]] || lists+=("$file")
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    [[ ! -r $file ]] || stanzas+=("$file")
  done
  if ((${#lists[@]} > 0)); then
    sed -n -E 's/^[[:space:]]*deb[[:space:]]+(\[[^]]*\][[:space:]]*)?([^[:space:]]+)[[:space:]]+([^[:space:]]+).*/\2 \3/p' -- "${lists[@]}"
  fi
  for file in "${stanzas[@]}"; do
    stanza_sources "$file"
  done
}

# A .sources file: stanzas parted by empty lines, comment lines anywhere, lists may continue on indented lines.
stanza_sources() {
  awk '
    function flush(   i, j, n, m, u, s) {
      if (tolower(field["enabled"]) !~ /^ *(no|false|0)/ && (" " field["types"] " ") ~ / deb /) {
        n = split(field["uris"], u, " "); m = split(field["suites"], s, " ")
        for (i = 1; i <= n; i++) for (j = 1; j <= m; j++) print u[i], s[j]
      }
      split("", field); key = ""
    }
    /^#/ { next }
    /^[[:space:]]*$/ { flush(); next }
    /^[[:space:]]/ { field[key] = field[key] " " $0; next }
    { key = tolower($0); sub(/:.*/, "", key); value = $0; sub(/^[^:]*:/, "", value); field[key] = value }
    END { flush() }
  ' "$1"
}

# --- unpacking -------------------------------------------------------------------------------------------------------

unpack_packages() {
  local new=$1
  say "unpacking"
  find "$new/apt/debs" -name '*.deb' -print0 | xargs -0 -P 4 -I '{}' dpkg-deb -x '{}' "$new" || {
    TREE_PROBLEM="the packages could not be unpacked"
    return 1
  }
  rm -rf -- "${new:?}"/usr/share/{doc,man,locale,info,lintian,bug} "$new/usr/lib/postgresql/17/lib/bitcode"
}

# Programs name their loader, and Erlang its root, by absolute path: point both into the tree's final place.
relocate_programs() {
  local new=$1 libraries loader program count=0
  say "fitting the programs to .dev/tree"
  loader=$(cd -- "$new" && compgen -G 'usr/lib/*-linux-gnu*/ld-linux*.so.*' | head -n 1) || {
    TREE_PROBLEM="the C library of the tree was not found"
    return 1
  }
  libraries=${loader%/*}
  # patchelf cannot change the program that is running, which would be itself.
  mv -- "$new/usr/bin/patchelf" "$new/patchelf"
  while IFS= read -r -d '' program; do
    is_dynamic_program "$program" || continue
    "$new/$loader" --library-path "$new/$libraries" "$new/patchelf" --set-interpreter "$TREE_DIR/$loader" \
      --force-rpath --set-rpath "$TREE_DIR/$libraries" "$program" || {
      TREE_PROBLEM="${program##*/} could not be fitted to the tree"
      return 1
    }
    count=$((count + 1))
  done < <(find "$new"/usr/bin "$new"/usr/sbin "$new"/usr/libexec "$new"/usr/lib/postgresql "$new"/usr/lib/erlang \
    -type f -perm -u+x ! -name '*.so*' -print0 2>/dev/null)
  rm -f -- "$new/patchelf"
  find "$new/usr/lib/erlang" -name erl -type f -exec sed -i "s#ROOTDIR=/usr/lib/erlang\$#ROOTDIR=$TREE_DIR/usr/lib/erlang#" {} +
  ((count > 0)) || { TREE_PROBLEM="the tree holds no programs"; return 1; }
}

# ELF files that name a loader; scripts, libraries and static programs need no change.
is_dynamic_program() {
  [[ $(head -c 4 -- "$1" | tr -d '\0') == $'\x7fELF' ]] && LC_ALL=C grep -qaE -m1 '/lib(64)?/ld-linux' -- "$1"
}
