//! The floor: the least that a program can do between two topics with librdkafka. One thread, one queue, no decoding, no
//! positions kept. What a stream engine adds to it is what `compare` shows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::client::{Consumer, Producer, Start};
use crate::failure::Result;

/// Options of `floor`.
#[derive(Args, Clone, Debug)]
pub(crate) struct FloorArgs {
    /// Address of the broker
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap: String,
    /// Topic to read
    #[arg(long)]
    input: String,
    /// Topic to write
    #[arg(long)]
    output: String,
    /// Where to begin in each partition; nothing is remembered between two runs
    #[arg(long, value_enum, default_value = "earliest")]
    starting_offsets: StartingOffsets,
    /// Requests in flight per connection, 1 to 5
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=5))]
    in_flight: u8,
    /// Milliseconds that a batch waits for more records [default: 0, with --drain 5]
    #[arg(long)]
    linger_ms: Option<f64>,
    /// Tuned for throughput: larger batches and queues
    #[arg(long)]
    drain: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StartingOffsets {
    Earliest,
    Latest,
}

static ENDED: AtomicBool = AtomicBool::new(false);

extern "C" fn end(_: libc::c_int) {
    ENDED.store(true, Ordering::Relaxed);
}

/// Copies records until SIGTERM or SIGINT, then waits until all are acknowledged.
pub(crate) fn run(args: &FloorArgs) -> Result<()> {
    let handler: extern "C" fn(libc::c_int) = end;
    // SAFETY: the handler does nothing but store to an atomic. Two arenas keep the memory of the client's threads small.
    unsafe {
        libc::signal(libc::SIGTERM, handler as libc::sighandler_t);
        libc::signal(libc::SIGINT, handler as libc::sighandler_t);
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
    let (linger, in_flight) = (
        args.linger_ms
            .unwrap_or(if args.drain { 5.0 } else { 0.0 })
            .to_string(),
        args.in_flight.to_string(),
    );
    let mut writing = vec![
        ("linger.ms", linger.as_str()),
        ("max.in.flight.requests.per.connection", &in_flight),
        ("batch.num.messages", "10000"),
    ];
    let mut reading = vec![("fetch.wait.max.ms", "20")];
    if args.drain {
        writing.push(("queue.buffering.max.messages", "200000"));
        reading.extend([
            ("queued.min.messages", "20000"),
            ("queued.max.messages.kbytes", "16384"),
        ]);
    }
    let start = match args.starting_offsets {
        StartingOffsets::Earliest => Start::Earliest,
        StartingOffsets::Latest => Start::Latest,
    };
    let producer = Producer::new(&args.bootstrap, &writing, &args.output)?;
    let mut consumer = Consumer::new(&args.bootstrap, &reading, &args.input, &start)?;
    while !ENDED.load(Ordering::Relaxed) {
        let mut outcome = Ok(());
        consumer.read(Duration::from_millis(100), |_, key, value| {
            if outcome.is_ok() {
                outcome = producer.send_waiting(key, value);
            }
        });
        outcome?;
        producer.poll(Duration::ZERO)?;
    }
    producer.finish(Duration::from_secs(10))
}
