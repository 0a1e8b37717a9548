//! Models as Prometheus sees them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus::core::{Collector, Desc};
use prometheus::{Registry, proto};
use thalweg_engine::histogram::{BOUNDS, Histogram};
use thalweg_operators::models::Model;

/// Upper bounds of differences, in millionths.
const DIFFERENCES: [u64; 10] = [
    1, 100, 1_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 10_000_000,
];

/// Upper bounds of scores, in millionths.
const SCORES: [u64; 12] = [
    10_000, 50_000, 100_000, 200_000, 300_000, 400_000, 500_000, 600_000, 700_000, 800_000,
    900_000, 1_000_000,
];

/// Name, meaning and labels beside `model`.
type Family = (&'static str, &'static str, &'static [&'static str]);

const INFO: Family = (
    "thalweg_model_info",
    "Always 1; the version in force and the hash of its bytes are labels.",
    &["version", "hash"],
);
const SCORED: Family = (
    "thalweg_model_scored_total",
    "Records that a model has scored, by role: active, canary, shadow.",
    &["role"],
);
const ERRORS: Family = (
    "thalweg_model_errors_total",
    "Runs of a model that failed, by role: active (the canary's among them), shadow.",
    &["role"],
);
const FALLBACKS: Family = (
    "thalweg_model_fallbacks_total",
    "Records that FALLBACK answered, by reason: deadline, error.",
    &["reason"],
);
const SWAPS: Family = (
    "thalweg_model_swaps_total",
    "Versions that were offered while the job runs, by outcome: used, refused.",
    &["outcome"],
);
const SKIPPED: Family = (
    "thalweg_model_shadow_skipped_total",
    "Records that the shadow left out, because it was behind, or because the time left did not suffice.",
    &[],
);
const OUTDATED: Family = (
    "thalweg_model_outdated",
    "1 while the newest file of a model is not used, because it is refused, else 0.",
    &[],
);
const SECONDS: Family = ("thalweg_model_seconds", "How long a score takes.", &[]);
const SHADOW_SECONDS: Family = (
    "thalweg_model_shadow_seconds",
    "How long a score of the shadow takes.",
    &[],
);
const SCORE: Family = (
    "thalweg_model_score",
    "The scores, by role: active, canary, shadow.",
    &["role"],
);
const DIFFERENCE: Family = (
    "thalweg_model_shadow_difference",
    "How far the shadow's score is from the one that counts.",
    &[],
);

const FAMILIES: [Family; 11] = [
    INFO,
    SCORED,
    ERRORS,
    FALLBACKS,
    SWAPS,
    SKIPPED,
    OUTDATED,
    SECONDS,
    SHADOW_SECONDS,
    SCORE,
    DIFFERENCE,
];

/// The models of a job.
pub(crate) struct ModelMetrics {
    models: Vec<Arc<Model>>,
    descriptions: Vec<Desc>,
}

impl ModelMetrics {
    /// Shows these models, where there are any.
    pub(crate) fn show(models: &[Arc<Model>], registry: &Registry) {
        if models.is_empty() {
            return;
        }
        let described = FAMILIES.iter().filter_map(|(name, help, labels)| {
            let labels = std::iter::once(&"model").chain(*labels);
            let labels = labels.map(|label| (*label).to_owned()).collect();
            Desc::new(
                (*name).to_owned(),
                (*help).to_owned(),
                labels,
                HashMap::new(),
            )
            .ok()
        });
        let metrics = Self {
            models: models.to_vec(),
            descriptions: described.collect(),
        };
        if let Err(error) = registry.register(Box::new(metrics)) {
            tracing::warn!(%error, "models have no metrics");
        }
    }

    /// One family: for each model its values.
    fn family<'m>(
        &'m self,
        family: Family,
        kind: proto::MetricType,
        metrics: impl Fn(&'m Model) -> Vec<proto::Metric>,
    ) -> proto::MetricFamily {
        let mut made = proto::MetricFamily::default();
        made.set_name(family.0.to_owned());
        made.set_help(family.1.to_owned());
        made.set_field_type(kind);
        made.set_metric(
            self.models
                .iter()
                .flat_map(|model| metrics(model))
                .collect(),
        );
        made
    }
}

