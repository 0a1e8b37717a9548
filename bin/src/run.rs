//! Runs a job: opens the checkpoint folders, starts the queries, waits for their end or for a signal.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix::prelude::*;
use tempfile::TempDir;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::measured::{StoreCounters, StoreMetrics};
use thalweg_engine::error::{Failure, Remedy};
use thalweg_engine::metrics::Metrics;
use thalweg_engine::query::{Group, Host, new_id};
use thalweg_engine::state::StateBudget;
use thalweg_engine::status::QueryStatus;
use thalweg_engine::workers::Workers;
use thalweg_operators::extensions::Extensions;
use thalweg_operators::plan;
use thalweg_operators::sinks::console::READER_GONE;
use thalweg_operators::sql::settings::Settings;
use thalweg_operators::sql::{Job, Overrides};
use thalweg_operators::table::OpenContext;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::RunArgs;
use crate::console;
use crate::folder;
use crate::hold;
use crate::http::{self, Http, Pulses, Sheet, Shown};
use crate::job_file;
use crate::leave::Exit;
use crate::loading;
use crate::member;
use crate::memory_limit;
use crate::models::{Rooms, Served, User};
use crate::open_files;
use crate::otel::Traces;
use crate::place::Place;
use crate::progress::Progress;
use crate::refusal::{End, Refusal};
use crate::renewal::{Again, Renewable, Watch};
use crate::static_tables::StaticTables;
use crate::stop::{self, Asked, Signals, Stop};
use crate::telemetry;
use crate::topics;
use crate::wiring::{self, Wired};
use crate::working_set;

/// Lanes are dealt over at most so many threads; more would cost memory before they save time.
const ARBITERS_MAX: usize = 8;

/// Blocking calls of a thread that may be under way at once: opening clients, writing checkpoints.
const BLOCKING_MAX: usize = 64;

/// A process that has not ended so long after all stop timeouts is ended: a stop that it has heard of takes less.
const WATCH_AFTER: Duration = Duration::from_secs(2);

/// How often to look whether somebody still reads what goes to a pipe.
const READER_INTERVAL: Duration = Duration::from_millis(100);

/// A job with all that the command line says of its run.
pub(crate) struct Launch {
    /// The job's name.
    pub(crate) name: String,
    /// The job.
    pub(crate) job: Job,
    /// Where HTTP is served.
    pub(crate) http: Option<Http>,
    /// `--fresh`.
    pub(crate) fresh: bool,
    /// `--accept-new-state`.
    pub(crate) accept_new_state: bool,
    /// `--fail-together`.
    pub(crate) fail_together: bool,
    /// The name of this process, where several share the job.
    pub(crate) member: Option<String>,
    /// When to stop by itself.
    pub(crate) until: Option<Duration>,
    /// Whether signals stop it.
    pub(crate) signals: bool,
    /// `--hold-on-refusal`.
    pub(crate) hold: bool,
    /// How it is read again when files of secrets change; None: it is not.
    pub(crate) again: Option<Again>,
    /// What stops it from elsewhere.
    pub(crate) stop: Stop,
}

/// What a run leaves behind.
pub(crate) struct Finished {
    /// How it ended.
    pub(crate) end: End,
    /// How each query ended, in their order.
    pub(crate) results: Results,
    /// Its queries with their counts.
    pub(crate) queries: Vec<Arc<QueryStatus>>,
}

/// `thalweg run`.
///
/// # Errors
/// When something must be mended before anything can begin.
pub(crate) fn run(args: &RunArgs, extensions: &Arc<Extensions>) -> Result<End, Refusal> {
    match begin(args, extensions) {
        Err(refusal) if args.hold_on_refusal && !refusal.passes() => {
            hold::refused(&args.http, refusal)
        }
        done => done,
    }
}

