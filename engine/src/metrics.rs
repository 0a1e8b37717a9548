//! What a query counts and times while it runs, and how Prometheus sees it.
//!
//! Lanes count in plain fields and hand over twice a second; latencies go into log-linear histograms whose `observe` is
//! two relaxed atomic additions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use prometheus::core::{Collector, Desc};
use prometheus::proto;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use smol_str::SmolStr;

use crate::histogram::{BOUNDS, Histogram};
use crate::recorder::QueryRecorder;
use crate::sink::DeliveryObserver;
use crate::state::StateSize;
use crate::step_times::{self, StepTimes};

/// What one query counts and times. Shared by its lanes, its coordinator and its sink.
pub struct QueryMetrics {
    /// Records read.
    pub records_in: IntCounter,
    /// Bytes of their keys and values.
    pub bytes_in: IntCounter,
    /// Rows handed to the sink.
    pub records_out: IntCounter,
    /// Rows that the sink acknowledged.
    pub records_acknowledged: IntCounter,
    /// Bytes that the sink acknowledged.
    pub bytes_out: IntCounter,
    /// Records that failed, by class.
    pub errors: [IntCounter; 3],
    /// Records without a row, by reason: tombstones, malformed ones.
    pub skipped: [IntCounter; 2],
    /// Records sent to the dead-letter table.
    pub dead_letters: IntCounter,
    /// Rows dropped because they came after the watermark had passed what they count for.
    pub late: IntCounter,
    /// From the record's own timestamp to taken.
    pub received: Histogram,
    /// From taken to written.
    pub processed: Histogram,
    /// From written to acknowledged.
    pub acknowledged: Histogram,
    /// From taken to acknowledged.
    pub total: Histogram,
    /// From bytes in hand to a row. Of the records whose steps are timed, as the next two.
    pub decode: Histogram,
    /// In the steps, without the encoding.
    pub steps: Histogram,
    /// In the encoding.
    pub write: Histogram,
    /// In each step by itself.
    pub step_times: StepTimes,
    /// Which records were slow, and why.
    pub recorder: QueryRecorder,
    /// The time of the cut: what an epoch delays a record.
    pub cut: Histogram,
    /// From marker to committed.
    pub epoch_duration: Histogram,
    /// From the last epoch of the process that had a partition to its first record here.
    pub handover: Histogram,
    /// Epochs committed.
    pub epochs_committed: IntCounter,
    /// Epochs not begun, because too many were open or the other side did not answer.
    pub epochs_refused: IntCounter,
    /// Epochs open now.
    pub epochs_open: IntGauge,
    /// Bytes of the newest checkpoint.
    pub checkpoint_bytes: IntGauge,
    /// When the newest checkpoint was committed, in seconds since 1970.
    pub checkpoint_committed_at: AtomicI64,
    /// Rows in flight in the sink.
    pub sink_in_flight: IntGauge,
    /// Partitions of joined tables that are not read to their end yet: rows of streams wait for them.
    pub tables_awaited: IntGauge,
    /// Partitions that wait because they are too far ahead of another input in event time.
    pub partitions_paused: IntGauge,
    /// Records before the starting positions that are still to be read to build state; 0 when there is no warm-up.
    pub warm_up_left: IntGauge,
    /// Runs begun after a failure.
    pub restarts: IntCounter,
    /// Bytes of state that are kept of partitions of other processes.
    pub standby_bytes: IntGauge,
    /// 1 while rows flow, 0 while not.
    pub ready: IntGauge,
    /// 1 while it is paused by hand.
    pub paused: IntGauge,
    families: Arc<Families>,
    query: String,
    /// By step and lane.
    state: parking_lot::Mutex<BTreeMap<(SmolStr, SmolStr), StateSize>>,
    lags: parking_lot::Mutex<HashMap<SmolStr, i64>>,
}

impl DeliveryObserver for QueryMetrics {
    fn acknowledged(&self, rows: u64, bytes: u64) {
        self.records_acknowledged.inc_by(rows);
        self.bytes_out.inc_by(bytes);
    }

