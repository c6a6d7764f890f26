#!/bin/sh
# Makes the Python environment of the examples: .dev/venv under the repository.
# A second run is quick and changes nothing; a changed requirements.txt is installed.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
venv="$root/.dev/venv"
wanted="$root/examples/requirements.txt"
stamp="$venv/.requirements"

if cmp -s "$wanted" "$stamp"; then
    exit 0
fi
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "examples: Python 3.11 or newer is needed (found: $(python3 --version 2>&1))." >&2
    exit 1
fi
mkdir -p "$root/.dev"
if [ ! -x "$venv/bin/python" ]; then
    echo "examples: making a Python environment in .dev/venv" >&2
    if ! python3 -m venv "$venv"; then
        rm -rf "$venv"
        echo "examples: python3 has no venv module; on Debian: apt-get install python3-venv" >&2
        exit 1
    fi
fi
echo "examples: installing the packages of examples/requirements.txt" >&2
if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted"; then
    echo "examples: pip could not install them; is the package index reachable?" >&2
    exit 1
fi
cp "$wanted" "$stamp"
