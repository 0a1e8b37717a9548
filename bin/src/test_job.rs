//! `thalweg test`: feeds a job from files, in virtual time, and compares what it writes with what is expected.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thalweg_engine::error::RecordError;
use thalweg_engine::record::{Body, Micros, Record};
use thalweg_operators::extensions::Extensions;
use thalweg_operators::plan::Query;
use thalweg_operators::sources::given;
use thalweg_operators::sql::settings::OnError;

use crate::cli::{JobArgs, TestArgs};
use crate::console;
use crate::difference::{Difference, Line};
use crate::job_file::{self, Loaded};
use crate::models;
use crate::refusal::{End, Refusal};
use crate::rehearsal::{self, Outcome, Part, Policy, Script};
use crate::wiring::{self, Wired};

/// When the clock of every test begins: 2026-01-01T00:00:00Z.
const START: Micros = 1_767_225_600_000_000;

/// How the name of a file with expected rows ends.
const EXPECTED: &str = ".expected.jsonl";

/// `thalweg test`.
///
/// # Errors
/// For what is wrong in the job or the files.
pub(crate) fn test(args: &TestArgs, extensions: &Arc<Extensions>) -> Result<End, Refusal> {
    let loaded = job_file::load(
        &JobArgs {
            job: args.job.clone(),
            set: args.set.clone(),
            ..JobArgs::default()
        },
        true,
        extensions,
    )?;
    let trial = Trial {
        folder: &args.folder,
        update: args.update,
        restarts: args.restarts,
    };
    let mut said = String::new();
    let well = trial.run(loaded, &mut said);
    console::text(&said);
    Ok(if well? { End::Clean } else { End::Failed })
}

/// A test of a job: the files it is tried on, and how.
pub(crate) struct Trial<'a> {
    /// The folder with the files.
    pub(crate) folder: &'a Path,
    /// Whether what is written is what is expected from now on.
    pub(crate) update: bool,
    /// Whether the query is restarted after every record.
    pub(crate) restarts: bool,
}

impl Trial<'_> {
    /// Tries the job and says in `said` what came of it. Whether all is as expected.
    ///
    /// # Errors
    /// For what is wrong in the job or the files.
    pub(crate) fn run(&self, loaded: Loaded, said: &mut String) -> Result<bool, Refusal> {
        known_files(self.folder, &loaded)?;
        models::open_still(&loaded.job)?;
        let mut tables = BTreeMap::new();
        let mut well = true;
        for query in loaded.job.queries {
            well &= rehearse(self, &loaded.name, query, &mut tables, said)?;
        }
        for (table, written) in tables {
            well &= judge(self, &table, written, well, said)?;
        }
        Ok(well)
    }
}

/// Rows of one table, as lines of JSON.
#[derive(Default)]
struct Written {
    lines: Vec<String>,
    /// Whether their order counts.
    ordered: bool,
}

/// Whether every file is of a table of the job: a misspelt one would be left out silently.
fn known_files(folder: &Path, loaded: &Loaded) -> Result<(), Refusal> {
    let unreadable = |error: std::io::Error| {
        Refusal::new(format!("{} cannot be read: {error}", folder.display()))
    };
    let mut names: Vec<String> = loaded
        .job
        .tables
        .iter()
        .map(|table| table.name.clone())
        .collect();
    names.push("console".to_owned());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.file_name();
        let file = file.to_string_lossy();
        let table = file
            .strip_suffix(EXPECTED)
            .or_else(|| file.strip_suffix(".jsonl"))
            .or_else(|| file.strip_suffix(".txt"));
        if let Some(table) = table
            && !names.iter().any(|name| name == table)
        {
            return Err(Refusal::new(format!(
                "{} is of no table of the job; its tables are {}",
                folder.join(&*file).display(),
                names.join(", ")
            )));
        }
    }
    Ok(())
}

/// Runs one query and adds what it wrote. Whether it lived to its end.
fn rehearse(
    args: &Trial<'_>,
    job: &str,
    query: Query,
    tables: &mut BTreeMap<String, Written>,
    said: &mut String,
) -> Result<bool, Refusal> {
    let context = wiring::context(job, &query, false, String::new());
    let script = script(args, &query);
    let (name, output) = (query.name.clone(), query.output().name.clone());
    let dead = query.dead_letter_table().map(|table| table.name.clone());
    let (schema, ordered) = (query.schema().clone(), query.sorts());
    let mut files = Vec::new();
    for (place, input) in query.inputs() {
        let file = input_file(args.folder, &input.table().name)?;
        files.push((place, given::read(input, &file, &context, START)?));
    }
    for looking in query.statics() {
        let mut rows = Vec::new();
        for (number, input) in looking.inputs().enumerate() {
            let file = input_file(args.folder, &input.table().name)?;
            let wrong = |error: &RecordError| {
                Refusal::new(format!("`{}`: {}", input.table().name, error.reason))
            };
            for record in given::read(input, &file, &context, START)? {
                match record.body {
                    Body::Row(row) => rows.push((number, row)),
                    Body::Skipped(_) => {}
                    Body::Bad(error) => return Err(wrong(&error)),
                }
            }
        }
        let rows = rows.iter().map(|(number, row)| (*number, row));
        looking
            .fill(rows)
            .map_err(|error| Refusal::new(format!("`{}`: {}", looking.tables(), error.reason)))?;
    }
    let values = query.fill_values();
    values.map_err(|error| Refusal::new(format!("VALUES: {}", error.reason)))?;
    let wired = Wired::new(query, context.clone(), false);
    let parts = files
        .into_iter()
        .map(|(place, records)| Part {
            entries: wired.entries(place),
            role: wired.role(place),
            records,
        })
        .collect();
    let outcome = rehearsal::rehearse(&wired, script, parts)?;
    let lines = given::lines(&outcome.rows, &schema, &context)?;
    let written = tables.entry(output).or_default();
    written.lines.extend(lines);
    written.ordered |= ordered;
    if let Some(dead) = dead {
        let written = tables.entry(dead).or_default();
        written.lines.extend(outcome.dead.iter().cloned());
    }
    Ok(remark(&name, &outcome, said))
}

