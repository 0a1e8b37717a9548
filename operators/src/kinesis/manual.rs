//! The manual of the options of a Kinesis table. Both of Spark's connectors are understood, and Databricks' words.

use crate::codecs::{csv, json};
use crate::table::OptionKind::{Boolean, Duration, OneOf, Text, Whole};
use crate::table::{OptionSpec, joined, option, refused};

/// The names of the options that say what is read.
pub(super) const STREAM: &[&str] = &["streamName", "kinesis.streamName"];
pub(super) const ENDPOINT: &[&str] = &["endpointUrl", "kinesis.endpointUrl", "endpoint"];
pub(super) const REGION: &[&str] = &[
    "region",
    "kinesis.region",
    "kinesis.kinesisRegion",
    "regionName",
];

/// Names that mean the same, each list with the name of the manual first.
#[cfg(feature = "kinesis")]
pub(super) const ALIASES: &[&[&str]] = &[
    STREAM,
    ENDPOINT,
    REGION,
    &["awsAccessKeyId", "kinesis.awsAccessKeyId", "awsAccessKey"],
    &["awsSecretKey", "kinesis.awsSecretKey"],
    &["awsSTSRoleARN", "kinesis.stsRoleArn", "roleArn"],
    &[
        "awsSTSSessionName",
        "kinesis.stsSessionName",
        "roleSessionName",
    ],
    &[
        "startingPosition",
        "kinesis.startingPosition",
        "initialPosition",
    ],
    &["failOnDataLoss", "kinesis.failOnDataLoss"],
    &[
        "kinesis.executor.maxFetchRecordsPerShard",
        "kinesis.maxFetchRecordsPerShard",
    ],
    &[
        "kinesis.executor.maxRecordPerRead",
        "kinesis.getRecords.numberOfRecordsPerFetch",
    ],
    &[
        "kinesis.executor.idleTimeBetweenReadsInMs",
        "kinesis.getRecords.fetchIntervalMs",
    ],
    &[
        "kinesis.client.describeShardInterval",
        "kinesis.describeShardInterval",
    ],
    &["kinesis.client.numRetries", "kinesis.clientNumRetries"],
    &[
        "kinesis.client.retryIntervalMs",
        "kinesis.clientRetryIntervalsMs",
    ],
    &[
        "kinesis.client.maxRetryIntervalMs",
        "kinesis.clientMaxRetryIntervalMs",
    ],
];

const READ_ALL_THE_TIME: &str =
    "records are read all the time, so there is no batch whose fetching could take too long";
const NO_EMPTY_BATCH: &str = "a trigger that nothing came before emits nothing";
const NO_FAN_OUT: &str = "shards are read with GetRecords, there is no enhanced fan-out consumer";
const OWN_CHECKPOINT: &str =
    "positions stand in the query's checkpoint and nowhere else, see checkpointLocation";
const OUTPUT: &str = "Kinesis is an input only";

/// The manual of a Kinesis input: what a table is, then what its format reads.
pub(crate) const OPTIONS: &[OptionSpec] =
    &joined::<{ OWN.len() + JSON.len() + 18 }>(&[OWN, JSON, &csv::READ_OPTIONS]);
