//! The plan of a query: typed steps from its inputs to its output, and the living parts that they become.
//!
//! ```text
//! job file ─ sql ─► parser's tree ─ lower ─► Node (a tree) ─ optimize ─► Query (steps in order) ─► operators of a lane
//! ```

mod asked_sides;
pub(crate) mod broken_records;
mod built;
mod built_query;
mod changes;
pub(crate) mod checkpoints;
mod coordinates;
#[cfg(test)]
mod equivalence;
pub(crate) mod exchange;
mod exchange_keys;
#[cfg(test)]
mod exchange_tests;
pub(crate) mod files;
mod footprint;
pub(crate) mod from;
pub(crate) mod generator;
pub(crate) mod group;
mod group_by;
mod grouping_sets;
mod identity;
pub(crate) mod join;
mod join_from;
pub(crate) mod join_settle;
mod join_table;
mod join_times;
mod lane;
mod lateral;
mod lateral_subquery;
mod lookup;
pub(crate) mod lower;
pub(crate) mod members;
pub(crate) mod modes;
pub(crate) mod names;
pub(crate) mod node;
mod not_asked;
pub(crate) mod optimize;
pub(crate) mod order;
pub(crate) mod output;
mod over;
pub(crate) mod over_call;
mod over_decayed;
mod over_frame;
mod over_own;
mod over_select;
mod over_table;
pub(crate) mod partitions;
mod picture;
mod projection;
mod prune;
mod qualify;
mod reach;
pub(crate) mod read_back;
pub(crate) mod refuse;
pub(crate) mod select;
mod set_operation;
mod share;
mod show;
mod stateful;
mod stateless;
mod static_side;
pub(crate) mod steps;
mod subqueries;
mod subquery_groups;
mod subquery_values;
mod tail;
pub(crate) mod times;
pub(crate) mod twice;
mod unpivot;
pub(crate) mod values;
mod window;
mod window_columns;
mod window_rows;

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use thalweg_engine::error::Failure;
pub use thalweg_engine::flow::pipeline::Target;
use thalweg_engine::schema::{Field, Schema};
use thalweg_engine::sink::Sink;
use thalweg_engine::source::Source;

use crate::expr::typed::Typed;
use crate::job_error::Location;
use crate::models::Model;
pub use crate::plan::built::{Keyed, OwnStep, Pipeline};
use crate::plan::built::{OpenSink, OpenSource};
pub use crate::plan::changes::{Change, Changes, StepChange};
pub use crate::plan::exchange::{Opened, Rekey};
pub use crate::plan::footprint::{Footprint, Load};
pub use crate::plan::group::Group;
pub use crate::plan::identity::{compare, compare_ends, keeps_marks};
pub use crate::plan::join::Joining;
pub use crate::plan::lane::Lane;
pub use crate::plan::lookup::Looking;
use crate::plan::node::Declared;
pub use crate::plan::order::{Dedup, Limit, Sort};
pub use crate::plan::output::dead_letter_schema;
pub use crate::plan::over::Windows;
use crate::plan::partitions::Lanes;
pub use crate::plan::picture::Drawn;
pub use crate::plan::projection::Projection;
pub use crate::plan::stateful::contents_of;
pub use crate::plan::stateless::Stateless;
use crate::sql::settings::{OutputMode, Settings, Trigger};
use crate::table::{OpenContext, Table};
use crate::transforms::Generator;
use crate::{sinks, sources};

/// One query of a job, checked and typed.
pub struct Query {
    /// Its identity.
    pub name: String,
    /// Where it stands in the job file.
    pub at: Location,
    /// Its settings.
    pub settings: Settings,
    /// Its steps; each emits to one behind it or to the output.
    pub steps: Vec<Step>,
    /// Whether its checkpoints lie in a temporary folder, because its output does not outlive the process or its tables
    /// were replaced on the command line.
    pub temporary: bool,
    pub(crate) output: Arc<Declared>,
    /// Opens the output, where the program does that itself.
    pub(crate) own_sink: Option<OpenSink>,
    pub(crate) schema: Schema,
    pub(crate) dead_letters: Option<Arc<Declared>>,
    /// Takes what `${...}` put in out of texts.
    pub(crate) hidden: Vec<(String, String)>,
    /// Which partitions its lanes read.
    pub(crate) lanes: Lanes,
    /// The models that it asks.
    pub models: Vec<Arc<Model>>,
    /// The tables whose rows have an event time.
    pub(crate) timed: Vec<String>,
}

/// One step of a plan.
pub struct Step {
    /// The identity of its positions or state: for an input the table's name.
    pub name: SmolStr,
    /// What it does.
    pub kind: StepKind,
    /// The columns of its rows.
    pub schema: Schema,
    /// Where its rows go.
    pub to: Target,
    /// Where those of an input go besides, when its table stands in several places of the query.
    pub also: Vec<Target>,
}

