//! The thread that speaks to the service: a runtime of its own, shared by all shards of a query.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use thalweg_engine::error::Failure;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How long requests that are on their way may hold up the end.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

/// The thread.
pub(super) struct Aside {
    handle: Handle,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Aside {
    /// Starts the thread.
    pub(super) fn start() -> Result<Self, Failure> {
        let failed = |error| Failure::restart(format!("no thread to speak to Kinesis on: {error}"));
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("kinesis".to_owned())
            .spawn(move || {
                // Told to stop, or nobody is left who could tell.
                let _ = runtime.block_on(stopped);
                runtime.shutdown_timeout(SHUTDOWN_MAX);
            })
            .map_err(failed)?;
        Ok(Self {
            handle,
            stop: Mutex::new(Some(stop)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Lets a task run there.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(task));
    }

    /// Lets a future run there and waits for what it gives. Blocks.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        question: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.spawn(async move {
            // Whoever asked may have gone.
            let _ = answer.send(question.await);
        });
        answered
            .recv()
            .map_err(|_| Failure::restart("the thread that speaks to Kinesis has ended"))
    }

    /// Ends all tasks and the thread. Blocks until it is gone.
    pub(super) fn close(&self) {
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
