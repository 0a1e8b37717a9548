//! Who is told that something is loaded aside while rows go on: a version of a model, the files of a static table.

use parking_lot::Mutex;

/// Called with true when loading begins, with false when it is over, whatever came of it.
type Told = Box<dyn Fn(bool) + Send + Sync>;

/// All who are told.
#[derive(Default)]
pub struct Hearing(Mutex<Vec<Told>>);

impl std::fmt::Debug for Hearing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} who are told", self.0.lock().len())
    }
}

impl Hearing {
    /// Tells one more from now on.
    pub fn add(&self, told: impl Fn(bool) + Send + Sync + 'static) {
        self.0.lock().push(Box::new(told));
    }

    /// Does the work and tells of it.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.tell(true);
        let done = work();
        self.tell(false);
        done
    }

    fn tell(&self, begins: bool) {
        for told in &*self.0.lock() {
            told(begins);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn everybody_hears_of_the_begin_and_of_the_end() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Hearing::default();
        for name in ["a", "b"] {
            let heard = Arc::clone(&heard);
            hearing.add(move |begins| heard.lock().push((name, begins)));
        }
        let done = hearing.during(|| {
            assert_eq!(*heard.lock(), [("a", true), ("b", true)]);
            7
        });
        assert_eq!(done, 7);
        assert_eq!(heard.lock()[2..], [("a", false), ("b", false)]);
    }
}
