//! From a pipeline as it was written to the query that it is: columns resolved step by step, tables checked.

use std::sync::Arc;

use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::error::Failure;
use thalweg_engine::record::Position;
use thalweg_engine::schema::{DataType, Field, Schema};

use crate::connectors::{self, Connector, Use, find};
use crate::extensions::Extensions;
use crate::job_error::{JobError, Location};
use crate::plan::built::{Draft, End, OpenSink, OpenSource, OwnState, OwnStep, Pipeline};
use crate::plan::node::Declared;
use crate::plan::partitions::Lanes;
use crate::plan::{Input, Query, Step, StepKind, Target, checkpoints, read_back};
use crate::sql::settings::{self, Settings};
use crate::stateful::processor::Keeps;
use crate::table::Table;

/// What stands for an input or output that the program has opened itself.
const MEMORY: Connector = Connector {
    name: "memory",
    about: "Rows in the memory of the program.",
    input: Some(connectors::Input {
        options: &[],
        columns: |table| Ok(Schema::new(table.columns.clone().unwrap_or_default())),
        metadata: |_| Vec::new(),
        open: |table, _, _| Err(opened_by_itself(table)),
        identity: &[],
        reads_back: true,
        shared: false,
        behind: Position::next_number,
    }),
    output: Some(connectors::Output {
        passing: true,
        ..connectors::Output::new(&[], |table, _, _| Err(opened_by_itself(table)))
    }),
};

fn opened_by_itself(table: &Table) -> Failure {
    Failure::end(format!("`{}` is opened by the program: a bug", table.name))
}

/// Checks a pipeline and makes its query.
pub(super) fn build(pipeline: Pipeline, extensions: &Extensions) -> Result<Query, String> {
    let name = pipeline.name.clone();
    let shown = |error: JobError| {
        let help = error.help.map(|help| format!(": {help}"));
        format!(
            "the pipeline `{name}`: {}{}",
            error.message,
            help.unwrap_or_default()
        )
    };
    query(pipeline, &extensions.all_connectors()).map_err(shown)
}

fn wrong(message: impl Into<String>) -> JobError {
    JobError::new(Location::default(), message)
}

fn query(pipeline: Pipeline, connectors: &[Connector]) -> Result<Query, JobError> {
    let settings = settle(&pipeline)?;
    let Some(output) = pipeline.output else {
        return Err(wrong("it has no output: end it with write or write_memory"));
    };
    let mut steps = Vec::new();
    for end in pipeline.inputs {
        steps.push(input(end, connectors, &steps)?);
    }
    let Some(first) = steps.first() else {
        return Err(wrong("it reads nothing: begin it with read or read_memory"));
    };
    let (inputs, columns) = (steps.len(), first.schema.fields.to_vec());
    let behind = behind(pipeline.steps, columns, &mut steps)?;
    chain(&mut steps, inputs);
    let schema = Schema::new(behind.columns);
    let (output, sink) = written(output, connectors, &schema)?;
    let passing = output.connector.output.is_some_and(|output| output.passing);
    let temporary = passing && settings.checkpoint_location.is_none();
    if !temporary && settings.checkpoint_location.is_none() {
        return Err(wrong(format!(
            "checkpointLocation must be specified: the output `{}` outlives the process",
            output.table.name
        ))
        .help("add .set(\"checkpointLocation\", \"./checkpoints\")"));
    }
    let timed = steps[..inputs].iter().filter(|_| behind.timed);
    let timed = timed.map(|step| step.name.to_string()).collect();
    let query = Query {
        name: pipeline.name,
        at: Location::default(),
        settings,
        temporary,
        output: Arc::new(output),
        own_sink: sink,
        schema,
        dead_letters: None,
        hidden: Vec::new(),
        lanes: behind.lanes,
        models: Vec::new(),
        timed,
        steps,
    };
    read_back::check(&query)?;
    checkpoints::check(&query)?;
    Ok(query)
}

/// What the steps behind the inputs make of their rows.
struct Behind {
    columns: Vec<Field>,
    lanes: Lanes,
    timed: bool,
}

