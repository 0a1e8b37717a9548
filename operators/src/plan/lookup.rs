//! A stream joined with a static table, when the whole plan is known: a step of the stream alone, which has the table in it.

use std::sync::Arc;

use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::Field;

use crate::expr::operators;
use crate::expr::typed::Typed;
use crate::files::whole::{self, Filling, Keeper, is_static};
use crate::job_error::JobError;
use crate::plan::exchange::unfit;
use crate::plan::join::Join;
use crate::plan::join_settle::matched;
use crate::plan::join_table::{full, refused};
use crate::plan::node::{Declared, Node};
use crate::plan::show::columns;
use crate::plan::steps::steps;
use crate::plan::values::is_values;
use crate::plan::{Input, Query, Step, StepKind};
use crate::stateful::grouping::{Emits, Over};
use crate::stateful::join::Kind;
use crate::table::OpenContext;
use crate::transforms::{Behind, Edition, Lookup, Shelf};

/// The static table that a side is, perhaps with steps over it.
pub(super) fn still(node: &Node) -> Option<&Declared> {
    match node {
        Node::Source { input, .. } if is_static(&input.table) || is_values(&input.table) => {
            Some(input)
        }
        Node::Filter { below, .. }
        | Node::Project { below, .. }
        | Node::Explode { below, .. }
        | Node::Aggregate { below, .. }
        | Node::Dedup { below, .. } => still(below),
        _ => None,
    }
}

/// The side of a join that is a static table.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    pub(crate) side: Node,
    pub(crate) join: Join,
}

impl Beside {
    /// The columns of the rows that it adds.
    pub(crate) fn added(&self) -> Vec<Field> {
        if self.join.kind.left_only() {
            return Vec::new();
        }
        let alone = self.join.kind.keeps_alone(0);
        let fields = self.side.fields().into_iter();
        let fields = fields.map(|field| Field {
            nullable: field.nullable || alone,
            ..field
        });
        fields.collect()
    }
}

/// A stream on the left, a static table on the right.
pub(super) fn with_static(below: [Node; 2], join: Join) -> Result<Node, JobError> {
    match join.kind {
        Kind::Right => {
            return Err(refused(
                &join,
                "RightOuter join with a streaming DataFrame/Dataset on the left and a static DataFrame/DataSet on the right not supported",
            ));
        }
        Kind::Full => return Err(full(&join)),
        _ => {}
    }
    if let Some(table) = still(&below[1])
        && table.read_from.is_some()
    {
        let message = format!(
            "`{}` is static, and cannot be replaced on the command line",
            table.table.name
        );
        return Err(JobError::new(join.at, message)
            .help("its files are what its option `path` says: give it a ${...}"));
    }
    if let Some(what) = unfit(&below[1]) {
        let message =
            format!("{what} stands over a static table, which is read once and not for each row");
        return Err(JobError::new(join.at, message).help("write it over the join"));
    }
    let [stream, side] = below;
    // Without an equality each row of the table is compared with each of the stream.
    let none = || Ok(());
    matched([stream, whole(side)], join, none, |[stream, side], join| {
        Node::Lookup {
            below: Box::new(stream),
            beside: Box::new(Beside { side, join }),
        }
    })
}

/// The groups of a table that is read to its end are those of all its rows.
fn whole(node: Node) -> Node {
    match node.map_below(&mut whole) {
        Node::Aggregate { below, mut group } => {
            group.grouping.emits = Emits::Complete;
            group.grouping.over = Over::Never;
            Node::Aggregate { below, group }
        }
        other => other,
    }
}

/// For each column whether it comes from a static table, so that it may be another when its record is read again.
pub(super) fn changing(node: &Node) -> Vec<bool> {
    let of = |typed: &Typed, known: &[bool]| {
        let columns = typed.columns();
        columns.iter().any(|place| known.get(*place) == Some(&true))
    };
    match node {
        Node::Lookup { below, beside } => {
            let mut known = changing(below);
            known.extend(beside.added().iter().map(|_| true));
            known
        }
        Node::Project { below, items } => {
            let mut known = changing(below);
            let width = known.len();
            for item in items {
                let changes = of(&item.typed, &known);
                known.push(changes);
            }
            known.split_off(width)
        }
        Node::Explode {
            below,
            value,
            kept,
            generated,
            ..
        } => {
            let below = changing(below);
            let changes = of(value, &below);
            let kept = kept.iter().map(|place| below.get(*place) == Some(&true));
            kept.chain(generated.iter().map(|_| changes)).collect()
        }
        Node::EventTime {
            below,
            time,
            column,
            ..
        } => {
            let mut known = changing(below);
            let changes = of(time, &known);
            known.extend(column.iter().map(|_| changes));
            known
        }
        Node::Filter { below, .. } => changing(below),
        Node::Union { below } => {
            let mut all = vec![false; node.width()];
            for side in below {
                for (known, changes) in all.iter_mut().zip(changing(side)) {
                    *known |= changes;
                }
            }
            all
        }
        _ => vec![false; node.width()],
    }
}

