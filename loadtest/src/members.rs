//! `members`: several processes share a job under load; they are restarted one after the other, killed, or come and go. For
//! each partition the longest wait of a record is noted beside what happened to its members, and every key is accounted for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::audit::{Account, Audit};
use crate::broker::{Broker, BrokerArgs};
use crate::child::Child;
use crate::document::{Contender, Document};
use crate::failure::{Failure, Result};
use crate::figures::{Figures, medians, short};
use crate::http;
use crate::pauses::{Pauses, pauses, print};
use crate::payload::PayloadArgs;
use crate::schedule::{Schedule, duration};
use crate::target::{Places, Template, TopicArgs, Workplace};
use crate::topics::Topics;
use crate::traffic::{LONG, Shared, Traffic, joined};
use clap::{Args, ValueEnum};

/// How long a clean stop may take before it counts as unclean.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// Options of `members`.
#[derive(Args, Debug)]
pub(crate) struct MembersArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    topics: TopicArgs,
    #[command(flatten)]
    payload: PayloadArgs,
    /// Command to start for each member; {bootstrap}, {input}, {output}, {checkpoint}, {member} and {http} are filled in.
    /// It must write each record to the partition that it was read from: the same key, topics of equally many partitions.
    /// Several: each round of `restart` starts the next one, and after the last the first, as when another version is rolled out and
    /// rolled back
    #[arg(long, required = true)]
    command: Vec<String>,
    /// How many members there are
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=26))]
    members: u16,
    /// What happens in each round
    #[arg(long, value_enum)]
    event: Event,
    /// How often; one round of `restart` is every member once
    #[arg(long, default_value_t = 3)]
    rounds: u16,
    /// Records per second
    #[arg(long, default_value_t = 1_000.0)]
    rate: f64,
    /// From one event to the next
    #[arg(long, value_parser = duration, default_value = "5s")]
    gap: Duration,
    /// From the first start to the first record: the members share out the partitions meanwhile
    #[arg(long, value_parser = duration, default_value = "8s")]
    run_up: Duration,
    /// How long outputs are waited for after the last record was sent
    #[arg(long, value_parser = duration, default_value = "30s")]
    settle: Duration,
    /// A partition that waits longer than this in 99 of 100 cases is a fault
    #[arg(long, value_parser = duration, value_name = "TIME")]
    max_p99: Option<Duration>,
    /// Keep the members' logs and the checkpoints in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write the result as JSON to this file ('-': stdout)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What happens to members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Event {
    /// Each in turn is stopped with SIGTERM and started again at once
    Restart,
    /// One is killed with SIGKILL and comes back after a gap, when the others have taken over
    Kill,
    /// One more comes, and leaves again after a gap
    Scale,
}

/// What the reader has noted.
struct Noted {
    audit: Audit,
    /// By event and partition, the longest wait in nanoseconds.
    longest: BTreeMap<(usize, i32), u64>,
}

/// Runs the test. Gives whether the account is clean.
pub(crate) fn run(args: &MembersArgs) -> Result<bool> {
    if args.command.len() > 1 && args.event != Event::Restart {
        return Err(Failure::new("several --command go with --event restart"));
    }
    let broker = Broker::open(&args.broker, &[])?;
    let topics = Topics::connect(broker.bootstrap())?;
    let (inputs, outputs) = args.topics.ensure(&topics)?;
    if inputs != outputs {
        return Err(Failure::new(
            "input and output topic must have equally many partitions",
        ));
    }
    let place = Workplace::new(args.keep.as_ref())?;
    let checkpoint = place.join("checkpoint").display().to_string();
    let places = Places {
        bootstrap: broker.bootstrap(),
        input: &args.topics.input,
        output: &args.topics.output,
        checkpoint: &checkpoint,
    };
    let commands = args.command.iter();
    let commands: Vec<String> = commands
        .map(|command| Template(command.clone()).fill(places))
        .collect();
    let from = topics.ends(&args.topics.output, outputs)?;
    drop(topics);
    let trial = Trial {
        args,
        bootstrap: broker.bootstrap(),
        commands: &commands,
        place: &place,
    };
    let (noted, events, sent, unclean) = trial.run(from)?;
    let pauses = pauses(&noted.longest, &events);
    let account = noted.audit.account(sent, events.len().saturating_sub(1));
    let faults = faults(args, &account, &pauses, unclean);
    print(&account, &pauses, &faults);
    if let Some(path) = &args.json {
        document(args, commands.join("; "), &account, &pauses)?.write(path)?;
    }
    Ok(faults.is_empty())
}

