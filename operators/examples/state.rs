//! What keyed state costs: memory of a key, time of a row, of a save, of a restore, and of windows that slide.
//!
//! `cargo run --release -p thalweg-operators --example state`

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;
use thalweg_operators::stateful::accumulators::find;
use thalweg_operators::stateful::aggregate::Aggregate;
use thalweg_operators::stateful::grouping::{self, Emits, Grouping, Over, Shape, Window};

/// Counts what is allocated, as the allocator rounds it.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

fn rounded(layout: Layout) -> usize {
    // glibc: 8 bytes before each block, blocks of 16 bytes, 32 at least.
    (layout.size() + 8).next_multiple_of(16).max(32)
}

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(rounded(layout), Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(rounded(layout), Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Default)]
struct Count(u64);

impl Emit for Count {
    fn emit(&mut self, _: &[Value], _: &RecordMeta) -> Result<(), RecordError> {
        self.0 += 1;
        Ok(())
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

/// `count(*), sum(amount)` over rows of card, amount, time.
fn grouping(window: Option<Shape>, emits: Emits) -> Grouping {
    let aggregate = |name, types: &[DataType]| grouping::Aggregate {
        identity: String::from(name),
        function: find(name).map_or("", |function| function.name),
        arguments: vec![1; types.len()],
        types: types.to_vec(),
        filter: None,
        distinct: false,
        own: None,
        ignore_nulls: false,
        result: DataType::BigInt,
        ansi: true,
        parameters: Vec::new(),
        delimiter: String::new(),
    };
    Grouping {
        keys: vec![DataType::String],
        over: match window {
            Some(_) => Over::Window,
            None => Over::Never,
        },
        window: window.map(|shape| Window {
            time: 2,
            data_type: DataType::Timestamp,
            at: 1,
            shape,
        }),
        aggregates: vec![
            aggregate("count", &[]),
            aggregate("sum", &[DataType::BigInt]),
        ],
        emits,
        ttl: None,
    }
}

fn card(number: u64) -> Value {
    Value::String(format!("{number:016}").into())
}

/// A well mixed number below `below`.
fn random(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*seed >> 33) % below
}

fn feed(operator: &mut dyn Operator, row: &[Value], meta: &RecordMeta, out: &mut Count) {
    operator.process(0, row, meta, out).expect("a plain row");
    operator.accept();
}

fn micros(time: Duration) -> u128 {
    time.as_micros()
}

/// What the processor has done for this thread.
fn processor() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes the one value that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// p50, p99.9 and the longest, and how many are longer than a cut of so many keys may take.
fn spread(times: &mut [Duration], changed: u64) -> String {
    times.sort_unstable();
    let at = |thousandth: usize| {
        let place = (times.len() * thousandth / 1000).min(times.len() - 1);
        micros(times[place])
    };
    let allowed = Duration::from_nanos(200_000 + 100 * changed);
    let beyond = times.iter().filter(|took| **took > allowed).count();
    let (half, most, all) = (at(500), at(999), at(1000));
    format!(
        "p50 {half}, p99.9 {most}, max {all} us; {beyond} of {} too long",
        times.len()
    )
}

/// Many cuts of about so many changed keys, by the clock and by what the processor did: beside others that want the
/// processor the two differ by what they were given.
fn cuts(
    operator: &mut dyn Operator,
    (keys, changed): (u64, u64),
    meta: &RecordMeta,
    out: &mut Count,
) {
    let (mut clock, mut work) = (Vec::new(), Vec::new());
    let names: Vec<_> = (0..keys).map(card).collect();
    let mut row = vec![Value::Null, Value::BigInt(7), Value::Null];
    let mut seed = 7;
    for _ in 0..1000 {
        for _ in 0..changed {
            let place = usize::try_from(random(&mut seed, keys)).expect("a small number");
            row[0].clone_from(&names[place]);
            feed(operator, &row, meta, out);
        }
        let (begun, begun_work) = (Instant::now(), processor());
        let saved = operator.save();
        let (worked, took) = (processor() - begun_work, begun.elapsed());
        drop(saved);
        clock.push(took);
        work.push(worked);
    }
    println!(
        "1000 cuts of {changed} keys by the clock: {}",
        spread(&mut clock, changed)
    );
    println!("  by the processor's time: {}", spread(&mut work, changed));
}

fn keyed(keys: u64, changed: u64) {
    let (meta, mut out) = (meta(), Count::default());
    let before = ALLOCATED.load(Relaxed);
    let mut operator = Aggregate::new(grouping(None, Emits::UpdateAtTrigger));
    let row = |number| vec![card(number), Value::BigInt(7), Value::Null];
    let (mut slowest, begun) = (Duration::ZERO, Instant::now());
    for number in 0..keys {
        let row = row(number);
        let begun = Instant::now();
        feed(&mut *operator, &row, &meta, &mut out);
        slowest = slowest.max(begun.elapsed());
    }
    println!(
        "{keys} keys made in {} ms, the slowest row {} us",
        begun.elapsed().as_millis(),
        micros(slowest)
    );
    let progress = operator.tick(0, &meta, &mut out).expect("a trigger");
    let mut progress = progress;
    while progress == Progress::More {
        operator.accept();
        progress = operator.resume(&meta, &mut out).expect("a trigger");
    }
    operator.accept();
    let own = ALLOCATED.load(Relaxed) - before;
    let begun = Instant::now();
    let first = operator.save().expect("all keys");
    let took = begun.elapsed();
    println!(
        "all of them saved in {} ms ({} ns a key)",
        took.as_millis(),
        took.as_nanos() / u128::from(keys)
    );
    let saved_bytes = first.entries.bytes().len();
    println!(
        "{} bytes a key allocated, {} as the operator says, {} saved",
        own as u64 / keys,
        operator.size().bytes / keys,
        saved_bytes as u64 / keys
    );

    let mut saved = vec![first];
    let mut seed = 1;
    for _ in 0..3 {
        let rows: Vec<_> = (0..changed).map(|_| row(random(&mut seed, keys))).collect();
        let begun = Instant::now();
        for row in &rows {
            feed(&mut *operator, row, &meta, &mut out);
        }
        let updated = begun.elapsed();
        let begun = Instant::now();
        let changes = operator.save().expect("changed keys");
        let took = begun.elapsed();
        println!(
            "{} changed keys saved in {} us ({} ns a key); a row took {} ns",
            changes.entries.len(),
            micros(took),
            took.as_nanos() / u128::from(changed),
            updated.as_nanos() / u128::from(changed)
        );
        saved.push(changes);
    }
    cuts(&mut *operator, (keys, changed), &meta, &mut out);
    let mut other = Aggregate::new(grouping(None, Emits::UpdateAtTrigger));
    let begun = Instant::now();
    other.restore(&saved).expect("its own state");
    println!(
        "{} keys restored in {} ms",
        other.size().keys,
        begun.elapsed().as_millis()
    );

    let rows: Vec<_> = (0..1_000_000)
        .map(|_| row(random(&mut seed, keys)))
        .collect();
    let mut operator = Aggregate::new(grouping(None, Emits::UpdateAtOnce));
    operator.restore(&saved).expect("its own state");
    let begun = Instant::now();
    for row in &rows {
        feed(&mut *operator, row, &meta, &mut out);
    }
    println!(
        "{:.0} rows/s with a result each, at once",
        1e6 / begun.elapsed().as_secs_f64()
    );
}

fn sliding(keys: u64, records: u64, per_minute: u64) {
    const MINUTE: i64 = 60_000_000;
    let (mut meta, mut out) = (meta(), Count::default());
    let shape = Shape::Fixed {
        size: 60 * MINUTE,
        slide: MINUTE,
        start: 0,
    };
    let mut operator = Aggregate::new(grouping(Some(shape), Emits::Append));
    let mut seed = 1;
    let names: Vec<_> = (0..keys).map(card).collect();
    let mut row = vec![Value::Null, Value::BigInt(7), Value::Null];
    let mut slowest = Duration::ZERO;
    let begun = Instant::now();
    for number in 0..records {
        let minute = i64::try_from(number / per_minute).expect("a small number");
        let place = usize::try_from(random(&mut seed, keys)).expect("a small number");
        row[0].clone_from(&names[place]);
        row[2] = Value::Timestamp(minute * MINUTE + 1);
        feed(&mut *operator, &row, &meta, &mut out);
        if number % per_minute == 0 {
            let watermark = (minute - 1) * MINUTE;
            let mut slice = Instant::now();
            let mut progress = operator
                .advance(watermark, &meta, &mut out)
                .expect("a watermark");
            operator.accept();
            slowest = slowest.max(slice.elapsed());
            while progress == Progress::More {
                slice = Instant::now();
                progress = operator.resume(&meta, &mut out).expect("a watermark");
                operator.accept();
                slowest = slowest.max(slice.elapsed());
            }
            meta.watermark = Some(watermark);
        }
    }
    println!(
        "1 hour by 1 minute over {keys} keys, {per_minute} records a minute: {:.0} records/s, {} windows out, {} groups, the slowest slice {} us",
        records as f64 / begun.elapsed().as_secs_f64(),
        out.0,
        operator.size().keys,
        micros(slowest)
    );
}

fn main() {
    keyed(1_000_000, 10_000);
    sliding(100_000, 6_000_000, 1_000_000);
    sliding(100_000, 6_000_000, 100_000);
}
