//! The demonstration: the job file that ships with the program, with the shipped model where there is a runtime for it, and a
//! summary of what it did: how fast, where the time went, and how much of the planted fraud it found.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use thalweg_engine::histogram::Histogram;
use thalweg_engine::metrics::QueryMetrics;
use thalweg_engine::status::QueryStatus;
use thalweg_operators::extensions::Extensions;
use thalweg_operators::models::{self, Model};
use thalweg_operators::sql::Overrides;

use crate::cli::DemoArgs;
use crate::console;
use crate::duration::{grouped, latency};
use crate::http;
use crate::job_file::{self, Loaded};
use crate::refusal::{End, Refusal};
use crate::run::{self, Finished, Launch};
use crate::scoreboard::{self, SCOREBOARD};
use crate::stop::Stop;

/// Card transactions from the `rate` source with planted fraud, judged, the suspicious ones to the console.
const JOB: &str = include_str!("../jobs/demo.sql");

/// The model of `bin/jobs/fraud.sql`, and the rows that every version of it must pass.
const MODEL: &[u8] = include_bytes!("../jobs/models/fraud.onnx");
const GOLDEN: &str = include_str!("../jobs/models/fraud.golden.jsonl");

/// Where `thalweg run` gives what was judged to nobody, the demonstration keeps the score.
const NOBODY: &str = "CREATE TABLE judged USING noop";
const COUNTED: &str = "CREATE TABLE judged USING scoreboard";

/// What scores in the job file, and what scores with the model.
const BY_RULES: &str =
    "SELECT *, least(0.6D * size(ruled), 1D) AS score, CAST(NULL AS STRING) AS seen FROM ruled;";
const BY_MODEL: &str = "SELECT *, d.score AS score, if(d.score >= 0.5 AND d.fallback IS NULL, 'looks like fraud to the model', NULL) AS seen
FROM (SELECT *, predict_detail('fraud', f) FALLBACK (least(0.6D * size(ruled), 1D)) AS d FROM ruled);";

/// Where the part ends that makes transactions, and what writes them to a file.
const MADE: &str = "-- All features of a card";
const WRITTEN: &str = "CREATE TABLE written USING json OPTIONS (path 'written');
INSERT INTO written
SELECT CAST(id AS STRING) AS id, card, ts, amount, currency, merchant, category, country, lat, lon, device, channel, declined, planted
FROM transactions;";

/// `thalweg demo`.
///
/// # Errors
/// When something must be mended before it can begin.
pub(crate) fn demo(args: &DemoArgs, started: Instant) -> Result<End, Refusal> {
    let folder = TempDir::with_prefix("thalweg-demo-").map_err(|error| {
        Refusal::new(format!(
            "no temporary folder for checkpoints can be made: {error}. Set TMPDIR to a folder that this user may write."
        ))
    })?;
    if let Some(file) = &args.transactions {
        return transactions(file, args.count, folder.path());
    }
    let judge = judge(args.rules);
    let loaded = load(folder.path(), judge.is_ok())?;
    let used = loaded.job.models.clone();
    let finished = live(
        loaded,
        args.seconds.map(Duration::from_secs),
        http::listen(&args.http, args.token_file.as_deref())?,
    )?;
    for query in &finished.queries {
        console::line(&summary(query, started.elapsed()));
    }
    // Both queries go through the same ones.
    if let Some(query) = finished.queries.first() {
        console::line(&stages(query.metrics()));
    }
    console::line(&scoreboard::summary());
    console::line(&judged_by(&used, judge.err().as_deref()));
    // Their files go with the folder.
    used.iter().for_each(|model| model.close());
    drop(folder);
    Ok(finished.end)
}

/// Whether the model scores; why not, where it does not.
fn judge(rules: bool) -> Result<(), String> {
    if rules {
        return Err("--rules was given".to_owned());
    }
    models::ready()
}

/// The job as it is run, with its checkpoints and its model in a folder.
fn load(folder: &Path, with_model: bool) -> Result<Loaded, Refusal> {
    let mut extensions = Extensions::default();
    extensions.add_connector(SCOREBOARD).map_err(Refusal::new)?;
    let mut text = JOB.replace(NOBODY, COUNTED);
    if with_model {
        let place = |name: &str| folder.join(name).display().to_string();
        let written = fs::write(place("fraud.onnx"), MODEL)
            .and_then(|()| fs::write(place("fraud.golden.jsonl"), GOLDEN));
        written.map_err(|error| {
            Refusal::new(format!(
                "the model cannot be written to {}: {error}",
                folder.display()
            ))
        })?;
        let declared = format!(
            "CREATE MODEL fraud USING onnx OPTIONS (path {}, golden {});\n{COUNTED}",
            quoted(&place("fraud.onnx")),
            quoted(&place("fraud.golden.jsonl")),
        );
        text = text.replace(COUNTED, &declared).replace(BY_RULES, BY_MODEL);
    }
    checked(&text, folder, Vec::new(), Vec::new(), extensions)
}

/// A text of SQL.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn checked(
    text: &str,
    folder: &Path,
    inputs: Vec<(String, String)>,
    outputs: Vec<(String, String)>,
    extensions: Extensions,
) -> Result<Loaded, Refusal> {
    let location = folder.join("checkpoints").display().to_string();
    let overrides = Overrides {
        set: vec![("checkpointLocation".to_owned(), location)],
        inputs,
        outputs,
        ..Overrides::default()
    };
    job_file::check(
        Path::new("demo.sql"),
        text,
        &overrides,
        &Arc::new(extensions),
    )
}