fn begin(args: &RunArgs, extensions: &Arc<Extensions>) -> Result<End, Refusal> {
    let again = Again {
        text: job_file::read(&args.job.job)?,
        path: args.job.job.clone(),
        overrides: Overrides {
            set: args.job.set.clone(),
            inputs: args.job.input.clone(),
            outputs: args.job.output.clone(),
            offline: false,
        },
        extensions: Arc::clone(extensions),
    };
    let loaded = job_file::check(&again.path, &again.text, &again.overrides, extensions)?;
    let member = member::name(args.member.as_deref(), &loaded.job.queries)?;
    let finished = live(Launch {
        name: loaded.name,
        job: loaded.job,
        http: http::listen(&args.http, args.token_file.as_deref())?,
        fresh: args.fresh,
        accept_new_state: args.accept_new_state,
        fail_together: args.fail_together,
        member,
        until: None,
        signals: true,
        hold: args.hold_on_refusal,
        again: Some(again),
        stop: Stop::new(),
    })?;
    Ok(finished.end)
}

/// What a start may do that is refused otherwise.
#[derive(Clone)]
struct Starting {
    fresh: bool,
    accept_new_state: bool,
    member: Option<String>,
    leaving: Arc<AtomicBool>,
}

/// A query that is ready to start, with what the end of the process needs to know of it.
struct Ready {
    query: Renewable,
    /// Where its checkpoints lie.
    place: Place,
    /// Whether it writes to stdout.
    shows: bool,
}