    fn latency(&self, written_to_acknowledged: u64, taken_to_acknowledged: u64) {
        self.acknowledged.observe(written_to_acknowledged);
        self.total.observe(taken_to_acknowledged);
    }
}

impl QueryMetrics {
    /// The query's name.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Shows where a partition stands.
    pub fn position(&self, partition: &str, position: i64) {
        self.families
            .position
            .with_label_values(&[&self.query, partition])
            .set(position);
    }

    /// How far a partition is behind its end, as it was shown last.
    pub fn lag_of(&self, partition: &str) -> Option<i64> {
        let lags = self.lags.lock();
        lags.get(partition).copied()
    }

    /// Shows how much the steps of a lane keep.
    pub fn state(&self, lane: &SmolStr, sizes: &[(SmolStr, StateSize)]) {
        let mut state = self.state.lock();
        state.retain(|(_, of), _| of != lane);
        for (step, size) in sizes {
            state.insert((step.clone(), lane.clone()), *size);
        }
        for (step, _) in sizes {
            self.show(step, total(&state, step));
        }
    }

    /// How much each step keeps in all lanes together.
    pub fn state_sizes(&self) -> BTreeMap<SmolStr, StateSize> {
        let state = self.state.lock();
        let steps = state.keys().map(|(step, _)| step);
        steps
            .map(|step| (step.clone(), total(&state, step)))
            .collect()
    }

    /// A lane has ended, and another process goes on with its partition: nothing of it is shown any more.
    pub(crate) fn left(&self, lane: &SmolStr, partition: &str) {
        let mut state = self.state.lock();
        let steps = state.keys().filter(|(_, of)| of == lane);
        let steps: Vec<SmolStr> = steps.map(|(step, _)| step.clone()).collect();
        state.retain(|(_, of), _| of != lane);
        for step in &steps {
            self.show(step, total(&state, step));
        }
        drop(state);
        self.lags.lock().remove(partition);
        for family in [
            &self.families.position,
            &self.families.lag,
            &self.families.delay,
        ] {
            // One that was never shown is no error.
            let _ = family.remove_label_values(&[&self.query, partition]);
        }
    }

