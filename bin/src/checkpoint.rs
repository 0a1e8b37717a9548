//! `thalweg checkpoint`: moves a stopped query by writing a new epoch. Shows the effect first; deletes nothing.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use thalweg_engine::clock::now;
use thalweg_engine::epoch::checkpoint::{Checkpoint, PartitionCut};
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::record::Position;
use thalweg_engine::source::Start;
use thalweg_operators::connectors;
use thalweg_operators::extensions::Extensions;
use thalweg_operators::plan;
use thalweg_operators::table::{OpenContext, OptionValue, Options, Table};

use crate::at_rest;
use crate::cli::{JobArgs, RollbackArgs, SetArgs, StoreArgs};
use crate::console;
use crate::duration::{grouped, parse_time, time};
use crate::folder;
use crate::inspect::{connector, counts_records, sorted, word};
use crate::job_file;
use crate::place::{self, Place};
use crate::refusal::{End, Refusal};
use crate::wiring;

/// Spark's options for a start at a time, and for partitions that have no record so late.
const BY_TIME: &str = "startingTimestamp";
const IF_NONE: &str = "startingOffsetsByTimestampStrategy";

/// `thalweg checkpoint set`.
///
/// # Errors
/// When the folder is in use or damaged, a partition is not there or not where it must be, or nobody confirms.
pub(crate) fn set(args: &SetArgs, extensions: &Arc<Extensions>) -> Result<End, Refusal> {
    let log = lock(&args.folder, &args.store, args.sure.stopped)?;
    let old = log.newest()?.ok_or_else(|| nothing(&log))?;
    let mut new = old.clone();
    for (partition, offset) in &args.to_offset {
        let offset = number(offset, &format!("--to-offset {partition}={offset}"))?;
        move_to(&mut new, partition, offset)?;
    }
    for place in &args.skip {
        skip(&mut new, place, args, extensions)?;
    }
    if let (Some(time), Some(job)) = (&args.to_time, &args.job) {
        to_time(&mut new, time, job, extensions)?;
    }
    new.run = "checkpoint-set".to_owned();
    write(&log, Some(&old), new, old.epoch, args.sure.yes)
}

/// `thalweg checkpoint rollback`.
///
/// # Errors
/// When the folder is in use, the epoch is not there, it or its state is damaged, or nobody confirms.
pub(crate) fn rollback(args: &RollbackArgs) -> Result<End, Refusal> {
    let log = lock(&args.folder, &args.store, args.sure.stopped)?;
    let kept = log.list()?;
    let Some(newest) = kept.last() else {
        return Err(nothing(&log));
    };
    if !kept.iter().any(|kept| kept.epoch == args.epoch) {
        let epochs: Vec<String> = kept.iter().map(|kept| kept.epoch.to_string()).collect();
        return Err(Refusal::new(format!(
            "epoch {} is not kept in {}. Kept are {}.",
            args.epoch,
            log.location(),
            epochs.join(", ")
        )));
    }
    // The newest may be damaged or deleted: that is what going back is for. Its number is not given twice.
    let last = log.store().noted().unwrap_or(0).max(newest.epoch);
    let old = log.newest().ok().flatten();
    let mut new = log.read(args.epoch)?;
    // An epoch that shares a damaged object with the newest would be no way out.
    log.verify_state(&new)?;
    new.run = "checkpoint-rollback".to_owned();
    write(&log, old.as_ref(), new, last, args.sure.yes)
}

/// Opens the place of one stopped query, or of one of its lanes, that is there. A folder of one process is locked; elsewhere
/// whether the job stands still is seen by its epochs.
fn lock(folder: &Path, store: &StoreArgs, stopped: bool) -> Result<Arc<CheckpointLog>, Refusal> {
    let place = Place::at(folder, &place::options(&store.option)?)?;
    let place = folder::one_query(&place)?;
    let log = folder::stopped(&place, false)?;
    if !stopped {
        at_rest::wait(&log)?;
    }
    Ok(log)
}

