//! What people write for Spark and this language says in another way: each word with the advice of its error.
//!
//! Spark's own words are kept wherever they fit ([`crate::sql`]). What stands here is what a script of PySpark, a notebook
//! or a pipeline has and a job file has not; `docs/spark.md` tells the same at length.

use crate::job_error::nearest;
use crate::table::parse_duration;

/// Words, and what to write instead of each.
pub(super) type Words = &'static [(&'static str, &'static str)];

pub(super) fn find(words: Words, given: &str) -> Option<&'static str> {
    let found = words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(given));
    found.map(|(_, here)| *here)
}

/// Spark's settings that are settings here, under another name.
const SETTINGS: Words = &[
    ("spark.app.name", "jobName"),
    ("spark.sql.ansi.enabled", "ansi"),
    ("spark.sql.session.timeZone", "timeZone"),
    (
        "spark.sql.streaming.checkpointLocation",
        "checkpointLocation",
    ),
    ("spark.sql.streaming.minBatchesToRetain", "checkpointsKept"),
    ("checkpoint", "checkpointLocation"),
    ("checkpoint_location", "checkpointLocation"),
    ("checkpointDir", "checkpointLocation"),
    ("mode", "outputMode"),
    ("output_mode", "outputMode"),
    ("query_name", "queryName"),
    ("name", "queryName"),
];

/// Beginnings of Spark's settings that need no counterpart, and why.
const WITHOUT: Words = &[
    (
        "spark.sql.shuffle.partitions",
        "remove it: nothing is shuffled. SET exchange = 'topic' spreads a query with state over the partitions of a topic",
    ),
    (
        "spark.sql.streaming.stateStore.",
        "remove it: state lies in memory and in the checkpoints; stateMemoryMax limits it",
    ),
    (
        "spark.sql.streaming.noDataMicroBatches.",
        "remove it: a window is written when the watermark passes its end, whatever the trigger",
    ),
    (
        "spark.sql.streaming.multipleWatermarkPolicy",
        "remove it: the lowest watermark counts",
    ),
    (
        "spark.sql.streaming.schemaInference",
        "remove it, and declare the columns: CREATE TABLE name (column TYPE, ...)",
    ),
    (
        "spark.sql.streaming.metricsEnabled",
        "remove it: metrics are always served, see --http",
    ),
    (
        "spark.sql.caseSensitive",
        "remove it: names of tables and columns are found in any case, fields of JSON by their exact name",
    ),
    (
        "spark.",
        "remove it: it is about a cluster or about batches, and there are none; docs/spark.md says what became of Spark's settings",
    ),
];

/// Calls and options of a writer or reader that people write as settings.
const CALLS: Words = &[
    ("availableNow", "write SET trigger = 'available now'"),
    (
        "continuous",
        "write SET trigger = 'continuous', which is the default; how often positions are committed is checkpointInterval",
    ),
    ("once", "write SET trigger = 'once'"),
    (
        "realTime",
        "write SET trigger = 'continuous', which is the default",
    ),
    (
        "watermark",
        "write WATERMARK ts DELAY OF INTERVAL 10 MINUTES after the options of the table",
    ),
    (
        "withWatermark",
        "write WATERMARK ts DELAY OF INTERVAL 10 MINUTES after the options of the table",
    ),
];

/// Options that are the table's, not a query's.
const TABLE_OPTIONS: [&str; 8] = [
    "failOnDataLoss",
    "format",
    "includeHeaders",
    "maxFilesPerTrigger",
    "maxOffsetsPerTrigger",
    "path",
    "startingOffsets",
    "topic",
];