    fn show(&self, step: &str, size: StateSize) {
        let gauge = |family: &IntGaugeVec, value: u64| {
            family
                .with_label_values(&[self.query.as_str(), step])
                .set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        gauge(&self.families.state_keys, size.keys);
        gauge(&self.families.state_bytes, size.bytes);
    }

    /// Shows how far a partition is behind its end.
    pub fn lag(&self, partition: &str, records: i64) {
        self.lags.lock().insert(partition.into(), records);
        self.families
            .lag
            .with_label_values(&[&self.query, partition])
            .set(records);
    }
}

impl QueryMetrics {
    /// Shows how far a partition is behind its end in time.
    pub fn delay(&self, partition: &str, millis: i64) {
        self.families
            .delay
            .with_label_values(&[&self.query, partition])
            .set(millis);
    }
}

fn total(state: &BTreeMap<(SmolStr, SmolStr), StateSize>, step: &SmolStr) -> StateSize {
    let mut total = StateSize::default();
    let first = (step.clone(), SmolStr::default());
    for (_, size) in state.range(first..).take_while(|((of, _), _)| of == step) {
        total += *size;
    }
    total
}

struct Families {
    counters: HashMap<&'static str, IntCounterVec>,
    errors: IntCounterVec,
    skipped: IntCounterVec,
    gauges: HashMap<&'static str, IntGaugeVec>,
    position: IntGaugeVec,
    lag: IntGaugeVec,
    delay: IntGaugeVec,
    state_keys: IntGaugeVec,
    state_bytes: IntGaugeVec,
}

/// All metrics of a process: one registry, a [`QueryMetrics`] for each query.
pub struct Metrics {
    registry: Registry,
    families: Arc<Families>,
    queries: Arc<parking_lot::Mutex<Vec<Arc<QueryMetrics>>>>,
}

const COUNTERS: [(&str, &str); 10] = [
    (
        "thalweg_late_rows_total",
        "Rows dropped because the watermark had passed what they count for.",
    ),
    ("thalweg_records_in_total", "Records read from the inputs."),
    ("thalweg_bytes_in_total", "Bytes of keys and values read."),
    ("thalweg_records_out_total", "Rows handed to the sink."),
    (
        "thalweg_records_acknowledged_total",
        "Rows that the sink has acknowledged, and dead letters that theirs has.",
    ),
    (
        "thalweg_bytes_out_total",
        "Bytes that the sink has acknowledged.",
    ),
    (
        "thalweg_dead_letters_total",
        "Records sent to the dead-letter table.",
    ),
    ("thalweg_epochs_committed_total", "Epochs committed."),
    (
        "thalweg_epochs_refused_total",
        "Epochs not begun: too many open, or broker or store away.",
    ),
    (
        "thalweg_restarts_total",
        "New runs of the query after a failure.",
    ),
];

const GAUGES: [(&str, &str); 9] = [
    (
        "thalweg_standby_bytes",
        "Bytes of state kept of partitions that other processes have, to take them over sooner.",
    ),
    ("thalweg_epochs_open", "Epochs begun and not yet committed."),
    (
        "thalweg_checkpoint_size_bytes",
        "Size of the newest checkpoint.",
    ),
    (
        "thalweg_sink_in_flight_records",
        "Rows handed to the sink and not yet acknowledged.",
    ),
    (
        "thalweg_table_partitions_awaited",
        "Partitions of joined tables not read to their end yet; rows of streams wait for them.",
    ),
    (
        "thalweg_partitions_paused",
        "Partitions that wait because they are further ahead of another input in event time than alignmentMax.",
    ),
    (
        "thalweg_warm_up_records_left",
        "Records before the starting positions that are still to be read to build state; nothing is written until then.",
    ),
    (
        "thalweg_query_ready",
        "1 while the query's rows flow, else 0.",
    ),
    (
        "thalweg_query_paused",
        "1 while the query is paused by hand and takes no records, else 0.",
    ),
];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics of a process that has no query yet.
    ///
    /// # Panics
    /// Never: the names are constants that the tests register.
    #[allow(clippy::expect_used, clippy::missing_panics_doc)]
    pub fn new() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels).expect("constant name");
            registry
                .register(Box::new(family.clone()))
                .expect("registered once");
            family
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let family = IntGaugeVec::new(Opts::new(name, help), labels).expect("constant name");
            registry
                .register(Box::new(family.clone()))
                .expect("registered once");
            family
        };
        let families = Arc::new(Families {
            counters: COUNTERS
                .iter()
                .map(|(name, help)| (*name, counter(name, help, &["query"])))
                .collect(),
            errors: counter(
                "thalweg_record_errors_total",
                "Records that failed, by reason.",
                &["query", "reason"],
            ),
            skipped: counter(
                "thalweg_records_skipped_total",
                "Records that yield no row although nothing failed, by reason.",
                &["query", "reason"],
            ),
            gauges: GAUGES
                .iter()
                .map(|(name, help)| (*name, gauge(name, help, &["query"])))
                .collect(),
            position: gauge(
                "thalweg_partition_position",
                "The next position to read, as of the newest epoch.",
                &["query", "partition"],
            ),
            lag: gauge(
                "thalweg_partition_lag_records",
                "Records between the position and the partition's end.",
                &["query", "partition"],
            ),
            delay: gauge(
                "thalweg_partition_lag_milliseconds",
                "Milliseconds between the newest record read and the partition's end, where the input tells it in time.",
                &["query", "partition"],
            ),
            state_keys: gauge(
                "thalweg_state_keys",
                "Keys that a step keeps.",
                &["query", "step"],
            ),
            state_bytes: gauge(
                "thalweg_state_bytes",
                "Memory that the state of a step takes.",
                &["query", "step"],
            ),
        });
        let queries = Arc::default();
        registry
            .register(Box::new(Latencies::new(Arc::clone(&queries))))
            .expect("registered once");
        Self {
            registry,
            families,
            queries,
        }
    }

    /// Where further metrics of the process may be registered.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The metrics of one query; all its series exist from now on.
    pub fn query(&self, query: &str) -> Arc<QueryMetrics> {
        let counter = |name: &str| self.families.counters[name].with_label_values(&[query]);
        let gauge = |name: &str| self.families.gauges[name].with_label_values(&[query]);
        let error = |reason: &str| self.families.errors.with_label_values(&[query, reason]);
        let skip = |reason: &str| self.families.skipped.with_label_values(&[query, reason]);
        let metrics = Arc::new(QueryMetrics {
            records_in: counter("thalweg_records_in_total"),
            bytes_in: counter("thalweg_bytes_in_total"),
            records_out: counter("thalweg_records_out_total"),
            records_acknowledged: counter("thalweg_records_acknowledged_total"),
            bytes_out: counter("thalweg_bytes_out_total"),
            errors: [error("decode"), error("expression"), error("write")],
            skipped: [skip("tombstone"), skip("malformed")],
            dead_letters: counter("thalweg_dead_letters_total"),
            late: counter("thalweg_late_rows_total"),
            received: Histogram::default(),
            processed: Histogram::default(),
            acknowledged: Histogram::default(),
            total: Histogram::default(),
            decode: Histogram::default(),
            steps: Histogram::default(),
            write: Histogram::default(),
            step_times: StepTimes::default(),
            recorder: QueryRecorder::default(),
            cut: Histogram::default(),
            epoch_duration: Histogram::default(),
            handover: Histogram::default(),
            epochs_committed: counter("thalweg_epochs_committed_total"),
            epochs_refused: counter("thalweg_epochs_refused_total"),
            epochs_open: gauge("thalweg_epochs_open"),
            checkpoint_bytes: gauge("thalweg_checkpoint_size_bytes"),
            checkpoint_committed_at: AtomicI64::new(0),
            sink_in_flight: gauge("thalweg_sink_in_flight_records"),
            tables_awaited: gauge("thalweg_table_partitions_awaited"),
            partitions_paused: gauge("thalweg_partitions_paused"),
            warm_up_left: gauge("thalweg_warm_up_records_left"),
            standby_bytes: gauge("thalweg_standby_bytes"),
            restarts: counter("thalweg_restarts_total"),
            ready: gauge("thalweg_query_ready"),
            paused: gauge("thalweg_query_paused"),
            families: Arc::clone(&self.families),
            query: query.to_owned(),
            state: parking_lot::Mutex::default(),
            lags: parking_lot::Mutex::default(),
        });
        self.queries.lock().push(Arc::clone(&metrics));
        metrics
    }
}

