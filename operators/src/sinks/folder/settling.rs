//! What a checkpoint names of parts, brought to its goal at a start or a take-over: several parts at once where each waits for answers.

use std::sync::atomic::{AtomicUsize, Ordering};

use thalweg_engine::behalf::carrying;
use thalweg_engine::error::Failure;

use super::part::Part;

/// Does it for each part, so many at once; the lane stands still until all are done. Gives those for which it said false.
pub(super) fn each(
    parts: &[Part],
    at_once: usize,
    settle: impl Fn(&Part) -> Result<bool, Failure> + Sync,
) -> Result<Vec<&Part>, Failure> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut lacking = Vec::new();
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            match settle(part) {
                Ok(true) => {}
                Ok(false) => lacking.push(part),
                Err(failure) => {
                    // The start fails: nobody begins another.
                    next.store(parts.len(), Ordering::Relaxed);
                    return Err(failure);
                }
            }
        }
        Ok(lacking)
    };
    let settled = std::thread::scope(|scope| {
        let threads = 0..at_once.min(parts.len());
        let threads: Vec<_> = threads.map(|_| scope.spawn(carrying(work))).collect();
        let panicked = || Err(Failure::restart("making a file visible panicked: a bug"));
        let settled = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| panicked()));
        settled.collect::<Result<Vec<_>, Failure>>()
    })?;
    Ok(settled.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parking_lot::{Condvar, Mutex};

    use super::super::part;
    use super::*;

    /// How long threads may take.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn parts(count: u64) -> Vec<Part> {
        let part = |number| Part {
            file: part::name(number, "run1", ".txt"),
            bytes: 1,
            complete: true,
            as_rows: false,
            strands: Vec::new(),
        };
        (0..count).map(part).collect()
    }

    #[test]
    fn so_many_parts_are_under_way_at_once_and_no_more() {
        let (state, changed) = (Mutex::new((0, 0)), Condvar::new());
        let parts = parts(12);
        let lacking = each(&parts, 4, |part| {
            let mut state_now = state.lock();
            let (begun, over) = &mut *state_now;
            *begun += 1;
            assert!(*begun - *over <= 4);
            changed.notify_all();
            // Each waits for three others that are under way with it, or were.
            let waited = changed.wait_while_for(&mut state_now, |(begun, _)| *begun < 4, PATIENCE);
            assert!(!waited.timed_out());
            state_now.1 += 1;
            Ok(part.file != parts[5].file)
        });
        assert_eq!(lacking.unwrap(), [&parts[5]]);
    }

    #[test]
    fn after_a_failure_none_is_begun() {
        let (begun, parts) = (AtomicUsize::new(0), parts(12));
        let failed = each(&parts, 1, |_| {
            begun.fetch_add(1, Ordering::Relaxed);
            Err(Failure::restart("planted"))
        });
        failed.unwrap_err();
        assert_eq!(begun.into_inner(), 1);
    }
}
