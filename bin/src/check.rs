//! `thalweg check`: what a job reads, does and writes, without running it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use thalweg_engine::error::Failure;
use thalweg_engine::plan::finds_state;
use thalweg_operators::connect::{self, Reach};
use thalweg_operators::coordinates::Coordinates;
use thalweg_operators::extensions::Extensions;
use thalweg_operators::plan::{self, Changes, Load, Looking, Query};
use thalweg_operators::table::{OpenContext, Options, Table};

use crate::cli::CheckArgs;
use crate::console;
use crate::duration::{bytes, grouped};
use crate::folder;
use crate::job_file::{self, Loaded};
use crate::models;
use crate::place::Place;
use crate::refusal::{End, Refusal};
use crate::telemetry;
use crate::topics;
use crate::wiring::{self, Wired};

/// `thalweg check`.
///
/// # Errors
/// For what is wrong in the job file.
pub(crate) fn check(args: &CheckArgs, extensions: &Arc<Extensions>) -> Result<End, Refusal> {
    let loaded = job_file::load(&args.job, !args.connect, extensions)?;
    console::text(&report(&loaded));
    if !models::try_out(&loaded) {
        return Ok(End::Refused);
    }
    if let (Some(keys), Some(rate)) = (args.keys, args.rate) {
        console::text(&memory(&loaded, Load { keys, rate })?);
    }
    if args.connect && !reachable(&loaded) {
        return Ok(End::Refused);
    }
    if let Some(place) = &args.against
        && !goes_on(loaded, place, args.accept_new_state)?
    {
        return Ok(End::Refused);
    }
    Ok(End::Clean)
}

/// Shows what becomes of the state in checkpoints when the job goes on from them; false when a query would be refused.
fn goes_on(loaded: Loaded, place: &Path, accept_new_state: bool) -> Result<bool, Refusal> {
    let mut good = true;
    let mut out = String::new();
    let mut unused: Vec<String> = Vec::new();
    let mut found: BTreeSet<String> = BTreeSet::new();
    let options = loaded.job.queries.first();
    let options = options.map(|query| query.settings.checkpoint_options.clone());
    let place = Place::at(place, &options.unwrap_or_default())?;
    let wired: Vec<Wired> = loaded
        .job
        .queries
        .into_iter()
        .map(|query| {
            let context = wiring::context(&loaded.name, &query, false, String::new());
            Wired::new(query, context, false)
        })
        .collect();
    // Of a place that is one query's, the others of the job are not told.
    let all = !folder::is_of_one_query(&place.places()?);
    for place in folder::queries(&place)? {
        let newest = place.look().newest()?;
        let Some(checkpoint) = newest else {
            continue;
        };
        let wired = wired
            .iter()
            .find(|wired| wired.query().name == checkpoint.query);
        let Some(wired) = wired else {
            unused.push(format!(
                "`{}` of the job `{}`",
                checkpoint.query, checkpoint.job
            ));
            continue;
        };
        let query = wired.query();
        let first = found.insert(query.name.clone());
        if checkpoint.job != loaded.name {
            good = false;
            // A query that is shared has many.
            if first {
                let _ = writeln!(
                    out,
                    "query {}\n  refused: these checkpoints are of the job `{other}`, and this is the job `{}`: SET jobName = \
                     '{other}', or another checkpointLocation",
                    query.name,
                    loaded.name,
                    other = checkpoint.job
                );
            }
            continue;
        }
        let _ = writeln!(out, "query {} from epoch {}", query.name, checkpoint.epoch);
        let new = query.noted();
        let ends = plan::compare_ends(&checkpoint.plan, &new);
        let changes = Changes::of(&checkpoint.plan, &new);
        let _ = match &ends {
            Ok(()) => writeln!(out, "  inputs and output: kept"),
            Err(why) => writeln!(out, "  inputs and output: refused: {why}"),
        };
        let warms_up = query.settings.warm_up.is_some() && !changes.lacking().is_empty();
        for line in changes.shown(warms_up && changes.build().is_ok()).lines() {
            let _ = writeln!(out, "  {line}");
        }
        let goes_on = if warms_up {
            changes.build()
        } else {
            changes.accept(accept_new_state)
        };
        let state = finds_state(wired, &checkpoint);
        if let Err(why) = &state {
            let _ = writeln!(
                out,
                "  refused: {why}: take back what was changed, PARTITIONED BY or the step that keeps it, or begin anew"
            );
        }
        good &= ends.is_ok() && goes_on.is_ok() && state.is_ok();
        // What cannot go on at all is told of its step.
        if let Err(why) = &goes_on
            && (warms_up || changes.accept(true).is_ok())
        {
            let _ = writeln!(out, "  refused: {why}");
        }
    }
    let anew = wired
        .iter()
        .map(Wired::query)
        .filter(|query| all && !query.temporary && !found.contains(&query.name));
    for query in anew {
        let _ = writeln!(
            out,
            "query {}: no checkpoint, it begins anew where its inputs say",
            query.name
        );
    }
    for query in unused {
        let _ = writeln!(out, "not in this job: the query {query}");
    }
    console::text(&out);
    Ok(good)
}

