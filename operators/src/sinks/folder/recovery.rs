//! A folder at the start of a run: brought to where the newest checkpoint stands.
//!
//! Whatever is committed becomes visible at once, the open parts too: what comes next goes into new ones. So nothing depends
//! on the lanes, the format or the compression that the next run has.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use thalweg_engine::counted::counted;
use thalweg_engine::error::Failure;
use thalweg_engine::sink::Recovery;

use super::beside;
use super::disk;
use super::goal::Goal;
use super::lease::Lease;
use super::part::{self, Hidden, Part};
use super::publisher::publish;
use super::settling;

/// Makes visible what the checkpoint names, and removes from `hidden` what it does not name.
pub(super) fn recover(goal: &Goal, hidden: &Path, recovery: &Recovery<'_>) -> Result<(), Failure> {
    let known = hidden.is_dir();
    if !known {
        let made = fs::create_dir_all(hidden)
            .and_then(|()| disk::sync_folder(hidden.parent().unwrap_or(hidden)));
        made.map_err(|error| disk::hindrance(hidden, &error))?;
    }
    let parts = named(recovery)?;
    let lost = settling::each(&parts, goal.at_once(), |part| {
        let there = settle(part, goal, hidden, recovery)?;
        Ok(there || (known && part.strands.is_empty()))
    })?;
    accept_loss(&lost, goal, recovery).inspect_err(|_| {
        // So that the next start finds the same, and does not take them for files that somebody has fetched.
        let _ = fs::remove_dir(hidden);
    })?;
    others(hidden);
    clean(hidden).map_err(|error| disk::hindrance(hidden, &error))
}

/// The parts with rows that the checkpoint names.
pub(super) fn named(recovery: &Recovery<'_>) -> Result<Vec<Part>, Failure> {
    let mut named = Vec::new();
    for bytes in recovery.prepared.values() {
        named.extend(
            part::decode(bytes)?
                .into_iter()
                .filter(|part| part.bytes > 0),
        );
    }
    Ok(named)
}

/// Refuses to go on without the rows of these parts, unless the checkpoint was set by hand.
pub(super) fn accept_loss(
    lost: &[&Part],
    goal: &Goal,
    recovery: &Recovery<'_>,
) -> Result<(), Failure> {
    let Some(first) = lost.first() else {
        return Ok(());
    };
    let message = format!(
        "{} lacks the rows of {} that epoch {} has committed, `{}` among them: it is not the folder that they \
         were written to, or it was emptied",
        goal.place().display(),
        counted(lost.len(), "file"),
        recovery.epoch,
        first.file
    );
    if recovery.rewound {
        tracing::warn!("{message}; the rows are lost, because the checkpoint was set by hand");
        return Ok(());
    }
    Err(Failure::refuse(format!(
        "{message}. Put the folder back, with its hidden files (where it was moved to, that is the option `path`). To go on \
         without these rows: thalweg checkpoint rollback {} {}",
        recovery.store.location(),
        recovery.epoch
    )))
}

/// Makes a part visible as far as it is committed; false where nothing is there of it.
fn settle(
    part: &Part,
    goal: &Goal,
    hidden: &Path,
    recovery: &Recovery<'_>,
) -> Result<bool, Failure> {
    if !part.strands.is_empty() {
        return beside::settle(part, goal, recovery, &Lease::new(|| Ok(true)));
    }
    let at = Hidden::of(hidden, &part.file);
    let to = goal.shown(&part.file);
    let found = |path: &Path| {
        path.try_exists()
            .map_err(|error| disk::hindrance(path, &error))
    };
    let whole = found(&at.whole)?;
    let rows = found(&at.rows)?;
    if !whole && !rows {
        return was_shown(part, goal, recovery);
    }
    match (part.as_rows, whole) {
        (false, _) => shorten(&at.whole, part)?,
        (true, false) => shorten(&at.rows, part)?,
        // Made of its rows already: whole as it is.
        (true, true) => {}
    }
    publish(part, hidden, goal).map_err(|error| disk::hindrance(&to, &error))?;
    Ok(true)
}

/// Whether a part of which nothing is hidden is visible.
pub(super) fn was_shown(
    part: &Part,
    goal: &Goal,
    recovery: &Recovery<'_>,
) -> Result<bool, Failure> {
    let to = goal.shown(&part.file);
    let visible = goal.has(&part.file);
    let visible = visible.map_err(|error| disk::hindrance(&to, &error))?;
    if visible {
        stands_there(part, &to, recovery);
    } else {
        tracing::info!(file = %to.display(), "a file that was made visible is not there any more");
    }
    Ok(visible)
}

/// Says so where a part that is visible has more than the checkpoint names.
pub(super) fn stands_there(part: &Part, to: &Path, recovery: &Recovery<'_>) {
    if recovery.rewound && !part.complete {
        tracing::warn!(
            file = %to.display(),
            "this file has rows of later epochs than the one gone back to: they will be written again, to other files"
        );
    }
}

/// What to say of a hidden file that has less than is committed.
pub(super) fn damaged(path: &Path, part: &Part, length: u64) -> Failure {
    Failure::refuse(format!(
        "{} is damaged: {} bytes of it are committed, and it has {length}. Nothing was changed. Restore it from a copy",
        path.display(),
        part.bytes
    ))
}

/// Cuts off what was written behind what is committed.
fn shorten(path: &Path, part: &Part) -> Result<(), Failure> {
    let failed = |error: io::Error| disk::hindrance(path, &error);
    let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length < part.bytes {
        return Err(damaged(path, part, length));
    }
    if length > part.bytes {
        file.set_len(part.bytes).map_err(failed)?;
        file.sync_all().map_err(failed)?;
    }
    Ok(())
}

/// Says which other histories have left rows here: only their own query can make them visible.
fn others(hidden: &Path) {
    let entries = hidden.parent().map(fs::read_dir);
    for entry in entries.into_iter().flatten().flatten().flatten() {
        let path = entry.path();
        let left = fs::read_dir(&path).map_or(0, Iterator::count);
        if path != hidden && left > 0 {
            tracing::warn!(
                folder = %path.display(),
                files = left,
                "here are files that another checkpoint names and that are not visible yet: start its query, or remove them if it is gone"
            );
        }
    }
}

/// Removes what no checkpoint names.
fn clean(hidden: &Path) -> io::Result<()> {
    let names: io::Result<BTreeSet<OsString>> = fs::read_dir(hidden)?
        .map(|entry| Ok(entry?.file_name()))
        .collect();
    for name in names? {
        fs::remove_file(hidden.join(name))?;
    }
    Ok(())
}
