//! The slowest records of a job as `/api/v1/slow` answers them: places and times, never what a record holds.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use thalweg_engine::record::{Micros, Position};
use thalweg_engine::recorder::{Doing, MINUTES, Overlap, ShownRecord, Stage};
use thalweg_engine::status::QueryStatus;

/// Records of a query that are shown where nothing else is asked for.
const LIMIT: u32 = 10;
/// Records of a query that may be asked for.
const LIMIT_MAX: u32 = 1_000;

/// What may be asked.
#[derive(Deserialize)]
pub(crate) struct Asked {
    minutes: Option<u32>,
    limit: Option<u32>,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Slow {
    pub(crate) minutes: u32,
    pub(crate) queries: Vec<SlowQuery>,
}

/// The slowest records of one query, slowest first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SlowQuery {
    pub(crate) query: String,
    /// By the time from taken to delivered.
    pub(crate) slowest: Vec<SlowRecord>,
    /// By the time since their own timestamps.
    pub(crate) longest_since_timestamp: Vec<SlowRecord>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SlowRecord {
    pub(crate) input: String,
    pub(crate) partition: String,
    /// A number, or the source's own token.
    pub(crate) position: Option<Position>,
    pub(crate) timestamp: Option<String>,
    pub(crate) taken_at: String,
    pub(crate) delivered_at: String,
    /// From taken to delivered.
    pub(crate) micros: u64,
    /// From its timestamp to delivered, where it has one.
    pub(crate) micros_since_timestamp: Option<u64>,
    /// Where the time went, in order.
    pub(crate) stages: Vec<SlowStage>,
    /// The stage that took most.
    pub(crate) most: Option<SlowStage>,
    /// Whether each step was timed by itself.
    pub(crate) steps_timed: bool,
    pub(crate) meanwhile: Vec<Meanwhile>,
    /// As slow ones of the same moment.
    pub(crate) alike: u32,
}

/// A part of its time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SlowStage {
    /// `before`, `decode`, `step`, `write`, `steps`, `deliver`.
    pub(crate) stage: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) step: Option<String>,
    pub(crate) micros: u64,
}

/// What the engine was doing in that time.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Meanwhile {
    pub(crate) doing: String,
    /// How much of the record's time it covers.
    pub(crate) micros: u64,
    /// Whether rows stand still meanwhile.
    pub(crate) holds_rows: bool,
    /// Begin and end of the longest.
    pub(crate) begin: String,
    pub(crate) end: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) epoch: Option<u64>,
}

/// The slowest of all minutes that are kept, as many as are shown where nothing else is asked for.
pub(crate) fn newest(queries: &[Arc<QueryStatus>]) -> Slow {
    let minutes = u32::try_from(MINUTES).unwrap_or(u32::MAX);
    slowest(queries, minutes, LIMIT)
}

/// Answers. What is wrong with the question, where it is.
pub(crate) fn answer(queries: &[Arc<QueryStatus>], asked: &Asked) -> Result<Slow, String> {
    let kept = u32::try_from(MINUTES).unwrap_or(u32::MAX);
    let minutes = asked.minutes.unwrap_or(kept);
    if !(1..=kept).contains(&minutes) {
        return Err(format!("minutes is 1 to {kept}: so many are kept"));
    }
    let limit = asked.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(format!("limit is 1 to {LIMIT_MAX}"));
    }
    Ok(slowest(queries, minutes, limit))
}

fn slowest(queries: &[Arc<QueryStatus>], minutes: u32, limit: u32) -> Slow {
    let queries = queries.iter().map(|query| {
        let recorder = &query.metrics().recorder;
        let slow = recorder.slow(minutes, limit as usize);
        SlowQuery {
            query: query.query().to_owned(),
            slowest: slow
                .by_total
                .iter()
                .map(|slow| record(slow, false))
                .collect(),
            longest_since_timestamp: slow
                .by_whole
                .iter()
                .map(|slow| record(slow, true))
                .collect(),
        }
    });
    Slow {
        minutes,
        queries: queries.collect(),
    }
}

fn time(micros: Micros) -> String {
    DateTime::from_timestamp_micros(micros).map_or_else(
        || micros.to_string(),
        |time| time.to_rfc3339_opts(SecondsFormat::Micros, true),
    )
}

/// A record; with `whole` what it waited for before it was taken counts too.
fn record(slow: &ShownRecord, whole: bool) -> SlowRecord {
    let stages = slow.stages();
    let counted = stages.iter().filter(|(stage, _)| match stage {
        Stage::Before => whole,
        // Decoded before it was taken.
        Stage::Decode => false,
        _ => true,
    });
    let most = counted.max_by_key(|(_, micros)| *micros);
    SlowRecord {
        input: slow.partition.input.to_string(),
        partition: slow.partition.name.to_string(),
        position: slow.position.clone(),
        timestamp: slow.record_time.map(time),
        taken_at: time(slow.taken_at),
        delivered_at: time(slow.delivered_at),
        micros: slow.total,
        micros_since_timestamp: slow.record_time.map(|_| slow.whole),
        most: most.map(stage),
        stages: stages.iter().map(stage).collect(),
        steps_timed: slow.timed,
        meanwhile: slow.doings.iter().map(meanwhile).collect(),
        alike: slow.alike,
    }
}

fn stage((stage, micros): &(Stage<'_>, u64)) -> SlowStage {
    let (name, step) = match stage {
        Stage::Before => ("before", None),
        Stage::Decode => ("decode", None),
        Stage::Step(step) => ("step", Some((*step).to_owned())),
        Stage::Write => ("write", None),
        Stage::Steps => ("steps", None),
        Stage::Deliver => ("deliver", None),
    };
    SlowStage {
        stage: name.to_owned(),
        step,
        micros: *micros,
    }
}

fn meanwhile(overlap: &Overlap) -> Meanwhile {
    let event = &overlap.longest;
    let epoch = matches!(
        event.doing,
        Doing::Cut | Doing::Saving | Doing::Epoch | Doing::Merging
    );
    Meanwhile {
        doing: event.doing.name().to_owned(),
        micros: overlap.micros,
        holds_rows: event.doing.holds_rows(),
        begin: time(event.begin),
        end: event.end.map(time),
        epoch: epoch.then_some(event.about),
    }
}
