//! The limit of open files: outputs in folders, clients and connections each take some.

use crate::refusal::Refusal;

/// A small job has 30 files open; with less it ends somewhere in the middle of its start.
const NEEDED: libc::rlim_t = 64;

/// Raises the limit as far as this user may: shells set 1,024 for the sake of old programs, and an output with PARTITIONED BY
/// needs more.
pub(crate) fn raise() {
    if let Some(limit) = limit() {
        let raised = libc::rlimit {
            rlim_cur: limit.rlim_max,
            ..limit
        };
        // SAFETY: reads the struct that it is given. Where it is refused the limit stays as it was.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) };
    }
}

/// Whether a job can begin at all.
///
/// # Errors
/// When it cannot.
pub(crate) fn enough() -> Result<(), Refusal> {
    match limit() {
        Some(limit) if limit.rlim_cur < NEEDED => Err(Refusal::new(format!(
            "this process may have {} files open, and a job needs {NEEDED} at least: raise the limit (`ulimit -n`)",
            limit.rlim_cur
        ))),
        _ => Ok(()),
    }
}

fn limit() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: fills in the struct that it is given.
    let told = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    told.then_some(limit)
}
