//! The contract of a step that transforms rows.
//!
//! An operator lives in one lane and is never shared, so it needs no locks. The engine calls `restore` at most once and
//! first, and `adopt` at most once behind it; then `process`, `advance`, `tick` and `clock` in any order, each followed by exactly one of `accept` or `reject`; `save` at
//! each epoch, always between two of them. While `advance`, `tick` or `clock` have more to emit, the engine calls `resume` and, at an
//! epoch, `save`, but takes no record: what is emitted is one consistent picture. An epoch that ends in the middle saves
//! what is still to be emitted as state; after a restart `advance` is called again with the watermark that was reached.

use crate::error::{Failure, RecordError};
use crate::record::{Micros, RecordMeta};
use crate::row::Value;
use crate::state::{StateChanges, StateSize};

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

    /// The step behind an exchange calls this where all partitions before it are idle: a lane cannot tell that from what it
    /// reads itself. The next watermark takes it back.
    fn idle(&mut self) {}

    /// Rows were dropped because they came too late; the query counts them.
    fn late(&mut self, rows: u64) {
        let _ = rows;
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

/// How many calls of [`Operator::expire`] see all that an operator keeps.
pub const EXPIRE_CALLS: usize = 30;

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

    /// The record that was rejected last is left out for good: `onError` says so.
    fn leave_out(&mut self) {}

    /// Event time has passed `watermark` in every partition of the lane. `at` is the record that moved it, with the
    /// watermark as it was before; what is emitted now goes on with it. Called again with the same watermark after a
    /// restart.
    ///
    /// # Errors
    /// As [`Operator::process`]; the query ends.
    fn advance(
        &mut self,
        watermark: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        let _ = (watermark, at, emit);
        Ok(Progress::Done)
    }

    /// The trigger's moment, or the end of all inputs: emit what waits for it. Left out when no record has come since the
    /// last one. The steps before this one have emitted all
    /// of theirs. `at` has no partition of an input.
    ///
    /// # Errors
    /// As [`Operator::process`]; the query ends.
    fn tick(
        &mut self,
        now: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        let _ = (now, at, emit);
        Ok(Progress::Done)
    }

    /// When it wants [`Operator::clock`] to be called, by the wall clock; None where it does not. Cheap: it is asked about
    /// once a second.
    fn alarm(&self) -> Option<Micros> {
        None
    }

    /// A time that [`Operator::alarm`] has said is reached, up to a second ago.
    ///
    /// # Errors
    /// As [`Operator::process`]; the query ends.
    fn clock(
        &mut self,
        now: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        let _ = (now, at, emit);
        Ok(Progress::Done)
    }

    /// Goes on with what `advance`, `tick` or `clock` left, one bounded slice of about a thousand rows.
    ///
    /// # Errors
    /// As [`Operator::process`]; the query ends.
    fn resume(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        let _ = (at, emit);
        Ok(Progress::Done)
    }

    /// About once a second, between two records: forget what `stateTtl` has outlived, a bounded amount at each call, so that
    /// [`EXPIRE_CALLS`] calls see all of it. A start makes as many before its first record.
    fn expire(&mut self, now: Micros) {
        let _ = now;
    }

    /// What changed since the last call; None when the operator keeps no state or nothing changed. The time it takes
    /// is the only thing of an epoch that delays a record.
    fn save(&mut self) -> Option<StateChanges> {
        None
    }

    /// Takes back what `save` gave, oldest first, beginning with a whole one or with the first there was.
    ///
    /// # Errors
    /// `Refuse` when the bytes are not of this operator or of an unknown version.
    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        let _ = changes;
        Ok(())
    }

    /// Takes what its restored state has nothing of from `built`: all that `save` gave of another operator of this step, which
    /// was given the newest records again. What it has stays as it is. Called at most once, before any record and only where
    /// something was restored; the next `save` is whole.
    ///
    /// # Errors
    /// When it cannot be put together.
    fn adopt(&mut self, built: &StateChanges) -> Result<(), Failure> {
        let _ = built;
        Ok(())
    }

    /// How much it keeps now. Cheap: it is asked often.
    fn size(&self) -> StateSize {
        StateSize::default()
    }
}
