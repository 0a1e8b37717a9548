#!/usr/bin/env bash
# Starts an Azure Blob Storage for tests and for trying things out: Azurite on loopback, in memory, with the container `shop`.
#
#   azure.sh fetch          fetch it only
#   azure.sh serve [PORT]   serve in the foreground; prints http://127.0.0.1:PORT when it does. Without PORT a free one. Ends with
#                           Ctrl-C, or when its standard input is a pipe that is closed.
#
# A job finds it with AZURE_STORAGE_USE_EMULATOR=true and AZURITE_BLOB_STORAGE_URL=http://127.0.0.1:PORT.
#
# Environment: THALWEG_CACHE (default ~/.cache/thalweg), AZURITE_VERSION (3.35.0).
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
name=azurite
version="${AZURITE_VERSION:-3.35.0}"
need=npm

install() { (cd "$1" && npm install --silent --no-audit --no-fund --prefix "$1" "azurite@$version"); }

serve() {
    command -v node >/dev/null || fail "no node on the path"
    NODE_PATH="$cache/node_modules" exec node "$here/azure.js" "$1"
}

. "$here/served.sh"
main "$@"
