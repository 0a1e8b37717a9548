//! Positions are committed to the consumer group: one commit under way at a time, the last one awaited.

use std::ptr;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use thalweg_engine::source::Health;

use super::super::client::Event;
use super::super::codes::Code;
use super::super::partition_list::{Entry, PartitionList};
use super::super::starting::partition_name;
use super::{Consumer, Positions, Shared};

/// How long `close` waits for the last commit.
const LAST_COMMIT: Duration = Duration::from_secs(3);

impl Consumer {
    pub(super) fn last_commit(&self) {
        self.shared.commits.lock().close();
        self.shared.commit_due();
        self.shared.await_commit(Instant::now() + LAST_COMMIT);
    }
}

impl Shared {
    /// Lets who awaits the last commit look again. The lock is taken so that nobody is between a look and the wait.
    pub(super) fn settle(&self) {
        drop(self.commits.lock());
        self.settled.notify_all();
    }

    /// Waits until no commit is under way, the broker is away, or it is late.
    pub(super) fn await_commit(&self, until: Instant) {
        let mut commits = self.commits.lock();
        while !commits.settled() && *self.health.lock() == Health::Up {
            if self.settled.wait_until(&mut commits, until).timed_out() {
                return;
            }
        }
    }

    /// Sends the commit that is due, if there is one.
    pub(super) fn commit_due(&self) {
        let now = Instant::now();
        let mut commits = self.commits.lock();
        if let Some(positions) = commits.due(now) {
            let answer_comes = self.send_commit(&positions);
            commits.sent(answer_comes, now);
        }
    }

    /// Sends a commit; says whether an answer will come.
    fn send_commit(&self, positions: &Positions) -> bool {
        let mut list = PartitionList::new();
        for ((topic, partition), (offset, witness)) in positions {
            if list.add(topic, *partition, *offset, Some(witness)).is_err() {
                return false;
            }
        }
        // A group that has members takes commits of its members only.
        let member = self.member.get();
        if member.is_some_and(|member| member.id().is_none()) {
            return false;
        }
        let (client, queue) = member.map_or((&self.client, &self.queue), |member| member.parts());
        // SAFETY: live objects; the client copies the list, and its answer comes as an event of the queue.
        let code = Code::from(unsafe {
            sys::rd_kafka_commit_queue(
                client.native(),
                list.native(),
                queue.native(),
                None,
                ptr::null_mut(),
            )
        });
        code == Code::OK
    }

    pub(in crate::kafka) fn committed(&self, answer: &Event) {
        let code = answer.error();
        let before = std::mem::replace(&mut *self.refused.lock(), code);
        // A client that has failed for good says so itself.
        if matches!(
            code,
            Code::REBALANCE_IN_PROGRESS | Code::ILLEGAL_GENERATION | Code::FATAL
        ) {
            tracing::debug!(target: "kafka", "positions are not committed to the consumer group: {}", code.name());
        // A partition that is gone is refused each time: once is enough.
        } else if code != Code::OK && code != before {
            tracing::warn!(target: "kafka", "positions{} could not be committed to the consumer group: {}. They are safe in the checkpoint", of_refused(&answer.partitions()), code.describe());
        }
        self.commits.lock().answered();
        self.commit_due();
        self.settle();
    }
}

/// Whose positions were refused; nothing where the answer is about all of them.
fn of_refused(entries: &[Entry]) -> String {
    let refused = entries.iter().filter(|entry| entry.error != Code::OK);
    let names: Vec<String> = refused
        .map(|entry| partition_name(&entry.topic, entry.partition).to_string())
        .collect();
    match names.is_empty() || names.len() == entries.len() {
        true => String::new(),
        false => format!(" of {}", names.join(", ")),
    }
}
