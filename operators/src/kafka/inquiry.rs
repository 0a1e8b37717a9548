//! Topics that a column names: asked for aside from the rows, once each.
//!
//! A record with a name that is met for the first time waits in its lane; a thread asks the broker for all names that
//! are waited for at once. A topic that was made a moment ago may need a few seconds to be seen. What is still missing
//! then is remembered as missing for a while, so that the records after it fail at once. A broker that is away is waited
//! for.

use std::collections::HashMap;
use std::task::Waker;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use thalweg_engine::error::Failure;

use super::scout::Scout;

/// How long a topic that is missing is not asked for again, and how many such topics are remembered.
const MISSING_FOR: Duration = Duration::from_secs(30);
const MISSING_MAX: usize = 1_000;
/// The pause between two questions for the same name.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// What is asked, and what is known to be missing.
#[derive(Default)]
pub(crate) struct Inquiry {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    asked: HashMap<String, Question>,
    missing: HashMap<String, (Instant, String)>,
    over: bool,
}

struct Question {
    since: Instant,
    waiting: Vec<Waker>,
}

impl Inquiry {
    /// Why the topic is known to be of no use; where nothing is known, the question is put.
    pub(crate) fn put(&self, name: &str) -> Option<String> {
        let mut state = self.state.lock();
        if let Some((since, reason)) = state.missing.get(name)
            && since.elapsed() < MISSING_FOR
        {
            return Some(reason.clone());
        }
        if !state.asked.contains_key(name) {
            let question = Question {
                since: Instant::now(),
                waiting: Vec::new(),
            };
            state.asked.insert(name.to_owned(), question);
            self.news.notify_all();
        }
        None
    }

    /// Whether the name is still asked for; the waker is woken when it is not any more.
    pub(crate) fn waits(&self, name: &str, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        let Some(question) = state.asked.get_mut(name) else {
            return false;
        };
        if !question.waiting.iter().any(|known| known.will_wake(waker)) {
            question.waiting.push(waker.clone());
        }
        true
    }

    /// Lets all who wait look again.
    pub(crate) fn wake_all(&self) {
        for question in self.state.lock().asked.values_mut() {
            question.waiting.drain(..).for_each(Waker::wake);
        }
    }

    /// Ends the thread as soon as the broker has answered its question, if it asks just now.
    pub(crate) fn close(&self) {
        self.state.lock().over = true;
        self.news.notify_all();
    }

    /// The thread: asks until it is closed. `add` makes a found topic, with so many partitions, one that can be written.
    pub(crate) fn serve(
        &self,
        scout: &Scout,
        add: impl Fn(&Scout, &str, i32) -> Result<Option<String>, Failure>,
    ) {
        let mut asked_before = false;
        while let Some(names) = self.open_questions(asked_before) {
            asked_before = true;
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let topics = scout.topics(&names).unwrap_or_else(|failure| {
                tracing::debug!(target: "kafka", "topics of a column: {failure}");
                Vec::new()
            });
            for topic in topics {
                let name = topic.name.clone();
                let outcome = match scout.judge(topic, self.waited(&name)) {
                    None => continue,
                    Some(Err(failure)) => Some(failure.message),
                    Some(Ok(topic)) => match add(scout, &name, topic.partitions) {
                        Ok(unusable) => unusable,
                        // The broker went away in between.
                        Err(failure) => {
                            tracing::debug!(target: "kafka", "topic `{name}` of a column: {failure}");
                            continue;
                        }
                    },
                };
                self.answer(&name, outcome);
            }
        }
    }

    /// Waits until something is asked, and a moment more where it was asked before; None at the end.
    fn open_questions(&self, asked_before: bool) -> Option<Vec<String>> {
        let mut state = self.state.lock();
        if asked_before && !state.asked.is_empty() && !state.over {
            self.news.wait_for(&mut state, AGAIN_AFTER);
        }
        while state.asked.is_empty() && !state.over {
            self.news.wait(&mut state);
        }
        (!state.over).then(|| state.asked.keys().cloned().collect())
    }

    fn waited(&self, name: &str) -> Duration {
        let state = self.state.lock();
        let question = state.asked.get(name);
        question.map_or(Duration::ZERO, |question| question.since.elapsed())
    }

    fn answer(&self, name: &str, missing: Option<String>) {
        let mut state = self.state.lock();
        if let Some(reason) = missing {
            if state.missing.len() >= MISSING_MAX {
                state.missing.clear();
            }
            state
                .missing
                .insert(name.to_owned(), (Instant::now(), reason));
        }
        let question = state.asked.remove(name);
        drop(state);
        for waker in question.into_iter().flat_map(|question| question.waiting) {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_asked_for_once_and_its_absence_is_remembered() {
        let inquiry = Inquiry::default();
        assert_eq!(inquiry.put("a"), None);
        assert_eq!(inquiry.put("a"), None);
        assert_eq!(inquiry.open_questions(false), Some(vec!["a".to_owned()]));
        assert!(inquiry.waits("a", Waker::noop()));
        inquiry.answer("a", Some("it does not exist".to_owned()));
        assert!(!inquiry.waits("a", Waker::noop()));
        assert_eq!(inquiry.put("a"), Some("it does not exist".to_owned()));
        assert_eq!(inquiry.put("b"), None);
        inquiry.answer("b", None);
        assert!(!inquiry.waits("b", Waker::noop()));
        inquiry.close();
        assert_eq!(inquiry.open_questions(false), None);
    }
}
