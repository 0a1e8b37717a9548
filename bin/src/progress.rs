//! The progress of each query in the fields of Spark's `StreamingQueryProgress`: a line in the log every ten seconds, of a query
//! where nothing happens every minute, and the answer of `/api/v1/queries`. Here it exists in every mode, continuous ones too.
//!
//! `batchId` is the newest committed epoch, `numInputRows` and the rates are of the stretch of time `batchDuration` (in
//! milliseconds) before `timestamp`. What Spark has and a run without batches has not is left out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use thalweg_engine::clock;
use thalweg_engine::epoch::checkpoint::{Checkpoint, PartitionCut};
use thalweg_engine::record::{Micros, Position};
use thalweg_engine::status::QueryStatus;

use crate::inspect::sorted;

/// How often progress is noted.
const INTERVAL: Duration = Duration::from_secs(10);
/// How often the log says it of a query where nothing happens.
const QUIET_INTERVAL: Duration = Duration::from_secs(60);
/// What changes although nothing happens.
const PASSING: [&str; 4] = ["timestamp", "batchId", "batchDuration", "durationMs"];

/// What was counted at a moment.
#[derive(Clone, Default)]
struct Sample {
    at: Micros,
    rows_in: u64,
    rows_out: u64,
    late: u64,
    epochs: u64,
    /// Microseconds from marker to committed, summed.
    epoch_micros: u64,
    newest: Option<Arc<Checkpoint>>,
}

/// A query with what was counted at the last two moments.
struct Tracked {
    status: Arc<QueryStatus>,
    before: Sample,
    last: Sample,
    said: Said,
}

/// What the log said last of a query, and when.
#[derive(Default)]
struct Said(Option<(Micros, Value)>);

impl Said {
    /// Whether this is to be said now: rows came or went, something is another than what was said, or that is long ago.
    fn is_due(&mut self, progress: &Value, now: Micros) -> bool {
        let mut lasting = progress.clone();
        if let Value::Object(fields) = &mut lasting {
            fields.retain(|name, _| !PASSING.contains(&name.as_str()));
        }
        let flows = progress["numInputRows"] != 0 || progress["sink"]["numOutputRows"] != 0;
        let quiet = Micros::try_from(QUIET_INTERVAL.as_micros()).unwrap_or(Micros::MAX);
        // The clock that rings for it is another one.
        let slack = Micros::try_from(INTERVAL.as_micros() / 2).unwrap_or(0);
        let known = self.0.as_ref();
        let due =
            flows || known.is_none_or(|(at, said)| *said != lasting || now - at >= quiet - slack);
        if due {
            self.0 = Some((now, lasting));
        }
        due
    }
}

/// The progress of all queries of a job.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<Vec<Tracked>>>);

impl Progress {
    /// Follows these queries from now on. Must be called within the actix system.
    pub(crate) fn follow(queries: &[Arc<QueryStatus>]) -> Self {
        let tracked = queries.iter().map(|status| {
            let now = sample(status, clock::now());
            Tracked {
                status: Arc::clone(status),
                before: now.clone(),
                last: now,
                said: Said::default(),
            }
        });
        let progress = Self(Arc::new(Mutex::new(tracked.collect())));
        actix::spawn(progress.clone().note());
        progress
    }

    async fn note(self) {
        loop {
            actix::clock::sleep(INTERVAL).await;
            for query in self.0.lock().iter_mut() {
                let now = sample(&query.status, clock::now());
                query.before = std::mem::replace(&mut query.last, now);
                let progress = describe(&query.status, &query.before, &query.last);
                if query.said.is_due(&progress, query.last.at) {
                    tracing::info!(query = query.status.query(), "progress {progress}");
                }
            }
        }
    }