/// A join with a static table as a step.
pub struct Looking {
    join: Join,
    /// The columns of the stream's rows.
    stream: Vec<Field>,
    table: Arc<Static>,
    shelf: Arc<Shelf>,
    keeper: Mutex<Option<Keeper>>,
}

/// The side of the table: what is read, and the steps over it.
struct Static {
    input: Input,
    /// The columns that are read.
    read: Vec<Field>,
    steps: Vec<Step>,
    fields: Vec<Field>,
    keys: Vec<usize>,
}

impl Looking {
    /// None for a side that does not begin with a table.
    pub(super) fn new(stream: Vec<Field>, beside: Beside) -> Option<Self> {
        let Beside { side, join } = beside;
        let fields = side.fields();
        let mut steps = steps(side);
        let first = steps.remove(0);
        let StepKind::Source(input) = first.kind else {
            return None;
        };
        let keys = join.keys[1].clone();
        Some(Self {
            join,
            stream,
            table: Arc::new(Static {
                input,
                read: first.schema.fields.to_vec(),
                steps,
                fields,
                keys,
            }),
            shelf: Arc::default(),
            keeper: Mutex::default(),
        })
    }

    /// The table, as an input.
    pub fn input(&self) -> &Input {
        &self.table.input
    }

    /// Whether its rows stand in the text of the job.
    fn is_values(&self) -> bool {
        is_values(self.input().table())
    }

    /// What the memory that it takes is shown under.
    pub(super) fn name(&self) -> String {
        match self.is_values() {
            true => self.input().table().name.clone(),
            false => format!("static table {}", self.input().table().name),
        }
    }

    /// Whether each row of the stream is compared with every row of the table, because no column of both is equal.
    pub fn compares_all(&self) -> bool {
        self.join.keys[0].is_empty()
    }

    /// Where its rows lie.
    pub fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// Reads the table, unless that was done, and watches it from then on. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    fn open(&self, context: &OpenContext) -> Result<(), Failure> {
        if self.is_values() {
            return Ok(());
        }
        let mut keeper = self.keeper.lock();
        if keeper.is_none() {
            let table = Arc::clone(&self.table);
            *keeper = Some(whole::keep(
                self.input().table(),
                self.input().wanted(),
                context,
                Arc::new(move || Box::new(table.begin())),
                Arc::clone(&self.shelf),
            )?);
        }
        Ok(())
    }

    /// Gives the table these rows: for tests of a job.
    ///
    /// # Errors
    /// When what is computed of a row fails.
    pub fn fill<'r>(&self, rows: impl IntoIterator<Item = &'r Row>) -> Result<(), RecordError> {
        let mut filling = self.table.begin();
        for row in rows {
            filling.add(row.clone())?;
        }
        self.shelf.put(Box::new(filling).finish()?);
        Ok(())
    }

    pub(super) fn operator(&self) -> Box<dyn Operator> {
        let join = &self.join;
        let condition = match join.conditions.as_slice() {
            [] => None,
            [one] => Some(one.compile()),
            all => Some(operators::logic(true, all.to_vec(), join.at).compile()),
        };
        let lookup = Lookup::new(
            join.kind,
            join.keys[0].clone(),
            self.table.fields.len(),
            condition,
            Arc::clone(&self.shelf),
        );
        Box::new(lookup.null_aware(join.null_aware).most(join.most))
    }

    /// As the plan shows it.
    pub(super) fn shown(&self, expression: &dyn Fn(&Typed) -> String) -> String {
        let name = |fields: &[Field], place: &usize| {
            let field = fields.get(*place);
            field.map_or_else(SmolStr::default, |field| field.name.clone())
        };
        let keys = self.join.keys[0].iter().zip(&self.join.keys[1]);
        let keys = keys.map(|(left, right)| {
            let (left, right) = (name(&self.stream, left), name(&self.table.fields, right));
            format!("{left} = {right}")
        });
        let conditions = self.join.conditions.iter().map(expression);
        let all: Vec<String> = keys.chain(conditions).collect();
        format!(
            "{}{} join with {} on {}",
            match self.join.null_aware {
                true => "null-aware ",
                false => "",
            },
            self.join.kind.words(),
            self.name(),
            match all.is_empty() {
                true => "any row".to_owned(),
                false => all.join(" AND "),
            }
        )
    }

    /// What is read of the table.
    pub(super) fn source(&self) -> String {
        let table = self.input().table();
        if self.is_values() {
            return "rows of the job's text".to_owned();
        }
        let read = columns(&self.table.read);
        format!("read {} {}: {read}", table.connector, table.name)
    }

    /// The steps over the table, the last first.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.table.steps.iter().rev()
    }
}

