#!/bin/sh
# Makes a virtual environment: tools/make_venv.sh PYTHON DIRECTORY
# Debian ships Python without the module that installs pip (python3-venv); root may add it.
set -eu
python=$1
venv=$2

"$python" - <<'CHECK' || exit 1
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f"expcore: Python {sys.version.split()[0]} is not supported; it must be 3.11 to 3.13: make PYTHON=python3.12")
CHECK

if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq "$version"
    else
        echo "expcore: this Python has no venv; install it first: sudo apt-get install $version" >&2
        exit 1
    fi
fi
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --upgrade pip
