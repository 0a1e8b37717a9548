#!/usr/bin/env bash
# Starts a Kinesis for tests and for trying things out: kinesalite on loopback, in memory.
#
#   kinesis.sh fetch          fetch it only
#   kinesis.sh serve [PORT]   serve in the foreground; prints http://127.0.0.1:PORT when it does. Without PORT a free one. Ends
#                             with Ctrl-C, or when its standard input is a pipe that is closed.
#
# Environment: THALWEG_CACHE (default ~/.cache/thalweg), KINESALITE_VERSION (3.3.3).
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
name=kinesalite
version="${KINESALITE_VERSION:-3.3.3}"
need=npm

install() { (cd "$1" && npm install --silent --no-audit --no-fund --prefix "$1" "kinesalite@$version"); }

serve() {
    command -v node >/dev/null || fail "no node on the path"
    NODE_PATH="$cache/node_modules" exec node "$here/kinesis.js" "$1"
}

. "$here/served.sh"
main "$@"
