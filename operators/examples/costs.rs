//! What each step with state costs: time of a record, of a cut, of a restart; memory of a key. Prints the table of
//! docs/state.md.
//!
//! `cargo run --release -p thalweg-operators --example costs`: 100,000 keys by chance, two million records in event time a
//! millisecond apart, the watermark ten seconds behind, a cut after each 10,000 records.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};
use thalweg_operators::stateful::accumulators::find;
use thalweg_operators::stateful::aggregate::Aggregate;
use thalweg_operators::stateful::dedup::{Dedup, Remember};
use thalweg_operators::stateful::grouping::{self, Emits, Grouping, Shape};
use thalweg_operators::stateful::join::{Bound, Kind as JoinKind, Side, StreamJoin, TableJoin};
use thalweg_operators::stateful::over::{
    Argument, Distance, Frame, Function, Kind, Order, Over, Window,
};

const KEYS: u64 = 100_000;
const ROWS: u64 = 2_000_000;
/// Between two records, in microseconds.
const APART: i64 = 1000;
const DELAY: i64 = 10_000_000;
const MINUTE: i64 = 60_000_000;

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

struct Nowhere;

impl Emit for Nowhere {
    fn emit(&mut self, row: &[Value], _: &RecordMeta) -> Result<(), RecordError> {
        std::hint::black_box(row);
        Ok(())
    }
}

/// `count(*), sum(amount)`, or what is named, over rows of card, amount, time, gap.
fn group(window: Option<Shape>, emits: Emits, more: Option<&str>) -> Grouping {
    let aggregate = |name, types: &[DataType], result| grouping::Aggregate {
        identity: String::from(name),
        function: find(name).map_or("", |function| function.name),
        arguments: vec![1; types.len()],
        types: types.to_vec(),
        filter: None,
        distinct: false,
        own: None,
        delimiter: String::new(),
        ignore_nulls: false,
        parameters: match name {
            "percentile_approx" => vec![1000.0, 0.9],
            _ => Vec::new(),
        },
        result,
        ansi: true,
    };
    let mut aggregates = vec![
        aggregate("count", &[], DataType::BigInt),
        aggregate("sum", &[DataType::BigInt], DataType::BigInt),
    ];
    aggregates.extend(more.map(|name| aggregate(name, &[DataType::BigInt], DataType::BigInt)));
    Grouping {
        keys: vec![DataType::String],
        over: match window {
            Some(_) => grouping::Over::Window,
            None => grouping::Over::Never,
        },
        window: window.map(|shape| grouping::Window {
            time: 2,
            data_type: DataType::Timestamp,
            at: 1,
            shape,
        }),
        aggregates,
        emits,
        ttl: None,
    }
}

fn fixed(size: i64, slide: i64) -> Option<Shape> {
    Some(Shape::Fixed {
        size,
        slide,
        start: 0,
    })
}

/// `count(*), sum(amount)` over one frame.
fn over(frame: Frame, step: Option<i64>) -> Box<dyn Operator> {
    let function = |kind, argument| Function {
        identity: format!("{kind:?}"),
        kind,
        argument,
        frame: 0,
        result: DataType::BigInt,
        ansi: true,
    };
    let amount = Argument {
        identity: "amount".to_owned(),
        place: 1,
        data_type: DataType::BigInt,
    };
    Box::new(Window::new(&Over {
        keys: vec![0],
        order: Some(Order {
            place: 2,
            data_type: DataType::Timestamp,
            event_time: true,
        }),
        frames: vec![frame],
        functions: vec![
            function(Kind::CountRows, None),
            function(Kind::Sum, Some(amount)),
        ],
        rows_max: 100_000,
        ttl: None,
        step,
    }))
}

fn range(length: i64) -> Frame {
    Frame::Range {
        from: Distance::Whole(length),
        to: Distance::Whole(0),
    }
}

fn side(bound: Option<i64>) -> Side {
    Side {
        columns: vec![
            Field::nullable("card", DataType::String),
            Field::nullable("amount", DataType::BigInt),
            Field::nullable("ts", DataType::Timestamp),
            Field::nullable("gap", DataType::BigInt),
        ],
        keys: vec![0],
        bound: bound.map(|reach| Bound { time: 2, reach }),
    }
}

/// A well mixed number below `below`.
fn random(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*seed >> 33) % below
}

/// Records with their time, and what is measured on the way.
struct Bench {
    name: &'static str,
    operator: Box<dyn Operator>,
    /// How many inputs take turns, from which on.
    inputs: (usize, usize),
    meta: RecordMeta,
    spent: Duration,
    cut: Duration,
    entries: usize,
    bytes: usize,
}

impl Bench {
    fn new(name: &'static str, operator: Box<dyn Operator>, inputs: (usize, usize)) -> Self {
        let meta = RecordMeta {
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
        };
        Self {
            name,
            operator,
            inputs,
            meta,
            spent: Duration::ZERO,
            cut: Duration::ZERO,
            entries: 0,
            bytes: 0,
        }
    }

