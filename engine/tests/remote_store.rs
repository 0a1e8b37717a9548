//! Stories of a query whose checkpoints lie in a store without locks that may be slow, silent or away. Time is virtual.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use actix::System;
use actix::clock::{Instant, sleep};
use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::state_store;
use thalweg_engine::epoch::store::{Entry, Store, WriteObject};
use thalweg_engine::error::{Failure, RecordError, Remedy};
use thalweg_engine::flow::lane::OnError;
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::memory::{MemoryLog, MemorySink, MemorySource};
use thalweg_engine::metrics::{Metrics, QueryMetrics};
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::plan::{Input, Opened, Plan, Role, Side};
use thalweg_engine::query::{Host, Query, Settings};
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::state::StateChanges;
use thalweg_engine::status::{Phase, QueryStatus};
use thalweg_engine::workers::Workers;
use tokio::sync::watch;

/// Objects that all processes see, without a lock.
#[derive(Clone, Default)]
struct Bucket {
    objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    away: Arc<AtomicBool>,
    /// How long an answer takes, in milliseconds.
    delay: Arc<AtomicU64>,
}

impl Bucket {
    fn answers(&self) -> io::Result<()> {
        if self.away.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "planted: away"));
        }
        Ok(())
    }

    fn log(&self) -> CheckpointLog {
        CheckpointLog::new(Arc::new(self.clone()), 5, false)
    }

    fn newest(&self) -> u64 {
        self.log().newest().unwrap().unwrap().epoch
    }

    fn workers(&self) -> Workers {
        let delay = Arc::clone(&self.delay);
        Workers::simulated(Arc::new(move || {
            Duration::from_millis(delay.load(Ordering::Relaxed))
        }))
    }
}

impl Store for Bucket {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.answers()?;
        let mut objects = self.objects.lock();
        if objects.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        objects.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    /// As folders do: what is written twice is what was written last.
    fn write(&self, name: &str, write: &mut WriteObject<'_>) -> io::Result<u64> {
        self.answers()?;
        let mut bytes = Vec::new();
        write(&mut bytes)?;
        let length = bytes.len() as u64;
        self.objects.lock().insert(name.to_owned(), bytes);
        Ok(length)
    }

