//! The shadow aside: a version that scores every record too, on a thread of its own. Its answers are counted and go nowhere.
//! Where rows ask it themselves, `predict_shadow`, this thread is not there.

use std::sync::{Arc, Weak};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use smol_str::SmolStr;
use thalweg_engine::row::Value;
use thalweg_engine::workers::yielding;

use super::Model;
use super::runtime::Scorer;
use super::shelf::{Counters, count};

/// Records that may wait for the shadow; beyond them it leaves out.
const WAITING_MAX: usize = 4_096;

/// A record that was scored: its features in the order of the names given, and its score.
pub(crate) struct Sample {
    pub(super) values: Box<[Value]>,
    pub(super) score: f64,
}

/// Begins to score with the shadow that is in force. Ends when nobody can hand it anything any more.
///
/// # Errors
/// When there is no thread for it.
pub(super) fn begin(model: &Arc<Model>) -> Result<Sender<Sample>, String> {
    let (sender, samples) = bounded(WAITING_MAX);
    let weak = Arc::downgrade(model);
    std::thread::Builder::new()
        .name("shadow".to_owned())
        .spawn(yielding(move || score(&samples, &weak)))
        .map(|_| sender)
        .map_err(|error| format!("no thread for the shadow: {error}"))
}

/// Hands a sample to the shadow, unless it is behind.
pub(super) fn hand(sender: &Sender<Sample>, sample: Sample, counters: &Counters) {
    if sender.try_send(sample).is_err() {
        count(&counters.skipped);
    }
}

fn score(samples: &Receiver<Sample>, model: &Weak<Model>) {
    let mut seat: Option<(u64, Scorer, Vec<usize>)> = None;
    for sample in samples {
        let Some(model) = model.upgrade() else { return };
        let lineup = model.shelf.take().map(|(lineup, _)| lineup);
        let Some(edition) = lineup.as_ref().and_then(|lineup| lineup.shadow.as_ref()) else {
            return;
        };
        if seat
            .as_ref()
            .is_none_or(|(number, ..)| *number != edition.number)
        {
            // In the order in which samples have their features.
            let declared = model.declared.features.iter();
            let names: Vec<SmolStr> = declared.map(|feature| feature.name.clone()).collect();
            let places = edition.signature.places(&names, model.options.positional);
            seat = match (edition.scorer(), places) {
                (Ok(scorer), Ok(places)) => Some((edition.number, scorer, places)),
                _ => None,
            };
        }
        let counters = &model.counters;
        let Some((_, scorer, places)) = &mut seat else {
            count(&counters.shadow_errors);
            continue;
        };
        let begun = Instant::now();
        let values = sample.values.iter().zip(&*places);
        let set = values.map(|(value, place)| scorer.set(*place, value));
        let scored = match set.collect::<Result<(), _>>() {
            Ok(()) => scorer.score(),
            Err(why) => Err(why.to_owned()),
        };
        counters.shadow_time.observe_duration(begun.elapsed());
        match scored {
            Ok(score) => {
                counters.shadow_scored(score);
                counters.compared(sample.score, score);
            }
            Err(_) => count(&counters.shadow_errors),
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
