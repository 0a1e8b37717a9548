//! The cut of a lane, and aside from the row path its report.

use std::sync::Arc;

use actix::prelude::*;
use smol_str::SmolStr;

use crate::epoch::checkpoint::{ObjectRef, PartitionCut};
use crate::epoch::ledger::Epoch;
use crate::epoch::messages::{Cut, News, StateObject};
use crate::epoch::state_store;
use crate::error::Failure;
use crate::flow::partition::{Lane, STORE_RETRY, STORE_SILENT, silent};
use crate::plan::Side;
use crate::recorder::Doing;
use crate::state::StateChanges;

impl Lane {
    /// The cut, and aside from the row path the report.
    pub(super) fn cut(&mut self, epoch: Epoch, last: bool, ctx: &mut Context<Self>) {
        let begun = std::time::Instant::now();
        let Some(pipeline) = &mut self.pipeline else {
            return;
        };
        let partitions = self
            .readers
            .iter()
            .enumerate()
            .map(|(index, reader)| PartitionCut {
                input: reader.partition.input.clone(),
                partition: reader.partition.name.clone(),
                position: reader.position.clone(),
                watermark: self.watermarks.of(index),
                seen: self.watermarks.seen(index),
                ended: reader.ended && reader.until.is_none() && self.spec.side != Side::Behind,
                start: reader.start.clone(),
            })
            .collect();
        let mut state = pipeline.save();
        state.extend(self.readers.iter().filter_map(|reader| {
            let changes = reader.source.changes(&reader.partition, &reader.position)?;
            Some((reader.partition.name.clone(), changes))
        }));
        let prepared = pipeline.writer().prepare(last);
        pipeline.writer().epoch(epoch.0 + 1);
        let delivered = pipeline.writer().delivered();
        let dead = self.dead.as_mut().map(|writer| writer.delivered());
        self.spec.metrics.cut.observe_duration(begun.elapsed());
        self.hand_over();
        self.recording.worked(Doing::Cut, begun, epoch.0);
        self.recording.recorder.begin(Doing::Saving, epoch.0);

        let (lane, coordinator) = (self.spec.id, self.spec.coordinator.clone());
        let saved = self.save_aside(epoch, state);
        ctx.spawn(
            async move {
                // State first: it is being written while the sink still delivers.
                let state = saved.await;
                let writer = prepared.await?;
                delivered.await?;
                if let Some(dead) = dead {
                    dead.await?;
                }
                coordinator.do_send(News::Report {
                    lane,
                    epoch,
                    cut: Cut {
                        partitions,
                        writer,
                        state,
                    },
                });
                Ok(())
            }
            .into_actor(self)
            .map(move |reported: Result<(), Failure>, lane, ctx| {
                lane.recording.recorder.end(Doing::Saving, epoch.0);
                if let Err(failure) = reported {
                    lane.fail(failure, ctx);
                }
            }),
        );
    }

    /// The epoch is committed: the writer makes visible what it had prepared in it, while rows go on.
    pub(super) fn committed(&mut self, prepared: &[u8], ctx: &mut Context<Self>) {
        let Some(pipeline) = &mut self.pipeline else {
            return;
        };
        let commit = pipeline.writer().commit(prepared);
        self.commits += 1;
        ctx.spawn(commit.into_actor(self).map(|committed, lane, ctx| {
            lane.commits -= 1;
            match committed {
                Ok(()) if lane.told_to_stop => lane.finish(ctx),
                Ok(()) => {}
                Err(failure) => lane.fail(failure, ctx),
            }
        }));
    }

    /// Ends once all that is committed is visible.
    pub(super) fn finish(&mut self, ctx: &mut Context<Self>) {
        if self.commits == 0 {
            ctx.stop();
        }
    }

