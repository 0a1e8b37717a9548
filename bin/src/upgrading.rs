//! `thalweg checkpoint upgrade`: the checkpoints of a stopped job go on in the format of this version, which those before cannot
//! read. Writes a new epoch that says what the newest one said; deletes nothing.

use thalweg_engine::epoch::checkpoint::{Checkpoint, FORMAT, UPGRADE};
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;

use crate::at_rest;
use crate::checkpoint;
use crate::cli::UpgradeArgs;
use crate::console;
use crate::folder;
use crate::place::{self, Place};
use crate::refusal::{End, Refusal};
use thalweg_engine::clock::now;

/// `thalweg checkpoint upgrade`. One that was interrupted is done again; it goes on where it was.
///
/// # Errors
/// When the job runs, a newest epoch is damaged, the place cannot be written, or nobody confirms.
pub(crate) fn upgrade(args: &UpgradeArgs) -> Result<End, Refusal> {
    let place = Place::at(&args.folder, &place::options(&args.store.option)?)?;
    let mut older = Vec::new();
    for chain in folder::chains(&place)? {
        let log = folder::stopped(&chain.of(&place), chain.shared)?;
        let Some(newest) = log.newest()? else {
            continue;
        };
        if newest.format < FORMAT {
            if !args.sure.stopped {
                at_rest::wait(&log)?;
            }
            older.push((chain.name(), log, newest));
        }
    }
    if older.is_empty() {
        console::line(&format!(
            "All is in format {FORMAT} already, the one of this version."
        ));
        return Ok(End::Clean);
    }
    for (name, _, newest) in &older {
        console::line(&format!(
            "{name}: epoch {} is in format {}",
            newest.epoch, newest.format
        ));
    }
    let rollback = if older.len() == 1 {
        ", or a rollback to an epoch of before"
    } else {
        ""
    };
    console::line(&format!(
        "Versions of thalweg that do not know format {FORMAT} cannot go on from here afterwards. The way back is a copy of before \
         (`thalweg checkpoint copy`){rollback}."
    ));
    let question = format!("Go on in format {FORMAT}?");
    if !checkpoint::confirmed(args.sure.yes, &question)? {
        return Ok(End::Refused);
    }
    for (name, log, newest) in &older {
        write(name, log, newest)?;
    }
    console::line(&format!(
        "{} in format {FORMAT} now.",
        match older.len() {
            1 => "It is".to_owned(),
            many => format!("All {many} are"),
        }
    ));
    Ok(End::Clean)
}

fn write(name: &str, log: &CheckpointLog, newest: &Checkpoint) -> Result<(), Refusal> {
    // Whoever was asked may have taken his time.
    at_rest::unchanged(log, newest.epoch)?;
    let next = Checkpoint {
        format: FORMAT,
        epoch: newest.epoch.saturating_add(1),
        run: UPGRADE.to_owned(),
        committed_at: now(),
        interval: None,
        ..newest.clone()
    };
    log.commit(&next).map_err(|error| {
        Refusal::new(format!(
            "{name}: the new epoch cannot be written to {}: {error}. It stands where it stood; do this again.",
            log.location()
        ))
    })?;
    Ok(())
}
