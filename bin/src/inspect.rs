//! `thalweg inspect`: the checkpoints there are and what a restart would do. Never locks or changes anything.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use thalweg_engine::clock::now;
use thalweg_engine::counted::counted;
use thalweg_engine::epoch::checkpoint::{Checkpoint, FORMAT, PartitionCut};
use thalweg_engine::epoch::checkpoint_log::{CheckpointLog, Kept};
use thalweg_engine::error::Failure;
use thalweg_engine::record::Position;
use thalweg_operators::connectors::CONNECTORS;

use crate::cli::InspectArgs;
use crate::console;
use crate::dump;
use crate::duration::{ago, bytes, time};
use crate::folder;
use crate::place::{self, Place};
use crate::refusal::{End, Refusal};

/// `thalweg inspect`. Ends with 1 when a query could not be started from what lies there.
///
/// # Errors
/// When there is nothing to inspect.
pub(crate) fn inspect(args: &InspectArgs) -> Result<End, Refusal> {
    let place = Place::at(&args.folder, &place::options(&args.store.option)?)?;
    if args.dump {
        return dump::dump(&place, &args.step);
    }
    let mut queries = Vec::new();
    for folder in folder::queries(&place)? {
        queries.push(look(&folder)?);
    }
    if args.json {
        let text = serde_json::to_string_pretty(&queries)
            .map_err(|error| Refusal::new(format!("the report has no JSON form: {error}")))?;
        console::line(&text);
    } else {
        let texts: Vec<String> = queries.iter().map(text).collect();
        console::text(&texts.join("\n"));
    }
    let startable = queries.iter().all(|query| query.trouble.is_none());
    Ok(if startable { End::Clean } else { End::Failed })
}

/// What lies in the folder of one query.
#[derive(Serialize)]
struct Report {
    folder: String,
    /// The process that has it.
    in_use_by: Option<u32>,
    newest: Option<Newest>,
    /// Why a start would be refused.
    trouble: Option<String>,
    /// Kept epochs, oldest first.
    epochs: Vec<EpochReport>,
    state_objects: usize,
    state_bytes: u64,
}

#[derive(Serialize)]
struct Newest {
    job: String,
    query: String,
    checkpoint: String,
    run: String,
    epoch: u64,
    committed_at: String,
    age_seconds: i64,
    rewound: bool,
    /// The format that it is written in.
    format: u32,
    /// What its steps keep, in all lanes together.
    state: Vec<StepReport>,
    /// The partition with the lowest watermark, where others are further.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_back_by: Option<String>,
    /// Where a restart goes on.
    partitions: Vec<PartitionReport>,
}

#[derive(Serialize)]
struct StepReport {
    step: String,
    objects: usize,
    bytes: u64,
}

#[derive(Serialize)]
struct PartitionReport {
    input: String,
    partition: String,
    position: Position,
    #[serde(skip_serializing_if = "Option::is_none")]
    watermark: Option<String>,
    ended: bool,
    /// What its source calls a position.
    #[serde(skip)]
    word: &'static str,
}

#[derive(Serialize)]
struct EpochReport {
    epoch: u64,
    bytes: u64,
    written_at: String,
    #[serde(skip)]
    age: i64,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
}

fn look(place: &Place) -> Result<Report, Refusal> {
    let log = place.look();
    let now = now();
    // Epochs first: what a job that runs beside removes from now on, it removes from both.
    let kept = log.list()?;
    let objects = log.store().list("state").unwrap_or_default();
    let state: BTreeMap<String, u64> = objects
        .into_iter()
        .map(|entry| (entry.name, entry.size))
        .collect();
    let (newest, trouble) = match newest_whole(&log) {
        Ok((newest, trouble)) => (newest, trouble),
        Err(trouble) => (None, Some(trouble)),
    };
    let epochs = kept
        .iter()
        .map(|kept| EpochReport {
            epoch: kept.epoch,
            bytes: kept.size,
            written_at: time(kept.at),
            age: now - kept.at,
            damage: damage(&log, kept, &state),
        })
        .collect();
    Ok(Report {
        folder: place.shown(),
        in_use_by: folder::in_use(place),
        newest: newest.map(|checkpoint| describe(&checkpoint, now)),
        trouble,
        epochs,
        state_objects: state.len(),
        state_bytes: state.values().sum(),
    })
}

/// The newest checkpoint. A job that runs beside may remove an old epoch or commit a new one between two looks.
pub(crate) fn newest(log: &CheckpointLog) -> Result<Option<Checkpoint>, String> {
    let mut last = String::new();
    for _ in 0..3 {
        match log.newest() {
            Ok(newest) => return Ok(newest),
            Err(failure) => last = failure.message,
        }
    }
    Err(last)
}

