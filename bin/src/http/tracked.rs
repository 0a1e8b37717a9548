//! One query as the page shows it: what it counts now, and how fast in the second that was measured last.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use thalweg_engine::clock;
use thalweg_engine::elsewhere::Elsewhere;
use thalweg_engine::epoch::checkpoint::PartitionCut;
use thalweg_engine::histogram::{Histogram, Window};
use thalweg_engine::metrics::QueryMetrics;
use thalweg_engine::record::{Micros, Position};
use thalweg_engine::status::QueryStatus;

use crate::http::seen;
use crate::inspect::{in_order, sorted};

/// Of so many partitions the page shows where they stand; the API's `/api/v1/queries` shows all.
const PARTITIONS_MAX: usize = 256;

/// A query at a moment.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueryBoard {
    pub(crate) query: String,
    pub(crate) ready: bool,
    pub(crate) phase: String,
    /// What is the matter, in words.
    pub(crate) why: Option<String>,
    /// How long it is in that phase.
    pub(crate) seconds: u64,
    pub(crate) paused: bool,
    pub(crate) rates: Rates,
    pub(crate) counts: Counts,
    pub(crate) latency: Vec<StageBoard>,
    /// Records that are there and not read, over all partitions that this process reads; None where no input tells.
    pub(crate) lag: Option<i64>,
    /// The same over those that other processes read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) lag_elsewhere: Option<i64>,
    pub(crate) partitions: Vec<PartitionBoard>,
    /// How many more partitions there are.
    pub(crate) partitions_left_out: usize,
    pub(crate) epochs: EpochsBoard,
    pub(crate) state: Vec<StateBoard>,
}

/// A second.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rates {
    pub(crate) records_in: f64,
    pub(crate) records_out: f64,
    pub(crate) bytes_in: f64,
    pub(crate) bytes_out: f64,
}

/// Since the start of the process.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(crate) records_in: u64,
    pub(crate) records_out: u64,
    pub(crate) acknowledged: u64,
    pub(crate) failed_decode: u64,
    pub(crate) failed_expression: u64,
    pub(crate) failed_write: u64,
    pub(crate) dead_letters: u64,
    pub(crate) skipped: u64,
    pub(crate) late: u64,
    pub(crate) restarts: u64,
}

/// How long a stage takes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StageBoard {
    pub(crate) stage: String,
    /// How many were measured.
    pub(crate) count: u64,
    /// p50, p99 and p99.9 in microseconds.
    pub(crate) micros: Option<[u64; 3]>,
}

/// Where a partition stands, as of the newest epoch.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartitionBoard {
    pub(crate) input: String,
    pub(crate) partition: String,
    pub(crate) position: Option<Position>,
    pub(crate) lag: Option<i64>,
    /// The process that reads it, where several share the job and one has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) owner: Option<String>,
    pub(crate) watermark: Option<String>,
    pub(crate) ended: bool,
}

/// Its epochs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EpochsBoard {
    pub(crate) newest: Option<u64>,
    pub(crate) committed_at: Option<String>,
    pub(crate) age_seconds: Option<i64>,
    pub(crate) open: i64,
    pub(crate) committed: u64,
    pub(crate) refused: u64,
    pub(crate) checkpoint_bytes: i64,
    /// From marker to committed.
    pub(crate) duration: StageBoard,
    /// What it delays a record.
    pub(crate) cut: StageBoard,
}

/// What a step keeps.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StateBoard {
    pub(crate) step: String,
    pub(crate) keys: u64,
    pub(crate) bytes: u64,
}

