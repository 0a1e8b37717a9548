//! The living operators of one lane, wired into a tree that ends in its writer.
//!
//! A row goes through by plain calls: each step emits into the steps behind it, the last into the writer. The steps are
//! in topological order, so a step and everything behind it can be borrowed apart, without locks or reference counts.

use std::collections::BTreeMap;
use std::time::Instant;

use smol_str::SmolStr;

use crate::error::{Failure, RecordError};
use crate::operator::{Emit, Operator, Progress};
use crate::record::{Micros, RecordMeta};
use crate::recorder::Watch;
use crate::row::Value;
use crate::sink::{Origin, Readiness, Writer};
use crate::state::{StateChanges, StateSize};

/// Where a step's rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the input `input` of the step at this place in the pipeline.
    Step {
        /// The place; always behind the step that emits.
        step: usize,
        /// 0, or 1 for the right side of a join.
        input: usize,
    },
    /// To the writer.
    Writer,
}

/// One step, ready to run.
pub struct Step {
    /// Its name: the identity of its state.
    pub name: SmolStr,
    /// What it does.
    pub operator: Box<dyn Operator>,
    /// Where its rows go.
    pub to: Target,
}

/// What makes steps emit between two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Event time has passed this in every partition of the lane.
    Watermark(Micros),
    /// The trigger's moment, by the wall clock.
    Trigger(Micros),
    /// A time by the wall clock that a step has asked for.
    Clock(Micros),
}

/// How far the steps are with a moment: one after the other, so that a step has all that those before it emit.
struct Emission {
    moment: Moment,
    step: usize,
    /// Whether that step has more to emit.
    begun: bool,
}

/// The steps of one lane and its writer.
pub struct Pipeline {
    steps: Vec<Step>,
    writer: Box<dyn Writer>,
    passing: Passing,
    emission: Option<Emission>,
}

/// What is noted of rows on their way.
#[derive(Default)]
struct Passing {
    /// Rows that the current record has put out so far: the index of the next.
    outputs: u32,
    /// The highest watermark that a step has seen since the last look.
    watermark: Option<Micros>,
    /// Whether a step has said since the last look that its input is idle.
    idle: bool,
    /// Rows that came too late since the last look.
    late: u64,
    /// Whether rows go nowhere at the end.
    silent: bool,
    /// Whether a moment brings the rows, and no record.
    moment: bool,
    /// Times the steps of some records.
    watch: Watch,
}

/// The way on from one step: the steps behind it and the writer.
struct Onward<'a> {
    steps: &'a mut [Step],
    /// The place in the pipeline of `steps[0]`.
    first: usize,
    to: Target,
    writer: &'a mut dyn Writer,
    passing: &'a mut Passing,
}

impl Onward<'_> {
    #[inline]
    fn pass(&mut self, row: &[Value], meta: &RecordMeta) -> Result<(), RecordError> {
        match self.to {
            Target::Writer if self.passing.silent => Ok(()),
            Target::Writer => {
                let index = self.passing.outputs;
                let origin = Origin {
                    meta,
                    index,
                    moment: self.passing.moment,
                };
                self.writer.write(row, origin)?;
                self.passing.outputs = index + 1;
                Ok(())
            }
            Target::Step { step, input } => {
                let (head, behind) = self.steps.split_at_mut(step - self.first + 1);
                let taker = &mut head[step - self.first];
                taker.operator.process(
                    input,
                    row,
                    meta,
                    &mut Onward {
                        steps: behind,
                        first: step + 1,
                        to: taker.to,
                        writer: self.writer,
                        passing: self.passing,
                    },
                )
            }
        }
    }

    /// As [`Onward::pass`], with the clock read before and after.
    #[cold]
    fn timed(&mut self, row: &[Value], meta: &RecordMeta) -> Result<(), RecordError> {
        let to = match self.to {
            Target::Writer => None,
            Target::Step { step, .. } => Some(step),
        };
        let before = self.passing.watch.enter(to);
        let passed = self.pass(row, meta);
        self.passing.watch.back(before);
        passed
    }
}

