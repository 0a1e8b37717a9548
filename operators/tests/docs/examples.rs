//! The example of each option and setting is taken by a job that has it.

use thalweg_operators::connectors::CONNECTORS;
use thalweg_operators::models::OPTIONS;
use thalweg_operators::sql::settings::SETTINGS;
use thalweg_operators::sql::{Overrides, load};
use thalweg_operators::table::OptionSpec;

use super::options::{accepted, literal, named};

/// A text as it stands in a job. Files of secrets are not here: a variable stands for them.
fn quoted(text: &str) -> String {
    let text = match text.split_once("${file:") {
        Some((before, file)) => format!("{before}${{SECRET}}{}", file.split_once('}').unwrap().1),
        None => text.to_owned(),
    };
    literal(&text)
}

/// Loads a job; Some with the reason where it is refused. What comes from outside is a text, which is enough for all that take it.
fn refused(job: &str) -> Option<String> {
    let refused = load(job, &Overrides::default(), &|_| Some("outside".to_owned())).err()?;
    // Another build has the feature, and looks at the rest; a model is looked for once its options are read.
    let later = ["this build lacks", "there is no models/"];
    let taken = later.iter().any(|text| refused.message.contains(text));
    (!taken).then(|| refused.render("job.sql", job))
}

/// What else a table with an option needs: columns, other options, what stands behind them.
struct Way {
    columns: &'static str,
    options: Vec<(&'static str, &'static str)>,
    behind: &'static str,
}

/// Columns for what an example names.
const COLUMNS: &str = "(id STRING, at TIMESTAMP, broken STRING)";

/// The ways of which one must do.
fn ways(connector: &str, written: bool, option: &str) -> Vec<Way> {
    let way = |columns, options: &[&[(&'static str, &'static str)]]| Way {
        columns,
        options: options.concat(),
        behind: "",
    };
    let registry = ("schema.registry.url", "http://r:8081");
    match (connector, written) {
        ("kafka", false) => {
            let topic: &[_] = match option {
                "assign" | "subscribePattern" => &[],
                // The partitions of JSON are those that are read.
                "startingOffsets" | "startingOffsetsByTimestamp" => {
                    &[("assign", "{\"invoices\":[0,1]}")]
                }
                _ => &[("subscribe", "invoices")],
            };
            let servers: &[_] = &[("kafka.bootstrap.servers", "b:9092")];
            let with = |more| way(COLUMNS, &[servers, topic, more]);
            vec![
                way("", &[servers, topic]),
                with(&[("format", "json"), ("mode", "PERMISSIVE")]),
                with(&[("format", "csv")]),
                with(&[("format", "avro"), registry]),
                Way {
                    behind: " PARTITIONED BY (id)",
                    ..with(&[("format", "json")])
                },
            ]
        }
        ("kafka", true) => {
            let own: &[_] = &[("kafka.bootstrap.servers", "b:9092"), ("topic", "out")];
            let with = |more| way("", &[own, more]);
            vec![
                with(&[("format", "json")]),
                with(&[("format", "csv")]),
                with(&[("format", "avro"), registry]),
            ]
        }
        ("kinesis", _) => {
            let stream: &[_] = &[("streamName", "s"), ("region", "eu-west-1")];
            let with = |columns, more| way(columns, &[stream, more]);
            let role = ("awsSTSRoleARN", "arn:aws:iam::123456789012:role/reader");
            vec![
                with("", &[]),
                with("", &[("awsSecretKey", "s")]),
                with("", &[("awsAccessKeyId", "k")]),
                with("", &[role]),
                with(COLUMNS, &[("format", "json"), ("mode", "PERMISSIVE")]),
                with(COLUMNS, &[("format", "csv")]),
                way("", &[&[("region", "eu-west-1")]]),
                way("", &[&[("streamName", "s")]]),
            ]
        }
        ("socket", _) => vec![way("", &[&[("host", "h"), ("port", "1")]])],
        ("rate" | "console" | "noop", _) => vec![way("", &[])],
        ("http", _) => vec![way("", &[&[("url", "https://h/")]])],
        ("file", _) => vec![
            way(COLUMNS, &[&[("path", "in.jsonl")]]),
            way("(value STRING)", &[&[("path", "in")]]),
        ],
        (format, _) => {
            let columns = if format == "text" { "" } else { COLUMNS };
            let archive = ("cleanSource", "archive");
            let folder = ("sourceArchiveDir", "./archived");
            let (here, s3) = (("path", "./in"), ("path", "s3://shop/actions"));
            vec![
                way(columns, &[&[here]]),
                way(columns, &[&[here, ("mode", "PERMISSIVE")]]),
                way(columns, &[&[here, archive, folder]]),
                way(columns, &[&[s3]]),
                way(columns, &[&[s3, ("fs.s3a.endpoint", "minio:9000")]]),
                way(columns, &[&[s3, ("fs.s3a.access.key", "k")]]),
                way(columns, &[&[s3, ("fs.s3a.secret.key", "s")]]),
                way(
                    columns,
                    &[&[s3, ("fs.s3a.access.key", "k"), ("fs.s3a.secret.key", "s")]],
                ),
                way(columns, &[&[("path", "gs://shop/actions")]]),
                way(
                    columns,
                    &[&[("path", "abfss://shop@account.dfs.core.windows.net/actions")]],
                ),
            ]
        }
    }
}