/// How much memory the steps with state take.
fn memory(loaded: &Loaded, load: Load) -> Result<String, Refusal> {
    let keys = if load.keys == 1 { "key" } else { "keys" };
    let rows = if load.rate == 1 { "row" } else { "rows" };
    let (many, rate) = (grouped(load.keys), grouped(load.rate));
    let mut out = format!("\nmemory with {many} {keys} and {rate} {rows} a second\n");
    let mut sum = 0;
    for query in &loaded.job.queries {
        for step in query.footprint(load).map_err(Refusal::new)? {
            sum += step.bytes;
            let each = step.bytes.checked_div(step.keys).unwrap_or(0);
            let _ = writeln!(
                out,
                "  {}, {}: {}, {} bytes for each of {}",
                query.name,
                step.step,
                bytes(step.bytes),
                grouped(each),
                grouped(step.keys)
            );
            for note in step.notes {
                let _ = writeln!(out, "    {note}");
            }
        }
    }
    let _ = writeln!(out, "  in all {}", bytes(sum));
    out.push_str(
        "  as the steps themselves count over a sample of made-up rows: keys in turn, texts of 16 bytes, another value in each row\n",
    );
    Ok(out)
}

/// A table to ask about.
struct Question<'a> {
    table: &'a Table,
    does: Does,
    context: OpenContext,
}

/// What the table is to a query.
#[derive(PartialEq, Eq)]
enum Does {
    Read,
    Written,
    /// Its rows go through this topic.
    Exchanged(String),
}

impl Question<'_> {
    fn shown(&self) -> String {
        let does = match self.does {
            Does::Read => "read",
            Does::Written => "written",
            Does::Exchanged(_) => "exchanged",
        };
        format!("{} ({does})", self.table.name)
    }

    fn ask(&self) -> Answer {
        match &self.does {
            Does::Read => connect::ask(self.table, true, &self.context),
            Does::Written => connect::ask(self.table, false, &self.context),
            Does::Exchanged(topic) => connect::ask_exchange(self.table, topic).map(Some),
        }
    }
}

type Answer = Result<Option<Reach>, Failure>;
type Ask<'a> = Box<dyn Fn() -> Answer + Send + Sync + 'a>;

/// Every table that is used, once as an input and once as an output, and the exchange topics.
fn questions(loaded: &Loaded) -> Vec<Question<'_>> {
    let mut questions: Vec<Question<'_>> = Vec::new();
    for query in &loaded.job.queries {
        let context = wiring::context(&loaded.name, query, false, String::new());
        let inputs = query
            .inputs()
            .filter(|(_, input)| input.replaced().is_none())
            .map(|(_, input)| (input.table(), Does::Read));
        let outputs = std::iter::once(query.output()).chain(query.dead_letter_table());
        let outputs = outputs.map(|table| (table, Does::Written));
        let topics = query.exchange_topics(&loaded.name).into_iter();
        let topics = topics.map(|(topic, table)| (table, Does::Exchanged(topic)));
        for (table, does) in inputs.chain(outputs).chain(topics) {
            let asked = questions
                .iter()
                .any(|known| known.table.name == table.name && known.does == does);
            if !asked {
                questions.push(Question {
                    table,
                    does,
                    context: OpenContext {
                        // Dead letters are not read at a start.
                        coordinates: if table.name == query.output().name {
                            context.coordinates
                        } else {
                            Coordinates::Off
                        },
                        ..context.clone()
                    },
                });
            }
        }
    }
    questions
}

/// Asks the object store that keeps the checkpoints of a query; None where they lie on this machine.
fn ask_checkpoints(query: &Query) -> Answer {
    let settings = &query.settings;
    let location = settings.checkpoint_location.as_deref();
    let Some(location) = location.filter(|_| !query.temporary) else {
        return Ok(None);
    };
    let place = Place::at(Path::new(location), &settings.checkpoint_options)
        .map_err(|refusal| Failure::refuse(refusal.message()))?;
    match place.join(&query.name) {
        Place::Folder(_) => Ok(None),
        Place::Remote(place) => place.reach().map(Some),
    }
}

