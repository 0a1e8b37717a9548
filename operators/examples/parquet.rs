//! What a row of a parquet file costs: read, beside the Arrow reader and a copy of each cell, and written, beside the Arrow
//! writer.
//!
//! `cargo run --release -p thalweg-operators --features parquet --example parquet`: half a million invoices of ten columns, packed
//! with Snappy; all columns of them are read, and four; all are written.

#[cfg(feature = "parquet")]
fn main() {
    measured::main();
}

#[cfg(not(feature = "parquet"))]
fn main() {
    println!("it needs the feature parquet");
}

#[cfg(feature = "parquet")]
mod measured {
    use std::collections::BTreeMap;
    use std::fs::{self, File};
    use std::hint::black_box;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use arrow::array::{
        Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    };
    use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
    use parquet::arrow::ProjectionMask;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::arrow::arrow_writer::ArrowWriter;
    use parquet::basic::Compression;
    use parquet::file::properties::WriterProperties;
    use smol_str::SmolStr;
    use thalweg_engine::epoch::store::FolderStore;
    use thalweg_engine::record::{Partition, Position, RecordMeta};
    use thalweg_engine::row::{Row, Value};
    use thalweg_engine::schema::Schema;
    use thalweg_engine::sink::{DeliveryObserver, Origin, Readiness, Recovery, WriterContext};
    use thalweg_operators::coordinates::Coordinates;
    use thalweg_operators::files::FORMATS;
    use thalweg_operators::files::content::Content;
    use thalweg_operators::files::format::{Batch, Item, OpenFile};
    use thalweg_operators::plan::Query;
    use thalweg_operators::sinks::folder;
    use thalweg_operators::sql::{Overrides, load};
    use thalweg_operators::table::OpenContext;

    const ROWS: usize = 500_000;
    const SOME: [usize; 4] = [0, 1, 4, 5];
    const TABLE: &str = "SET checkpointLocation = ':archive';
    CREATE TABLE bills (BillNo STRING, CreatedTime BIGINT, StoreID STRING, PaymentMode STRING, CustomerCardNo STRING,
      TotalValue DOUBLE, NumberOfItems INT, TaxableAmount DOUBLE, DeliveryType STRING, Note STRING) USING parquet OPTIONS (path '/tmp');
    CREATE TABLE archive USING parquet OPTIONS (path ':archive');
    INSERT INTO archive SELECT * FROM bills;";

    fn texts(text: impl Fn(usize) -> String) -> ArrayRef {
        Arc::new((0..ROWS).map(|n| Some(text(n))).collect::<StringArray>())
    }

