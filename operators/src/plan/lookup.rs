//! A stream joined with a static table, when the whole plan is known: a step of the stream alone, which has the table in it.

use std::sync::Arc;

use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::Operator;
use thalweg_engine::row::Row;
use thalweg_engine::schema::Field;

use crate::expr::typed::Typed;
use crate::files::whole::{self, Filling, Keeper};
use crate::job_error::JobError;
use crate::plan::exchange::unfit;
use crate::plan::join::Join;
use crate::plan::join_settle::matched;
use crate::plan::join_table::{full, refused, swapped};
use crate::plan::node::{Declared, Node};
use crate::plan::show::columns;
use crate::plan::static_side::{Static, of_all_rows, still};
use crate::plan::values::is_values;
use crate::plan::{Input, Query, Step, StepKind};
use crate::stateful::join::Kind;
use crate::table::OpenContext;
use crate::transforms::Shelf;

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
    if let Some(table) = replaced(&below[1]) {
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
    matched(
        [stream, of_all_rows(side)],
        join,
        none,
        |[stream, side], join| Node::Lookup {
            below: Box::new(stream),
            beside: Box::new(Beside { side, join }),
        },
    )
}

/// Static tables on both sides: what they make is the side of another join.
pub(super) fn of_tables(below: [Node; 2], mut join: Join) -> Result<Node, JobError> {
    match join.kind {
        Kind::Right => {
            let name = still(&below[0])
                .map_or_else(SmolStr::default, |table| SmolStr::new(&table.table.name));
            return swapped(below, join, &name, of_tables);
        }
        Kind::Full => {
            return Err(JobError::new(
                join.at,
                "FULL JOIN of two static tables is not part of the language",
            )
            .help("write a LEFT JOIN, and UNION ALL the rows of the other table that have no partner: NOT EXISTS (SELECT ...)"));
        }
        _ => {}
    }
    join.tables = true;
    // Without an equality each row is compared with each of the other table.
    let none = || Ok(());
    matched(below, join, none, |below, join| Node::Join {
        below: Box::new(below),
        join: Box::new(join),
    })
}

/// A table that the command line has read from elsewhere.
fn replaced(node: &Node) -> Option<&Declared> {
    match node {
        Node::Source { input, .. } => Some(&**input).filter(|input| input.read_from.is_some()),
        other => other.below().find_map(replaced),
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

impl Looking {
    /// None for a side that does not begin with a table.
    pub(super) fn new(stream: Vec<Field>, beside: Beside) -> Option<Self> {
        let Beside { side, join } = beside;
        let table = Static::new(side, join.keys[1].clone())?;
        Some(Self {
            join,
            stream,
            table: Arc::new(table),
            shelf: Arc::default(),
            keeper: Mutex::default(),
        })
    }

    /// The tables of files that it is made of, as inputs, in the order in which they are read.
    pub fn inputs(&self) -> impl Iterator<Item = &Input> {
        self.table.inputs()
    }

    /// The names of these tables; `VALUES` where its rows stand in the text of the job.
    pub fn tables(&self) -> String {
        let names: Vec<&str> = self
            .inputs()
            .map(|input| input.table().name.as_str())
            .collect();
        match names.as_slice() {
            [] => "VALUES".to_owned(),
            names => names.join(", "),
        }
    }

    /// Whether its rows stand in the text of the job.
    fn is_values(&self) -> bool {
        self.inputs().next().is_none()
    }

    /// What the memory that it takes is shown under.
    pub(super) fn name(&self) -> String {
        match self.inputs().count() {
            0 => self.tables(),
            1 => format!("static table {}", self.tables()),
            _ => format!("static tables {}", self.tables()),
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

    /// Reads the table, unless that was done, and watches it from then on; `again` is the same, as its options are now. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    fn open(&self, again: &Self, context: &OpenContext) -> Result<(), Failure> {
        if self.is_values() {
            return Ok(());
        }
        let mut keeper = self.keeper.lock();
        if keeper.is_none() {
            let table = Arc::clone(&self.table);
            let inputs = again.inputs();
            let inputs = inputs.map(|input| (input.table(), input.wanted()));
            *keeper = Some(whole::keep(
                &inputs.collect::<Vec<_>>(),
                context,
                Arc::new(move || Box::new(table.begin())),
                Arc::clone(&self.shelf),
            )?);
        }
        Ok(())
    }

    /// Reaches the files as the options of the same in the job that was read again say. Blocks.
    ///
    /// # Errors
    /// When a store does not let them be listed so; the keys of before stay in force.
    fn renew(&self, again: &Self) -> Result<(), Failure> {
        let keeper = self.keeper.lock();
        let Some(keeper) = &*keeper else {
            return Ok(());
        };
        let tables = again.inputs().map(Input::table).enumerate();
        let mut tables = tables.filter(|(_, table)| table.options.are_substituted());
        tables.try_for_each(|(number, table)| keeper.renew(number, table))
    }

    /// Gives the tables these rows, each with the number of its table: for tests of a job.
    ///
    /// # Errors
    /// When what is computed of a row fails.
    pub fn fill<'r>(
        &self,
        rows: impl IntoIterator<Item = (usize, &'r Row)>,
    ) -> Result<(), RecordError> {
        let mut filling = self.table.begin();
        for (table, row) in rows {
            filling.add(table, row.clone())?;
        }
        self.shelf.put(Box::new(filling).finish()?);
        Ok(())
    }

    pub(super) fn operator(&self) -> Box<dyn Operator> {
        let width = self.table.fields.len();
        Box::new(self.join.lookup(width, &self.shelf))
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

    /// What it is made of, in one line.
    pub(super) fn made_of(&self, step: &dyn Fn(&Step) -> String) -> String {
        let source = |input: &Input, step: &Step| {
            let table = input.table();
            if is_values(table) {
                return "rows of the job's text".to_owned();
            }
            let read = columns(&step.schema.fields);
            format!("read {} {}: {read}", table.connector, table.name)
        };
        self.table.shown(&source, step)
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
        self.open_statics_as(self, context)
    }

    /// The same, reached as the query says that was read again since. Blocks.
    ///
    /// # Errors
    /// As [`Query::open_statics`].
    pub fn open_statics_as(&self, again: &Self, context: &OpenContext) -> Result<(), Failure> {
        self.fill_values()
            .map_err(|error| Failure::refuse(format!("VALUES: {}", error.reason)))?;
        let mut all = self.statics().into_iter().zip(again.statics());
        all.try_for_each(|(looking, again)| looking.open(again, context))
    }

    /// Reaches the files of its static tables, where they were read, as the query says that was read again. Blocks.
    ///
    /// # Errors
    /// When a store does not let them be listed so; the keys of before stay in force.
    pub fn renew_statics(&self, again: &Self) -> Result<(), Failure> {
        let mut all = self.statics().into_iter().zip(again.statics());
        all.try_for_each(|(looking, again)| looking.renew(again))
    }

    /// Makes the rows that stand in the text of the job.
    ///
    /// # Errors
    /// When what is computed of one fails.
    pub fn fill_values(&self) -> Result<(), RecordError> {
        let all = self.beside().into_iter();
        let mut values = all.filter(|looking| looking.is_values());
        values.try_for_each(|looking| looking.fill([]))
    }
}
