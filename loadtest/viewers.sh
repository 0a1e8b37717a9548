#!/usr/bin/env bash
# Measures what those who look at the page cost the job: its processor time in even stretches, in turns without and with five
# viewers, first at rest and then under load. Starts a broker of its own; leaves nothing behind.
#
#   viewers.sh
#
# Environment: THALWEG (default thalweg) and LOADTEST (default thalweg-loadtest), the programs; RATE (default 5000), records a
# second under load; ROUNDS (default 7); SECONDS_EACH (default 8), how long a stretch is.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"

thalweg="${THALWEG:-thalweg}" loadtest="${LOADTEST:-thalweg-loadtest}"
rate="${RATE:-5000}" rounds="${ROUNDS:-7}" each="${SECONDS_EACH:-8}"
folder="$(mktemp -d)"
started=()
end() {
    kill "${started[@]}" 2>/dev/null || true
    wait "${started[@]}" 2>/dev/null || true
    "$here/broker.sh" stop "$folder/broker" >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap end EXIT

broker="$("$here/broker.sh" start "$folder/broker" 0)"
"$loadtest" produce --bootstrap "$broker" --topic purchases --create 4 --count 1000 >/dev/null
"$loadtest" produce --bootstrap "$broker" --topic answers --create 4 --count 0 >/dev/null
port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
KAFKA="$broker" INPUT=purchases OUTPUT=answers "$thalweg" run "$here/loyalty.sql" --http "127.0.0.1:$port" \
    --set "checkpointLocation=$folder/checkpoints" 2>"$folder/job.log" &
job=$!
started+=("$job")
until curl -fs "http://127.0.0.1:$port/ready" >/dev/null; do
    kill -0 "$job" || { cat "$folder/job.log" >&2; exit 2; }
    sleep 0.2
done
sleep 3

# Processor time of the job's threads so far, in microseconds.
used() { cat /proc/"$job"/task/*/schedstat | awk '{ ns += $1 } END { printf "%.0f\n", ns / 1000 }'; }

# stretch: the processor time of so many seconds, in milliseconds for each second.
stretch() {
    local before after
    before="$(used)"
    sleep "$each"
    after="$(used)"
    awk -v us=$(( after - before )) -v s="$each" 'BEGIN { printf "%.3f\n", us / 1000 / s }'
}

# in_turns: without and with five viewers; the medians, and the median of the differences of the pairs.
in_turns() {
    local looking=() without with
    for _ in $(seq "$rounds"); do
        without="$(stretch)"
        looking=()
        for _ in 1 2 3 4 5; do
            curl -Ns "http://127.0.0.1:$port/api/v1/events" >"$folder/seen" &
            looking+=($!)
        done
        sleep 1
        with="$(stretch)"
        kill "${looking[@]}"
        wait "${looking[@]}" 2>/dev/null || true
        echo "$without $with"
    done | python3 -c '
import statistics, sys
pairs = [tuple(map(float, line.split())) for line in sys.stdin]
without, with_them = (statistics.median(side) for side in zip(*pairs))
more = statistics.median(after - before for before, after in pairs)
print(f"{without:.2f} ms a second, with five viewers {with_them:.2f}; the pairs differ by {more:+.2f} ({100 * more / without:+.2f} %)")
'
}

echo "at rest: $(in_turns)"
"$loadtest" produce --bootstrap "$broker" --topic purchases --rate "$rate" \
    --count $(( rate * (rounds * (each * 2 + 2) + 30) )) >/dev/null &
started+=($!)
sleep 5
echo "$rate records/s: $(in_turns)"
