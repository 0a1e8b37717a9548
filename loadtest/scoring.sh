#!/usr/bin/env bash
# Measures what the scoring of card transactions promises: of a model that is replaced, of a step that is slow.
#
#   scoring.sh swaps     bin/jobs/fraud.sql under 1,000 transactions a second, the model replaced five times: the largest latency of
#                        each stretch of three seconds, with a swap and without
#   scoring.sh deadline  5 ms, and a model that takes far longer from the 10,000th transaction on: how many answers came within the
#                        deadline and one run of the model, and whether all others are marked
#
# Environment: THALWEG (default thalweg) and LOADTEST (default thalweg-loadtest), the programs; ORT_DYLIB_PATH.
set -euo pipefail

thalweg="${THALWEG:-thalweg}"
loadtest="${LOADTEST:-thalweg-loadtest}"
here="$(cd "$(dirname "$0")/.." && pwd)"
fail() { echo "scoring.sh: $*" >&2; exit 1; }
[ $# = 1 ] || fail "say what: swaps or deadline"
folder="$(mktemp -d)"
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
port=$((20000 + RANDOM % 20000))

case "$1" in
swaps)
    cp -r "$here/bin/jobs/models" "$folder/models"
    # The same model by another name: a description more.
    for version in 1 2 3 4 5; do
        { cat "$folder/models/fraud.onnx"; printf '\x32\x02v%d' "$version"; } > "$folder/$version.onnx"
    done
    {
        until curl -sf "http://127.0.0.1:$port/ready" > "$folder/ready"; do [ -d "$folder" ] || exit; sleep 0.05; done
        sleep 10.5
        for version in 1 2 3 4 5; do
            curl -sS -o "$folder/answer.$version" -w '%{http_code}\n' --data-binary @"$folder/$version.onnx" \
                -H 'Content-Type: application/octet-stream' "http://127.0.0.1:$port/api/v1/models/fraud" >> "$folder/answers"
            sleep 6
        done
    } &
    steps="$(printf '1000:3,%.0s' $(seq 13))1000:3"
    "$loadtest" latency --payload transactions --step "$steps" --json "$folder/result.json" --command "KAFKA={bootstrap} INPUT={input} \
        OUTPUT={output} MODELS=$folder/models BLOCKED=$here/bin/jobs/blocked_merchants.csv $thalweg run $here/bin/jobs/fraud.sql \
        --http 127.0.0.1:$port --set checkpointLocation={checkpoint}" > "$folder/table"
    [ "$(grep -c '^200$' "$folder/answers")" = 5 ] || fail "a model was not taken: $(cat "$folder"/answer.*)"
    # The first stretch is the warm-up. A swap falls into the middle of the 4th, 6th, 8th, 10th and 12th.
    jq -r '.contenders[0].rounds[0] as $figures | def at(n): $figures["phase\(n)_max_ms"];
        def median: sort | .[length / 2 | floor];
        ([4, 6, 8, 10, 12] | map(at(.))) as $with | ([2, 3, 5, 7, 9, 11, 13, 14] | map(at(.))) as $without |
        "largest with a swap: \($with | map(. * 100 | round / 100)) ms",
        "largest without:     \($without | map(. * 100 | round / 100)) ms",
        "\(($with | max) / ($without | median) * 100 | round / 100) x the median of those without",
        "records \($figures.records), missing \($figures.missing), repeated \($figures.duplicates)"' "$folder/result.json"
    ;;
deadline)
    cat > "$folder/job.sql" <<SQL
SET deadline = '5 ms';
SET checkpointLocation = '\${CHECKPOINT}';
CREATE TABLE transactions (id STRING NOT NULL, card STRING NOT NULL) USING kafka OPTIONS (
  kafka.bootstrap.servers '\${KAFKA}', subscribe '\${INPUT}', startingOffsets 'earliest', format 'json');
CREATE MODEL slow USING onnx OPTIONS (path '$here/tests/models/slow.onnx');
CREATE TABLE answers USING kafka OPTIONS (kafka.bootstrap.servers '\${KAFKA}', topic '\${OUTPUT}', format 'json', key 'id');
INSERT INTO answers SELECT id, card, d.score, d.fallback FROM (
  SELECT *, predict_detail('slow', named_struct('amount', 0.5, 'work', if(CAST(substring(id, -10) AS BIGINT) < 10000, 0, 1500))) FALLBACK 2.0 AS d
  FROM transactions);
SQL
    "$loadtest" latency --payload transactions --step 1000:10,1000:20 --json "$folder/result.json" --command "CHECKPOINT={checkpoint} \
        KAFKA={bootstrap} INPUT={input} OUTPUT={output} $thalweg run $folder/job.sql --http 127.0.0.1:$port" > "$folder/table" &
    measured=$!
    while kill -0 "$measured" 2>/dev/null; do
        if curl -sf "http://127.0.0.1:$port/metrics" > "$folder/now"; then mv "$folder/now" "$folder/metrics"; fi
        sleep 0.2
    done
    wait "$measured" || fail "$(cat "$folder/table")"
    cat "$folder/table"
    of() { awk -v name="$1" 'index($0, name) == 1 { print $NF }' "$folder/metrics"; }
    processed='thalweg_latency_seconds_bucket{query="answers",stage="processed",le='
    echo "answered within 5 ms of being taken: $(of "$processed\"0.005\"") of $(of "$processed\"+Inf\""), within 50 ms: $(of "$processed\"0.05\"")"
    echo "by the model: $(of 'thalweg_model_scored_total{model="slow",role="active"}')," \
        "marked as late: $(of 'thalweg_model_fallbacks_total{model="slow",reason="deadline"}')"
    ;;
*) fail "say what: swaps or deadline" ;;
esac
