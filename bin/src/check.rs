//! `thalweg check`: what a job reads, does and writes, without running it.

use std::fmt::Write;

use thalweg_operators::plan::Query;
use thalweg_operators::table::{Options, Table};

use crate::cli::CheckArgs;
use crate::console;
use crate::job_file::{self, Loaded};
use crate::refusal::{End, Refusal};

/// `thalweg check`.
///
/// # Errors
/// For what is wrong in the job file.
pub(crate) fn check(args: &CheckArgs) -> Result<End, Refusal> {
    let loaded = job_file::load(&args.job, !args.connect)?;
    console::text(&report(&loaded));
    Ok(End::Clean)
}

fn report(loaded: &Loaded) -> String {
    let queries = &loaded.job.queries;
    let count = queries.len();
    let mut out = format!(
        "job {} ({}), {count} {}\n",
        loaded.name,
        loaded.file,
        if count == 1 { "query" } else { "queries" }
    );
    for query in queries {
        describe(query, &mut out);
    }
    out
}

fn describe(query: &Query, out: &mut String) {
    let _ = writeln!(out, "\nquery {} (line {})", query.name, query.at.line);
    let _ = writeln!(out, "  inputs");
    for (_, input) in query.inputs() {
        table(input.table(), out);
    }
    let _ = writeln!(out, "  plan");
    for line in query.fmt_tree().lines() {
        let _ = writeln!(out, "    {line}");
    }
    let _ = writeln!(out, "  output");
    table(query.output(), out);
    if let Some(dead) = query.dead_letter_table() {
        let _ = writeln!(out, "  dead letters");
        table(dead, out);
    }
    let lanes = if query.gather() {
        "one lane reads all partitions"
    } else {
        "one lane for each partition"
    };
    let _ = writeln!(out, "  lanes\n    {lanes}");
    let checkpoints = match &query.settings.checkpoint_location {
        Some(location) if !query.temporary => format!("{location}/{}", query.name),
        _ => "a temporary folder".to_owned(),
    };
    let _ = writeln!(out, "  checkpoints\n    {checkpoints}");
    let _ = writeln!(out, "  settings");
    for entry in &query.settings.in_force {
        if entry.value.is_empty() || entry.spec.refused.is_some() {
            continue;
        }
        let origin = match entry.at {
            None => String::new(),
            Some(at) if at.line == 0 => "  (command line)".to_owned(),
            Some(at) => format!("  (line {})", at.line),
        };
        let _ = writeln!(out, "    {:<20} {}{origin}", entry.spec.name, entry.value);
    }
}

fn table(table: &Table, out: &mut String) {
    let _ = writeln!(out, "    {} USING {}", table.name, table.connector);
    for entry in table.options.iter() {
        let _ = writeln!(out, "      {} {}", entry.name, Options::shown(entry));
    }
}
