#!/usr/bin/env bash
# Starts and stops a real Apache Kafka broker (KRaft, one JVM, loopback only) for tests and load tests.
#
#   broker.sh fetch                     fetch and prepare the jars only
#   broker.sh start DIR PORT [OPTIONS]  start (or start again) the broker whose data is in DIR; prints 127.0.0.1:PORT when
#                                       it serves requests. PORT 0 takes a free one at the first start and keeps it.
#   broker.sh cluster DIR COUNT [OPTIONS]
#                                       start COUNT brokers (3 at least, to outlive one) that are one cluster; their folders
#                                       are DIR/1, DIR/2, ..., and every other command takes one of these. Topics have three
#                                       replicas, two of which must be in sync. Prints all addresses, separated by commas.
#   broker.sh stop DIR                  clean stop (SIGTERM); after 20 s SIGKILL
#   broker.sh kill DIR                  SIGKILL
#   broker.sh pause DIR | resume DIR    SIGSTOP | SIGCONT
#   broker.sh pid DIR                   print the pid of the running broker
#   broker.sh tool CLASS [ARG...]       run a class of the jars, e.g. org.apache.kafka.tools.TopicCommand --bootstrap-server ...
#
# Options of start and cluster (for every broker of it; --listener is for start alone):
#   KEY=VALUE                           a broker property (replaces the script's own)
#   --listener NAME=PROTOCOL:PORT[:ADVERTISED]
#                                       one more listener, e.g. SECURE=SASL_SSL:19094, or PROXIED=PLAINTEXT:19095:19096 for
#                                       clients that come through a proxy on port 19096
#   --owner PID [--remove]              kill the broker (and remove DIR) as soon as process PID is gone
# A second start of the same DIR without options keeps the properties of the first.
#
# Environment: THALWEG_CACHE (default ~/.cache/thalweg), KAFKA_VERSION (4.1.0), BROKER_HEAP (512m),
# BROKER_PROPERTIES (more KEY=VALUE, separated by blanks).
# A broker's DIR holds server.properties, broker.log, broker.pid and data/.
set -euo pipefail

version="${KAFKA_VERSION:-4.1.0}"
cache="${THALWEG_CACHE:-$HOME/.cache/thalweg}/kafka-$version"
heap="${BROKER_HEAP:-512m}"
start_seconds=180
stop_seconds=20

fail() { echo "broker.sh: $*" >&2; exit 1; }

java_here() { command -v java >/dev/null || fail "no java on the path: install a Java 17 or later runtime"; }

# Jars, a formatted (empty) metadata log to copy, and a class archive that halves the start-up time. Built aside and
# moved in one step, so that a second fetch at the same time sees all or nothing.
fetch() {
    [ -f "$cache/ready" ] && return
    java_here
    command -v mvn >/dev/null || fail "no mvn on the path: Maven is needed once, to fetch the jars of Apache Kafka"
    mkdir -p "$(dirname "$cache")"
    local work
    work="$(mktemp -d "$cache.XXXXXX")"
    cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>thalweg</groupId><artifactId>broker</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
  </dependencies>
</project>
POM
    (cd "$work" && mvn -q -B dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/libs") >"$work/maven.log" 2>&1 \
        || { tail -5 "$work/maven.log" >&2; rm -rf "$work"; fail "Maven could not fetch Apache Kafka $version"; }
    cat >"$work/log4j2.properties" <<'LOG'
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c{1})%n
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = INFO
LOG
    printf '%s\n' process.roles=broker,controller node.id=1 controller.quorum.voters=1@127.0.0.1:1 \
        listeners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1 controller.listener.names=CONTROLLER \
        "log.dirs=$work/formatted" >"$work/format.properties"
    java -Xshare:auto -cp "$work/libs/*" kafka.tools.StorageTool format -t thalwegTestCluster0000 -c "$work/format.properties" >"$work/format.log" 2>&1 \
        || { tail -5 "$work/format.log" >&2; rm -rf "$work"; fail "the storage of a new broker could not be formatted"; }
    touch "$work/ready"
    # Lost the race against another fetch: theirs is as good as ours.
    mv -T "$work" "$cache" 2>/dev/null || rm -rf "$work"
    [ -f "$cache/ready" ] || fail "$cache exists but is not complete: remove it"
    archive_classes
}

