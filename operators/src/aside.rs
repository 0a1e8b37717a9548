//! A thread that speaks to a service: a runtime of its own, shared by all that one table asks.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use thalweg_engine::behalf::carrying;
use thalweg_engine::error::Failure;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How long requests that are on their way may hold up the end.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

/// The thread.
pub(crate) struct Aside {
    /// What it speaks to.
    with: &'static str,
    handle: Handle,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Aside {
    /// Starts the thread that speaks to a service of this name.
    pub(crate) fn start(with: &'static str) -> Result<Self, Failure> {
        let failed = |error| Failure::restart(format!("no thread to speak to {with} on: {error}"));
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(with.to_lowercase())
            .spawn(carrying(move || {
                // Told to stop, or nobody is left who could tell.
                let _ = runtime.block_on(stopped);
                runtime.shutdown_timeout(SHUTDOWN_MAX);
            }))
            .map_err(failed)?;
        Ok(Self {
            with,
            handle,
            stop: Mutex::new(Some(stop)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Lets a task run there.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(task));
    }

    /// Lets a future run there and waits for what it gives. Blocks.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        question: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.spawn(async move {
            // Whoever asked may have gone.
            let _ = answer.send(question.await);
        });
        answered.recv().map_err(|_| {
            Failure::restart(format!("the thread that speaks to {} has ended", self.with))
        })
    }

    /// Ends all tasks and the thread. Blocks until it is gone.
    pub(crate) fn close(&self) {
        drop(self.stop.lock().take());
        if let Some(thread) = self.thread.lock().take() {
            // A panic there is in the log already.
            let _ = thread.join();
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.close();
    }
}
