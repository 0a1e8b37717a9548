//! What a row of a parquet file costs, beside what the Arrow reader and a copy of each cell cost.
//!
//! `cargo run --release -p thalweg-operators --features parquet --example parquet`: half a million invoices of ten columns, packed
//! with Snappy, all columns of them and four.

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
    use std::fs::File;
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
    use thalweg_engine::row::Value;
    use thalweg_operators::coordinates::Coordinates;
    use thalweg_operators::files::FORMATS;
    use thalweg_operators::files::content::Content;
    use thalweg_operators::files::format::OpenFile;
    use thalweg_operators::sql::{Overrides, load};
    use thalweg_operators::table::OpenContext;

    const ROWS: usize = 500_000;
    const SOME: [usize; 4] = [0, 1, 4, 5];
    const TABLE: &str = "CREATE TABLE bills (BillNo STRING, CreatedTime BIGINT, StoreID STRING, PaymentMode STRING, CustomerCardNo STRING,
      TotalValue DOUBLE, NumberOfItems INT, TaxableAmount DOUBLE, DeliveryType STRING, Note STRING) USING parquet OPTIONS (path '/tmp');
    SELECT * FROM bills;";

    fn texts(text: impl Fn(usize) -> String) -> ArrayRef {
        Arc::new((0..ROWS).map(|n| Some(text(n))).collect::<StringArray>())
    }

    #[allow(clippy::cast_precision_loss)]
    fn write(path: &Path) {
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
        let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
        let packed = WriterProperties::builder().set_compression(Compression::SNAPPY);
        let file = File::create(path).expect("a file in the folder for temporary ones");
        let mut writer =
            ArrowWriter::try_new(file, batch.schema(), Some(packed.build())).expect("a writer");
        writer.write(&batch).expect("rows are written");
        writer.close().expect("the file is whole");
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

    /// The rows as the walker hands them to a lane.
    fn rows(path: &Path, wanted: &[usize]) {
        let job = load(TABLE, &Overrides::default(), &|_| None);
        let job = job
            .map_err(|error| error.render("job.sql", TABLE))
            .expect("the job is right");
        let (_, input) = job.queries[0].inputs().next().expect("one input");
        let table = input.table();
        let columns = table.columns.clone().expect("declared columns");
        let format = FORMATS
            .iter()
            .find(|format| format.name == "parquet")
            .expect("a known format");
        let context = OpenContext {
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
            time_zone: chrono_tz::Tz::UTC,
        };
        let format = (format.open)(table, &columns, wanted, &context).expect("columns it can read");
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
            black_box(&batch.items);
        }
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
        write(&path);
        let all: Vec<usize> = (0..10).collect();
        for (how, wanted) in [("10 of 10", all.as_slice()), ("4 of 10", &SOME)] {
            // As many rows at once as a lane gets, and the reader's own default.
            let floors = [512, 1024].map(|at_once| best(|| floor(&path, wanted, at_once)));
            let own = best(|| rows(&path, wanted));
            let each = |seconds: f64| seconds / ROWS as f64 * 1e6;
            println!(
                "parquet, {how}: {:.2} us a row; the Arrow reader and a copy of each cell {:.2} us ({:.2} us with 1,024 rows at once): {:.2} x",
                each(own),
                each(floors[0]),
                each(floors[1]),
                own / floors[0].min(floors[1])
            );
        }
        let _ = std::fs::remove_file(&path);
    }
}
