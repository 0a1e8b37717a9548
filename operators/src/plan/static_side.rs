//! The static side of a join: which nodes it may be made of, what is read for it, and how its rows are made of that.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::flow::pipeline::Target;
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::Field;

use crate::files::whole::{Filling, is_static};
use crate::plan::node::{Declared, Node};
use crate::plan::steps::steps;
use crate::plan::twice;
use crate::plan::values::is_values;
use crate::plan::{Input, Step, StepKind};
use crate::stateful::grouping::{Emits, Over};
use crate::transforms::Edition;

/// The first static table that a side is made of, where it is made of such tables alone.
pub(super) fn still(node: &Node) -> Option<&Declared> {
    match node {
        Node::Source { input, .. } if is_static(&input.table) || is_values(&input.table) => {
            Some(input)
        }
        Node::Filter { below, .. }
        | Node::Project { below, .. }
        | Node::Explode { below, .. }
        | Node::Aggregate { below, .. }
        | Node::Dedup { below, .. }
        | Node::Sort { below, .. }
        | Node::Limit { below, .. }
        | Node::Over { below, .. } => still(below),
        Node::Union { .. } | Node::Join { .. } => {
            let all: Option<Vec<&Declared>> = node.below().map(still).collect();
            all?.first().copied()
        }
        _ => None,
    }
}

/// The groups of a table that is read to its end are those of all its rows.
pub(super) fn of_all_rows(node: Node) -> Node {
    match node.map_below(&mut of_all_rows) {
        Node::Aggregate { below, mut group } => {
            group.grouping.emits = Emits::Complete;
            group.grouping.over = Over::Never;
            Node::Aggregate { below, group }
        }
        other => other,
    }
}

/// What is read for a side, and the steps over it.
pub(super) struct Static {
    /// In an order in which rows only go forward; the last ones make the rows of the side.
    steps: Vec<Step>,
    pub(super) fields: Vec<Field>,
    keys: Vec<usize>,
}

impl Static {
    /// None for a side that does not begin with tables. `keys` are the places of the join's keys.
    pub(super) fn new(side: Node, keys: Vec<usize>) -> Option<Self> {
        let fields = side.fields();
        // One that stands there twice is read once.
        let steps = steps(twice::merge(side));
        let made = Self {
            steps,
            fields,
            keys,
        };
        made.sources().next()?;
        Some(made)
    }

    fn sources(&self) -> impl Iterator<Item = (usize, &Input)> {
        let steps = self.steps.iter().enumerate();
        steps.filter_map(|(place, step)| match &step.kind {
            StepKind::Source(input) => Some((place, input)),
            _ => None,
        })
    }