impl Static {
    fn begin(&self) -> Beginning {
        let steps = self.steps.iter();
        let steps = steps.filter_map(|step| step.kind.operator("", &step.schema));
        let name = SmolStr::new(&self.input.table().name);
        Beginning {
            steps: steps.collect(),
            edition: Edition::new(self.keys.clone(), self.fields.len()),
            meta: RecordMeta {
                partition: Arc::new(Partition {
                    input: name.clone(),
                    name,
                }),
                position: Position::Number(0),
                record_time: None,
                event_time: None,
                watermark: None,
                taken_at: 0,
                taken: std::time::Instant::now(),
            },
        }
    }
}

/// An edition while its rows come.
struct Beginning {
    steps: Vec<Box<dyn Operator>>,
    edition: Edition,
    meta: RecordMeta,
}

/// Rows become rows of an edition.
struct Filled<'e>(&'e mut Edition);

impl Emit for Filled<'_> {
    fn emit(&mut self, row: &[Value], _: &RecordMeta) -> Result<(), RecordError> {
        self.0.add(row)
    }
}

impl Filling for Beginning {
    fn add(&mut self, row: Row) -> Result<(), RecordError> {
        let (rest, emit) = (&mut self.steps[..], &mut Filled(&mut self.edition));
        Behind { rest, emit }.emit(&row, &self.meta)?;
        self.steps.iter_mut().for_each(|step| step.accept());
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Edition, RecordError> {
        for place in 0..self.steps.len() {
            let Some((step, rest)) = self.steps[place..].split_first_mut() else {
                break;
            };
            let mut behind = Behind {
                rest,
                emit: &mut Filled(&mut self.edition),
            };
            let mut progress = step.tick(0, &self.meta, &mut behind)?;
            while progress == Progress::More {
                progress = step.resume(&self.meta, &mut behind)?;
            }
            self.steps.iter_mut().for_each(|step| step.accept());
        }
        Ok(self.edition)
    }
}

impl Query {
    /// The static tables that rows are joined with, in the order of its steps: those of files.
    pub fn statics(&self) -> Vec<&Looking> {
        let mut all = self.beside();
        all.retain(|looking| !looking.is_values());
        all
    }

    /// The same with those whose rows stand in the text of the job.
    fn beside(&self) -> Vec<&Looking> {
        fn find<'s>(steps: &'s [Step], found: &mut Vec<&'s Looking>) {
            for step in steps {
                match &step.kind {
                    StepKind::Lookup(looking) => found.push(looking),
                    StepKind::Fork(branches) => {
                        branches.iter().for_each(|branch| find(branch, found));
                    }
                    _ => {}
                }
            }
        }
        let mut found = Vec::new();
        find(&self.steps, &mut found);
        found
    }

    /// Reads its static tables, before the first run or when that has failed. Blocks.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn open_statics(&self, context: &OpenContext) -> Result<(), Failure> {
        self.fill_values()
            .map_err(|error| Failure::refuse(format!("VALUES: {}", error.reason)))?;
        let mut all = self.statics().into_iter();
        all.try_for_each(|looking| looking.open(context))
    }

    /// Makes the rows that stand in the text of the job.
    ///
    /// # Errors
    /// When what is computed of one fails.
    pub fn fill_values(&self) -> Result<(), RecordError> {
        let all = self.beside().into_iter();
        let mut values = all.filter(|looking| looking.is_values());
        values.try_for_each(|looking| looking.fill([&Row::default()]))
    }
}
