//! Signals, and leaving the process.

use std::io::Write;

use actix::System;
use actix_rt::signal::unix::{Signal, SignalKind, signal};

use crate::refusal::{End, Refusal};

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

    /// The next one's name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Ends the process without waiting for calls that a query has given up on: a client that connects, a read of stdin.
pub(crate) fn leave(end: End) -> ! {
    if let Some(system) = System::try_current() {
        system.stop();
    }
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
