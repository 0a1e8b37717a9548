//! The task that reads one shard: it asks for records again and again, and hands them to the lane in batches.
//!
//! At most one batch waits for the lane, and the next is only asked for when that has been taken. How much is asked for at once
//! is limited, so that all shards of a query together hold no more than [`HELD_MAX`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_kinesis::types::Record;
use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::clock;
use thalweg_engine::error::Failure;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, sleep_until};

use super::client::Client;
use super::place::Place;
use super::settings::Settings;
use super::trouble::Trouble;

/// Bytes of records that all shards of a query may hold, those with two batches each.
const HELD_MAX: usize = 32 << 20;
/// What is asked for at once: a shard gives 2 MiB a second in five reads.
const READ_MAX: usize = 400 << 10;
const READ_MIN: usize = 32 << 10;
/// What a record is taken for before the first came, and what each takes beside its bytes.
const RECORD_GUESS: usize = 1 << 10;
const RECORD_FRAME: usize = 200;
/// The clocks of the two sides may differ so far.
const SKEW_MAX: i64 = 5 * 60 * 1000;

/// The wall clock in milliseconds.
pub(super) fn wall_millis() -> i64 {
    clock::now() / 1000
}

/// A time as messages show it.
fn clock(millis: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(millis);
    time.map_or_else(
        || format!("{millis} ms"),
        |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

/// What the tasks of a query share.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) settings: Settings,
    /// Records per shard count anew after this time.
    pub(super) interval: Duration,
    /// How many shards are read.
    pub(super) reading: AtomicUsize,
    /// Milliseconds behind the end, by partition.
    pub(super) behind: Mutex<BTreeMap<SmolStr, i64>>,
    /// How long the stream keeps records, in milliseconds.
    pub(super) retention: AtomicI64,
    /// Up to which arrival each partition was read, in milliseconds of this machine's clock.
    pub(super) read_to: Arc<Mutex<BTreeMap<SmolStr, i64>>>,
    /// Why a partition gets no answer.
    pub(super) away: Mutex<BTreeMap<SmolStr, String>>,
    /// When the run began: a bounded one ends where the stream ended then.
    pub(super) began: Instant,
}

/// What a lane gets.
pub(super) enum Fetched {
    /// Records, and whether there are no more at the moment.
    Batch {
        records: Vec<Record>,
        caught_up: bool,
    },
    /// Nothing will ever come again.
    Ended,
    /// Reading cannot go on.
    Failed(Failure),
}

/// The task.
pub(super) struct Fetcher {
    pub(super) shared: Arc<Shared>,
    pub(super) partition: SmolStr,
    pub(super) shard: SmolStr,
    /// Where to go on when the iterator is lost.
    pub(super) place: Place,
    /// Whether it ends where the stream ended when the run began.
    pub(super) bounded: bool,
    iterator: Option<String>,
    /// When the shard may be read next.
    next: Instant,
    pause: Duration,
    /// Whether the lane knows that there are no more records at the moment.
    told: bool,
    /// The mean size of a record.
    mean: usize,
    /// Records in the current interval, and when it ends.
    counted: u64,
    counts_until: Instant,
}

/// What a read has brought.
enum Read {
    Nothing,
    Some(Fetched),
    Last(Vec<Record>),
}

impl Fetcher {
    pub(super) fn new(
        shared: &Arc<Shared>,
        partition: &SmolStr,
        shard: &str,
        place: Place,
        bounded: bool,
    ) -> Self {
        Self {
            pause: shared.settings.retry_interval,
            shared: Arc::clone(shared),
            partition: partition.clone(),
            shard: shard.into(),
            place,
            bounded,
            iterator: None,
            next: Instant::now(),
            told: false,
            mean: RECORD_GUESS,
            counted: 0,
            counts_until: Instant::now(),
        }
    }

    /// Reads until the shard ends, or nobody takes what is read.
    pub(super) async fn run(mut self, into: Sender<Fetched>) {
        self.shared.reading.fetch_add(1, Ordering::Relaxed);
        self.read_on(&into).await;
        self.shared.reading.fetch_sub(1, Ordering::Relaxed);
        self.shared.away.lock().remove(&self.partition);
        self.shared.behind.lock().remove(&self.partition);
    }

    async fn read_on(&mut self, into: &Sender<Fetched>) {
        loop {
            let Ok(room) = into.reserve().await else {
                return;
            };
            tokio::select! {
                () = sleep_until(self.next) => {}
                () = into.closed() => return,
            }
            if let Some(failure) = self.trimmed() {
                room.send(Fetched::Failed(failure));
                return;
            }
            match self.read().await {
                Ok(read) => {
                    self.answered();
                    match read {
                        Read::Nothing => {}
                        Read::Some(batch) => room.send(batch),
                        Read::Last(records) => {
                            room.send(Fetched::Batch {
                                records,
                                caught_up: true,
                            });
                            // The lane may be gone, or goes when it has this.
                            let _ = into.send(Fetched::Ended).await;
                            return;
                        }
                    }
                }
                Err(trouble) => {
                    if let Some(failure) = self.fatal(&trouble) {
                        room.send(Fetched::Failed(failure));
                        return;
                    }
                    self.wait(&trouble).await;
                }
            }
        }
    }

    /// How many records to ask for.
    fn limit(&self) -> i32 {
        let shards = self.shared.reading.load(Ordering::Relaxed).max(1);
        let bytes = (HELD_MAX / (2 * shards)).clamp(READ_MIN, READ_MAX);
        let fitting = i32::try_from((bytes / self.mean).max(1)).unwrap_or(i32::MAX);
        let limit = fitting.min(self.shared.settings.per_read);
        match self.shared.settings.per_interval {
            Some(max) => {
                let left = max.saturating_sub(self.counted);
                limit.min(i32::try_from(left).unwrap_or(i32::MAX))
            }
            None => limit,
        }
    }

    async fn read(&mut self) -> Result<Read, Trouble> {
        let begun = Instant::now();
        if begun >= self.counts_until && self.shared.settings.per_interval.is_some() {
            let (interval, now) = (self.shared.interval, begun.into_std());
            if let Some(over) = clock::hush(interval, now) {
                self.next = over.into();
                return Ok(Read::Nothing);
            }
            (self.counted, self.counts_until) = (0, clock::next_beat(interval, now).into());
        }
        let limit = self.limit();
        if limit < 1 {
            self.next = self.counts_until;
            return Ok(Read::Nothing);
        }
        let iterator = match self.iterator.take() {
            Some(iterator) => iterator,
            None => {
                self.shared
                    .client
                    .iterator(&self.shard, &self.place)
                    .await?
            }
        };
        // From start to start: what a request takes is not waited for twice.
        self.next = begun + self.shared.settings.idle;
        let answer = self.shared.client.records(&iterator, limit).await;
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(trouble) => {
                if trouble != Trouble::Expired {
                    self.iterator = Some(iterator);
                }
                return Err(trouble);
            }
        };
        self.iterator = answer.next_shard_iterator.take();
        let behind = answer.millis_behind_latest.unwrap_or(0).max(0);
        let records = std::mem::take(&mut answer.records);
        if let Some(last) = records.last() {
            self.place = Place::After(last.sequence_number().into());
            self.measure(&records);
        }
        let full = i32::try_from(records.len()).unwrap_or(i32::MAX) >= limit;
        self.shared
            .behind
            .lock()
            .insert(self.partition.clone(), behind);
        if self.iterator.is_some() {
            self.read_up_to(wall_millis() - behind);
        } else {
            self.shared.read_to.lock().remove(&self.partition);
        }
        if self.iterator.is_none() || (self.bounded && !full && self.passed(begun, behind)) {
            return Ok(Read::Last(records));
        }
        let caught_up = behind == 0 && !full;
        if records.is_empty() && (!caught_up || std::mem::replace(&mut self.told, true)) {
            return Ok(Read::Nothing);
        }
        self.told = caught_up;
        Ok(Read::Some(Fetched::Batch { records, caught_up }))
    }

    fn read_up_to(&self, time: i64) {
        let mut read_to = self.shared.read_to.lock();
        read_to.insert(self.partition.clone(), time);
    }

    /// Kinesis goes on with the oldest record without a word, when the stream does not keep any more what comes next. So it is
    /// asked when the shard was last read, and up to which arrival: what came after that and is older than the stream keeps
    /// it is gone.
    fn trimmed(&self) -> Option<Failure> {
        let kept = self.shared.retention.load(Ordering::Relaxed);
        let oldest = wall_millis() - kept;
        let read_to = self.shared.read_to.lock().get(&self.partition).copied()?;
        if read_to >= oldest {
            return None;
        }
        let sentence = format!(
            "{} was read up to what arrived until {}, and the stream keeps records for {} hours: what arrived between {} and {} \
             is gone, if anything did",
            self.partition,
            clock(read_to),
            kept / 3_600_000,
            clock(read_to),
            clock(oldest),
        );
        if self.shared.settings.fail_on_data_loss {
            return Some(Failure::end(format!(
                "{sentence}. Set failOnDataLoss to false to go on with the oldest record that is there"
            )));
        }
        tracing::warn!(target: "kinesis", "{sentence}; going on with the oldest record because failOnDataLoss is false");
        // Said once.
        self.read_up_to(oldest);
        None
    }

    /// Whether what was read reaches to the moment in which the run began. Compares times that have passed, so the clocks of
    /// the two sides need not agree.
    fn passed(&self, begun: Instant, behind: i64) -> bool {
        let passed = begun.saturating_duration_since(self.shared.began);
        behind == 0 || u128::try_from(behind).is_ok_and(|behind| behind <= passed.as_millis())
    }

    fn measure(&mut self, records: &[Record]) {
        let bytes: usize = records
            .iter()
            .map(|record| record.data().as_ref().len() + RECORD_FRAME)
            .sum();
        self.mean = (self.mean + bytes / records.len().max(1)) / 2;
        self.counted += records.len() as u64;
    }

    fn answered(&mut self) {
        self.pause = self.shared.settings.retry_interval;
        if self.shared.away.lock().remove(&self.partition).is_some() {
            tracing::info!(target: "kinesis", "{} is read again", self.partition);
        }
    }

    /// What cannot be waited out.
    fn fatal(&self, trouble: &Trouble) -> Option<Failure> {
        let (stream, place) = (&self.shared.settings.stream, &self.shared.client.place);
        match trouble {
            Trouble::Throttled | Trouble::Expired | Trouble::Credentials(_) | Trouble::Away(_) => {
                None
            }
            // Their clock is behind ours: the moment that we start at is still to come.
            Trouble::Wrong(_) if self.is_ahead() => None,
            Trouble::Missing => Some(Failure::end(format!(
                "{} does not exist any more at {place}: was the stream `{stream}` deleted?",
                self.partition
            ))),
            Trouble::Wrong(reason) => Some(Failure::end(format!(
                "{} cannot be read at {}: {reason}",
                self.partition,
                self.place.position()
            ))),
            Trouble::Denied(_) => Some(trouble.failure(stream, place)),
        }
    }

    fn is_ahead(&self) -> bool {
        let now = wall_millis();
        matches!(self.place, Place::Time(time) if (now - SKEW_MAX..=now).contains(&time))
    }

    async fn wait(&mut self, trouble: &Trouble) {
        match trouble {
            // A new iterator is asked for at once.
            Trouble::Expired => return,
            Trouble::Throttled | Trouble::Wrong(_) => {
                tracing::debug!(target: "kinesis", "{}: {trouble:?}, next in {:?}", self.partition, self.pause);
            }
            _ => {
                let (stream, place) = (&self.shared.settings.stream, &self.shared.client.place);
                let why = trouble.text(stream, place);
                let mut away = self.shared.away.lock();
                if away.insert(self.partition.clone(), why.clone()).is_none() {
                    tracing::warn!(target: "kinesis", "{} is not read: {why}; trying again", self.partition);
                }
            }
        }
        // Shards that were throttled together must not come again together.
        let spread = u64::from(crc32fast::hash(
            format!("{}{:?}", self.shard, Instant::now()).as_bytes(),
        ));
        let most = u64::try_from(self.pause.as_millis()).unwrap_or(u64::MAX);
        sleep(self.pause / 2 + Duration::from_millis(spread % most.max(1) / 2)).await;
        self.pause = (self.pause * 2).min(self.shared.settings.retry_interval_max);
    }
}
