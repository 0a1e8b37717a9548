//! The manual of the options of a Kafka table.

use super::partitioner::Partitioner;
use crate::codecs::{csv, json};
use crate::table::{OptionKind, OptionSpec, joined, option, refused};

use OptionKind::{Boolean, OneOf, Text, Whole};

const SERVERS: OptionSpec = option(
    "kafka.bootstrap.servers",
    Text,
    "",
    "broker-1:9092,broker-2:9092",
    "Brokers to ask first, `host:port`, separated by commas. Required.",
);
const CLIENT: OptionSpec = option(
    "kafka.*",
    Text,
    "",
    "SASL_SSL",
    "Any other property of the Kafka client, by librdkafka's or Java's name.",
);
const FORMAT: OptionSpec = option(
    "format",
    OneOf(&["json", "csv", "text", "avro"]),
    "",
    "json",
    "How a value is decoded into the declared columns, or encoded from the columns of the query.",
);
const REGISTRY: OptionSpec = option(
    "schema.registry.url",
    Text,
    "",
    "https://registry.example:8081",
    "With format avro: the addresses of the schema registry, `http://host:port`, separated by commas; the first that answers counts. Required.",
);
const REGISTRY_USER: OptionSpec = option(
    "schema.registry.basic.auth.user.info",
    Text,
    "",
    "reader:${file:/run/secrets/registry}",
    "With format avro: `user:password` for the schema registry. Never shown.",
);
const MODE: OptionSpec = OptionSpec {
    default: "FAILFAST",
    ..json::READ_OPTIONS[0]
};
const HEADERS: OptionSpec = option(
    "includeHeaders",
    Boolean,
    "false",
    "true",
    "Adds the column `headers` (and `_metadata.headers`) to an input. An output writes its `headers` column always.",
);

/// The manual of a Kafka input: what a table is, then what its format reads.
pub(crate) const SOURCE_OPTIONS: &[OptionSpec] =
    &joined::<{ SOURCE.len() + JSON.len() + 18 }>(&[SOURCE, JSON, &csv::READ_OPTIONS]);
