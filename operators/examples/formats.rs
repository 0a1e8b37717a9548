//! What a record costs to decode: bytes a second and time of a record, of csv and json.
//!
//! `cargo run --release -p thalweg-operators --example formats`: ten columns of an invoice, all of them and four of them.

use std::hint::black_box;
use std::time::Instant;

use thalweg_engine::row::Row;
use thalweg_engine::schema::{DataType, Field};
use thalweg_operators::codecs::csv::{self, CsvOptions};
use thalweg_operators::codecs::json::{self, JsonOptions};
use thalweg_operators::codecs::times::Times;
use thalweg_operators::codecs::{Decoder, Mode};

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

fn measure(what: &str, decoder: &mut dyn Decoder, records: &[String]) {
    let bytes: usize = records.iter().map(String::len).sum();
    let mut best = f64::MAX;
    let mut row = Row::new();
    for _ in 0..5 {
        let begun = Instant::now();
        for record in records {
            row.clear();
            let decoded = decoder.decode(record.as_bytes(), &mut row);
            let _ = black_box((&row, decoded));
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
    let options = CsvOptions::new(Times::new(chrono_tz::Tz::UTC));
    for (how, wanted) in [("10 of 10", all.as_slice()), ("4 of 10", &[0, 1, 4, 5])] {
        let mut decoder = csv::decoder(&columns, wanted, &options);
        measure(&format!("csv, {how}"), &mut *decoder, &plain);
        measure(&format!("csv in quotes, {how}"), &mut *decoder, &quoted);
        let mut decoder = json::decoder(&columns, wanted, Mode::FailFast, &JsonOptions::default());
        measure(&format!("json, {how}"), &mut *decoder, &objects);
    }
}