# The class archive is made by a first start and clean stop. It is an extra: without it a start takes a second longer.
archive_classes() {
    local dir
    dir="$(mktemp -d)"
    ARCHIVE_TO="$cache/classes.jsa.$$" start "$dir" 0 >/dev/null 2>&1 || true
    stop "$dir" 90 2>/dev/null || true
    [ -f "$cache/classes.jsa.$$" ] && mv "$cache/classes.jsa.$$" "$cache/classes.jsa"
    rm -rf "$dir"
}

# Ports below Linux' ephemeral range, so that no outgoing connection takes one meanwhile.
free_port() {
    local port
    for _ in $(seq 200); do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    fail "no free port between 20000 and 32000"
}

# The pid of the broker of DIR, if it lives: the command line is compared, because pids are used again.
living() {
    local pid
    pid="$(cat "$1/broker.pid" 2>/dev/null)" && [ -n "$pid" ] || return 1
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "kafka.Kafka $1/server.properties" && echo "$pid"
}

need_living() { living "$1" || fail "no broker is running in $1"; }

property() { sed -n "s/^$2=//p" "$1/server.properties" 2>/dev/null | tail -1; }

# The settings of broker NODE among VOTERS (`1@127.0.0.1:PORT,...`, the controllers of all) with so many COPIES of each log.
write_properties() {
    local dir="$1" port="$2" controller="$3" node="$4" voters="$5" copies="$6" insync listeners advertised map option name protocol bind shown
    shift 6
    insync=$((copies > 2 ? 2 : 1))
    listeners="PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller"
    advertised="PLAINTEXT://127.0.0.1:$port"
    map="CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"
    local own=()
    while [ $# -gt 0 ]; do
        option="$1"; shift
        case "$option" in
        --listener)
            [[ "${1:-}" =~ ^([A-Z_]+)=([A-Z_]+):([0-9]+)(:([0-9]+))?$ ]] || fail "--listener wants NAME=PROTOCOL:PORT[:ADVERTISED], got '${1:-}'"
            name="${BASH_REMATCH[1]}" protocol="${BASH_REMATCH[2]}" bind="${BASH_REMATCH[3]}" shown="${BASH_REMATCH[5]:-${BASH_REMATCH[3]}}"
            listeners+=",$name://127.0.0.1:$bind"
            advertised+=",$name://127.0.0.1:$shown"
            map+=",$name:$protocol"
            shift ;;
        --owner) shift ;;
        --remove) ;;
        *=*) own+=("$option") ;;
        *) fail "unknown option '$option' of start" ;;
        esac
    done
    local more=()
    read -r -a more <<<"${BROKER_PROPERTIES:-}"
    # Java keeps the last of two equal keys: what the caller gave stands last.
    printf '%s\n' process.roles=broker,controller "node.id=$node" "controller.quorum.voters=$voters" \
        "listeners=$listeners" "advertised.listeners=$advertised" "listener.security.protocol.map=$map" \
        controller.listener.names=CONTROLLER inter.broker.listener.name=PLAINTEXT "log.dirs=$dir/data" \
        num.partitions=4 auto.create.topics.enable=false delete.topic.enable=true "default.replication.factor=$copies" \
        "min.insync.replicas=$insync" "offsets.topic.replication.factor=$copies" offsets.topic.num.partitions=4 \
        "transaction.state.log.replication.factor=$copies" "transaction.state.log.min.isr=$insync" \
        transaction.state.log.num.partitions=4 "share.coordinator.state.topic.replication.factor=$copies" \
        "share.coordinator.state.topic.min.isr=$insync" group.initial.rebalance.delay.ms=0 num.network.threads=3 num.io.threads=4 \
        log.cleaner.dedupe.buffer.size=16777216 ${more[@]+"${more[@]}"} ${own[@]+"${own[@]}"} >"$dir/server.properties"
}