    fn feed(&mut self, cards: &[Value], rows: u64, cuts: bool) {
        let mut seed = 1;
        let mut row = vec![
            Value::Null,
            Value::Null,
            Value::Null,
            Value::BigInt(30_000_000),
        ];
        let mut number: i64 = 0;
        for thousand in 0..rows / 1000 {
            let begun = Instant::now();
            for _ in 0..1000 {
                let time = number * APART;
                let card = usize::try_from(random(&mut seed, KEYS)).unwrap_or(0);
                row[0].clone_from(&cards[card]);
                row[1] = Value::BigInt(number % 1000);
                row[2] = Value::Timestamp(time);
                self.meta.event_time = Some(time);
                let (from, inputs) = self.inputs;
                let input = from + usize::try_from(number).unwrap_or(0) % inputs;
                self.operator
                    .process(input, &row, &self.meta, &mut Nowhere)
                    .expect("a plain row");
                self.operator.accept();
                number += 1;
            }
            let watermark = number * APART - DELAY;
            let mut progress = self
                .operator
                .advance(watermark, &self.meta, &mut Nowhere)
                .expect("a watermark");
            self.operator.accept();
            while progress == Progress::More {
                progress = self
                    .operator
                    .resume(&self.meta, &mut Nowhere)
                    .expect("a watermark");
                self.operator.accept();
            }
            self.meta.watermark = Some(watermark);
            self.spent += begun.elapsed();
            if cuts && thousand % 10 == 9 {
                let begun = Instant::now();
                if let Some(changes) = self.operator.save() {
                    self.cut += begun.elapsed();
                    self.entries += changes.entries.len();
                    self.bytes += changes.entries.bytes().len();
                }
            }
        }
    }
}

fn measure(
    name: &'static str,
    cards: &[Value],
    inputs: (usize, usize),
    make: impl Fn() -> Box<dyn Operator>,
) {
    let before = ALLOCATED.load(Relaxed);
    let mut bench = Bench::new(name, make(), inputs);
    bench.feed(cards, ROWS, true);
    let allocated = ALLOCATED.load(Relaxed).saturating_sub(before) as u64;
    let size = bench.operator.size();
    // Of state that was never saved all is saved at once.
    let mut all = Bench::new(name, make(), inputs);
    all.feed(cards, ROWS, false);
    let saved = all.operator.save().expect("there is state");
    let mut other = make();
    let begun = Instant::now();
    other
        .restore(std::slice::from_ref(&saved))
        .expect("its own state");
    let restored = begun.elapsed();
    let entries = bench.entries.max(1) as u128;
    let keys = size.keys.max(1);
    println!(
        "| {} | {} | {} | {} | {} | {} | {} ({}) | {} ms |",
        bench.name,
        bench.spent.as_nanos() / u128::from(ROWS),
        size.keys,
        size.bytes / keys,
        allocated / keys,
        bench.entries as u64 / (ROWS / 10_000),
        bench.cut.as_nanos() / entries,
        bench.bytes as u128 / entries,
        restored.as_millis(),
    );
}

fn main() {
    let cards: Vec<Value> = (0..KEYS)
        .map(|card| Value::String(format!("{card:016}").into()))
        .collect();
    let aggregate = |window, emits, more| move || Aggregate::new(group(window, emits, more));
    println!(
        "| step | ns a record | keys | bytes a key as told | allocated | entries a cut | ns (bytes) an entry | restart |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let none = || None;
    let one = (0, 1);
    measure("GROUP BY, result at once", &cards, one, || {
        aggregate(none(), Emits::UpdateAtOnce, None)()
    });
    measure("the same and approx_count_distinct", &cards, one, || {
        aggregate(
            none(),
            Emits::UpdateAtTrigger,
            Some("approx_count_distinct"),
        )()
    });
    measure(
        "the same and percentile_approx, accuracy 1000",
        &cards,
        one,
        || aggregate(none(), Emits::UpdateAtTrigger, Some("percentile_approx"))(),
    );
    measure("window of 10 minutes", &cards, one, || {
        aggregate(fixed(10 * MINUTE, 10 * MINUTE), Emits::Append, None)()
    });
    measure("window of 10 minutes by 1", &cards, one, || {
        aggregate(fixed(10 * MINUTE, MINUTE), Emits::Append, None)()
    });
    measure("session, gap of 30 seconds", &cards, one, || {
        aggregate(Some(Shape::Session { gap: 3 }), Emits::Append, None)()
    });
    measure("DISTINCT", &cards, one, || {
        Dedup::new(vec![0], &[DataType::String], Remember::Always, None)
    });
    measure("OVER from UNBOUNDED PRECEDING", &cards, one, || {
        over(Frame::Unbounded { current: true }, None)
    });
    measure("OVER RANGE 20 minutes", &cards, one, || {
        over(range(20 * MINUTE), None)
    });
    measure("the same, frameStep of 5 minutes", &cards, one, || {
        over(range(20 * MINUTE), Some(5 * MINUTE))
    });
    measure("OVER ROWS 10 PRECEDING", &cards, one, || {
        over(Frame::Rows { from: 10, to: 0 }, None)
    });
    measure("join of streams, 1 minute", &cards, (0, 2), || {
        let sides = [side(Some(MINUTE)), side(Some(MINUTE))];
        Box::new(StreamJoin::new(JoinKind::Inner, sides, None, None))
    });
    measure("join with a table, its changes", &cards, (1, 1), || {
        let sides = (side(None), side(None));
        Box::new(TableJoin::new(JoinKind::Left, sides.0, sides.1, 3, None))
    });
}