    /// The tables of files, in the order in which they are read.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &Input> {
        let all = self.sources().map(|(_, input)| input);
        all.filter(|input| !is_values(input.table()))
    }

    /// What it is, as a tree in one line: a step, then what feeds it. `source` shows what is read, `step` the others.
    pub(super) fn shown(
        &self,
        source: &dyn Fn(&Input, &Step) -> String,
        step: &dyn Fn(&Step) -> String,
    ) -> String {
        self.feeds(&|target| *target == Target::Writer, source, step)
    }

    fn feeds(
        &self,
        to: &dyn Fn(&Target) -> bool,
        source: &dyn Fn(&Input, &Step) -> String,
        shown: &dyn Fn(&Step) -> String,
    ) -> String {
        let mut all = Vec::new();
        for (place, step) in self.steps.iter().enumerate() {
            let times = step.targets().filter(|target| to(target)).count();
            if times == 0 {
                continue;
            }
            let text = match &step.kind {
                StepKind::Source(input) => source(input, step),
                _ => {
                    let here = |target: &Target| matches!(target, Target::Step { step, .. } if *step == place);
                    format!("{} ← {}", shown(step), self.feeds(&here, source, shown))
                }
            };
            all.extend(std::iter::repeat_n(text, times));
        }
        match all.as_slice() {
            [one] => one.clone(),
            several => format!("({})", several.join("; ")),
        }
    }

    pub(super) fn begin(&self) -> Beginning {
        let stages = self.steps.iter().map(|step| Stage {
            operator: step.kind.operator("", &step.schema),
            to: step.targets().collect(),
        });
        let (values, files) = self
            .sources()
            .partition::<Vec<_>, _>(|(_, input)| is_values(input.table()));
        let name = files.first().or(values.first());
        let name = name.map_or_else(SmolStr::default, |(_, input)| {
            SmolStr::new(&input.table().name)
        });
        let place = |(place, _): (usize, &Input)| place;
        Beginning {
            stages: stages.collect(),
            files: files.into_iter().map(place).collect(),
            values: values.into_iter().map(place).collect(),
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

/// A step with where its rows go; what is read has no operator.
struct Stage {
    operator: Option<Box<dyn Operator>>,
    to: Vec<Target>,
}

/// An edition while its rows come.
pub(super) struct Beginning {
    stages: Vec<Stage>,
    /// The places of the tables of files.
    files: Vec<usize>,
    /// Those of rows that stand in the text of the job.
    values: Vec<usize>,
    edition: Edition,
    meta: RecordMeta,
}

/// Leads rows of a stage on.
struct Onward<'b> {
    to: &'b [Target],
    /// The stages behind it, and the place of their first.
    behind: &'b mut [Stage],
    first: usize,
    edition: &'b mut Edition,
}

impl Emit for Onward<'_> {
    fn emit(&mut self, row: &[Value], meta: &RecordMeta) -> Result<(), RecordError> {
        for target in self.to {
            match target {
                Target::Writer => self.edition.add(row)?,
                Target::Step { step, input } => {
                    let place = step - self.first;
                    let Some((stage, behind)) = self
                        .behind
                        .get_mut(place..)
                        .and_then(<[_]>::split_first_mut)
                    else {
                        continue;
                    };
                    let onward = &mut Onward {
                        to: &stage.to,
                        behind,
                        first: step + 1,
                        edition: &mut *self.edition,
                    };
                    if let Some(operator) = &mut stage.operator {
                        operator.process(*input, row, meta, onward)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The step at a place, with what leads its rows on.
fn stage<'b>(
    stages: &'b mut [Stage],
    place: usize,
    edition: &'b mut Edition,
) -> Option<(&'b mut Option<Box<dyn Operator>>, Onward<'b>)> {
    let (stage, behind) = stages.get_mut(place..)?.split_first_mut()?;
    let onward = Onward {
        to: &stage.to,
        behind,
        first: place + 1,
        edition,
    };
    Some((&mut stage.operator, onward))
}

impl Beginning {
    fn read(&mut self, place: usize, row: &[Value]) -> Result<(), RecordError> {
        if let Some((_, mut onward)) = stage(&mut self.stages, place, &mut self.edition) {
            onward.emit(row, &self.meta)?;
        }
        self.accept();
        Ok(())
    }

    fn accept(&mut self) {
        let operators = self.stages.iter_mut();
        let operators = operators.filter_map(|stage| stage.operator.as_mut());
        operators.for_each(|operator| operator.accept());
    }
}

impl Filling for Beginning {
    fn add(&mut self, table: usize, row: Row) -> Result<(), RecordError> {
        match self.files.get(table).copied() {
            Some(place) => self.read(place, &row),
            None => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Edition, RecordError> {
        for place in std::mem::take(&mut self.values) {
            self.read(place, &[])?;
        }
        for place in 0..self.stages.len() {
            let Self {
                stages,
                edition,
                meta,
                ..
            } = &mut *self;
            if let Some((Some(step), mut onward)) = stage(stages, place, edition) {
                let mut progress = step.tick(0, meta, &mut onward)?;
                while progress == Progress::More {
                    progress = step.resume(meta, &mut onward)?;
                }
            }
            self.accept();
        }
        Ok(self.edition)
    }
}
