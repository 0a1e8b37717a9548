//! The workbench: runs an operator in several worlds that must all agree.
//!
//! | world | what happens |
//! | --- | --- |
//! | plain | the rows, one by one |
//! | cut | an epoch after each row |
//! | restored | after each row an epoch, then a fresh operator that is given what was saved |
//! | rejected | each row is first processed and rejected, then processed again |
//!
//! A row comes with the watermark that was reached before it.

use std::sync::Arc;
use std::time::Instant;

use crate::error::RecordError;
use crate::operator::{Emit, Operator, Progress};
use crate::record::{Micros, Partition, Position, RecordMeta};
use crate::row::{Row, Value};
use crate::state::StateChanges;

/// What is done to the operator, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A row on input 0 of partition 0.
    Row(Row),
    /// A row on this input of this partition, with this event time.
    RowOf(usize, u32, Option<Micros>, Row),
    /// The watermark moves.
    Watermark(Micros),
    /// The trigger's moment.
    Tick(Micros),
    /// A time of the wall clock that the operator has asked for.
    Clock(Micros),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum World {
    Plain,
    Cut,
    Restored,
    Rejected,
}

struct Collect(Vec<Row>);

impl Emit for Collect {
    fn emit(&mut self, row: &[Value], _: &RecordMeta) -> Result<(), RecordError> {
        self.0.push(row.to_vec());
        Ok(())
    }
}

/// How many cases a property that costs much is tried with: `usual`, in its long form PROPTEST_CASES. What costs little
/// follows that variable by itself.
pub fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").map_or(usual, |given| given.parse().unwrap_or(usual))
}

/// The record that rows without a source come with.
pub fn meta(partition: u32, position: i64, event_time: Option<Micros>) -> RecordMeta {
    RecordMeta {
        partition: Arc::new(Partition {
            input: "in".into(),
            name: format!("in/{partition}").into(),
        }),
        position: Position::Number(position),
        record_time: None,
        event_time,
        watermark: None,
        taken_at: 0,
        taken: Instant::now(),
    }
}

/// Runs the actions in every world and compares what is emitted after each action with `expected`: rows, or the class of
/// the error as text.
///
/// # Panics
/// When a world differs; the message lists the actions with an arrow at the one that differs.
pub fn assert_operator(
    make: impl Fn() -> Box<dyn Operator>,
    actions: &[Action],
    expected: &[Result<Vec<Row>, &str>],
) {
    assert_operator_nearly(make, actions, expected, |got, expected| got == expected);
}

/// As [`assert_operator`], for results that need not be the same to the last digit: `alike` compares the rows.
///
/// # Panics
/// As [`assert_operator`].
pub fn assert_operator_nearly(
    make: impl Fn() -> Box<dyn Operator>,
    actions: &[Action],
    expected: &[Result<Vec<Row>, &str>],
    alike: impl Fn(&[Row], &[Row]) -> bool,
) {
    assert_eq!(actions.len(), expected.len(), "one expectation per action");
    for world in [World::Plain, World::Cut, World::Restored, World::Rejected] {
        let mut operator = make();
        let mut saved: Vec<StateChanges> = Vec::new();
        let mut watermark = None;
        for (index, (action, expected)) in actions.iter().zip(expected).enumerate() {
            if world == World::Rejected && matches!(action, Action::Row(_) | Action::RowOf(..)) {
                // Whatever it gives, nothing of it may stay.
                let _ = apply(&mut *operator, action, index, watermark, false);
            }
            let got = apply(&mut *operator, action, index, watermark, true);
            if let Action::Watermark(reached) = action {
                watermark = Some(*reached);
            }
            let same = match (&got, expected) {
                (Ok(got), Ok(expected)) => alike(got, expected),
                (Err(error), Err(class)) => error.class.name() == *class,
                _ => false,
            };
            assert!(
                same,
                "in the world {world:?} an action gave {got:?} and not {expected:?}\n{}",
                listing(actions, index)
            );
            if matches!(world, World::Cut | World::Restored)
                && let Some(changes) = operator.save()
            {
                if changes.whole {
                    saved.clear();
                }
                saved.push(changes);
            }
            if world == World::Restored {
                operator = make();
                if !saved.is_empty() {
                    let restored = operator.restore(&saved);
                    assert!(
                        restored.is_ok(),
                        "{restored:?}\n{}",
                        listing(actions, index)
                    );
                }
            }
        }
    }
}

fn apply(
    operator: &mut dyn Operator,
    action: &Action,
    index: usize,
    watermark: Option<Micros>,
    accept: bool,
) -> Result<Vec<Row>, RecordError> {
    let position = i64::try_from(index).unwrap_or(i64::MAX);
    let at = |partition, event_time| RecordMeta {
        watermark,
        ..meta(partition, position, event_time)
    };
    let mut collect = Collect(Vec::new());
    let outcome = match action {
        Action::Row(row) => operator
            .process(0, row, &at(0, None), &mut collect)
            .map(|()| Progress::Done),
        Action::RowOf(input, partition, event_time, row) => operator
            .process(*input, row, &at(*partition, *event_time), &mut collect)
            .map(|()| Progress::Done),
        Action::Watermark(watermark) => operator.advance(*watermark, &at(0, None), &mut collect),
        Action::Tick(now) => operator.tick(*now, &at(0, None), &mut collect),
        Action::Clock(now) => operator.clock(*now, &at(0, None), &mut collect),
    };
    let mut progress = outcome;
    while let Ok(Progress::More) = progress {
        progress = operator.resume(&at(0, None), &mut collect);
    }
    match progress {
        Ok(_) if accept => operator.accept(),
        _ => operator.reject(),
    }
    progress.map(|_| collect.0)
}

fn listing(actions: &[Action], at: usize) -> String {
    let mut out = String::new();
    for (index, action) in actions.iter().enumerate() {
        let arrow = if index == at { "=>" } else { "  " };
        out.push_str(&format!("{arrow} {action:?}\n"));
    }
    out
}