/// The newest checkpoint, and what is wrong with its state. A job that runs beside may remove objects between two looks.
fn newest_whole(log: &CheckpointLog) -> Result<(Option<Checkpoint>, Option<String>), String> {
    let mut looked = 0;
    loop {
        let Some(checkpoint) = newest(log)? else {
            return Ok((None, None));
        };
        looked += 1;
        let Err(failure) = log.verify_state(&checkpoint) else {
            return Ok((Some(checkpoint), None));
        };
        let still = newest(log)?.is_some_and(|newest| newest.epoch == checkpoint.epoch);
        if still || looked == 5 {
            return Ok((Some(checkpoint), Some(failure.message)));
        }
    }
}

/// Why a kept epoch cannot be gone back to: its file, or state that is not there. Whether that state is whole is only
/// known to who reads it, as a rollback does before it writes anything.
fn damage(log: &CheckpointLog, kept: &Kept, state: &BTreeMap<String, u64>) -> Option<String> {
    let failure = match log.read(kept.epoch) {
        Ok(checkpoint) => {
            let mut objects = checkpoint
                .lanes
                .iter()
                .flat_map(|lane| lane.state.values().flatten());
            let wrong = objects.find_map(|object| match state.get(&object.name) {
                None => Some(format!("its state object {} is missing", object.name)),
                Some(size) if *size != object.bytes => Some(format!(
                    "its state object {} has {size} bytes instead of {}",
                    object.name, object.bytes
                )),
                Some(_) => None,
            });
            Failure::refuse(wrong?)
        }
        Err(failure) => failure,
    };
    // An epoch that the running job has removed since is no damage.
    let there = log
        .list()
        .is_ok_and(|all| all.iter().any(|other| other.epoch == kept.epoch));
    there.then_some(failure.message)
}

fn describe(checkpoint: &Checkpoint, now: i64) -> Newest {
    Newest {
        job: checkpoint.job.clone(),
        query: checkpoint.query.clone(),
        checkpoint: checkpoint.checkpoint.clone(),
        run: checkpoint.run.clone(),
        epoch: checkpoint.epoch,
        committed_at: time(checkpoint.committed_at),
        age_seconds: (now - checkpoint.committed_at) / 1_000_000,
        rewound: checkpoint.rewound,
        format: checkpoint.format,
        state: steps(checkpoint),
        held_back_by: checkpoint
            .held_back_by()
            .map(|cut| cut.partition.to_string()),
        partitions: sorted(checkpoint)
            .into_iter()
            .map(|cut| PartitionReport {
                input: cut.input.to_string(),
                partition: cut.partition.to_string(),
                position: cut.position.clone(),
                watermark: cut.watermark.map(time),
                ended: cut.ended,
                word: word(checkpoint, &cut.input),
            })
            .collect(),
    }
}

/// The state objects of a checkpoint by step.
fn steps(checkpoint: &Checkpoint) -> Vec<StepReport> {
    let mut steps: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for (step, chain) in checkpoint.lanes.iter().flat_map(|lane| &lane.state) {
        let known = steps.entry(step).or_default();
        known.0 += chain.len();
        known.1 += chain.iter().map(|object| object.bytes).sum::<u64>();
    }
    let steps = steps.into_iter();
    steps
        .map(|(step, (objects, bytes))| StepReport {
            step: step.to_owned(),
            objects,
            bytes,
        })
        .collect()
}

/// Partitions by input, then by name, numbers in the order of numbers.
pub(crate) fn sorted(checkpoint: &Checkpoint) -> Vec<&PartitionCut> {
    let mut partitions: Vec<&PartitionCut> = checkpoint.partitions().collect();
    partitions.sort_by_key(|cut| in_order(&cut.input, &cut.partition));
    partitions
}

/// The place of a partition among those that are shown: by its number where its name ends with one.
pub(crate) fn in_order<'p>(input: &'p str, partition: &'p str) -> (&'p str, &'p str, u64) {
    let (name, number) = partition
        .rsplit_once('/')
        .and_then(|(name, number)| Some((name, number.parse::<u64>().ok()?)))
        .unwrap_or((partition, 0));
    (input, name, number)
}

/// What the source of a partition calls a position.
pub(crate) fn word(checkpoint: &Checkpoint, input: &str) -> &'static str {
    match connector(checkpoint, input) {
        "kafka" => "offset",
        _ => "position",
    }
}

/// Whether positions of an input count records, as its connector says.
pub(crate) fn counts_records(checkpoint: &Checkpoint, input: &str) -> bool {
    let name = connector(checkpoint, input);
    let known = CONNECTORS.iter().find(|known| known.name == name);
    let first = Position::Number(0);
    known
        .and_then(|known| known.input)
        .is_some_and(|input| (input.behind)(&first) == first.next_number())
}

