//! The coordinator's second half: complete epochs become checkpoints, one at a time and in order, and what follows from
//! that: sources may forget, writers make visible, state objects are merged.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use actix::prelude::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use smol_str::SmolStr;

use crate::clock::now;
use crate::epoch::checkpoint::{Checkpoint, Merged, ObjectRef, PartitionCut};
use crate::epoch::coordinator::{Coordinator, Ending};
use crate::epoch::ledger::{Complete, Epoch, LaneId};
use crate::epoch::messages::{Cut, Order};
use crate::epoch::state_store;
use crate::flow::cut::state_name;
use crate::flow::partition::{STORE_RETRY, STORE_SILENT, silent};
use crate::record::Position;
use crate::recorder::Doing;
use crate::source::Committed;

impl Coordinator {
    /// Commits the oldest complete epoch, one at a time.
    pub(super) fn commit_next(&mut self, ctx: &mut Context<Self>) {
        while let Some(complete) = self.ledger.complete() {
            self.complete.push_back(complete);
        }
        self.show_open();
        if self.committing || self.ending == Ending::Stopping {
            return;
        }
        // It is in the last epoch or in none.
        if self.ends_by_itself() && self.merging.is_running() {
            return;
        }
        let Some(complete) = self.complete.pop_front() else {
            return;
        };
        self.committing = true;
        let checkpoint = Arc::new(self.checkpoint(&complete));
        let prepared = complete
            .reports
            .into_iter()
            .filter_map(|(lane, cut)| Some((lane, cut.writer?.bytes)))
            .collect();
        self.commit(checkpoint, complete.begun, prepared, ctx);
    }

    fn commit(
        &mut self,
        checkpoint: Arc<Checkpoint>,
        begun: u64,
        prepared: Vec<(LaneId, Vec<u8>)>,
        ctx: &mut Context<Self>,
    ) {
        let (log, written) = (Arc::clone(&self.spec.log), Arc::clone(&checkpoint));
        let work = self.spec.workers.run(move || log.commit(&written));
        // A store that says nothing at all is away as well.
        let silent = ctx.run_later(STORE_SILENT, |this, _| this.store(Some(silent())));
        ctx.spawn(work.into_actor(self).map(move |result, this, ctx| {
            ctx.cancel_future(silent);
            match result {
                Some(Ok(size)) => this.committed(&checkpoint, begun, size, prepared, ctx),
                Some(Err(error)) if error.kind() == ErrorKind::AlreadyExists => {
                    this.committing = false;
                    this.end.fenced = true;
                    let failure = this.spec.log.taken_over();
                    this.fall(failure, None, ctx);
                }
                failed => {
                    let why = match failed {
                        Some(Err(error)) => error.to_string(),
                        _ => "writing it panicked, see the message above".to_owned(),
                    };
                    this.store(Some(why));
                    if this.ending == Ending::Stopping {
                        this.committing = false;
                        return this.end_if_alone(ctx);
                    }
                    ctx.run_later(STORE_RETRY, move |this, ctx| {
                        this.commit(checkpoint, begun, prepared, ctx);
                    });
                }
            }
        }));
    }

    fn committed(
        &mut self,
        checkpoint: &Arc<Checkpoint>,
        begun: u64,
        size: u64,
        prepared: Vec<(LaneId, Vec<u8>)>,
        ctx: &mut Context<Self>,
    ) {
        self.committing = false;
        self.store(None);
        self.end.committed += 1;
        self.spans.committed(checkpoint.epoch, size);
        let metrics = &self.spec.metrics;
        metrics.epochs_committed.inc();
        metrics.recorder.end(Doing::Epoch, checkpoint.epoch);
        metrics
            .epoch_duration
            .observe(self.clock().saturating_sub(begun).saturating_mul(1000));
        metrics
            .checkpoint_bytes
            .set(i64::try_from(size).unwrap_or(i64::MAX));
        metrics
            .checkpoint_committed_at
            .store(checkpoint.committed_at / 1_000_000, Relaxed);
        self.spec.newest = Checkpoint::clone(checkpoint);
        for (lane, bytes) in prepared {
            if let Some(handle) = self.lanes.get(&lane) {
                handle.orders.do_send(Order::Committed(bytes));
            }
        }
        self.spec.status.committed(checkpoint);
        self.thank();
        if let Some(why) = self.merging.missed() {
            tracing::warn!(why, "state objects could not be merged");
        }
        let last = self.ending == Ending::LastEpoch(Epoch(checkpoint.epoch));
        // Behind the last epoch no checkpoint would name what is merged, and the end of the run would wait for it.
        if self.ending == Ending::No || !last && self.ends_by_itself() {
            self.merge(ctx);
        }
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() && self.ending == Ending::No {
            self.launch(waiting, ctx);
        }
        if last {
            self.ended_well = true;
            return self.stop_lanes(|| Order::Finish, ctx);
        }
        if self.ending == Ending::Stopping {
            return self.end_if_alone(ctx);
        }
        self.commit_next(ctx);
    }

    /// Commits an epoch behind the last one where writers kept objects beside the checkpoints: all that is visible now. Without
    /// it a start, however late, would make visible once more what somebody has fetched and removed by then. False where there is
    /// nothing to do.
    pub(super) fn let_go_of_kept(&mut self, ctx: &mut Context<Self>) -> bool {
        if !std::mem::take(&mut self.ended_well) {
            return false;
        }
        let mut checkpoint = self.spec.newest.clone();
        if checkpoint.lanes.iter().all(|lane| lane.kept.is_empty()) {
            return false;
        }
        for lane in &mut checkpoint.lanes {
            if !lane.kept.is_empty() {
                lane.writer = None;
                lane.kept.clear();
            }
        }
        checkpoint.epoch += 1;
        checkpoint.committed_at = now();
        self.committing = true;
        let log = Arc::clone(&self.spec.log);
        let work = self.spec.workers.run(move || log.commit(&checkpoint));
        ctx.spawn(work.into_actor(self).map(|result, this, ctx| {
            this.committing = false;
            // Who has gone on from the last epoch meanwhile looks itself.
            if let Some(Err(error)) = result {
                tracing::debug!(%error, "the epoch behind the last one was not committed");
            }
            this.end_if_alone(ctx);
        }));
        true
    }

