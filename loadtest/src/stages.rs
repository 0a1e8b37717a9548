//! Where the time of a measured command goes, as its own metrics page says: percentiles of each stage, of what came between
//! two looks.

use std::collections::BTreeMap;

use crate::failure::Result;
use crate::figures::Figures;
use crate::http;
use crate::report::STEP;

/// The stages of a record, and the histogram of a model's scores: what is read of the page, as label or name, and the name of
/// the figures.
const STAGES: [(&str, &str, &str); 5] = [
    (
        "thalweg_latency_seconds_bucket",
        "stage=\"decode\"",
        "decode",
    ),
    ("thalweg_latency_seconds_bucket", "stage=\"steps\"", "steps"),
    ("thalweg_model_seconds_bucket", "", "score"),
    ("thalweg_latency_seconds_bucket", "stage=\"write\"", "write"),
    (
        "thalweg_latency_seconds_bucket",
        "stage=\"acknowledged\"",
        "acknowledged",
    ),
];
/// The histograms of the steps of a query, which their label names.
const STEPS: &str = "thalweg_step_seconds_bucket";
const PERCENTILES: [(&str, f64); 2] = [("p50", 0.5), ("p99", 0.99)];

/// For each stage the bounds of its buckets in seconds, and how many took at most so long.
pub(crate) type Page = BTreeMap<String, Vec<(f64, f64)>>;

/// Reads the metrics page of a command that serves it there.
pub(crate) fn look(http: &str) -> Result<Page> {
    Ok(read(&http::ask(http, "GET /metrics")?))
}

/// The histograms of a page, those of several queries and models together.
fn read(page: &str) -> Page {
    let mut all = Page::new();
    for line in page.lines() {
        let of = |(name, label, _): &&(&str, &str, &str)| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{') && rest.contains(label))
        };
        let stage = match STAGES.iter().find(of) {
            Some((_, _, stage)) => format!("stage_{stage}"),
            None => match step(line) {
                Some(step) => format!("{STEP}{step}"),
                None => continue,
            },
        };
        let bucket = || {
            let (_, bound) = line.split_once("le=\"")?;
            let (bound, _) = bound.split_once('"')?;
            let (_, count) = line.rsplit_once(' ')?;
            // `+Inf` is a number, too.
            Some((bound.parse().ok()?, count.parse::<f64>().ok()?))
        };
        let Some((bound, count)) = bucket() else {
            continue;
        };
        let buckets: &mut Vec<(f64, f64)> = all.entry(stage).or_default();
        match buckets.iter_mut().find(|(known, _)| *known == bound) {
            Some((_, known)) => *known += count,
            None => buckets.push((bound, count)),
        }
    }
    all
}

/// The step whose bucket the line tells.
fn step(line: &str) -> Option<&str> {
    let (_, step) = line.strip_prefix(STEPS)?.split_once("step=\"")?;
    step.split('"').next()
}

/// Percentiles in milliseconds of what came between two looks, as Prometheus reckons them: within a bucket evenly.
pub(crate) fn figures(before: &Page, after: &Page) -> Figures {
    let mut figures = Figures::new();
    for (stage, buckets) in after {
        let earlier = |bound: f64| {
            let mut known = before.get(stage).into_iter().flatten();
            known
                .find(|(known, _)| *known == bound)
                .map_or(0.0, |(_, count)| *count)
        };
        let mut since: Vec<(f64, f64)> = buckets
            .iter()
            .map(|(bound, count)| (*bound, count - earlier(*bound)))
            .collect();
        since.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (name, share) in PERCENTILES {
            if let Some(seconds) = quantile(&since, share) {
                figures.insert(format!("{stage}_{name}_ms"), seconds * 1e3);
            }
        }
    }
    figures
}

fn quantile(buckets: &[(f64, f64)], share: f64) -> Option<f64> {
    let (_, all) = *buckets.last().filter(|(_, all)| *all > 0.0)?;
    let rank = share * all;
    let place = buckets.iter().position(|(_, count)| *count >= rank)?;
    let (low, below) = match place {
        0 => (0.0, 0.0),
        place => buckets[place - 1],
    };
    let (high, count) = buckets[place];
    if high.is_infinite() {
        return Some(low);
    }
    Some(low + (high - low) * (rank - below) / (count - below))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# TYPE thalweg_latency_seconds histogram
thalweg_latency_seconds_bucket{query=\"a\",stage=\"steps\",le=\"0.00001\"} 10
thalweg_latency_seconds_bucket{query=\"a\",stage=\"steps\",le=\"0.0001\"} 10
thalweg_latency_seconds_bucket{query=\"a\",stage=\"steps\",le=\"+Inf\"} 10
thalweg_latency_seconds_count{query=\"a\",stage=\"steps\"} 10
";
    const AFTER: &str =
        "thalweg_latency_seconds_bucket{query=\"a\",stage=\"steps\",le=\"0.00001\"} 10
thalweg_latency_seconds_bucket{query=\"a\",stage=\"steps\",le=\"0.0001\"} 60
thalweg_latency_seconds_bucket{query=\"a\",stage=\"steps\",le=\"+Inf\"} 60
thalweg_latency_seconds_bucket{query=\"b\",stage=\"steps\",le=\"0.00001\"} 0
thalweg_latency_seconds_bucket{query=\"b\",stage=\"steps\",le=\"0.0001\"} 50
thalweg_latency_seconds_bucket{query=\"b\",stage=\"steps\",le=\"+Inf\"} 50
thalweg_latency_seconds_bucket{query=\"b\",stage=\"total\",le=\"+Inf\"} 50
thalweg_model_seconds_bucket{model=\"fraud\",le=\"0.00001\"} 0
thalweg_model_seconds_bucket{model=\"fraud\",le=\"+Inf\"} 3
thalweg_step_seconds_bucket{query=\"a\",step=\"over by card\",le=\"0.000001\"} 8
thalweg_step_seconds_bucket{query=\"a\",step=\"over by card\",le=\"+Inf\"} 8
";

    #[test]
    fn stages_are_those_of_all_queries_since_the_look_before() {
        let figures = figures(&read(BEFORE), &read(AFTER));
        // A hundred between 10 and 100 us.
        assert!(
            (figures["stage_steps_p50_ms"] - 0.055).abs() < 1e-9,
            "{figures:?}"
        );
        assert!(
            (figures["stage_steps_p99_ms"] - 0.0991).abs() < 1e-9,
            "{figures:?}"
        );
        // Of what is beyond the last bound that alone is known.
        assert!(
            (figures["stage_score_p50_ms"] - 0.01).abs() < 1e-9,
            "{figures:?}"
        );
        // A step is called what its query calls it.
        assert!(
            (figures["step_over by card_p50_ms"] - 0.0005).abs() < 1e-9,
            "{figures:?}"
        );
        assert_eq!(figures.len(), 6, "{figures:?}");
    }

    #[test]
    fn where_nothing_came_there_is_no_figure() {
        assert!(figures(&read(BEFORE), &read(BEFORE)).is_empty());
    }
}
