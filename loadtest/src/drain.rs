//! `drain`: how fast a command works off a topic that is already full.
//!
//! Progress is read from the ends of the output's partitions, a few small requests 20 times a second: a reader of all records
//! would take a good part of the two cores away from what is measured. Where outputs are not one for each input, it is
//! the position that the command commits to its consumer group.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::broker::{Broker, BrokerArgs};
use crate::child::Child;
use crate::document::{Contender, Document};
use crate::failure::{Failure, Result};
use crate::figures::{Figures, medians, short};
use crate::payload::{Kind, PayloadArgs};
use crate::produce;
use crate::schedule::duration;
use crate::stages::{self, Page};
use crate::target::{Places, Template, TopicArgs, Workplace};
use crate::topics::{Group, Topics};

/// Between two looks at the output.
const LOOK: Duration = Duration::from_millis(50);
/// Between two looks near the end, which must be seen exactly.
const LOOK_CLOSELY: Duration = Duration::from_millis(5);

/// Options of `drain`.
#[derive(Args, Debug)]
pub(crate) struct DrainArgs {
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    topics: TopicArgs,
    #[command(flatten)]
    payload: PayloadArgs,
    /// Measured until this consumer group has read the input, and not until there are as many outputs
    #[arg(long, value_name = "GROUP")]
    until_group: Option<String>,
    /// Records to preload
    #[arg(long, default_value_t = 2_000_000)]
    records: u64,
    /// Command to start; {bootstrap}, {input}, {output} and {checkpoint} are filled in
    #[arg(long)]
    command: String,
    /// The longest time to wait for the last record
    #[arg(long, value_parser = duration, default_value = "300s")]
    limit: Duration,
    /// Write the result as JSON to this file ('-': stdout)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Preloads, starts the command and measures once.
pub(crate) fn run(args: &DrainArgs) -> Result<()> {
    if args.payload.payload == Kind::Lines && args.until_group.is_none() {
        return Err(Failure::new(
            "lines are not one output each: name the command's consumer group with --until-group",
        ));
    }
    let broker = Broker::open(&args.broker, &[])?;
    let topics = Topics::connect(broker.bootstrap())?;
    let (inputs, outputs) = args.topics.ensure(&topics)?;
    if topics.count(&args.topics.input, inputs)? > 0
        || topics.count(&args.topics.output, outputs)? > 0
    {
        return Err(Failure::new(format!(
            "'{}' or '{}' is not empty: give topics that are",
            args.topics.input, args.topics.output
        )));
    }
    produce::fill(
        broker.bootstrap(),
        &args.topics.input,
        &args.payload.stream(),
        args.records,
    )?;
    let place = Workplace::new(None)?;
    let checkpoint = place.join("checkpoint").display().to_string();
    let places = Places {
        bootstrap: broker.bootstrap(),
        input: &args.topics.input,
        output: &args.topics.output,
        checkpoint: &checkpoint,
    };
    let command = Template(args.command.clone()).fill(places);
    let progress = match &args.until_group {
        Some(group) => Progress::Committed(topics.group(group)?, &args.topics.input, inputs),
        None => Progress::Written(&args.topics.output, outputs),
    };
    let work = Work {
        progress,
        records: args.records,
        limit: args.limit,
        http: None,
    };
    let figures = work.measure(&topics, &command, &place.join("command.log"))?;
    let shown = |name: &str| figures.get(name).map_or("-".into(), |value| short(*value));
    println!(
        "{} records/s, {} us of processor time per record, peak RSS {} MB, {} s with start",
        shown("records_per_s"),
        shown("cpu_us_per_record"),
        shown("rss_peak_mb"),
        shown("seconds_with_start")
    );
    if let Some(path) = &args.json {
        let (rounds, scenario) = (
            vec![figures],
            format!(
                "drain of {} records{}, {inputs} partitions",
                short(args.records as f64),
                args.payload.words()
            ),
        );
        let median = medians(&rounds);
        Document::new(
            scenario,
            vec![Contender {
                name: "drain".into(),
                command,
                rounds,
                median,
                ratio: Figures::new(),
            }],
        )
        .write(path)?;
    }
    Ok(())
}

/// A full input, and the output it has to become.
pub(crate) struct Work<'a> {
    /// How far it is.
    pub(crate) progress: Progress<'a>,
    /// Records that have to come out, or to be read.
    pub(crate) records: u64,
    /// The longest time for it.
    pub(crate) limit: Duration,
    /// Where the command serves its metrics page, which says how long each stage took.
    pub(crate) http: Option<&'a str>,
}

/// By what the work that is done is counted.
pub(crate) enum Progress<'a> {
    /// Records of the topic that the command writes, empty before, with so many partitions.
    Written(&'a str, usize),
    /// Positions of the group in the topic that the command reads, with so many partitions.
    Committed(Group, &'a str, usize),
}

impl Progress<'_> {
    fn count(&self, topics: &Topics) -> Result<u64> {
        match self {
            Progress::Written(topic, partitions) => topics.count(topic, *partitions),
            Progress::Committed(group, topic, partitions) => group.committed(topic, *partitions),
        }
    }
}

impl Work<'_> {
    /// Starts `command`, waits for the last record and stops it again.
    pub(crate) fn measure(&self, topics: &Topics, command: &str, log: &Path) -> Result<Figures> {
        let started = Instant::now();
        let mut child = Child::start(command, log)?;
        let mut first: Option<(u64, Duration)> = None;
        loop {
            let count = self.progress.count(topics)?;
            let (at, usage) = (started.elapsed(), child.usage());
            if count > 0 && first.is_none() {
                first = Some((count, at));
            }
            if count >= self.records {
                let (counted, since) = first.unwrap_or((0, Duration::ZERO));
                // The page begins with the command: all that it says came since.
                let stages = match self.http {
                    Some(http) => stages::figures(&Page::new(), &stages::look(http)?),
                    None => Figures::new(),
                };
                child.stop(Duration::from_secs(30));
                // All in one look: then the start is part of the time, for want of an earlier look.
                let (counted, since) = if counted >= self.records {
                    (0, Duration::ZERO)
                } else {
                    (counted, since)
                };
                let mut figures = Figures::from([
                    (
                        "records_per_s".into(),
                        (count - counted) as f64 / (at - since).as_secs_f64(),
                    ),
                    ("seconds_with_start".into(), at.as_secs_f64()),
                    (
                        "cpu_us_per_record".into(),
                        usage.cpu_us as f64 / count as f64,
                    ),
                    ("rss_peak_mb".into(), usage.peak_kb as f64 / 1024.0),
                ]);
                figures.extend(stages);
                return Ok(figures);
            }
            child.must_live()?;
            if at > self.limit {
                return Err(Failure::new(format!(
                    "{count} of {} records were worked off in {} s",
                    self.records,
                    self.limit.as_secs()
                )));
            }
            thread::sleep(if count > self.records / 100 * 95 {
                LOOK_CLOSELY
            } else {
                LOOK
            });
        }
    }
}
