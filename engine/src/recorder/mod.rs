//! The flight recorder: which records were slowest in the last minutes, where their time went, and what the engine was
//! doing meanwhile. Always on.
//!
//! ```text
//!   record ──► Trace (in hand) ──► goes with each row to its acknowledgement ──► slower than the floor? ──► Slowest
//!                 │                                                                                          ▲  ▲
//!                 └─ now and then its steps are timed one by one (Watch) ──────► Timed, a short ring ────────┘  │
//!   cut, full sink, fetch gap, epoch, merge, restart ... ──────────────────────► Doings, a short ring each ─────┘
//! ```
//!
//! What it costs a record that is not slow: a few stores of its trace, the trace carried through the output, and two
//! comparisons when it is acknowledged. The clock is read no more often than without it, but for one record in
//! [`TIMED_EVERY`], whose steps are timed. What is kept of a slow record is its place and times, never what it holds.
//!
//! Memory: at most [`LANE_BYTES`] for each lane, taken as it is used.

mod doings;
mod lane;
mod shown;
mod slowest;
mod trace;
mod watch;

use doings::OVERLAPS_MAX;
pub use doings::{Doing, Event, Overlap};
pub use lane::LaneRecorder;
pub(crate) use lane::{File, Observed};
pub use shown::{QueryRecorder, ShownRecord, ShownSlow, Stage};
pub use slowest::MINUTES;
pub use trace::Trace;
pub(crate) use watch::{STEPS_MAX, Times, Watch, steps, write};

use std::time::Duration;

/// How much time lies between two records of a lane whose steps are timed one by one, at least.
pub const TIMED_EVERY: Duration = Duration::from_micros(250);

/// What the recorder of a lane may take.
pub const LANE_BYTES: usize = 64 * 1024;