fn live(
    loaded: Loaded,
    until: Option<Duration>,
    http: Option<http::Http>,
) -> Result<Finished, Refusal> {
    run::live(Launch {
        name: loaded.name,
        job: loaded.job,
        http,
        fresh: false,
        accept_new_state: false,
        fail_together: true,
        member: None,
        until,
        signals: true,
        hold: false,
        again: None,
        stop: Stop::new(),
    })
}

/// Writes so many transactions to a file.
fn transactions(file: &Path, count: u64, folder: &Path) -> Result<End, Refusal> {
    let ticks = folder.join("ticks.jsonl");
    let written = File::create(&ticks).and_then(|made| {
        let mut numbers = BufWriter::new(made);
        (0..count).try_for_each(|number| writeln!(numbers, "{{\"value\":{number}}}"))?;
        numbers.flush()
    });
    written
        .map_err(|error| Refusal::new(format!("{} cannot be written: {error}", ticks.display())))?;
    let (maker, _) = JOB.split_once(MADE).unwrap_or((JOB, ""));
    let put = |table: &str, path: &Path| vec![(table.to_owned(), path.display().to_string())];
    let loaded = checked(
        &format!("{maker}{WRITTEN}"),
        folder,
        put("ticks", &ticks),
        put("written", file),
        Extensions::default(),
    )?;
    Ok(live(loaded, None, None)?.end)
}

fn summary(query: &QueryStatus, ran: Duration) -> String {
    let metrics = query.metrics();
    let way = &metrics.processed;
    let at = |quantile| latency(way.quantile(quantile));
    let failed: u64 = metrics
        .errors
        .iter()
        .map(prometheus::core::GenericCounter::get)
        .sum();
    let errors = if failed == 0 {
        String::new()
    } else {
        format!(", {} failed", grouped(failed))
    };
    format!(
        "\n{} ran for {:.1} s\n  records  {} in, {} out{errors}\n  latency  from read to written: p50 {}, p99 {}, \
         p99.9 {}, max {}\n  epochs   {} committed, cut p50 {}, p99 {}",
        query.query(),
        ran.as_secs_f64(),
        grouped(metrics.records_in.get()),
        grouped(metrics.records_out.get()),
        at(0.5),
        at(0.99),
        at(0.999),
        latency(way.max()),
        grouped(metrics.epochs_committed.get()),
        latency(metrics.cut.quantile(0.5)),
        latency(metrics.cut.quantile(0.99)),
    )
}

/// Where the time of a record goes, step by step, as far as it was timed.
fn stages(metrics: &QueryMetrics) -> String {
    let line = |stage: &str, step: &str, [half, most]: [String; 2]| {
        format!("\n  {stage:9} {step:56} {half:>9} {most:>9}")
    };
    let micros = |times: &Histogram| [0.5, 0.99].map(|share| latency(times.quantile(share)));
    let mut said = String::from("\nwhere the time of a transaction goes");
    said += &line("", "", ["p50", "p99"].map(str::to_owned));
    said += &line("decode", "", micros(&metrics.decode));
    let mut stage = Stage::MadeUp;
    for (step, times) in metrics.step_times.all() {
        stage = stage.at(&step);
        let tenths = [0.5, 0.99].map(|share| tenths(times.quantile(share)));
        said += &line(stage.word(), &step, tenths);
    }
    said + &line("encode", "", micros(&metrics.write))
}

/// Tenths of a microsecond.
#[allow(clippy::cast_precision_loss)]
fn tenths(tenths: u64) -> String {
    match tenths {
        0..1_000 => format!("{:.1} us", tenths as f64 / 10.0),
        _ => latency(tenths / 10),
    }
}

/// What a step of the job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    MadeUp,
    Features,
    Rules,
    Score,
    Verdict,
}

impl Stage {
    /// That of the step behind one of this stage.
    fn at(self, step: &str) -> Self {
        let own = match step {
            "project f" => Self::Features,
            "project ruled" => Self::Rules,
            "project d" | "project score, seen" => Self::Score,
            _ if step.starts_with("over ") => Self::Features,
            // What comes behind the score.
            _ if self >= Self::Score => Self::Verdict,
            _ => self,
        };
        own.max(self)
    }

    fn word(self) -> &'static str {
        match self {
            Self::MadeUp => "made up",
            Self::Features => "features",
            Self::Rules => "rules",
            Self::Score => "score",
            Self::Verdict => "verdict",
        }
    }
}

/// Who has scored.
fn judged_by(used: &[Arc<Model>], why: Option<&str>) -> String {
    let mut lines = Vec::new();
    for model in used {
        let time = &model.counters().time;
        let version = model.standing().map(|standing| standing.active.version);
        lines.push(format!(
            "\nscored by the model {}, version {}: p50 {}, p99 {} a score; what rules say stands beside it (--rules leaves \
             the model out)",
            model.name(),
            version.unwrap_or_default(),
            latency(time.quantile(0.5)),
            latency(time.quantile(0.99)),
        ));
    }
    if let Some(why) = why {
        lines.push(format!(
            "\nscored by rules alone: {why}\nWith a model more of the fraud is found: see docs/score_transactions.md"
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_holds_what_the_demonstration_puts_something_else_in_the_place_of() {
        for text in [NOBODY, BY_RULES, MADE] {
            assert_eq!(JOB.matches(text).count(), 1, "{text}");
        }
    }

    #[test]
    fn the_job_with_the_model_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let loaded = load(folder.path(), false).unwrap();
        assert!(loaded.job.models.is_empty());
        if cfg!(feature = "onnx") {
            let loaded = load(folder.path(), true).unwrap();
            assert_eq!(loaded.job.models[0].name(), "fraud");
        }
    }
}
