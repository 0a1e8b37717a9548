//! `latency`: one load at a fixed schedule, from the scheduled send of each record to the moment its output is read.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::broker::{Broker, BrokerArgs};
use crate::child::Child;
use crate::document::{Contender, Document};
use crate::failure::{Failure, Result};
use crate::figures::{Figures, medians, short, table};
use crate::load::{self, Load};
use crate::payload::PayloadArgs;
use crate::schedule::{Schedule, Steps, duration};
use crate::target::{Places, Template, TopicArgs, Workplace};
use crate::topics::Topics;

/// How a load is scheduled.
#[derive(Args, Clone, Debug)]
pub(crate) struct ScheduleArgs {
    /// Records per second
    #[arg(long, default_value_t = 1_000.0, conflicts_with = "step")]
    pub(crate) rate: f64,
    /// How long, warm-up included
    #[arg(long, value_parser = duration, default_value = "20s", conflicts_with = "step")]
    pub(crate) seconds: Duration,
    /// Several rates one after the other, e.g. 100:5,50000:10,100:10
    #[arg(long, value_name = "RATE:SECONDS,...")]
    pub(crate) step: Option<Steps>,
    /// The first part of the schedule, which is not counted
    #[arg(long, value_parser = duration, default_value = "3s")]
    pub(crate) warm_up: Duration,
    /// How long after the last record its output is waited for
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub(crate) settle: Duration,
}

impl ScheduleArgs {
    /// The schedule; refused when nothing would be counted.
    pub(crate) fn schedule(&self) -> Result<Schedule> {
        let schedule = match &self.step {
            Some(Steps(phases)) => Schedule::new(phases),
            None if self.rate > 0.0 && self.rate.is_finite() => {
                Schedule::constant(self.rate, self.seconds)
            }
            None => return Err(Failure::new("--rate must be above 0")),
        };
        match schedule.total() == 0 || u128::from(schedule.end_ns()) <= self.warm_up.as_nanos() {
            true => Err(Failure::new(
                "the warm-up takes all of the time: make --seconds longer or --warm-up shorter",
            )),
            false => Ok(schedule),
        }
    }

    /// In words, for tables.
    pub(crate) fn words(&self) -> String {
        match &self.step {
            Some(Steps(phases)) => {
                let rates: Vec<_> = phases
                    .iter()
                    .map(|phase| format!("{} for {} s", short(phase.rate), phase.seconds))
                    .collect();
                format!("steps of {} records/s", rates.join(", "))
            }
            None => format!(
                "{} records/s for {} s",
                short(self.rate),
                self.seconds.as_secs_f64()
            ),
        }
    }
}

/// Options of `latency`.
#[derive(Args, Debug)]
pub(crate) struct LatencyArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    topics: TopicArgs,
    #[command(flatten)]
    payload: PayloadArgs,
    #[command(flatten)]
    schedule: ScheduleArgs,
    /// Command to start first; {bootstrap}, {input}, {output} and {checkpoint} are filled in. Without it something must
    /// already run between the two topics
    #[arg(long)]
    command: Option<String>,
    /// Write the result as JSON to this file ('-': stdout)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures once. Gives whether every record came out.
pub(crate) fn run(args: &LatencyArgs) -> Result<bool> {
    if args.broker.bootstrap.is_none() && args.command.is_none() {
        return Err(Failure::new(
            "on a broker of its own nothing runs yet: give --command, or --bootstrap of a running broker",
        ));
    }
    let schedule = args.schedule.schedule()?;
    let broker = Broker::open(&args.broker, &[])?;
    let topics = Topics::connect(broker.bootstrap())?;
    let (_, partitions) = args.topics.ensure(&topics)?;
    let place = Workplace::new(None)?;
    let checkpoint = place.join("checkpoint").display().to_string();
    let places = Places {
        bootstrap: broker.bootstrap(),
        input: &args.topics.input,
        output: &args.topics.output,
        checkpoint: &checkpoint,
    };
    let command = args
        .command
        .as_ref()
        .map(|command| Template(command.clone()).fill(places));
    let mut child = command
        .as_ref()
        .map(|command| Child::start(command, &place.join("command.log")))
        .transpose()?;
    let outcome = load::run(
        &Load {
            bootstrap: broker.bootstrap(),
            input: &args.topics.input,
            output: &args.topics.output,
            from: topics.ends(&args.topics.output, partitions)?,
            payload: &args.payload.stream(),
            first: 0,
            schedule: &schedule,
            warm_up: args.schedule.warm_up,
            settle: args.schedule.settle,
        },
        &mut || child.as_mut().map_or(Ok(()), Child::must_live),
    )?;
    let figures = outcome.figures();
    let scenario = format!("{}, {partitions} partitions", args.schedule.words());
    print(&scenario, &schedule, &figures);
    if let Some(path) = &args.json {
        let rounds = vec![figures];
        let median = medians(&rounds);
        let command = command.unwrap_or_default();
        Document::new(
            scenario,
            vec![Contender {
                name: "latency".into(),
                command,
                rounds,
                median,
                ratio: Figures::new(),
            }],
        )
        .write(path)?;
    }
    Ok(outcome.seen >= outcome.sent)
}

fn print(scenario: &str, schedule: &Schedule, figures: &Figures) {
    let columns = ["p50", "p90", "p99", "p99.9", "p99.99", "max"];
    let mut rows = vec![
        std::iter::once("ms")
            .chain(columns)
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    ];
    let mut row = |name: String, prefix: &str| {
        let cells = columns.iter().map(|column| {
            figures
                .get(&format!("{prefix}{column}_ms"))
                .map_or("-".into(), |v| short(*v))
        });
        rows.push(std::iter::once(name).chain(cells).collect());
    };
    row("all".into(), "");
    if schedule.phases().count() > 1 {
        for (place, phase) in schedule.phases().enumerate() {
            row(
                format!("{}/s", short(phase.rate)),
                &format!("phase{}_", place + 1),
            );
        }
    }
    let count = |name: &str| figures.get(name).copied().unwrap_or(0.0);
    println!("{scenario}\n{}", table(&rows));
    println!(
        "{} records sent, {} missing, {} repeated",
        short(count("records")),
        short(count("missing")),
        short(count("duplicates"))
    );
    if let Some(seconds) = figures.get("recovered_s") {
        println!(
            "backlog at most {} records, gone {seconds:.2} s after the last step",
            short(count("backlog_max_records"))
        );
    }
}
