//! DISTINCT, ORDER BY and LIMIT as steps of the plan.

use thalweg_engine::record::Micros;

use crate::job_error::Location;
use crate::stateful::dedup::Remember;

/// The first row of each key goes on.
#[derive(Clone, Debug)]
pub struct Dedup {
    /// The columns that make the key.
    pub(crate) keys: Vec<usize>,
    /// DISTINCT ON: a key is remembered as long as its record's event time, not for ever.
    pub(crate) on: bool,
    /// The event time among the keys, by its place there.
    pub(crate) time: Option<usize>,
    /// How late rows may be, where they have an event time.
    pub(crate) delay: Option<Micros>,
    /// Keys without a watermark are forgotten after so long.
    pub(crate) ttl: Option<Micros>,
}

impl Dedup {
    /// How long a key is remembered.
    pub(crate) fn remember(&self) -> Remember {
        match self.time.and_then(|time| self.keys.get(time)) {
            Some(place) => Remember::Column(*place),
            None => match self.delay.filter(|_| self.on) {
                Some(delay) => Remember::EventTime(delay),
                None => Remember::Always,
            },
        }
    }
}

/// One column of an ORDER BY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SortKey {
    pub(crate) place: usize,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// The rows of each trigger in order.
#[derive(Clone, Debug)]
pub struct Sort {
    pub(crate) keys: Vec<SortKey>,
    /// How many of them go on.
    pub(crate) limit: Option<u64>,
    pub(crate) at: Location,
}

/// So many rows go on: of each trigger in complete mode, else of all there will ever be.
#[derive(Clone, Debug)]
pub struct Limit {
    pub(crate) rows: u64,
    /// How many before them do not; 0 of a stream, where these would have to be counted for ever.
    pub(crate) skipped: u64,
    /// Whether it counts anew at each trigger.
    pub(crate) each_trigger: bool,
    pub(crate) at: Location,
}
