//! `thalweg verify`: reads an output with coordinates and its input, and accounts for every record of the input.
//!
//! The ends of the input are asked first, then the output is read, then the input: whatever is written meanwhile is of later
//! records. Memory is a few bits for each record.

mod account;
mod expectation;
mod read_so_far;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

use thalweg_engine::error::Failure;
use thalweg_operators::coordinates::{Coordinates, ORIGIN, Origin};
use thalweg_operators::extensions::Extensions;
use thalweg_operators::kafka::{Found, Span, Survey};
use thalweg_operators::plan::Query;
use thalweg_operators::table::Table;

use crate::cli::{JobArgs, VerifyArgs};
use crate::console;
use crate::duration::grouped;
use crate::job_file::{self, Loaded};
use crate::refusal::{End, Refusal};
use crate::topics::{self, Bounds};

pub(crate) use account::Outputs;
use account::{Account, Counts, Expected, Fault};
use expectation::Expectation;

/// How many output records between two looks at the memory.
const LOOK_EVERY: u64 = 65_536;

/// `thalweg verify`.
///
/// # Errors
/// When the topics cannot be read, or something is wrong in the job or the command line.
pub(crate) fn verify(args: &VerifyArgs, extensions: &Arc<Extensions>) -> Result<End, Refusal> {
    let loaded = match &args.job {
        None => None,
        Some(job) => Some(job_file::load(
            &JobArgs {
                job: job.clone(),
                ..JobArgs::default()
            },
            false,
            extensions,
        )?),
    };
    let query = match &loaded {
        None => None,
        Some(loaded) => Some(topics::query(loaded, args.query.as_deref())?),
    };
    let subject = Subject::of(args, loaded.as_ref().zip(query))?;
    let input = Survey::open(&subject.input_table, subject.committed)?;
    let (from, until) = (
        Bounds::read("--from", &args.from)?,
        Bounds::read("--until", &args.until)?,
    );
    let mut partitions = Vec::new();
    for topic in &subject.inputs {
        partitions.push((topic.clone(), input.partitions(topic)?));
    }
    from.fit("--from", &partitions)?;
    until.fit("--until", &partitions)?;
    let mut spans = Vec::new();
    for topic in &subject.inputs {
        spans.extend(topics::spans(&input, topic, &from, &until)?);
    }
    if spans.is_empty() {
        return Err(Refusal::new(
            "no partition is named by both --from and --until: name the same ones, or leave one of both out",
        ));
    }
    let mut faults = Faults::new(args.limit);
    let mut say = |fault| faults.say(&fault);
    let mut account = Account::new(&spans, &mut say);
    let met = subject.outputs(args, &mut account)?;
    if met.records > 0 && met.bare == met.records {
        return Err(Refusal::new(format!(
            "nothing can be accounted for: none of the {} records of {} says which record it comes from (the header \
             {ORIGIN}). The job that writes them needs SET coordinates = on; of what it has written before, nothing can \
             be said",
            grouped(met.records),
            subject.output
        )));
    }
    let off = |query: &Query| query.coordinates() == Coordinates::Off;
    if met.others > 0 && met.bare + met.others == met.records && query.is_some_and(off) {
        return Err(Refusal::new(format!(
            "nothing can be accounted for: the job has no SET coordinates = on, and none of the {} records of {} is of its query",
            grouped(met.records),
            subject.output
        )));
    }
    subject.letters(&mut account)?;
    let mut exact = true;
    match (loaded.as_ref().zip(query), subject.place) {
        (Some((loaded, query)), Some(place)) => {
            let (job, otherwise) = (&loaded.name, args.expect);
            let mut expectation = Expectation::of(job, query, place, otherwise, extensions)?;
            exact = expectation.is_exact();
            for span in &spans {
                expectation.read(span, &mut |offset, should| {
                    account.record(&span.topic, span.partition, offset, should);
                })?;
            }
        }
        _ => {
            input.read(&spans, None, &mut |found| {
                let should = Expected::Outputs(args.expect);
                account.record(found.topic, found.partition, found.offset, should);
                ControlFlow::Continue(())
            })?;
        }
    }
    let mut read = query.map(read_so_far::positions).unwrap_or_default();
    read.retain(|partition, at| account.has_from(partition, *at));
    let counts = account.finish();
    faults.rest();
    console::text(&summary(
        &spans,
        &read,
        &counts,
        &met,
        subject.place.map(|_| exact),
    ));
    Ok(if counts.well() {
        End::Clean
    } else {
        End::Failed
    })
}

/// What is verified.
struct Subject {
    input_table: Table,
    inputs: Vec<String>,
    /// The place of the input in the job's plan.
    place: Option<usize>,
    /// Whether only committed records are input.
    committed: bool,
    output_table: Table,
    output: String,
    letters: Option<(Table, String)>,
    /// Job and query whose outputs count.
    names: Option<(String, String)>,
}

