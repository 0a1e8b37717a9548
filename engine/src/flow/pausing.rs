//! A query that is paused by hand: its lanes take no record, and everything else goes on.

use actix::prelude::*;

use crate::flow::partition::Lane;
use crate::recorder::Doing;

impl Lane {
    /// Pauses and goes on with its query from now on.
    pub(super) fn heed_pauses(&mut self, ctx: &mut Context<Self>) {
        let paused = self.spec.pauses.borrow_and_update().is_some();
        self.hold(paused);
        // It knows of what was just looked at, so that no change is missed.
        let mut next = self.spec.pauses.clone();
        ctx.spawn(
            async move { next.changed().await.is_ok() }
                .into_actor(self)
                .map(|changed, lane, ctx| {
                    if changed {
                        lane.heed_pauses(ctx);
                    }
                }),
        );
    }

    fn hold(&mut self, paused: bool) {
        if self.paused == paused {
            return;
        }
        self.paused = paused;
        if paused {
            self.gate.closed.set(self.gate.closed.get() + 1);
            self.recording.recorder.begin(Doing::Paused, 0);
            return;
        }
        // What came to a partition meanwhile was not seen: how long it is idle counts from now.
        self.begin_idle_anew();
        self.recording.recorder.end(Doing::Paused, 0);
        self.open_gate();
    }
}