fn metric(model: &Model, labels: &[(&str, &str)]) -> proto::Metric {
    let all = std::iter::once(("model", model.name())).chain(labels.iter().copied());
    let mut all: Vec<proto::LabelPair> = all
        .map(|(name, value)| {
            let mut pair = proto::LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value.to_owned());
            pair
        })
        .collect();
    all.sort_by(|a, b| a.name().cmp(b.name()));
    let mut metric = proto::Metric::default();
    metric.set_label(all);
    metric
}

#[allow(clippy::cast_precision_loss)]
fn counter(model: &Model, labels: &[(&str, &str)], value: &AtomicU64) -> proto::Metric {
    let mut metric = metric(model, labels);
    let mut counter = proto::Counter::default();
    counter.set_value(value.load(Relaxed) as f64);
    metric.set_counter(counter);
    metric
}

fn gauge(model: &Model, labels: &[(&str, &str)], value: f64) -> proto::Metric {
    let mut metric = metric(model, labels);
    let mut gauge = proto::Gauge::default();
    gauge.set_value(value);
    metric.set_gauge(gauge);
    metric
}

impl Collector for ModelMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        use proto::MetricType::{COUNTER, GAUGE, HISTOGRAM};
        let info = |model: &Model| {
            let tag = model.standing().map(|standing| standing.active);
            let of = |tag: thalweg_operators::models::Tag| {
                gauge(
                    model,
                    &[("version", &tag.version), ("hash", &tag.hash)],
                    1.0,
                )
            };
            tag.map(of).into_iter().collect()
        };
        let by = |label: &'static str, of: fn(&Model) -> Vec<(&'static str, &AtomicU64)>| {
            move |model: &Model| {
                let all = of(model).into_iter();
                all.map(|(value, count)| counter(model, &[(label, value)], count))
                    .collect()
            }
        };
        let roles = by("role", |model| {
            let all = model.counters();
            vec![
                ("active", &all.active),
                ("canary", &all.canary),
                ("shadow", &all.shadowed),
            ]
        });
        let errors = by("role", |model| {
            let all = model.counters();
            vec![("active", &all.errors), ("shadow", &all.shadow_errors)]
        });
        let fallbacks = by("reason", |model| {
            let all = model.counters();
            vec![("deadline", &all.late), ("error", &all.failed)]
        });
        let swaps = by("outcome", |model| {
            let all = model.counters();
            vec![("used", &all.swaps), ("refused", &all.refused)]
        });
        let seconds = |model: &Model| {
            let mut made = metric(model, &[]);
            made.set_histogram(model.counters().time.export(&BOUNDS));
            vec![made]
        };
        let shadow_seconds = |model: &Model| {
            let mut made = metric(model, &[]);
            made.set_histogram(model.counters().shadow_time.export(&BOUNDS));
            vec![made]
        };
        let scores = |model: &Model| {
            let all = model.counters();
            let of = |(role, scores): (&str, &Histogram)| {
                let mut made = metric(model, &[("role", role)]);
                made.set_histogram(scores.export(&SCORES));
                made
            };
            [
                ("active", &all.active_scores),
                ("canary", &all.canary_scores),
                ("shadow", &all.shadow_scores),
            ]
            .map(of)
            .into()
        };
        let difference = |model: &Model| {
            let mut made = metric(model, &[]);
            made.set_histogram(model.counters().difference.export(&DIFFERENCES));
            vec![made]
        };
        let outdated = |model: &Model| {
            let outdated = if model.fault().is_some() { 1.0 } else { 0.0 };
            vec![gauge(model, &[], outdated)]
        };
        let skipped = |model: &Model| vec![counter(model, &[], &model.counters().skipped)];
        vec![
            self.family(INFO, GAUGE, info),
            self.family(SCORED, COUNTER, roles),
            self.family(ERRORS, COUNTER, errors),
            self.family(FALLBACKS, COUNTER, fallbacks),
            self.family(SWAPS, COUNTER, swaps),
            self.family(SKIPPED, COUNTER, skipped),
            self.family(OUTDATED, GAUGE, outdated),
            self.family(SECONDS, HISTOGRAM, seconds),
            self.family(SHADOW_SECONDS, HISTOGRAM, shadow_seconds),
            self.family(SCORE, HISTOGRAM, scores),
            self.family(DIFFERENCE, HISTOGRAM, difference),
        ]
    }
}
