#!/usr/bin/env bash
#
# `make check`: everything about the code that is known without running it. All checks run, also after one failed.

set -euo pipefail

STACK_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
readonly STACK_DIR
SPEAKER=check
# shellcheck source=lib/common.sh
source "$STACK_DIR/lib/common.sh"
# shellcheck source=lib/project.sh
source "$STACK_DIR/lib/project.sh"

lints() { cargo clippy --workspace --all-targets --locked --quiet -- -D warnings; }

dependencies() {
  if ! { cargo deny --version >/dev/null 2>&1 || install_tool "$CARGO_DENY"; }; then
    warn "cargo-deny is needed and could not be installed (.dev/tools/.log says why); put it on the PATH by hand"
    return 1
  fi
  cargo deny --locked --log-level error check bans licenses sources
}

layers() {
  python3 deploy/dev/check/layers.py --self-test && python3 deploy/dev/check/layers.py
}

shell_scripts() {
  if ! { has_command shellcheck || install_tool "$SHELLCHECK"; }; then
    say "skipped: shellcheck could not be installed (.dev/tools/.log says why)"
    return 0
  fi
  local scripts=() parts=(deploy/dev/lib/*.sh)
  mapfile -t scripts < <(find deploy examples bench -name '*.sh' -not -path '*/lib/*' 2>/dev/null)
  # What a part defines is used by the scripts that source it, so that it looks unused (SC2034).
  shellcheck --external-sources --source-path=SCRIPTDIR "${scripts[@]}" .ci/run &&
    shellcheck --exclude=SC2034 "${parts[@]}"
}

compose_file() {
  local python=python3
  if ! python3 -c 'import yaml' 2>/dev/null; then
    python=$TOOLS_DIR/bin/python
    if ! install_tool "$YAML"; then
      warn "PyYAML is needed and could not be installed (.dev/tools/.log says why)"
      return 1
    fi
  fi
  "$python" deploy/dev/check/compose.py docker-compose.yml
}

main() {
  cd -- "$REPO_DIR"
  step "Packages of this machine" stack setup
  require_rust
  attempt "Format" cargo fmt --all --check
  attempt "Layers, sizes and house rules" layers
  attempt "Tests that the page of the seeds names" python3 deploy/dev/check/seeds_page.py
  attempt "Shell scripts" shell_scripts
  attempt "Container file" compose_file
  attempt "Lints" lints
  attempt "Dependencies: licences, sources, who may use what" dependencies
  attempt "Generated documentation is current" deploy/dev/docs.sh --check
  printf '\n'
  finish_steps && say "all is well, after $(duration "$SECONDS")"
}

main "$@"
