//! The shadow: a version that scores every record too, on a thread of its own. Its answer is recorded and goes nowhere.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::row::Value;
use thalweg_engine::workers::yielding;

use super::edition::Edition;
use super::runtime::Scorer;
use super::shelf::{Counters, count};

/// Records that may wait for the shadow; beyond them it leaves out.
const WAITING_MAX: usize = 4_096;

/// A record that was scored: its features in the order of the names given, and its score.
pub(crate) struct Sample {
    pub(super) values: Box<[Value]>,
    pub(super) score: f64,
}

/// The shadow's version, which may change while it scores.
pub(super) struct Shadow {
    pub(super) edition: Mutex<Arc<Edition>>,
    pub(super) sender: Sender<Sample>,
}

impl Shadow {
    /// Begins to score with this version. `names` are the features in the order in which they come.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(super) fn begin(
        edition: Arc<Edition>,
        names: Vec<SmolStr>,
        counters: Arc<Counters>,
        positional: bool,
    ) -> Result<Arc<Self>, String> {
        let (sender, samples) = bounded(WAITING_MAX);
        let shadow = Arc::new(Self {
            edition: Mutex::new(edition),
            sender,
        });
        let weak = Arc::downgrade(&shadow);
        let current = move || {
            weak.upgrade()
                .map(|shadow| Arc::clone(&shadow.edition.lock()))
        };
        std::thread::Builder::new()
            .name("shadow".to_owned())
            .spawn(yielding(move || {
                score(&samples, &current, &names, &counters, positional);
            }))
            .map_err(|error| format!("no thread for the shadow: {error}"))?;
        Ok(shadow)
    }
}

/// Hands a sample to the shadow, unless it is behind.
pub(super) fn hand(sender: &Sender<Sample>, sample: Sample, counters: &Counters) {
    if sender.try_send(sample).is_err() {
        count(&counters.skipped);
    }
}

fn score(
    samples: &Receiver<Sample>,
    current: &dyn Fn() -> Option<Arc<Edition>>,
    names: &[SmolStr],
    counters: &Counters,
    positional: bool,
) {
    let failed: &AtomicU64 = &counters.shadow_errors;
    let mut seat: Option<(u64, Scorer, Vec<usize>)> = None;
    for sample in samples {
        let Some(edition) = current() else { return };
        if seat
            .as_ref()
            .is_none_or(|(number, ..)| *number != edition.number)
        {
            let places = edition.signature.places(names, positional);
            seat = match (edition.scorer(), places) {
                (Ok(scorer), Ok(places)) => Some((edition.number, scorer, places)),
                _ => None,
            };
        }
        let Some((_, scorer, places)) = &mut seat else {
            count(failed);
            continue;
        };
        let values = sample.values.iter().zip(&*places);
        let set = values.map(|(value, place)| scorer.set(*place, value));
        let scored = match set.collect::<Result<(), _>>() {
            Ok(()) => scorer.score(),
            Err(why) => Err(why.to_owned()),
        };
        match scored {
            Ok(score) => {
                let apart = ((score - sample.score).abs() * 1e6).round();
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                counters.difference.observe(apart as u64);
                count(&counters.shadowed);
            }
            Err(_) => count(failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn what_a_shadow_that_is_behind_leaves_out_is_counted() {
        let (sender, samples) = bounded(2);
        let counters = Counters::default();
        let sample = |score| Sample {
            values: Box::new([Value::Float(1.0)]),
            score,
        };
        for score in [0.0, 1.0, 2.0] {
            hand(&sender, sample(score), &counters);
        }
        assert_eq!(counters.skipped.load(Ordering::Relaxed), 1);
        // It has caught up with one.
        drop(samples.recv());
        hand(&sender, sample(3.0), &counters);
        assert_eq!(counters.skipped.load(Ordering::Relaxed), 1);
        let left: Vec<f64> = samples.try_iter().map(|sample| sample.score).collect();
        assert_eq!(left, [1.0, 3.0]);
    }
}