/// What to write instead of a setting that there is not.
pub(super) fn setting(name: &str, value: &str) -> Option<String> {
    if let Some(here) = find(SETTINGS, name) {
        return Some(format!("write SET {here} = '{value}'"));
    }
    if name.eq_ignore_ascii_case("processingTime") {
        return Some(format!("write SET trigger = '{value}'"));
    }
    let hadoop = name.strip_prefix("spark.hadoop.").unwrap_or(name);
    if hadoop.starts_with("fs.") || hadoop.starts_with("google.cloud.auth.") {
        return Some(format!(
            "for the checkpoints write SET checkpointOptions = '{hadoop}=...', for a table OPTIONS ({hadoop} '...')"
        ));
    }
    let option = TABLE_OPTIONS.iter().find(|o| o.eq_ignore_ascii_case(name));
    if let Some(option) = option {
        return Some(format!(
            "`{option}` is an option of a table: write CREATE TABLE ... USING ... OPTIONS ({option} '{value}')"
        ));
    }
    let lower = name.to_ascii_lowercase();
    let without = WITHOUT
        .iter()
        .find(|(start, _)| lower.starts_with(&start.to_ascii_lowercase()));
    let here = find(CALLS, name).or(without.map(|(_, why)| *why));
    here.map(str::to_owned)
}

/// What to write instead of a trigger that there is not: `processingTime='5 seconds'`, `availableNow`.
pub(super) fn trigger(value: &str) -> Option<String> {
    let plain: String = value
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    let lower = plain.to_ascii_lowercase();
    let (word, rest) = lower.trim().split_once(' ').unwrap_or((lower.trim(), ""));
    let none = |text: &str| parse_duration(text).is_some_and(|interval| interval.is_zero());
    if none(value) || none(rest) {
        return Some(
            "write SET trigger = 'continuous', which is the default: each record is worked on when it comes".to_owned(),
        );
    }
    let interval = parse_duration(rest.trim()).map(|_| rest.trim());
    match (word, interval) {
        ("processingtime", Some(interval)) => Some(format!("write SET trigger = '{interval}'")),
        ("continuous" | "realtime", Some(interval)) => Some(format!(
            "write SET trigger = 'continuous' and SET checkpointInterval = '{interval}'"
        )),
        ("realtime", None) => Some("write SET trigger = 'continuous'".to_owned()),
        ("availablenow" | "available", _) => Some("write SET trigger = 'available now'".to_owned()),
        _ => nearest(value, ["continuous", "once", "available now"])
            .map(|near| format!("did you mean '{near}'?")),
    }
}

/// Options of a writer that are settings of a query here.
const QUERY_OPTIONS: [(&str, &str); 5] = [
    ("checkpointLocation", "checkpointLocation"),
    ("outputMode", "outputMode"),
    ("queryName", "queryName"),
    ("trigger", "trigger"),
    ("mode", "outputMode"),
];

/// What to write instead of an option of a table that there is not.
pub(crate) fn option(name: &str, value: &str) -> Option<String> {
    if name.eq_ignore_ascii_case("bootstrap.servers") {
        return Some("write kafka.bootstrap.servers".to_owned());
    }
    // It is one of reading too, where the format reads more than lines.
    let reads = ["PERMISSIVE", "DROPMALFORMED", "FAILFAST"];
    if name.eq_ignore_ascii_case("mode")
        && reads
            .iter()
            .any(|mode| mode.eq_ignore_ascii_case(value.trim()))
    {
        return Some(
            "leave it out: there is nothing here that a value could fail to fit".to_owned(),
        );
    }
    let (_, here) = QUERY_OPTIONS
        .iter()
        .find(|(option, _)| option.eq_ignore_ascii_case(name))?;
    Some(format!(
        "it is a setting of the query: write SET {here} = '{value}' before the INSERT"
    ))
}

/// What to write instead of a value that an option does not take.
pub(crate) fn value(owner: &str, option: &str, value: &str) -> Option<&'static str> {
    let bytes = matches!(owner, "connector kafka" | "connector kinesis");
    let raw = option.eq_ignore_ascii_case("format") && value.trim().eq_ignore_ascii_case("raw");
    (bytes && raw).then_some(
        "leave `format` out: a table without it has Spark's columns, with the bytes as they are, and one that is written \
         takes a column `value` as it is",
    )
}