    /// Writes the state objects of one epoch; a store that does not take them is asked again until it does.
    fn save_aside(
        &self,
        epoch: Epoch,
        state: Vec<(SmolStr, StateChanges)>,
    ) -> impl Future<Output = Vec<StateObject>> + use<> {
        let (run, lane) = (Arc::clone(&self.spec.run), self.spec.name.clone());
        let (store, workers) = (
            Arc::clone(&self.spec.beside.store),
            self.spec.workers.clone(),
        );
        let coordinator = self.spec.coordinator.clone();
        async move {
            let mut objects = Vec::with_capacity(state.len());
            for (step, changes) in state {
                let object = state_name(&run, epoch.0, &lane, &step);
                let whole = changes.whole;
                let changes = Arc::new(changes);
                let mut away = false;
                let bytes = loop {
                    let (store, name) = (Arc::clone(&store), format!("state/{object}"));
                    let changes = Arc::clone(&changes);
                    let written = workers.run(move || state_store::write(&*store, &name, &changes));
                    tokio::pin!(written);
                    // A store that says nothing at all is away as well.
                    let answered = actix::clock::timeout(STORE_SILENT, &mut written).await;
                    let written = match answered {
                        Ok(written) => written,
                        Err(_) => {
                            away = true;
                            coordinator.do_send(News::Store(Some(silent())));
                            written.await
                        }
                    };
                    match written {
                        Some(Ok(bytes)) => break bytes,
                        Some(Err(error)) => {
                            away = true;
                            coordinator.do_send(News::Store(Some(error.to_string())));
                        }
                        None => {}
                    }
                    actix::clock::sleep(STORE_RETRY).await;
                };
                if away {
                    coordinator.do_send(News::Store(None));
                }
                objects.push(StateObject {
                    step,
                    object: ObjectRef {
                        name: object,
                        bytes,
                    },
                    whole,
                });
            }
            objects
        }
    }
}

/// Bytes of a file's name that file systems take.
const NAME_MAX: usize = 255;
/// Bytes of a lane and of a step in an object's name: run, epoch, `.merged` and what marks an unfinished one have room beside them.
const PART_MAX: usize = 80;

/// The name of the object that holds what a step of a lane changed in an epoch.
pub(crate) fn state_name(run: &str, epoch: u64, lane: &str, step: &str) -> String {
    let (lane, step) = (within(PART_MAX, plain(lane)), within(PART_MAX, plain(step)));
    format!("{run}-{epoch}-{lane}-{step}")
}

/// The name of the folder with a lane's own checkpoints.
pub(crate) fn folder_name(lane: &str) -> String {
    within(NAME_MAX, plain(lane))
}

/// A name of at most so many bytes: a longer one is cut off and told apart by its checksum. A step is called by what it does, so a
/// GROUP BY of many columns has a long name.
fn within(max: usize, mut name: String) -> String {
    if name.len() > max {
        let sum = crc32c::crc32c(name.as_bytes());
        let tail = format!("~{:x}~{sum:08x}", name.len());
        name.truncate(max - tail.len());
        name.push_str(&tail);
    }
    name
}

/// A name as part of an object's name: anything but letters, digits, `_` and `.` as `%XX`.
fn plain(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_with_a_long_name_has_an_object_of_its_own_that_every_file_system_takes() {
        let by = |column: &str| format!("aggregate by {}, {column}", "a, b, ".repeat(100));
        let lane = format!("t:{}/1", "orders-".repeat(35));
        let name = |lane: &str, step: &str| state_name("0a9018832172817d", u64::MAX, lane, step);
        let names = [
            name(&lane, &by("c")),
            name(&lane, &by("d")),
            name(&lane.replace("/1", "/2"), &by("c")),
        ];
        for name in &names {
            assert!(
                format!(".tmp-{:032}{name}.merged", 0).len() <= NAME_MAX,
                "{name}"
            );
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1);
        }
        assert_eq!(
            name("t:in/0", "distinct by id"),
            "0a9018832172817d-18446744073709551615-t%3Ain%2F0-distinct%20by%20id"
        );
        assert_eq!(folder_name("t:in/0"), "t%3Ain%2F0");
        assert!(folder_name(&"orders-".repeat(35)).len() <= NAME_MAX);
    }
}
