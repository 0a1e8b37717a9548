//! The demonstration: the job file that ships with the program, and a summary of what it did.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg_engine::status::QueryStatus;
use thalweg_operators::sql::Overrides;

use crate::cli::DemoArgs;
use crate::console;
use crate::duration::{grouped, latency};
use crate::http;
use crate::job_file;
use crate::refusal::{End, Refusal};
use crate::run::{self, Launch};
use crate::stop::{self, Stop};

/// Card payments from the `rate` source, scored by a rule, the suspicious ones to the console.
const JOB: &str = include_str!("../jobs/demo.sql");

/// `thalweg demo`.
///
/// # Errors
/// When something must be mended before it can begin.
pub(crate) fn demo(args: &DemoArgs, started: Instant) -> Result<End, Refusal> {
    let loaded = job_file::check(
        Path::new("demo.sql"),
        JOB,
        &Overrides::default(),
        &Arc::default(),
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
    stop::leave(finished.end)
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