/// What a step does.
pub enum StepKind {
    /// Reads a table.
    Source(Input),
    /// Keeps rows for which all conditions are true.
    Filter(Vec<Typed>),
    /// Computes new rows.
    Project(Projection),
    /// One row for each element.
    Explode(Explosion),
    /// Gives rows their event time.
    EventTime(Time),
    /// Sends rows several ways: the steps of each, in order.
    Fork(Vec<Vec<Step>>),
    /// GROUP BY.
    Aggregate(Box<Group>),
    /// The first row of each key.
    Dedup(Dedup),
    /// ORDER BY.
    Sort(Sort),
    /// LIMIT alone.
    Limit(Limit),
    /// Two inputs together.
    Join(Box<Joining>),
    /// Rows joined with those of a static table.
    Lookup(Box<Looking>),
    /// OVER.
    Over(Box<Windows>),
    /// Another partition for each key, through a topic.
    Rekey(Box<Rekey>),
    /// A step that a program has written.
    Own(OwnStep),
}

/// An input of a query.
pub struct Input {
    pub(crate) declared: Arc<Declared>,
    pub(crate) wanted: Vec<usize>,
    /// Opens it, where the program does that itself.
    pub(crate) own: Option<OpenSource>,
}

impl Step {
    /// Where its rows go.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        std::iter::once(self.to).chain(self.also.iter().copied())
    }
}

impl Input {
    /// The table that it reads.
    pub fn table(&self) -> &Table {
        &self.declared.table
    }

    /// The places that the plan uses, ascending, among the table's columns followed by its metadata.
    pub fn wanted(&self) -> &[usize] {
        &self.wanted
    }

    /// Whether it is a keyed table, which rows of streams are joined with.
    pub fn is_keyed(&self) -> bool {
        !self.table().primary_key.is_empty()
    }

    /// Whether the program opens it itself.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// The file that the command line put in the table's place.
    pub fn replaced(&self) -> Option<&str> {
        self.declared.read_from.as_deref()
    }

    fn open(&self, context: &OpenContext) -> Result<Arc<dyn Source>, Failure> {
        if let Some(open) = &self.own {
            return open();
        }
        let table = self.table();
        let Some(connector) = self.declared.connector.input else {
            return Err(Failure::refuse(format!(
                "table {} cannot be read",
                table.name
            )));
        };
        let Some(path) = self.replaced() else {
            return (connector.open)(table, &self.wanted, context);
        };
        let schema = Schema::new(self.fields()?);
        sources::file::open_in_place(table, &schema, &self.wanted, path, context)
    }

    /// The table's columns followed by those of its metadata.
    pub(crate) fn fields(&self) -> Result<Vec<Field>, Failure> {
        let table = self.table();
        let Some(connector) = self.declared.connector.input else {
            return Err(Failure::refuse(format!(
                "table {} cannot be read",
                table.name
            )));
        };
        let schema = (connector.columns)(table).map_err(|error| Failure::refuse(error.message))?;
        let columns = schema.fields.iter().cloned();
        Ok(columns.chain((connector.metadata)(table)).collect())
    }
}

/// A step of the explode family.
pub struct Explosion {
    pub(crate) value: Typed,
    pub(crate) name: &'static str,
    pub(crate) generator: Generator,
    pub(crate) kept: Vec<usize>,
}

/// A WATERMARK.
pub struct Time {
    pub(crate) value: Typed,
    pub(crate) column: bool,
    pub(crate) delay: i64,
}

/// A source with its place in [`Query::steps`].
pub type PlacedSource = (usize, Arc<dyn Source>);

impl Query {
    /// Opens the inputs for one run: place in [`Query::steps`] and source.
    ///
    /// # Errors
    /// As the connector says.
    pub fn sources(&self, context: &OpenContext) -> Result<Vec<PlacedSource>, Failure> {
        let opened = self.inputs().enumerate().map(|(index, (place, input))| {
            let context = OpenContext {
                further: index > 0,
                ..context.clone()
            };
            Ok((place, input.open(&context)?))
        });
        opened.collect()
    }

    /// Opens the output for one run.
    ///
    /// # Errors
    /// As the connector says.
    pub fn sink(&self, context: &OpenContext) -> Result<Arc<dyn Sink>, Failure> {
        match &self.own_sink {
            Some(open) => open(),
            None => open_output(&self.output, &self.schema, context),
        }
    }

    /// Opens the output of failed records for one run, where there is one. Its rows have the columns of
    /// [`dead_letter_schema`].
    ///
    /// # Errors
    /// As the connector says.
    pub fn dead_letters(&self, context: &OpenContext) -> Result<Option<Arc<dyn Sink>>, Failure> {
        self.dead_letters
            .as_ref()
            .map(|declared| open_output(declared, &dead_letter_schema(), context))
            .transpose()
    }

    /// The tables that it reads, in the order of its steps.
    pub fn inputs(&self) -> impl Iterator<Item = (usize, &Input)> {
        self.steps
            .iter()
            .enumerate()
            .filter_map(|(place, step)| match &step.kind {
                StepKind::Source(input) => Some((place, input)),
                _ => None,
            })
    }