/// A job with the table, which it reads or writes.
fn job(connector: &str, written: bool, spec: &OptionSpec, way: &Way) -> String {
    let name = named(spec);
    let others = way.options.iter().filter(|(other, _)| *other != name);
    let options: Vec<String> = others
        .chain([&(name, spec.example)])
        .map(|(name, value)| format!("{name} {}", quoted(value)))
        .collect();
    let options = options.join(", ");
    let (columns, behind) = (way.columns, way.behind);
    let checkpoint = "SET checkpointLocation = './checkpoints';\nCREATE TABLE ticks USING rate;\n";
    if written {
        let time = if connector == "text" {
            ""
        } else {
            ", timestamp AS at"
        };
        let headers = if name == "headers" {
            ", array(named_struct('key', 'k', 'value', CAST('v' AS BINARY))) AS headers"
        } else {
            ""
        };
        return format!(
            "{checkpoint}CREATE TABLE t USING {connector} OPTIONS ({options});\n\
             INSERT INTO t SELECT CAST(value AS STRING) AS id{time}{headers} FROM ticks;"
        );
    }
    let query = match (name, connector) {
        ("static", "text") => {
            "SELECT ticks.value FROM ticks JOIN t ON CAST(ticks.value AS STRING) = t.value"
        }
        ("static", _) => {
            "SELECT ticks.value FROM ticks JOIN t ON CAST(ticks.value AS STRING) = t.id"
        }
        _ => "SELECT * FROM t",
    };
    format!(
        "{checkpoint}CREATE TABLE t {columns} USING {connector} OPTIONS ({options}){behind};\n\
         CREATE TABLE out USING noop;\nINSERT INTO out {query};"
    )
}

#[test]
fn the_example_of_each_option_is_taken() {
    let mut wrong = Vec::new();
    for connector in CONNECTORS {
        for written in [false, true] {
            for spec in accepted(connector.name, written) {
                let ways = ways(connector.name, written, spec.name);
                let tried = ways.iter();
                let said: Vec<String> = tried
                    .map_while(|way| refused(&job(connector.name, written, &spec, way)))
                    .collect();
                if said.len() == ways.len() {
                    wrong.push(format!(
                        "{} of {}:\n{}",
                        spec.name,
                        connector.name,
                        said.join("\n")
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_example_of_each_option_of_a_model_is_taken() {
    // Those of a canary go together.
    let canary = OPTIONS
        .iter()
        .filter(|spec| spec.name.starts_with("canary"));
    let canary: Vec<&OptionSpec> = canary.collect();
    for spec in OPTIONS {
        let alone = [spec];
        let own = if canary.iter().any(|one| one.name == spec.name) {
            &canary[..]
        } else {
            &alone[..]
        };
        let path = OPTIONS
            .iter()
            .filter(|path| path.name == "path" && spec.name != "path");
        let options: Vec<String> = path
            .chain(own.iter().copied())
            .map(|spec| format!("{} {}", spec.name, quoted(spec.example)))
            .collect();
        let job = format!(
            "CREATE MODEL m USING onnx OPTIONS ({});\nCREATE TABLE ticks USING rate;\n\
             CREATE TABLE out USING noop;\nINSERT INTO out SELECT value FROM ticks;",
            options.join(", ")
        );
        assert_eq!(refused(&job), None, "{}", spec.name);
    }
}

/// A job with a setting, between topics of Kafka, and with these settings beside it.
fn set(name: &str, value: &str, beside: &[(&str, &str)]) -> String {
    let given = beside.iter().filter(|(other, _)| *other != name);
    let settings: String = given
        .chain([&(name, value)])
        .map(|(name, value)| format!("SET {name} = {};\n", literal(value)))
        .collect();
    let servers = "kafka.bootstrap.servers 'b:9092'";
    format!(
        "CREATE TABLE payments (card STRING, amount DOUBLE) USING kafka OPTIONS ({servers}, subscribe 'in', format 'json')\n\
         PARTITIONED BY (card);\n\
         CREATE TABLE out USING kafka OPTIONS ({servers}, topic 'out', format 'json');\n\
         CREATE TABLE failed USING kafka OPTIONS ({servers}, topic 'failed');\n\
         {settings}INSERT INTO out SELECT card, amount FROM payments;"
    )
}

#[test]
fn the_example_of_each_setting_is_taken() {
    let store = ("checkpointLocation", "s3://shop/jobs");
    let shared = [("jobName", "payments"), store, ("assignment", "group")];
    let dead = [
        store,
        ("onError", "deadLetter"),
        ("deadLetterTable", "failed"),
    ];
    let ways: [&[_]; 3] = [&[store], &shared, &dead];
    for spec in SETTINGS {
        let said = ways.map(|beside| refused(&set(spec.name, spec.example, beside)));
        assert!(
            said.iter().any(Option::is_none),
            "{}:\n{}",
            spec.name,
            said.into_iter().flatten().collect::<String>()
        );
        assert_ne!(spec.example, spec.default, "{}", spec.name);
    }
}