start() {
    local dir="${1:?start DIR PORT}" port="${2:?start DIR PORT}" controller
    shift 2
    [[ "$port" =~ ^[0-9]+$ ]] || fail "PORT is a number, got '$port'"
    mkdir -p "$dir"
    dir="$(cd "$dir" && pwd)"
    if [ "$port" = 0 ]; then port="$(cat "$dir/port" 2>/dev/null || free_port)"; fi
    controller="$(cat "$dir/controller.port" 2>/dev/null || free_port)"
    prepare "$dir" "$port" "$controller" 1 "1@127.0.0.1:$controller" 1 "$@"
    launch "$dir"
    await "$dir"
    attend "$dir" "" "$@"
    echo "127.0.0.1:$port"
}

cluster() {
    local dir="${1:?cluster DIR COUNT}" count="${2:?cluster DIR COUNT}" node voters="" addresses="" copies
    shift 2
    [[ "$count" =~ ^[1-9]$ ]] || fail "COUNT is a number from 1 to 9, got '$count'"
    copies=$((count < 3 ? count : 3))
    mkdir -p "$dir"
    dir="$(cd "$dir" && pwd)"
    for node in $(seq "$count"); do
        mkdir -p "$dir/$node"
        [ -f "$dir/$node/port" ] || free_port >"$dir/$node/port"
        [ -f "$dir/$node/controller.port" ] || free_port >"$dir/$node/controller.port"
        voters+=",$node@127.0.0.1:$(cat "$dir/$node/controller.port")"
        addresses+=",127.0.0.1:$(cat "$dir/$node/port")"
    done
    # All before the first is waited for: none is ready before most of them are.
    for node in $(seq "$count"); do
        prepare "$dir/$node" "$(cat "$dir/$node/port")" "$(cat "$dir/$node/controller.port")" "$node" "${voters#,}" "$copies" "$@"
        launch "$dir/$node"
    done
    for node in $(seq "$count"); do
        await "$dir/$node"
        attend "$dir/$node" "$dir" "$@"
    done
    echo "${addresses#,}"
}

# Properties, ports and an empty log, where they are not there yet.
prepare() {
    local dir="$1" port="$2" controller="$3" node="$4" voters="$5" copies="$6" pid option previous="" properties=no
    shift 6
    pid="$(living "$dir")" && fail "a broker is already running in $dir (pid $pid)"
    for option in "$@"; do
        case "$previous:$option" in
        --owner:* | *:--owner | *:--remove) ;;
        *) properties=yes ;;
        esac
        previous="$option"
    done
    if [ ! -f "$dir/server.properties" ] || [ "$port" != "$(cat "$dir/port" 2>/dev/null)" ] || [ "$properties" = yes ]; then
        write_properties "$dir" "$port" "$controller" "$node" "$voters" "$copies" "$@"
    fi
    echo "$port" >"$dir/port"
    echo "$controller" >"$dir/controller.port"
    if [ ! -d "$dir/data" ]; then
        cp -r "$cache/formatted" "$dir/data"
        # The folder's id is made anew where it is missing; two brokers must not share one.
        [ "$node" = 1 ] || sed -i -e "s/^node.id=.*/node.id=$node/" -e '/^directory.id=/d' "$dir/data/meta.properties"
    fi
}

