//! The manual of the settings: name, kind, default, example, meaning, in one table.

/// What a setting belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The job: given once, before the first query.
    Job,
    /// Every query below it.
    Query,
    /// The next query only.
    Next,
}

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// Any text.
    Text,
    /// A name that is also the name of a folder.
    Name,
    /// The name of a table of the job.
    Table,
    /// A duration such as `10 seconds`.
    Duration,
    /// `none` or a duration.
    DurationOrNone,
    /// A whole number in this range, both ends included.
    Whole(u64, u64),
    /// `unlimited` or a whole number.
    WholeOrUnlimited,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A trigger: `continuous`, a duration, `once`, `available now`.
    Trigger,
    /// Options of a store, `name=value, name=value`. May hold a secret: values are never shown.
    Options,
    /// A time zone, such as `Europe/Berlin`.
    Zone,
    /// An amount of memory: a share of the limit such as `70 %`, or `512 MB`.
    Memory,
}

/// The manual of one setting.
#[derive(Clone, Copy, Debug)]
pub struct SettingSpec {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: SettingKind,
    /// Its default as text; empty where there is none.
    pub default: &'static str,
    /// A value that it takes.
    pub example: &'static str,
    /// What it belongs to.
    pub reach: Reach,
    /// What it does.
    pub about: &'static str,
}

const fn spec(
    name: &'static str,
    kind: SettingKind,
    default: &'static str,
    example: &'static str,
    reach: Reach,
    about: &'static str,
) -> SettingSpec {
    SettingSpec {
        name,
        kind,
        default,
        example,
        reach,
        about,
    }
}

const SWITCH: SettingKind = SettingKind::OneOf(&["on", "off"]);