impl Subject {
    fn of(args: &VerifyArgs, job: Option<(&Loaded, &Query)>) -> Result<Self, Refusal> {
        let Some((loaded, query)) = job else {
            return Self::without_job(args);
        };
        let mut found = None;
        for (place, input) in query.inputs() {
            let topics = topics::subscribed(input.table());
            let wanted = args.input.as_ref();
            if wanted.is_none_or(|wanted| topics.contains(wanted)) {
                let more = found.replace((place, input.table(), topics));
                if more.is_some() {
                    return Err(Refusal::new(format!(
                        "the query {} has several inputs: say with --input which topic is meant",
                        query.name
                    )));
                }
            }
        }
        let Some((place, table, topics)) = found else {
            return Err(Refusal::new(format!(
                "the query {} reads no topic `{}` by its name",
                query.name,
                args.input.as_deref().unwrap_or_default()
            )));
        };
        let topic = |table: &Table| {
            let topic = table
                .options
                .get("topic")
                .map(|topic| topic.trim().to_owned());
            topic.filter(|_| table.connector == "kafka")
        };
        let output = args.output.clone().or_else(|| topic(query.output()));
        let letters = query.dead_letter_table();
        let letters = letters.and_then(|table| {
            let topic = args.dead_letters.clone().or_else(|| topic(table))?;
            Some((table.clone(), topic))
        });
        let isolation = table.options.get("kafka.isolation.level");
        Ok(Self {
            input_table: topics::connection_of(table),
            inputs: args.input.clone().map_or(topics, |topic| vec![topic]),
            place: Some(place),
            committed: isolation.is_none_or(|level| level.trim() != "read_uncommitted"),
            output_table: topics::connection_of(query.output()),
            output: output.ok_or_else(|| {
                Refusal::new(format!(
                    "the output of the query {} is no topic: give --output",
                    query.name
                ))
            })?,
            letters: letters.map(|(table, topic)| (topics::connection_of(&table), topic)),
            names: Some((loaded.name.clone(), query.name.clone())),
        })
    }

    fn without_job(args: &VerifyArgs) -> Result<Self, Refusal> {
        let table = topics::table(&args.brokers)?;
        let names = match args.query.as_deref() {
            None => None,
            Some(name) => {
                let split = name.split_once('/').ok_or_else(|| {
                    Refusal::new(format!("--query {name}: without --job write JOB/QUERY"))
                })?;
                Some((split.0.to_owned(), split.1.to_owned()))
            }
        };
        Ok(Self {
            input_table: table.clone(),
            inputs: args.input.iter().cloned().collect(),
            place: None,
            committed: true,
            output_table: table.clone(),
            output: args.output.clone().unwrap_or_default(),
            letters: args.dead_letters.clone().map(|topic| (table, topic)),
            names,
        })
    }

