//! Whether anybody commits epochs at a place that no lock keeps: an object store, or the checkpoints of a partition whose job
//! several processes share. A job that runs shows itself there by its epochs alone.

use std::time::Duration;

use thalweg_engine::epoch::checkpoint::USUAL_INTERVAL_MAX;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::record::Micros;

use crate::console;
use crate::refusal::Refusal;
use thalweg_engine::clock::now;

/// So many of the newest epochs say how often a job commits that does not tell its interval, because it is a usual one.
const EPOCHS: usize = 5;
/// What is taken for the interval where a run has committed too few epochs to tell.
const UNTOLD: Duration = USUAL_INTERVAL_MAX;
/// Shorter intervals are taken for this.
const LEAST: Duration = Duration::from_secs(1);
/// Epochs without an interval that are further apart are those of a slow store, or of a job that was stopped for a while.
const MOST: Duration = Duration::from_secs(60);
/// Whoever has to wait longer is told what spares him that.
const LONG: Duration = Duration::from_secs(30);
/// How often to look for a new epoch.
const LOOK: Duration = Duration::from_millis(200);

/// An epoch: which run committed it, when, and how long the next one may take as it says.
#[derive(Clone, Debug)]
struct Mark {
    run: String,
    at: Micros,
    interval: Option<Micros>,
}

/// Waits until a job that runs would have committed another epoch.
///
/// # Errors
/// When one comes, or the place cannot be read.
pub(crate) fn wait(log: &CheckpointLog) -> Result<(), Refusal> {
    if log.store().locked() {
        return Ok(());
    }
    let kept = log.list()?;
    let Some(newest) = kept.last() else {
        return Ok(());
    };
    let marks: Vec<Mark> = kept[kept.len().saturating_sub(EPOCHS)..]
        .iter()
        // A damaged one tells nothing.
        .filter_map(|kept| log.read(kept.epoch).ok())
        .map(|checkpoint| Mark {
            run: checkpoint.run,
            at: checkpoint.committed_at,
            interval: checkpoint.interval,
        })
        .collect();
    let mut left = left(&marks, now());
    if left > LEAST {
        let hint = if left > LONG {
            " If you know that it is stopped, say --stopped."
        } else {
            ""
        };
        console::line(&format!(
            "Looking for {} s whether the job still runs: it would commit an epoch meanwhile.{hint}",
            left.as_secs()
        ));
    }
    while !left.is_zero() {
        std::thread::sleep(LOOK.min(left));
        left = left.saturating_sub(LOOK);
        unchanged(log, newest.epoch)?;
    }
    Ok(())
}

/// Whether this epoch is still the newest.
///
/// # Errors
/// When another has been committed: the job runs.
pub(crate) fn unchanged(log: &CheckpointLog, epoch: u64) -> Result<(), Refusal> {
    if log.store().locked() {
        return Ok(());
    }
    match log.list()?.last() {
        Some(last) if last.epoch > epoch => Err(Refusal::new(format!(
            "the job runs: epoch {} was committed in {} just now. Stop it first, then do this again. Nothing was changed.",
            last.epoch,
            log.location()
        ))),
        _ => Ok(()),
    }
}

/// How long to look yet, after the newest of these epochs: twice the interval of a job that committed them.
fn left(marks: &[Mark], now: Micros) -> Duration {
    let Some(newest) = marks.last() else {
        return Duration::ZERO;
    };
    let own: Vec<Micros> = marks
        .iter()
        .filter(|mark| mark.run == newest.run)
        .map(|mark| mark.at)
        .collect();
    let gaps = own.windows(2).map(|pair| micros(pair[1] - pair[0]));
    // The first epoch of a run comes early, so one gap says nothing.
    let seen = gaps.max().filter(|_| own.len() > 2).unwrap_or(UNTOLD);
    let interval = match newest.interval {
        Some(said) => micros(said),
        None => seen.min(MOST),
    };
    // Where the clock of the job's machine is ahead nothing of the time has passed.
    let passed = micros(now - newest.at);
    (interval.max(LEAST) * 2 + LEAST).saturating_sub(passed)
}

fn micros(micros: Micros) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;

    fn marks(of: &[(&str, Micros)]) -> Vec<Mark> {
        let marks = of.iter().map(|(run, at)| Mark {
            run: (*run).to_owned(),
            at: at * SECOND,
            interval: None,
        });
        marks.collect()
    }

    #[test]
    fn a_job_is_looked_for_as_long_as_its_epochs_are_apart() {
        let marks = marks(&[("a", 0), ("b", 500), ("b", 510), ("b", 520)]);
        assert_eq!(left(&marks, 520 * SECOND), Duration::from_secs(21));
        assert_eq!(left(&marks, 530 * SECOND), Duration::from_secs(11));
        assert_eq!(left(&marks, 600 * SECOND), Duration::ZERO);
        // The job's clock is ahead of ours.
        assert_eq!(left(&marks, 100 * SECOND), Duration::from_secs(21));
    }

    #[test]
    fn the_first_epochs_of_a_run_do_not_say_how_far_apart_the_next_ones_are() {
        let two = marks(&[("a", 0), ("b", 500), ("b", 500)]);
        assert_eq!(left(&two, 500 * SECOND), Duration::from_secs(11));
        assert_eq!(left(&[], 0), Duration::ZERO);
    }

    #[test]
    fn epochs_far_apart_are_waited_for_within_reason() {
        let far = marks(&[("b", 0), ("b", 900), ("b", 1_800)]);
        assert_eq!(left(&far, 1_800 * SECOND), Duration::from_secs(121));
    }

    #[test]
    fn a_job_that_says_its_interval_is_looked_for_as_long_from_its_first_epoch_on() {
        let mut first = marks(&[("b", 0)]);
        first[0].interval = Some(900 * SECOND);
        assert_eq!(left(&first, 100 * SECOND), Duration::from_secs(1_701));
        // The last epoch of a run says none.
        let mut ended = [first, marks(&[("b", 900)])].concat();
        assert_eq!(left(&ended, 900 * SECOND), Duration::from_secs(11));
        ended[1].interval = Some(10 * SECOND);
        assert_eq!(left(&ended, 900 * SECOND), Duration::from_secs(21));
    }
}
