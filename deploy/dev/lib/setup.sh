# shellcheck shell=bash
#
# `stack.sh setup`: installs the Debian packages that the build and the native servers need and this machine lacks.

# Prints the packages for capabilities that are missing. It looks for the capability, not the package, since
# compilers and Python often come from elsewhere.
missing_packages() {
  has_command curl || echo curl
  has_command cc || echo gcc
  [[ -e /usr/include/stdio.h ]] || echo libc6-dev
  # The name of the check is the package's own module; a Python outside of Debian has it built in.
  python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  [[ -s /etc/ssl/certs/ca-certificates.crt ]] || echo ca-certificates
  [[ -e /usr/share/zoneinfo/UTC ]] || echo tzdata
  has_command flock && has_command setsid && has_command setpriv || echo util-linux
  has_command find || echo findutils
  [[ -r $DEBIAN_KEYRING ]] || echo debian-archive-keyring
}

install_packages() {
  local packages=() as_root=()
  mapfile -t packages < <(missing_packages)
  ((${#packages[@]} > 0)) || return 0
  if [[ $(id -u) != 0 ]]; then
    if ! { has_command sudo && sudo -n true 2>/dev/null; }; then
      die "please install these packages, or ask somebody who may: ${packages[*]}"
    fi
    as_root=(sudo -n)
  fi
  has_command apt-get || die "this machine has no apt-get; please install what these Debian packages hold: ${packages[*]}"
  say "installing ${packages[*]}"
  "${as_root[@]}" apt-get -q -y update >/dev/null || die "apt-get update failed"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "${packages[@]}" \
    >/dev/null </dev/null || die "these packages could not be installed: ${packages[*]}"
  say "installed"
}
