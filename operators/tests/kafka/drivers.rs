//! Small drivers of the contracts: a table of the broker is opened, read and written as a lane would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use smol_str::SmolStr;
use thalweg_engine::record::{Body, Partition, Position, Record, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::sink::{DeliveryObserver, Origin, Readiness, Sink, Writer, WriterContext};
use thalweg_engine::source::{RecordStream, Resume, Source, SourceEvent, Start};
use thalweg_operators::expr::calendar::Zone;
use thalweg_operators::job_error::Location;
use thalweg_operators::sources;
use thalweg_operators::table::{OpenContext, OptionValue, Options, Table};

use crate::broker::Broker;

/// A table of the broker.
pub(crate) fn table(
    broker: &Broker,
    columns: Option<Vec<Field>>,
    options: &[(&str, &str)],
) -> Table {
    let at = Location { line: 1, column: 1 };
    let mut all = vec![("kafka.bootstrap.servers", broker.address.as_str())];
    all.extend_from_slice(options);
    Table {
        name: "invoices".into(),
        at,
        connector: "kafka".into(),
        columns,
        primary_key: Vec::new(),
        partitioned_by: Vec::new(),
        options: Options::new(
            all.into_iter()
                .map(|(name, value)| OptionValue {
                    name: name.into(),
                    value: value.into(),
                    substituted: false,
                    at,
                })
                .collect(),
        ),
    }
}

/// A context of a query of this name.
pub(crate) fn context(query: &str) -> OpenContext {
    OpenContext {
        job: "job".into(),
        query: query.into(),
        run: "r1".into(),
        temporary: false,
        fresh: false,
        checkpoint: "./checkpoints/q".into(),
        member: None,
        further: false,
        delivery_timeout: Duration::from_secs(120),
        trigger_interval: None,
        bounded: false,
        complete: false,
        partitioned: false,
        coordinates: thalweg_operators::coordinates::Coordinates::Off,
        time_zone: Zone::UTC,
    }
}

/// Opens an input without a format, with all of Spark's columns.
pub(crate) fn open_source(
    broker: &Broker,
    query: &str,
    options: &[(&str, &str)],
) -> Arc<dyn Source> {
    let table = table(broker, None, options);
    let count = sources::kafka::columns(&table).unwrap().fields.len();
    let wanted: Vec<usize> = (0..count).collect();
    sources::kafka::open(&table, &wanted, None, None, None, &context(query)).unwrap()
}

/// The positions of a checkpoint.
pub(crate) fn positions(starts: &[Start]) -> BTreeMap<SmolStr, Position> {
    starts
        .iter()
        .map(|start| (start.partition.clone(), start.position.clone()))
        .collect()
}

/// A checkpoint to go on from.
pub(crate) fn resume(positions: &BTreeMap<SmolStr, Position>, epoch: u64) -> Resume<'_> {
    Resume {
        checkpoint: "c1",
        epoch,
        rewound: false,
        positions,
        state: None,
    }
}

/// Opens one partition of a source.
pub(crate) fn read(
    source: &Arc<dyn Source>,
    name: &str,
    from: i64,
    until: Option<i64>,
) -> RecordStream {
    let partition = Arc::new(Partition {
        input: "invoices".into(),
        name: name.into(),
    });
    source
        .read(
            &partition,
            &Position::Number(from),
            until.map(Position::Number).as_ref(),
        )
        .unwrap()
}

/// The next record of a stream.
pub(crate) async fn next_record(stream: &mut RecordStream) -> Record {
    loop {
        match stream.next().await {
            Some(SourceEvent::Record(record)) => return record,
            Some(SourceEvent::CaughtUp(_)) => {}
            Some(SourceEvent::Ended) | None => panic!("the stream is over"),
            Some(SourceEvent::Failed(failure)) => panic!("{failure}"),
        }
    }
}

/// All records until the stream has caught up or ended.
pub(crate) async fn drain(stream: &mut RecordStream) -> (Vec<Record>, bool) {
    let mut records = Vec::new();
    loop {
        match stream.next().await {
            Some(SourceEvent::Record(record)) => records.push(record),
            Some(SourceEvent::CaughtUp(_)) => return (records, false),
            Some(SourceEvent::Ended) => return (records, true),
            Some(SourceEvent::Failed(failure)) => panic!("{failure}"),
            None => panic!("the stream is over"),
        }
    }
}

/// The row of a record.
pub(crate) fn row(record: &Record) -> &[Value] {
    match &record.body {
        Body::Row(row) => row,
        other => panic!("no row: {other:?}"),
    }
}

/// The text of a BINARY value.
pub(crate) fn text(value: &Value) -> &str {
    match value {
        Value::Binary(bytes) => std::str::from_utf8(bytes).unwrap(),
        other => panic!("not bytes: {other:?}"),
    }
}

/// Counts what was acknowledged.
#[derive(Default)]
pub(crate) struct Counter {
    pub(crate) rows: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) latencies: AtomicU64,
}

impl DeliveryObserver for Counter {
    fn acknowledged(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn latency(&self, written: u64, taken: u64) {
        assert!(written <= taken);
        self.latencies.fetch_add(1, Ordering::Relaxed);
    }
}

/// Opens a writer of a sink.
pub(crate) fn open_writer(sink: &Arc<dyn Sink>, lane: &str) -> (Box<dyn Writer>, Arc<Counter>) {
    let counter = Arc::new(Counter::default());
    let observer = Arc::clone(&counter) as Arc<dyn DeliveryObserver>;
    let writer = sink
        .open(WriterContext {
            beside: None,
            lane: lane.into(),
            observer,
        })
        .unwrap();
    (writer, counter)
}

/// A record that rows may come from.
pub(crate) fn origin() -> RecordMeta {
    RecordMeta {
        partition: Arc::new(Partition {
            input: "invoices".into(),
            name: "t/0".into(),
        }),
        position: Position::Number(0),
        record_time: None,
        event_time: None,
        watermark: None,
        taken_at: 0,
        taken: Instant::now(),
    }
}

/// Writes one row and hands it over.
pub(crate) fn write(writer: &mut Box<dyn Writer>, row: &[Value]) -> Readiness {
    let meta = origin();
    writer
        .write(
            row,
            Origin {
                meta: &meta,
                index: 0,
                moment: false,
            },
        )
        .unwrap();
    writer.accept().unwrap()
}

/// The schema of `value`, and of `key` where asked for.
pub(crate) fn output(names: &[(&str, DataType)]) -> Schema {
    Schema::new(
        names
            .iter()
            .map(|(name, data_type)| Field::nullable(*name, data_type.clone()))
            .collect::<Vec<_>>(),
    )
}
