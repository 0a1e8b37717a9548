//! What happens to records as they come; how Spark reads files stands in `codecs/goldens.rs`.

use proptest::prelude::*;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};

use super::split::{CsvSplitter, Split};
use super::{CsvOptions, decoder};
use crate::codecs::times::Times;
use crate::codecs::{Decoded, Mode};
use crate::expr::calendar::Zone;

fn options() -> CsvOptions {
    CsvOptions::new(Times::new(Zone::UTC))
}

fn columns() -> [Field; 3] {
    [
        Field::nullable("id", DataType::Int),
        Field::nullable("shop", DataType::String),
        Field::nullable("total", DataType::Double),
    ]
}

fn decode(mode: Mode, wanted: &[usize], record: &str) -> Result<Option<Row>, String> {
    let options = CsvOptions { mode, ..options() };
    let mut row = Row::new();
    decoder(&columns(), wanted, &options)
        .decode(record.as_bytes(), &mut row)
        .map(|decoded| (decoded == Decoded::Row).then_some(row))
        .map_err(|error| error.reason.to_string())
}

#[test]
fn a_record_that_does_not_fit_goes_the_way_of_the_mode() {
    let all = [0, 1, 2];
    let read = |mode, record| decode(mode, &all, record);
    let row = vec![Value::Int(1), Value::from("a"), Value::Double(2.5)];
    assert_eq!(read(Mode::FailFast, "1,a,2.5"), Ok(Some(row)));
    assert_eq!(
        read(Mode::FailFast, "x,a,2.5").unwrap_err(),
        "column `id` is INT, value 1 of the record does not fit"
    );
    assert_eq!(
        read(Mode::FailFast, "1,a").unwrap_err(),
        "the record has 2 values, the table 3 columns"
    );
    assert_eq!(read(Mode::DropMalformed, "1,a"), Ok(None));
    let part = vec![Value::Int(1), Value::from("a"), Value::Null];
    assert_eq!(read(Mode::Permissive, "1,a"), Ok(Some(part)));
}

#[test]
fn records_that_something_else_separates_are_told_of_once() {
    let told = |wanted: &[usize], records: &[&str]| {
        let table = "bills".into();
        let options = CsvOptions { table, ..options() };
        let mut one = decoder(&columns(), wanted, &options);
        for record in records {
            one.decode(record.as_bytes(), &mut Row::new()).unwrap();
        }
        drop(one);
        options.told.load(std::sync::atomic::Ordering::Relaxed)
    };
    assert!(told(&[0, 1, 2], &["1;a;2.5", "2;b;3.5"]));
    assert!(!told(&[0, 1, 2], &["1;a;2.5", "2,b"]));
    assert!(
        !told(&[0], &["1;a;2.5"]),
        "the first value is all that is wanted"
    );
    assert!(!told(&[0, 1, 2], &[]));
}

#[test]
fn only_the_wanted_columns_are_decoded_in_their_order() {
    let row = decode(Mode::FailFast, &[2, 1], "no number,a,2.5,and more");
    assert_eq!(row, Ok(Some(vec![Value::Double(2.5), Value::from("a")])));
}

#[test]
fn a_column_that_is_not_null_wants_a_value_in_every_mode() {
    let columns = [Field::required("id", DataType::Int)];
    for mode in [Mode::FailFast, Mode::Permissive] {
        let options = CsvOptions { mode, ..options() };
        let mut row = Row::new();
        let error = decoder(&columns, &[0], &options)
            .decode(b"\"\"", &mut row)
            .unwrap_err();
        assert!(error.reason.contains("NOT NULL"), "{error}");
    }
}

/// The records of a text that comes in pieces of this size.
fn records(options: &CsvOptions, text: &[u8], step: usize) -> Vec<Vec<u8>> {
    let mut splitter = CsvSplitter::new(options);
    let (mut at, mut seen, mut found) = (0, 0, Vec::new());
    while at < text.len() {
        match splitter.next(&text[at..seen], seen == text.len()) {
            Split::Record { length, next } => {
                found.push(text[at..at + length].to_vec());
                at += next;
            }
            Split::Skip(next) => at += next,
            Split::More => seen = (seen + step).min(text.len()),
        }
        seen = seen.max(at);
    }
    found
}

proptest! {
    #[test]
    fn the_records_do_not_depend_on_the_pieces(
        text in "[a,\"\\\\\r\n]{0,60}",
        step in 1_usize..20,
        multi_line in any::<bool>(),
    ) {
        let options = CsvOptions { multi_line, ..options() };
        let whole = records(&options, text.as_bytes(), text.len().max(1));
        prop_assert_eq!(records(&options, text.as_bytes(), step), whole);
    }

    #[test]
    fn whatever_comes_is_a_record_or_an_error(text in any::<String>(), quote in "[\"'x]") {
        let options = CsvOptions { quote: quote.chars().next().unwrap(), ..options() };
        let mut row = Row::new();
        let _ = decoder(&columns(), &[0, 1, 2], &options).decode(text.as_bytes(), &mut row);
    }
}
