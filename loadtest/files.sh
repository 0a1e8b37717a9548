#!/usr/bin/env bash
# Measures folders of files as an input and as an output, in a folder of its own that is removed at the end.
#
#   files.sh csv        lines of 64 bytes, seven columns, to noop: megabytes for each second of processor time, and by the clock
#   files.sh bills      the same of invoices in CSV, ten columns
#   files.sh json       the same of invoices in JSON, ten columns
#   files.sh fields     four of the ten columns of invoices in JSON: declared, and taken out of lines by from_json; processor time
#                       of a record of the whole job each
#   files.sh waiting    100,000 files of one row that wait: when the first row is out, and the memory then and at the end; the
#                       same rows in one file beside it
#   files.sh appearing  100 files of one row that are renamed into the folder one after the other: how long until its row is out
#   files.sh outputs    the invoices in CSV to folders of json, csv and parquet: rows a second by the clock, processor time of
#                       a row beyond what it takes to read it, bytes of a row
#
# Environment: THALWEG (default thalweg), the program; MB (default 200), how much is read.
set -euo pipefail

thalweg="${THALWEG:-thalweg}"
fail() { echo "files.sh: $*" >&2; exit 1; }
words="csv, bills, json, fields, waiting, appearing or outputs"
[ $# = 1 ] || fail "say what: $words"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/in"

bills="BillNo STRING, CreatedTime BIGINT, StoreID STRING, PaymentMode STRING, CustomerCardNo STRING,
  TotalValue DOUBLE, NumberOfItems INT, TaxableAmount DOUBLE, DeliveryType STRING, Note STRING"

# made FORMAT: a file of so many megabytes, of lines that awk makes of their number by this format.
made() {
    local piece="$folder/piece" bytes
    seq 100000 | awk "{ n = \$1; printf $1 }" > "$piece"
    bytes="$(stat -c %s "$piece")"
    for _ in $(seq $(( (${MB:-200} * 1000000 + bytes - 1) / bytes ))); do cat "$piece"; done > "$folder/in/all.$2"
}

made_bills() {
    made '"BILL%08d,17000%08d,STORE%04d,CARD,55%010d,%d.25,%d,%d.75,TAKEAWAY,nothing to say about %d\n", n, n, n % 977, n, n % 5000, n % 40, n % 4000, n' csv
}

made_json() {
    made '"{\"BillNo\":\"BILL%08d\",\"CreatedTime\":17000%08d,\"StoreID\":\"STORE%04d\",\"PaymentMode\":\"CARD\",\"CustomerCardNo\":\"55%010d\",\"TotalValue\":%d.25,\"NumberOfItems\":%d,\"TaxableAmount\":%d.75,\"DeliveryType\":\"TAKEAWAY\",\"Note\":\"nothing to say about %d\"}\n", n, n, n % 977, n, n % 5000, n % 40, n % 4000, n' json
}

# to_noop CONNECTOR COLUMNS: three runs, the best of which counts.
to_noop() {
    cat > "$folder/job.sql" <<SQL
SET trigger = 'available now';
CREATE TABLE rows ($2) USING $1 OPTIONS (path '$folder/in');
CREATE TABLE nowhere USING noop;
INSERT INTO nowhere SELECT * FROM rows;
SQL
    local bytes
    bytes="$(cat "$folder"/in/* | wc -c)"
    for _ in 1 2 3; do
        TIMEFORMAT='%R %U %S'
        { time "$thalweg" run "$folder/job.sql" --http off 2>/dev/null; } 2>&1
    done | awk -v bytes="$bytes" '
        { cpu = $2 + $3; if (!best || cpu < best) best = cpu; if (!wall || $1 < wall) wall = $1 }
        END { printf "%.0f MB: %.0f MB for each second of processor time, %.0f MB a second by the clock\n",
              bytes / 1e6, bytes / best / 1e6, bytes / wall / 1e6 }'
}

# fields: the best of three runs each.
fields() {
    local some="BillNo, CreatedTime, CustomerCardNo, TotalValue" rows how
    rows="$(cat "$folder"/in/* | wc -l)"
    for how in declared from_json; do
        {
            echo "SET trigger = 'available now';"
            echo "CREATE TABLE nowhere USING noop;"
            if [ "$how" = declared ]; then
                echo "CREATE TABLE rows ($bills) USING json OPTIONS (path '$folder/in');"
                echo "INSERT INTO nowhere SELECT $some FROM rows;"
            else
                echo "CREATE TABLE rows USING text OPTIONS (path '$folder/in');"
                echo "INSERT INTO nowhere SELECT d.${some//, /, d.} FROM ("
                echo "  SELECT from_json(CAST(value AS STRING), '${bills//$'\n'/}') AS d FROM rows);"
            fi
        } > "$folder/job.sql"
        for _ in 1 2 3; do
            TIMEFORMAT='%U %S'
            { time "$thalweg" run "$folder/job.sql" --http off 2>/dev/null; } 2>&1
        done | awk -v rows="$rows" -v how="$how" '
            { cpu = $1 + $2; if (!best || cpu < best) best = cpu }
            END { printf "%s: %.2f us of processor time a record\n", how, best / rows * 1e6 }'
    done
}

waiting() {
    (cd "$folder/in" && seq 100000 | split -l 1 -a 5 -d --additional-suffix=.csv - row)
    echo "100,000 files of a row:"
    rows_out
    rm -rf "$folder/in"
    mkdir "$folder/in"
    seq 100000 > "$folder/in/rows.csv"
    echo "the same rows in one file:"
    rows_out
}

# rows_out: starts a job that shows what is in the folder, says when the first row is out and what memory it takes, ends it.
rows_out() {
    cat > "$folder/job.sql" <<SQL
CREATE TABLE rows (n INT) USING csv OPTIONS (path '$folder/in');
SELECT n FROM rows;
SQL
    local begun rows=0 line
    begun="$(date +%s%N)"
    coproc job { exec "$thalweg" run "$folder/job.sql" --http off 2>/dev/null; }
    # shellcheck disable=SC2154
    local process="$job_PID"
    memory() { awk -v of="$1" '$1 == of ":" { printf "%.1f MB", $2 / 1024 }' "/proc/$process/status"; }
    since() { echo $(( ($(date +%s%N) - begun) / 1000000 )); }
    while read -r line <&"${job[0]}"; do
        [[ "$line" =~ [0-9] ]] || continue
        rows=$((rows + 1))
        case "$rows" in
            1) echo "  first row after $(since) ms, $(memory VmRSS)" ;;
            50000) echo "  half of them after $(since) ms, $(memory VmRSS)" ;;
            100000) echo "  all of them after $(since) ms, $(memory VmRSS), at most $(memory VmHWM)"; break ;;
        esac
    done
    kill "$process"
    wait "$process" 2>/dev/null || true
}

