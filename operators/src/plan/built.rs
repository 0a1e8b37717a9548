//! A query that a program writes in Rust: inputs, steps that are closures or processors, an output.
//!
//! It becomes the same [`Query`] that SQL becomes, so that all that holds for one holds for the other: settings, lanes,
//! checkpoints, changed jobs, metrics, `check`.

use std::sync::Arc;
use std::time::Duration;

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::memory::{MemoryLog, MemorySink, MemorySource};
use thalweg_engine::operator::Operator;
use thalweg_engine::record::Micros;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{Field, Schema};
use thalweg_engine::sink::Sink;
use thalweg_engine::source::Source;

use crate::extensions::Extensions;
use crate::plan::{Query, StepKind, built_query};
use crate::stateful::processor::{Keeps, Processing, StatefulProcessor};
use crate::table::Table;
use crate::transforms::closure::{self, Rows};

/// Opens an input for one run.
pub(crate) type OpenSource = Arc<dyn Fn() -> Result<Arc<dyn Source>, Failure> + Send + Sync>;
/// Opens an output for one run.
pub(crate) type OpenSink = Arc<dyn Fn() -> Result<Arc<dyn Sink>, Failure> + Send + Sync>;
/// Makes the operator of one lane.
pub(crate) type MakeOperator = Arc<dyn Fn() -> Box<dyn Operator> + Send + Sync>;
/// Makes the operator of one lane over a key.
pub(crate) type MakeProcessing = Arc<dyn Fn(Keeps) -> Box<dyn Operator> + Send + Sync>;

/// Where rows come from or go to.
pub(crate) enum End<Open> {
    /// A table of a connector.
    Table(Table),
    /// Something that the program has opened.
    Own(Table, Open),
}

/// A step as it was asked for, before the columns of the rows that come to it are known.
pub(crate) enum Draft {
    /// A step without state; the columns that it gives, None where those that come.
    Closure {
        shown: &'static str,
        gives: Option<Vec<Field>>,
        /// Whether it gives event times.
        timed: bool,
        make: MakeOperator,
    },
    /// A step with state for each key.
    Processor {
        name: String,
        keys: Vec<String>,
        gives: Vec<Field>,
        value: Vec<Field>,
        version: u32,
        ttl: Option<Duration>,
        make: MakeProcessing,
    },
}

/// A query built in Rust: inputs, steps in the order in which they are added, an output.
///
/// Rows are values in the order of their columns. Each partition of the inputs has a lane of its own, unless the pipeline
/// has a [`Keyed::process`]: then one lane reads them all, so that all rows of a key meet.
pub struct Pipeline {
    pub(crate) name: String,
    pub(crate) set: Vec<(String, String)>,
    pub(crate) inputs: Vec<End<OpenSource>>,
    pub(crate) steps: Vec<Draft>,
    pub(crate) output: Option<End<OpenSink>>,
}

impl Pipeline {
    /// A pipeline of this name: that of its checkpoint folder, of its metrics and in messages.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            set: Vec::new(),
            inputs: Vec::new(),
            steps: Vec::new(),
            output: None,
        }
    }

    /// Gives a setting a value, as `SET name = 'value'` does before a query.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set.push((name.into(), value.into()));
        self
    }

    /// Reads a table, by any connector. Read several, and the rows of all go the same way; their columns must be the same.
    #[must_use]
    pub fn read(mut self, table: Table) -> Self {
        self.inputs.push(End::Table(table));
        self
    }

    /// Reads a log in memory.
    #[must_use]
    pub fn read_memory(mut self, log: &MemoryLog) -> Self {
        let mut table = Table::using(log.name(), "memory");
        table.columns = Some(log.schema().fields.to_vec());
        let log = log.clone();
        let open: OpenSource = Arc::new(move || Ok(Arc::new(MemorySource::new(&log))));
        self.inputs.push(End::Own(table, open));
        self
    }

    /// Keeps the rows for which `keep` is true.
    #[must_use]
    pub fn filter(self, keep: impl Fn(&[Value]) -> bool + Send + Sync + 'static) -> Self {
        let each = move |row: &[Value], out: &mut Rows<'_, '_>| {
            if keep(row) { out.push(row) } else { Ok(()) }
        };
        self.closure("filter", None, each)
    }

    /// Makes of each row another, of these columns.
    #[must_use]
    pub fn map(
        self,
        columns: impl Into<Vec<Field>>,
        make: impl Fn(&[Value]) -> Result<Row, RecordError> + Send + Sync + 'static,
    ) -> Self {
        let each = move |row: &[Value], out: &mut Rows<'_, '_>| out.push(&make(row)?);
        self.closure("map", Some(columns.into()), each)
    }

    /// Makes of each row any number of others, of these columns.
    #[must_use]
    pub fn flat_map(
        self,
        columns: impl Into<Vec<Field>>,
        make: impl Fn(&[Value], &mut Rows<'_, '_>) -> Result<(), RecordError> + Send + Sync + 'static,
    ) -> Self {
        self.closure("flat map", Some(columns.into()), make)
    }

    fn closure(
        mut self,
        shown: &'static str,
        gives: Option<Vec<Field>>,
        each: impl Fn(&[Value], &mut Rows<'_, '_>) -> Result<(), RecordError> + Send + Sync + 'static,
    ) -> Self {
        self.steps.push(Draft::Closure {
            shown,
            gives,
            timed: false,
            make: closure::each(each),
        });
        self
    }

    /// Gives rows their event time, in microseconds since 1970, of which they may be late by `delay`: as `WATERMARK`
    /// does. A row without one never moves time on.
    #[must_use]
    pub fn event_time(
        mut self,
        delay: Duration,
        time: impl Fn(&[Value]) -> Option<Micros> + Send + Sync + 'static,
    ) -> Self {
        let delay = Micros::try_from(delay.as_micros()).unwrap_or(Micros::MAX);
        self.steps.push(Draft::Closure {
            shown: "event time",
            gives: None,
            timed: true,
            make: closure::event_time(time, delay),
        });
        self
    }

    /// Brings all rows with the same values in these columns together, for a step with state.
    #[must_use]
    pub fn key_by<'c>(self, columns: impl IntoIterator<Item = &'c str>) -> Keyed {
        Keyed {
            keys: columns.into_iter().map(str::to_owned).collect(),
            pipeline: self,
            version: 1,
            ttl: None,
        }
    }

    /// Writes a table, by any connector.
    #[must_use]
    pub fn write(mut self, table: Table) -> Self {
        self.output = Some(End::Table(table));
        self
    }

    /// Keeps the rows in memory.
    #[must_use]
    pub fn write_memory(mut self, sink: &MemorySink) -> Self {
        let sink = sink.clone();
        let open: OpenSink = Arc::new(move || Ok(Arc::new(sink.clone())));
        self.output = Some(End::Own(Table::using("memory", "memory"), open));
        self
    }

    /// Checks it and makes the query that it is.
    ///
    /// # Errors
    /// For what is wrong in it, as a sentence.
    pub fn build(self, extensions: &Extensions) -> Result<Query, String> {
        built_query::build(self, extensions)
    }
}

