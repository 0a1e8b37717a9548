//! What the probes and pages see of a query.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::watch;

use crate::elsewhere::{Elsewhere, Glance};
use crate::epoch::checkpoint::Checkpoint;
use crate::error::Failure;
use crate::metrics::QueryMetrics;

/// How often the log says again that a query still waits, or that its runs still fail.
const AGAIN: Duration = Duration::from_secs(60);

/// Where a query is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Opening its inputs and outputs.
    Starting,
    /// Rows flow.
    Running,
    /// It waits for a broker or a store that does not answer.
    Waiting(String),
    /// A run has failed; the next begins soon.
    Restarting(String),
    /// It ended by itself or was stopped.
    Ended,
    /// It cannot go on.
    Failed(Failure),
}

/// The status of one query.
pub struct QueryStatus {
    query: String,
    metrics: Arc<QueryMetrics>,
    phase: Mutex<(Phase, Instant)>,
    /// When the log said last where it is.
    said: Mutex<Instant>,
    newest: Mutex<Option<Arc<Checkpoint>>>,
    /// What others read of it, where several processes share it.
    glance: Glance,
    /// Of its lanes by name, where each has checkpoints of its own.
    parts: Mutex<BTreeMap<SmolStr, Arc<QueryStatus>>>,
    /// Whether it is that of a lane: it is shown as a part of its query's only.
    part: bool,
    /// Since when it takes no records, because somebody said so. The same for its lanes.
    paused: Arc<watch::Sender<Option<Instant>>>,
}

impl QueryStatus {
    /// A query that is about to start.
    pub fn new(query: impl Into<String>, metrics: Arc<QueryMetrics>) -> Self {
        Self {
            query: query.into(),
            metrics,
            phase: Mutex::new((Phase::Starting, Instant::now())),
            said: Mutex::new(Instant::now()),
            newest: Mutex::default(),
            glance: Glance::default(),
            parts: Mutex::default(),
            part: false,
            paused: Arc::new(watch::Sender::new(None)),
        }
    }

    /// The partitions that other processes read, where several share the query, as they were found last. Has them looked for as
    /// long as this is asked now and then; the first answer is empty.
    pub fn elsewhere(&self) -> Arc<[Elsewhere]> {
        self.glance.ask()
    }

    pub(crate) fn glance(&self) -> &Glance {
        &self.glance
    }

    /// A lane with checkpoints of its own begins.
    pub(crate) fn part(&self, lane: &SmolStr) -> Arc<Self> {
        let part = Arc::new(Self {
            part: true,
            paused: Arc::clone(&self.paused),
            ..Self::new(self.query.clone(), Arc::clone(&self.metrics))
        });
        self.parts.lock().insert(lane.clone(), Arc::clone(&part));
        part
    }

    /// The lanes with checkpoints of their own.
    pub(crate) fn parts(&self) -> Vec<Arc<Self>> {
        self.parts.lock().values().cloned().collect()
    }

    /// A lane with checkpoints of its own has ended.
    pub(crate) fn left(&self, lane: &SmolStr) {
        self.parts.lock().remove(lane);
    }

    /// The query's name.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Its metrics.
    pub fn metrics(&self) -> &Arc<QueryMetrics> {
        &self.metrics
    }

    /// Where it is, and since when.
    pub fn phase(&self) -> (Phase, Instant) {
        self.phase.lock().clone()
    }

    /// Moves it on; the log says so once per change, and once a minute what it waits for.
    pub fn set(&self, phase: Phase) {
        let mut current = self.phase.lock();
        if self.part {
            if current.0 != phase {
                *current = (phase, Instant::now());
            }
            return;
        }
        if current.0 == phase {
            return self.say_again(&current.0, current.1);
        }
        *self.said.lock() = Instant::now();
        let query = &self.query;
        match &phase {
            Phase::Starting => tracing::debug!(query, "starting"),
            Phase::Running if matches!(current.0, Phase::Waiting(_)) => {
                tracing::info!(query, "running again");
            }
            Phase::Running => tracing::info!(query, "running"),
            Phase::Waiting(why) => tracing::warn!(query, why, "waiting"),
            Phase::Restarting(why) => {
                tracing::warn!(query, why, "the run failed, a new one begins");
            }
            Phase::Ended => {
                let late = self.metrics.late.get();
                if late > 0 {
                    tracing::warn!(
                        query,
                        late,
                        "rows came behind the watermark and were dropped"
                    );
                }
                let (records_in, records_out) = (
                    self.metrics.records_in.get(),
                    self.metrics.records_out.get(),
                );
                tracing::info!(query, records_in, records_out, "ended");
            }
            Phase::Failed(failure) => {
                tracing::error!(query, why = failure.message, "the query cannot go on");
            }
        }
        *current = (phase, Instant::now());
        drop(current);
        self.show_ready();
    }