fn nothing(log: &CheckpointLog) -> Refusal {
    Refusal::new(format!(
        "nothing is committed in {}: there is no epoch to start from",
        log.location()
    ))
}

fn number(text: &str, what: &str) -> Result<i64, Refusal> {
    text.trim()
        .parse()
        .ok()
        .filter(|number| *number >= 0)
        .ok_or_else(|| Refusal::new(format!("{what}: write a whole number from 0, not `{text}`")))
}

/// What a partition stands at, to be changed.
fn cut<'c>(
    checkpoint: &'c mut Checkpoint,
    partition: &str,
) -> Result<&'c mut PartitionCut, Refusal> {
    let known: Vec<String> = sorted(checkpoint)
        .iter()
        .map(|cut| cut.partition.to_string())
        .collect();
    let mut found = checkpoint
        .lanes
        .iter_mut()
        .flat_map(|lane| &mut lane.partitions)
        .filter(|cut| cut.partition == partition);
    match (found.next(), found.next()) {
        (Some(cut), None) => Ok(cut),
        (Some(_), Some(_)) => Err(Refusal::new(format!(
            "several inputs of the query have a partition `{partition}`: it is not clear which is meant"
        ))),
        (None, _) => Err(Refusal::new(format!(
            "the query reads no partition `{partition}`. It reads {}.",
            known.join(", ")
        ))),
    }
}

fn move_to(checkpoint: &mut Checkpoint, partition: &str, offset: i64) -> Result<(), Refusal> {
    let cut = cut(checkpoint, partition)?;
    match cut.position {
        Position::Number(_) => {
            cut.position = Position::Number(offset);
            cut.ended = false;
            Ok(())
        }
        Position::Token(_) | Position::Row(..) => Err(Refusal::new(format!(
            "`{partition}` does not count its positions with numbers, so it cannot be moved to one"
        ))),
    }
}

/// Steps over the record that the partition stands at.
fn skip(
    checkpoint: &mut Checkpoint,
    place: &str,
    args: &SetArgs,
    extensions: &Extensions,
) -> Result<(), Refusal> {
    let (partition, at) = place.split_once('@').ok_or_else(|| {
        Refusal::new(format!(
            "--skip {place}: write PARTITION@N, such as invoices/3@310"
        ))
    })?;
    let cut = cut(checkpoint, partition)?;
    let (stands, input) = (cut.position.clone(), cut.input.clone());
    let record = match &stands {
        Position::Token(_) | Position::Row(..) => Position::Token(at.into()),
        Position::Number(_) => Position::Number(number(at, &format!("--skip {place}"))?),
    };
    let connectors = extensions.all_connectors();
    let known = connectors
        .iter()
        .find(|known| known.name == connector(checkpoint, &input))
        .and_then(|known| known.input);
    let behind = known.and_then(|known| (known.behind)(&record));
    if stands != record {
        let further = match (&behind, &stands) {
            (Some(Position::Number(behind)), Position::Number(_)) => format!(
                ". If all between is done or may be lost: thalweg checkpoint set {} --to-offset {partition}={behind}",
                args.folder.display()
            ),
            _ => String::new(),
        };
        return Err(Refusal::new(format!(
            "`{partition}` stands at {stands}, not at {at}, so the record {place} is not the next one{further}"
        )));
    }
    let Some(behind) = behind else {
        return Err(Refusal::new(format!(
            "where the record behind {place} begins is not known: the positions of `{partition}` do not tell. To step over a \
             record that fails, run the job with --set onError=skip until it is past it, and then without"
        )));
    };
    self::cut(checkpoint, partition)?.position = behind;
    Ok(())
}