    /// The progress of each query until now.
    pub(crate) fn now(&self) -> Vec<Value> {
        let queries = self.0.lock();
        let queries = queries.iter();
        queries
            .map(|query| {
                let now = sample(&query.status, clock::now());
                let mut progress = describe(&query.status, &query.before, &now);
                if let Value::Object(fields) = &mut progress {
                    fields.insert("status".into(), status(&query.status));
                }
                progress
            })
            .collect()
    }
}

fn sample(status: &QueryStatus, at: Micros) -> Sample {
    let metrics = status.metrics();
    Sample {
        at,
        rows_in: metrics.records_in.get(),
        rows_out: metrics.records_out.get(),
        late: metrics.late.get(),
        epochs: metrics.epoch_duration.count(),
        epoch_micros: metrics.epoch_duration.sum(),
        newest: status.newest(),
    }
}

/// Spark's three fields of a query's status.
fn status(query: &QueryStatus) -> Value {
    let (phase, since) = query.phase();
    let seen = crate::http::seen(query, phase, since);
    let message = seen.why.unwrap_or_else(|| seen.word.to_owned());
    json!({
        "message": message,
        "isDataAvailable": seen.ready,
        "isTriggerActive": seen.word == "running",
        "seconds": seen.since.elapsed().as_secs(),
    })
}

fn describe(status: &QueryStatus, before: &Sample, now: &Sample) -> Value {
    let micros = (now.at - before.at).max(1);
    #[allow(clippy::cast_precision_loss)]
    let rate = |rows: u64| rows as f64 * 1e6 / micros as f64;
    let rows_in = now.rows_in - before.rows_in;
    let newest = now.newest.as_deref();
    let epochs = (now.epochs - before.epochs).max(1);
    let committing = (now.epoch_micros - before.epoch_micros) / epochs / 1_000;
    json!({
        "id": newest.map(|checkpoint| &checkpoint.checkpoint),
        "runId": newest.map(|checkpoint| &checkpoint.run),
        "name": status.query(),
        "timestamp": time(now.at),
        "batchId": newest.map(|checkpoint| checkpoint.epoch),
        "batchDuration": micros / 1_000,
        "numInputRows": rows_in,
        "inputRowsPerSecond": rate(rows_in),
        "processedRowsPerSecond": rate(rows_in),
        "durationMs": { "commitOffsets": committing },
        "eventTime": event_time(newest),
        "stateOperators": state_operators(status, now.late - before.late),
        "sources": sources(status, before, now, &rate),
        "sink": { "numOutputRows": now.rows_out - before.rows_out },
    })
}