/// Exports the histograms of all queries and what is computed when asked.
struct Latencies {
    queries: Arc<parking_lot::Mutex<Vec<Arc<QueryMetrics>>>>,
    descriptions: Vec<Desc>,
}

const LATENCY: (&str, &str) = (
    "thalweg_latency_seconds",
    "Latency of records by stage: received (record timestamp to taken), processed (taken to written), acknowledged (written to acknowledged), total (taken to acknowledged); of a sample decode (bytes to row), steps, write (row to bytes).",
);
const STEP: (&str, &str) = (
    "thalweg_step_seconds",
    "Time in each step by itself, without those behind it, of the records whose steps are timed.",
);
const CUT: (&str, &str) = (
    "thalweg_cut_seconds",
    "Time of the cut: what an epoch marker delays a record.",
);
const EPOCH: (&str, &str) = (
    "thalweg_epoch_duration_seconds",
    "From the marker of an epoch to its checkpoint on disk.",
);
const HANDOVER: (&str, &str) = (
    "thalweg_handover_pause_seconds",
    "From the last epoch of the process that had a partition before until its state is read here.",
);
const COMMITTED_AT: (&str, &str) = (
    "thalweg_checkpoint_committed_timestamp_seconds",
    "When the newest checkpoint was committed; 0 before the first.",
);

