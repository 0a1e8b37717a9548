//! Ten features of card payments in one SELECT: how many records a second one core answers, what a cut costs and how many bytes
//! a card takes. Prints the table of docs/over.md.
//!
//! `cargo run --release -p thalweg-operators --example features [RECORDS]`: payments of twelve fields, 100,000 cards by chance,
//! a millisecond apart in event time, the watermark ten seconds behind, a cut after each 10,000 records. Decoding and
//! writing are left out: rows go through all steps of the query, as a lane sends them.
//!
//! `cargo run --release -p thalweg-operators --features onnx --example features -- fraud [RECORDS]`: the same with the job
//! `bin/jobs/fraud.sql`: ten features, rules, the look-up of a blocked merchant and the score of the shipped model.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::pipeline::{Moment, Pipeline, Target};
use thalweg_engine::huge_pages;
use thalweg_engine::operator::Progress;
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::sink::{LocalFuture, Origin, Readiness, Writer};
use thalweg_engine::state::{StateBudget, StateSize};
use thalweg_operators::models::Opening;
use thalweg_operators::plan::Query;
use thalweg_operators::sql::{Overrides, load};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CARDS: u64 = 100_000;
/// Between two records, in microseconds.
const APART: i64 = 1000;
/// When they begin: 2026.
const BEGIN: i64 = 1_767_225_600_000_000;
/// Records between two cuts.
const CUT: u64 = 10_000;

const JOB: &str = "
SET checkpointLocation = 'c';
CREATE TABLE payments (id STRING, card STRING, ts TIMESTAMP, amount DOUBLE, currency STRING, merchant STRING, category STRING,
  country STRING, lat DOUBLE, lon DOUBLE, device STRING, channel STRING)
  USING file OPTIONS (path 'in.jsonl') WATERMARK ts DELAY OF INTERVAL 10 SECONDS;
CREATE TABLE features USING noop;
INSERT INTO features
SELECT id, card, amount,
  count(*) OVER minutes AS in_ten_minutes,
  count(*) OVER hour AS in_an_hour,
  sum(amount) OVER hour AS spent,
  max(amount) OVER hour AS most,
  count(DISTINCT merchant) OVER hour AS merchants,
  amount / avg(amount) OVER card AS ratio,
  (amount - avg(amount) OVER card) / nullif(stddev(amount) OVER card, 0) AS deviation,
  decayed_sum(amount, INTERVAL 1 DAY) OVER card AS spent_lately,
  unix_millis(ts) - unix_millis(lag(ts) OVER card) AS since,
  speed_kmh(lag(lat) OVER card, lag(lon) OVER card, lag(ts) OVER card, lat, lon, ts) AS speed
FROM payments
WINDOW card AS (PARTITION BY card ORDER BY ts),
  minutes AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 10 MINUTES PRECEDING AND CURRENT ROW),
  hour AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 1 HOUR PRECEDING AND CURRENT ROW);
";

const FRAUD: &str = include_str!("../../bin/jobs/fraud.sql");
const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../bin/jobs/models");

/// Takes what comes out.
struct Nowhere;

impl Writer for Nowhere {
    fn write(&mut self, row: &[Value], _: Origin<'_>) -> Result<(), RecordError> {
        black_box(row);
        Ok(())
    }
    fn accept(&mut self) -> Result<Readiness, Failure> {
        Ok(Readiness::Ready)
    }
    fn reject(&mut self) {}
    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A well mixed number below `below`.
fn random(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*seed >> 33) % below
}

/// Payments as a source gives them: the columns that the query wants, in its order.
struct Payments {
    wanted: Vec<usize>,
    cards: Vec<Value>,
    merchants: Vec<Value>,
    seed: u64,
    number: i64,
}

