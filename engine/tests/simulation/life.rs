//! One life of a simulated process, as exchanges and numbered lanes have it: a query on paused time, and what is appended
//! meanwhile.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::System;
use actix::clock::sleep;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::error::Failure;
use thalweg_engine::metrics::Metrics;
use thalweg_engine::plan::Plan;
use thalweg_engine::query::{Host, Query, Settings};
use thalweg_engine::status::QueryStatus;
use thalweg_engine::workers::Workers;
use tokio::sync::watch;

use super::files::Disk;
use super::{Bug, Dice, Fate, World};

impl World {
    /// A world in which nothing has happened yet.
    pub(crate) fn new(seed: u64, bug: Bug) -> Self {
        Self {
            dice: Dice::new(seed),
            bug,
            delivered: Arc::default(),
            windows: Arc::default(),
            wrong: Arc::default(),
            objects: Arc::default(),
            locked: seed.is_multiple_of(2),
            disk: Disk::default(),
            calm: Arc::default(),
        }
    }

    fn query(&self, plan: Arc<dyn Plan>, bounded: bool) -> Query {
        let (dice, metrics) = (self.dice.clone(), Metrics::new());
        Query {
            job: "simulated".into(),
            name: "q".into(),
            plan,
            settings: Settings {
                checkpoint_interval: Duration::from_millis(20),
                epoch_timeout: Duration::from_secs(2),
                checkpoints_kept: 3,
                checkpoint_history: false,
                bounded,
                // Over everything; a query that has all its state already reads nothing back.
                warm_up: Some(Duration::from_secs(1)),
                ..Settings::default()
            },
            log: Arc::new(CheckpointLog::new(Arc::new(self.clone()), 3, false)),
            host: Host {
                arbiters: Vec::new(),
                workers: Workers::simulated(Arc::new(move || dice.millis(15))),
                budget: Arc::default(),
            },
            status: Arc::new(QueryStatus::new("q", metrics.query("q"))),
            group: None,
        }
    }

    /// One life of the process. Gives what the query ended with, if it came to an end.
    pub(crate) fn live(
        &self,
        plan: Arc<dyn Plan>,
        fate: &Fate,
        appending: impl Future<Output = ()>,
    ) -> Option<Result<(), Failure>> {
        let system = System::with_tokio_rt(|| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().start_paused(true).build();
            runtime.expect("a runtime")
        });
        let (tell, told) = watch::channel(false);
        let query = self.query(plan, matches!(fate, Fate::Bounded));
        system.block_on(async {
            let running = query.run(told);
            let appending = async {
                appending.await;
                std::future::pending::<()>().await;
            };
            let deadline = async {
                match fate {
                    Fate::Killed(after) => return sleep(*after).await,
                    Fate::Stopped(after) => {
                        sleep(*after).await;
                        tell.send(true).expect("the query listens");
                    }
                    Fate::Bounded => {}
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                ended = running => Some(ended),
                () = deadline => None,
                () = appending => None,
            }
        })
    }

    /// Life after life, the last one in calm, until that has read everything. `live` appends, and says whether all is
    /// there.
    ///
    /// # Errors
    /// The failure with which the query gave up, where nothing was planted.
    pub(crate) fn lives(
        &self,
        mut live: impl FnMut(&Fate) -> (Option<Result<(), Failure>>, bool),
    ) -> Result<(), Failure> {
        let mut all = false;
        for life in 0.. {
            let after = self.dice.millis(200);
            let calm = life > self.dice.roll(6) && all;
            self.calm.store(calm, Ordering::Relaxed);
            let fate = match self.dice.roll(4) {
                _ if calm => Fate::Bounded,
                0 => Fate::Stopped(after),
                1 => Fate::Bounded,
                _ => Fate::Killed(after),
            };
            let (ended, now) = live(&fate);
            all = now;
            match ended {
                Some(Err(failure))
                    if !failure.message.contains("planted")
                        && !failure.message.contains("panicked") =>
                {
                    return Err(failure);
                }
                Some(Ok(())) if calm => break,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Planted panics are expected: their messages would hide everything else.
pub(crate) fn quiet() {
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.to_string().contains("planted") {
            shown(info);
        }
    }));
}