/// A member that runs.
struct Member {
    child: Child,
    http: String,
}

struct Trial<'a> {
    args: &'a MembersArgs,
    bootstrap: &'a str,
    commands: &'a [String],
    place: &'a Workplace,
}

impl Trial<'_> {
    /// Gives what was noted, the events by their index, how many records were sent, and how many stops were unclean.
    fn run(&self, from: Vec<i64>) -> Result<(Noted, Vec<&'static str>, u64, u64)> {
        let (payload, shared) = (self.args.payload.stream(), Shared::default());
        let schedule = Schedule::constant(self.args.rate, LONG);
        let mut members = (0..self.args.members)
            .map(|number| self.start(number, 0))
            .collect::<Result<Vec<_>>>()?;
        let start = Instant::now() + self.args.run_up;
        let traffic = Traffic {
            bootstrap: self.bootstrap,
            topics: &self.args.topics,
            payload: &payload,
            schedule: &schedule,
            start,
            shared: &shared,
        };
        let (mut events, mut unclean) = (vec!["the start"], 0);
        thread::scope(|scope| {
            let reader = scope.spawn(|| read(&traffic, &from));
            let sender = scope.spawn(|| traffic.send());
            thread::sleep(start.saturating_duration_since(Instant::now()) + self.args.gap);
            let mut happened = |what| {
                events.push(what);
                shared.event.store(events.len() - 1, Ordering::Relaxed);
                eprintln!("{:7.2} s  {what}", start.elapsed().as_secs_f64());
            };
            let done = (0..self.args.rounds)
                .try_for_each(|round| self.round(round, &mut members, &mut happened, &mut unclean));
            shared.stop_sending.store(true, Ordering::Relaxed);
            let sent = joined(sender.join());
            let until = Instant::now() + self.args.settle;
            let awaited = *sent.as_ref().unwrap_or(&0);
            while shared.distinct.load(Ordering::Relaxed) < awaited && Instant::now() < until {
                thread::sleep(Duration::from_millis(50));
            }
            for member in &mut members {
                let ended = member.child.stop(STOP_PATIENCE);
                unclean += u64::from(!ended.is_some_and(|status| status.success()));
            }
            thread::sleep(Duration::from_millis(500));
            shared.stop_reading.store(true, Ordering::Relaxed);
            let noted = joined(reader.join());
            done?;
            Ok((noted?, events, sent?, unclean))
        })
    }

    /// Starts a member with the command of this turn.
    fn start(&self, number: u16, turn: u16) -> Result<Member> {
        let name = format!("member-{number}");
        let http = http::address()?;
        let command = self.commands[usize::from(turn) % self.commands.len()]
            .replace("{member}", &name)
            .replace("{http}", &http);
        let child = Child::start(&command, &self.place.join(&format!("{name}.log")))?;
        Ok(Member { child, http })
    }

    fn round(
        &self,
        round: u16,
        members: &mut Vec<Member>,
        happened: &mut impl FnMut(&'static str),
        unclean: &mut u64,
    ) -> Result<()> {
        let gap = self.args.gap;
        match self.args.event {
            Event::Restart => {
                for number in 0..self.args.members {
                    let member = &mut members[usize::from(number)];
                    happened("a clean restart");
                    let ended = member.child.stop(STOP_PATIENCE);
                    *unclean += u64::from(!ended.is_some_and(|status| status.success()));
                    *member = self.start(number, round + 1)?;
                    thread::sleep(gap);
                }
            }
            Event::Kill => {
                let number = round % self.args.members;
                happened("a kill");
                members[usize::from(number)].child.kill();
                thread::sleep(gap);
                happened("a return");
                members[usize::from(number)] = self.start(number, 0)?;
                thread::sleep(gap);
            }
            Event::Scale => {
                happened("one more");
                let mut more = self.start(self.args.members, 0)?;
                thread::sleep(gap);
                happened("a leave");
                leave(&more.http)?;
                thread::sleep(gap);
                let ended = more.child.ended();
                *unclean += u64::from(!ended.is_some_and(|status| status.success()));
            }
        }
        for member in members {
            member.child.must_live()?;
        }
        Ok(())
    }
}