/// Says what the rows do not. Whether the query lived to its end.
fn remark(query: &str, outcome: &Outcome, said: &mut String) -> bool {
    let mut count = |count: u64, what: &str, became: &str| {
        if count > 0 {
            let (s, were) = if count == 1 {
                ("", "was")
            } else {
                ("s", "were")
            };
            let _ = writeln!(said, "  query {query}: {count} {what}{s} {were} {became}");
        }
    };
    count(outcome.late, "row", "late and dropped");
    count(outcome.skipped, "record", "bad and skipped");
    if let Some(failure) = &outcome.failure {
        let _ = writeln!(said, "  query {query} ended: {failure}");
    }
    outcome.failure.is_none()
}

fn script(args: &Trial<'_>, query: &Query) -> Script {
    let micros =
        |time: std::time::Duration| Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX / 4);
    Script {
        start: START,
        interval: query.interval().map(micros),
        one_batch: query.one_batch(),
        idle: micros(query.settings.idle_timeout),
        restarts: args.restarts,
        policy: match query.settings.on_error {
            OnError::Fail => Policy::Fail,
            OnError::Skip => Policy::Skip,
            OnError::DeadLetter => Policy::DeadLetter(dead_letter),
        },
    }
}

/// A dead letter as a test shows it: its value and why it is one.
fn dead_letter(record: &Record, error: &RecordError) -> String {
    let value = record.raw.as_ref().and_then(|raw| raw.value());
    serde_json::json!({
        "value": value.map(String::from_utf8_lossy),
        "errorClass": error.class.name(),
        "error": error.reason,
    })
    .to_string()
}

/// The file that stands in a table's place.
fn input_file(folder: &Path, table: &str) -> Result<PathBuf, Refusal> {
    let files: Vec<PathBuf> = ["jsonl", "txt"]
        .iter()
        .map(|kind| folder.join(format!("{table}.{kind}")))
        .filter(|file| file.exists())
        .collect();
    match files.as_slice() {
        [file] => Ok(file.clone()),
        [] => Err(Refusal::new(format!(
            "the job reads `{table}`, and {} holds no {table}.jsonl: an empty file stands for no records",
            folder.display()
        ))),
        _ => Err(Refusal::new(format!(
            "{} holds {table}.jsonl and {table}.txt; one of them can stand for `{table}`",
            folder.display()
        ))),
    }
}

/// Compares one table, or writes down what is expected of it. Whether all is well.
fn judge(
    args: &Trial<'_>,
    table: &str,
    written: Written,
    complete: bool,
    said: &mut String,
) -> Result<bool, Refusal> {
    let name = format!("{table}{EXPECTED}");
    let file = args.folder.join(&name);
    let count = written.lines.len();
    let rows = if count == 1 { "row" } else { "rows" };
    if args.update {
        if !complete {
            return Ok(false);
        }
        let text: String = written
            .lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        fs::write(&file, text).map_err(|error| {
            Refusal::new(format!("{} cannot be written: {error}", file.display()))
        })?;
        let _ = writeln!(said, "  {name}: {count} {rows} written");
        return Ok(true);
    }
    let text = fs::read_to_string(&file).map_err(|error| {
        Refusal::new(format!(
            "{} cannot be read: {error}. It holds the rows that are expected of `{table}`; --update writes it",
            file.display()
        ))
    })?;
    let expected = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            Line::read(index + 1, line).map_err(|why| {
                Refusal::new(format!("{}:{}: not JSON: {why}", file.display(), index + 1))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let came = written
        .lines
        .iter()
        .enumerate()
        .map(|(index, line)| Line::read(index + 1, line).map_err(Refusal::new))
        .collect::<Result<Vec<_>, _>>()?;
    let difference = Difference::of(expected, came, written.ordered);
    if difference.none() {
        let _ = writeln!(said, "  {name}: {count} {rows}, as expected");
        return Ok(true);
    }
    said.push_str(&difference.report(&name));
    Ok(false)
}
