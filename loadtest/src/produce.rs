//! `produce`: fills a topic with records, as fast as possible or at a rate.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use clap::Args;

use crate::client::Producer;
use crate::failure::Result;
use crate::generator::{Generator, PRODUCER};
use crate::payload::{Payload, PayloadArgs};
use crate::schedule::{Phase, Schedule};
use crate::topics::Topics;

/// How long the broker may take for what is still queued at the end.
const FLUSH: Duration = Duration::from_secs(120);
/// The producer for filling a topic: large batches.
const FLOOD: [(&str, &str); 3] = [
    ("linger.ms", "20"),
    ("batch.size", "1000000"),
    ("queue.buffering.max.messages", "200000"),
];

/// Options of `produce`.
#[derive(Args, Debug)]
pub(crate) struct ProduceArgs {
    /// Address of the broker
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap: String,
    /// Topic to fill
    #[arg(long)]
    topic: String,
    #[command(flatten)]
    payload: PayloadArgs,
    /// How many records
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// Records per second; without it as fast as the broker takes them
    #[arg(long)]
    rate: Option<f64>,
    /// Make the topic with this many partitions, if it is missing
    #[arg(long, value_name = "PARTITIONS")]
    create: Option<u16>,
}

/// Fills the topic and says how fast.
pub(crate) fn run(args: &ProduceArgs) -> Result<()> {
    let topics = Topics::connect(&args.bootstrap)?;
    match args.create {
        Some(partitions) if topics.partitions(&args.topic).is_err() => {
            topics.create(&args.topic, usize::from(partitions.max(1)))?;
        }
        _ => topics.partitions(&args.topic).map(|_| ())?,
    }
    let began = Instant::now();
    match args.rate {
        None => fill(
            &args.bootstrap,
            &args.topic,
            &args.payload.stream(),
            args.count,
        )?,
        Some(rate) => paced(args, rate)?,
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} records in {seconds:.2} s, {:.0}/s",
        args.count,
        args.count as f64 / seconds
    );
    Ok(())
}

fn paced(args: &ProduceArgs, rate: f64) -> Result<()> {
    if !(rate > 0.0 && rate.is_finite()) {
        return Err(crate::failure::Failure::new("--rate must be above 0"));
    }
    let producer = Producer::new(&args.bootstrap, &PRODUCER, &args.topic)?;
    let schedule = Schedule::new(&[Phase {
        rate,
        seconds: args.count as f64 / rate,
    }]);
    let generator = Generator {
        producer: &producer,
        payload: &args.payload.stream(),
        first: 0,
    };
    generator.run(
        &schedule,
        Instant::now(),
        &AtomicBool::new(false),
        &AtomicU64::new(0),
    )?;
    producer.finish(FLUSH)
}

/// Sends records 0 to `count` - 1 as fast as possible and waits until all are acknowledged.
pub(crate) fn fill(bootstrap: &str, topic: &str, payload: &Payload, count: u64) -> Result<()> {
    let producer = Producer::new(bootstrap, &FLOOD, topic)?;
    Generator {
        producer: &producer,
        payload,
        first: 0,
    }
    .flood(count)?;
    producer.finish(FLUSH)
}