impl Emit for Onward<'_> {
    #[inline]
    fn emit(&mut self, row: &[Value], meta: &RecordMeta) -> Result<(), RecordError> {
        if self.passing.watch.on {
            return self.timed(row, meta);
        }
        self.pass(row, meta)
    }

    fn watermark(&mut self, watermark: Micros) {
        self.passing.watermark = self.passing.watermark.max(Some(watermark));
    }

    fn idle(&mut self) {
        self.passing.idle = true;
    }

    fn late(&mut self, rows: u64) {
        self.passing.late += rows;
    }
}

impl Pipeline {
    /// Wires steps to a writer.
    ///
    /// # Errors
    /// When a step emits to itself or backwards: the plan is wrong.
    pub fn new(steps: Vec<Step>, writer: Box<dyn Writer>) -> Result<Self, Failure> {
        for (place, step) in steps.iter().enumerate() {
            if let Target::Step { step: to, .. } = step.to
                && (to <= place || to >= steps.len())
            {
                return Err(Failure::end(format!(
                    "the step `{}` emits to step {to}, which is not behind it",
                    step.name
                )));
            }
        }
        Ok(Self {
            steps,
            writer,
            passing: Passing::default(),
            emission: None,
        })
    }

    /// While silent, rows change the state of the steps and are not written.
    pub fn silence(&mut self, silent: bool) {
        self.passing.silent = silent;
    }

    /// Times the steps of the next record, or does not.
    #[inline]
    pub(crate) fn time(&mut self, timed: bool, now: Instant) {
        self.passing.watch.set(timed, now);
    }

    /// What the steps of the last record took, where they were timed.
    pub(crate) fn watch(&self) -> &Watch {
        &self.passing.watch
    }

    /// The names of the steps, by place.
    pub(crate) fn names(&self) -> impl Iterator<Item = &SmolStr> {
        self.steps.iter().map(|step| &step.name)
    }

    /// Pushes the row of a record through all steps, from each entry in turn; the outputs are written, but neither handed over nor in state for
    /// good until [`Pipeline::accept`]. Gives the number of outputs.
    ///
    /// # Errors
    /// When a step fails on it; call [`Pipeline::reject`] then.
    #[inline]
    pub fn process(
        &mut self,
        entries: &[Target],
        row: &[Value],
        meta: &RecordMeta,
    ) -> Result<u32, RecordError> {
        self.passing.outputs = 0;
        self.passing.moment = false;
        for entry in entries {
            self.onward(0, *entry).emit(row, meta)?;
        }
        Ok(self.passing.outputs)
    }