/// Lives until all queries have ended.
///
/// # Errors
/// When something must be mended before anything can begin.
pub(crate) fn live(launch: Launch) -> Result<Finished, Refusal> {
    open_files::enough()?;
    let starting = launch.signals.then(stop::while_starting);
    let metrics = Metrics::new();
    // Removed when the queries have ended.
    let mut temporary = None;
    let mut ready = Vec::new();
    let max = launch
        .job
        .queries
        .first()
        .map(|query| query.settings.state_memory_max);
    let budget = max.map(memory_limit::budget).unwrap_or_default();
    StaticTables::show(&launch.job.queries, metrics.registry());
    let from_files_only = launch
        .job
        .queries
        .first()
        .is_some_and(|query| query.settings.models_from_files_only);
    let sheet = Sheet::of(&launch.name, launch.member.as_deref(), &launch.job.queries);
    telemetry::job(&launch.name);
    let traces = Traces::begin(
        &launch.name,
        launch.member.as_deref(),
        &launch.job.tables,
        metrics.registry(),
    )?;
    let stores = StoreMetrics::new(metrics.registry());
    let mut rooms = Rooms::default();
    let mut users = Vec::new();
    for query in &launch.job.queries {
        for warning in topics::beware(&launch.name, query, &launch.job.queries) {
            tracing::warn!(query = query.name, "{warning}");
        }
    }
    for query in launch.job.queries {
        let (used, temporary_only) = (query.models.clone(), query.temporary);
        let statics = query.statics().into_iter();
        let shelves: Vec<_> = statics.map(|looking| Arc::clone(looking.shelf())).collect();
        let opened = open(
            &launch.name,
            query,
            Starting {
                fresh: launch.fresh,
                accept_new_state: launch.accept_new_state,
                member: launch.member.clone(),
                leaving: launch.stop.leaving(),
            },
            (&metrics, &stores),
            &mut temporary,
            &budget,
        )?;
        loading::record(&used, &shelves, &opened.query.status);
        traces.follow(&opened.query.status);
        users.push(User {
            query: Arc::clone(&opened.query.status),
            models: used.clone(),
        });
        let shared = opened.query.group.is_some();
        rooms.add(
            &used,
            &opened.place,
            &opened.query.log,
            temporary_only,
            shared,
        )?;
        ready.push(opened);
    }
    let models = rooms.open(lane_threads().max(1), metrics.registry())?;
    let statuses: Vec<Arc<QueryStatus>> = ready
        .iter()
        .map(|ready| Arc::clone(&ready.query.status))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_MAX)
        .build()
        .map_err(|error| {
            Refusal::new(format!(
                "the system does not give this process what it needs: {error}"
            ))
        })?;
    let queries: Vec<(Arc<Wired>, Place)> = ready
        .iter()
        .map(|ready| (Arc::clone(&ready.query.plan), ready.place.clone()))
        .collect();
    let renewal = launch
        .again
        .and_then(|again| Watch::of(again, &launch.job.tables, &queries));
    let system = System::with_tokio_rt(move || runtime);
    let shows: Vec<bool> = ready.iter().map(|ready| ready.shows).collect();
    let job = launch.name;
    let seen = statuses.clone();
    let leftover = temporary
        .as_ref()
        .map(|folder: &TempDir| folder.path().to_owned());
    let (stop, stopped) = watch::channel(false);
    let watch = launch.signals.then(|| {
        let timeouts = ready.iter().map(|ready| ready.query.settings.stop_timeout);
        let watch = stop::Watch {
            queries: statuses.clone(),
            patience: timeouts.max().unwrap_or_default() + WATCH_AFTER,
            stopped: stopped.clone(),
            leftover: leftover.clone(),
        };
        watch.begin()
    });
    let results = system.block_on(async move {
        let signals = launch.signals.then(Signals::listen).transpose()?;
        // It hears all signals from now on, so one that comes while the job is being refused ends it, too.
        let held = launch.hold.then(Signals::listen).transpose()?;
        drop(starting);
        let arbiters = arbiters();
        let handles: Vec<ArbiterHandle> = arbiters.iter().map(Arbiter::handle).collect();
        let mut running = JoinSet::new();
        let renewals: Vec<_> = (0..ready.len())
            .map(|query| renewal.as_ref().map(|renewal| renewal.renewals(query)))
            .collect();
        if let Some(renewal) = renewal {
            actix::spawn(renewal.follow());
        }
        // Before the clients and lanes take theirs: the two never have to be resident together.
        working_set::let_go();
        actix::spawn(working_set::after_start(seen.clone()));
        for (index, mut ready) in ready.into_iter().enumerate() {
            // Each query begins with another thread: the first lanes do most where queries gather.
            let mut own = handles.clone();
            own.rotate_left(index % handles.len().max(1));
            ready.query.host.arbiters = own;
            let (stopped, renewals) = (stopped.clone(), renewals[index].clone());
            running.spawn_local(async move { (index, ready.query.run(stopped, renewals).await) });
        }
        let queries = seen.len();
        tracing::info!(
            "job {job} started with {queries} {}",
            if queries == 1 { "query" } else { "queries" }
        );
        let pulses = Pulses::start(&handles);
        let progress = Progress::follow(&seen);
        if let Some(http) = launch.http {
            let models = Served::new(models, from_files_only, users);
            let exit = Exit::new(launch.member, &launch.stop);
            http.serve(Shown {
                metrics: &metrics,
                queries: seen.clone(),
                pulses,
                progress,
                models,
                sheet,
                exit,
            });
        }
        let watched = Watched {
            stop,
            signals,
            from_elsewhere: launch.stop,
            until: launch.until,
            fail_together: launch.fail_together,
            shows,
            leftover,
        };
        let results = watched.wait(running, seen.len()).await;
        // A job that is held up after this hears signals itself.
        drop(watch);
        if let Some(signals) = held
            && judge(&results, &seen) == End::Refused
        {
            hold::queries(metrics.registry(), signals).await;
        }
        for arbiter in arbiters {
            arbiter.stop();
        }
        Ok::<_, Refusal>(results)
    })?;
    traces.finish();
    // Ending the runtime would wait for blocking calls that a query has given up on.
    std::mem::forget(system);
    drop(temporary);
    Ok(Finished {
        end: judge(&results, &statuses),
        results,
        queries: statuses,
    })
}

