#!/usr/bin/env bash
# The loyalty job in other engines, for `thalweg-loadtest`, which measures them beside Thalweg and the floor in one run.
#
#   neighbours.sh fetch                                               fetch and prepare them all
#   neighbours.sh streams BOOTSTRAP INPUT OUTPUT DIR [NAME=VALUE...]  Kafka Streams; properties of its clients
#   neighbours.sh flink   BOOTSTRAP INPUT OUTPUT DIR                  Flink SQL, in one process
#   neighbours.sh spark   BOOTSTRAP INPUT OUTPUT DIR TRIGGER          Spark Structured Streaming, in one process;
#                                                                     'realTime=5 seconds', 'continuous=1 second', 'processingTime=0 seconds'
#
# DIR keeps state and checkpoints. Each answers at least once and keeps its positions each second; what costs latency by default
# and can be switched off is (neighbours/). Needs a Java 17 development kit, Maven, and for Spark python3 with venv.
#
# Environment: THALWEG_CACHE (default ~/.cache/thalweg), HEAP (the most memory for each Java heap, 512m).
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cache="${THALWEG_CACHE:-$HOME/.cache/thalweg}"
streams=4.1.0
flink=2.2.1
spark=4.3.0
# The newest connector to Kafka that is published.
spark_kafka=4.2.0
heap="${HEAP:-512m}"

# compile JARS NAME: the class of neighbours/NAME.java, beside the jars it was compiled with.
compile() {
    local classes="$1.classes"
    [ "$classes/$2.class" -nt "$here/neighbours/$2.java" ] || javac -nowarn -d "$classes" -cp "$1/*" "$here/neighbours/$2.java"
}

fetch_streams() {
    "$here/jars.sh" "$cache/kafka-streams-$streams" "org.apache.kafka:kafka-streams:$streams" org.slf4j:slf4j-nop:1.7.36
    compile "$cache/kafka-streams-$streams" Streams
}

fetch_flink() {
    local artifacts=() name
    for name in table-planner-loader table-runtime table-api-java-bridge clients connector-base json; do
        artifacts+=("org.apache.flink:flink-$name:$flink")
    done
    "$here/jars.sh" "$cache/flink-$flink" "${artifacts[@]}" org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2 org.slf4j:slf4j-nop:1.7.36
    compile "$cache/flink-$flink" Flink
}

fetch_spark() {
    [ -x "$cache/pyspark-$spark/bin/python" ] || {
        python3 -m venv "$cache/pyspark-$spark"
        "$cache/pyspark-$spark/bin/pip" install --quiet "pyspark==$spark"
    }
    "$here/jars.sh" "$cache/spark-kafka-$spark_kafka" "org.apache.spark:spark-sql-kafka-0-10_2.13:$spark_kafka"
}

what="${1:-}"
case "$what" in
fetch)
    fetch_streams
    fetch_flink
    fetch_spark
    ;;
streams)
    fetch_streams
    exec java "-Xmx$heap" -cp "$cache/kafka-streams-$streams.classes:$cache/kafka-streams-$streams/*" Streams "${@:2}"
    ;;
flink)
    fetch_flink
    opens=()
    for package in java.util java.lang java.net java.io java.nio java.time; do
        opens+=("--add-opens=java.base/$package=ALL-UNNAMED")
    done
    exec java "-Xmx$heap" "${opens[@]}" -cp "$cache/flink-$flink.classes:$cache/flink-$flink/*" \
        Flink "$here/neighbours/flink.sql" "KAFKA=$2" "INPUT=$3" "OUTPUT=$4" "CHECKPOINT=$5"
    ;;
spark)
    fetch_spark
    jars="$(echo "$cache/spark-kafka-$spark_kafka"/*.jar)"
    export PYSPARK_SUBMIT_ARGS="--driver-memory $heap --jars ${jars// /,} pyspark-shell"
    exec "$cache/pyspark-$spark/bin/python" "$here/neighbours/spark.py" "${@:2}"
    ;;
*)
    sed -n '2,/^set -/p' "$0" | sed -n 's/^# \{0,1\}//p' >&2
    exit 2
    ;;
esac