/// What comes out, with the longest wait of each partition after each event.
fn read(traffic: &Traffic<'_>, from: &[i64]) -> Result<Noted> {
    let mut longest: BTreeMap<(usize, i32), u64> = BTreeMap::new();
    let audit = traffic.read(from, |event, partition, wait| {
        let longest = longest.entry((event, partition)).or_default();
        *longest = (*longest).max(wait);
    })?;
    Ok(Noted { audit, longest })
}

/// Asks a member to leave.
fn leave(http: &str) -> Result<()> {
    let answer = http::ask(http, "POST /api/v1/leave")?;
    match answer.split_whitespace().nth(1) {
        Some("202") => Ok(()),
        _ => Err(Failure::new(format!("a member does not leave: {answer}"))),
    }
}

fn faults(args: &MembersArgs, account: &Account, pauses: &[Pauses], unclean: u64) -> Vec<String> {
    let mut faults = Vec::new();
    if account.missing + account.unknown > 0 {
        faults.push(format!(
            "{} records are missing, {} came out that were never sent",
            account.missing, account.unknown
        ));
    }
    if args.event != Event::Kill && account.duplicates > 0 {
        faults.push(format!(
            "{} records were repeated although nobody was killed",
            account.duplicates
        ));
    }
    if unclean > 0 {
        faults.push(format!("{unclean} members did not end with 0 in time"));
    }
    let limit = args.max_p99.map(|limit| limit.as_secs_f64() * 1e3);
    for pauses in pauses {
        if limit.is_some_and(|limit| pauses.at(0.99) > limit) {
            faults.push(format!(
                "partitions waited {} ms (p99) after {}",
                short(pauses.at(0.99)),
                pauses.after
            ));
        }
    }
    faults
}

fn document(
    args: &MembersArgs,
    command: String,
    account: &Account,
    pauses: &[Pauses],
) -> Result<Document> {
    let mut figures = Figures::from([
        ("missing".to_owned(), account.missing as f64),
        ("duplicates".to_owned(), account.duplicates as f64),
    ]);
    for pauses in pauses {
        let name = pauses.after.replace(' ', "_");
        figures.insert(format!("{name}_p50_ms"), pauses.at(0.5));
        figures.insert(format!("{name}_p99_ms"), pauses.at(0.99));
    }
    let rounds = vec![figures];
    let contenders = vec![Contender {
        name: "members".into(),
        command,
        median: medians(&rounds),
        rounds,
        ratio: Figures::new(),
    }];
    let scenario = format!(
        "{} members, {} rounds of {:?} at {} records/s",
        args.members,
        args.rounds,
        args.event,
        short(args.rate)
    )
    .to_lowercase();
    let details = serde_json::to_value(pauses)
        .map_err(|e| Failure::new(format!("the pauses cannot be written as JSON: {e}")))?;
    Ok(Document {
        details,
        ..Document::new(scenario, contenders)
    })
}
