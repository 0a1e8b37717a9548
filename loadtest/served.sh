# What s3.sh, azure.sh and kinesis.sh have in common: a server of somebody else's that is fetched once into the cache and serves on loopback.
# They source it with these set: `name` and `version`, what is fetched; `need`, the program that fetches it; `install FOLDER`, which
# puts it there; and `serve PORT`.
# shellcheck shell=bash disable=SC2154

cache="${THALWEG_CACHE:-$HOME/.cache/thalweg}/$name-$version"

fail() { echo "${0##*/}: $*" >&2; exit 1; }

# Installed aside and moved in one step, so that a second fetch at the same time sees all or nothing.
fetch() {
    [ -f "$cache/ready" ] && return
    command -v "$need" >/dev/null || fail "no $need on the path: it is needed once, to fetch $name"
    mkdir -p "$(dirname "$cache")"
    local work
    work="$(mktemp -d "$cache.XXXXXX")"
    install "$work" >"$work/install.log" 2>&1 \
        || { tail -5 "$work/install.log" >&2; rm -rf "$work"; fail "$name $version could not be fetched"; }
    touch "$work/ready"
    # Lost the race against another fetch: theirs is as good as ours.
    mv -T "$work" "$cache" 2>/dev/null || rm -rf "$work"
    [ -f "$cache/ready" ] || fail "$cache exists but is not complete: remove it"
}

main() {
    case "${1:-}" in
    fetch) fetch ;;
    serve) fetch; serve "${2:-0}" ;;
    *) sed -n '2,/^set -/p' "$0" | sed -n 's/^# \{0,1\}//p' >&2; exit 2 ;;
    esac
}
