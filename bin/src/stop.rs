//! Signals, and leaving the process.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_rt::signal::unix::{Signal, SignalKind, signal};
use thalweg_engine::error::Failure;
use thalweg_engine::query::STOPPED_LATE;
use thalweg_engine::status::{Phase, QueryStatus};
use tokio::sync::{oneshot, watch};

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

/// How long after Ctrl-C another SIGINT is the same one: a terminal sends it to the whole group of processes, and a wrapper
/// among them may hand it on.
const ECHO: Duration = Duration::from_millis(500);

/// How often Ctrl-C was pressed, whatever number of signals each one made.
#[derive(Debug, Default)]
struct Presses {
    last: Option<Instant>,
}

impl Presses {
    /// Whether a signal of this moment is a press of its own.
    fn is_new(&mut self, now: Instant) -> bool {
        let echo = self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < ECHO);
        if !echo {
            self.last = Some(now);
        }
        !echo
    }
}

/// The signals that ask for an end.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// None where the process is to outlive its terminal, as `nohup` wants it.
    hangup: Option<Signal>,
    presses: Presses,
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
            hangup: (!is_ignored(libc::SIGHUP))
                .then(|| listen(SignalKind::hangup()))
                .transpose()?,
            presses: Presses::default(),
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Asked {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => if self.presses.is_new(Instant::now()) {
                    return Asked::Interrupt;
                },
                _ = self.terminate.recv() => return Asked::Terminate,
                () = hung_up(&mut self.hangup) => return Asked::HangUp,
            }
        }
    }
}

/// The next SIGHUP; never where nobody listens for it.
async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Ends the process at a signal as long as what is given lives: what a start looks at, a store of checkpoints, may answer late or
/// never, and until it has nobody else hears. Nothing has begun then, and nothing is lost.
pub(crate) fn while_starting() -> oneshot::Sender<()> {
    let (over, ended) = oneshot::channel();
    listening("start", async move {
        let Ok(mut signals) = Signals::listen() else {
            return;
        };
        tokio::select! {
            // The job hears by itself from then on.
            biased;
            _ = ended => {}
            asked = signals.next() => {
                tracing::info!("{}: the job ends before it has begun", asked.name());
                leave(End::Clean)
            }
        }
    });
    over
}

/// Does this on a thread of its own.
fn listening(name: &str, work: impl Future<Output = ()> + Send + 'static) {
    let working = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime {
            runtime.block_on(work);
        }
    };
    let thread = std::thread::Builder::new().name(name.to_owned());
    if let Err(error) = thread.spawn(working) {
        tracing::warn!(%error, "no thread hears signals beside the others");
    }
}

/// What a watch over the stop of a job needs to know.
pub(crate) struct Watch {
    pub(crate) queries: Vec<Arc<QueryStatus>>,
    /// How long the process may take to end once it was asked to.
    pub(crate) patience: Duration,
    /// Says when it is stopped otherwise than by a signal.
    pub(crate) stopped: watch::Receiver<bool>,
    /// The temporary folder, to be removed.
    pub(crate) leftover: Option<PathBuf>,
}

impl Watch {
    /// Ends the process where it does not end by itself in time. A lane that computes one record for minutes hears nothing, and
    /// where lanes live on the main thread that one hears no signal either: so this is a thread with ears of its own. It is over
    /// when what is given is dropped.
    pub(crate) fn begin(self) -> oneshot::Sender<()> {
        let (over, ended) = oneshot::channel();
        listening("stop", self.watch(ended));
        over
    }

    async fn watch(mut self, ended: oneshot::Receiver<()>) {
        let Ok(signals) = Signals::listen() else {
            return;
        };
        let overdue = overdue(signals, &mut self.stopped, self.patience);
        tokio::select! {
            _ = ended => {}
            () = overdue => self.give_up(),
        }
    }

    /// Says which queries have not ended, and ends the process.
    fn give_up(&self) -> ! {
        for query in &self.queries {
            if !matches!(query.phase().0, Phase::Ended | Phase::Failed(_)) {
                let why = format!("{STOPPED_LATE}. It waited: {AT_A_RECORD}");
                query.set(Phase::Failed(Failure::end(why)));
            }
        }
        give_up(self.leftover.as_deref())
    }
}

/// What a query does that has not even heard that it is to end.
const AT_A_RECORD: &str = "a record is being computed that takes longer than that";

/// Resolves so long after the stop, or soon after Ctrl-C was pressed again.
async fn overdue(mut signals: Signals, stopped: &mut watch::Receiver<bool>, patience: Duration) {
    let mut pressed = tokio::select! {
        asked = signals.next() => asked == Asked::Interrupt,
        _ = stopped.wait_for(|stop| *stop) => false,
    };
    let over = actix_rt::time::sleep(patience);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => return,
            asked = signals.next() => if asked == Asked::Interrupt && std::mem::replace(&mut pressed, true) {
                over.set(actix_rt::time::sleep(ECHO));
            },
        }
    }
}

/// Whether the process was started to ignore a signal.
fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action the call fills in the present one when it returns 0, and only then it is read.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// Who asks for an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A person: Ctrl-C. Impatient the second time.
    Interrupt,
    /// A terminal that is gone: SIGHUP.
    HangUp,
    /// A supervisor: SIGTERM. Some send it twice without meaning anything by it.
    Terminate,
}

impl Asked {
    /// As users know it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "Ctrl-C",
            Self::HangUp => "SIGHUP",
            Self::Terminate => "SIGTERM",
        }
    }
}

/// Ends a job whose queries have not ended, and removes its temporary folder.
pub(crate) fn give_up(leftover: Option<&Path>) -> ! {
    if let Some(leftover) = leftover {
        let _ = std::fs::remove_dir_all(leftover);
    }
    leave(End::Failed)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ctrl_c_that_arrives_several_times_is_one() {
        let mut presses = Presses::default();
        let began = Instant::now();
        let pressed = [0, 1, 300, 499, 500, 900, 5_000];
        let new = pressed.map(|millis| presses.is_new(began + Duration::from_millis(millis)));
        assert_eq!(new, [true, false, false, false, true, false, true]);
    }
}
