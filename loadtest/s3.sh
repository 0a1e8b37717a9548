#!/usr/bin/env bash
# Starts an S3 for tests and for trying things out: moto on loopback, in memory.
#
#   s3.sh fetch          fetch it only
#   s3.sh serve [PORT]   serve in the foreground; prints http://127.0.0.1:PORT when it does. Without PORT a free one. Ends with
#                        Ctrl-C, or when its standard input is a pipe that is closed.
#
# Environment: THALWEG_CACHE (default ~/.cache/thalweg), MOTO_VERSION (5.2.2).
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
name=moto
version="${MOTO_VERSION:-5.2.2}"
need=python3

# A folder of packages and no virtual environment, because those cannot be moved.
install() {
    python3 -m venv "$1/venv" && "$1/venv/bin/pip" install --quiet --target "$1/packages" "moto[server]==$version" && rm -rf "$1/venv"
}

serve() { PYTHONPATH="$cache/packages" exec python3 "$here/s3.py" "$1"; }

. "$here/served.sh"
main "$@"
