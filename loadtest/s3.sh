#!/usr/bin/env bash
# Starts an S3 for tests and for trying things out: moto on loopback, in memory.
#
#   s3.sh fetch          fetch it only
#   s3.sh serve [PORT]   serve in the foreground; prints http://127.0.0.1:PORT when it does. Without PORT a free one. Ends with
#                        Ctrl-C, or when its standard input is a pipe that is closed.
#
# Environment: THALWEG_CACHE (default ~/.cache/thalweg), MOTO_VERSION (5.2.2).
set -euo pipefail

version="${MOTO_VERSION:-5.2.2}"
cache="${THALWEG_CACHE:-$HOME/.cache/thalweg}/moto-$version"

fail() { echo "s3.sh: $*" >&2; exit 1; }

# Installed aside and moved in one step, so that a second fetch at the same time sees all or nothing. It is a folder of
# packages and no virtual environment, because those cannot be moved.
fetch() {
    [ -f "$cache/ready" ] && return
    command -v python3 >/dev/null || fail "no python3 on the path"
    mkdir -p "$(dirname "$cache")"
    local work
    work="$(mktemp -d "$cache.XXXXXX")"
    (python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --target "$work/packages" "moto[server]==$version") \
        >"$work/pip.log" 2>&1 || { tail -5 "$work/pip.log" >&2; rm -rf "$work"; fail "pip could not fetch moto $version"; }
    rm -rf "$work/venv"
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
    here="$(cd "$(dirname "$0")" && pwd)"
    PYTHONPATH="$cache/packages" exec python3 "$here/s3.py" "${2:-0}" ;;
*) sed -n '2,/^set -/p' "$0" | sed -n 's/^# \{0,1\}//p' >&2; exit 2 ;;
esac
