//! What the lanes of a source ask a registry: each id once, aside from the rows.
//!
//! A record whose id is met for the first time waits in its lane. An id that the registry does not have is remembered for a
//! while, so that the records after it fail at once. A registry that is away is waited for.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use thalweg_engine::behalf::carrying;
use thalweg_engine::error::Failure;
use thalweg_engine::source::Health;

use super::cells::Named;
use super::registry::{Explained, Registry, Settings};
use crate::codecs::Adviser;

/// How long an id without a schema is not asked for again, and how many such are remembered.
const UNUSABLE_FOR: Duration = Duration::from_secs(10);
const UNUSABLE_MAX: usize = 1_000;
/// The pause before a registry that is away is asked again: the first, doubled up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

#[derive(Default)]
struct State {
    known: HashMap<u32, Arc<Named>>,
    unusable: HashMap<u32, (Instant, String)>,
    asked: HashMap<u32, Vec<Waker>>,
    away: Option<String>,
    denied: Option<String>,
    over: bool,
}

struct Shared {
    state: Mutex<State>,
    news: Condvar,
    registry: Registry,
}

/// The schemas that a source has met, and the thread that asks for others.
pub(crate) struct Questions {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What is known of an id.
pub(super) enum Answer {
    Schema(Arc<Named>),
    Unusable(String),
    /// It is being asked for.
    Open,
}

impl Questions {
    /// # Errors
    /// When there is no thread to ask with.
    pub(crate) fn open(settings: &Settings) -> Result<Arc<Self>, Failure> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            news: Condvar::new(),
            registry: Registry::new(settings),
        });
        let thread = std::thread::Builder::new()
            .name("schema-registry".to_owned())
            .spawn(carrying({
                let shared = Arc::clone(&shared);
                move || shared.serve()
            }))
            .map_err(|error| Failure::restart(format!("no thread for schemas: {error}")))?;
        Ok(Arc::new(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// What is known of the id; where nothing is, it is asked for.
    pub(super) fn look_up(&self, id: u32) -> Answer {
        let mut state = self.shared.state.lock();
        if let Some(schema) = state.known.get(&id) {
            return Answer::Schema(Arc::clone(schema));
        }
        if let Some((since, why)) = state.unusable.get(&id)
            && since.elapsed() < UNUSABLE_FOR
        {
            return Answer::Unusable(why.clone());
        }
        state.asked.entry(id).or_default();
        self.shared.news.notify_all();
        Answer::Open
    }

    /// Whether the id is still asked for; the waker is woken when it is not any more.
    pub(super) fn waits(&self, id: u32, waker: &Waker) -> bool {
        let mut state = self.shared.state.lock();
        let Some(waiting) = state.asked.get_mut(&id) else {
            return false;
        };
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        true
    }
}

impl Adviser for Questions {
    fn health(&self) -> Health {
        match &self.shared.state.lock().away {
            None => Health::Up,
            Some(reason) => Health::Down(reason.clone()),
        }
    }

    fn failure(&self) -> Option<Failure> {
        self.shared.state.lock().denied.clone().map(Failure::end)
    }

    fn close(&self) {
        self.shared.state.lock().over = true;
        self.shared.news.notify_all();
        self.shared.registry.close();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn serve(&self) {
        let mut pause = PAUSE;
        while let Some(id) = self.next() {
            let explained = self.registry.explain(id);
            let mut state = self.state.lock();
            match explained {
                Explained::Denied(reason) => {
                    state.denied = Some(reason);
                    // Whoever waits looks again, and ends the run.
                    let waiting: Vec<Waker> =
                        state.asked.values_mut().flat_map(std::mem::take).collect();
                    drop(state);
                    waiting.into_iter().for_each(Waker::wake);
                    return;
                }
                Explained::Away(reason) => {
                    if state.away.as_ref() != Some(&reason) {
                        tracing::warn!(target: "avro", "{reason}; trying again");
                    }
                    state.away = Some(reason);
                    let until = Instant::now() + pause;
                    while !state.over && !self.news.wait_until(&mut state, until).timed_out() {}
                    pause = (pause * 2).min(PAUSE_MAX);
                    continue;
                }
                Explained::Known(schema) => {
                    state.known.insert(id, Arc::new(Named::new(*schema)));
                }
                Explained::Unusable(why) => {
                    if state.unusable.len() >= UNUSABLE_MAX {
                        state.unusable.clear();
                    }
                    state.unusable.insert(id, (Instant::now(), why));
                }
            }
            pause = PAUSE;
            state.away = None;
            let waiting = state.asked.remove(&id);
            drop(state);
            waiting.into_iter().flatten().for_each(Waker::wake);
        }
    }

    /// Waits until an id is asked for; None at the end.
    fn next(&self) -> Option<u32> {
        let mut state = self.state.lock();
        while state.asked.is_empty() && !state.over {
            self.news.wait(&mut state);
        }
        match state.over {
            true => None,
            false => state.asked.keys().next().copied(),
        }
    }
}
