#!/usr/bin/env bash
# Starts a Kinesis for tests and for trying things out: kinesalite on loopback, in memory.
#
#   kinesis.sh fetch          fetch it only
#   kinesis.sh serve [PORT]   serve in the foreground; prints http://127.0.0.1:PORT when it does. Without PORT a free one. Ends
#                             with Ctrl-C, or when its standard input is a pipe that is closed.
#
# Environment: THALWEG_CACHE (default ~/.cache/thalweg), KINESALITE_VERSION (3.3.3).
set -euo pipefail

version="${KINESALITE_VERSION:-3.3.3}"
cache="${THALWEG_CACHE:-$HOME/.cache/thalweg}/kinesalite-$version"

fail() { echo "kinesis.sh: $*" >&2; exit 1; }

# Built aside and moved in one step, so that a second fetch at the same time sees all or nothing.
fetch() {
    [ -f "$cache/ready" ] && return
    command -v npm >/dev/null || fail "no npm on the path: it is needed once, to fetch kinesalite"
    mkdir -p "$(dirname "$cache")"
    local work
    work="$(mktemp -d "$cache.XXXXXX")"
    (cd "$work" && npm install --silent --no-audit --no-fund --prefix "$work" "kinesalite@$version") >"$work/npm.log" 2>&1 \
        || { tail -5 "$work/npm.log" >&2; rm -rf "$work"; fail "npm could not fetch kinesalite $version"; }
    touch "$work/ready"
    # Lost the race against another fetch: theirs is as good as ours.
    mv -T "$work" "$cache" 2>/dev/null || rm -rf "$work"
    [ -f "$cache/ready" ] || fail "$cache exists but is not complete: remove it"
}

command="${1:-}"
case "$command" in
fetch) fetch ;;
serve)
    fetch
    command -v node >/dev/null || fail "no node on the path"
    here="$(cd "$(dirname "$0")" && pwd)"
    NODE_PATH="$cache/node_modules" exec node "$here/kinesis.js" "${2:-0}" ;;
*) sed -n '2,/^set -/p' "$0" | sed -n 's/^# \{0,1\}//p' >&2; exit 2 ;;
esac
