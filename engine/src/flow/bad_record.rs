//! A record that failed: it ends the query, is skipped, or goes to the dead letters, as `onError` says.

use std::time::Instant;

use actix::prelude::*;

use crate::epoch::messages::News;
use crate::error::{ErrorClass, Failure, RecordError};
use crate::flow::exchange::step_over;
use crate::flow::lane::OnError;
use crate::flow::partition::Lane;
use crate::record::Record;
use crate::sink::{Origin, Readiness};

impl Lane {
    /// A record that failed: the job's policy for it.
    pub(super) fn bad(
        &mut self,
        reader: usize,
        record: &Record,
        error: &RecordError,
        ctx: &mut Context<Self>,
    ) {
        let from = &self.readers[reader];
        let place = format!("{}@{}", from.partition, record.meta.position);
        let mut reason = error.reason.to_string();
        if error.class == ErrorClass::Broken {
            return self.fail(Failure::end(format!("{place}: {reason}")), ctx);
        }
        self.spec.metrics.errors[error.class as usize].inc();
        if self.spec.show_records
            && let Some(content) = &error.content
        {
            reason = format!("{reason}: {content}");
        }
        if self.building.is_some() {
            // It had its turn in the run that has read it first.
            self.warn(
                &place,
                &reason,
                record.meta.taken,
                "before the checkpoint failed and is left out of the new state",
            );
            return self.leave_out(reader, record);
        }
        match &self.spec.on_error {
            OnError::Fail => {
                self.refused = true;
                // Exactly this record is next, also where offsets before it hold no record.
                let position = &mut self.readers[reader].position;
                position.clone_from(&record.meta.position);
                self.gate.ended.set(true);
                self.gate.wake();
                self.spec.coordinator.do_send(News::Refused {
                    lane: self.spec.id,
                    failure: Failure::end(format!(
                        "the record {place} failed ({}): {reason}. The query ends here, because onError is 'fail'. \
                         To step over this record: {}",
                        error.class.name(),
                        step_over(
                            self.spec.side,
                            &*self.readers[reader].source,
                            &self.spec.beside.store.location(),
                            (&place, &record.meta.position),
                        ),
                    )),
                });
                return;
            }
            OnError::Skip => {
                self.warn(&place, &reason, record.meta.taken, "failed and is skipped");
            }
            OnError::DeadLetter(_) if self.silent() => {
                tracing::debug!(
                    place,
                    reason,
                    "a record failed before the starting position"
                );
            }
            OnError::DeadLetter(dead) => {
                tracing::debug!(
                    place,
                    reason,
                    "a record failed and goes to the dead letters"
                );
                let row = (dead.row)(record, error);
                let Some(writer) = &mut self.dead else {
                    return;
                };
                let origin = Origin {
                    meta: &record.meta,
                    index: 0,
                    moment: false,
                };
                if let Err(error) = writer.write(&row, origin) {
                    writer.reject();
                    let failure = Failure::end(format!(
                        "the record {place} failed, and the dead-letter table cannot take it: {}",
                        error.reason
                    ));
                    self.fail(failure, ctx);
                    return;
                }
                self.spec.metrics.dead_letters.inc();
                match writer.accept() {
                    Ok(Readiness::Ready) => {}
                    Ok(Readiness::Full) => {
                        let drained = writer.drained();
                        self.pause(drained, ctx);
                    }
                    Err(failure) => {
                        self.fail(failure, ctx);
                        return;
                    }
                }
            }
        }
        self.leave_out(reader, record);
    }

    /// Tells of one of many records: all of a topic may be bad.
    fn warn(&mut self, place: &str, reason: &str, at: Instant, what: &str) {
        let Some(left_out) = self.telling.tells(at) else {
            return;
        };
        if left_out > 0 {
            tracing::warn!(
                left_out,
                "more records failed: each is counted, and not told here"
            );
        }
        tracing::warn!(place, reason, "a record {what}");
    }

    /// The record will not come again.
    fn leave_out(&mut self, reader: usize, record: &Record) {
        self.readers[reader].position.clone_from(&record.next);
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.leave_out();
        }
    }
}