impl Query {
    /// Reads a log in memory in place of a table, where it reads that table.
    ///
    /// # Errors
    /// When the columns of the log are not those of the table: a sentence.
    pub fn read_from_memory(&mut self, table: &str, log: &MemoryLog) -> Result<(), String> {
        for step in &mut self.steps {
            let StepKind::Source(input) = &mut step.kind else {
                continue;
            };
            if !input.table().name.eq_ignore_ascii_case(table) {
                continue;
            }
            let fields = input.fields().map_err(|failure| failure.message)?;
            let given = &log.schema().fields;
            let same = given.len() <= fields.len()
                && given
                    .iter()
                    .zip(&fields)
                    .all(|(a, b)| a.data_type == b.data_type);
            if !same {
                let shown = |fields: &[Field]| {
                    let types: Vec<_> = fields.iter().map(|f| f.data_type.to_string()).collect();
                    types.join(", ")
                };
                return Err(format!(
                    "the log that stands for table `{table}` has the columns {}, and the table {}",
                    shown(given),
                    shown(&fields)
                ));
            }
            let (log, wanted) = (log.clone(), input.wanted.clone());
            input.own = Some(Arc::new(move || {
                Ok(Arc::new(MemorySource::new(&log).with_columns(&wanted)))
            }));
        }
        Ok(())
    }

    /// Keeps its rows in memory, where it writes this table.
    pub fn write_to_memory(&mut self, table: &str, sink: &MemorySink) {
        if self.output().name.eq_ignore_ascii_case(table) {
            let sink = sink.clone();
            self.own_sink = Some(Arc::new(move || Ok(Arc::new(sink.clone()))));
        }
    }
}

/// A pipeline whose rows come together by key.
pub struct Keyed {
    pipeline: Pipeline,
    keys: Vec<String>,
    version: u32,
    ttl: Option<Duration>,
}

impl Keyed {
    /// The version of what the values of keys mean, 1 unless it is said. A checkpoint of another one is refused.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Forgets a key that had no row and no timer for so long, by the wall clock.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Sends the rows through a processor. Its state lies in checkpoints under `name`, for each key a row of the columns
    /// `value`; the rows that it emits have the columns `gives`. `make` makes the processor of a lane.
    #[must_use]
    pub fn process<P: StatefulProcessor>(
        self,
        name: impl Into<String>,
        value: impl Into<Vec<Field>>,
        gives: impl Into<Vec<Field>>,
        make: impl Fn() -> P + Send + Sync + 'static,
    ) -> Pipeline {
        let mut pipeline = self.pipeline;
        pipeline.steps.push(Draft::Processor {
            name: name.into(),
            keys: self.keys,
            gives: gives.into(),
            value: value.into(),
            version: self.version,
            ttl: self.ttl,
            make: Arc::new(move |keeps: Keeps| Box::new(Processing::new(make(), keeps))),
        });
        pipeline
    }
}

/// A step that a program has written.
pub struct OwnStep {
    /// What `check` shows of it.
    pub(crate) shown: String,
    /// What it keeps; None where it has no state.
    pub(crate) keeps: Option<OwnState>,
    pub(crate) make: MakeOperator,
}

/// The state of a processor, as a plan knows it.
pub(crate) struct OwnState {
    /// The name of the step.
    pub(crate) name: String,
    pub(crate) keys: Vec<Field>,
    pub(crate) value: Schema,
    pub(crate) version: u32,
}
