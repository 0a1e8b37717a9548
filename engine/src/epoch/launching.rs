//! The coordinator's lanes: partitions are launched once their predecessors have ended, and looked for while the run goes on.

use std::sync::Arc;

use actix::prelude::*;
use smol_str::SmolStr;

use crate::epoch::coordinator::{Coordinator, Ending};
use crate::error::Failure;
use crate::plan::Side;
use crate::source::{Source, Start};

impl Coordinator {
    /// Launches partitions whose predecessors have ended; the others wait.
    pub(super) fn launch(&mut self, starts: Vec<(SmolStr, Start)>, ctx: &mut Context<Self>) {
        for (input, start) in &starts {
            let known = self.known.entry(input.clone()).or_default();
            known.insert(start.partition.clone());
        }
        let (ready, waiting) = starts
            .into_iter()
            .partition::<Vec<_>, _>(|(input, start)| self.may_start(input, start));
        self.waiting.extend(waiting);
        if ready.is_empty() && self.waiting.is_empty() {
            return;
        }
        let news = ctx.address().recipient();
        let launched = (self.spec.launcher)(&ready, &self.waiting, self.ledger.next(), &news);
        // A lane that reads several partitions has more to read than it has said to have read.
        for (lane, handle) in &self.lanes {
            if launched.again.contains(&handle.name) {
                self.exhausted.remove(lane);
            }
        }
        self.lanes.extend(launched.new);
    }

    /// Whether every partition that must end before this one has ended, or is not there any more.
    fn may_start(&self, input: &SmolStr, start: &Start) -> bool {
        start.after.iter().all(|parent| {
            let ended = self
                .spec
                .newest
                .partitions()
                .any(|cut| cut.input == *input && cut.partition == *parent && cut.ended);
            let known = self
                .known
                .get(input)
                .is_some_and(|known| known.contains(parent));
            ended || !known
        })
    }

    /// Looks for partitions that appeared, and launches them.
    pub(super) fn discover(&mut self, ctx: &mut Context<Self>) {
        if self.discovering || self.ending != Ending::No || !self.building.is_empty() {
            return;
        }
        self.discovering = true;
        let sources = self.spec.sources.clone();
        let known = self.known.clone();
        let work = self.spec.workers.run(move || {
            let mut found = Vec::new();
            for (input, source) in sources {
                let known: Vec<SmolStr> =
                    known.get(&input).into_iter().flatten().cloned().collect();
                let starts = source.discover(&known)?;
                found.extend(starts.into_iter().map(|start| (input.clone(), start)));
            }
            Ok::<_, Failure>(found)
        });
        ctx.spawn(work.into_actor(self).map(|found, this, ctx| {
            let _for = this.behalf().enter();
            this.discovering = false;
            match found {
                Some(Ok(found)) => {
                    for (_, start) in &found {
                        tracing::info!(partition = %start.partition, position = %start.position, "a new partition is read");
                    }
                    if this.ending == Ending::No && !found.is_empty() {
                        this.launch(found, ctx);
                        this.hasten(ctx);
                    }
                }
                Some(Err(failure)) => this.fall(failure, None, ctx),
                None => {}
            }
        }));
    }

    /// In a bounded run: once the lanes before the exchanges have ended and all they wrote is delivered, those behind them
    /// are told where these end.
    pub(super) fn finish_exchanges(&mut self, ctx: &mut Context<Self>) {
        let mut before = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.side == Side::Before);
        if self.spec.exchanges.is_empty()
            || self.finished
            || !before.all(|(lane, _)| self.exhausted.contains(lane))
        {
            return;
        }
        self.finished = true;
        let sources = self.spec.sources.iter();
        let sources: Vec<Arc<dyn Source>> = sources
            .filter(|(input, _)| self.spec.exchanges.contains(input))
            .map(|(_, source)| Arc::clone(source))
            .collect();
        let work = self
            .spec
            .workers
            .run(move || sources.iter().try_for_each(|source| source.finish()));
        ctx.spawn(work.into_actor(self).map(|told, this, ctx| {
            let panicked = || Failure::restart("asking where an exchange ends panicked: a bug");
            if let Err(failure) = told.unwrap_or_else(|| Err(panicked())) {
                this.fall(failure, None, ctx);
            }
        }));
    }
}
