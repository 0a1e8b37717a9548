//! When a query gets a new run, and when it is given up. Pure.
//!
//! | the run ended with | then |
//! | --- | --- |
//! | something to mend first, or an error that a restart cannot heal | the query ends |
//! | another process that goes on from the checkpoints | the query ends |
//! | the same error at the same record for the third time | the query ends |
//! | more failures than `restartsMax` | the query ends |
//! | runs have failed for `outageTimeout`, and nothing was committed in between | the query ends |
//! | anything else | a new run after a pause: 100 ms, doubled up to 10 s, from the start again after a committed epoch |

use std::time::Duration;

use crate::epoch::coordinator::RunEnd;
use crate::error::{Failure, Remedy};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
const SAME_RECORD_MAX: u32 = 3;

/// What to do after a failed run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Begin a new run after this pause.
    Restart(Duration),
    /// Give up, for this reason.
    End(Failure),
}

/// The history of failed runs of one query.
#[derive(Debug)]
pub struct Restarts {
    max: Option<u32>,
    outage_max: Option<Duration>,
    count: u32,
    pause: Duration,
    same: Option<(String, String, u32)>,
    /// When the first of the runs failed that have committed nothing since.
    failing_since: Option<Duration>,
}

impl Restarts {
    /// No run has failed yet; at most `max` may, and for `outage_max` without anything committed in between.
    pub fn new(max: Option<u32>, outage_max: Option<Duration>) -> Self {
        Self {
            max,
            outage_max,
            count: 0,
            pause: FIRST,
            same: None,
            failing_since: None,
        }
    }

    /// Decides after a run that ended with `failure`, `now` after the start of the query.
    pub fn decide(&mut self, failure: &Failure, end: &RunEnd, now: Duration) -> Decision {
        if failure.remedy != Remedy::Restart || end.fenced {
            return Decision::End(failure.clone());
        }
        if let Some(at) = &end.at {
            let times = match &self.same {
                Some((place, message, times)) if place == at && *message == failure.message => {
                    times + 1
                }
                _ => 1,
            };
            self.same = Some((at.clone(), failure.message.clone(), times));
            if times >= SAME_RECORD_MAX {
                return Decision::End(Failure::end(format!(
                    "{} (the third time at this record: {at})",
                    failure.message
                )));
            }
        }
        self.count += 1;
        if self.max.is_some_and(|max| self.count > max) {
            return Decision::End(Failure::end(format!(
                "{} (restartsMax = {} is reached)",
                failure.message,
                self.count - 1
            )));
        }
        if end.committed > 0 {
            self.pause = FIRST;
            self.failing_since = None;
        }
        let since = *self.failing_since.get_or_insert(now);
        let left = self.outage_max.map(|max| (since + max).saturating_sub(now));
        if let Some(max) = self.outage_max
            && left.is_some_and(|left| left.is_zero())
        {
            return Decision::End(given_up(&failure.message, max));
        }
        let pause = self.pause.min(left.unwrap_or(LONGEST));
        self.pause = (self.pause * 2).min(LONGEST);
        Decision::Restart(pause)
    }
}

/// The end of a query that has waited for as long as it may.
pub(crate) fn given_up(why: &str, max: Duration) -> Failure {
    Failure::end(format!(
        "{why} (given up after {} s, as outageTimeout says; the next start goes on from the newest checkpoint)",
        max.as_secs_f64()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::ZERO;

    fn end(at: Option<&str>, committed: u64) -> RunEnd {
        RunEnd {
            failure: None,
            at: at.map(str::to_owned),
            committed,
            fenced: false,
            waited: None,
        }
    }

    #[test]
    fn an_outage_is_waited_out_for_ever_with_growing_pauses() {
        let mut restarts = Restarts::new(None, None);
        let away = Failure::restart("the broker is away");
        for n in 0..50 {
            let expected = (FIRST * 2_u32.pow(n.min(20))).min(LONGEST);
            assert_eq!(
                restarts.decide(&away, &end(None, 0), START),
                Decision::Restart(expected)
            );
        }
        assert_eq!(
            restarts.decide(&away, &end(None, 1), START),
            Decision::Restart(FIRST)
        );
    }

    #[test]
    fn three_runs_that_fall_at_one_record_with_one_error_end_the_query() {
        let mut restarts = Restarts::new(None, None);
        let panic = Failure::restart("the lane panicked");
        let place = end(Some("t/0@7"), 1);
        assert!(matches!(
            restarts.decide(&panic, &place, START),
            Decision::Restart(_)
        ));
        assert!(matches!(
            restarts.decide(&panic, &place, START),
            Decision::Restart(_)
        ));
        assert!(matches!(
            restarts.decide(&panic, &place, START),
            Decision::End(_)
        ));
    }

    #[test]
    fn another_record_in_between_begins_the_count_anew() {
        let mut restarts = Restarts::new(None, None);
        let panic = Failure::restart("the lane panicked");
        for at in ["t/0@7", "t/0@7", "t/0@8", "t/0@7", "t/0@7"] {
            assert!(matches!(
                restarts.decide(&panic, &end(Some(at), 1), START),
                Decision::Restart(_)
            ));
        }
    }

    #[test]
    fn what_a_restart_cannot_heal_ends_at_once() {
        let failure = Failure::end("topic deleted");
        assert_eq!(
            Restarts::new(None, None).decide(&failure, &end(None, 5), START),
            Decision::End(failure)
        );
    }

    #[test]
    fn restarts_max_is_obeyed() {
        let mut restarts = Restarts::new(Some(1), None);
        let away = Failure::restart("x");
        assert!(matches!(
            restarts.decide(&away, &end(None, 0), START),
            Decision::Restart(_)
        ));
        assert!(matches!(
            restarts.decide(&away, &end(None, 0), START),
            Decision::End(_)
        ));
    }

    #[test]
    fn an_outage_that_has_a_limit_is_tried_once_more_when_it_is_reached_and_then_ends_the_query() {
        let limit = Duration::from_secs(60);
        let mut restarts = Restarts::new(None, Some(limit));
        let away = Failure::restart("the store is away");
        let mut now = Duration::from_secs(7);
        let began = now;
        let ended = loop {
            match restarts.decide(&away, &end(None, 0), now) {
                Decision::Restart(pause) => now += pause,
                Decision::End(failure) => break failure,
            }
        };
        assert_eq!(now - began, limit);
        assert_eq!(ended.remedy, Remedy::End);
        assert!(ended.message.contains("the store is away"), "{ended}");
        assert!(ended.message.contains("given up after 60 s"), "{ended}");
    }

    #[test]
    fn what_is_committed_in_between_begins_the_time_of_an_outage_anew() {
        let mut restarts = Restarts::new(None, Some(Duration::from_secs(60)));
        let away = Failure::restart("the store is away");
        for minute in 0..10 {
            let now = Duration::from_secs(50 * minute);
            assert!(matches!(
                restarts.decide(&away, &end(None, 1), now),
                Decision::Restart(_)
            ));
        }
    }
}
