//! The one place that knows every connector by its name after USING.
//!
//! A connector is a row of [`CONNECTORS`]: what it is as an input, what it is as an output, and the manuals of its
//! options. A new one plugs in with one line.

use std::sync::Arc;

use thalweg_engine::error::Failure;
use thalweg_engine::record::Position;
use thalweg_engine::schema::{Field, Schema};
use thalweg_engine::sink::Sink;
use thalweg_engine::source::Source;

use crate::job_error::{JobError, Location};
use crate::sql::spark_words;
use crate::table::{OpenContext, OptionSpec, Options, Table};
use crate::{files, formats, sinks, sources};

/// Opens an input for one run. The numbers are the places that the plan uses, ascending, among the input's columns
/// followed by its metadata; a record's row holds these, in that order.
pub type OpenInput = fn(&Table, &[usize], &OpenContext) -> Result<Arc<dyn Source>, Failure>;

/// Opens an output for one run.
pub type OpenOutput = fn(&Table, &Schema, &OpenContext) -> Result<Arc<dyn Sink>, Failure>;

/// A connector as an input.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// The manual of its options.
    pub options: &'static [OptionSpec],
    /// The columns of the table; checks its options and declared columns.
    pub columns: fn(&Table) -> Result<Schema, JobError>,
    /// The fields of `_metadata`.
    pub metadata: fn(&Table) -> Vec<Field>,
    /// Opens it for one run.
    pub open: OpenInput,
    /// The options that must not change between two runs of a query, because positions depend on them.
    pub identity: &'static [&'static str],
    /// Whether what stands before a start can be read, as `warmUp` wants.
    pub reads_back: bool,
    /// Whether several processes can share its partitions, as `assignment = 'group'` wants.
    pub shared: bool,
    /// Where a query goes on that steps over the record at a position, as [`Source::behind`] says of the open source: None
    /// where the position alone does not tell.
    pub behind: fn(&Position) -> Option<Position>,
}

/// A connector as an output.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// The manual of its options.
    pub options: &'static [OptionSpec],
    /// Checks the table and the rows that will be written.
    pub check: fn(&Table, &Schema) -> Result<(), JobError>,
    /// Opens it for one run.
    pub open: OpenOutput,
    /// Whether what it wrote is gone when the process ends, so that a query needs no checkpoint folder.
    pub passing: bool,
    /// Whether it shows one table per trigger interval, for which one lane must read all partitions.
    pub gathers_intervals: bool,
    /// For an output of files that become visible with their epochs: what `check` says of where and when. It takes append
    /// mode only, no dead letters, and one query for each folder.
    pub files: Option<fn(&Table, &Schema) -> Vec<String>>,
}

impl Output {
    /// An output with these options that takes any rows and outlives the process.
    pub const fn new(options: &'static [OptionSpec], open: OpenOutput) -> Self {
        Self {
            options,
            check: |_, _| Ok(()),
            open,
            passing: false,
            gathers_intervals: false,
            files: None,
        }
    }
}

/// A connector.
#[derive(Clone, Copy, Debug)]
pub struct Connector {
    /// The name after USING, in lower case.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// As an input, where it is one.
    pub input: Option<Input>,
    /// As an output, where it is one.
    pub output: Option<Output>,
}

/// All connectors.
pub const CONNECTORS: &[Connector] = &[
    Connector {
        name: "kafka",
        about: "Topics of Apache Kafka, read partition by partition and written without gaps.",
        input: Some(Input {
            options: sources::kafka::OPTIONS,
            columns: formats::columns,
            metadata: sources::kafka::metadata,
            open: formats::read,
            identity: &["subscribe", "subscribePattern", "assign"],
            reads_back: true,
            shared: true,
            behind: Position::next_number,
        }),
        output: Some(Output {
            options: sinks::kafka::OPTIONS,
            check: formats::check,
            open: formats::write,
            passing: false,
            gathers_intervals: false,
            files: None,
        }),
    },
    Connector {
        name: "kinesis",
        about: "A stream of Amazon Kinesis, read shard by shard. Needs a build with `--features kinesis`.",
        input: Some(Input {
            options: sources::kinesis::OPTIONS,
            columns: formats::kinesis_columns,
            metadata: sources::kinesis::metadata,
            open: formats::read_kinesis,
            identity: &["streamName", "kinesis.streamName"],
            reads_back: false,
            shared: false,
            behind: crate::kinesis::behind,
        }),
        output: None,
    },
    Connector {
        name: "rate",
        about: "Rows with a time and a counter, at a given speed: for trying things out.",
        input: Some(Input {
            options: sources::rate::OPTIONS,
            columns: sources::rate::columns,
            metadata: none,
            open: sources::rate::open,
            identity: &["numPartitions"],
            reads_back: false,
            shared: false,
            behind: Position::next_number,
        }),
        output: None,
    },
    Connector {
        name: "socket",
        about: "Lines that a server sends over TCP, for trying things out: what was read cannot be read again.",
        input: Some(Input {
            options: sources::socket::OPTIONS,
            columns: sources::socket::columns,
            metadata: none,
            open: sources::socket::open,
            identity: &[],
            reads_back: false,
            shared: false,
            behind: sources::socket::behind,
        }),
        output: None,
    },
    Connector {
        name: "file",
        about: "A file of JSON lines, a pipe, or with `-` standard input and output. A line of more than 64 MiB is a bad record.",
        input: Some(Input {
            options: sources::file::OPTIONS,
            columns: sources::file::columns,
            metadata: none,
            open: sources::file::open,
            identity: &["path"],
            reads_back: true,
            shared: false,
            behind: sources::file::behind,
        }),
        output: Some(Output {
            options: sinks::file::OPTIONS,
            check: sinks::file::check,
            open: sinks::file::open,
            passing: false,
            gathers_intervals: false,
            files: None,
        }),
    },
    Connector {
        name: "text",
        about: "A folder of text files, or one of them: a row for each line, as they come; written, each row once.",
        input: Some(folder(files::TEXT_OPTIONS)),
        output: Some(sinks::folder::TEXT),
    },
    Connector {
        name: "json",
        about: "A folder of files of JSON, or one of them, as they come; written, each row once.",
        input: Some(folder(files::JSON_OPTIONS)),
        output: Some(sinks::folder::JSON),
    },
    Connector {
        name: "csv",
        about: "A folder of files of CSV, or one of them, as they come; written, each row once.",
        input: Some(folder(files::CSV_OPTIONS)),
        output: Some(sinks::folder::CSV),
    },
    Connector {
        name: "parquet",
        about: "A folder of parquet files, or one of them, as they come; written, each row once. In builds with the feature `parquet`.",
        input: Some(folder(files::PARQUET_OPTIONS)),
        output: Some(sinks::folder::PARQUET),
    },
    Connector {
        name: "orc",
        about: "A folder of ORC files, or one of them, as they come; not written. In builds with the feature `orc`.",
        input: Some(folder(files::ORC_OPTIONS)),
        output: Some(sinks::folder::ORC),
    },
    Connector {
        name: "console",
        about: "Rows on the screen as they come; with any trigger but `continuous` one of Spark's tables per trigger.",
        input: None,
        output: Some(Output {
            options: sinks::console::OPTIONS,
            check: sinks::console::check,
            open: sinks::console::open,
            passing: true,
            gathers_intervals: true,
            files: None,
        }),
    },
    Connector {
        name: "http",
        about: "Rows as JSON to a web server, one POST after the other, each repeated until it is taken.",
        input: None,
        output: Some(Output {
            check: sinks::http::check,
            ..Output::new(sinks::http::OPTIONS, sinks::http::open)
        }),
    },
    Connector {
        name: "noop",
        about: "Takes rows and forgets them.",
        input: None,
        output: Some(Output {
            options: sinks::noop::OPTIONS,
            check: sinks::noop::check,
            open: sinks::noop::open,
            passing: true,
            gathers_intervals: false,
            files: None,
        }),
    },
];

