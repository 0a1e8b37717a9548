//! Parts whose rows lie beside the checkpoints: made of them at their goal, by their writer or by who goes on with the lane.
//!
//! What is committed is named by every epoch until it is visible, so it is there as long as it is needed, and what no kept
//! epoch names is removed with old state: here nothing is ever removed. A part is the same whoever makes it: the same rows in the
//! same order under the same name. Whoever was held up while it made one sees by its `lease` that the lane is another's before the
//! part appears: its heir has shown it, and somebody may have fetched it since.

use std::io;

use thalweg_engine::counted::counted;
use thalweg_engine::epoch::store::Store;
use thalweg_engine::error::Failure;
use thalweg_engine::sink::Recovery;

use super::disk;
use super::gathering::Gathering;
use super::goal::Goal;
use super::lease::Lease;
use super::part::Part;
use super::recovery::{named, stands_there, was_shown};
use super::settling;

/// What became of a part that was to be made.
enum Made {
    Whole,
    /// Nothing: it is another process's now.
    Anothers,
    /// Nothing: this segment is not there.
    Lacks(String),
}

/// Makes visible what the checkpoint names.
pub(super) fn recover(
    goal: &Goal,
    recovery: &Recovery<'_>,
    owned: &(dyn Fn() -> bool + Sync),
) -> Result<(), Failure> {
    let parts = named(recovery)?;
    let lease = Lease::new(|| Ok(owned()));
    let lost = settling::each(&parts, goal.at_once(), |part| {
        match part.strands.as_slice() {
            // Of a time when the checkpoints lay in a folder, and hidden files beside them: a part that was complete then
            // was made visible before they were moved.
            [] => Ok(was_shown(part, goal, recovery)? || part.complete),
            _ => settle(part, goal, recovery, &lease),
        }
    })?;
    let Some(first) = lost.first() else {
        return Ok(());
    };
    if !lease.look().unwrap_or(false) {
        return Err(anothers());
    }
    let place = recovery.store.location();
    let message = format!(
        "rows of {} that epoch {} has committed, `{}` among them, are not beside the checkpoints in {place} any more",
        counted(lost.len(), "file"),
        recovery.epoch,
        first.file
    );
    if recovery.rewound {
        tracing::warn!("{message}; they are lost, because the checkpoint was set by hand");
        return Ok(());
    }
    Err(Failure::refuse(format!(
        "{message}. Put the objects back that were removed from its folder `state`. To go on without these rows: thalweg \
         checkpoint rollback {place} {}",
        recovery.epoch
    )))
}

fn anothers() -> Failure {
    Failure::restart("another process goes on with its rows")
}

/// Makes a part visible as far as it is committed; false where its rows are not there any more.
pub(super) fn settle(
    part: &Part,
    goal: &Goal,
    recovery: &Recovery<'_>,
    lease: &Lease<'_>,
) -> Result<bool, Failure> {
    let shown = goal.shown(&part.file);
    let hindered = |error: io::Error| disk::hindrance(&shown, &error);
    match goal.has(&part.file) {
        Ok(true) => {
            stands_there(part, &shown, recovery);
            return Ok(true);
        }
        // Who may write need not be allowed to look: then it is written again, as it is.
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
            return Err(hindered(error));
        }
        _ => {}
    }
    match make(part, recovery.store, goal, lease).map_err(hindered)? {
        Made::Whole => Ok(true),
        Made::Anothers => Err(anothers()),
        Made::Lacks(segment) => {
            tracing::warn!(
                file = %shown.display(),
                "{}/{segment} is missing, which holds rows of this file",
                recovery.store.location()
            );
            Ok(false)
        }
    }
}

/// Makes a committed part visible, as its writer. Where the lane is another's, that one does it.
pub(super) fn publish(
    part: &Part,
    store: &dyn Store,
    lease: &Lease<'_>,
    goal: &Goal,
) -> io::Result<()> {
    match make(part, store, goal, lease)? {
        Made::Whole | Made::Anothers => Ok(()),
        Made::Lacks(_) if !lease.look()? => Ok(()),
        Made::Lacks(segment) => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("its rows are missing: {}/{segment}", store.location()),
        )),
    }
}

fn make(part: &Part, store: &dyn Store, goal: &Goal, lease: &Lease<'_>) -> io::Result<Made> {
    let mut made = Made::Whole;
    let done = goal.make(&part.file, &mut |mut out| {
        let mut rows = Gathering::of(part, store);
        let written = if part.as_rows {
            as_parquet(&mut rows, part, out)
        } else {
            io::copy(&mut rows, &mut out).map(drop)
        };
        if let Some(missing) = rows.missing() {
            made = Made::Lacks(missing);
        } else if written.is_ok() && !lease.holds()? {
            made = Made::Anothers;
        }
        match made {
            Made::Whole => written,
            _ => Err(io::Error::other("given up")),
        }
    });
    match made {
        Made::Whole => done.map(|()| Made::Whole),
        given_up => Ok(given_up),
    }
}

#[cfg(feature = "parquet")]
fn as_parquet(
    rows: &mut Gathering<'_>,
    part: &Part,
    out: &mut (dyn io::Write + Send),
) -> io::Result<()> {
    super::parquet::make(rows, part.bytes, out)
}

#[cfg(not(feature = "parquet"))]
fn as_parquet(_: &mut Gathering<'_>, _: &Part, _: &mut (dyn io::Write + Send)) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        super::LACKS_PARQUET,
    ))
}
