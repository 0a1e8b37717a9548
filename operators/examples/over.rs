//! How many records a second one core answers with a running count and sum per card, over 100,000 cards, and what it keeps.
//!
//! `cargo run --release -p thalweg-operators --example over -- 4000000` answers four million records in each form. One record
//! comes each millisecond of event time, so a card has 36 in an hour. The last two have 1,000 cards, with 3,600 each.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::DataType;
use thalweg_operators::stateful::over::{
    Argument, Distance, Frame, Function, Kind, Order, Over, Window,
};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CARDS: u64 = 100_000;
const HOUR: i64 = 3_600_000_000;

struct Nowhere;

impl Emit for Nowhere {
    fn emit(&mut self, row: &[Value], _: &RecordMeta) -> Result<(), RecordError> {
        black_box(row);
        Ok(())
    }
}

/// count(*) and sum(amount) over one frame; the row is card, ts, amount.
fn count_and_sum(frame: Frame, step: Option<i64>) -> Over {
    let function = |kind, argument, result| Function {
        identity: format!("{kind:?}"),
        kind,
        argument,
        frame: 0,
        result,
        ansi: true,
    };
    let amount = Argument {
        identity: "amount".to_owned(),
        place: 2,
        data_type: DataType::Double,
    };
    Over {
        keys: vec![0],
        order: Some(Order {
            place: 1,
            data_type: DataType::Timestamp,
            event_time: true,
        }),
        frames: vec![frame],
        functions: vec![
            function(Kind::CountRows, None, DataType::BigInt),
            function(Kind::Sum, Some(amount), DataType::Double),
        ],
        rows_max: 100_000,
        ttl: None,
        step,
    }
}

fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

/// Numbers that look like chance.
fn scatter(number: u64) -> u64 {
    let mut x = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 32;
    x.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 16
}

fn measure(
    name: &str,
    (frame, step): (Frame, Option<i64>),
    cards_count: u64,
    rows: u64,
    late: u64,
) {
    let before = resident();
    let mut window = Window::new(&count_and_sum(frame, step));
    let mut meta = RecordMeta {
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
    let cards: Vec<Value> = (0..cards_count)
        .map(|card| Value::from(format!("card-{card:011}").as_str()))
        .collect();
    let mut row: Row = vec![Value::Null; 3];
    let mut spent = Duration::ZERO;
    let (mut cuts, mut changed, mut bytes) = (Duration::ZERO, 0, 0);
    let mut failed = 0;
    for thousand in 0..rows / 1000 {
        let begun = Instant::now();
        for number in thousand * 1000..(thousand + 1) * 1000 {
            let chance = scatter(number);
            let mut time = i64::try_from(number).unwrap_or(0) * 1000;
            if chance % 100 < late {
                time -= i64::try_from(chance % 600).unwrap_or(0) * 1_000_000;
            }
            row[0] = cards[usize::try_from(chance % cards_count).unwrap_or(0)].clone();
            row[1] = Value::Timestamp(time);
            row[2] = Value::Double(f64::from(u32::try_from(chance % 5000).unwrap_or(0)));
            meta.event_time = Some(time);
            match window.process(0, &row, &meta, &mut Nowhere) {
                Ok(()) => window.accept(),
                Err(_) => {
                    window.reject();
                    failed += 1;
                }
            }
        }
        let newest = i64::try_from(thousand).unwrap_or(0) * 1_000_000;
        if window
            .advance(newest - 600_000_000, &meta, &mut Nowhere)
            .is_err()
        {
            failed += 1;
        }
        spent += begun.elapsed();
        if thousand % 10 == 9 {
            let begun = Instant::now();
            if let Some(changes) = window.save() {
                cuts += begun.elapsed();
                changed += changes.entries.len();
                bytes += changes.entries.bytes().len();
            }
        }
    }
    let size = window.size();
    let keys = size.keys.max(1);
    println!(
        "{name}: {:.0} records/s, {failed} failed; {} keys, {} bytes a key as told, {} in the process",
        rows as f64 / spent.as_secs_f64(),
        size.keys,
        size.bytes / keys,
        resident().saturating_sub(before) / keys,
    );
    println!(
        "  each cut after 10,000 records: {:.0} ns and {} bytes for each entry",
        cuts.as_nanos() as f64 / f64::from(u32::try_from(changed.max(1)).unwrap_or(1)),
        bytes / changed.max(1),
    );
}

fn main() {
    let rows = std::env::args()
        .nth(1)
        .and_then(|rows| rows.parse().ok())
        .unwrap_or(4_000_000);
    let hour = Frame::Range {
        from: Distance::Whole(HOUR),
        to: Distance::Whole(0),
    };
    measure(
        "from UNBOUNDED PRECEDING",
        (Frame::Unbounded { current: true }, None),
        CARDS,
        rows,
        0,
    );
    measure("RANGE 1 hour", (hour, None), CARDS, rows, 0);
    measure(
        "RANGE 1 hour, 10 % up to 10 minutes late",
        (hour, None),
        CARDS,
        rows,
        10,
    );
    let rows_before = Frame::Rows { from: 10, to: 0 };
    measure("ROWS 10 PRECEDING", (rows_before, None), CARDS, rows, 0);
    let minute = Some(60_000_000);
    measure("RANGE 1 hour, 1,000 cards", (hour, None), 1000, rows, 0);
    measure(
        "RANGE 1 hour, 1,000 cards, frameStep of 1 minute",
        (hour, minute),
        1000,
        rows,
        0,
    );
}