/// Places the steps behind the inputs, whose rows have these columns.
fn behind(
    drafts: Vec<Draft>,
    columns: Vec<Field>,
    steps: &mut Vec<Step>,
) -> Result<Behind, JobError> {
    let mut behind = Behind {
        columns,
        lanes: Lanes::Each,
        timed: false,
    };
    for draft in drafts {
        let place = steps.len();
        let kind = match draft {
            Draft::Closure {
                shown,
                gives,
                timed,
                make,
            } => {
                behind.timed |= timed;
                if let Some(gives) = gives {
                    behind.columns = gives;
                }
                StepKind::Own(OwnStep {
                    shown: shown.to_owned(),
                    keeps: None,
                    make,
                })
            }
            draft @ Draft::Processor { .. } => {
                behind.lanes = Lanes::Gathered(None);
                let (own, gives) = processor(draft, &behind.columns)?;
                behind.columns = gives;
                StepKind::Own(own)
            }
        };
        let schema = Schema::new(behind.columns.clone());
        let name = kind
            .state_name(&schema)
            .map_or_else(|| format_smolstr!("step {place}"), SmolStr::from);
        if steps.iter().any(|step| step.name == name) {
            return Err(wrong(format!("two of its steps are called `{name}`")));
        }
        steps.push(Step {
            name,
            kind,
            schema,
            to: Target::Writer,
            also: Vec::new(),
        });
    }
    Ok(behind)
}

/// Its settings: those of a query in SQL, without those that only SQL has.
fn settle(pipeline: &Pipeline) -> Result<Settings, JobError> {
    let at = Location::default();
    if !settings::is_name(&pipeline.name) {
        return Err(wrong(
            "its name is that of a folder: letters, digits, `_`, `-` and `.`",
        ));
    }
    let mut given = Vec::new();
    for (name, value) in &pipeline.set {
        let one = settings::given(name, at, value, at)?;
        let refused = match one.spec.name {
            "queryName" | "jobName" => Some("a pipeline has its name from Pipeline::new"),
            "outputMode" => Some("what a pipeline emits is said by its steps"),
            "exchange" => Some("a pipeline with a key gathers: one lane reads all partitions"),
            "onError" if one.value == "deadLetter" => Some("a pipeline has no dead-letter table"),
            "stateTtl" => Some("it is said of each processor: .key_by(...).ttl(...)"),
            _ => None,
        };
        if let Some(why) = refused {
            return Err(wrong(format!("`{name}` has no meaning for it: {why}")));
        }
        given.push(one);
    }
    Ok(settings::settle(given.iter()))
}

/// Each step sends its rows to the next; all inputs to the first behind them.
fn chain(steps: &mut [Step], inputs: usize) {
    let count = steps.len();
    for (place, step) in steps.iter_mut().enumerate() {
        let next = (place + 1).max(inputs);
        if next < count {
            step.to = Target::Step {
                step: next,
                input: 0,
            };
        }
    }
}

fn input(
    end: End<OpenSource>,
    connectors: &[Connector],
    before: &[Step],
) -> Result<Step, JobError> {
    let (table, own) = match end {
        End::Table(table) => (table, None),
        End::Own(table, open) => (table, Some(open)),
    };
    let connector = match own {
        Some(_) => MEMORY,
        None => *find(connectors, &table, Location::default())?,
    };
    let Some(reads) = connector.input else {
        return Err(wrong(format!(
            "table `{}` cannot be read: connector {} is an output",
            table.name, table.connector
        )));
    };
    let used = Use {
        read: true,
        written: false,
    };
    connector.verify(&table, used)?;
    let schema = (reads.columns)(&table)?;
    if before.iter().any(|step| step.name == table.name) {
        return Err(wrong(format!(
            "two of its inputs are called `{}`",
            table.name
        )));
    }
    if let Some(first) = before.first()
        && first.schema != schema
    {
        return Err(wrong(format!(
            "the columns of `{}` are not those of `{}`: rows of several inputs go one way",
            table.name, first.name
        )));
    }
    Ok(Step {
        name: SmolStr::new(&table.name),
        kind: StepKind::Source(Input {
            wanted: (0..schema.fields.len()).collect(),
            own,
            declared: Arc::new(declared(table, connector)),
        }),
        schema,
        to: Target::Writer,
        also: Vec::new(),
    })
}

type Written = (Declared, Option<OpenSink>);

fn written(
    end: End<OpenSink>,
    connectors: &[Connector],
    schema: &Schema,
) -> Result<Written, JobError> {
    let table = match end {
        End::Own(table, open) => return Ok((declared(table, MEMORY), Some(open))),
        End::Table(table) => table,
    };
    let connector = *find(connectors, &table, Location::default())?;
    let Some(output) = connector.output else {
        return Err(wrong(format!(
            "table `{}` cannot be written: connector {} is an input",
            table.name, table.connector
        )));
    };
    let used = Use {
        read: false,
        written: true,
    };
    connector.verify(&table, used)?;
    (output.check)(&table, schema)?;
    Ok((declared(table, connector), None))
}

