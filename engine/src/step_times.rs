//! How long each step of a query takes, of the records whose steps are timed.

use std::sync::Arc;

use parking_lot::Mutex;
use smol_str::SmolStr;

use crate::histogram::Histogram;

/// Upper bounds in tenths of a microsecond: 1 us to 0.1 s.
pub(crate) const BOUNDS: [u64; 11] = [
    10, 20, 50, 100, 200, 500, 1_000, 5_000, 20_000, 100_000, 1_000_000,
];

/// A histogram for each step by name, in tenths of a microsecond. All lanes of the query, in all its runs, write the same ones.
#[derive(Default)]
pub struct StepTimes {
    steps: Mutex<Vec<(SmolStr, Arc<Histogram>)>>,
}

impl StepTimes {
    /// The histogram of a step.
    pub(crate) fn of(&self, step: &SmolStr) -> Arc<Histogram> {
        let mut steps = self.steps.lock();
        if let Some((_, known)) = steps.iter().find(|(name, _)| name == step) {
            return Arc::clone(known);
        }
        let new = Arc::new(Histogram::default());
        steps.push((step.clone(), Arc::clone(&new)));
        new
    }

    /// The steps that records have gone through, as the lanes have them, with their times in tenths of a microsecond.
    pub fn all(&self) -> Vec<(SmolStr, Arc<Histogram>)> {
        let steps = self.steps.lock();
        let gone_through = steps.iter().filter(|(_, times)| times.max() > 0);
        gone_through.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_one_histogram_and_is_shown_once_a_record_has_gone_through_it() {
        let times = StepTimes::default();
        let (table, over) = ("payments".into(), "over by card".into());
        times.of(&table);
        times.of(&over).observe(40);
        times.of(&over).observe(60);
        let all = times.all();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].0.as_str(), all[0].1.count()), ("over by card", 2));
    }
}
