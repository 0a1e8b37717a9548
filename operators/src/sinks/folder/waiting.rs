//! Where the rows of a lane's parts wait until their part is complete: in hidden files, or beside the checkpoints.

use std::path::PathBuf;
use std::sync::Arc;

use thalweg_engine::epoch::checkpoint::ObjectRef;
use thalweg_engine::error::Failure;
use thalweg_engine::sink::LocalFuture;

use super::depositor::Depositor;
use super::disk::Disk;
use super::outlet::{Outlet, Rows};
use super::part::Hidden;
use super::publisher::Place;
use super::strands::{Laid, Strands};

/// The threads that write what waits, for all lanes.
pub(super) enum Keeper {
    Hidden(Arc<Outlet>),
    Beside(Arc<Depositor>),
}

impl Keeper {
    /// Whether so much is on its way that no more should come.
    pub(super) fn full(&self) -> bool {
        match self {
            Self::Hidden(outlet) => outlet.full(),
            Self::Beside(depositor) => depositor.full(),
        }
    }

    /// Rows that are on their way.
    pub(super) fn in_flight(&self) -> u64 {
        match self {
            Self::Hidden(outlet) => outlet.in_flight(),
            Self::Beside(depositor) => depositor.in_flight(),
        }
    }

    /// Ends the threads; the disk is closed already.
    pub(super) fn join(&self) {
        match self {
            Self::Hidden(outlet) => outlet.join(),
            Self::Beside(depositor) => depositor.join(),
        }
    }
}

/// What a cut has made safe: of each part that it asked for, and the objects that these need.
pub(super) type Safe = LocalFuture<Result<(Vec<Laid>, Vec<ObjectRef>), Failure>>;

/// What waits of one lane.
pub(super) enum Waiting {
    Hidden {
        outlet: Arc<Outlet>,
        folder: PathBuf,
        /// Whether parts are kept as rows until they are complete.
        as_rows: bool,
    },
    Beside(Strands),
}

impl Waiting {
    /// Begins a part.
    pub(super) fn open(&mut self, part: u64, file: &str) {
        match self {
            Self::Hidden {
                outlet,
                folder,
                as_rows,
            } => outlet.open(part, Hidden::of(folder, file).growing(*as_rows)),
            Self::Beside(strands) => strands.open(part),
        }
    }

    /// Appends to a part.
    pub(super) fn write(&mut self, part: u64, rows: Rows) {
        match self {
            Self::Hidden { outlet, .. } => outlet.write(part, rows),
            Self::Beside(strands) => strands.write(part, rows),
        }
    }

    /// Ends a part.
    pub(super) fn complete(&mut self, part: u64) {
        match self {
            Self::Hidden { outlet, .. } => outlet.complete(part),
            Self::Beside(strands) => strands.complete(part),
        }
    }

    /// Forgets parts: they are visible, or their lane is no more.
    pub(super) fn forget(&mut self, parts: Vec<u64>) {
        match self {
            Self::Hidden { outlet, .. } => outlet.forget(parts),
            Self::Beside(strands) => strands.forget(&parts),
        }
    }

    /// What waits of these parts, once it would survive a crash.
    pub(super) fn cut(&mut self, parts: Vec<u64>, disk: &Arc<Disk>) -> Safe {
        match self {
            Self::Hidden { outlet, .. } => {
                let (lengths, disk) = (outlet.cut(parts), Arc::clone(disk));
                Box::pin(async move {
                    let lengths = lengths.await.unwrap_or_else(|_| Err(disk.why()))?;
                    let laid = lengths.into_iter().map(|bytes| Laid {
                        bytes,
                        ..Laid::default()
                    });
                    Ok((laid.collect(), Vec::new()))
                })
            }
            Self::Beside(strands) => strands.cut(parts),
        }
    }

    /// From where its parts become visible.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Hidden { folder, .. } => Place::Hidden(folder.clone()),
            Self::Beside(strands) => strands.place(),
        }
    }
}