impl Latencies {
    fn new(queries: Arc<parking_lot::Mutex<Vec<Arc<QueryMetrics>>>>) -> Self {
        let descriptions = [
            (LATENCY, vec!["query", "stage"]),
            (STEP, vec!["query", "step"]),
            (CUT, vec!["query"]),
            (EPOCH, vec!["query"]),
            (HANDOVER, vec!["query"]),
            (COMMITTED_AT, vec!["query"]),
        ]
        .into_iter()
        .filter_map(|((name, help), labels)| {
            let labels = labels.into_iter().map(str::to_owned).collect();
            Desc::new(name.to_owned(), help.to_owned(), labels, HashMap::new()).ok()
        })
        .collect();
        Self {
            queries,
            descriptions,
        }
    }
}

fn family(
    of: (&str, &str),
    kind: proto::MetricType,
    metrics: Vec<proto::Metric>,
) -> proto::MetricFamily {
    let mut family = proto::MetricFamily::default();
    family.set_name(of.0.to_owned());
    family.set_help(of.1.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn metric(labels: &[(&str, &str)]) -> proto::Metric {
    let mut metric = proto::Metric::default();
    metric.set_label(
        labels
            .iter()
            .map(|(name, value)| {
                let mut pair = proto::LabelPair::default();
                pair.set_name((*name).to_owned());
                pair.set_value((*value).to_owned());
                pair
            })
            .collect(),
    );
    metric
}

impl Collector for Latencies {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let queries = self.queries.lock();
        let histogram = |labels: &[(&str, &str)], histogram: &Histogram| {
            let mut metric = metric(labels);
            metric.set_histogram(histogram.export(&BOUNDS));
            metric
        };
        let (mut latency, mut cut, mut epoch) = (Vec::new(), Vec::new(), Vec::new());
        let (mut handover, mut committed_at, mut steps) = (Vec::new(), Vec::new(), Vec::new());
        for metrics in queries.iter() {
            let query = ("query", metrics.query.as_str());
            for (stage, of) in [
                ("received", &metrics.received),
                ("processed", &metrics.processed),
                ("acknowledged", &metrics.acknowledged),
                ("total", &metrics.total),
                ("decode", &metrics.decode),
                ("steps", &metrics.steps),
                ("write", &metrics.write),
            ] {
                latency.push(histogram(&[query, ("stage", stage)], of));
            }
            for (step, times) in metrics.step_times.all() {
                let mut metric = metric(&[query, ("step", step.as_str())]);
                metric.set_histogram(times.export_of(&step_times::BOUNDS, 1e7));
                steps.push(metric);
            }
            cut.push(histogram(&[query], &metrics.cut));
            epoch.push(histogram(&[query], &metrics.epoch_duration));
            handover.push(histogram(&[query], &metrics.handover));
            let mut at = metric(&[query]);
            let mut gauge = proto::Gauge::default();
            #[allow(clippy::cast_precision_loss)]
            gauge.set_value(metrics.checkpoint_committed_at.load(Relaxed) as f64);
            at.set_gauge(gauge);
            committed_at.push(at);
        }
        if queries.is_empty() {
            return Vec::new();
        }
        vec![
            family(LATENCY, proto::MetricType::HISTOGRAM, latency),
            family(STEP, proto::MetricType::HISTOGRAM, steps),
            family(CUT, proto::MetricType::HISTOGRAM, cut),
            family(EPOCH, proto::MetricType::HISTOGRAM, epoch),
            family(HANDOVER, proto::MetricType::HISTOGRAM, handover),
            family(COMMITTED_AT, proto::MetricType::GAUGE, committed_at),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_of_a_query_exists_from_its_start() {
        let metrics = Metrics::new();
        let query = metrics.query("q");
        query.processed.observe(15);
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&metrics.registry().gather())
            .unwrap();
        assert!(text.contains("thalweg_records_in_total{query=\"q\"} 0"));
        assert!(text.contains(
            "thalweg_latency_seconds_bucket{query=\"q\",stage=\"processed\",le=\"0.00002\"} 1"
        ));
        assert!(text.contains("thalweg_record_errors_total{query=\"q\",reason=\"decode\"} 0"));
    }
}