    fn say_again(&self, phase: &Phase, since: Instant) {
        let (what, why) = match phase {
            Phase::Waiting(why) => ("still waiting", why),
            Phase::Restarting(why) => ("each new run fails", why),
            _ => return,
        };
        let mut said = self.said.lock();
        if said.elapsed() >= AGAIN {
            *said = Instant::now();
            let seconds = since.elapsed().as_secs();
            tracing::warn!(query = self.query, why, seconds, "{what}");
        }
    }

    /// Has all its lanes take no further record, or go on. Epochs, timers and its place among other processes go on
    /// meanwhile; a new run keeps it, a new process begins without. Whether that changed anything.
    pub fn pause(&self, on: bool) -> bool {
        let changed = self.paused.send_if_modified(|since| {
            let changes = since.is_some() != on;
            if changes {
                *since = on.then(Instant::now);
            }
            changes
        });
        if changed {
            let query = &self.query;
            if on {
                tracing::info!(query, "paused: no record is taken until it is resumed");
            } else {
                tracing::info!(query, "resumed");
            }
            self.show_ready();
        }
        changed
    }

    /// Since when it is paused.
    pub fn paused(&self) -> Option<Instant> {
        *self.paused.borrow()
    }

    /// Tells a lane when it is paused and when it goes on.
    pub(crate) fn pauses(&self) -> watch::Receiver<Option<Instant>> {
        self.paused.subscribe()
    }

    fn show_ready(&self) {
        let flows = self.phase.lock().0 == Phase::Running && self.paused().is_none();
        self.metrics.ready.set(i64::from(flows));
        self.metrics.paused.set(i64::from(self.paused().is_some()));
    }

    /// The newest checkpoint; None before the first. Where each lane has its own, they are shown as one.
    pub fn newest(&self) -> Option<Arc<Checkpoint>> {
        let mut parts = self.parts().into_iter().filter_map(|part| part.newest());
        let Some(first) = parts.next() else {
            return self.newest.lock().clone();
        };
        let mut whole = Checkpoint::clone(&first);
        for part in parts {
            whole.epoch = whole.epoch.max(part.epoch);
            whole.committed_at = whole.committed_at.min(part.committed_at);
            whole.lanes.extend(part.lanes.iter().cloned());
        }
        Some(Arc::new(whole))
    }

    /// An epoch is committed.
    pub(crate) fn committed(&self, checkpoint: &Arc<Checkpoint>) {
        *self.newest.lock() = Some(Arc::clone(checkpoint));
    }

    /// Rows flow.
    pub(crate) fn running(&self) {
        self.set(Phase::Running);
    }

    /// Something does not answer.
    pub(crate) fn waiting(&self, why: &str) {
        self.set(Phase::Waiting(why.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Write};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;
    use crate::metrics::Metrics;

    /// The lines of a log: level and message.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    struct Message<'l>(&'l mut String);

    impl Visit for Message<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            if field.name() == "message" {
                let _ = write!(self.0, "{value:?}");
            }
        }
    }

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut line = format!("{} ", event.metadata().level());
            event.record(&mut Message(&mut line));
            self.0.lock().push(line);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn an_outage_is_said_once_then_once_a_minute_and_once_when_it_is_over() {
        let lines = Lines::default();
        let status = QueryStatus::new("q", Metrics::new().query("q"));
        tracing::subscriber::with_default(lines.clone(), || {
            status.running();
            let passed = || {
                let mut said = status.said.lock();
                *said = said.checked_sub(AGAIN).unwrap();
            };
            for _ in 0..2 {
                // It is looked at every second.
                for _ in 0..3 {
                    status.waiting("the broker does not answer");
                }
                passed();
            }
            status.running();
            status.set(Phase::Restarting("the store is away".to_owned()));
            passed();
            for _ in 0..2 {
                status.set(Phase::Restarting("the store is away".to_owned()));
            }
        });
        assert_eq!(
            *lines.0.lock(),
            [
                "INFO running",
                "WARN waiting",
                "WARN still waiting",
                "INFO running again",
                "WARN the run failed, a new one begins",
                "WARN each new run fails",
            ]
        );
    }
}