/// All settings, in the order of the manual.
pub const SETTINGS: &[SettingSpec] = &[
    spec(
        "jobName",
        SettingKind::Name,
        "",
        "payments",
        Reach::Job,
        "Identity of the job; the file's name where it is not given.",
    ),
    spec(
        "queryName",
        SettingKind::Name,
        "",
        "totals",
        Reach::Next,
        "Identity of the next query, and the name of its checkpoint folder; the output table's name where it is not given, `console` for a SELECT alone.",
    ),
    spec(
        "checkpointLocation",
        SettingKind::Text,
        "",
        "/var/lib/thalweg/checkpoints",
        Reach::Query,
        "Folder of the checkpoints, or a place in an object store: `s3://bucket/jobs`, `gs://`, `az://` (feature `object-store`); a \
         query's lie in the folder of its name in there. Needed for every output that outlives the process.",
    ),
    spec(
        "checkpointOptions",
        SettingKind::Options,
        "",
        "fs.s3a.endpoint=https://minio:9000, fs.s3a.endpoint.region=eu-west-1",
        Reach::Query,
        "How the object store of checkpointLocation is reached, as `fs.s3a.endpoint=https://minio:9000, \
         fs.s3a.endpoint.region=eu-west-1`: the options of a table with such a path. Without it the environment: AWS_*, \
         profile, role or machine; GOOGLE_APPLICATION_CREDENTIALS; AZURE_STORAGE_*.",
    ),
    spec(
        "checkpointInterval",
        SettingKind::Duration,
        "1 second",
        "250 ms",
        Reach::Query,
        "How often an epoch is committed: what a crash repeats at most.",
    ),
    spec(
        "checkpointsKept",
        SettingKind::Whole(1, 1_000_000),
        "10",
        "20",
        Reach::Query,
        "How many of the newest checkpoints are kept.",
    ),
    spec(
        "checkpointHistory",
        SWITCH,
        "on",
        "off",
        Reach::Query,
        "Keep also one checkpoint per minute for an hour and one per hour for a day.",
    ),
    spec(
        "epochTimeout",
        SettingKind::Duration,
        "60 seconds",
        "5 minutes",
        Reach::Query,
        "An epoch open longer than this, while output and checkpoint folder answer, ends the run.",
    ),
    spec(
        "openEpochsMax",
        SettingKind::Whole(1, 64),
        "4",
        "8",
        Reach::Query,
        "How many epochs may be under way at once.",
    ),
    spec(
        "deliveryTimeout",
        SettingKind::Duration,
        "2 minutes",
        "5 minutes",
        Reach::Query,
        "How long a record may stay unacknowledged while its broker answers.",
    ),
    spec(
        "partitionMetrics",
        SWITCH,
        "on",
        "off",
        Reach::Query,
        "Metrics of position and lag for each partition.",
    ),
    spec(
        "trigger",
        SettingKind::Trigger,
        "continuous",
        "8 seconds",
        Reach::Query,
        "`continuous`; a duration such as `8 seconds`: results once per interval; `once` and `available now`: read to the end that was there at the start, then stop. Rows are processed when they come, whatever it is.",
    ),
    spec(
        "outputMode",
        SettingKind::OneOf(&["append", "update", "complete"]),
        "append",
        "update",
        Reach::Query,
        "What is written, as in Spark: `append` new rows, and results of groups when they are over; `update` every changed result, at once or once per trigger's interval; `complete` the whole result each time, every second without an interval.",
    ),
    spec(
        "onError",
        SettingKind::OneOf(&["fail", "skip", "deadLetter"]),
        "fail",
        "deadLetter",
        Reach::Query,
        "What becomes of a record that cannot be decoded, computed or written: the query ends, it is skipped and counted, or it goes to `deadLetterTable`.",
    ),
    spec(
        "deadLetterTable",
        SettingKind::Table,
        "",
        "failed",
        Reach::Query,
        "The table that takes failed records under `onError = 'deadLetter'`: key, value and headers as they were, with headers that say where and why. On Kafka it has neither columns nor `format`.",
    ),
    spec(
        "showRecords",
        SWITCH,
        "off",
        "on",
        Reach::Query,
        "Quote the content of records in errors and logs.",
    ),
    spec(
        "timeZone",
        SettingKind::Zone,
        "UTC",
        "Europe/Berlin",
        Reach::Query,
        "The zone of times that are written without one.",
    ),
    spec(
        "ansi",
        SettingKind::OneOf(&["true", "false"]),
        "true",
        "false",
        Reach::Query,
        "With `true` a cast that fails, an overflow and a division by zero are errors of the record; with `false` Spark's non-ANSI answers: NULL, and integers wrap.",
    ),
    spec(
        "exchange",
        SettingKind::OneOf(&["gather", "topic"]),
        "gather",
        "topic",
        Reach::Query,
        "How rows change partition where a step with state needs other keys than the input's PARTITIONED BY: `gather`, one lane reads all partitions; `topic`, the rows go by key through a topic that the query makes, `<job>-<query>-exchange` at the input's broker (with several inputs one for each, `<job>-<query>-<table>-exchange`), and one lane for each of its partitions reads it. The results are the same.",
    ),
    spec(
        "idleTimeout",
        SettingKind::Duration,
        "30 seconds",
        "5 seconds",
        Reach::Query,
        "A partition that has been read to its end for so long no longer holds the watermark back. When all are idle the watermark stays, as in Spark.",
    ),
    spec(
        "alignmentMax",
        SettingKind::Duration,
        "1 hour",
        "10 minutes",
        Reach::Query,
        "How far one input may be ahead of another in event time, where one lane reads both (a join): a partition further ahead is paused until the other input has caught up, has ended or is idle. So what they keep for each other stays small.",
    ),
    spec(
        "stateMemoryMax",
        SettingKind::Memory,
        "70 %",
        "512 MB",
        Reach::Job,
        "Memory for the state of all queries: a share of the memory limit, or an amount such as `512 MB`. Beyond it a query ends with the names of its biggest steps.",
    ),
    spec(
        "stateTtl",
        SettingKind::Duration,
        "",
        "7 days",
        Reach::Query,
        "State that no watermark ends is forgotten when it has not changed for so long.",
    ),
    spec(
        "frameRowsMax",
        SettingKind::Whole(1, u64::MAX),
        "100000",
        "10000",
        Reach::Query,
        "Rows, or panes with `frameStep`, that one key's window frame may hold.",
    ),
    spec(
        "frameStep",
        SettingKind::Duration,
        "",
        "1 minute",
        Reach::Query,
        "Width of the panes that RANGE frames of OVER keep instead of rows: less memory, and the far edge of the frame moves in steps.",
    ),
    spec(
        "warmUp",
        SettingKind::DurationOrNone,
        "none",
        "1 hour",
        Reach::Query,
        "How far a query with state reads back, by the records' timestamps, to build state that no checkpoint has: before its starting position at a first start, before the checkpoint for what is new in a changed job. Nothing is written for these records, and `/ready` says no until they are read.",
    ),
    spec(
        "stopTimeout",
        SettingKind::Duration,
        "30 seconds",
        "10 seconds",
        Reach::Query,
        "How long a clean stop may take.",
    ),
    spec(
        "restartsMax",
        SettingKind::WholeOrUnlimited,
        "unlimited",
        "3",
        Reach::Query,
        "How many new runs a query may begin after failures.",
    ),
    spec(
        "outageTimeout",
        SettingKind::DurationOrNone,
        "",
        "10 minutes",
        Reach::Query,
        "How long a query waits for what does not answer, or begins run after run that fails, while nothing is committed; then it \
         ends with exit code 1. `10 minutes` with the triggers `once` and `available now`, else `none`: for ever.",
    ),
    spec(
        "assignment",
        SettingKind::OneOf(&["manual", "group"]),
        "manual",
        "group",
        Reach::Job,
        "Who assigns partitions to processes: with `group` several processes share them by Kafka's group protocol, each \
         under a name of its own (`--member`), and share the checkpointLocation.",
    ),
    spec(
        "standbyReplicas",
        SettingKind::Whole(0, 64),
        "0",
        "1",
        Reach::Job,
        "How many other processes keep the state of each partition in memory, so that one of them takes it over sooner. Needs \
         assignment = 'group'; each copy takes as much memory as `thalweg inspect` shows for the newest checkpoint of the \
         partition.",
    ),
    spec(
        "coordinates",
        SWITCH,
        "off",
        "on",
        Reach::Query,
        "Headers on every record of a Kafka output that say which record made it, in which epoch and how long it took; and a start reads the end of the output and does not write again what already stands there.",
    ),
    spec(
        "deadline",
        SettingKind::Duration,
        "",
        "20 ms",
        Reach::Query,
        "How long an answer may take: where less is left of it than `predict` takes in 99 of 100 calls, its FALLBACK answers. Each `predict` of the query then needs one.",
    ),
    spec(
        "deadlineFrom",
        SettingKind::OneOf(&["taken", "record"]),
        "taken",
        "record",
        Reach::Query,
        "What the deadline is measured from: when the record was taken, or its own timestamp. Records with a timestamp from before the start of the job have all the time.",
    ),
    spec(
        "modelSource",
        SettingKind::OneOf(&["any", "file"]),
        "any",
        "file",
        Reach::Job,
        "Where versions of models may come from: with `file` only from files, and what is posted over HTTP is refused.",
    ),
];