    /// Reads the output topic.
    fn outputs(&self, args: &VerifyArgs, account: &mut Account<'_>) -> Result<Met, Refusal> {
        // Rows of a job are in no transaction, and those of others are passed over.
        let survey = Survey::open(&self.output_table, false)?;
        let from = Bounds::read("--output-from", &args.output_from)?;
        let spans = topics::spans(&survey, &self.output, &from, &Bounds::default())?;
        let mut met = Met::default();
        let mut trouble = None;
        survey.read(&spans, None, &mut |found| {
            if met.look(self, found, account) && met.records.is_multiple_of(LOOK_EVERY) {
                trouble = account.is_too_large().then(|| {
                    Refusal::new(
                        "the account takes more memory than it may: look at a shorter stretch with --from and --until",
                    )
                });
            }
            if trouble.is_some() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        if met.queries.len() > 1 && self.names.is_none() {
            let names: Vec<String> = met.queries.iter().cloned().collect();
            return Err(Refusal::new(format!(
                "several queries have written outputs of this input to {}: say with --query which is meant: {}",
                self.output,
                names.join(", ")
            )));
        }
        Ok(met)
    }

    /// Reads the dead letters.
    fn letters(&self, account: &mut Account<'_>) -> Result<(), Failure> {
        let Some((table, topic)) = &self.letters else {
            return Ok(());
        };
        let survey = Survey::open(table, false)?;
        let bounds = Bounds::default();
        let spans = topics::spans(&survey, topic, &bounds, &bounds)?;
        survey.read(&spans, None, &mut |found| {
            let origin = found.header(c"thalweg-origin").and_then(Origin::read);
            if let Some(origin) = origin.filter(|origin| self.counts(origin))
                && let (Some(number), Some(at)) = (origin.number(), origin.coordinate())
            {
                account.dead_letter(origin.topic, number, at.offset);
            }
            ControlFlow::Continue(())
        })?;
        Ok(())
    }

    fn counts(&self, origin: &Origin<'_>) -> bool {
        let names = self.names.as_ref();
        names.is_none_or(|(job, query)| origin.is_of(job, query))
    }
}

/// What stands in the output beside the account.
#[derive(Default)]
struct Met {
    records: u64,
    /// Without a coordinate.
    bare: u64,
    /// Of other jobs or queries.
    others: u64,
    /// That no record alone has made.
    moments: u64,
    /// Of other inputs, by topic.
    elsewhere: BTreeMap<String, u64>,
    /// Who wrote outputs of this input.
    queries: BTreeSet<String>,
}

impl Met {
    /// Looks at one output record; whether it is of the account.
    fn look(&mut self, subject: &Subject, found: &Found<'_>, account: &mut Account<'_>) -> bool {
        self.records += 1;
        let Some(origin) = found.header(c"thalweg-origin").and_then(Origin::read) else {
            self.bare += 1;
            return false;
        };
        if !subject.counts(&origin) {
            self.others += 1;
            return false;
        }
        let (Some(number), Some(at)) = (origin.number(), origin.coordinate()) else {
            self.moments += 1;
            return false;
        };
        if !subject.inputs.iter().any(|topic| topic == origin.topic) {
            *self.elsewhere.entry(origin.topic.to_owned()).or_default() += 1;
            return false;
        }
        let stands = (found.topic, found.partition, found.offset);
        let ours = account.output(origin.topic, number, at, stands);
        if ours && subject.names.is_none() {
            self.queries
                .insert(format!("{}/{}", origin.job, origin.query));
        }
        ours
    }
}

/// Shows faults as they are found, up to a number.
struct Faults {
    left: u64,
    hidden: u64,
}

impl Faults {
    fn new(show: u64) -> Self {
        Self {
            left: show,
            hidden: 0,
        }
    }

    fn say(&mut self, fault: &Fault) {
        if self.left == 0 {
            self.hidden += 1;
            return;
        }
        self.left -= 1;
        console::line(&line(fault));
    }

    fn rest(&self) {
        if self.hidden > 0 {
            console::line(&format!("... and {} more", grouped(self.hidden)));
        }
    }
}

fn line(fault: &Fault) -> String {
    match fault {
        Fault::Missing { place, last } => match place.rsplit_once('@') {
            Some((_, first)) if *first != last.to_string() => {
                format!("missing       {place} to @{last}: no outputs and no dead letters")
            }
            _ => format!("missing       {place}: no output and no dead letter"),
        },
        Fault::Partly { place, outputs } => {
            format!("missing       {place}: its outputs {outputs}, while others are there")
        }
        Fault::Doubled { output, at } => format!("doubled       {output}: again at {at}"),
        Fault::OutOfPlace { output, at, behind } => {
            format!("out of place  {output}: at {at}, behind an output of @{behind}")
        }
        Fault::Unexpected { output, why } => format!("unexpected    {output}: {why}"),
    }
}

/// What was looked at and what came of it. `read` says where the newest checkpoint stands before records that were looked at.
fn summary(
    spans: &[Span],
    read: &BTreeMap<String, i64>,
    counts: &Counts,
    met: &Met,
    exact: Option<bool>,
) -> String {
    let mut out = String::new();
    for span in spans {
        let partition = format!("{}/{}", span.topic, span.partition);
        let yet = read.get(&partition).map_or_else(String::new, |at| {
            format!("; the newest checkpoint stands at {at}: the job has yet to read the rest")
        });
        let _ = writeln!(
            out,
            "{partition}: offsets {} to {}{yet}",
            span.from, span.until
        );
    }
    let mut count = |number: u64, what: &str| {
        let _ = writeln!(out, "{:>12}  {what}", grouped(number));
    };
    count(counts.records, "records of the input");
    count(counts.written, "with all their outputs");
    count(counts.dead, "dead letters");
    match exact {
        None => {}
        Some(_) => count(counts.filtered, "filtered"),
    }
    if counts.left_out > 0 {
        count(counts.left_out, "without an output, as --expect allows");
    }
    if counts.skipped > 0 {
        count(counts.skipped, "skipped because they fail");
    }
    count(counts.missing, "missing");
    count(counts.doubled, "outputs that stand twice");
    count(counts.out_of_place, "outputs out of place");
    count(counts.unexpected, "outputs that should not be there");
    if met.moments > 0 {
        count(
            met.moments,
            "outputs of no single record (windows, triggers), not looked at",
        );
    }
    if met.bare > 0 {
        count(
            met.bare,
            &format!("records of the output without {ORIGIN}, not looked at"),
        );
    }
    if met.others > 0 {
        count(
            met.others,
            "outputs of other jobs or queries, not looked at",
        );
    }
    for (topic, number) in &met.elsewhere {
        count(
            *number,
            &format!("outputs of records of {topic}, not looked at"),
        );
    }
    if exact == Some(false) {
        out.push_str("the query keeps rows: its steps say which records are filtered, and --expect how many outputs the others have (0..1 where rows of others decide)\n");
    }
    out.push_str(if counts.well() && counts.records == 0 {
        "the input holds no record there: nothing was to be accounted for\n"
    } else if counts.well() {
        "every record is accounted for\n"
    } else {
        "not every record is accounted for\n"
    });
    out
}