/// What JSON has beside `mode`, and shares with CSV.
const JSON: &[OptionSpec] = json::READ_OPTIONS.split_at(1).1;
const SOURCE: &[OptionSpec] = &[
    SERVERS,
    option(
        "subscribe",
        Text,
        "",
        "invoices,refunds",
        "Topics to read, separated by commas. One of `subscribe`, `subscribePattern` and `assign` is required.",
    ),
    option(
        "subscribePattern",
        Text,
        "",
        "^invoices-.*$",
        "A Java regular expression: topics in whose name it is found are read, also those that appear later. `^` and `$` mean the whole name.",
    ),
    option(
        "assign",
        Text,
        "",
        "{\"invoices\":[0,1]}",
        "Partitions to read, as JSON: `{\"invoices\":[0,1]}`.",
    ),
    option(
        "startingOffsets",
        Text,
        "latest",
        "{\"invoices\":{\"0\":4711,\"1\":-2}}",
        "Where a query without a checkpoint starts: `earliest`, `latest`, `group` (where the consumer group stands; a partition without an entry at its earliest), or JSON with an offset for each partition, -2 earliest, -1 latest. Partitions that appear later start at their earliest.",
    ),
    option(
        "startingTimestamp",
        Text,
        "",
        "1767225600000",
        "Start at the first record at or after this time, in milliseconds since 1970. Wins over the next two.",
    ),
    option(
        "startingOffsetsByTimestamp",
        Text,
        "",
        "{\"invoices\":{\"0\":1767225600000}}",
        "The same for each partition, as JSON. Wins over startingOffsets.",
    ),
    option(
        "startingOffsetsByTimestampStrategy",
        OneOf(&["error", "latest"]),
        "error",
        "latest",
        "What to do where no record is that new: an error, or start at the end.",
    ),
    option(
        "failOnDataLoss",
        Boolean,
        "true",
        "false",
        "Whether records that were removed before they were read end the query; otherwise a warning is logged and it goes on with what is there.",
    ),
    HEADERS,
    option(
        "maxOffsetsPerTrigger",
        Whole(1, i64::MAX),
        "",
        "10000",
        "At most this many records per trigger interval; per second when continuous. Shared by all partitions. The triggers `once` and `available now` do not wait.",
    ),
    option(
        "groupIdPrefix",
        Text,
        "",
        "shop-",
        "Put before the name of the consumer group, `job-query`. Ignored when kafka.group.id is set.",
    ),
    option(
        "kafka.group.id",
        Text,
        "",
        "loyalty",
        "The consumer group to which positions are committed. Default: `job-query`.",
    ),
    option(
        "fetchOffset.numRetries",
        Whole(0, 1000),
        "3",
        "5",
        "How often the question where a partition begins or ends is repeated.",
    ),
    option(
        "fetchOffset.retryIntervalMs",
        Whole(0, 600_000),
        "10",
        "100",
        "Milliseconds between two such questions.",
    ),
    FORMAT,
    REGISTRY,
    REGISTRY_USER,
    MODE,
    refused(
        "multiLine",
        "each value is one record, whatever line ends stand in it",
    ),
    refused("lineSep", "each value is one record"),
    refused("header", "each value is one record, and none is a header"),
    refused("encoding", "values are UTF-8"),
    refused("charset", "values are UTF-8"),
    refused(
        "singleVariantColumn",
        "there is no type VARIANT; declare the columns, or leave `format` out for the bytes as they are",
    ),
    option(
        "partitioner",
        OneOf(Partitioner::NAMES),
        "",
        "murmur2",
        "With PARTITIONED BY: how the topic's writer puts keys into partitions, `murmur2` (Java's clients), `crc32` (librdkafka's default) or `fnv1a`. Each record's key is checked, and one in another partition, or without a key, is an error of the record. Without it PARTITIONED BY is trusted.",
    ),
    refused(
        "minPartitions",
        "each partition is read by one actor and is never split",
    ),
    refused(
        "maxRecordsPerPartition",
        "each partition is read by one actor and is never split",
    ),
    refused(
        "minOffsetsPerTrigger",
        "records are processed when they come, so there is no batch to wait for",
    ),
    refused(
        "maxTriggerDelay",
        "records are processed when they come, so there is no batch to wait for",
    ),
    refused(
        "endingOffsets",
        "a stream has no end; `SET trigger = 'available now'` reads what is there now",
    ),
    refused(
        "endingTimestamp",
        "a stream has no end; `SET trigger = 'available now'` reads what is there now",
    ),
    refused(
        "endingOffsetsByTimestamp",
        "a stream has no end; `SET trigger = 'available now'` reads what is there now",
    ),
    refused(
        "kafkaConsumer.pollTimeoutMs",
        "records wake the query up, nothing is polled",
    ),
    CLIENT,
];

/// The manual of a Kafka output: what a table is, then what its format writes.
pub(crate) const SINK_OPTIONS: &[OptionSpec] =
    &joined::<{ SINK.len() + 5 + 12 }>(&[SINK, &json::WRITE_OPTIONS, &csv::WRITE_OPTIONS]);
const SINK: &[OptionSpec] = &[
    SERVERS,
    option(
        "topic",
        Text,
        "",
        "notification",
        "The topic to write to. Wins over a column `topic`; one of both is required.",
    ),
    FORMAT,
    REGISTRY,
    REGISTRY_USER,
    option(
        "auto.register.schemas",
        Boolean,
        "true",
        "false",
        "With format avro: whether the schema of the output is registered under `topic-value`; otherwise it must be there.",
    ),
    option(
        "key",
        Text,
        "",
        "id",
        "With `format`: the columns that are the record's key, separated by commas. One is written as its text, several as JSON.",
    ),
    option(
        "headers",
        Text,
        "",
        "headers",
        "With `format`: the column that holds the record's headers, ARRAY<STRUCT<key: STRING, value: BINARY>>.",
    ),
    HEADERS,
    refused(
        "asyncProgressTrackingEnabled",
        "checkpoints are written aside in any case, while records go on",
    ),
    refused(
        "asyncProgressTrackingCheckpointIntervalMs",
        "SET checkpointInterval says how often a checkpoint is written",
    ),
    json::REFUSED_WRITING[0],
    json::REFUSED_WRITING[1],
    refused("encoding", "values are UTF-8"),
    refused("charset", "values are UTF-8"),
    CLIENT,
];