/// Asks the systems behind all tables that are used, and those that keep checkpoints, and shows what they say. All at once: a
/// system that does not answer takes its time, and the whole must not take as many times that.
fn reachable(loaded: &Loaded) -> bool {
    let tables = questions(loaded);
    let tables = tables.iter().map(|question| {
        let ask: Ask<'_> = Box::new(|| question.ask());
        (question.shown(), ask)
    });
    let checkpoints = loaded.job.queries.iter().map(|query| {
        let ask: Ask<'_> = Box::new(|| ask_checkpoints(query));
        (format!("checkpoints of {}", query.name), ask)
    });
    let questions: Vec<(String, Ask<'_>)> = tables.chain(checkpoints).collect();
    let answers: Vec<Answer> = thread::scope(|scope| {
        let asked: Vec<_> = questions.iter().map(|(_, ask)| scope.spawn(ask)).collect();
        let lost = || Err(Failure::end("the question panicked: a bug"));
        asked
            .into_iter()
            .map(|asked| asked.join().unwrap_or_else(|_| lost()))
            .collect()
    });
    console::line("\nconnections");
    let (mut well, mut answered) = (true, false);
    for ((shown, _), answer) in questions.iter().zip(answers) {
        let reach = answer.unwrap_or_else(|failure| {
            Some(Reach {
                missing: vec![failure.message],
                ..Reach::default()
            })
        });
        let Some(reach) = reach else { continue };
        answered = true;
        for line in reach.found {
            console::line(&format!("  {shown}: {line}"));
        }
        for line in reach.missing {
            well = false;
            telemetry::fatal(&format!("{shown}: {line}"));
        }
    }
    if !answered {
        console::line(
            "  nothing to ask: no table has a system behind it that can be, and checkpoints lie on this machine",
        );
    }
    well
}

/// What a job reads, does and writes, as text.
pub(crate) fn report(loaded: &Loaded) -> String {
    let queries = &loaded.job.queries;
    let count = queries.len();
    let mut out = format!(
        "job {} ({}), {count} {}\n",
        loaded.name,
        loaded.file,
        if count == 1 { "query" } else { "queries" }
    );
    for model in &loaded.job.models {
        let _ = writeln!(out, "\nmodel {} (line {})", model.name(), model.at().line);
        for line in model.described() {
            let _ = writeln!(out, "  {line}");
        }
    }
    for query in queries {
        describe(&loaded.name, query, queries, &mut out);
    }
    out
}

fn describe(job: &str, query: &Query, all: &[Query], out: &mut String) {
    let line = match query.at.line {
        0 => String::new(),
        line => format!(" (line {line})"),
    };
    let _ = writeln!(out, "\nquery {}{line}", query.name);
    let _ = writeln!(out, "  inputs");
    for (_, input) in query.inputs() {
        match input.replaced() {
            _ if input.is_own() => {
                let _ = writeln!(out, "    {} in memory", input.table().name);
            }
            None => table(input.table(), out),
            Some(file) => {
                let _ = writeln!(out, "    {} from JSON lines of {file}", input.table().name);
            }
        }
    }
    for input in query.statics().into_iter().flat_map(Looking::inputs) {
        table(input.table(), out);
    }
    let _ = writeln!(out, "  plan");
    for line in query.fmt_tree().lines() {
        let _ = writeln!(out, "    {line}");
    }
    let statics = query.statics().into_iter();
    for looking in statics.filter(|looking| looking.compares_all()) {
        let _ = writeln!(
            out,
            "  cost\n    each row is compared with every row of {}: an equality of columns of both would find those that fit by key",
            looking.tables()
        );
    }
    for warning in topics::beware(job, query, all) {
        let _ = writeln!(out, "  beware\n    {warning}");
    }
    let _ = writeln!(out, "  output");
    table(query.output(), out);
    for line in query.files() {
        let _ = writeln!(out, "      {line}");
    }
    if let Some(dead) = query.dead_letter_table() {
        let _ = writeln!(out, "  dead letters");
        table(dead, out);
    }
    let topics = query.exchange_topics(job).into_iter();
    let topics: Vec<String> = topics.map(|(topic, _)| topic).collect();
    let lanes = match topics.as_slice() {
        [topic] => format!(
            "one lane for each partition up to the exchange, then one for each partition of the topic {topic}"
        ),
        [_, _, ..] => format!(
            "one lane for each partition up to the exchange, then one for each number of a partition of the topics {}",
            topics.join(", ")
        ),
        [] if query.gather() => match query.gathers_because() {
            None => "one lane reads all partitions".to_owned(),
            Some(why) => format!("one lane reads all partitions, because {why}"),
        },
        [] if query.by_number() => {
            "one lane for each number of a partition, which reads that partition of every input"
                .to_owned()
        }
        [] => "one lane for each partition".to_owned(),
    };
    let _ = writeln!(out, "  lanes\n    {lanes}");
    let skips = match (query.coordinates(), query.repeats_because()) {
        (Coordinates::Off, _) => None,
        (_, None) => {
            Some("a start does not write again what stands in the output already".to_owned())
        }
        (_, Some(why)) => Some(format!(
            "a start writes again what came after the newest checkpoint, because {why}"
        )),
    };
    if let Some(skips) = skips {
        let _ = writeln!(out, "  coordinates\n    written; {skips}");
    }
    let checkpoints = match &query.settings.checkpoint_location {
        Some(location) if !query.temporary => format!("{location}/{}", query.name),
        _ => "a temporary folder".to_owned(),
    };
    let _ = writeln!(out, "  checkpoints\n    {checkpoints}");
    let _ = writeln!(out, "  settings");
    for entry in &query.settings.in_force {
        if entry.value.is_empty() {
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