/// Moves every partition to its first record at or after a time, as the system behind it says; to its end where there
/// is none.
fn to_time(
    checkpoint: &mut Checkpoint,
    time: &str,
    job: &Path,
    extensions: &Arc<Extensions>,
) -> Result<(), Refusal> {
    let millis = parse_time(time).ok_or_else(|| {
        Refusal::new(format!(
            "--to-time {time}: write a time such as 2026-01-31T12:00:00Z, or milliseconds since 1970"
        ))
    })?;
    let loaded = job_file::load(
        &JobArgs {
            job: job.to_owned(),
            ..JobArgs::default()
        },
        false,
        extensions,
    )?;
    let (wanted, file) = (&checkpoint.query, &loaded.file);
    let queries = &loaded.job.queries;
    let query = queries
        .iter()
        .find(|query| query.name == *wanted)
        .ok_or_else(|| {
            let names: Vec<&str> = queries.iter().map(|query| query.name.as_str()).collect();
            Refusal::new(format!(
                "these are checkpoints of the query `{wanted}`, and {file} has {}",
                names.join(", ")
            ))
        })?;
    plan::compare(&checkpoint.plan, &query.identity())
        .map_err(|why| Refusal::new(format!("{file} does not fit the checkpoints: {why}")))?;
    let context = OpenContext {
        temporary: true,
        ..wiring::context(&loaded.name, query, false, String::new())
    };
    for (place, input) in query.inputs() {
        let name = query.steps[place].name.as_str();
        let starts = starts_at(extensions, input.table(), input.wanted(), millis, &context)?;
        for cut in checkpoint
            .lanes
            .iter_mut()
            .flat_map(|lane| &mut lane.partitions)
        {
            if cut.input == name
                && let Some(start) = starts.iter().find(|start| start.partition == cut.partition)
            {
                cut.position = start.position.clone();
            }
        }
    }
    Ok(())
}

/// Where a first start at this time would begin to read a table.
fn starts_at(
    extensions: &Extensions,
    table: &Table,
    wanted: &[usize],
    millis: i64,
    context: &OpenContext,
) -> Result<Vec<Start>, Refusal> {
    let known = extensions.all_connectors();
    let connector =
        connectors::find(&known, table, table.at).map_err(|error| Refusal::new(error.message))?;
    let by_time = connector
        .input
        .filter(|input| input.options.iter().any(|option| option.name == BY_TIME));
    let Some(input) = by_time else {
        return Err(Refusal::new(format!(
            "the table `{}` is {}, which cannot be read from a time",
            table.name, table.connector
        )));
    };
    let mut options: Vec<OptionValue> = table
        .options
        .iter()
        .filter(|option| !option.name.to_ascii_lowercase().starts_with("starting"))
        .cloned()
        .collect();
    for (name, value) in [
        (BY_TIME, millis.to_string()),
        (IF_NONE, "latest".to_owned()),
    ] {
        options.push(OptionValue {
            name: name.to_owned(),
            value,
            substituted: false,
            at: table.at,
        });
    }
    let table = Table {
        options: Options::new(options),
        ..table.clone()
    };
    let source = (input.open)(&table, wanted, context)?;
    let starts = source.resolve(None);
    source.close();
    Ok(starts?)
}

/// Shows what changes against the newest checkpoint, asks, and writes the new epoch behind `last`.
fn write(
    log: &CheckpointLog,
    old: Option<&Checkpoint>,
    mut new: Checkpoint,
    last: u64,
    yes: bool,
) -> Result<End, Refusal> {
    let content = new.epoch;
    new.epoch = last.saturating_add(1);
    new.rewound = true;
    new.interval = None;
    console::text(&effect(old, &new, content));
    if !confirmed(yes, &format!("Write epoch {}?", new.epoch))? {
        return Ok(End::Refused);
    }
    // Whoever was asked may have taken his time.
    at_rest::unchanged(log, last)?;
    new.committed_at = now();
    log.commit(&new).map_err(|error| {
        Refusal::new(format!(
            "the new epoch cannot be written to {}: {error}. The query still stands where it stood.",
            log.location()
        ))
    })?;
    if !log.store().locked() {
        or_take_back(log, old, &new)?;
    }
    console::line(&format!(
        "Epoch {} is written. The next start goes on from there.",
        new.epoch
    ));
    Ok(End::Clean)
}

