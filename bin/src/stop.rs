//! Signals, and leaving the process.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_rt::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::refusal::{End, Refusal};

/// Stops a job from anywhere: reading ends, the last epoch is committed, and [`Job::run`](crate::Job::run) returns.
/// Clones stop the same job.
#[derive(Clone, Debug)]
pub struct Stop {
    pulled: Arc<watch::Sender<bool>>,
    leaving: Arc<AtomicBool>,
}

impl Stop {
    /// One that nobody has pulled.
    pub fn new() -> Self {
        Self {
            pulled: Arc::new(watch::channel(false).0),
            leaving: Arc::default(),
        }
    }

    /// Stops the job that was given a clone of it, now or as soon as it begins.
    pub fn stop(&self) {
        self.pulled.send_replace(true);
    }

    /// Stops it, where several processes share the job, for good: the others take its partitions over at once.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
        self.stop();
    }

    /// Whether it was [left](Self::leave).
    pub(crate) fn leaving(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.leaving)
    }

    /// Resolves when it is pulled.
    pub(crate) async fn pulled(&self) {
        // The sender lives as long as this does.
        let _ = self.pulled.subscribe().wait_for(|stop| *stop).await;
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

/// The signals that ask for an end.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from now on. Must be called within the actix system.
    ///
    /// # Errors
    /// When the system does not let a process listen.
    pub(crate) fn listen() -> Result<Self, Refusal> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Refusal::new(format!("signals cannot be received: {error}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Interrupt,
            _ = self.terminate.recv() => Asked::Terminate,
        }
    }
}

/// Who asks for an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A person: Ctrl-C. Impatient the second time.
    Interrupt,
    /// A supervisor: SIGTERM. Some send it twice without meaning anything by it.
    Terminate,
}

/// Ends the process without waiting for calls that a query has given up on: a client that connects, a read of stdin.
pub(crate) fn leave(end: End) -> ! {
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().flush();
    let code = match end {
        End::Clean => 0,
        End::Failed => 1,
        End::Refused => 2,
    };
    // SAFETY: ends the process at once. Exit handlers of C libraries are left out on purpose, because threads of those
    // libraries may still run; everything that must be kept has been synced.
    unsafe { libc::_exit(code) }
}