    #[allow(clippy::cast_precision_loss)]
    fn bills() -> RecordBatch {
        let number = |n: usize| i64::try_from(n).unwrap_or(0);
        let small = |n: usize| i32::try_from(n % 40).unwrap_or(0);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("BillNo", texts(|n| format!("BILL{n:08}"))),
            (
                "CreatedTime",
                Arc::new(
                    (0..ROWS)
                        .map(|n| 1_700_000_000_000 + number(n))
                        .collect::<Int64Array>(),
                ),
            ),
            ("StoreID", texts(|n| format!("STORE{:04}", n % 977))),
            ("PaymentMode", texts(|n| ["CARD", "CASH"][n % 2].to_owned())),
            (
                "CustomerCardNo",
                texts(|n| format!("55{:010}", n * 7919 % 1_000_003)),
            ),
            (
                "TotalValue",
                Arc::new(
                    (0..ROWS)
                        .map(|n| (n % 5000) as f64 + 0.25)
                        .collect::<Float64Array>(),
                ),
            ),
            (
                "NumberOfItems",
                Arc::new((0..ROWS).map(small).collect::<Int32Array>()),
            ),
            (
                "TaxableAmount",
                Arc::new(
                    (0..ROWS)
                        .map(|n| (n % 4000) as f64 + 0.75)
                        .collect::<Float64Array>(),
                ),
            ),
            (
                "DeliveryType",
                texts(|n| ["TAKEAWAY", "HOME-DELIVERY"][n % 2].to_owned()),
            ),
            (
                "Note",
                texts(|n| format!("nothing to say about the bill {n}")),
            ),
        ];
        RecordBatch::try_from_iter(columns).expect("columns of one length")
    }

    /// The Arrow writer alone, with as many rows at once as ours.
    fn write(path: &Path, bills: &RecordBatch) {
        let packed = WriterProperties::builder().set_compression(Compression::SNAPPY);
        let file = File::create(path).expect("a file in the folder for temporary ones");
        let again = file.try_clone().expect("one more handle");
        let mut writer =
            ArrowWriter::try_new(again, bills.schema(), Some(packed.build())).expect("a writer");
        for from in (0..ROWS).step_by(4096) {
            let rows = bills.slice(from, 4096.min(ROWS - from));
            writer.write(&rows).expect("rows are written");
        }
        writer.close().expect("the file is whole");
        file.sync_all().expect("the disk has it");
    }

    /// The Arrow reader, and each cell copied into a value of the engine's.
    fn floor(path: &Path, wanted: &[usize], rows_at_once: usize) {
        let file = File::open(path).expect("it was written");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a parquet file");
        let mask = ProjectionMask::roots(reader.parquet_schema(), wanted.iter().copied());
        let batches = reader
            .with_projection(mask)
            .with_batch_size(rows_at_once)
            .build();
        for batch in batches.expect("columns of the file") {
            let batch = batch.expect("it is whole");
            let mut cells: Vec<Value> = Vec::with_capacity(batch.num_rows() * batch.num_columns());
            for column in batch.columns() {
                let each = 0..column.len();
                match column.data_type() {
                    DataType::Utf8 => {
                        let column = column.as_string::<i32>();
                        cells.extend(each.map(|at| Value::String(SmolStr::new(column.value(at)))));
                    }
                    DataType::Int64 => {
                        let column = column.as_primitive::<Int64Type>();
                        cells.extend(each.map(|at| Value::BigInt(column.value(at))));
                    }
                    DataType::Int32 => {
                        let column = column.as_primitive::<Int32Type>();
                        cells.extend(each.map(|at| Value::Int(column.value(at))));
                    }
                    _ => {
                        let column = column.as_primitive::<Float64Type>();
                        cells.extend(each.map(|at| Value::Double(column.value(at))));
                    }
                }
            }
            black_box(&cells);
        }
    }

    fn query(archive: &Path) -> Query {
        let text = TABLE.replace(":archive", &archive.to_string_lossy());
        let job = load(&text, &Overrides::default(), &|_| None);
        let job = job.map_err(|error| error.render("job.sql", &text));
        job.expect("the job is right").queries.remove(0)
    }

    fn context() -> OpenContext {
        OpenContext {
            job: "parquet".to_owned(),
            query: "parquet".to_owned(),
            run: "1".to_owned(),
            temporary: true,
            fresh: false,
            checkpoint: String::new(),
            delivery_timeout: Duration::from_secs(1),
            trigger_interval: None,
            bounded: true,
            complete: false,
            partitioned: false,
            member: None,
            further: false,
            coordinates: Coordinates::default(),
            time_zone: thalweg_operators::expr::calendar::Zone::UTC,
        }
    }

    /// The rows as the walker hands them to a lane.
    fn rows(path: &Path, wanted: &[usize], mut take: impl FnMut(Batch)) {
        let query = query(path);
        let (_, input) = query.inputs().next().expect("one input");
        let table = input.table();
        let columns = table.columns.clone().expect("declared columns");
        let format = FORMATS
            .iter()
            .find(|format| format.name == "parquet")
            .expect("a known format");
        let format =
            (format.open)(table, &columns, wanted, &context()).expect("columns it can read");
        let file = File::open(path).expect("it was written");
        let size = file.metadata().map_or(0, |facts| facts.len());
        let mut rows = format
            .open(
                OpenFile {
                    content: Content::File(file),
                    path,
                    size,
                },
                0,
            )
            .unwrap_or_else(|fault| panic!("{fault:?}"));
        while let Some(batch) = rows.next().unwrap_or_else(|fault| panic!("{fault:?}")) {
            take(batch);
        }
    }

    struct Nobody;

    impl DeliveryObserver for Nobody {
        fn acknowledged(&self, _: u64, _: u64) {}
        fn latency(&self, _: u64, _: u64) {}
    }

    /// Rows as a lane hands them over, until their file is visible. Of that, the lane's part.
    fn archive(folder: &Path, rows: &[Row]) -> Duration {
        let query = query(folder);
        let (_, input) = query.inputs().next().expect("one input");
        let columns = input.table().columns.clone().expect("declared columns");
        let schema = Schema::new(Arc::from(columns));
        let sink = (folder::PARQUET.open)(query.output(), &schema, &context()).expect("a folder");
        let store = FolderStore::lock(folder.join("_checkpoints")).expect("a folder");
        let recovery = Recovery {
            checkpoint: "example",
            epoch: 0,
            rewound: false,
            prepared: &BTreeMap::new(),
            partitions: &[],
            store: &store,
        };
        sink.recover(&recovery).expect("nothing to recover");
        let mut writer = sink
            .open(WriterContext {
                lane: "0".to_owned(),
                observer: Arc::new(Nobody),
                beside: None,
            })
            .expect("a writer");
        let meta = RecordMeta {
            partition: Arc::new(Partition {
                input: "bills".into(),
                name: "bills/0".into(),
            }),
            position: Position::Number(0),
            record_time: None,
            event_time: None,
            watermark: None,
            taken_at: 0,
            taken: Instant::now(),
        };
        let origin = Origin {
            meta: &meta,
            index: 0,
            moment: false,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime");
        let mut waited = Duration::ZERO;
        let begun = Instant::now();
        for row in rows {
            writer.write(row, origin).expect("a row of its columns");
            if writer.accept().expect("the disk takes it") == Readiness::Full {
                let full = Instant::now();
                runtime.block_on(writer.drained()).expect("it drains");
                waited += full.elapsed();
            }
        }
        let lane = begun.elapsed() - waited;
        let prepared = runtime.block_on(writer.prepare(true)).expect("a cut");
        let prepared = prepared.expect("there are parts");
        runtime
            .block_on(writer.commit(&prepared.bytes))
            .expect("visible");
        drop(writer);
        sink.close();
        lane
    }

    fn write_all(path: &Path, bills: &RecordBatch) {
        let mut all: Vec<Row> = Vec::with_capacity(ROWS);
        rows(path, &(0..10).collect::<Vec<_>>(), |mut batch| {
            all.extend(batch.take_rows().filter_map(|item| match item {
                Item::Row(row) => Some(row),
                _ => None,
            }));
        });
        let floor = best(|| write(path, bills));
        let folder = path.with_extension("archive");
        let mut lane = f64::MAX;
        let own = best(|| {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir(&folder).expect("a folder");
            lane = lane.min(archive(&folder, &all).as_secs_f64());
        });
        let _ = fs::remove_dir_all(&folder);
        println!(
            "parquet, written: {:.2} us a row until the file is there, {:.2} us of it the lane's; the Arrow writer {:.2} us: {:.2} x",
            each(own),
            each(lane),
            each(floor),
            own / floor
        );
    }

    #[allow(clippy::cast_precision_loss)]
    fn each(seconds: f64) -> f64 {
        seconds / ROWS as f64 * 1e6
    }

    fn best(mut work: impl FnMut()) -> f64 {
        let times = (0..9).map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed().as_secs_f64()
        });
        times.fold(f64::MAX, f64::min)
    }

    pub(super) fn main() {
        let path =
            std::env::temp_dir().join(format!("thalweg-example-{}.parquet", std::process::id()));
        let bills = bills();
        write(&path, &bills);
        let all: Vec<usize> = (0..10).collect();
        for (how, wanted) in [("10 of 10", all.as_slice()), ("4 of 10", &SOME)] {
            // As many rows at once as a lane gets, and the reader's own default.
            let floors = [512, 1024].map(|at_once| best(|| floor(&path, wanted, at_once)));
            let own = best(|| rows(&path, wanted, |batch| drop(black_box(batch))));
            println!(
                "parquet, {how}: {:.2} us a row; the Arrow reader and a copy of each cell {:.2} us ({:.2} us with 1,024 rows at once): {:.2} x",
                each(own),
                each(floors[0]),
                each(floors[1]),
                own / floors[0].min(floors[1])
            );
        }
        write_all(&path, &bills);
        let _ = fs::remove_file(&path);
    }
}