/// Whether whoever is there says yes, or has said it before.
///
/// # Errors
/// When nobody can be asked.
pub(crate) fn confirmed(yes: bool, question: &str) -> Result<bool, Refusal> {
    if yes {
        return Ok(true);
    }
    match console::confirm(question) {
        Some(true) => Ok(true),
        Some(false) => {
            console::line("Nothing was changed.");
            Ok(false)
        }
        None => Err(Refusal::new(
            "nobody can be asked, because stdin is not a terminal: add --yes to write it. Nothing was changed.",
        )),
    }
}

/// Where nothing is locked, a job that ran unseen may have removed what the new epoch names while it was written. Then an
/// epoch behind it says again what the newest one said before: that one is kept whole.
fn or_take_back(
    log: &CheckpointLog,
    old: Option<&Checkpoint>,
    new: &Checkpoint,
) -> Result<(), Refusal> {
    let Err(missing) = log.verify_state(new) else {
        return Ok(());
    };
    let Some(old) = old else {
        return Err(missing.into());
    };
    let back = Checkpoint {
        epoch: new.epoch.saturating_add(1),
        committed_at: now(),
        run: new.run.clone(),
        rewound: true,
        interval: None,
        ..old.clone()
    };
    let said = match log.commit(&back) {
        Ok(_) => format!(
            "epoch {} says again what epoch {} said",
            back.epoch, old.epoch
        ),
        Err(error) => format!("going back to epoch {} failed too: {error}", old.epoch),
    };
    Err(Refusal::new(format!(
        "the job runs, and has removed state of the epoch that was gone back to: {}; {said}. Stop the job first, then do this \
         again.",
        missing.message
    )))
}

fn effect(old: Option<&Checkpoint>, new: &Checkpoint, content: u64) -> String {
    let mut out = format!("job {}, query {}\n", new.job, new.query);
    let from = old.map_or_else(
        || "the newest epoch cannot be read".to_owned(),
        |old| format!("epoch {}", old.epoch),
    );
    let _ = write!(out, "{from} → new epoch {}", new.epoch);
    let moved = old.is_some_and(|old| old.epoch == content);
    if !moved {
        let committed = time(new.committed_at);
        let _ = write!(
            out,
            " with what epoch {content} said (committed {committed})"
        );
    }
    out.push('\n');
    let same =
        |a: &PartitionCut, b: &PartitionCut| a.input == b.input && a.partition == b.partition;
    for cut in sorted(new) {
        let (name, what, is) = (&cut.partition, word(new, &cut.input), &cut.position);
        let before = old.and_then(|old| old.partitions().find(|other| same(other, cut)));
        let line = match before.map(|before| &before.position) {
            None if old.is_none() => format!("{name}: {what} {is}"),
            None => format!("{name}: {what} {is} (it was not read before)"),
            Some(was) if was == is => format!("{name}: stays at {what} {was}"),
            Some(was) if !counts_records(new, &cut.input) => {
                format!("{name}: {what} {was} → {is}")
            }
            Some(was) => format!("{name}: {what} {was} → {is}{}", difference(was, is)),
        };
        let _ = writeln!(out, "  {line}");
    }
    for cut in old.map(sorted).unwrap_or_default() {
        if !new.partitions().any(|other| same(other, cut)) {
            let name = &cut.partition;
            let _ = writeln!(
                out,
                "  {name}: found after epoch {content}, will be read from its beginning"
            );
        }
    }
    if moved && new.state().next().is_some() {
        out.push_str(
            "  The state of the query stays as it is: what is read again is counted again.\n",
        );
    }
    out
}

/// What moving a position does to its records, where positions are numbers.
fn difference(was: &Position, is: &Position) -> String {
    let (Position::Number(was), Position::Number(is)) = (was, is) else {
        return String::new();
    };
    let records = |count: u64| {
        if count == 1 {
            "1 record".to_owned()
        } else {
            format!("up to {} records", grouped(count))
        }
    };
    if is < was {
        format!(", {} processed again", records(was.abs_diff(*is)))
    } else {
        format!(", {} skipped", records(was.abs_diff(*is)))
    }
}
