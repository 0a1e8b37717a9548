//! Blocking work aside from the row path, counted, so that a new run can wait until the old one's work is over; and work that
//! lets the row path go first.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::sync::Notify;

use crate::behalf::Behalf;

/// How long a piece of simulated work takes.
pub type Delay = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Where blocking work is done.
#[derive(Clone)]
pub struct Workers {
    simulated: Option<Delay>,
    /// Whether simulated work can be held up.
    can_wait: bool,
    running: Arc<Running>,
    /// Whom the work is for, where it is always the same.
    behalf: Option<&'static Behalf>,
}

#[derive(Default)]
struct Running {
    count: AtomicUsize,
    over: Notify,
}

/// Counts one piece of work for as long as it lives.
struct Counted(Arc<Running>);

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.over.notify_waiters();
        }
    }
}

impl Workers {
    /// On the runtime's pool of threads for blocking work.
    pub fn pool() -> Self {
        Self {
            simulated: None,
            can_wait: false,
            running: Arc::default(),
            behalf: None,
        }
    }

    /// The same, for a query: what the work writes to the log says so.
    pub fn pool_of(query: &str) -> Self {
        Self {
            behalf: Some(Behalf::of(query, None)),
            ..Self::pool()
        }
    }

    /// On the caller's thread, after a delay of its clock: for simulations, where everything happens in one order.
    pub fn simulated(delay: Delay) -> Self {
        Self {
            simulated: Some(delay),
            can_wait: false,
            running: Arc::default(),
            behalf: None,
        }
    }

    /// The same, where the work waits in the middle while others go on, wherever it calls [`hold_up`]. One alone goes on at a time.
    pub fn held_up(delay: Delay) -> Self {
        Self {
            can_wait: true,
            ..Self::simulated(delay)
        }
    }

    /// Does the work. It goes on to its end even if the future is dropped. None when it panicked.
    pub fn run<T: Send + 'static, W: FnOnce() -> T + Send + 'static>(
        &self,
        work: W,
    ) -> impl Future<Output = Option<T>> + use<T, W> {
        self.running.count.fetch_add(1, Ordering::AcqRel);
        let counted = Counted(Arc::clone(&self.running));
        let behalf = self.behalf;
        let work = move || {
            let _counted = counted;
            let _for = behalf.map(Behalf::enter);
            work()
        };
        let handle = match &self.simulated {
            None => {
                let work = move || Some(work());
                tokio::task::spawn_blocking(work)
            }
            Some(delay) => {
                let (delay, can_wait) = (delay(), self.can_wait);
                tokio::task::spawn_local(async move {
                    actix::clock::sleep(delay).await;
                    if can_wait {
                        return turns(work).await;
                    }
                    Some(work())
                })
            }
        };
        async move { handle.await.ok().flatten() }
    }

    /// Resolves when no work is under way.
    pub async fn settled(&self) {
        loop {
            let over = self.running.over.notified();
            tokio::pin!(over);
            // Registered before the look, so that the last piece cannot end unseen in between.
            over.as_mut().enable();
            if self.running.count.load(Ordering::Acquire) == 0 {
                return;
            }
            over.await;
        }
    }
}

thread_local! {
    /// Where work that can be held up says for how long, and hears that it goes on.
    static TURN: RefCell<Option<(Sender<Duration>, Receiver<()>)>> = const { RefCell::new(None) };
}

/// Simulated work waits for so long while others go on; all other work goes on at once. No lock may be held that others take.
pub fn hold_up(time: Duration) {
    TURN.with_borrow(|turn| {
        let Some((say, go_on)) = turn else { return };
        if say.send(time).is_err() || go_on.recv().is_err() {
            // The simulation is over.
            std::panic::resume_unwind(Box::new("over"));
        }
    });
}

/// Does work on a thread of its own, which goes on only while the caller waits for it. None when it panicked.
async fn turns<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let ((say, said), (go, go_on)) = (channel(), channel());
    let thread = std::thread::spawn(move || {
        TURN.set(Some((say, go_on)));
        let done = work();
        TURN.take();
        done
    });
    // Ends when the thread does, which then says nothing any more.
    while let Ok(time) = said.recv() {
        actix::clock::sleep(time).await;
        if go.send(()).is_err() {
            break;
        }
    }
    thread.join().ok()
}

/// How much less of a busy processor the work has that yields: at 10, a tenth of what a lane has there.
const NICENESS: libc::c_int = 10;

/// The same work for a thread of its own that lanes go before where the processors are busy: for what may take long and that
/// no record and no epoch waits for, as loading a model.
pub fn yielding<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    move || {
        // SAFETY: sets the priority of this thread; no memory is passed. Where the system refuses, nothing is lost but the
        // precedence.
        #[cfg(target_os = "linux")]
        unsafe {
            let before = libc::getpriority(libc::PRIO_PROCESS, 0);
            libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS.max(before));
        }
        work()
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn work_that_yields_does_so_on_its_own_thread_alone() {
        // SAFETY: as above.
        let niceness = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let before = niceness();
        let aside = std::thread::spawn(yielding(niceness)).join().unwrap();
        assert_eq!((aside, niceness()), (NICENESS.max(before), before));
    }
}