    /// Tells the sources what is safe, and the metrics where the partitions stand.
    fn thank(&self) {
        let id: Arc<str> = Arc::from(self.spec.newest.checkpoint.as_str());
        for (input, source) in &self.spec.sources {
            let cuts = self.spec.newest.partitions();
            let cuts: Vec<_> = cuts.filter(|cut| cut.input == *input).collect();
            if self.spec.partition_metrics {
                for cut in &cuts {
                    if let Position::Number(number) = &cut.position {
                        self.spec.metrics.position(&cut.partition, *number);
                    }
                }
            }
            // Before a starting position nothing was written that a later start could repeat.
            let safe = |cut: &&PartitionCut| cut.start.as_ref().unwrap_or(&cut.position).clone();
            let positions = cuts
                .iter()
                .map(|cut| (cut.partition.clone(), safe(cut)))
                .collect();
            let committed = Committed {
                checkpoint: Arc::clone(&id),
                epoch: self.spec.newest.epoch,
                positions,
            };
            let source = Arc::clone(source);
            // Counted by the workers although nobody waits here: a new run begins only after it.
            drop(self.spec.workers.run(move || source.forget(&committed)));
        }
    }

    /// The checkpoint that the newest one becomes with these reports.
    fn checkpoint(&mut self, complete: &Complete<Cut>) -> Checkpoint {
        let mut checkpoint = self.spec.newest.clone();
        checkpoint.run = self.spec.run.to_string();
        checkpoint.epoch = complete.epoch.0;
        checkpoint.committed_at = now();
        let last = self.ending == Ending::LastEpoch(complete.epoch) && self.end.failure.is_none();
        checkpoint.interval = (!last)
            .then(|| self.spec.log.announces(self.spec.checkpoint_interval))
            .flatten();
        checkpoint.rewound = false;
        checkpoint.beside = self.spec.plan.beside();
        for (input, source) in &self.spec.sources {
            if let Some(bytes) = source.save() {
                checkpoint
                    .sources
                    .insert(input.clone(), BASE64.encode(bytes));
            }
        }
        for (id, cut) in &complete.reports {
            let Some(name) = self.lane_name(*id) else {
                continue;
            };
            checkpoint.take(name, cut);
        }
        self.let_go(&mut checkpoint);
        for name in self.merging.apply(&mut checkpoint) {
            self.spec.log.forget(&format!("state/{name}"));
        }
        checkpoint
    }

    /// Leaves out partitions that have ended, can never be found again, and are waited for by nobody.
    fn let_go(&self, checkpoint: &mut Checkpoint) {
        for (input, source) in &self.spec.sources {
            let ended = self.spec.newest.ended(input);
            if ended.is_empty() {
                continue;
            }
            let mut gone = source.gone(&ended);
            for (_, waiting) in self.waiting.iter().filter(|(of, _)| of == input) {
                gone.retain(|partition| !waiting.after.contains(partition));
            }
            checkpoint.let_go(input, &gone);
        }
    }

    /// Merges state objects of the newest checkpoint, where that is worth it.
    pub(super) fn merge(&mut self, ctx: &mut Context<Self>) {
        // The epoch that is being committed may name what was merged of these objects already, and let them be removed.
        if self.committing {
            return;
        }
        let Some(stretch) = self.merging.next(&self.spec.newest) else {
            return;
        };
        let (lane, step) = (stretch.lane.clone(), stretch.step.clone());
        let epoch = self.spec.newest.epoch;
        self.spec.metrics.recorder.begin(Doing::Merging, epoch);
        let name = format!("{}.merged", state_name(&self.spec.run, epoch, &lane, &step));
        let (log, into) = (Arc::clone(&self.spec.log), format!("state/{name}"));
        let work = self.spec.workers.run(move || {
            let names: Vec<String> = stretch
                .names
                .iter()
                .map(|name| format!("state/{name}"))
                .collect();
            let merged = state_store::merge(&**log.store(), &names, &into, stretch.first);
            (stretch, merged)
        });
        ctx.spawn(work.into_actor(self).map(move |merged, this, ctx| {
            let _for = this.behalf().enter();
            this.spec.metrics.recorder.end(Doing::Merging, epoch);
            let goes_on = matches!(merged, Some((_, Ok(_))));
            match merged {
                Some((stretch, Ok(Some(bytes)))) => this.merging.finished(Merged {
                    lane,
                    step,
                    covers: stretch.names,
                    object: ObjectRef { name, bytes },
                }),
                Some((stretch, Ok(None))) => this.merging.apart(&stretch),
                Some((_, Err(error))) if error.kind() == ErrorKind::NotFound => {
                    this.merging.misses(format!("{step}: {error}"));
                }
                Some((_, Err(error))) => {
                    tracing::warn!(%error, %step, "state objects could not be merged");
                    this.merging.failed();
                }
                None => this.merging.failed(),
            }
            if this.ends_by_itself() {
                if goes_on {
                    this.merge(ctx);
                }
                this.commit_next(ctx);
            }
        }));
    }

    fn lane_name(&self, id: LaneId) -> Option<&SmolStr> {
        self.lanes.get(&id).map(|handle| &handle.name)
    }
}
