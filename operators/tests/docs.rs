//! The tables of settings and options in the documents are those of the code, and the example of `docs/language.md` is a job.
//!
//! `THALWEG_BLESS=1 cargo test -p thalweg-operators --test docs` writes them.

#![allow(clippy::unwrap_used)] // In helpers of tests, not only in tests.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use thalweg_operators::connectors::CONNECTORS;
use thalweg_operators::models::OPTIONS;
use thalweg_operators::sql::settings::{Reach, SETTINGS, describe};
use thalweg_operators::sql::{Overrides, load};
use thalweg_operators::table::OptionKind;

#[path = "docs/examples.rs"]
mod examples;
#[path = "docs/options.rs"]
mod options;

fn manual() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/language.md")
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn code(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        format!("`{}`", cell(text))
    }
}

fn settings() -> String {
    let mut out = String::from(
        "| name | takes | default | example | meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    for spec in SETTINGS {
        let reach = match spec.reach {
            Reach::Job => " The job's: once, before the first query.",
            Reach::Next => " For the next query only.",
            Reach::Query => "",
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {}{reach} |",
            spec.name,
            cell(&describe(spec.kind)),
            code(spec.default),
            code(&options::literal(spec.example)),
            cell(spec.about),
        );
    }
    out
}

/// The options that are refused, those of one reason together.
fn refused() -> String {
    let mut reasons: Vec<(&str, Vec<&str>, Vec<String>)> = Vec::new();
    for connector in CONNECTORS {
        let input = connector.input.map_or(&[][..], |input| input.options);
        let output = connector.output.map_or(&[][..], |output| output.options);
        for (options, role) in [(input, "read"), (output, "written")] {
            for spec in options {
                if !matches!(spec.kind, OptionKind::Refused) {
                    continue;
                }
                let of = format!("{} {role}", connector.name);
                let known = reasons.iter_mut().find(|(why, ..)| *why == spec.about);
                let (_, names, places) = match known {
                    Some(known) => known,
                    None => {
                        reasons.push((spec.about, Vec::new(), Vec::new()));
                        reasons.last_mut().unwrap()
                    }
                };
                if !names.contains(&spec.name) {
                    names.push(spec.name);
                }
                if !places.contains(&of) {
                    places.push(of);
                }
            }
        }
    }
    let mut out = String::from("| options | of a table that is | why |\n| --- | --- | --- |\n");
    for (why, names, places) in reasons {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let (names, places) = (names.join(", "), places.join(", "));
        let _ = writeln!(out, "| {names} | {places} | {} |", cell(why));
    }
    out
}

fn put(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name}: begin -->\n"),
        format!("<!-- {name}: end -->"),
    );
    let from = text.find(&begin).expect("the begin mark") + begin.len();
    let to = text.find(&end).expect("the end mark");
    format!("{}{table}{}", &text[..from], &text[to..])
}

/// Whether a document is as the code wants it; with THALWEG_BLESS it is made so.
fn up_to_date(document: &Path, text: &str, fresh: &str) {
    if std::env::var_os("THALWEG_BLESS").is_some() {
        // Whole or not at all: the other test reads it meanwhile.
        let beside = document.with_extension("new");
        std::fs::write(&beside, fresh).unwrap();
        std::fs::rename(beside, document).unwrap();
        return;
    }
    assert!(
        text == fresh,
        "{} is not up to date: run this test with THALWEG_BLESS=1",
        document.display()
    );
}

#[test]
fn the_tables_of_the_manual_are_those_of_the_code() {
    let text = std::fs::read_to_string(manual()).unwrap();
    let fresh = put(
        &put(&text, "settings", &settings()),
        "connectors",
        &options::connectors(),
    );
    up_to_date(&manual(), &text, &fresh);
}

/// The marks of tables of options in a document: `options of kafka read`.
fn marks(text: &str) -> Vec<String> {
    let begun = text.split("<!-- options of ").skip(1);
    begun
        .filter_map(|rest| rest.split_once(": begin -->"))
        .map(|(mark, _)| mark.to_owned())
        .collect()
}

#[test]
fn each_page_has_the_options_of_its_sources_and_sinks() {
    let mut shown: Vec<(PathBuf, String)> = Vec::new();
    for document in std::fs::read_dir(manual().parent().unwrap()).unwrap() {
        let document = document.unwrap().path();
        if document.extension().is_none_or(|kind| kind != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&document).unwrap();
        let mut fresh = text.clone();
        for mark in marks(&text) {
            let table = options::table(&options::of_mark(&mark));
            fresh = put(&fresh, &format!("options of {mark}"), &table);
            shown.push((document.clone(), mark));
        }
        if fresh != text {
            up_to_date(&document, &text, &fresh);
        }
    }
    for connector in CONNECTORS {
        for (written, role) in [(false, "read"), (true, "written")] {
            let document = manual().with_file_name(options::page(connector.name, written));
            let mut all = options::accepted(connector.name, written);
            for (_, mark) in shown.iter().filter(|(page, _)| *page == document) {
                let here = options::of_mark(mark);
                all.retain(|spec| {
                    !here
                        .iter()
                        .any(|o| o.name == spec.name && o.about == spec.about)
                });
            }
            // What files need for stores stands with the files that are read.
            if written {
                let store = options::of_mark("files store");
                all.retain(|spec| !store.iter().any(|o| o.name == spec.name));
            }
            let left: Vec<&str> = all.iter().map(|spec| spec.name).collect();
            assert!(
                left.is_empty(),
                "{} does not show these options of {} {role}: {left:?}",
                document.display(),
                connector.name,
            );
        }
    }
}

