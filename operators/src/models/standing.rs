//! Which versions of a model are in force: what every checkpoint names, and what a start goes on from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use thalweg_engine::histogram::Histogram;
use thalweg_engine::record::Micros;

use super::Model;
use super::edition::{Edition, Tag};
use super::shelf::Lineup;

/// How a model stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The version in force.
    pub active: Tag,
    /// The one before it: what a rollback goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Tag>,
    /// The hash of the file at `path` that was looked at last, whether it came into force or not: only another one is
    /// loaded.
    pub file: SmolStr,
    /// Since when the version is in force.
    pub since: Micros,
}

impl Standing {
    /// The newest of several: queries of a job keep one each.
    pub fn newest(all: impl IntoIterator<Item = Self>) -> Option<Self> {
        all.into_iter().max_by_key(|standing| standing.since)
    }
}

/// What `/api/v1/models` says of a model.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The model.
    pub model: SmolStr,
    /// The version in force.
    pub active: Option<Tag>,
    /// The one before it.
    pub previous: Option<Tag>,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
    /// Why the newest file, or what was posted last, is not in force.
    pub fault: Option<String>,
    /// The canary, and the share of keys that it scores.
    pub canary: Option<Second>,
    /// The shadow, and how it differs.
    pub shadow: Option<Second>,
    /// Records that the version in force and those before it have scored.
    pub scored: u64,
    /// The mean of their scores.
    pub mean_score: f64,
    /// Runs that failed.
    pub errors: u64,
    /// Fallbacks for want of time.
    pub late: u64,
    /// Fallbacks because the model failed.
    pub failed: u64,
    /// The time that 99 of 100 recent scores of the version in force stay below on the slowest thread, or that each of the last
    /// three took, if that is more, in microseconds: what a deadline goes by.
    pub p99_micros: u64,
}

/// A version beside the one that scores.
#[derive(Clone, Debug, Serialize)]
pub struct Second {
    /// Which.
    pub tag: Option<Tag>,
    /// The canary's share of the keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Records that it has scored.
    pub scored: u64,
    /// Records that the shadow left out.
    pub skipped: u64,
    /// Runs of the shadow that failed.
    pub errors: u64,
    /// The mean difference of the shadow's score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_difference: Option<f64>,
    /// The largest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_difference: Option<f64>,
    /// The mean of the shadow's scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_score: Option<f64>,
    /// The time that 99 of 100 scores of the shadow stay below, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_micros: Option<u64>,
}

impl Model {
    /// How it stands and what it has counted.
    #[allow(clippy::cast_precision_loss)]
    pub fn report(&self) -> Report {
        let standing = self.standing();
        let counters = &self.counters;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let lineup = self.shelf.take().map(|(lineup, _)| lineup);
        let tag = |edition: &Arc<Edition>| edition.tag.clone();
        let (active, canary, shadow) = lineup.map_or((None, None, None), |lineup| {
            let lineup = Lineup::clone(&lineup);
            (Some(lineup.active), lineup.canary, lineup.shadow)
        });
        let pace = |edition: Option<&Arc<Edition>>| edition.and_then(|one| one.pace_micros());
        let canary = self.options.canary.as_ref().map(|option| Second {
            tag: canary.as_ref().map(tag),
            share: Some(option.share as f64 / 10_000.0),
            scored: count(&counters.canary),
            skipped: 0,
            errors: 0,
            mean_difference: None,
            max_difference: None,
            mean_score: None,
            p99_micros: None,
        });
        let mean = |of: &Histogram| of.sum() as f64 / 1e6 / of.count().max(1) as f64;
        let shadow = self.options.shadow.as_ref().map(|_| Second {
            tag: shadow.as_ref().map(tag),
            share: None,
            scored: count(&counters.shadowed),
            skipped: count(&counters.skipped),
            errors: count(&counters.shadow_errors),
            mean_difference: Some(mean(&counters.difference)),
            max_difference: Some(counters.difference.max() as f64 / 1e6),
            mean_score: Some(mean(&counters.shadow_scores)),
            p99_micros: Some(
                pace(shadow.as_ref()).unwrap_or_else(|| counters.shadow_time.quantile(0.99)),
            ),
        });
        Report {
            model: self.name.clone(),
            since: standing
                .as_ref()
                .map_or(0, |standing| standing.since / 1_000),
            previous: standing
                .as_ref()
                .and_then(|standing| standing.previous.clone()),
            active: standing.map(|standing| standing.active),
            fault: self.fault(),
            canary,
            shadow,
            scored: count(&counters.active),
            mean_score: mean(&counters.active_scores),
            errors: count(&counters.errors),
            late: count(&counters.late),
            failed: count(&counters.failed),
            p99_micros: pace(active.as_ref()).unwrap_or(0),
        }
    }
}
