#!/usr/bin/env bash
# Fetches the jars of Maven artifacts, with all that they need to run, once: jars.sh DIR GROUP:ARTIFACT:VERSION...
# Needs Maven and Java.
set -euo pipefail

dir="${1:?jars.sh DIR GROUP:ARTIFACT:VERSION...}"
shift
[ -d "$dir" ] && exit
fail() { echo "jars.sh: $*" >&2; exit 1; }
command -v mvn >/dev/null || fail "no mvn on the path: Maven is needed once, to fetch $*"
mkdir -p "$(dirname "$dir")"
work="$(mktemp -d "$dir.XXXXXX")"
trap 'rm -rf "$work"' EXIT
{
    echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    echo '<groupId>thalweg</groupId><artifactId>jars</artifactId><version>1</version><dependencies>'
    for artifact in "$@"; do
        IFS=: read -r group name version <<<"$artifact"
        echo "<dependency><groupId>$group</groupId><artifactId>$name</artifactId><version>$version</version></dependency>"
    done
    echo '</dependencies></project>'
} >"$work/pom.xml"
(cd "$work" && mvn -q -B dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/libs") >"$work/maven.log" 2>&1 ||
    { tail -5 "$work/maven.log" >&2; fail "Maven could not fetch $*"; }
# Aside and then moved in one step: a second fetch at the same time sees all or nothing, and theirs is as good as ours.
mv -T "$work/libs" "$dir" 2>/dev/null || [ -d "$dir" ] || fail "$dir could not be made"