#[test]
fn those_who_come_from_spark_are_told_all_options_that_are_refused() {
    let document = manual().with_file_name("spark.md");
    let text = std::fs::read_to_string(&document).unwrap();
    up_to_date(&document, &text, &put(&text, "refused", &refused()));
}

/// The options that Spark documents of its sources and sinks: connector, whether it is read, names.
const SPARKS_OPTIONS: [(&str, bool, &str); 13] = [
    (
        "json",
        true,
        "timeZone primitivesAsString prefersDecimal allowComments allowUnquotedFieldNames allowSingleQuotes \
        allowNumericLeadingZeros allowBackslashEscapingAnyCharacter mode columnNameOfCorruptRecord dateFormat timestampFormat \
        timestampNTZFormat enableDateTimeParsingFallback multiLine allowUnquotedControlChars encoding lineSep samplingRatio \
        dropFieldIfAllNull locale allowNonNumericNumbers singleVariantColumn pathGlobFilter recursiveFileLookup modifiedBefore \
        modifiedAfter ignoreCorruptFiles ignoreMissingFiles basePath maxFilesPerTrigger maxBytesPerTrigger latestFirst \
        fileNameOnly maxFileAge cleanSource sourceArchiveDir maxCachedFiles discardCachedInputRatio",
    ),
    (
        "json",
        false,
        "timeZone dateFormat timestampFormat timestampNTZFormat encoding lineSep ignoreNullFields compression \
        pretty maxRecordsPerFile retention",
    ),
    (
        "csv",
        true,
        "sep delimiter encoding quote escape comment header inferSchema preferDate enforceSchema \
        ignoreLeadingWhiteSpace ignoreTrailingWhiteSpace nullValue nanValue positiveInf negativeInf dateFormat timestampFormat \
        timestampNTZFormat enableDateTimeParsingFallback maxColumns maxCharsPerColumn mode columnNameOfCorruptRecord multiLine \
        charToEscapeQuoteEscaping samplingRatio emptyValue locale lineSep unescapedQuoteHandling timeZone singleVariantColumn \
        basePath",
    ),
    (
        "csv",
        false,
        "sep delimiter encoding quote quoteAll escape escapeQuotes header ignoreLeadingWhiteSpace \
        ignoreTrailingWhiteSpace nullValue dateFormat timestampFormat timestampNTZFormat charToEscapeQuoteEscaping emptyValue \
        lineSep timeZone compression extension maxRecordsPerFile",
    ),
    ("text", true, "wholetext lineSep encoding basePath"),
    (
        "text",
        false,
        "lineSep compression encoding maxRecordsPerFile",
    ),
    (
        "parquet",
        true,
        "mergeSchema datetimeRebaseMode int96RebaseMode basePath",
    ),
    ("parquet", false, "compression maxRecordsPerFile"),
    ("orc", true, "mergeSchema basePath"),
    (
        "kafka",
        true,
        "assign subscribe subscribePattern kafka.bootstrap.servers startingTimestamp startingOffsetsByTimestamp \
        startingOffsets endingTimestamp endingOffsetsByTimestamp endingOffsets failOnDataLoss kafkaConsumer.pollTimeoutMs \
        fetchOffset.numRetries fetchOffset.retryIntervalMs maxOffsetsPerTrigger minOffsetsPerTrigger maxTriggerDelay \
        minPartitions maxRecordsPerPartition groupIdPrefix kafka.group.id includeHeaders startingOffsetsByTimestampStrategy",
    ),
    (
        "kafka",
        false,
        "kafka.bootstrap.servers topic includeHeaders asyncProgressTrackingEnabled \
        asyncProgressTrackingCheckpointIntervalMs",
    ),
    ("rate", true, "rowsPerSecond rampUpTime numPartitions"),
    ("socket", true, "host port includeTimestamp numPartitions"),
];

#[test]
fn an_option_that_spark_documents_means_the_same_or_is_refused_with_a_reason() {
    for (name, read, options) in SPARKS_OPTIONS {
        let connector = CONNECTORS.iter().find(|connector| connector.name == name);
        let connector = connector.unwrap();
        let known = match read {
            true => connector.input.unwrap().options,
            false => connector.output.unwrap().options,
        };
        for option in options.split_whitespace() {
            assert!(
                known.iter().any(|spec| spec.name == option),
                "{option} of {name}"
            );
        }
    }
}

#[test]
fn the_options_of_models_are_those_of_the_code() {
    let document = manual().with_file_name("models.md");
    let text = std::fs::read_to_string(&document).unwrap();
    let fresh = put(&text, "options", &options::table(OPTIONS));
    up_to_date(&document, &text, &fresh);
}

#[test]
fn the_example_of_the_manual_is_the_loyalty_job() {
    let text = std::fs::read_to_string(manual()).unwrap();
    let example = text
        .split("```sql\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let job = load(example, &Overrides::default(), &|_| None)
        .map_err(|error| error.render("language.md", example));
    assert_eq!(job.map(|job| job.queries.len()), Ok(1));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bin/jobs/loyalty.sql");
    let shipped = std::fs::read_to_string(shipped).unwrap();
    let body = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with("--"))
            .collect::<Vec<_>>()
            .join("\n")
            .trim()
            .to_owned()
    };
    assert_eq!(body(&shipped), body(example));
}
