//! A lane that this process has taken over: its hidden folder, brought to where its newest checkpoint stands.
//!
//! Whoever had the lane before may live and not know that it has it no more: it may still append to its open parts, and make
//! visible what its last checkpoint names. So what is committed of an open part is copied into a file that nobody else has
//! open, and takes the place of that part; making visible stays one rename, which one of the two does and the other finds done.
//! And what no checkpoint names is removed only as long as nobody has taken the lane over since: what was there before that is
//! certain is of no one who came later.
//!
//! Each run that writes a lane leaves an empty file with its name there first. A part that is nowhere, of a run that has none,
//! was written to another folder: one that the processes do not share.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thalweg_engine::error::Failure;
use thalweg_engine::sink::TakenOver;

use super::beside;
use super::disk;
use super::goal::Goal;
use super::lease::Lease;
use super::part::{self, Hidden, Part};
use super::publisher::publish;
use super::recovery::{accept_loss, damaged, named, was_shown};
use super::settling;

/// How the file ends that says which run has written here.
const RUN: &str = ".run";

/// How often a part is looked at that another process moves at the same time.
const LOOKS: u32 = 5;

/// Makes visible what the lane's checkpoint names, and removes from its folder what it does not name.
pub(super) fn take_over(
    goal: &Goal,
    hidden: &Path,
    run: &str,
    taken: &TakenOver<'_>,
) -> Result<(), Failure> {
    let hindered = |error: io::Error| disk::hindrance(hidden, &error);
    make(hidden).map_err(hindered)?;
    let parts = named(&taken.recovery)?;
    let lease = Lease::new(|| Ok((taken.owned)()));
    let lost = settling::each(&parts, goal.at_once(), |part| {
        let known = mark(hidden, part::run_of(&part.file)).try_exists();
        let known = known.map_err(hindered)?;
        let there = settle(part, goal, hidden, taken, &lease)?;
        Ok(there || (known && part.strands.is_empty()))
    })?;
    if !lost.is_empty() && !(taken.owned)() {
        return Err(Failure::restart(format!(
            "another process goes on with {}",
            taken.lane
        )));
    }
    accept_loss(&lost, goal, &taken.recovery).map_err(|mut failure| {
        failure.message += ". The folder must be one that all processes of the job see";
        failure
    })?;
    let written = File::create(mark(hidden, run)).and_then(|_| disk::sync_folder(hidden));
    written.map_err(hindered)?;
    let runs = parts.iter().map(|part| part::run_of(&part.file));
    let kept = runs.chain([run]).map(|run| mark(hidden, run)).collect();
    clean(hidden, &kept, taken.owned).map_err(hindered)
}

/// The file that says that a run has written here.
fn mark(hidden: &Path, run: &str) -> PathBuf {
    hidden.join(format!("{run}{RUN}"))
}

/// Makes the folder of a lane, so that it survives a crash.
fn make(hidden: &Path) -> io::Result<()> {
    if hidden.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(hidden)?;
    // That of the query, then that of all queries.
    for above in hidden.ancestors().skip(1).take(2) {
        disk::sync_folder(above)?;
    }
    Ok(())
}

/// Makes a part visible as far as it is committed; false where nothing is there of it.
fn settle(
    part: &Part,
    goal: &Goal,
    hidden: &Path,
    taken: &TakenOver<'_>,
    lease: &Lease<'_>,
) -> Result<bool, Failure> {
    let recovery = &taken.recovery;
    if !part.strands.is_empty() {
        return beside::settle(part, goal, recovery, lease);
    }
    let at = Hidden::of(hidden, &part.file);
    let hindered = |error: io::Error| disk::hindrance(&goal.shown(&part.file), &error);
    for _ in 0..LOOKS {
        // In the order in which a part goes its way, which another process may be on with it: whoever looked at the way's end
        // first might find it nowhere, and remove it.
        let rows = at.rows.try_exists().map_err(hindered)?;
        let whole = at.whole.try_exists().map_err(hindered)?;
        if !whole && !rows {
            return was_shown(part, goal, recovery);
        }
        let growing = if part.as_rows { &at.rows } else { &at.whole };
        let held = match fs::metadata(growing) {
            // Made of its rows already: whole as it is.
            Err(error) if error.kind() == io::ErrorKind::NotFound && part.as_rows && whole => {
                Ok(())
            }
            Err(error) => Err(error),
            Ok(found) if found.len() < part.bytes => {
                return Err(damaged(growing, part, found.len()));
            }
            Ok(_) if part.as_rows => Ok(()),
            Ok(found) if part.complete && found.len() == part.bytes => Ok(()),
            Ok(_) => copy(part, &at, hidden),
        };
        match held.and_then(|()| publish(part, hidden, goal)) {
            Ok(()) => return Ok(true),
            // Another process was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(hindered(error)),
        }
    }
    Err(Failure::restart(format!(
        "{} is there and is not there: other processes move it",
        at.whole.display()
    )))
}

/// Puts what is committed of a part in its place, in a file that nobody appends to.
fn copy(part: &Part, at: &Hidden, hidden: &Path) -> io::Result<()> {
    let half = at.half();
    let copied = File::create(&half).and_then(|mut to| {
        let mut committed = File::open(&at.whole)?.take(part.bytes);
        io::copy(&mut committed, &mut to)?;
        to.sync_all()?;
        fs::rename(&half, &at.whole)
    });
    if copied.is_err() {
        let _ = fs::remove_file(&half);
    }
    copied?;
    disk::sync_folder(hidden)
}

/// Removes what is neither kept nor of a process that has taken the lane over since.
fn clean(hidden: &Path, kept: &BTreeSet<PathBuf>, owned: &dyn Fn() -> bool) -> io::Result<()> {
    let found: io::Result<BTreeSet<PathBuf>> = fs::read_dir(hidden)?
        .map(|entry| Ok(entry?.path()))
        .collect();
    let left: Vec<PathBuf> = found?.difference(kept).cloned().collect();
    // Who came later had claimed the lane before it wrote what is found here.
    if left.is_empty() || !owned() {
        return Ok(());
    }
    for path in left {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
