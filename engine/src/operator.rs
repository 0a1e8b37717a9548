//! The contract of a step that transforms rows.
//!
//! An operator lives in one lane and is never shared, so it needs no locks. The engine calls `restore` at most once and
//! first; then `process`, `advance` and `tick` in any order, each of the records' calls followed by exactly one of
//! `accept` or `reject`; `save` at each epoch, always between two records.

use crate::error::{Failure, RecordError};
use crate::record::{Micros, RecordMeta};
use crate::row::Value;

/// Takes what an operator emits and pushes it, by plain calls, through the steps behind it.
pub trait Emit {
    /// One row. The row is borrowed: the step behind clones what it keeps.
    ///
    /// # Errors
    /// When a step behind fails on it. The operator must pass the error on.
    fn emit(&mut self, row: &[Value], meta: &RecordMeta) -> Result<(), RecordError>;

    /// The step that declares a `WATERMARK` calls this with the event time of the row less the delay.
    fn watermark(&mut self, watermark: Micros) {
        let _ = watermark;
    }
}

/// Whether an operator has emitted all it had to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything is emitted.
    Done,
    /// There is more; call [`Operator::resume`] between other work.
    More,
}

/// What changed in an operator's state since the last `save`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateChanges {
    /// Whether the bytes hold the whole state, so that older objects are no longer needed.
    pub whole: bool,
    /// The operator's own format, with its own version.
    pub bytes: Vec<u8>,
}

/// One step of a pipeline.
pub trait Operator {
    /// Takes one row of input number `input` (0, or 1 for the right side of a join) and emits any number of rows.
    ///
    /// # Errors
    /// When the row cannot be processed; the record then counts as not processed at all.
    fn process(
        &mut self,
        input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError>;

    /// The record whose rows were processed last succeeded in all its steps: its effect on state may stay.
    fn accept(&mut self) {}

    /// That record failed in some step: undo its effect on state.
    fn reject(&mut self) {}

    /// Event time has passed `watermark` in every partition of the lane.
    ///
    /// # Errors
    /// As [`Operator::process`].
    fn advance(&mut self, watermark: Micros, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        let _ = (watermark, emit);
        Ok(Progress::Done)
    }

    /// The trigger's moment: emit what waits for it.
    ///
    /// # Errors
    /// As [`Operator::process`].
    fn tick(&mut self, now: Micros, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        let _ = (now, emit);
        Ok(Progress::Done)
    }

    /// Goes on with what `advance` or `tick` left, one bounded slice.
    ///
    /// # Errors
    /// As [`Operator::process`].
    fn resume(&mut self, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        let _ = emit;
        Ok(Progress::Done)
    }

    /// What changed since the last call; None when the operator keeps no state or nothing changed. The time it takes
    /// is the only thing of an epoch that delays a record.
    fn save(&mut self) -> Option<StateChanges> {
        None
    }

    /// Takes back what `save` gave, oldest first, beginning with a whole one.
    ///
    /// # Errors
    /// `Refuse` when the bytes are not of this operator or of an unknown version.
    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        let _ = changes;
        Ok(())
    }
}