    /// The table that it writes.
    pub fn output(&self) -> &Table {
        &self.output.table
    }

    /// Whether it writes files that become visible with their epochs.
    pub(crate) fn writes_files(&self) -> bool {
        let output = self.output.connector.output;
        output.is_some_and(|output| output.files.is_some())
    }

    /// What files it writes where, and when they become visible; empty where it writes none.
    pub fn files(&self) -> Vec<String> {
        match self.output.connector.output.and_then(|output| output.files) {
            Some(files) if self.output_replaced().is_none() => {
                files(&self.output.table, &self.schema)
            }
            _ => Vec::new(),
        }
    }

    /// The file that the command line put in the output's place.
    pub fn output_replaced(&self) -> Option<&str> {
        self.output.written_to.as_deref()
    }

    /// The table of failed records.
    pub fn dead_letter_table(&self) -> Option<&Table> {
        self.dead_letters.as_ref().map(|declared| &declared.table)
    }

    /// The columns that it writes.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The trigger's interval; None when continuous. The whole result is written every second without one.
    pub fn interval(&self) -> Option<Duration> {
        match self.settings.trigger {
            Trigger::Interval(interval) => Some(interval),
            Trigger::Continuous if self.settings.output_mode == OutputMode::Complete => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }

    /// Whether all that a bounded run reads is one batch, as in Spark: none of it is late for the rest of it. With a limit per
    /// trigger it is many, and the watermark moves row by row, as it does where rows are answered one by one from frames of rows,
    /// which are to be forgotten behind it, and where watermarks go through a topic.
    pub fn one_batch(&self) -> bool {
        let limits = [
            "maxOffsetsPerTrigger",
            "maxFilesPerTrigger",
            "maxBytesPerTrigger",
        ];
        let limited = |input: &Input| {
            limits
                .iter()
                .any(|name| input.table().options.get(name).is_some())
        };
        let rows = |step: &Step| matches!(step.kind, StepKind::Over(_) | StepKind::Own(_));
        self.bounded()
            && !self.exchanges()
            && !self.inputs().any(|(_, input)| limited(input))
            && !self.steps.iter().any(rows)
    }

    /// Whether the order of its rows is part of its result: it has an ORDER BY.
    pub fn sorts(&self) -> bool {
        let sort = |step: &Step| matches!(step.kind, StepKind::Sort(_));
        self.steps.iter().any(sort)
    }

    /// Whether it reads to the end that its inputs have at the start, and ends: `once` and `available now`.
    pub fn bounded(&self) -> bool {
        matches!(self.settings.trigger, Trigger::Once | Trigger::AvailableNow)
    }

    /// Whether one lane must read all partitions: state is of all rows, unless the only input is partitioned by what
    /// its keys hold.
    pub fn gather(&self) -> bool {
        let one_table = self
            .output
            .connector
            .output
            .is_some_and(|output| output.gathers_intervals);
        (matches!(self.lanes, Lanes::Gathered(_)) && !self.exchanges())
            || ((self.interval().is_some() || self.bounded()) && one_table)
    }

    /// Whether one lane reads the partitions of one number of all inputs.
    pub fn by_number(&self) -> bool {
        self.lanes == Lanes::Numbered && !self.gather()
    }

    /// Whether one lane reads the partitions of one number of the topics that it exchanges rows through.
    pub fn exchanges_by_number(&self) -> bool {
        self.rekeys().count() > 1
    }

    /// Why one lane must read all partitions although that of a join could be read number by number.
    pub fn gathers_because(&self) -> Option<&str> {
        match &self.lanes {
            Lanes::Gathered(why) if self.gather() => why.as_deref(),
            _ => None,
        }
    }

    /// Whether each partition of its input keeps state of its own, which stays right only while keys stay where they are.
    pub fn keeps_state_by_partition(&self) -> bool {
        // Behind a topic of its own it lies by the partitions of that one.
        !self.gather() && !self.exchanges() && self.keeps_state()
    }

    /// Whether a step keeps state.
    pub fn keeps_state(&self) -> bool {
        let keeps = |step: &Step| step.kind.state_name(&step.schema).is_some();
        self.steps.iter().any(keeps)
    }

    /// Whether the rows of an input have an event time, so that it holds the watermark back.
    pub fn has_event_time(&self, input: &Input) -> bool {
        self.timed.contains(&input.table().name)
    }
}

fn open_output(
    declared: &Declared,
    schema: &Schema,
    context: &OpenContext,
) -> Result<Arc<dyn Sink>, Failure> {
    if let Some(path) = &declared.written_to {
        return sinks::file::open_in_place(&declared.table, schema, path, context);
    }
    match declared.connector.output {
        Some(output) => (output.open)(&declared.table, schema, context),
        None => Err(Failure::refuse(format!(
            "table {} cannot be written",
            declared.table.name
        ))),
    }
}
