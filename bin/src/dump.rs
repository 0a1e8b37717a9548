//! `thalweg inspect --dump`: what lies in the state of the newest checkpoint, a JSON object a line.
//!
//! Read beside the running job: nothing is locked or changed, all objects are opened before the first line, so that those
//! that the job removes meanwhile are read to their end. Memory is a block of each object, however large the state is.

use std::io::{self, BufWriter, Write};

use thalweg_engine::epoch::checkpoint::{Checkpoint, ObjectRef};
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::state_chain::Chain;
use thalweg_operators::codecs::json::Objects;
use thalweg_operators::plan::{contents_of, keeps_marks};
use thalweg_operators::stateful::contents::{Contents, Form, Shown};

use crate::console;
use crate::folder;
use crate::inspect;
use crate::place::Place;
use crate::refusal::{End, Refusal};
use crate::telemetry;

/// How often a running job may remove an object between the look at its checkpoint and the opening of its objects.
const TRIES: usize = 5;

/// The state of one step in one lane.
struct Part {
    query: String,
    step: String,
    lane: String,
    contents: Contents,
    chain: Chain,
}

/// Writes the state of all queries at a place; of steps with `wanted` in their name.
///
/// # Errors
/// When nothing of it can be read.
pub(crate) fn dump(place: &Place, wanted: &str) -> Result<End, Refusal> {
    let mut parts = Vec::new();
    let mut steps = Vec::new();
    let mut unknown = Vec::new();
    for place in folder::queries(place)? {
        let opened = open(&place.look(), wanted, &mut steps)?;
        parts.extend(opened.parts);
        unknown.extend(opened.unknown);
    }
    steps.sort_unstable();
    steps.dedup();
    if parts.is_empty() && unknown.is_empty() {
        let there = steps.join("`, `");
        return Err(Refusal::new(match (steps.is_empty(), wanted) {
            (true, _) => format!(
                "no step has state in the newest checkpoint of {}",
                place.shown()
            ),
            (false, _) => {
                format!("no step with state has `{wanted}` in its name. There are: `{there}`")
            }
        }));
    }
    for step in &unknown {
        telemetry::fatal(&format!(
            "the checkpoint does not say what lies in the state of {step}: an earlier version wrote it, or a later one. \
             Let the query write one checkpoint with this version"
        ));
    }
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    for part in parts {
        let name = format!(
            "`{}` in the lane {} of {}",
            part.step, part.lane, part.query
        );
        match show(part, &mut out) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(End::Clean),
            Err(error) => {
                let _ = out.flush();
                return Err(Refusal::new(format!(
                    "the state of {name} cannot be read: {error}. What was shown of it is not all. `thalweg inspect` \
                     says what to do"
                )));
            }
            Ok(()) => {}
        }
    }
    console::note(out.flush());
    Ok(if unknown.is_empty() {
        End::Clean
    } else {
        End::Failed
    })
}

/// What was opened of a query.
#[derive(Default)]
struct Opened {
    parts: Vec<Part>,
    /// Steps whose state the checkpoint does not explain.
    unknown: Vec<String>,
}

fn open(log: &CheckpointLog, wanted: &str, steps: &mut Vec<String>) -> Result<Opened, Refusal> {
    let mut tried = 0;
    loop {
        let Some(checkpoint) = inspect::newest(log).map_err(Refusal::new)? else {
            return Ok(Opened::default());
        };
        tried += 1;
        match parts(log, &checkpoint, wanted, steps) {
            // The job has merged or removed an object since; its next checkpoint names what there is now.
            Err(error) if error.kind() == io::ErrorKind::NotFound && tried < TRIES => {}
            Err(error) => {
                return Err(Refusal::new(format!(
                    "the state of epoch {} of {} cannot be opened: {error}{}",
                    checkpoint.epoch,
                    checkpoint.query,
                    match error.raw_os_error() {
                        Some(libc::EMFILE) =>
                            ". Name one step, or raise the limit of open files (ulimit -n)",
                        _ => ". `thalweg inspect` says what to do",
                    }
                )));
            }
            Ok(opened) => return Ok(opened),
        }
    }
}

fn parts(
    log: &CheckpointLog,
    checkpoint: &Checkpoint,
    wanted: &str,
    steps: &mut Vec<String>,
) -> io::Result<Opened> {
    let mut opened = Opened::default();
    for lane in &checkpoint.lanes {
        // Beside the state of steps lies what an input remembers of its own: which files it has read.
        let of_input = |step: &str| lane.partitions.iter().any(|cut| cut.partition == step);
        for (step, chain) in &lane.state {
            if keeps_marks(&checkpoint.plan, step) || of_input(step) {
                continue;
            }
            steps.push(step.to_string());
            if !step.contains(wanted) {
                continue;
            }
            let Some(contents) = contents_of(&checkpoint.plan, step) else {
                let step = format!("`{step}` of the query {}", checkpoint.query);
                if !opened.unknown.contains(&step) {
                    opened.unknown.push(step);
                }
                continue;
            };
            opened.parts.push(Part {
                query: checkpoint.query.clone(),
                step: step.to_string(),
                lane: lane.lane.to_string(),
                contents,
                chain: Chain::open(&**log.store(), chain.iter().map(name))?,
            });
        }
    }
    Ok(opened)
}

fn name(object: &ObjectRef) -> String {
    format!("state/{}", object.name)
}

/// A form with its encoders and what every line of it begins with.
struct Lines {
    begin: Vec<u8>,
    key: Objects,
    value: Objects,
    about: Objects,
}

impl Lines {
    fn new(form: &Form, part: (&str, &str, &str)) -> Self {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let (query, step, lane) = part;
        let begin = format!(
            "{{\"query\":{},\"step\":{},\"lane\":{},\"what\":{},\"key\":",
            text(query),
            text(step),
            text(lane),
            text(form.what)
        );
        Self {
            begin: begin.into_bytes(),
            key: Objects::new(&form.key),
            value: Objects::new(&form.value),
            about: Objects::new(&form.about),
        }
    }

    fn line(&self, shown: &Shown<'_>, line: &mut Vec<u8>) {
        line.extend_from_slice(&self.begin);
        self.key.append(shown.key, line);
        line.extend_from_slice(b",\"value\":");
        self.value.append(shown.value, line);
        self.about.append_known(shown.about, line);
        line.extend_from_slice(b"}\n");
    }
}

fn show(part: Part, out: &mut impl Write) -> io::Result<()> {
    let mut reader = part.contents.reader();
    let names = (&*part.query, &*part.step, &*part.lane);
    let forms = reader.forms().iter();
    let forms: Vec<Lines> = forms.map(|form| Lines::new(form, names)).collect();
    let mut lines = Vec::new();
    part.chain.each(|layout, key, value| {
        let read = reader.entry(layout, key, value, &mut |shown| {
            if let Some(form) = forms.get(shown.form) {
                form.line(&shown, &mut lines);
            }
        });
        if read.is_none() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "an entry is not what the checkpoint says of it",
            ));
        }
        out.write_all(&lines)?;
        lines.clear();
        Ok(())
    })
}
