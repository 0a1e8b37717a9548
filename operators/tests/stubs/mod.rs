//! Connectors that only check.
use thalweg_engine::error::Failure;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_operators::connectors::{Connector, Input, Output};
use thalweg_operators::job_error::JobError;
use thalweg_operators::table::{OptionKind, OptionSpec, Table};

const fn o(name: &'static str, kind: OptionKind) -> OptionSpec {
    OptionSpec {
        name,
        kind,
        default: "",
        about: "each partition has one actor",
    }
}
const KAFKA_IN: &[OptionSpec] = &[
    o("subscribe", OptionKind::Text),
    o("startingOffsets", OptionKind::Text),
    o("minPartitions", OptionKind::Refused),
    o("format", OptionKind::OneOf(&["json"])),
    o("kafka.*", OptionKind::Text),
    o("mode", OptionKind::Text),
];
const KAFKA_OUT: &[OptionSpec] = &[
    o("topic", OptionKind::Text),
    o("format", OptionKind::OneOf(&["json"])),
    o("key", OptionKind::Text),
    o("kafka.*", OptionKind::Text),
];
const CONSOLE: &[OptionSpec] = &[o("numRows", OptionKind::Whole(1, 1000))];
fn kafka_columns(t: &Table) -> Result<Schema, JobError> {
    match &t.columns {
        Some(c) if t.options.get("format").is_none() => {
            let _ = c;
            Err(JobError::new(t.at, "columns without format"))
        }
        Some(c) => Ok(Schema::new(c.clone())),
        None => Ok(Schema::new(vec![
            Field::nullable("key", DataType::Binary),
            Field::nullable("value", DataType::Binary),
            Field::required("topic", DataType::String),
            Field::required("partition", DataType::Int),
            Field::required("offset", DataType::BigInt),
            Field::required("timestamp", DataType::Timestamp),
            Field::required("timestampType", DataType::Int),
        ])),
    }
}
fn meta(_: &Table) -> Vec<Field> {
    vec![
        Field::nullable("key", DataType::Binary),
        Field::required("topic", DataType::String),
        Field::required("partition", DataType::Int),
        Field::required("offset", DataType::BigInt),
        Field::required("timestamp", DataType::Timestamp),
    ]
}
fn declared(t: &Table) -> Result<Schema, JobError> {
    Ok(Schema::new(t.columns.clone().unwrap_or_default()))
}
const fn output(options: &'static [OptionSpec], passing: bool) -> Option<Output> {
    Some(Output {
        options,
        check: |_, _| Ok(()),
        open: |_, _, _| Err(Failure::end("stub")),
        passing,
        gathers_intervals: passing,
    })
}
const fn input(
    options: &'static [OptionSpec],
    columns: fn(&Table) -> Result<Schema, JobError>,
    metadata: fn(&Table) -> Vec<Field>,
) -> Option<Input> {
    Some(Input {
        options,
        columns,
        metadata,
        open: |_, _, _| Err(Failure::end("stub")),
        identity: &["subscribe"],
    })
}
pub const STUBS: &[Connector] = &[
    Connector {
        name: "kafka",
        about: "",
        input: input(KAFKA_IN, kafka_columns, meta),
        output: output(KAFKA_OUT, false),
    },
    Connector {
        name: "rate",
        about: "",
        input: input(
            &[
                o("rowsPerSecond", OptionKind::Whole(1, 100_000_000)),
                o("numPartitions", OptionKind::Whole(1, 1000)),
            ],
            |_| {
                Ok(Schema::new(vec![
                    Field::required("timestamp", DataType::Timestamp),
                    Field::required("value", DataType::BigInt),
                ]))
            },
            |_| vec![],
        ),
        output: None,
    },
    Connector {
        name: "console",
        about: "",
        input: None,
        output: output(CONSOLE, true),
    },
    Connector {
        name: "noop",
        about: "",
        input: None,
        output: output(CONSOLE, true),
    },
    Connector {
        name: "file",
        about: "",
        input: input(
            &[
                o("path", OptionKind::Text),
                o("format", OptionKind::Text),
                o("mode", OptionKind::Text),
            ],
            declared,
            |_| vec![],
        ),
        output: output(
            &[o("path", OptionKind::Text), o("format", OptionKind::Text)],
            true,
        ),
    },
];