/// Options that a Kafka table has in the other role, and the one that is meant.
const ROLES: Words = &[
    (
        "topic",
        "a table that is read names its topics with `subscribe`",
    ),
    (
        "subscribe",
        "a table that is written names its topic with `topic`",
    ),
    (
        "mode",
        "SET outputMode is for a query: append, update or complete",
    ),
    ("startingOffsets", "it belongs to the table that is read"),
];

/// What to write instead of an option of the other role.
pub(crate) fn role(option: &str) -> Option<&'static str> {
    find(ROLES, option)
}

/// Formats and sinks that are no connectors, and what stands for them.
const CONNECTORS: Words = &[
    (
        "memory",
        "`console` shows rows, `noop` forgets them, and `thalweg test` compares them with what is expected",
    ),
    (
        "foreach",
        "`http` posts rows to a server; a sink of your own is written in Rust, see docs/rust.md",
    ),
    (
        "foreachBatch",
        "there are no batches: one INSERT for each output, `http` to post rows, or a sink of your own, see docs/rust.md",
    ),
    (
        "delta",
        "there are no table formats: `parquet` writes a folder of files, each row once",
    ),
    (
        "iceberg",
        "there are no table formats: `parquet` writes a folder of files, each row once",
    ),
    (
        "hudi",
        "there are no table formats: `parquet` writes a folder of files, each row once",
    ),
    (
        "cloudFiles",
        "write USING json, csv, text, parquet or orc with the option `path`",
    ),
    (
        "files",
        "write USING json, csv, text, parquet or orc with the option `path`",
    ),
    (
        "rate-micro-batch",
        "there are no batches that rows could be dealt to: write USING rate, with rowsPerSecond",
    ),
    (
        "binaryFile",
        "files are read as rows of lines or columns: write USING text with wholetext 'true' for one row of each file",
    ),
    (
        "xml",
        "there is no format of XML: records are JSON, CSV, Avro, lines or columns",
    ),
    ("aws-kinesis", "write USING kinesis"),
    (
        "eventhubs",
        "Event Hubs speak Kafka's protocol: write USING kafka",
    ),
    (
        "avro",
        "values of Avro are a format of Kafka's: write USING kafka with the option format 'avro'",
    ),
    (
        "jdbc",
        "a table that changes rarely is a file with static 'true', one that changes often a compacted topic with PRIMARY KEY",
    ),
    (
        "statestore",
        "`thalweg inspect FOLDER --dump` shows what a query keeps",
    ),
];

/// What to write instead of a connector that there is not.
pub(crate) fn connector(name: &str) -> Option<&'static str> {
    find(CONNECTORS, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_of_spark_is_named_as_it_is_called_here() {
        let said = |name: &str, value: &str| setting(name, value).unwrap_or_default();
        assert_eq!(
            said("spark.sql.session.timezone", "UTC"),
            "write SET timeZone = 'UTC'"
        );
        assert!(said("spark.sql.shuffle.partitions", "4").contains("nothing is shuffled"));
        assert!(said("spark.executor.memory", "4g").contains("docs/spark.md"));
        assert!(said("maxOffsetsPerTrigger", "5").contains("OPTIONS (maxOffsetsPerTrigger '5')"));
        assert_eq!(setting("checkpointIntervall", "1 second"), None);
    }

    #[test]
    fn a_trigger_of_a_writer_is_said_as_a_setting() {
        let said = |value: &str| trigger(value).unwrap_or_default();
        assert_eq!(
            said("processingTime='5 seconds'"),
            "write SET trigger = '5 seconds'"
        );
        assert_eq!(
            said("continuous=\"1 second\""),
            "write SET trigger = 'continuous' and SET checkpointInterval = '1 second'"
        );
        assert_eq!(
            said("availableNow=True"),
            "write SET trigger = 'available now'"
        );
        assert_eq!(said("continous"), "did you mean 'continuous'?");
        for none in ["0 seconds", "processingTime='0 seconds'"] {
            assert!(said(none).contains("SET trigger = 'continuous'"), "{none}");
        }
        assert_eq!(trigger("soon"), None);
    }
}