/// How many threads lanes have. On a single core the main thread does it all.
fn lane_threads() -> usize {
    match std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
        1 => 0,
        cores => cores.min(ARBITERS_MAX),
    }
}

fn arbiters() -> Vec<Arbiter> {
    (0..lane_threads()).map(|_| Arbiter::new()).collect()
}

/// Opens the checkpoint folder of one query and wires it.
fn open(
    job: &str,
    query: plan::Query,
    starting: Starting,
    (metrics, stores): (&Metrics, &StoreMetrics),
    temporary: &mut Option<TempDir>,
    budget: &Arc<StateBudget>,
) -> Result<Ready, Refusal> {
    let given = &query.settings;
    let location = match (&given.checkpoint_location, query.temporary) {
        (Some(location), false) => Place::at(Path::new(location), &given.checkpoint_options)?,
        (None, false) => {
            return Err(Refusal::new(format!(
                "the query `{}` has no checkpointLocation: add SET checkpointLocation = '...' above it",
                query.name
            )));
        }
        (_, true) => {
            let folder = match temporary.take() {
                Some(folder) => folder,
                None => TempDir::with_prefix("thalweg-").map_err(|error| {
                    Refusal::new(format!(
                        "no temporary folder for checkpoints can be made: {error}. Set TMPDIR to a folder that this \
                         user may write."
                    ))
                })?,
            };
            Place::Folder(temporary.insert(folder).path().to_owned())
        }
    };
    let root = location.join(&query.name);
    let counters = stores.of(&query.name);
    let (log, group) = match starting.member {
        None => {
            let (kept, history) = (given.checkpoints_kept, given.checkpoint_history);
            let log = folder::own(&root, kept, history, Some(&counters))?;
            (log, None)
        }
        Some(_) => shared(&root, given, starting.leaving, counters)?,
    };
    let context = OpenContext {
        member: starting.member,
        ..wiring::context(job, &query, starting.fresh, log.location())
    };
    let settings = wiring::settings(&query);
    let output = query.output();
    let shows = output.connector == "console"
        || output.connector == "file" && output.options.get("path") == Some("-");
    let status = Arc::new(QueryStatus::new(&query.name, metrics.query(&query.name)));
    Ok(Ready {
        query: Renewable {
            job: job.to_owned(),
            plan: Arc::new(Wired::new(query, context, starting.accept_new_state)),
            settings,
            log,
            // A new run waits until the work of the old one is over, so no query waits for another's.
            host: Host {
                arbiters: Vec::new(),
                workers: Workers::pool_of(status.query()),
                budget: Arc::clone(budget),
            },
            status,
            group,
        },
        place: root,
        shows,
    })
}

/// The checkpoints of a query that several processes share: where it began, and those of each lane.
fn shared(
    root: &Place,
    given: &Settings,
    leaving: Arc<AtomicBool>,
    counters: StoreCounters,
) -> Result<(Arc<CheckpointLog>, Option<Group>), Refusal> {
    let (kept, history) = (given.checkpoints_kept, given.checkpoint_history);
    // No two processes have one, on one machine or on two.
    let token = format!("{}-", new_id());
    if let Place::Remote(remote) = root {
        remote.prove()?;
    }
    let log = folder::share(root, &token, kept, history, Some(&counters))
        .map_err(|failure| Refusal::new(failure.message))?;
    let lanes = root.join(folder::LANES);
    let group = Group {
        chain: Arc::new(move |lane| {
            folder::share(&lanes.join(lane), &token, kept, history, Some(&counters))
        }),
        leaving,
        standby: given.standby,
    };
    Ok((Arc::new(log), Some(group)))
}

/// What may end a job.
struct Watched {
    stop: watch::Sender<bool>,
    signals: Option<Signals>,
    from_elsewhere: Stop,
    until: Option<Duration>,
    fail_together: bool,
    /// By query: whether it writes to stdout.
    shows: Vec<bool>,
    /// The temporary folder, to be removed even if the end comes at once.
    leftover: Option<PathBuf>,
}

