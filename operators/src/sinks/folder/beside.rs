//! Parts whose rows lie beside the checkpoints: made of them at their goal, by their writer or by who goes on with the lane.
//!
//! What is committed is named by every epoch until it is visible, so it is there as long as it is needed, and what no kept
//! epoch names is removed with old state: here nothing is ever removed. A part is the same whoever makes it: the same rows in the
//! same order under the same name. Whoever was held up while it made one looks whether the lane is its own still before the part
//! appears: its heir has shown it, and somebody may have fetched it since.

use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};

use thalweg_engine::behalf::carrying;
use thalweg_engine::counted::counted;
use thalweg_engine::epoch::segment;
use thalweg_engine::epoch::store::Store;
use thalweg_engine::error::Failure;
use thalweg_engine::sink::{Beside, Recovery};

use super::disk;
use super::goal::Goal;
use super::part::{self, Part, Strand};
use super::recovery::{named, stands_there, was_shown};

/// What became of a part that was to be made.
enum Made {
    Whole,
    /// Nothing: it is another process's now.
    Anothers,
    /// Nothing: this segment is not there.
    Lacks(String),
}

/// Makes visible what the checkpoint names, several parts at once: the lane stands still until all are.
pub(super) fn recover(
    goal: &Goal,
    recovery: &Recovery<'_>,
    owned: &(dyn Fn() -> bool + Sync),
) -> Result<(), Failure> {
    let parts = named(recovery)?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut lost = Vec::new();
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let there = match part.strands.as_slice() {
                // Of a time when the checkpoints lay in a folder, and hidden files beside them: a part that was complete then
                // was made visible before they were moved.
                [] => was_shown(part, goal, recovery)? || part.complete,
                _ => settle(part, goal, recovery, owned)?,
            };
            if !there {
                lost.push(&part.file);
            }
        }
        Ok(lost)
    };
    let lost = std::thread::scope(|scope| {
        let threads = goal.at_once().min(parts.len());
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(carrying(work))).collect();
        let panicked = || Err(Failure::restart("making a file visible panicked: a bug"));
        let lost = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| panicked()));
        lost.collect::<Result<Vec<_>, Failure>>()
    })?;
    let lost: Vec<&String> = lost.into_iter().flatten().collect();
    let Some(first) = lost.first() else {
        return Ok(());
    };
    if !owned() {
        return Err(anothers());
    }
    let place = recovery.store.location();
    let message = format!(
        "rows of {} that epoch {} has committed, `{first}` among them, are not beside the checkpoints in {place} any more",
        counted(lost.len(), "file"),
        recovery.epoch
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
    owned: &dyn Fn() -> bool,
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
    match make(part, recovery.store, goal, &|| Ok(owned())).map_err(hindered)? {
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
pub(super) fn publish(part: &Part, beside: &Beside, goal: &Goal) -> io::Result<()> {
    match make(part, &*beside.store, goal, &*beside.owned)? {
        Made::Whole | Made::Anothers => Ok(()),
        Made::Lacks(_) if !(beside.owned)()? => Ok(()),
        Made::Lacks(segment) => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "its rows are missing: {}/{segment}",
                beside.store.location()
            ),
        )),
    }
}

fn make(
    part: &Part,
    store: &dyn Store,
    goal: &Goal,
    owned: &dyn Fn() -> io::Result<bool>,
) -> io::Result<Made> {
    let mut made = Made::Whole;
    let done = goal.make(&part.file, &mut |mut out| {
        let mut rows = Rows {
            store,
            run: part::run_of(&part.file),
            strands: part.strands.iter(),
            open: None,
            missing: None,
        };
        let written = if part.as_rows {
            as_parquet(&mut rows, part, out)
        } else {
            io::copy(&mut rows, &mut out).map(drop)
        };
        if let Some(missing) = rows.missing {
            made = Made::Lacks(missing);
        } else if written.is_ok() && !owned()? {
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
    rows: &mut Rows<'_>,
    part: &Part,
    out: &mut (dyn io::Write + Send),
) -> io::Result<()> {
    super::parquet::make(rows, part.bytes, out)
}

#[cfg(not(feature = "parquet"))]
fn as_parquet(_: &mut Rows<'_>, _: &Part, _: &mut (dyn io::Write + Send)) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        super::LACKS_PARQUET,
    ))
}

/// The bytes of a part, strand by strand.
struct Rows<'r> {
    store: &'r dyn Store,
    run: &'r str,
    strands: std::slice::Iter<'r, Strand>,
    open: Option<Box<dyn Read + Send + 'r>>,
    /// The segment that was looked for in vain.
    missing: Option<String>,
}

impl Read for Rows<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(strand) = &mut self.open {
                match strand.read(into)? {
                    0 if !into.is_empty() => self.open = None,
                    read => return Ok(read),
                }
            }
            let Some(next) = self.strands.next() else {
                return Ok(0);
            };
            let name = format!("state/{}", part::segment(self.run, next.segment));
            match segment::read(self.store, &name, next.span) {
                Ok(strand) => self.open = Some(Box::new(strand)),
                Err(error) => {
                    if error.kind() == io::ErrorKind::NotFound {
                        self.missing = Some(name);
                    }
                    return Err(error);
                }
            }
        }
    }
}
