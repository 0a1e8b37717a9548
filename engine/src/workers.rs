//! Blocking work aside from the row path, counted, so that a new run can wait until the old one's work is over; and work that
//! lets the row path go first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::behalf::Behalf;

/// How long a piece of simulated work takes.
pub type Delay = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Where blocking work is done.
#[derive(Clone)]
pub struct Workers {
    simulated: Option<Delay>,
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
            running: Arc::default(),
            behalf: None,
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
            None => tokio::task::spawn_blocking(work),
            Some(delay) => {
                let delay = delay();
                tokio::task::spawn_local(async move {
                    actix::clock::sleep(delay).await;
                    work()
                })
            }
        };
        async move { handle.await.ok() }
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