/// The connector of an input.
pub(crate) fn connector<'c>(checkpoint: &'c Checkpoint, input: &str) -> &'c str {
    checkpoint
        .plan
        .get("inputs")
        .and_then(|inputs| inputs.get(input))
        .and_then(|input| input.get("connector"))
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
}

/// What to say of a format that this version reads and writes, but does not begin in.
fn older(format: u32) -> String {
    if format < FORMAT {
        format!(", format {format} (`thalweg checkpoint upgrade` goes on in {FORMAT})")
    } else {
        String::new()
    }
}

fn text(report: &Report) -> String {
    let mut out = format!("{}\n", report.folder);
    if let Some(newest) = &report.newest {
        let _ = writeln!(out, "  job       {}, query {}", newest.job, newest.query);
    }
    if let Some(pid) = report.in_use_by {
        let _ = writeln!(out, "  in use    by the process {pid}");
    }
    if let (Some(newest), Some(last)) = (&report.newest, report.epochs.last()) {
        let _ = writeln!(
            out,
            "  newest    epoch {}, committed {} ago ({}), {}{}{}",
            newest.epoch,
            ago(newest.age_seconds * 1_000_000),
            newest.committed_at,
            bytes(last.bytes),
            if newest.rewound {
                ", written by a checkpoint command"
            } else {
                ""
            },
            older(newest.format)
        );
    }
    kept(&report.epochs, &mut out);
    if report.state_objects > 0 {
        let _ = writeln!(
            out,
            "  state     {}, {}, of all kept epochs together",
            counted(report.state_objects, "object"),
            bytes(report.state_bytes)
        );
    }
    for step in report.newest.iter().flat_map(|newest| &newest.state) {
        let objects = counted(step.objects, "object");
        let _ = writeln!(
            out,
            "            {}: {objects}, {}",
            step.step,
            bytes(step.bytes)
        );
    }
    if let Some(partition) = report
        .newest
        .iter()
        .find_map(|newest| newest.held_back_by.as_ref())
    {
        let _ = writeln!(out, "  watermark held back by {partition}");
    }
    for epoch in &report.epochs {
        // That of the newest is said below.
        let newest = report.newest.as_ref().map(|newest| newest.epoch);
        if let Some(damage) = &epoch.damage
            && report.trouble.as_ref() != Some(damage)
            && (report.trouble.is_none() || newest != Some(epoch.epoch))
        {
            let _ = writeln!(out, "  damaged   epoch {}: {damage}", epoch.epoch);
        }
    }
    match (&report.newest, &report.trouble) {
        (_, Some(trouble)) => {
            let _ = writeln!(out, "  a start would be refused: {trouble}");
        }
        (Some(newest), None) if newest.partitions.is_empty() => {
            let _ = writeln!(out, "  a restart has no partition to go on with");
        }
        (Some(newest), None) => {
            let _ = writeln!(out, "  a restart goes on");
            for partition in &newest.partitions {
                let _ = writeln!(out, "    {}", goes_on(partition));
            }
        }
        (None, None) => {
            let _ = writeln!(
                out,
                "  nothing is committed: a start begins as the job's options say"
            );
        }
    }
    out
}

fn goes_on(partition: &PartitionReport) -> String {
    let PartitionReport {
        partition: name,
        position,
        word,
        ..
    } = partition;
    let mut line = format!("at {name} from {word} {position}");
    if partition.ended {
        line.push_str(", which was its end");
    }
    if let Some(watermark) = &partition.watermark {
        let _ = write!(line, ", watermark {watermark}");
    }
    line
}

/// The kept epochs on a few lines: runs of numbers, with the age of the oldest of each.
fn kept(epochs: &[EpochReport], out: &mut String) {
    let mut stretches: Vec<(&EpochReport, &EpochReport)> = Vec::new();
    for epoch in epochs {
        match stretches.last_mut() {
            Some((_, last)) if last.epoch + 1 == epoch.epoch => *last = epoch,
            _ => stretches.push((epoch, epoch)),
        }
    }
    let shown: Vec<String> = stretches
        .iter()
        .rev()
        .map(|(first, last)| {
            let numbers = if first.epoch == last.epoch {
                first.epoch.to_string()
            } else {
                format!("{}..{}", first.epoch, last.epoch)
            };
            format!("{numbers} ({} ago)", ago(first.age))
        })
        .collect();
    let count = epochs.len();
    let noun = if count == 1 { "epoch" } else { "epochs" };
    let lines: Vec<String> = shown.chunks(6).map(|chunk| chunk.join(", ")).collect();
    let _ = writeln!(
        out,
        "  kept      {count} {noun}{}{}",
        if count == 0 { "" } else { ": " },
        lines.join(",\n            ")
    );
}
