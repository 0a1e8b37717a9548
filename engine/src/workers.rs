//! Blocking work aside from the row path, counted, so that a new run can wait until the old one's work is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Where blocking work is done.
#[derive(Clone)]
pub struct Workers {
    inline: bool,
    running: Arc<Running>,
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
            inline: false,
            running: Arc::default(),
        }
    }

    /// At once, on the caller's thread: for simulations, where everything must happen in one order.
    pub fn inline() -> Self {
        Self {
            inline: true,
            running: Arc::default(),
        }
    }

    /// Does the work. It goes on to its end even if the future is dropped. None when it panicked.
    pub fn run<T: Send + 'static, W: FnOnce() -> T + Send + 'static>(
        &self,
        work: W,
    ) -> impl Future<Output = Option<T>> + use<T, W> {
        self.running.count.fetch_add(1, Ordering::AcqRel);
        let counted = Counted(Arc::clone(&self.running));
        let started = if self.inline {
            let done = work();
            drop(counted);
            Ok(done)
        } else {
            Err(tokio::task::spawn_blocking(move || {
                let _counted = counted;
                work()
            }))
        };
        async move {
            match started {
                Ok(done) => Some(done),
                Err(handle) => handle.await.ok(),
            }
        }
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
