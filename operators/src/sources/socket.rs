//! The `socket` source: lines of text that a server sends over TCP. As in Spark it is for trying things out.
//!
//! There is one partition and one connection. What was read cannot be asked for again: positions count the lines, so a
//! restart goes on counting and takes what arrives then; lines that came since the newest checkpoint are lost. A server
//! that is away, or that ends the connection, is called again, at growing intervals. A query that does not keep up stops
//! reading, so that the server has to wait: nothing but the line that is being read is held here.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::error::Failure;
use thalweg_engine::record::{Partition, Position};
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::source::{Health, RecordStream, Resume, Source, Start};

use super::socket_lines::{Lines, Outage, Server};
use crate::codecs::{Mode, json, text};
use crate::job_error::JobError;
use crate::table::{OpenContext, OptionKind, OptionSpec, Table};

/// The options of the source.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "host",
        kind: OptionKind::Text,
        default: "",
        example: "localhost",
        about: "The server's name or address; required",
    },
    OptionSpec {
        name: "port",
        kind: OptionKind::Whole(1, 65_535),
        default: "",
        example: "9999",
        about: "The server's port; required",
    },
    OptionSpec {
        name: "includeTimestamp",
        kind: OptionKind::Boolean,
        default: "false",
        example: "true",
        about: "Adds the column `timestamp`: when the line arrived",
    },
    OptionSpec {
        default: "FAILFAST",
        about: "What a line that is not UTF-8 becomes: an error of the record, NULL, or a skipped record",
        ..json::OPTIONS[0]
    },
    OptionSpec {
        name: "numPartitions",
        kind: OptionKind::Refused,
        default: "",
        example: "",
        about: "one connection is one sequence of lines, so there is one partition",
    },
];

/// The columns: `value`, and with `includeTimestamp` also `timestamp`.
///
/// # Errors
/// For declared columns, for options that are not the source's, and without `host` and `port`.
pub fn columns(table: &Table) -> Result<Schema, JobError> {
    table.options.verify("socket", OPTIONS)?;
    for name in ["host", "port"] {
        if table.options.get(name).is_none_or(str::is_empty) {
            let message = format!("a table `USING socket` needs the option `{name}`");
            return Err(JobError::new(table.options.at(name, table.at), message));
        }
    }
    if table.columns.is_some() {
        return Err(JobError::new(
            table.at,
            "the columns of `socket` are fixed: value STRING, and timestamp TIMESTAMP with includeTimestamp 'true'",
        )
        .help("leave the column list away"));
    }
    let mut fields = vec![Field::nullable("value", DataType::String)];
    if table.options.flag("includeTimestamp", false) {
        fields.push(Field::required("timestamp", DataType::Timestamp));
    }
    Ok(Schema::new(fields))
}

/// Opens the source for one run; rows hold the columns at the places `wanted`, in that order.
///
/// # Errors
/// When the options do not fit the source.
pub fn open(
    table: &Table,
    wanted: &[usize],
    _context: &OpenContext,
) -> Result<Arc<dyn Source>, Failure> {
    let all = columns(table).map_err(|error| Failure::refuse(error.message))?;
    let port = table.options.whole("port").unwrap_or_default();
    let server = Server {
        host: table.options.get("host").unwrap_or_default().to_owned(),
        port: u16::try_from(port).unwrap_or_default(),
    };
    let calling = format!(
        "`{}`: {server} is being called and has not answered yet",
        table.name
    );
    Ok(Arc::new(Socket {
        table: SmolStr::new(&table.name),
        server,
        mode: mode(table),
        wanted: wanted.to_vec(),
        schema: Schema::new(
            wanted
                .iter()
                .filter_map(|place| all.fields.get(*place).cloned())
                .collect::<Vec<_>>(),
        ),
        outage: Arc::new(Outage::begun(calling)),
    }))
}

fn mode(table: &Table) -> Mode {
    table
        .options
        .get("mode")
        .map_or(Mode::FailFast, Mode::of_word)
}

struct Socket {
    table: SmolStr,
    server: Server,
    mode: Mode,
    wanted: Vec<usize>,
    schema: Schema,
    outage: Arc<Outage>,
}

impl Socket {
    fn partition(&self) -> SmolStr {
        format_smolstr!("{}/0", self.table)
    }
}

fn count(position: &Position) -> Result<i64, Failure> {
    match position {
        Position::Number(count) if *count >= 0 => Ok(*count),
        other => Err(Failure::refuse(format!(
            "`{other}` is no position of a socket: it counts the lines that came"
        ))),
    }
}

/// Where a query goes on that steps over the record at this position: nowhere, nothing can be read again.
pub fn behind(_: &Position) -> Option<Position> {
    None
}

impl Source for Socket {
    fn behind(&self, record: &Position) -> Option<Position> {
        behind(record)
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn grows(&self) -> bool {
        false
    }

    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        let partition = self.partition();
        let known = resume.and_then(|resume| resume.positions.get(&partition));
        Ok(vec![Start {
            position: Position::Number(known.map_or(Ok(0), count)?),
            partition,
            after: Vec::new(),
        }])
    }

    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        Err(Failure::refuse(format!(
            "the socket `{}` has no end that could be known at the start, so the triggers 'once' and 'available now' \
             cannot read it: take an interval, such as SET trigger = '1 second'",
            self.table
        )))
    }

    /// `until` is never given, because there are no ends.
    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        _until: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        let value = self.wanted.contains(&0);
        let decoder = text::decoder(if value { &[0] } else { &[] }, self.mode);
        let lines = Lines::new(
            Arc::clone(partition),
            self.server.clone(),
            decoder,
            self.wanted.contains(&1),
            count(from)?,
            Arc::clone(&self.outage),
        );
        Ok(Box::pin(lines))
    }

    fn health(&self) -> Health {
        self.outage.health()
    }
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
