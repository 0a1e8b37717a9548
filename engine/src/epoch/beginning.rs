//! The coordinator's first half: an epoch begins when its time has come and broker and store answer. In between, whether they
//! answer is looked at and shown, however rare epochs are.

use std::collections::BTreeSet;
use std::time::Duration;

use actix::clock::Instant;
use actix::prelude::*;

use crate::epoch::coordinator::{Coordinator, Ending};
use crate::epoch::ledger::{Epoch, LaneId};
use crate::epoch::messages::Order;
use crate::error::Failure;
use crate::recorder::Doing;
use crate::restarts::given_up;
use crate::source::Health;

/// How often to look, unless epochs are more frequent.
pub(super) const LOOK: Duration = Duration::from_secs(1);

impl Coordinator {
    /// The time of an epoch has come. One that may not begin now begins at the first look at which it may.
    pub(super) fn tick(&mut self, ctx: &mut Context<Self>) {
        self.due = true;
        self.look(ctx);
        if self.due && self.building.is_empty() && self.ending == Ending::No {
            self.spec.metrics.epochs_refused.inc();
        }
    }

    /// Begins an epoch now where partitions wait for the end of others to be committed.
    pub(super) fn hasten(&mut self, ctx: &mut Context<Self>) {
        if !self.waiting.is_empty() {
            self.tick(ctx);
        }
    }

    /// Shows how far inputs and output are, and begins the epoch that is due.
    pub(super) fn look(&mut self, ctx: &mut Context<Self>) {
        self.show_inputs();
        let recorder = &self.spec.metrics.recorder;
        if let Some(away) = self.away() {
            self.answering_since = Instant::now();
            self.spec.status.waiting(&away);
            recorder.begin(Doing::Away, 0);
            let since = *self.away_since.get_or_insert_with(Instant::now);
            if let Some(max) = self.spec.outage_timeout
                && since.elapsed() >= max
                && self.ending != Ending::Stopping
            {
                self.fall(given_up(&away, max), None, ctx);
            }
            return;
        }
        self.away_since = None;
        self.spec.status.running();
        recorder.end(Doing::Away, 0);
        if !self.building.is_empty() {
            return;
        }
        if let Some(failure) = self.overdue() {
            return self.fall(failure, None, ctx);
        }
        if self.ending != Ending::No {
            return;
        }
        if self.due {
            self.begin();
        }
        self.commit_next(ctx);
    }

    fn begin(&mut self) {
        // Those that wait for their turn at a store that is slow are under way too: they must not pile up.
        if self.under_way() >= self.spec.open_epochs_max {
            return;
        }
        let now = self.clock();
        if let Some(epoch) = self.ledger.begin(self.lanes.keys().copied(), now) {
            self.due = false;
            self.order(epoch, false);
        }
    }

    /// Sends the marker to all lanes.
    pub(super) fn order(&mut self, epoch: Epoch, last: bool) {
        self.spans.begun(epoch.0, self.lanes.len());
        for lane in self.lanes.values() {
            lane.orders.do_send(Order::Cut { epoch, last });
        }
        self.spec.metrics.recorder.begin(Doing::Epoch, epoch.0);
        self.show_open();
    }

    /// What the epochs that are under way wait for.
    pub(super) fn waits(&self) -> Option<String> {
        let location = self.spec.log.location();
        if let Some(away) = self.away() {
            return Some(away);
        }
        if self.committing {
            return Some(format!(
                "the checkpoint folder {location} has not taken the epoch yet"
            ));
        }
        let (epoch, _, owing) = self.ledger.oldest()?;
        Some(format!(
            "epoch {} is not complete: {} have not delivered their rows, or not written what goes to {location}",
            epoch.0,
            self.names(owing)
        ))
    }

    /// Some of these lanes, for messages.
    fn names(&self, lanes: &BTreeSet<LaneId>) -> String {
        let names = lanes.iter().filter_map(|lane| self.lanes.get(lane));
        let names: Vec<&str> = names.map(|handle| handle.name.as_str()).take(5).collect();
        names.join(", ")
    }

    /// Why no epoch may begin now.
    fn away(&self) -> Option<String> {
        if let Some(away) = &self.store_away {
            return Some(self.not_taken(away));
        }
        let sources = self.spec.sources.iter().map(|(_, source)| source.health());
        sources
            .chain(self.spec.sinks.iter().map(|sink| sink.health()))
            .find_map(|health| match health {
                Health::Up | Health::Doubted(_) => None,
                Health::Down(why) => Some(why),
            })
    }

    fn not_taken(&self, why: &str) -> String {
        format!(
            "the checkpoint folder {} does not take anything: {why}. Rows flow on, no epoch is committed",
            self.spec.log.location()
        )
    }

    /// An epoch that is open for too long while all sides answer: a lane hangs.
    fn overdue(&self) -> Option<Failure> {
        let (epoch, begun, owing) = self.ledger.oldest()?;
        let open = Duration::from_millis(self.clock().saturating_sub(begun))
            .min(self.answering_since.elapsed());
        if open <= self.spec.epoch_timeout {
            return None;
        }
        Some(Failure::restart(format!(
            "epoch {} is open for longer than epochTimeout although broker and store answer; it waits for {}",
            epoch.0,
            self.names(owing),
        )))
    }

    fn show_inputs(&self) {
        let metrics = &self.spec.metrics;
        let in_flight = self.spec.sinks.first().map_or(0, |sink| sink.in_flight());
        metrics
            .sink_in_flight
            .set(i64::try_from(in_flight).unwrap_or(i64::MAX));
        if !self.spec.partition_metrics {
            return;
        }
        for (_, source) in &self.spec.sources {
            for (partition, lag) in source.lag() {
                metrics.lag(&partition, lag);
            }
            for (partition, delay) in source.delay() {
                metrics.delay(&partition, delay);
            }
        }
    }

    /// Epochs that have begun and are not committed.
    fn under_way(&self) -> usize {
        self.ledger.open() + self.complete.len() + usize::from(self.committing)
    }

    pub(super) fn show_open(&self) {
        let open = i64::try_from(self.under_way()).unwrap_or(i64::MAX);
        self.spec.metrics.epochs_open.set(open);
    }

    /// The checkpoint store takes nothing, or takes something again.
    pub(super) fn store(&mut self, away: Option<String>) {
        let _for = self.behalf().enter();
        match (&away, &self.store_away) {
            // The status says it, and names the store: one fault, one line.
            (Some(why), None) => self.spec.status.waiting(&self.not_taken(why)),
            (None, Some(_)) => tracing::info!("the checkpoint folder takes checkpoints again"),
            _ => {}
        }
        if away.is_some() {
            self.answering_since = Instant::now();
        }
        self.store_away = away;
    }
}