    fn onward(&mut self, first: usize, to: Target) -> Onward<'_> {
        Onward {
            steps: &mut self.steps[first..],
            first,
            to,
            writer: &mut *self.writer,
            passing: &mut self.passing,
        }
    }

    /// The current record has succeeded: its outputs go, its effect on state stays.
    ///
    /// # Errors
    /// When the output has failed.
    #[inline]
    pub fn accept(&mut self) -> Result<Readiness, Failure> {
        for step in &mut self.steps {
            step.operator.accept();
        }
        self.writer.accept()
    }

    /// The current record has failed: nothing of it stays.
    pub fn reject(&mut self) {
        for step in &mut self.steps {
            step.operator.reject();
        }
        self.writer.reject();
        self.passing.watermark = None;
        self.passing.idle = false;
        self.passing.late = 0;
    }

    /// The record that was rejected last will not come again.
    pub fn leave_out(&mut self) {
        for step in &mut self.steps {
            step.operator.leave_out();
        }
    }

    /// The highest watermark that a step has seen since the last call.
    #[inline]
    pub fn take_watermark(&mut self) -> Option<Micros> {
        self.passing.watermark.take()
    }

    /// Whether a step has said since the last call that its input is idle.
    #[inline]
    pub fn take_idle(&mut self) -> bool {
        std::mem::take(&mut self.passing.idle)
    }

    /// How many rows came too late since the last call.
    #[inline]
    pub fn take_late(&mut self) -> u64 {
        std::mem::take(&mut self.passing.late)
    }

    /// Makes the steps emit what waits for this moment. While there is more, no record may be processed.
    ///
    /// # Errors
    /// When a step fails on what it emits.
    pub fn begin(&mut self, moment: Moment, at: &RecordMeta) -> Result<Progress, RecordError> {
        self.emission = Some(Emission {
            moment,
            step: 0,
            begun: false,
        });
        self.resume(at)
    }

    /// Goes on with what [`Pipeline::begin`] left.
    ///
    /// # Errors
    /// When a step fails on what it emits.
    pub fn resume(&mut self, at: &RecordMeta) -> Result<Progress, RecordError> {
        let Some(mut emission) = self.emission.take() else {
            return Ok(Progress::Done);
        };
        self.passing.outputs = 0;
        self.passing.moment = true;
        self.passing.watch.on = false;
        while emission.step < self.steps.len() {
            let (head, behind) = self.steps.split_at_mut(emission.step + 1);
            let step = &mut head[emission.step];
            let mut onward = Onward {
                steps: behind,
                first: emission.step + 1,
                to: step.to,
                writer: &mut *self.writer,
                passing: &mut self.passing,
            };
            let operator = &mut step.operator;
            let progress = match (emission.begun, emission.moment) {
                (true, _) => operator.resume(at, &mut onward)?,
                (false, Moment::Watermark(to)) => operator.advance(to, at, &mut onward)?,
                (false, Moment::Trigger(now)) => operator.tick(now, at, &mut onward)?,
                (false, Moment::Clock(now)) => operator.clock(now, at, &mut onward)?,
            };
            emission.begun = progress == Progress::More;
            if emission.begun {
                self.emission = Some(emission);
                return Ok(Progress::More);
            }
            emission.step += 1;
        }
        // What the steps emit has no event time of its own that a source could have promised.
        self.passing.watermark = None;
        Ok(Progress::Done)
    }

    /// Rows that the last [`Pipeline::begin`] or [`Pipeline::resume`] has put out.
    pub fn outputs(&self) -> u32 {
        self.passing.outputs
    }

    /// The earliest time that a step wants to be called at by the wall clock.
    pub fn alarm(&self) -> Option<Micros> {
        let steps = self.steps.iter();
        steps.filter_map(|step| step.operator.alarm()).min()
    }

    /// Lets the steps forget what `stateTtl` has outlived.
    pub fn expire(&mut self, now: Micros) {
        for step in &mut self.steps {
            step.operator.expire(now);
        }
    }

    /// How much each step that keeps something keeps.
    pub fn sizes(&self) -> impl Iterator<Item = (&SmolStr, StateSize)> {
        self.steps
            .iter()
            .map(|step| (&step.name, step.operator.size()))
            .filter(|(_, size)| *size != StateSize::default())
    }

    /// What changed in each step's state since the last call.
    pub fn save(&mut self) -> Vec<(SmolStr, StateChanges)> {
        self.steps
            .iter_mut()
            .filter_map(|step| {
                step.operator
                    .save()
                    .map(|changes| (step.name.clone(), changes))
            })
            .collect()
    }

    /// Gives each step the state that the checkpoint holds of it.
    ///
    /// # Errors
    /// When a step does not understand it.
    pub fn restore(&mut self, state: &BTreeMap<SmolStr, Vec<StateChanges>>) -> Result<(), Failure> {
        self.restore_some(state, |_| true)
    }

    /// As [`Pipeline::restore`], of some steps.
    ///
    /// # Errors
    /// When a step does not understand it.
    pub(crate) fn restore_some(
        &mut self,
        state: &BTreeMap<SmolStr, Vec<StateChanges>>,
        wanted: impl Fn(&SmolStr) -> bool,
    ) -> Result<(), Failure> {
        for step in self.steps.iter_mut().filter(|step| wanted(&step.name)) {
            if let Some(changes) = state.get(&step.name) {
                step.operator.restore(changes)?;
            }
        }
        Ok(())
    }

    /// Puts other steps of the same plan in the place of these, and gives these.
    pub(crate) fn replace(&mut self, steps: Vec<Step>) -> Vec<Step> {
        std::mem::replace(&mut self.steps, steps)
    }

    /// The first step on the way from an entry that this is true of.
    pub(crate) fn first_behind(
        &self,
        entry: Target,
        wanted: impl Fn(&SmolStr) -> bool,
    ) -> Option<SmolStr> {
        let mut to = entry;
        while let Target::Step { step, .. } = to {
            let step = self.steps.get(step)?;
            if wanted(&step.name) {
                return Some(step.name.clone());
            }
            to = step.to;
        }
        None
    }

    /// The writer behind the last step.
    pub fn writer(&mut self) -> &mut dyn Writer {
        &mut *self.writer
    }
}
