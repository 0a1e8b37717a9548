//! `crash`: takes the command (or the broker) away at random moments under load, brings it back at once, and accounts for
//! every key at the end.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use crate::audit::Account;
use crate::broker::{Broker, BrokerArgs, Outage, OwnBroker};
use crate::child::Child;
use crate::failure::{Failure, Result};
use crate::figures::short;
use crate::payload::{PayloadArgs, mix};
use crate::schedule::{Schedule, duration};
use crate::target::{Places, Template, TopicArgs, Workplace};
use crate::topics::Topics;
use crate::traffic::{LONG, Shared, Traffic, joined};
use crate::verdict::{self, Limits, Mishaps};

/// How long a clean stop may take before it counts as unclean.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// After the last missing record has come, repeated ones are still waited for.
const QUIET: Duration = Duration::from_secs(1);

/// Options of `crash`.
#[derive(Args, Debug)]
pub(crate) struct CrashArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    topics: TopicArgs,
    #[command(flatten)]
    payload: PayloadArgs,
    /// Command to start; {bootstrap}, {input}, {output} and {checkpoint} are filled in
    #[arg(long)]
    command: String,
    /// Records per second
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// How often the target is taken away
    #[arg(long, default_value_t = 10)]
    kills: usize,
    /// What is taken away
    #[arg(long, value_enum, default_value = "command")]
    target: Target,
    /// How: KILL, TERM (waits for a clean end) or STOP (frozen for --down)
    #[arg(long, default_value = "KILL")]
    signal: Outage,
    /// How long a broker, or anything stopped with STOP, stays away
    #[arg(long, value_parser = duration, default_value = "2s")]
    down: Duration,
    /// Folder of the running broker that broker.sh started, for --target broker with --bootstrap
    #[arg(long, value_name = "DIR")]
    broker_dir: Option<PathBuf>,
    /// The shortest time from one return to the next kill
    #[arg(long, value_parser = duration, default_value = "0.5s")]
    gap_min: Duration,
    /// The longest
    #[arg(long, value_parser = duration, default_value = "5s")]
    gap_max: Duration,
    /// Seed of the moments [default: from the clock, and printed]
    #[arg(long)]
    seed: Option<u64>,
    /// From the first start of the command to the first record
    #[arg(long, value_parser = duration, default_value = "2s")]
    run_up: Duration,
    /// How long records are still sent after the last kill
    #[arg(long, value_parser = duration, default_value = "3s")]
    after: Duration,
    /// How long outputs are waited for after the last record was sent
    #[arg(long, value_parser = duration, default_value = "30s")]
    settle: Duration,
    /// A record that waits longer than this is a fault
    #[arg(long, value_parser = duration, value_name = "TIME")]
    max_wait: Option<Duration>,
    /// More repeated records than this after one kill are a fault
    #[arg(long, value_name = "RECORDS")]
    max_repeated: Option<u64>,
    /// Keep the command's log and checkpoints in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write the account as JSON to this file ('-': stdout)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// The given command.
    Command,
    /// The broker.
    Broker,
}

/// Runs the test. Gives whether the account is clean.
pub(crate) fn run(args: &CrashArgs) -> Result<bool> {
    if !(args.rate > 0.0 && args.rate.is_finite()) || args.gap_max < args.gap_min {
        return Err(Failure::new(
            "--rate must be above 0 and --gap-max not below --gap-min",
        ));
    }
    let broker = Broker::open(&args.broker, &[])?;
    let attached = args
        .broker_dir
        .as_ref()
        .map(|dir| OwnBroker::attach(dir, &args.broker.broker_heap))
        .transpose()?;
    let own = match (&attached, &broker) {
        (Some(broker), _) | (None, Broker::Own(broker)) => Some(broker),
        (None, Broker::Given(_)) if args.target == Target::Broker => {
            return Err(Failure::new(
                "to take a given broker away its folder is needed: --broker-dir",
            ));
        }
        (None, Broker::Given(_)) => None,
    };
    let topics = Topics::connect(broker.bootstrap())?;
    let (_, outputs) = args.topics.ensure(&topics)?;
    let place = Workplace::new(args.keep.as_ref())?;
    let checkpoint = place.join("checkpoint").display().to_string();
    let places = Places {
        bootstrap: broker.bootstrap(),
        input: &args.topics.input,
        output: &args.topics.output,
        checkpoint: &checkpoint,
    };
    let command = Template(args.command.clone()).fill(places);
    let seed = args.seed.unwrap_or_else(|| {
        std::time::UNIX_EPOCH
            .elapsed()
            .map_or(1, |since| since.as_nanos() as u64)
    });
    println!("seed {seed}");
    let from = topics.ends(&args.topics.output, outputs)?;
    drop(topics);
    let trial = Trial {
        args,
        bootstrap: broker.bootstrap(),
        broker: own,
        command: &command,
        log: place.join("command.log"),
        seed,
    };
    let (account, mishaps) = trial.run(from)?;
    let limits = Limits {
        clean_stops: args.target == Target::Command && args.signal == Outage::Term,
        max_wait: args.max_wait,
        max_repeated: args.max_repeated,
    };
    let faults = verdict::faults(&limits, &account, mishaps);
    verdict::print(&account, mishaps, &faults);
    if let Some(path) = &args.json {
        let rate = short(args.rate);
        let scenario = format!(
            "{:?} away {} times by {:?} at {rate} records/s",
            args.target, args.kills, args.signal
        )
        .to_lowercase();
        verdict::document(scenario, command, args.kills, &account, mishaps)?.write(path)?;
    }
    Ok(faults.is_empty())
}

