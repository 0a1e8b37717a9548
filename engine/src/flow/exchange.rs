//! What a lane before an exchange does beside its rows: it hands event time on, and says when all it wrote is delivered.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::epoch::messages::News;
use crate::error::Failure;
use crate::flow::partition::Lane;
use crate::plan::Side;
use crate::record::Position;
use crate::sink::{DeliveryObserver, Promise, WriterContext};
use crate::source::Source;
use crate::spans::{Carried, LaneSpans};

/// How often event time is handed on.
pub(super) const PROMISE: Duration = Duration::from_millis(100);

/// Rows in an exchange are not output yet: nobody counts them. They carry their trace through it.
struct Nobody(Option<Arc<LaneSpans>>);

impl DeliveryObserver for Nobody {
    fn acknowledged(&self, _: u64, _: u64) {}
    fn latency(&self, _: u64, _: u64) {}
    fn carried(&self) -> Option<Carried> {
        self.0.as_ref()?.carried()
    }
}

/// What the writer of an exchange is opened with.
pub(super) fn unobserved(lane: &str, spans: Option<&Arc<LaneSpans>>) -> WriterContext {
    WriterContext {
        lane: lane.to_owned(),
        observer: Arc::new(Nobody(spans.cloned())),
        beside: None,
    }
}

/// What helps to get past a record that fails. A position behind an exchange cannot be moved by hand: the record would
/// be missed there.
pub(super) fn step_over(
    side: Side,
    source: &dyn Source,
    location: &str,
    (place, position): (&str, &Position),
) -> String {
    if side == Side::Behind || source.behind(position).is_none() {
        return "run the query with --set onError=skip until it is past it".to_owned();
    }
    // A place may be the name of a file, which a shell would take apart.
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/@:._+=-".contains(letter);
    if place.chars().all(plain) {
        format!("thalweg checkpoint set {location} --skip {place}")
    } else {
        let place = place.replace('\'', r"'\''");
        format!("thalweg checkpoint set {location} --skip '{place}'")
    }
}

impl Lane {
    /// Hands on how far event time is.
    pub(super) fn promise(&mut self, ctx: &mut Context<Self>) {
        let timed = self.readers.iter().any(|reader| reader.role.event_time);
        if !timed || self.exhausted {
            return;
        }
        self.heed_hold_up();
        let promise = Promise {
            watermark: self.watermarks.current(),
            last: self.readers.iter().all(|reader| reader.ended),
            idle: !self.paused
                && self
                    .readers
                    .iter()
                    .all(|reader| reader.idle_for(self.spec.idle_timeout)),
        };
        if let Some(pipeline) = &mut self.pipeline
            && let Err(failure) = pipeline.writer().promise(promise)
        {
            self.fail(failure, ctx);
        }
    }

    /// Says that everything is read and emitted, once it is delivered: who reads the exchange may then be told its end.
    pub(super) fn exhaust_delivered(&mut self, ctx: &mut Context<Self>) {
        let Some(pipeline) = &mut self.pipeline else {
            return;
        };
        let delivered = pipeline.writer().delivered();
        let (coordinator, lane) = (self.spec.coordinator.clone(), self.spec.id);
        ctx.spawn(
            async move {
                delivered.await?;
                coordinator.do_send(News::Exhausted(lane));
                Ok(())
            }
            .into_actor(self)
            .map(|done: Result<(), Failure>, lane, ctx| {
                if let Err(failure) = done {
                    lane.fail(failure, ctx);
                }
            }),
        );
    }
}