impl Payments {
    fn new(wanted: &[usize]) -> Self {
        let text = |text: String| Value::String(text.into());
        Self {
            wanted: wanted.to_vec(),
            cards: (0..CARDS).map(|n| text(format!("4000-{n:08}"))).collect(),
            merchants: (0..5000).map(|n| text(format!("M{n:05}"))).collect(),
            seed: 1,
            number: 0,
        }
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    fn next(&mut self, row: &mut Row) -> i64 {
        let time = BEGIN + self.number * APART;
        let card = random(&mut self.seed, CARDS);
        let mut real = |from: f64, span: f64| {
            Value::Double(from + span * random(&mut self.seed, 10_000) as f64 / 10_000.0)
        };
        let all = [
            Value::BigInt(self.number),
            self.cards[card as usize].clone(),
            Value::Timestamp(time),
            real(1.0, 200.0),
            Value::from("EUR"),
            Value::Null,
            Value::from("fuel"),
            Value::from("DE"),
            real(card as f64 % 80.0, 0.05),
            real(card as f64 % 170.0, 0.05),
            Value::from("device"),
            Value::from("online"),
            Value::Boolean(self.number % 50 == 0),
        ];
        let merchant = random(&mut self.seed, 5000) as usize;
        row.clear();
        row.extend(self.wanted.iter().map(|place| match place {
            0 => Value::String(format!("{:010}", self.number).into()),
            5 => self.merchants[merchant].clone(),
            place => all[*place].clone(),
        }));
        self.number += 1;
        time
    }
}

fn meta() -> RecordMeta {
    RecordMeta {
        partition: Arc::new(Partition {
            input: "in".into(),
            name: "in/0".into(),
        }),
        position: Position::Number(0),
        record_time: None,
        event_time: None,
        watermark: None,
        taken_at: 0,
        taken: Instant::now(),
    }
}

/// A moment with all that steps have to do in it.
fn moment(pipeline: &mut Pipeline, moment: Moment, meta: &RecordMeta) {
    let mut progress = pipeline.begin(moment, meta).expect("a watermark");
    while progress == Progress::More {
        progress = pipeline.resume(meta).expect("a watermark");
    }
    let _ = pipeline.accept();
}

fn at(sorted: &[Duration], quantile: f64) -> Duration {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let place = ((sorted.len() as f64 * quantile) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default()
}

/// The query, with its models opened.
fn query(fraud: bool) -> Query {
    let text = if fraud { FRAUD } else { JOB };
    let job = load(text, &Overrides::default(), &|name| match name {
        "MODELS" => Some(MODELS.to_owned()),
        _ => None,
    });
    let mut job = job.unwrap_or_else(|error| panic!("{}", error.render("job.sql", text)));
    let query = job.queries.remove(0);
    for model in &query.models {
        let opened = model.open(Opening::default());
        opened.unwrap_or_else(|failure| panic!("{}", failure.message));
    }
    query
}

/// What the steps keep.
fn size(pipeline: &Pipeline) -> StateSize {
    let mut all = StateSize::default();
    pipeline.sizes().for_each(|(_, size)| all += size);
    all
}

fn main() {
    // Memory as the program has it: small pages, of a large state huge ones.
    huge_pages::forgo();
    let budget = Arc::new(StateBudget::default());
    let mut kept = 0;
    let mut given = std::env::args().skip(1).peekable();
    let fraud = given.next_if_eq("fraud").is_some();
    let records = given.next().and_then(|text| text.parse().ok());
    let records: u64 = records.unwrap_or(if fraud { 2_000_000 } else { 8_000_000 });
    let query = query(fraud);
    let (_, input) = query.inputs().next().expect("one input");
    let mut payments = Payments::new(input.wanted());
    // Without the place of the source, which comes first.
    let parts = query.lane();
    let moved = |to: Target| match to {
        Target::Step { step, input } => Target::Step {
            step: step - 1,
            input,
        },
        Target::Writer => Target::Writer,
    };
    let steps = parts.steps.into_iter().flatten().map(|mut step| {
        step.to = moved(step.to);
        step
    });
    let entries: Vec<Target> = parts.entries[0].1.iter().map(|to| moved(*to)).collect();
    let mut pipeline =
        Pipeline::new(steps.collect(), Box::new(Nowhere)).expect("steps in their order");
    let mut meta = meta();
    let (mut spent, mut cuts) = (Duration::ZERO, Vec::new());
    let (mut entries_cut, mut bytes_cut, mut beyond) = (0, 0, 0);
    // What it keeps has its size once the longest frame is full.
    let full = 3_600_000_000 / APART.unsigned_abs();
    let mut rows = Vec::new();
    for batch in 0..(full + records) / 1000 {
        rows.resize_with(1000, || (0, Row::new()));
        for (time, row) in &mut rows {
            *time = payments.next(row);
        }
        let measured = batch * 1000 >= full;
        let begun = Instant::now();
        for (_, row) in &rows {
            // A deadline begins when a record is taken.
            meta.taken = Instant::now();
            pipeline.process(&entries, row, &meta).expect("a payment");
            let _ = pipeline.accept();
            if let Some(reached) = pipeline.take_watermark() {
                moment(&mut pipeline, Moment::Watermark(reached), &meta);
                meta.watermark = Some(reached);
            }
        }
        if measured {
            spent += begun.elapsed();
        }
        if ((batch + 1) * 1000).is_multiple_of(CUT) {
            let begun = Instant::now();
            let saved = pipeline.save();
            let took = begun.elapsed();
            let now = size(&pipeline).bytes;
            budget.change(std::mem::replace(&mut kept, now), now);
            huge_pages::tend(&budget);
            if measured {
                let count: usize = saved.iter().map(|(_, one)| one.entries.len()).sum();
                entries_cut += count;
                let bytes = saved.iter().map(|(_, one)| one.entries.bytes().len());
                bytes_cut += bytes.sum::<usize>();
                cuts.push(took);
                let allowed = Duration::from_nanos(200_000 + 100 * CUT);
                beyond += u64::from(took > allowed);
            }
        }
    }
    cuts.sort_unstable();
    let models: Vec<(u64, u64)> = query
        .models
        .iter()
        .map(|model| {
            let counted = model.counters();
            let late = counted.late.load(Ordering::Relaxed);
            (counted.active.load(Ordering::Relaxed), late)
        })
        .collect();
    let size = size(&pipeline);
    let micros = |quantile| at(&cuts, quantile).as_micros();
    println!("| figure | |\n| --- | ---: |");
    #[allow(clippy::cast_precision_loss)]
    let rate = records as f64 / spent.as_secs_f64();
    println!("| records a second | {rate:.0} |");
    println!(
        "| ns a record | {} |",
        spent.as_nanos() / u128::from(records)
    );
    for (scored, late) in models {
        println!(
            "| scored by the model, answered by its fallback, from the first record on | {scored}, {late} |"
        );
    }
    println!("| cards | {} |", size.keys);
    println!("| bytes a card | {} |", size.bytes / size.keys.max(1));
    let number = cuts.len().max(1);
    println!("| entries a cut | {} |", entries_cut / number);
    println!("| bytes a cut | {} |", bytes_cut / number);
    println!(
        "| a cut: p50, p99, p99.9, max, us | {}, {}, {}, {} |",
        micros(0.5),
        micros(0.99),
        micros(0.999),
        micros(1.0)
    );
    println!(
        "| cuts of more than 200 us and 100 ns for each of {CUT} records | {beyond} of {number} |"
    );
}