struct Trial<'a> {
    args: &'a CrashArgs,
    bootstrap: &'a str,
    broker: Option<&'a OwnBroker>,
    command: &'a str,
    log: PathBuf,
    seed: u64,
}

impl Trial<'_> {
    fn run(&self, from: Vec<i64>) -> Result<(Account, Mishaps)> {
        let (payload, shared) = (self.args.payload.stream(), Shared::default());
        let schedule = Schedule::constant(self.args.rate, LONG);
        let mut child = Child::start(self.command, &self.log)?;
        let start = Instant::now() + self.args.run_up;
        let traffic = Traffic {
            bootstrap: self.bootstrap,
            topics: &self.args.topics,
            payload: &payload,
            schedule: &schedule,
            start,
            shared: &shared,
        };
        let mut mishaps = Mishaps::default();
        thread::scope(|scope| {
            let reader = scope.spawn(|| traffic.read(&from, |_, _, _| {}));
            let sender = scope.spawn(|| traffic.send());
            let killed = self.kill_all(&mut child, &mut mishaps, start, &shared, &sender);
            shared.stop_sending.store(true, Ordering::Relaxed);
            let sent = joined(sender.join());
            let settled = killed.and_then(|()| {
                self.settle(
                    *sent.as_ref().unwrap_or(&0),
                    &mut child,
                    &mut mishaps,
                    &shared,
                )
            });
            shared.stop_reading.store(true, Ordering::Relaxed);
            let audit = joined(reader.join());
            settled?;
            Ok((
                audit?.account(sent?, shared.event.load(Ordering::Relaxed)),
                mishaps,
            ))
        })
    }

    /// The kills, each at its moment, and the time after the last.
    fn kill_all(
        &self,
        child: &mut Child,
        mishaps: &mut Mishaps,
        start: Instant,
        shared: &Shared,
        sender: &ScopedJoinHandle<'_, Result<u64>>,
    ) -> Result<()> {
        self.watch(start, child, mishaps)?;
        for kill in 1..=self.args.kills {
            self.watch(Instant::now() + self.gap(kill), child, mishaps)?;
            if sender.is_finished() {
                return Ok(());
            }
            self.take_away(child, mishaps, || {
                shared.event.store(kill, Ordering::Relaxed);
            })?;
            eprintln!(
                "{:7.2} s  kill {kill} of {}",
                start.elapsed().as_secs_f64(),
                self.args.kills
            );
        }
        self.watch(Instant::now() + self.args.after, child, mishaps)
    }

    /// A gap between the shortest and the longest, by seed and number.
    fn gap(&self, kill: usize) -> Duration {
        let share = (mix(self.seed.wrapping_add(kill as u64)) >> 11) as f64 / (1u64 << 53) as f64;
        self.args.gap_min + (self.args.gap_max - self.args.gap_min).mul_f64(share)
    }

    /// Waits; a command that ends meanwhile is noted and started again, as a supervisor would.
    fn watch(&self, until: Instant, child: &mut Child, mishaps: &mut Mishaps) -> Result<()> {
        while Instant::now() < until {
            thread::sleep(
                until
                    .saturating_duration_since(Instant::now())
                    .min(Duration::from_millis(20)),
            );
            if let Err(error) = child.must_live() {
                eprintln!("{error}");
                mishaps.unexpected_ends += 1;
                if mishaps.unexpected_ends > 20 {
                    return Err(error);
                }
                thread::sleep(Duration::from_millis(200));
                *child = Child::start(self.command, &self.log)?;
            }
        }
        Ok(())
    }

    fn take_away(&self, child: &mut Child, mishaps: &mut Mishaps, gone: impl Fn()) -> Result<()> {
        let how = self.args.signal;
        match (self.args.target, self.broker, how) {
            (Target::Broker, Some(broker), _) => {
                broker.take_away(how)?;
                gone();
                self.watch(Instant::now() + self.args.down, child, mishaps)?;
                broker.bring_back(how)
            }
            (_, _, Outage::Stop) => {
                child.signal(libc::SIGSTOP);
                gone();
                thread::sleep(self.args.down);
                child.signal(libc::SIGCONT);
                Ok(())
            }
            (_, _, Outage::Kill | Outage::Term) => {
                match how {
                    Outage::Term
                        if !child
                            .stop(STOP_PATIENCE)
                            .is_some_and(|status| status.success()) =>
                    {
                        mishaps.unclean_stops += 1;
                    }
                    _ => child.kill(),
                }
                gone();
                *child = Child::start(self.command, &self.log)?;
                Ok(())
            }
        }
    }

    /// Waits for the last outputs, then ends the command cleanly.
    fn settle(
        &self,
        sent: u64,
        child: &mut Child,
        mishaps: &mut Mishaps,
        shared: &Shared,
    ) -> Result<()> {
        let until = Instant::now() + self.args.settle;
        while shared.distinct.load(Ordering::Relaxed) < sent && Instant::now() < until {
            self.watch(Instant::now() + Duration::from_millis(50), child, mishaps)?;
        }
        self.watch(Instant::now() + QUIET, child, mishaps)?;
        if !child
            .stop(STOP_PATIENCE)
            .is_some_and(|status| status.success())
        {
            mishaps.unclean_stops += 1;
        }
        thread::sleep(Duration::from_millis(300));
        Ok(())
    }
}