/// By query: how it ended.
pub(crate) type Results = Vec<Result<(), Failure>>;

impl Watched {
    /// Waits until every query has ended.
    async fn wait(
        mut self,
        mut running: JoinSet<(usize, Result<(), Failure>)>,
        queries: usize,
    ) -> Results {
        // A query that panicked has not said how it ended.
        let mut results: Results = vec![Err(Failure::end("the query panicked: a bug")); queries];
        let (until, endless) = (self.until.unwrap_or_default(), self.until.is_none());
        let until = actix::clock::sleep(until);
        tokio::pin!(until);
        let mut reader = actix::clock::interval(READER_INTERVAL);
        let watching = self.shows.contains(&true) && console::is_pipe();
        loop {
            tokio::select! {
                ended = running.join_next() => match ended {
                    None => return results,
                    Some(Ok((index, result))) => {
                        let ended = Self::ended(result);
                        if ended.is_err() && self.fail_together && !running.is_empty() {
                            tracing::info!("ending the other queries, as --fail-together says");
                            self.stop.send_replace(true);
                        }
                        results[index] = ended;
                    }
                    Some(Err(error)) => {
                        tracing::error!(%error, "a query ended without a word: a bug");
                        if self.fail_together {
                            self.stop.send_replace(true);
                        }
                    }
                },
                asked = next(&mut self.signals) => self.asked(asked),
                () = self.from_elsewhere.pulled(), if !*self.stop.borrow() => {
                    self.stop.send_replace(true);
                }
                () = &mut until, if !endless && !*self.stop.borrow() => {
                    self.stop.send_replace(true);
                }
                _ = reader.tick(), if watching && !*self.stop.borrow() => {
                    if console::closed() {
                        tracing::debug!("nobody reads stdout any more");
                        self.stop.send_replace(true);
                    }
                }
            }
        }
    }

    fn asked(&self, asked: Asked) {
        let again = self.stop.send_replace(true);
        match asked {
            Asked::Interrupt if again => {
                tracing::warn!(
                    "Ctrl-C again: ending at once; the next start repeats what came after the newest checkpoint"
                );
                stop::give_up(self.leftover.as_deref());
            }
            Asked::Interrupt => {
                tracing::info!(
                    "Ctrl-C: reading stops, the last epoch is being committed; once more to end at once"
                );
            }
            Asked::HangUp if again => {
                tracing::info!("SIGHUP: the last epoch is still being committed");
            }
            Asked::HangUp => {
                tracing::info!(
                    "SIGHUP, the terminal is gone: reading stops, the last epoch is being committed"
                );
            }
            Asked::Terminate if again => {
                tracing::info!("SIGTERM again: the last epoch is still being committed");
            }
            Asked::Terminate => {
                tracing::info!("SIGTERM: reading stops, the last epoch is being committed");
            }
        }
    }

    /// A query that cannot write because its reader has gone (`| head`) has ended well.
    fn ended(result: Result<(), Failure>) -> Result<(), Failure> {
        match result {
            Err(failure) if failure.message == READER_GONE => Ok(()),
            result => result,
        }
    }
}

/// The next signal; never where none is listened to.
async fn next(signals: &mut Option<Signals>) -> Asked {
    match signals {
        Some(signals) => signals.next().await,
        None => std::future::pending().await,
    }
}

/// The exit code: 2 where every query was refused before its first record.
fn judge(results: &Results, statuses: &[Arc<QueryStatus>]) -> End {
    if results.iter().all(Result::is_ok) {
        return End::Clean;
    }
    let refused = |result: &Result<(), Failure>| {
        result
            .as_ref()
            .is_err_and(|failure| failure.remedy == Remedy::Refuse)
    };
    let untouched = statuses
        .iter()
        .all(|status| status.metrics().records_in.get() == 0);
    if untouched && results.iter().all(refused) {
        End::Refused
    } else {
        End::Failed
    }
}