# Starts the broker of a prepared DIR; `await` waits for it.
launch() {
    local dir="$1" archive=()
    if [ -n "${ARCHIVE_TO:-}" ]; then archive=(-XX:ArchiveClassesAtExit="$ARCHIVE_TO")
    elif [ -f "$cache/classes.jsa" ]; then archive=(-XX:SharedArchiveFile="$cache/classes.jsa"); fi
    touch "$dir/broker.log"
    stat -c %s "$dir/broker.log" >"$dir/broker.seen"
    setsid java -Xms64m "-Xmx$heap" -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:-UsePerfData -Xshare:auto -Xlog:disable -Djava.awt.headless=true \
        ${archive[@]+"${archive[@]}"} "-Dlog4j2.configurationFile=$cache/log4j2.properties" "-Dkafka.logs.dir=$dir" \
        -cp "$cache/libs/*" kafka.Kafka "$dir/server.properties" >>"$dir/broker.log" 2>&1 </dev/null &
    echo $! >"$dir/broker.pid"
}

# Waits until the launched broker of DIR serves requests.
await() {
    local dir="$1" pid seen until=$((SECONDS + start_seconds))
    pid="$(cat "$dir/broker.pid")"
    seen="$(cat "$dir/broker.seen")"
    until tail -c "+$((seen + 1))" "$dir/broker.log" | grep -q "Kafka Server started"; do
        kill -0 "$pid" 2>/dev/null || { tail -n 5 "$dir/broker.log" >&2; fail "the broker ended while starting, see $dir/broker.log"; }
        [ "$SECONDS" -lt "$until" ] || { kill -9 "$pid"; fail "the broker was not ready in $start_seconds s, see $dir/broker.log"; }
        sleep 0.05
    done
}

# Ends the broker of DIR, one of a cluster in PARENT or alone, with its owner, where the options name one.
attend() {
    local dir="$1" parent="$2" owner="" remove="" option previous=""
    shift 2
    for option in "$@"; do
        case "$previous:$option" in
        --owner:*) owner="$option" ;;
        *:--remove) remove="$dir" ;;
        esac
        previous="$option"
    done
    [ -n "$owner" ] || return 0
    setsid bash -c 'while kill -0 "$1"; do kill -0 "$2" || exit 0; sleep 1; done; kill -9 "$2"; sleep 1; [ -z "$3" ] || rm -rf "$3"; [ -z "$4" ] || rmdir "$4"' \
        broker-owner "$owner" "$(cat "$dir/broker.pid")" "$remove" "$parent" >/dev/null 2>&1 </dev/null &
}

stop() {
    local dir pid until
    dir="$(cd "${1:?stop DIR}" && pwd)"
    pid="$(living "$dir")" || return 0
    kill -CONT "$pid" 2>/dev/null || true
    kill "$pid" 2>/dev/null || true
    until=$((SECONDS + ${2:-$stop_seconds}))
    while living "$dir" >/dev/null; do
        if [ "$SECONDS" -ge "$until" ]; then kill -9 "$pid" 2>/dev/null || true; fi
        sleep 0.05
    done
    rm -f "$dir/broker.pid"
}

command="${1:-}"
[ $# -gt 0 ] && shift
case "$command" in
fetch) fetch ;;
start) fetch; java_here; start "$@" ;;
cluster) fetch; java_here; cluster "$@" ;;
stop) stop "$@" ;;
kill)
    dir="$(cd "${1:?kill DIR}" && pwd)"
    pid="$(need_living "$dir")"
    kill -9 "$pid"
    while living "$dir" >/dev/null; do sleep 0.01; done
    rm -f "$dir/broker.pid" ;;
pause) kill -STOP "$(need_living "$(cd "${1:?pause DIR}" && pwd)")" ;;
resume) kill -CONT "$(need_living "$(cd "${1:?resume DIR}" && pwd)")" ;;
pid) need_living "$(cd "${1:?pid DIR}" && pwd)" ;;
tool) fetch; java_here; exec java -cp "$cache/libs/*" "$@" ;;
*) sed -n '2,/^set -/p' "$0" | sed -n 's/^# \{0,1\}//p' >&2; exit 2 ;;
esac