    fn get(&self, name: &str) -> io::Result<Vec<u8>> {
        self.answers()?;
        let objects = self.objects.lock();
        objects
            .get(name)
            .cloned()
            .ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        self.answers()?;
        let objects = self.objects.lock();
        let found = objects.iter().filter_map(|(name, bytes)| {
            Some(Entry {
                name: name.strip_prefix(folder)?.strip_prefix('/')?.to_owned(),
                size: bytes.len() as u64,
                modified: SystemTime::UNIX_EPOCH,
            })
        });
        Ok(found.collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.answers()?;
        self.objects.lock().remove(name);
        Ok(())
    }

    fn locked(&self) -> bool {
        false
    }

    fn at_once(&self) -> usize {
        3
    }

    fn location(&self) -> String {
        "bucket".into()
    }

    fn note(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn noted(&self) -> Option<u64> {
        None
    }
}

/// Counts its rows, and keeps the count.
#[derive(Default)]
struct Count {
    count: i64,
    changed: bool,
}

impl Operator for Count {
    fn process(
        &mut self,
        _: usize,
        _: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        emit.emit(&[Value::BigInt(self.count + 1)], meta)?;
        self.count += 1;
        self.changed = true;
        Ok(())
    }

    fn save(&mut self) -> Option<StateChanges> {
        std::mem::take(&mut self.changed).then(|| {
            let mut changes = StateChanges {
                layout: "1".into(),
                ..StateChanges::default()
            };
            let count = self.count.to_le_bytes();
            changes
                .entries
                .put(b"n", |out| out.extend_from_slice(&count));
            changes
        })
    }

    fn restore(&mut self, chain: &[StateChanges]) -> Result<(), Failure> {
        for (_, value) in chain.iter().flat_map(|changes| &changes.entries) {
            self.count = i64::from_le_bytes(value.unwrap().try_into().unwrap());
        }
        Ok(())
    }
}

/// What others do while a process is held up.
type Meanwhile = Box<dyn FnOnce() + Send>;

/// One process with the query.
#[derive(Clone)]
struct Counting {
    bucket: Bucket,
    log: MemoryLog,
    /// Where its runs end, if they do.
    end: Option<i64>,
    sink: MemorySink,
    /// It is held up between its look at the checkpoints and its first epoch.
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

impl Plan for Counting {
    fn open(&self, _: &str) -> Result<Opened, Failure> {
        if let Some(meanwhile) = self.meanwhile.lock().take() {
            meanwhile();
        }
        let mut source = MemorySource::new(&self.log);
        if let Some(end) = self.end {
            source = source.with_end(end);
        }
        Ok(Opened {
            inputs: vec![Input {
                name: "in".into(),
                entries: vec![Target::Step { step: 0, input: 0 }],
                role: Role::default(),
                source: Arc::new(source),
            }],
            exchanges: Vec::new(),
            sink: Arc::new(self.sink.clone()),
            on_error: OnError::Fail,
        })
    }

    fn steps(&self, _: Side, _: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        vec![Step {
            name: "count".into(),
            operator: Box::new(Count::default()),
            to: Target::Writer,
        }]
    }

    fn gathers(&self) -> bool {
        false
    }

    fn identity(&self) -> serde_json::Value {
        "counting".into()
    }

    fn compare(&self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

/// What a process shows of itself.
struct Shown {
    status: Arc<QueryStatus>,
    metrics: Arc<QueryMetrics>,
    stop: watch::Sender<bool>,
}

impl Counting {
    fn new() -> Self {
        let schema = Schema::new([Field::required("n", DataType::BigInt)]);
        Self {
            bucket: Bucket::default(),
            log: MemoryLog::new("in", schema, 1),
            end: None,
            sink: MemorySink::default(),
            meanwhile: Arc::default(),
        }
    }

    fn append(&self) {
        self.log.append(0, Ok(vec![Value::BigInt(0)]));
    }

    /// The last count that was written.
    fn last(&self) -> i64 {
        match self.sink.rows().last().map(|row| row[0].clone()) {
            Some(Value::BigInt(count)) => count,
            _ => 0,
        }
    }

    /// A process: what it shows, and its life.
    fn process(&self) -> (Shown, impl Future<Output = Result<(), Failure>> + use<>) {
        self.process_every(Duration::from_millis(100))
    }

    /// One whose epochs are so far apart.
    fn process_every(
        &self,
        checkpoint_interval: Duration,
    ) -> (Shown, impl Future<Output = Result<(), Failure>> + use<>) {
        let metrics = Metrics::new().query("q");
        let status = Arc::new(QueryStatus::new("q", Arc::clone(&metrics)));
        let query = Query {
            job: "job".into(),
            name: "q".into(),
            plan: Arc::new(self.clone()),
            settings: Settings {
                checkpoint_interval,
                bounded: self.end.is_some(),
                epoch_timeout: Duration::from_secs(60),
                ..Settings::default()
            },
            log: Arc::new(self.bucket.log()),
            host: Host {
                arbiters: Vec::new(),
                workers: self.bucket.workers(),
                budget: Arc::default(),
            },
            status: Arc::clone(&status),
            group: None,
        };
        let (stop, told) = watch::channel(false);
        let shown = Shown {
            status,
            metrics,
            stop,
        };
        (shown, query.run(told))
    }

    /// Appends a row every 100 ms for so long. Each must be counted within the next 100 ms.
    async fn flow(&self, seconds: u64) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(seconds) {
            let before = self.last();
            self.append();
            sleep(Duration::from_millis(100)).await;
            assert_eq!(self.last(), before + 1, "a row waits for the store");
        }
    }
}

fn play(story: impl Future<Output = ()>) {
    let system = System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    });
    system.block_on(story);
}

fn waits(shown: &Shown) -> String {
    match shown.status.phase().0 {
        Phase::Waiting(why) => why,
        other => panic!("it does not wait: {other:?}"),
    }
}

#[test]
fn a_run_whose_epochs_are_rare_says_how_rare_until_it_ends() {
    const RARE: Duration = Duration::from_secs(900);
    play(async {
        let counting = Counting::new();
        let said = || counting.bucket.log().newest().unwrap().unwrap().interval;
        for start in 0..2 {
            let (shown, life) = counting.process_every(RARE);
            let story = async {
                sleep(Duration::from_millis(50)).await;
                assert_eq!(said(), Some(900_000_000), "the claim of start {start}");
                sleep(Duration::from_secs(1)).await;
                assert_eq!(said(), Some(900_000_000), "the first epoch");
                shown.stop.send(true).unwrap();
            };
            tokio::join!(life, story).0.unwrap();
            assert_eq!(said(), None);
        }
    });
}

#[test]
fn a_store_that_is_away_or_silent_for_minutes_delays_epochs_and_no_row() {
    play(async {
        let counting = Counting::new();
        let (shown, life) = counting.process();
        let story = async {
            sleep(Duration::from_secs(1)).await;
            counting.flow(2).await;
            let before = counting.bucket.newest();
            assert!(before > 5, "{before}");
            counting.bucket.away.store(true, Ordering::Relaxed);
            counting.flow(180).await;
            assert!(waits(&shown).contains("planted: away"));
            assert!(shown.metrics.epochs_open.get() <= 4);
            counting.bucket.away.store(false, Ordering::Relaxed);
            counting.flow(5).await;
            assert_eq!(shown.status.phase().0, Phase::Running);
            let between = counting.bucket.newest();
            assert!(between > before + 10, "{before} {between}");
            counting.bucket.delay.store(150_000, Ordering::Relaxed);
            counting.flow(120).await;
            assert!(waits(&shown).contains("has not answered for 5 s"));
            assert!(shown.metrics.epochs_open.get() <= 4);
            counting.bucket.delay.store(0, Ordering::Relaxed);
            counting.flow(200).await;
            assert_eq!(shown.status.phase().0, Phase::Running);
            assert!(counting.bucket.newest() > between + 10);
            assert_eq!(shown.metrics.restarts.get(), 0);
            shown.stop.send(true).unwrap();
        };
        let (ended, ()) = tokio::join!(life, story);
        ended.unwrap();
        // Old epochs and the state that only they named are gone.
        let objects: Vec<String> = counting.bucket.objects.lock().keys().cloned().collect();
        assert!(objects.len() < 60, "{objects:?}");
    });
}

#[test]
fn a_store_that_is_slow_only_makes_epochs_last_longer() {
    play(async {
        let counting = Counting::new();
        counting.bucket.delay.store(400, Ordering::Relaxed);
        let (shown, life) = counting.process();
        let story = async {
            sleep(Duration::from_secs(5)).await;
            counting.flow(30).await;
            assert_eq!(shown.status.phase().0, Phase::Running);
            let open = shown.metrics.epochs_open.get();
            assert!(open <= 4, "epochs pile up: {open}");
            assert!(counting.bucket.newest() > 20);
            shown.stop.send(true).unwrap();
        };
        let (ended, ()) = tokio::join!(life, story);
        ended.unwrap();
    });
}

#[test]
fn a_process_that_is_started_later_goes_on_exactly_and_the_earlier_one_ends() {
    play(async {
        let counting = Counting::new();
        let (first, life) = counting.process();
        let story = async {
            sleep(Duration::from_secs(1)).await;
            counting.flow(3).await;
            let sink = MemorySink::default();
            let later = Counting {
                sink: sink.clone(),
                ..counting.clone()
            };
            let (second, other_life) = later.process();
            let story = async {
                sleep(Duration::from_secs(2)).await;
                later.append();
                sleep(Duration::from_secs(1)).await;
                later.flow(3).await;
                second.stop.send(true).unwrap();
            };
            let (ended, ()) = tokio::join!(other_life, story);
            ended.unwrap();
            assert_eq!(later.last(), 61, "every row is counted once");
        };
        let (ended, ()) = tokio::join!(life, story);
        let failure = ended.unwrap_err();
        assert_eq!(failure.remedy, Remedy::End);
        assert!(failure.message.contains("started later"), "{failure}");
        assert_eq!(first.metrics.restarts.get(), 0);
        // What it had written and not committed is nobody's, and what is named is whole.
        let log = counting.bucket.log();
        let newest = log.newest().unwrap().unwrap();
        log.verify_state(&newest).unwrap();
    });
}

/// A bucket with the epochs of a process that has ended.
fn used() -> Bucket {
    let counting = Counting::new();
    play(async {
        let (shown, life) = counting.process();
        let story = async {
            sleep(Duration::from_secs(1)).await;
            counting.flow(2).await;
            shown.stop.send(true).unwrap();
        };
        let (ended, ()) = tokio::join!(life, story);
        ended.unwrap();
    });
    counting.bucket
}

#[test]
fn whoever_is_paused_before_its_first_epoch_takes_nothing_from_a_process_that_was_started_meanwhile()
 {
    let of_another = used();
    let names = |bucket: &Bucket| bucket.objects.lock().keys().cloned().collect::<Vec<_>>();
    let before = names(&of_another);
    let counting = Counting::new();
    let bucket = counting.bucket.clone();
    *counting.meanwhile.lock() = Some(Box::new(move || {
        bucket.objects.lock().clone_from(&of_another.objects.lock());
    }));
    play(async {
        let (shown, life) = counting.process();
        let failure = life.await.unwrap_err();
        assert_eq!(failure.remedy, Remedy::End);
        assert!(failure.message.contains("started later"), "{failure}");
        assert_eq!(shown.metrics.restarts.get(), 0);
    });
    assert_eq!(names(&counting.bucket), before);
}

/// Commits the epoch behind this one, as it is.
fn commit_after(log: &CheckpointLog, epoch: u64) -> io::Result<u64> {
    let mut next = log.newest().unwrap().unwrap();
    next.epoch = epoch + 1;
    log.commit(&next)
}

#[test]
fn whoever_was_paused_until_the_claim_of_the_successor_is_not_kept_any_more_commits_nothing() {
    let bucket = used();
    let (paused, successor) = (bucket.log(), bucket.log());
    commit_after(&paused, bucket.newest()).unwrap();
    let last = bucket.newest();
    successor.recover().unwrap();
    for epoch in last..last + 20 {
        commit_after(&successor, epoch).unwrap();
    }
    let kept = || -> Vec<u64> {
        let kept = bucket.log().list().unwrap();
        kept.iter().map(|kept| kept.epoch).collect()
    };
    let before = kept();
    assert!(!before.contains(&(last + 1)), "{before:?}");
    let refused = commit_after(&paused, last).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(kept(), before);
    commit_after(&successor, last + 20).unwrap();
}

#[test]
fn state_of_a_process_that_has_claimed_meanwhile_is_not_removed() {
    let bucket = used();
    // Its log is what a process holds that has not committed since another has claimed.
    let own = bucket.log();
    commit_after(&bucket.log(), bucket.newest()).unwrap();
    let mut changes = StateChanges::default();
    changes.entries.put(b"n", |out| out.push(1));
    state_store::write(&bucket, "state/of-the-other", &changes).unwrap();
    own.recover().unwrap();
    assert!(bucket.get("state/of-the-other").is_ok());
}

#[test]
fn whenever_a_run_comes_to_its_end_the_state_that_its_last_epoch_names_is_there() {
    const ROWS: i64 = 12;
    for moment in (0..160).step_by(2) {
        play(async move {
            let mut counting = Counting::new();
            counting.bucket.delay.store(13, Ordering::Relaxed);
            for run in 1..4 {
                counting.end = Some(run * ROWS);
                let (_shown, life) = counting.process_every(Duration::from_millis(40));
                let coming = counting.clone();
                let story = async move {
                    for _ in 1..ROWS {
                        coming.append();
                        sleep(Duration::from_millis(11)).await;
                    }
                    sleep(Duration::from_millis(moment)).await;
                    coming.append();
                };
                tokio::join!(life, story).0.unwrap();
                let log = counting.bucket.log();
                let newest = log.newest().unwrap().unwrap();
                log.verify_state(&newest)
                    .unwrap_or_else(|why| panic!("run {run}, {moment} ms: {why}"));
            }
        });
    }
}