/// A folder of files of one format.
const fn folder(options: &'static [OptionSpec]) -> Input {
    Input {
        options,
        columns: files::columns,
        metadata: files::metadata,
        open: files::open,
        identity: &["path"],
        reads_back: true,
        shared: false,
        behind: files::behind,
    }
}

/// An input without metadata.
fn none(_: &Table) -> Vec<Field> {
    Vec::new()
}

/// Finds the connector of a table among the known ones.
///
/// # Errors
/// For an unknown name, with the nearest known one.
pub fn find<'c>(
    connectors: &'c [Connector],
    table: &Table,
    at: Location,
) -> Result<&'c Connector, JobError> {
    connectors
        .iter()
        .find(|connector| connector.name == table.connector)
        .ok_or_else(|| {
            let error = JobError::new(
                at,
                format!(
                    "unknown connector `{}` of table `{}`",
                    table.connector, table.name
                ),
            )
            .or_help(spark_words::connector(&table.connector))
            .nearest(&table.connector, connectors.iter().map(|c| c.name));
            if error.help.is_some() {
                return error;
            }
            let names: Vec<&str> = connectors.iter().map(|c| c.name).collect();
            error.help(format!("known are {}", names.join(", ")))
        })
}

/// How the queries of a job use a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// A query reads it.
    pub read: bool,
    /// A query writes it, or its dead letters.
    pub written: bool,
}

impl Connector {
    /// Checks the table's options against the manuals of the roles that it plays; of all roles when it plays none.
    ///
    /// # Errors
    /// As [`Options::verify`]; and for an option of the role that the table does not play.
    pub fn verify(&self, table: &Table, used: Use) -> Result<(), JobError> {
        let input = self.input.map_or(&[][..], |input| input.options);
        let output = self.output.map_or(&[][..], |output| output.options);
        let idle = !used.read && !used.written;
        let owner = format!("connector {}", self.name);
        let mut specs: Vec<OptionSpec> = Vec::new();
        if used.read || idle {
            specs.extend_from_slice(input);
        }
        if used.written || idle {
            // An option of both roles is checked once, as the first says.
            let more = output
                .iter()
                .filter(|spec| !specs.iter().any(|s| s.name.eq_ignore_ascii_case(spec.name)))
                .copied()
                .collect::<Vec<_>>();
            specs.extend(more);
        }
        self.other_role(&table.options, &specs, used)?;
        table.options.verify(&owner, &specs)
    }

    /// Refuses an option that only the other role has, with a sentence that says so.
    fn other_role(
        &self,
        options: &Options,
        specs: &[OptionSpec],
        used: Use,
    ) -> Result<(), JobError> {
        let (other, role) = match (used.read, used.written) {
            (true, false) => (self.output.map_or(&[][..], |o| o.options), "written"),
            (false, true) => (self.input.map_or(&[][..], |i| i.options), "read"),
            _ => return Ok(()),
        };
        for entry in options.iter() {
            let named = |specs: &[OptionSpec]| {
                specs.iter().any(|spec| {
                    spec.name.eq_ignore_ascii_case(&entry.name)
                        || spec.name.strip_suffix('*').is_some_and(|prefix| {
                            entry
                                .name
                                .get(..prefix.len())
                                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
                        })
                })
            };
            if !named(specs) && named(other) {
                return Err(JobError::new(
                    entry.at,
                    format!(
                        "option `{}` is for a table that is {role}; no query of this job does that",
                        entry.name
                    ),
                )
                .or_help(spark_words::role(&entry.name)));
            }
        }
        Ok(())
    }
}