fn time(micros: Micros) -> Option<String> {
    let time = DateTime::from_timestamp_micros(micros)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The watermark, and the partition that holds it back.
fn event_time(newest: Option<&Checkpoint>) -> Value {
    let mut fields = Map::new();
    let watermark =
        newest.and_then(|newest| newest.partitions().filter_map(|cut| cut.watermark).min());
    if let Some(watermark) = watermark.and_then(time) {
        fields.insert("watermark".into(), watermark.into());
    }
    if let Some(slowest) = newest.and_then(Checkpoint::held_back_by) {
        fields.insert("heldBackBy".into(), slowest.partition.as_str().into());
    }
    fields.into()
}

/// Late rows are counted by query; they stand at its first step with state.
fn state_operators(status: &QueryStatus, late: u64) -> Vec<Value> {
    let sizes = status.metrics().state_sizes();
    let sizes = sizes.iter().enumerate();
    sizes
        .map(|(number, (step, size))| {
            json!({
                "operatorName": step.as_str(),
                "numRowsTotal": size.keys,
                "memoryUsedBytes": size.bytes,
                "numRowsDroppedByWatermark": if number == 0 { late } else { 0 },
            })
        })
        .collect()
}

fn sources(
    status: &QueryStatus,
    before: &Sample,
    now: &Sample,
    rate: &dyn Fn(u64) -> f64,
) -> Vec<Value> {
    let Some(newest) = &now.newest else {
        return Vec::new();
    };
    let mut inputs: BTreeMap<&str, Vec<&PartitionCut>> = BTreeMap::new();
    for cut in sorted(newest) {
        inputs.entry(&cut.input).or_default().push(cut);
    }
    let started: BTreeMap<(&str, &str), &Position> = before
        .newest
        .iter()
        .flat_map(|checkpoint| checkpoint.partitions())
        .map(|cut| ((cut.input.as_str(), cut.partition.as_str()), &cut.position))
        .collect();
    let sources = inputs.iter();
    sources
        .map(|(input, cuts)| {
            let start = |cut: &PartitionCut| {
                let known = started.get(&(cut.input.as_str(), cut.partition.as_str()));
                (*known.unwrap_or(&&cut.position)).clone()
            };
            let mut rows = 0;
            for cut in cuts {
                if let (Position::Number(from), Position::Number(to)) = (start(cut), &cut.position)
                {
                    rows += u64::try_from(to - from).unwrap_or(0);
                }
            }
            let latest = |cut: &PartitionCut| match &cut.position {
                Position::Number(at) => {
                    Position::Number(at + status.metrics().lag_of(&cut.partition).unwrap_or(0))
                }
                token => token.clone(),
            };
            json!({
                "description": input,
                "startOffset": offsets(cuts, &start),
                "endOffset": offsets(cuts, &|cut| cut.position.clone()),
                "latestOffset": offsets(cuts, &latest),
                "numInputRows": rows,
                "inputRowsPerSecond": rate(rows),
                "processedRowsPerSecond": rate(rows),
            })
        })
        .collect()
}

/// As Spark shows offsets of Kafka: `{"topic": {"0": 534}}`.
fn offsets(cuts: &[&PartitionCut], position: &dyn Fn(&PartitionCut) -> Position) -> Value {
    let mut topics: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for cut in cuts {
        let (topic, partition) = cut
            .partition
            .rsplit_once('/')
            .unwrap_or((&cut.partition, "0"));
        topics
            .entry(topic)
            .or_default()
            .insert(partition.to_owned(), json!(position(cut)));
    }
    json!(topics)
}

#[cfg(test)]
mod tests {
    use thalweg_engine::metrics::Metrics;

    use super::*;

    #[test]
    fn a_query_where_nothing_happens_is_said_once_a_minute() {
        let metrics = Metrics::new();
        let status = QueryStatus::new("q", metrics.query("q"));
        let mut said = Said::default();
        let mut before = Sample::default();
        let mut told = Vec::new();
        for tick in 1..=20 {
            let second = tick * 10;
            let now = Sample {
                at: second * 1_000_000,
                // Rows come until here, and once more.
                rows_in: u64::try_from(tick.min(3)).unwrap() + u64::from(tick >= 15),
                // Epochs go on.
                epochs: u64::try_from(second).unwrap(),
                ..Sample::default()
            };
            if said.is_due(&describe(&status, &before, &now), now.at) {
                told.push(second);
            }
            before = now;
        }
        assert_eq!(told, [10, 20, 30, 40, 100, 150, 160]);
    }

    #[test]
    fn rows_and_rates_are_those_of_the_stretch_before() {
        let metrics = Metrics::new();
        let status = QueryStatus::new("q", metrics.query("q"));
        let before = Sample {
            at: 1_000_000,
            rows_in: 100,
            ..Sample::default()
        };
        let now = Sample {
            at: 3_000_000,
            rows_in: 150,
            rows_out: 7,
            ..Sample::default()
        };
        let progress = describe(&status, &before, &now);
        assert_eq!(progress["numInputRows"], 50);
        assert_eq!(progress["inputRowsPerSecond"], 25.0);
        assert_eq!(progress["sink"]["numOutputRows"], 7);
        assert_eq!(progress["timestamp"], "1970-01-01T00:00:03.000Z");
        assert_eq!(progress["batchId"], Value::Null);
    }
}