/// What JSON has beside `mode`, and shares with CSV.
const JSON: &[OptionSpec] = json::READ_OPTIONS.split_at(1).1;
const OWN: &[OptionSpec] = &[
    option(
        "streamName",
        Text,
        "",
        "messages",
        "The stream to read. Required.",
    ),
    option(
        "endpointUrl",
        Text,
        "",
        "https://kinesis.eu-west-1.amazonaws.com",
        "Where the service is, `https://kinesis.eu-west-1.amazonaws.com`. Default: the region's.",
    ),
    option(
        "region",
        Text,
        "",
        "eu-west-1",
        "The region. Default: the one that `endpointUrl` names, else that of the environment, the profile or the instance; with an `endpointUrl` that names none and nothing else `us-east-1`.",
    ),
    option(
        "awsAccessKeyId",
        Text,
        "",
        "${AWS_KEY}",
        "The id of an access key, together with `awsSecretKey`. Default: the usual chain of environment, profile, web identity, container and instance.",
    ),
    option(
        "awsSecretKey",
        Text,
        "",
        "${file:/run/secrets/aws}",
        "The access key's secret. Never shown; write `${file:/run/secrets/aws}` or `${NAME}`.",
    ),
    option(
        "awsSTSRoleARN",
        Text,
        "",
        "arn:aws:iam::123456789012:role/reader",
        "A role to assume with these credentials before reading.",
    ),
    option(
        "awsSTSSessionName",
        Text,
        "thalweg",
        "nightly",
        "The name of the session of `awsSTSRoleARN`.",
    ),
    option(
        "kinesis.stsEndpointUrl",
        Text,
        "",
        "https://sts.eu-west-1.amazonaws.com",
        "Where the role of `awsSTSRoleARN` is assumed. Default: the region's.",
    ),
    option(
        "awsUseInstanceProfile",
        Boolean,
        "true",
        "false",
        "Whether the instance's own role is asked for when nothing else gives credentials.",
    ),
    option(
        "startingPosition",
        Text,
        "LATEST",
        "AT_TIMESTAMP 2026-01-31T12:00:00Z",
        "Where a query without a checkpoint starts: `LATEST`, `TRIM_HORIZON` or `EARLIEST`, `AT_TIMESTAMP 2026-01-31T12:00:00Z`, or JSON with a position for each shard. Shards that appear later, and those that JSON does not name, start at their oldest record.",
    ),
    option(
        "failOnDataLoss",
        Boolean,
        "true",
        "false",
        "Whether a shard that is gone before it was read to its end, a stream that was made again, or records that the stream did not keep until they were read, end the query; otherwise a warning is logged and it goes on with what is there.",
    ),
    option(
        "kinesis.executor.maxRecordPerRead",
        Whole(1, 10_000),
        "10000",
        "500",
        "At most this many records per read. What is read at once is also limited to 400 KiB, as a shard gives 2 MiB a second.",
    ),
    option(
        "kinesis.executor.maxFetchRecordsPerShard",
        Whole(1, i64::MAX),
        "",
        "10000",
        "At most this many records of each shard per trigger interval; per second when continuous. Default: no limit.",
    ),
    option(
        "kinesis.executor.addIdleTimeBetweenReads",
        Boolean,
        "false",
        "true",
        "Whether to wait for `idleTimeBetweenReadsInMs` between two reads of a shard; without it 200 ms, the shortest that a shard's five reads a second allow.",
    ),
    option(
        "kinesis.executor.idleTimeBetweenReadsInMs",
        Whole(200, 3_600_000),
        "1000",
        "500",
        "From the start of a read of a shard to the next. Counts when it is given, or with `addIdleTimeBetweenReads`.",
    ),
    option(
        "kinesis.client.describeShardInterval",
        Duration,
        "1 second",
        "30 seconds",
        "How often shards are listed. The end of a shard has them listed at once.",
    ),
    option(
        "kinesis.client.numRetries",
        Whole(0, 1000),
        "3",
        "10",
        "How often a question at the start (is there such a stream, which shards has it) is repeated, within 8 seconds. A read is repeated until it succeeds.",
    ),
    option(
        "kinesis.client.retryIntervalMs",
        Whole(1, 600_000),
        "200",
        "500",
        "The pause before a question or read is repeated, doubled each time.",
    ),
    option(
        "kinesis.client.maxRetryIntervalMs",
        Whole(1, 600_000),
        "10000",
        "30000",
        "The longest such pause.",
    ),
    option(
        "format",
        OneOf(&["json", "csv", "text"]),
        "",
        "json",
        "How a record's data is decoded into the declared columns.",
    ),
    OptionSpec {
        default: "FAILFAST",
        ..json::READ_OPTIONS[0]
    },
    refused(
        "multiLine",
        "each record is one value, whatever line ends stand in it",
    ),
    refused("lineSep", "each record is one value"),
    refused("header", "each record is one value, and none is a header"),
    refused("encoding", "values are UTF-8"),
    refused("charset", "values are UTF-8"),
    option(
        "kinesis.consumerType",
        Text,
        "GetRecords",
        "GetRecords",
        "`GetRecords` is the only one.",
    ),
    option(
        "kinesis.streamName",
        Text,
        "",
        "messages",
        "The same as `streamName`.",
    ),
    option(
        "kinesis.endpointUrl",
        Text,
        "",
        "https://kinesis.eu-west-1.amazonaws.com",
        "The same as `endpointUrl`.",
    ),
    option(
        "endpoint",
        Text,
        "",
        "https://kinesis.eu-west-1.amazonaws.com",
        "The same as `endpointUrl`.",
    ),
    option(
        "kinesis.region",
        Text,
        "",
        "eu-west-1",
        "The same as `region`.",
    ),
    option(
        "kinesis.kinesisRegion",
        Text,
        "",
        "eu-west-1",
        "The same as `region`.",
    ),
    option("regionName", Text, "", "eu-west-1", "The same as `region`."),
    option(
        "kinesis.awsAccessKeyId",
        Text,
        "",
        "${AWS_KEY}",
        "The same as `awsAccessKeyId`.",
    ),
    option(
        "awsAccessKey",
        Text,
        "",
        "${AWS_KEY}",
        "The same as `awsAccessKeyId`.",
    ),
    option(
        "kinesis.awsSecretKey",
        Text,
        "",
        "${file:/run/secrets/aws}",
        "The same as `awsSecretKey`.",
    ),
    option(
        "kinesis.stsRoleArn",
        Text,
        "",
        "arn:aws:iam::123456789012:role/reader",
        "The same as `awsSTSRoleARN`.",
    ),
    option(
        "roleArn",
        Text,
        "",
        "arn:aws:iam::123456789012:role/reader",
        "The same as `awsSTSRoleARN`.",
    ),
    option(
        "kinesis.stsSessionName",
        Text,
        "",
        "nightly",
        "The same as `awsSTSSessionName`.",
    ),
    option(
        "roleSessionName",
        Text,
        "",
        "nightly",
        "The same as `awsSTSSessionName`.",
    ),
    option(
        "kinesis.startingPosition",
        Text,
        "",
        "AT_TIMESTAMP 2026-01-31T12:00:00Z",
        "The same as `startingPosition`.",
    ),
    option(
        "initialPosition",
        Text,
        "",
        "AT_TIMESTAMP 2026-01-31T12:00:00Z",
        "The same as `startingPosition`.",
    ),
    option(
        "kinesis.failOnDataLoss",
        Boolean,
        "",
        "false",
        "The same as `failOnDataLoss`.",
    ),
    option(
        "kinesis.maxFetchRecordsPerShard",
        Whole(1, i64::MAX),
        "",
        "10000",
        "The same as `kinesis.executor.maxFetchRecordsPerShard`.",
    ),
    option(
        "kinesis.getRecords.numberOfRecordsPerFetch",
        Whole(1, 10_000),
        "",
        "500",
        "The same as `kinesis.executor.maxRecordPerRead`.",
    ),
    option(
        "kinesis.getRecords.fetchIntervalMs",
        Whole(200, 3_600_000),
        "",
        "500",
        "The same as `kinesis.executor.idleTimeBetweenReadsInMs`.",
    ),
    option(
        "kinesis.describeShardInterval",
        Duration,
        "",
        "30 seconds",
        "The same as `kinesis.client.describeShardInterval`.",
    ),
    option(
        "kinesis.clientNumRetries",
        Whole(0, 1000),
        "",
        "10",
        "The same as `kinesis.client.numRetries`.",
    ),
    option(
        "kinesis.clientRetryIntervalsMs",
        Whole(1, 600_000),
        "",
        "500",
        "The same as `kinesis.client.retryIntervalMs`.",
    ),
    option(
        "kinesis.clientMaxRetryIntervalMs",
        Whole(1, 600_000),
        "",
        "30000",
        "The same as `kinesis.client.maxRetryIntervalMs`.",
    ),
    refused("kinesis.executor.maxFetchTimeInMs", READ_ALL_THE_TIME),
    refused("kinesis.maxFetchTimePerShardSec", READ_ALL_THE_TIME),
    refused("kinesis.client.avoidEmptyBatches", NO_EMPTY_BATCH),
    refused("kinesis.checkNewRecordThreads", NO_EMPTY_BATCH),
    refused("kinesis.consumerName", NO_FAN_OUT),
    refused("kinesis.subscribeToShard.timeoutSec", NO_FAN_OUT),
    refused("kinesis.subscribeToShard.maxRetries", NO_FAN_OUT),
    refused("kinesis.metadataCommitterType", OWN_CHECKPOINT),
    refused("kinesis.metadataPath", OWN_CHECKPOINT),
    refused("kinesis.metadataNumRetries", OWN_CHECKPOINT),
    refused("kinesis.metadataRetryIntervalsMs", OWN_CHECKPOINT),
    refused("kinesis.metadataMaxRetryIntervalMs", OWN_CHECKPOINT),
    refused("kinesis.dynamodb.tableName", OWN_CHECKPOINT),
    refused(
        "kinesis.minBatchesToRetain",
        "checkpointsKept says how many checkpoints are kept",
    ),
    refused(
        "kinesis.credentialProviderClass",
        "no Java class can be loaded; `credential_process` in the profile runs a program",
    ),
    refused(
        "kinesis.credentialProviderParam",
        "no Java class can be loaded; `credential_process` in the profile runs a program",
    ),
    refused("kinesis.executor.recordMaxBufferedTime", OUTPUT),
    refused("kinesis.executor.maxConnections", OUTPUT),
    refused("kinesis.executor.aggregationEnabled", OUTPUT),
    refused("kinesis.executor.flushwaittimemillis", OUTPUT),
    // As the connector itself misspells it.
    refused("kniesis.executor.flushwaittimemillis", OUTPUT),
    refused("kinesis.sink.*", OUTPUT),
];
