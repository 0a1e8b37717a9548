//! The demonstration: the job file that ships with the program, and a summary of what it did: how fast, and how much of the
//! planted fraud it found.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use thalweg_engine::status::QueryStatus;
use thalweg_operators::extensions::Extensions;
use thalweg_operators::sql::Overrides;

use crate::cli::DemoArgs;
use crate::console;
use crate::duration::{grouped, latency};
use crate::http;
use crate::job_file;
use crate::refusal::{End, Refusal};
use crate::run::{self, Launch};
use crate::scoreboard::{self, SCOREBOARD};
use crate::stop::Stop;

/// Card transactions from the `rate` source with planted fraud, judged by rules, the suspicious ones to the console.
const JOB: &str = include_str!("../jobs/demo.sql");

/// Where `thalweg run` gives what was judged to nobody, the demonstration keeps the score.
const NOBODY: &str = "CREATE TABLE judged USING noop";
const COUNTED: &str = "CREATE TABLE judged USING scoreboard";

/// `thalweg demo`.
///
/// # Errors
/// When something must be mended before it can begin.
pub(crate) fn demo(args: &DemoArgs, started: Instant) -> Result<End, Refusal> {
    let mut extensions = Extensions::default();
    extensions.add_connector(SCOREBOARD).map_err(Refusal::new)?;
    let folder = TempDir::with_prefix("thalweg-demo-").map_err(|error| {
        Refusal::new(format!(
            "no temporary folder for checkpoints can be made: {error}. Set TMPDIR to a folder that this user may write."
        ))
    })?;
    let location = folder.path().display().to_string();
    let loaded = job_file::check(
        Path::new("demo.sql"),
        &JOB.replace(NOBODY, COUNTED),
        &Overrides {
            set: vec![("checkpointLocation".to_owned(), location)],
            ..Overrides::default()
        },
        &Arc::new(extensions),
    )?;
    let finished = run::live(Launch {
        name: loaded.name,
        job: loaded.job,
        http: http::listen(&args.http)?,
        fresh: false,
        accept_new_state: false,
        fail_together: true,
        member: None,
        until: args.seconds.map(Duration::from_secs),
        signals: true,
        stop: Stop::new(),
    })?;
    for query in &finished.queries {
        console::line(&summary(query, started.elapsed()));
    }
    console::line(&scoreboard::summary());
    drop(folder);
    Ok(finished.end)
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
         p99.9 {}, max {}\n  epochs   {} committed",
        query.query(),
        ran.as_secs_f64(),
        grouped(metrics.records_in.get()),
        grouped(metrics.records_out.get()),
        at(0.5),
        at(0.99),
        at(0.999),
        latency(way.max()),
        grouped(metrics.epochs_committed.get()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_names_the_output_that_is_counted() {
        assert!(JOB.contains(NOBODY));
    }
}
