//! How long ORDER BY holds up everything else in complete mode: the longest slice of a trigger over many groups.
//!
//! `cargo run --release -p thalweg-operators --example sorted`: a million groups, ordered by their count, greatest first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::DataType;
use thalweg_operators::expr::Eval;
use thalweg_operators::stateful::accumulators::find;
use thalweg_operators::stateful::aggregate::Aggregate;
use thalweg_operators::stateful::grouping::{self, Emits, Grouping, Over};
use thalweg_operators::stateful::sort::{Order, Sort};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const GROUPS: u64 = 1_000_000;

/// The column that is ordered by.
struct Counted;

impl Eval for Counted {
    fn eval(&mut self, row: &[Value], _: &RecordMeta) -> Result<Value, RecordError> {
        Ok(row[1].clone())
    }
}

/// What one step emits in a slice.
#[derive(Default)]
struct Emitted(VecDeque<Row>);

impl Emit for Emitted {
    fn emit(&mut self, row: &[Value], _: &RecordMeta) -> Result<(), RecordError> {
        self.0.push_back(row.to_vec());
        Ok(())
    }
}

fn counts() -> Grouping {
    Grouping {
        keys: vec![DataType::String],
        over: Over::Never,
        window: None,
        aggregates: vec![grouping::Aggregate {
            identity: "count".to_owned(),
            function: find("count").map_or("", |function| function.name),
            arguments: Vec::new(),
            types: Vec::new(),
            filter: None,
            distinct: false,
            own: None,
            ignore_nulls: false,
            result: DataType::BigInt,
            ansi: true,
            parameters: Vec::new(),
            delimiter: String::new(),
        }],
        emits: Emits::Complete,
        ttl: None,
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

/// One trigger of a step, slice by slice; what it emits goes to `each`. Gives the longest slice and all of it.
fn trigger(
    step: &mut dyn Operator,
    mut each: impl FnMut(&mut Emitted),
) -> Result<(Duration, Duration), RecordError> {
    let (meta, mut out) = (meta(), Emitted::default());
    let (mut longest, begun) = (Duration::ZERO, Instant::now());
    let mut first = true;
    loop {
        let slice = Instant::now();
        let progress = if std::mem::take(&mut first) {
            step.tick(0, &meta, &mut out)?
        } else {
            step.resume(&meta, &mut out)?
        };
        each(&mut out);
        step.accept();
        longest = longest.max(slice.elapsed());
        if progress == Progress::Done {
            return Ok((longest, begun.elapsed()));
        }
    }
}

fn main() -> Result<(), RecordError> {
    let meta = meta();
    let mut groups = Aggregate::new(counts());
    let mut seed: u64 = 7;
    for number in 0..GROUPS * 3 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let key = if number < GROUPS {
            number
        } else {
            (seed >> 33) % GROUPS
        };
        let row = [Value::String(format!("{key:016}").into())];
        groups.process(0, &row, &meta, &mut Emitted::default())?;
        groups.accept();
    }
    let mut sort = Sort::new(
        vec![Order {
            by: Box::new(Counted),
            descending: true,
            nulls_first: false,
        }],
        None,
    );
    for trigger_number in 1..=3 {
        let table = trigger(&mut *groups, |out| {
            for row in out.0.drain(..) {
                // A row that cannot be ordered ends a query; there is none here.
                let _ = sort.process(0, &row, &meta, &mut Emitted::default());
            }
            sort.accept();
        })?;
        let sorted = trigger(&mut *sort, |out| out.0.clear())?;
        println!(
            "trigger {trigger_number}: the table in slices of at most {:.1} ms ({:.0} ms in all), in order in slices of at most \
             {:.1} ms ({:.0} ms in all)",
            millis(table.0),
            millis(table.1),
            millis(sorted.0),
            millis(sorted.1)
        );
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
