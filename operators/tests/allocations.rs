//! What a coordinate and a score cost the row path: no allocation.

#![allow(clippy::unwrap_used, reason = "this is a test and its helpers")]

#[cfg(feature = "onnx")]
mod lane;
#[cfg(feature = "onnx")]
#[path = "../../bin/tests/stage/runtime.rs"]
#[allow(dead_code, unreachable_pub)]
mod runtime;

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
use thalweg_operators::expr::calendar::Zone;
#[cfg(feature = "onnx")]
use thalweg_operators::models::Opening;
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

/// Names the library of the runtime, once and before anything else reads the environment.
#[cfg(feature = "onnx")]
fn with_runtime() {
    static NAMED: std::sync::OnceLock<()> = std::sync::OnceLock::new();
    NAMED.get_or_init(|| {
        if std::env::var_os("ORT_DYLIB_PATH").is_none() {
            // SAFETY: the tests of this program wait for this one before they do anything.
            unsafe { std::env::set_var("ORT_DYLIB_PATH", runtime::runtime()) };
        }
    });
}

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
        time_zone: Zone::UTC,
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
    #[cfg(feature = "onnx")]
    with_runtime();
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

/// The library allocates by its own means, which nobody counts here; what hands features in and the score out does not.
#[cfg(feature = "onnx")]
#[test]
fn a_score_costs_the_row_path_no_allocation() {
    with_runtime();
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models");
    let model = format!(
        "CREATE MODEL fraud USING onnx OPTIONS (path '{models}/gradient_boosting.onnx', shadow '{models}/lightgbm.onnx');"
    );
    let names = [
        "amount",
        "ratio",
        "count_10m",
        "count_1h",
        "sum_1h",
        "speed_kmh",
        "age_days",
        "declines_1h",
        "night",
        "rate",
    ];
    let features: Vec<String> = names.iter().map(|name| format!("'{name}', x")).collect();
    let ask = |call: &str| format!("{call}('fraud', named_struct({}))", features.join(", "));
    // Nothing is scored aside where rows ask the shadow.
    let both = format!("{} + {}", ask("predict"), ask("predict_shadow"));
    let each = ["CAST(x AS DOUBLE)", &both].map(|score| {
        let mut lane = lane::lane(&format!(
            "{model} SELECT k, {score} IS NOT NULL AS scored FROM a"
        ));
        for model in &lane.query.models {
            model.open(Opening::default()).unwrap();
        }
        let mut send = |numbers: std::ops::Range<u32>| {
            let before = ALLOCATIONS.get();
            for _ in numbers.clone() {
                assert_eq!(lane.send("a", r#"{"k":"C-1","x":7}"#).len(), 1);
            }
            (ALLOCATIONS.get() - before) as f64 / f64::from(numbers.end - numbers.start)
        };
        // Buffers grow to their size.
        send(0..2_000);
        send(2_000..4_000)
    });
    println!(
        "allocations of a row: {} without scores, {} with two",
        each[0], each[1]
    );
    assert!(each[1] - each[0] < 0.1, "{each:?}");
}
