//! What a record costs to decode: bytes a second and time of a record, of csv and json.
//!
//! `cargo run --release -p thalweg-operators --example formats`: ten columns of an invoice, all of them and four of them; as
//! columns that the table declares, and taken out of the value of a message by `from_json` and `from_csv`, as jobs do that
//! were written for Spark. There the copy of the value is counted that a message without a format has as a column.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use thalweg_engine::error::RecordError;
use thalweg_engine::flow::pipeline::Step;
use thalweg_engine::operator::Emit;
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};
use thalweg_operators::codecs::csv::{self, CsvOptions};
use thalweg_operators::codecs::json::{self, JsonOptions};
use thalweg_operators::codecs::times::Times;
use thalweg_operators::codecs::{Decoder, Mode};
use thalweg_operators::expr::calendar::Zone;
use thalweg_operators::sql::{Overrides, load};

const RECORDS: usize = 200_000;

fn columns() -> Vec<Field> {
    [
        ("BillNo", DataType::String),
        ("CreatedTime", DataType::BigInt),
        ("StoreID", DataType::String),
        ("PaymentMode", DataType::String),
        ("CustomerCardNo", DataType::String),
        ("ToltalValue", DataType::Double),
        ("NumberOfItems", DataType::Int),
        ("TaxableAmount", DataType::Double),
        ("DeliveryType", DataType::String),
        ("Note", DataType::String),
    ]
    .into_iter()
    .map(|(name, data_type)| Field::nullable(name, data_type))
    .collect()
}

fn records(line: impl Fn(usize) -> String) -> Vec<String> {
    (0..RECORDS).map(line).collect()
}

/// Takes rows to nowhere.
struct Nowhere;

impl Emit for Nowhere {
    fn emit(&mut self, row: &[Value], _: &RecordMeta) -> Result<(), RecordError> {
        black_box(row);
        Ok(())
    }
}

/// The columns of messages that a query takes apart.
fn measure_query(what: &str, query: &str, records: &[String]) {
    let text = format!(
        "CREATE TABLE raw USING kafka OPTIONS (kafka.bootstrap.servers 'b:1', subscribe 'raw');\n{query};"
    );
    let job = load(&text, &Overrides::default(), &|_| None);
    let job = job.map_err(|error| error.render("job.sql", &text));
    let query = job.expect("the job is right").queries.remove(0);
    let mut steps: Vec<Step> = query.lane().steps.into_iter().flatten().collect();
    let [step] = steps.as_mut_slice() else {
        println!("{what}: not one step\n{}", query.fmt_tree());
        return;
    };
    let meta = RecordMeta {
        partition: Arc::new(Partition {
            input: "raw".into(),
            name: "raw/0".into(),
        }),
        position: Position::Number(0),
        record_time: None,
        event_time: None,
        watermark: None,
        taken_at: 0,
        taken: Instant::now(),
    };
    timed(what, records, |record| {
        let row = vec![Value::Binary(Arc::from(record))];
        let done = step.operator.process(0, &row, &meta, &mut Nowhere);
        let _ = black_box(done);
    });
}

fn measure(what: &str, decoder: &mut dyn Decoder, records: &[String]) {
    timed(what, records, |record| {
        let mut row = Row::new();
        let decoded = decoder.decode(record, &mut row);
        let _ = black_box((&row, decoded));
    });
}

fn timed(what: &str, records: &[String], mut each: impl FnMut(&[u8])) {
    let bytes: usize = records.iter().map(String::len).sum();
    let mut best = f64::MAX;
    for _ in 0..9 {
        let begun = Instant::now();
        for record in records {
            each(record.as_bytes());
        }
        best = best.min(begun.elapsed().as_secs_f64());
    }
    println!(
        "{what:32} {:6.0} MB/s {:6.2} us a record of {} bytes",
        bytes as f64 / best / 1e6,
        best / records.len() as f64 * 1e6,
        bytes / records.len()
    );
}

fn main() {
    let plain = records(|n| {
        format!(
            "BILL{n:08},17000{n:08},STORE{:04},CARD,55{n:010},{}.25,{},{}.75,TAKEAWAY,nothing to say about {n}",
            n % 977,
            n % 5000,
            n % 40,
            n % 4000
        )
    });
    let quoted = records(|n| {
        format!(
            "\"BILL{n:08}\",17000{n:08},\"STORE{:04}\",\"CARD\",\"55{n:010}\",{}.25,{},{}.75,\"TAKE, AWAY\",\"said \\\"{n}\\\"\"",
            n % 977,
            n % 5000,
            n % 40,
            n % 4000
        )
    });
    let objects = records(|n| {
        format!(
            "{{\"BillNo\":\"BILL{n:08}\",\"CreatedTime\":17000{n:08},\"StoreID\":\"STORE{:04}\",\"PaymentMode\":\"CARD\",\
             \"CustomerCardNo\":\"55{n:010}\",\"ToltalValue\":{}.25,\"NumberOfItems\":{},\"TaxableAmount\":{}.75,\
             \"DeliveryType\":\"TAKEAWAY\",\"Note\":\"nothing to say about {n}\"}}",
            n % 977,
            n % 5000,
            n % 40,
            n % 4000
        )
    });
    let columns = columns();
    let all: Vec<usize> = (0..columns.len()).collect();
    let options = CsvOptions::new(Times::new(Zone::UTC));
    for (how, wanted) in [("10 of 10", all.as_slice()), ("4 of 10", &[0, 1, 4, 5])] {
        let mut decoder = csv::decoder(&columns, wanted, &options);
        measure(&format!("csv, {how}"), &mut *decoder, &plain);
        measure(&format!("csv in quotes, {how}"), &mut *decoder, &quoted);
        let mut decoder = json::decoder(&columns, wanted, Mode::FailFast, &JsonOptions::default());
        measure(&format!("json, {how}"), &mut *decoder, &objects);
    }
    let types: Vec<String> = columns
        .iter()
        .map(|column| format!("{} {}", column.name, column.data_type))
        .collect();
    let types = types.join(", ");
    let some = "d.BillNo, d.CreatedTime, d.CustomerCardNo, d.ToltalValue";
    for (how, chosen) in [("10 of 10", "d.*"), ("4 of 10", some)] {
        for (function, records) in [("from_json", &objects), ("from_csv", &plain)] {
            let query = format!(
                "SELECT {chosen} FROM (SELECT {function}(CAST(value AS STRING), '{types}') AS d FROM raw)"
            );
            measure_query(&format!("{function}, {how}"), &query, records);
        }
    }
}
