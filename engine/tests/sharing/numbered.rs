//! A query that numbers the rows of each partition, by one step or by several.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::lane::OnError;
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::memory::{MemoryLog, MemorySink, MemorySource};
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::plan::{Input, Opened, Plan, Role, Side};
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;
use thalweg_engine::sink::Sink;
use thalweg_engine::state::{Entries, StateChanges};

use crate::beside::{BesideSink, Bug};
use crate::files::{Disk, FileSink};
use crate::group::{Hub, SharedSource};
use crate::world::Dice;

/// Numbers the rows of its lane.
#[derive(Default)]
pub(crate) struct Numbering {
    count: i64,
    before: i64,
    saved: i64,
}

impl Operator for Numbering {
    fn process(
        &mut self,
        _: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        self.before = self.count;
        self.count += 1;
        let mut numbered = row.to_vec();
        numbered.push(Value::BigInt(self.count));
        emit.emit(&numbered, meta)
    }

    fn reject(&mut self) {
        self.count = self.before;
    }

    fn save(&mut self) -> Option<StateChanges> {
        if self.saved == self.count {
            return None;
        }
        self.saved = self.count;
        let mut entries = Entries::default();
        entries.put(b"count", |out| out.extend(self.count.to_le_bytes()));
        Some(StateChanges {
            whole: false,
            layout: "numbering".into(),
            entries,
        })
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        for (_, value) in changes.iter().flat_map(|one| &one.entries) {
            self.count = i64::from_le_bytes(value.unwrap().try_into().unwrap());
        }
        self.saved = self.count;
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) struct Numbered {
    pub(crate) log: MemoryLog,
    pub(crate) sink: MemorySink,
    /// Where it writes files in its place.
    pub(crate) files: Option<(Disk, Dice)>,
    pub(crate) hub: Hub,
    pub(crate) member: usize,
    /// How many of [`STEPS`] it has.
    pub(crate) steps: usize,
}

/// Its steps, one behind the other.
pub(crate) const STEPS: [&str; 2] = ["numbering", "later"];

impl Plan for Numbered {
    fn open(&self, run: &str) -> Result<Opened, Failure> {
        let sink: Arc<dyn Sink> = match &self.files {
            None => Arc::new(self.sink.clone()),
            Some((disk, dice)) if disk.beside.is_some() => Arc::new(BesideSink {
                disk: disk.clone(),
                dice: dice.clone(),
                run: run.to_owned(),
                next: Arc::default(),
                workers: dice.workers(),
                bug: disk.beside.unwrap_or(Bug::None),
            }),
            Some((disk, dice)) => Arc::new(FileSink {
                disk: disk.clone(),
                dice: dice.clone(),
                run: run.to_owned(),
                next: Arc::default(),
            }),
        };
        Ok(Opened {
            inputs: vec![Input {
                name: "in".into(),
                entries: vec![Target::Step { step: 0, input: 0 }],
                role: Role::default(),
                source: Arc::new(SharedSource {
                    inner: MemorySource::new(&self.log),
                    hub: self.hub.clone(),
                    member: self.member,
                }),
            }],
            exchanges: Vec::new(),
            sink,
            on_error: OnError::Fail,
        })
    }

    fn steps(&self, _: Side, _: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        let last = self.steps - 1;
        let steps = STEPS[..self.steps].iter().enumerate();
        let step = |(place, name): (usize, &&'static str)| Step {
            name: SmolStr::new_static(name),
            operator: Box::new(Numbering::default()),
            to: if place == last {
                Target::Writer
            } else {
                Target::Step {
                    step: place + 1,
                    input: 0,
                }
            },
        };
        steps.map(step).collect()
    }

    fn gathers(&self) -> bool {
        false
    }

    fn identity(&self) -> serde_json::Value {
        self.steps.into()
    }

    fn compare(&self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }

    fn lacks(&self, old: &serde_json::Value) -> Vec<SmolStr> {
        let had = old.as_u64().and_then(|had| usize::try_from(had).ok());
        let lacking = STEPS[..self.steps].iter().skip(had.unwrap_or(0));
        lacking.map(|name| SmolStr::new_static(name)).collect()
    }
}
