//! A stopwatch over the steps of a pipeline: how long each step itself took, without those behind it.

use std::time::Instant;

/// Steps that are timed apart; those behind them share the last place.
pub(crate) const STEPS_MAX: usize = 16;

/// The place of the writer.
const WRITER: usize = STEPS_MAX;

/// Where no step is at work.
const NOWHERE: usize = STEPS_MAX + 1;

/// By step, then the writer, then what is neither.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Whether the record in hand is timed.
    pub(crate) on: bool,
    mark: Instant,
    at: usize,
    nanos: [u64; STEPS_MAX + 2],
}

impl Default for Watch {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            on: false,
            mark: now,
            at: NOWHERE,
            nanos: [0; STEPS_MAX + 2],
        }
    }
}

impl Watch {
    /// Times the next record, or does not.
    #[inline]
    pub(crate) fn set(&mut self, on: bool, now: Instant) {
        self.on = on;
        if on {
            self.mark = now;
            self.at = NOWHERE;
            self.nanos = [0; STEPS_MAX + 2];
        }
    }

    /// A step is entered; None is the writer. Gives what to come back to.
    pub(crate) fn enter(&mut self, step: Option<usize>) -> usize {
        let to = step.map_or(WRITER, |step| step.min(STEPS_MAX - 1));
        self.turn(to)
    }

    /// Back in the step that was left.
    pub(crate) fn back(&mut self, to: usize) {
        self.turn(to);
    }

    fn turn(&mut self, to: usize) -> usize {
        let now = Instant::now();
        let past = now.duration_since(self.mark).as_nanos();
        self.nanos[self.at] += u64::try_from(past).unwrap_or(u64::MAX);
        self.mark = now;
        std::mem::replace(&mut self.at, to)
    }

    /// What each step took, then the writer.
    pub(crate) fn times(&self) -> Times {
        let mut times = [0; STEPS_MAX + 1];
        for (time, nanos) in times.iter_mut().zip(&self.nanos) {
            // A step that was entered has taken some time, however little.
            let tenths = (nanos + 50) / 100;
            *time = u32::try_from(tenths.max(u64::from(*nanos > 0))).unwrap_or(u32::MAX);
        }
        times
    }
}

/// Tenths of a microsecond by step, then of the writer.
pub(crate) type Times = [u32; STEPS_MAX + 1];

/// All steps together, in microseconds.
pub(crate) fn steps(times: &Times) -> u64 {
    let tenths: u64 = times[..STEPS_MAX].iter().map(|time| u64::from(*time)).sum();
    tenths / 10
}

/// The writer, in microseconds.
pub(crate) fn write(times: &Times) -> u64 {
    u64::from(times[WRITER]) / 10
}