fn declared(table: Table, connector: Connector) -> Declared {
    Declared {
        table,
        connector,
        watermark: None,
        read_from: None,
        written_to: None,
    }
}

/// A processor over rows of these columns, and the columns that it gives.
fn processor(draft: Draft, fields: &[Field]) -> Result<(OwnStep, Vec<Field>), JobError> {
    let Draft::Processor {
        name,
        keys,
        gives,
        value,
        version,
        ttl,
        make,
    } = draft
    else {
        return Err(wrong("no processor"));
    };
    let mut places = Vec::new();
    for key in &keys {
        let place = fields.iter().position(|field| field.name == key);
        places.push(place.ok_or_else(|| {
            let known = fields.iter().map(|field| field.name.as_str());
            wrong(format!(
                "the rows that come to `{name}` have no column `{key}`"
            ))
            .nearest(key, known)
        })?);
    }
    let key_fields: Vec<Field> = places.iter().map(|place| fields[*place].clone()).collect();
    if let Some(field) = key_fields.iter().find(|field| field.data_type.has_map()) {
        return Err(wrong(format!(
            "`{}` is no key: maps cannot be compared",
            field.name
        )));
    }
    let keeps = Keeps {
        keys: places,
        key_types: key_fields
            .iter()
            .map(|f| f.data_type.clone())
            .collect::<Vec<DataType>>(),
        value: Schema::new(value),
        version,
        ttl,
    };
    let state = OwnState {
        name,
        keys: key_fields,
        value: keeps.value.clone(),
        version,
    };
    let own = OwnStep {
        shown: format!("{} by {}", state.name, keys.join(", ")),
        keeps: Some(state),
        make: Arc::new(move || make(keeps.clone())),
    };
    Ok((own, gives))
}

impl OwnState {
    /// What checkpoints depend on.
    pub(super) fn identity(&self) -> serde_json::Value {
        let typed = |field: &Field| format!("{} {}", field.name, field.data_type);
        let keys: Vec<String> = self.keys.iter().map(typed).collect();
        let value: Vec<String> = self.value.fields.iter().map(typed).collect();
        let kind = format!(
            "processor, version {}, of ({})",
            self.version,
            value.join(", ")
        );
        serde_json::json!({ "kind": kind, "keys": keys })
    }
}

#[cfg(test)]
mod tests {
    use thalweg_engine::memory::{MemoryLog, MemorySink};

    use super::*;

    fn log() -> MemoryLog {
        MemoryLog::new(
            "clicks",
            Schema::new([Field::nullable("user", DataType::String)]),
            1,
        )
    }

    fn refused(pipeline: Pipeline) -> String {
        match pipeline.build(&Extensions::default()) {
            Ok(_) => panic!("accepted"),
            Err(why) => why,
        }
    }

    #[test]
    fn what_is_wrong_in_a_pipeline_is_said_in_a_sentence() {
        let begun = || Pipeline::new("p").read_memory(&log());
        assert!(refused(begun()).contains("it has no output"));
        let nothing = Pipeline::new("p").write_memory(&MemorySink::default());
        assert!(refused(nothing).contains("it reads nothing"));
        let misspelt = begun()
            .set("checkpointIntervall", "1 second")
            .write_memory(&MemorySink::default());
        assert!(refused(misspelt).contains("did you mean `checkpointInterval`?"));
        let console = begun().write(Table::using("out", "consle"));
        assert!(refused(console).contains("did you mean `console`?"));
        let durable = begun().write(Table::using("out", "file").option("path", "out.jsonl"));
        assert!(refused(durable).contains("checkpointLocation must be specified"));
        let mode = begun()
            .set("outputMode", "complete")
            .write_memory(&MemorySink::default());
        assert!(refused(mode).contains("has no meaning"));
    }

    #[test]
    fn rows_of_all_inputs_go_the_same_way() {
        let other = MemoryLog::new("more", log().schema().clone(), 1);
        let query = Pipeline::new("p")
            .read_memory(&log())
            .read_memory(&other)
            .filter(|row| !row[0].is_null())
            .map([Field::nullable("u", DataType::String)], |row| {
                Ok(row.to_vec())
            })
            .write_memory(&MemorySink::default())
            .build(&Extensions::default())
            .unwrap();
        let to: Vec<Target> = query.steps.iter().map(|step| step.to).collect();
        let step = |step| Target::Step { step, input: 0 };
        assert_eq!(to, [step(2), step(2), step(3), Target::Writer]);
        assert!(!query.gather());
        assert_eq!(query.schema().fields[0].name, "u");
    }
}
