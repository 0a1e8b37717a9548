//! What a coordinate costs the row path: no allocation.

#![allow(clippy::unwrap_used, reason = "this is a test and its helpers")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::sink::{DeliveryObserver, Origin, Writer, WriterContext};
use thalweg_operators::coordinates::Coordinates;
use thalweg_operators::sinks::kafka;
use thalweg_operators::table::{OpenContext, Table};

const ROWS: u32 = 10_000;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends has no counter any more.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Nobody;

impl DeliveryObserver for Nobody {
    fn acknowledged(&self, _rows: u64, _bytes: u64) {}
    fn latency(&self, _written: u64, _taken: u64) {}
}

fn context(coordinates: Coordinates) -> OpenContext {
    OpenContext {
        job: "fraud".into(),
        query: "verdicts".into(),
        run: "r1".into(),
        temporary: false,
        fresh: false,
        checkpoint: "./checkpoints/verdicts".into(),
        member: None,
        further: false,
        delivery_timeout: Duration::from_secs(120),
        trigger_interval: None,
        bounded: false,
        complete: false,
        partitioned: false,
        coordinates,
        time_zone: chrono_tz::Tz::UTC,
    }
}

fn write(writer: &mut dyn Writer, offsets: std::ops::Range<i64>) {
    let mut meta = RecordMeta {
        partition: Arc::new(Partition {
            input: "transactions".into(),
            name: "transactions/3".into(),
        }),
        position: Position::Number(0),
        record_time: None,
        event_time: None,
        watermark: None,
        taken_at: 0,
        taken: Instant::now(),
    };
    let row = [Value::from("T-1"), Value::from("{\"verdict\":\"approve\"}")];
    for offset in offsets {
        meta.position = Position::Number(offset);
        let origin = Origin {
            meta: &meta,
            index: 0,
            moment: false,
        };
        writer.write(&row, origin).unwrap();
        writer.accept().unwrap();
    }
}

/// Allocations of a row on the thread of its lane.
fn allocations(brokers: &str, topic: &str, coordinates: Coordinates) -> f64 {
    let table = Table::using("verdicts", "kafka")
        .option("kafka.bootstrap.servers", brokers)
        .option("topic", topic);
    let schema = Schema::new(vec![
        Field::nullable("key", DataType::String),
        Field::nullable("value", DataType::String),
    ]);
    let sink = kafka::open(&table, &schema, None, None, &context(coordinates)).unwrap();
    let mut writer = sink
        .open(WriterContext {
            lane: "lane".into(),
            observer: Arc::new(Nobody),
            beside: None,
        })
        .unwrap();
    writer.epoch(1);
    // Buffers grow to their size.
    write(&mut *writer, 0..i64::from(ROWS));
    let before = ALLOCATIONS.get();
    write(&mut *writer, i64::from(ROWS)..2 * i64::from(ROWS));
    let each = (ALLOCATIONS.get() - before) as f64 / f64::from(ROWS);
    sink.close();
    each
}

#[test]
fn a_coordinate_costs_the_row_path_no_allocation() {
    let cluster = MockCluster::new(1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let mut each = [Coordinates::Off, Coordinates::Written].map(|coordinates| {
        let topic = format!("verdicts-{coordinates:?}");
        cluster.create_topic(&topic, 4, 1).unwrap();
        allocations(&brokers, &topic, coordinates)
    });
    println!(
        "allocations of a row: {} without coordinates, {} with",
        each[0], each[1]
    );
    each.sort_by(f64::total_cmp);
    assert!(each[1] - each[0] < 0.1, "{each:?}");
}