# appearing: each file waits aside until the row of the one before it is out.
appearing() {
    mkdir "$folder/aside"
    cat > "$folder/job.sql" <<SQL
CREATE TABLE rows (n INT) USING csv OPTIONS (path '$folder/in');
SELECT n FROM rows;
SQL
    coproc job { exec "$thalweg" run "$folder/job.sql" --http off 2>/dev/null; }
    # shellcheck disable=SC2154
    local process="$job_PID" took=() n begun line
    for n in $(seq 1000 1100); do
        echo "$n" > "$folder/aside/$n.csv"
        begun="${EPOCHREALTIME/[.,]/}"
        mv "$folder/aside/$n.csv" "$folder/in/"
        # A coprocess is read by this shell only, so nothing here stands in a pipe.
        line=""
        until [[ "$line" == *"$n"* ]]; do
            read -r -t 60 line <&"${job[0]}" || fail "the row $n did not come"
        done
        # The first one waits for the start.
        [ "$n" = 1000 ] || took+=($(( ${EPOCHREALTIME/[.,]/} - begun )))
    done
    printf '%s\n' "${took[@]}" | sort -n | awk '
        { took[NR] = $1 / 1000 }
        END { printf "%d files: the row is out after %.1f ms (median), %.1f ms (the slowest)\n", NR, took[int((NR + 1) / 2)], took[NR] }'
    kill "$process"
    wait "$process" 2>/dev/null || true
}

# outputs: the best of three runs each, less what reading to noop takes.
outputs() {
    local rows read=0 format
    rows="$(cat "$folder"/in/* | wc -l)"
    for format in noop json csv parquet; do
        for _ in 1 2 3; do
            rm -rf "$folder/out" "$folder/checkpoints"
            local options=""
            [ "$format" = noop ] || options="OPTIONS (path '$folder/out')"
            cat > "$folder/job.sql" <<SQL
SET trigger = 'available now';
SET checkpointLocation = '$folder/checkpoints';
CREATE TABLE rows ($bills) USING csv OPTIONS (path '$folder/in');
CREATE TABLE written USING $format $options;
INSERT INTO written SELECT * FROM rows;
SQL
            TIMEFORMAT='%R %U %S'
            { time "$thalweg" run "$folder/job.sql" --http off 2>/dev/null; } 2>&1
        done | awk '{ cpu = $2 + $3; if (!best || cpu < best) best = cpu; if (!wall || $1 < wall) wall = $1 } END { print best, wall }' > "$folder/best"
        if [ "$format" = noop ]; then
            read="$(cut -d ' ' -f 1 "$folder/best")"
        else
            awk -v rows="$rows" -v read="$read" -v format="$format" -v bytes="$(cat "$folder"/out/part-* | wc -c)" '
                { printf "%s: %.0f rows a second, %.2f us of processor time a row beyond %.2f us to read it, %.0f bytes a row\n",
                  format, rows / $2, ($1 - read) / rows * 1e6, read / rows * 1e6, bytes / rows }' "$folder/best"
        fi
    done
}

case "$1" in
    csv)
        made '"%08d,user%06d,%d.%02d,2024-01-%02d,%s,%d,%s\n", n, n % 99991, n % 1000, n % 100, 1 + n % 28, n % 2 ? "clicked" : "bought ", 100000000 + n * 9, "xxxxxxx"' csv
        to_noop csv "id BIGINT, user STRING, amount DOUBLE, day DATE, action STRING, n BIGINT, pad STRING" ;;
    bills)
        made_bills
        to_noop csv "$bills" ;;
    json)
        made_json
        to_noop json "$bills" ;;
    fields) made_json; fields ;;
    waiting) waiting ;;
    appearing) appearing ;;
    outputs) made_bills; outputs ;;
    *) fail "say what: $words" ;;
esac