/// The histograms that are looked at, by name.
type Stages = [(&'static str, fn(&QueryMetrics) -> &Histogram)];

const STAGES: &Stages = &[
    ("received", |metrics| &metrics.received),
    ("decode", |metrics| &metrics.decode),
    ("steps", |metrics| &metrics.steps),
    ("write", |metrics| &metrics.write),
    ("processed", |metrics| &metrics.processed),
    ("acknowledged", |metrics| &metrics.acknowledged),
    ("total", |metrics| &metrics.total),
];

/// A query, and what was counted when it was measured last.
pub(super) struct Tracked {
    status: Arc<QueryStatus>,
    measured: Instant,
    before: [u64; 4],
    stages: Vec<Window>,
    epochs: Window,
    cut: Window,
    pace: Pace,
}

/// What was measured between two moments.
#[derive(Default)]
pub(super) struct Pace {
    pub(super) rates: Rates,
    pub(super) latency: Vec<StageBoard>,
    epoch: StageBoard,
    cut: StageBoard,
}

fn stage(name: &str, window: &mut Window, of: &Histogram) -> StageBoard {
    let (count, micros) = window.look(of, [0.5, 0.99, 0.999]);
    StageBoard {
        stage: name.to_owned(),
        count,
        micros,
    }
}

fn time(micros: Micros) -> Option<String> {
    let time = DateTime::from_timestamp_micros(micros)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

impl Tracked {
    /// Begins to look at a query.
    pub(super) fn new(status: &Arc<QueryStatus>) -> Self {
        Self {
            status: Arc::clone(status),
            measured: Instant::now(),
            before: [0; 4],
            stages: STAGES.iter().map(|_| Window::default()).collect(),
            epochs: Window::default(),
            cut: Window::default(),
            pace: Pace::default(),
        }
    }

    /// Measures what has come since the last time.
    pub(super) fn measure(&mut self) -> &Pace {
        let rates = self.rates();
        let metrics = self.status.metrics();
        let stages = STAGES.iter().zip(&mut self.stages);
        let latency = stages.map(|((name, of), window)| stage(name, window, of(metrics)));
        self.pace = Pace {
            rates,
            latency: latency.collect(),
            epoch: stage("epoch", &mut self.epochs, &metrics.epoch_duration),
            cut: stage("cut", &mut self.cut, &metrics.cut),
        };
        &self.pace
    }

    /// Records that are there and not read, over all partitions that this process reads; None where no input tells.
    pub(super) fn lag(&self) -> Option<i64> {
        let metrics = self.status.metrics();
        let newest = self.status.newest()?;
        sum(newest
            .partitions()
            .filter_map(|cut| metrics.lag_of(&cut.partition)))
    }

    /// Looks at it; `owner` is the name of this process.
    pub(super) fn now(&self, owner: Option<&str>) -> QueryBoard {
        let epochs = self.epochs();
        let standings = self.partitions(owner);
        let (phase, since) = self.status.phase();
        let shown = seen(&self.status, phase, since);
        let metrics = self.status.metrics();
        let sizes = metrics.state_sizes().into_iter();
        let state = sizes.map(|(step, size)| StateBoard {
            step: step.to_string(),
            keys: size.keys,
            bytes: size.bytes,
        });
        QueryBoard {
            query: self.status.query().to_owned(),
            ready: shown.ready,
            phase: shown.word.to_owned(),
            why: shown.why,
            seconds: shown.since.elapsed().as_secs(),
            paused: self.status.paused().is_some(),
            rates: self.pace.rates.clone(),
            counts: counts(metrics),
            latency: self.pace.latency.clone(),
            lag: standings.lag,
            lag_elsewhere: standings.lag_elsewhere,
            partitions: standings.shown,
            partitions_left_out: standings.left_out,
            epochs,
            state: state.collect(),
        }
    }

    fn rates(&mut self) -> Rates {
        let metrics = self.status.metrics();
        let now = [
            &metrics.records_in,
            &metrics.records_out,
            &metrics.bytes_in,
            &metrics.bytes_out,
        ]
        .map(prometheus::core::GenericCounter::get);
        let seconds = self.measured.elapsed().as_secs_f64().max(0.001);
        self.measured = Instant::now();
        let before = std::mem::replace(&mut self.before, now);
        #[allow(clippy::cast_precision_loss)]
        let rate = |place: usize| {
            let rate = (now[place] - before[place]) as f64 / seconds;
            (rate * 10.0).round() / 10.0
        };
        Rates {
            records_in: rate(0),
            records_out: rate(1),
            bytes_in: rate(2),
            bytes_out: rate(3),
        }
    }

    fn epochs(&self) -> EpochsBoard {
        let metrics = self.status.metrics();
        let newest = self.status.newest();
        let committed_at = newest.as_ref().map(|newest| newest.committed_at);
        EpochsBoard {
            newest: newest.as_ref().map(|newest| newest.epoch),
            committed_at: committed_at.and_then(time),
            age_seconds: committed_at.map(|at| (clock::now() - at).max(0) / 1_000_000),
            open: metrics.epochs_open.get(),
            committed: metrics.epochs_committed.get(),
            refused: metrics.epochs_refused.get(),
            checkpoint_bytes: metrics.checkpoint_bytes.get(),
            duration: self.pace.epoch.clone(),
            cut: self.pace.cut.clone(),
        }
    }

    fn partitions(&self, owner: Option<&str>) -> Standings {
        let metrics = self.status.metrics();
        let newest = self.status.newest();
        let lag_of = |cut: &PartitionCut| metrics.lag_of(&cut.partition);
        let cuts = newest.as_ref().map(|newest| sorted(newest));
        let cuts = cuts.unwrap_or_default();
        let own = cuts.iter().map(|cut| PartitionBoard {
            input: cut.input.to_string(),
            partition: cut.partition.to_string(),
            position: Some(cut.position.clone()),
            lag: lag_of(cut),
            owner: owner.map(str::to_owned),
            watermark: cut.watermark.and_then(time),
            ended: cut.ended,
        });
        let lag = self.lag();
        if owner.is_none() {
            return Standings {
                left_out: cuts.len().saturating_sub(PARTITIONS_MAX),
                shown: own.take(PARTITIONS_MAX).collect(),
                lag,
                lag_elsewhere: None,
            };
        }
        let elsewhere = self.status.elsewhere();
        // One that has just come here may still be among those that were found elsewhere.
        let here = |of: &Elsewhere| {
            let mut cuts = cuts.iter();
            cuts.any(|cut| cut.input == of.input && cut.partition == of.partition)
        };
        let others: Vec<&Elsewhere> = elsewhere.iter().filter(|of| !here(of)).collect();
        let lag_elsewhere = sum(others.iter().filter_map(|of| of.lag));
        let mut shown: Vec<PartitionBoard> = own.chain(others.into_iter().map(foreign)).collect();
        shown.sort_by(|a, b| {
            in_order(&a.input, &a.partition).cmp(&in_order(&b.input, &b.partition))
        });
        let left_out = shown.len().saturating_sub(PARTITIONS_MAX);
        shown.truncate(PARTITIONS_MAX);
        Standings {
            shown,
            left_out,
            lag,
            lag_elsewhere,
        }
    }
}

/// Where partitions stand.
struct Standings {
    shown: Vec<PartitionBoard>,
    left_out: usize,
    lag: Option<i64>,
    lag_elsewhere: Option<i64>,
}

fn sum(lags: impl Iterator<Item = i64>) -> Option<i64> {
    lags.fold(None, |sum, lag| Some(sum.unwrap_or(0) + lag))
}

/// A partition that another process reads.
fn foreign(of: &Elsewhere) -> PartitionBoard {
    PartitionBoard {
        input: of.input.to_string(),
        partition: of.partition.to_string(),
        position: of.position.clone(),
        lag: of.lag,
        owner: of.owner.as_ref().map(ToString::to_string),
        watermark: of.watermark.and_then(time),
        ended: of.ended,
    }
}

fn counts(metrics: &QueryMetrics) -> Counts {
    let [decode, expression, write] = metrics.errors.each_ref().map(|of| of.get());
    Counts {
        records_in: metrics.records_in.get(),
        records_out: metrics.records_out.get(),
        acknowledged: metrics.records_acknowledged.get(),
        failed_decode: decode,
        failed_expression: expression,
        failed_write: write,
        dead_letters: metrics.dead_letters.get(),
        skipped: metrics.skipped.iter().map(|of| of.get()).sum(),
        late: metrics.late.get(),
        restarts: metrics.restarts.get(),
    }
}
