//! Files and options for which Spark's answers are known: `tests/spark/formats.jsonl`, made by `tests/spark/formats.py`.

use std::fmt::Write;

use serde_json::Value as Json;
use sqlparser::dialect::SparkSqlDialect;
use sqlparser::parser::Parser;
use thalweg_engine::row::Row;
use thalweg_engine::schema::{DataType, Field, Schema};

use super::json::{self, JsonOptions};
use super::{Decoded, Decoder, Mode, csv};
use crate::expr::calendar::Zone;
use crate::expr::type_name;

/// What Spark answers otherwise, and what docs/formats.md says about it.
const DIFFERENT: &[(&str, &str)] = &[
    ("csv hexadecimal fractions", "they are no numbers here"),
    (
        "csv white space false true 0",
        "Spark ends with an error where white space is all that its buffer begins with",
    ),
    (
        "json arrays",
        "each object of an array is a record of its own, also where another one of it is broken",
    ),
    (
        "json half a character",
        "half of a surrogate pair is an error of the record",
    ),
];

/// What Spark writes otherwise: part of the case's name, part of the row, and why.
const WRITTEN: &[(&str, &str, &str)] = &[
    (
        "json",
        r#""g":"#,
        "small decimals are written without an exponent",
    ),
    (
        r#"{"quote":""}"#,
        "",
        "Spark writes a NUL where there is no quote to enclose a value with",
    ),
];

pub(crate) struct Case(pub(crate) Json);

impl Case {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0[name].as_str()
    }

    pub(crate) fn name(&self) -> String {
        format!(
            "{} {}",
            self.0["format"].as_str().unwrap(),
            self.text("name").unwrap()
        )
    }

    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        let options = self.0["options"].as_object().unwrap();
        let found = options
            .iter()
            .find(|given| given.0.eq_ignore_ascii_case(name));
        found.map(|given| given.1.as_str().unwrap())
    }

    pub(crate) fn columns(&self) -> Vec<Field> {
        let ddl = format!("STRUCT<{}>", self.text("columns").unwrap());
        let mut parser = Parser::new(&SparkSqlDialect {}).try_with_sql(&ddl).unwrap();
        let ast = parser.parse_data_type().unwrap();
        match type_name::data_type(&ast, Default::default()).unwrap() {
            DataType::Struct(fields) => fields.to_vec(),
            other => panic!("{other}"),
        }
    }

    pub(crate) fn wanted(&self, columns: &[Field]) -> Vec<usize> {
        match self.text("select") {
            None => (0..columns.len()).collect(),
            Some(names) => names
                .split(", ")
                .map(|name| {
                    columns
                        .iter()
                        .position(|column| column.name == name)
                        .unwrap()
                })
                .collect(),
        }
    }

    fn file(&self) -> Vec<u8> {
        match (self.text("text"), self.text("hex")) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(hex)) => (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
                .collect(),
            _ => panic!("no file"),
        }
    }

    pub(crate) fn strings(&self, name: &str) -> Option<Vec<String>> {
        let list = self.0[name].as_array()?;
        Some(
            list.iter()
                .map(|line| line.as_str().unwrap_or("null").to_owned())
                .collect(),
        )
    }
}

/// The rows of a file as Spark's to_json writes them, or why it cannot be read.
fn rows(case: &Case) -> Result<Vec<String>, String> {
    let columns = case.columns();
    let wanted = case.wanted(&columns);
    let file = case.file();
    let shown: Vec<Field> = wanted.iter().map(|place| columns[*place].clone()).collect();
    let mut objects = json::encoder_with(
        &Schema::new(shown),
        &JsonOptions {
            nulls: true,
            ..JsonOptions::default()
        },
    );
    let mut lines = Vec::new();
    let mut take = |decoder: &mut dyn Decoder, record: &[u8]| -> Result<(), String> {
        let mut row = Row::new();
        let decoded = decoder
            .decode(record, &mut row)
            .map_err(|error| error.to_string())?;
        if decoded == Decoded::Row {
            let mut line = Vec::new();
            objects.encode(&row, &mut line).unwrap();
            lines.push(String::from_utf8(line).unwrap());
        }
        Ok(())
    };
    let file = match case.option("encoding").or(case.option("charset")) {
        None => file,
        Some(name) => {
            let encoding = super::encoding::named(name)?;
            encoding.map_or(file.clone(), |encoding| {
                encoding.decode(&file).0.into_owned().into()
            })
        }
    };
    if case.text("format") == Some("csv") {
        csv_records(case, &file, &columns, &wanted, &mut take)?;
    } else {
        json_records(case, &file, &columns, &wanted, &mut take)?;
    }
    Ok(lines)
}

fn json_records(
    case: &Case,
    file: &[u8],
    columns: &[Field],
    wanted: &[usize],
    take: Take<'_>,
) -> Result<(), String> {
    let options = JsonOptions {
        trailing: true,
        ..JsonOptions::with(Zone::UTC, true, &|name| case.option(name)).map_err(|(_, why)| why)?
    };
    let mode = case
        .option("mode")
        .map(Mode::of_word)
        .unwrap_or(Mode::Permissive);
    let mut decoder = json::decoder(columns, wanted, mode, &options);
    let documents = json::Documents::new(options.syntax);
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let separator = case.option("lineSep").map(str::as_bytes);
    let mut at = 0;
    while at < file.len() {
        let rest = &file[at..];
        let (length, next) = if case.option("multiLine") == Some("true") {
            (rest.len(), rest.len())
        } else {
            csv::split::line(rest, true, separator).unwrap()
        };
        at += next;
        let line = &rest[..length];
        if line.trim_ascii().is_empty() {
            continue;
        }
        match documents.records(line) {
            json::Records::One => take(&mut *decoder, line)?,
            json::Records::Many(spans) => {
                for span in spans {
                    take(&mut *decoder, &line[span])?;
                }
            }
        }
    }
    Ok(())
}

type Take<'t> = &'t mut dyn FnMut(&mut dyn Decoder, &[u8]) -> Result<(), String>;

fn csv_records(
    case: &Case,
    file: &[u8],
    columns: &[Field],
    wanted: &[usize],
    take: Take<'_>,
) -> Result<(), String> {
    let options = csv::CsvOptions::with(Zone::UTC, true, &|name| case.option(name))
        .map_err(|(_, why)| why)?;
    let mut splitter = csv::split::CsvSplitter::new(&options);
    let mut decoder: Option<Box<dyn Decoder>> = None;
    let mut at = 0;
    while at < file.len() {
        match splitter.next(&file[at..], true) {
            csv::split::Split::Skip(next) => at += next,
            csv::split::Split::More => return Err("the file does not end".to_owned()),
            csv::split::Split::Record { length, next } => {
                let record = &file[at..at + length];
                at += next;
                if let Some(decoder) = &mut decoder {
                    take(&mut **decoder, record)?;
                    continue;
                }
                let line_end = splitter.found_line_end();
                let made = csv::decoder_of_file(columns, wanted, &options, line_end);
                let made = decoder.insert(made);
                if options.header {
                    let names = csv::names(record, &options, line_end);
                    if let Some(why) = csv::wrong_header(&names, columns, &options) {
                        return Err(why);
                    }
                } else {
                    take(&mut **made, record)?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn files_are_read_as_spark_reads_them() {
    let cases = include_str!("../../../tests/spark/formats.jsonl").lines();
    let (mut seen, mut wrong) = (0, String::new());
    for line in cases {
        let case = Case(serde_json::from_str(line).unwrap());
        if case.0["lines"].is_array() {
            continue;
        }
        seen += 1;
        let known = DIFFERENT
            .iter()
            .any(|known| case.name().starts_with(known.0));
        let failfast = case.option("mode") == Some("FAILFAST");
        let (ours, sparks) = (rows(&case), case.strings("rows"));
        let same = match (&ours, &sparks) {
            (Ok(ours), Some(sparks)) => ours == sparks,
            (Err(_), None) => true,
            _ => false,
        };
        if same == known && !(same && failfast) {
            let _ = writeln!(wrong, "\n== {} {}", case.name(), case.0["options"]);
            let _ = writeln!(wrong, "   {:?}", String::from_utf8_lossy(&case.file()));
            let (ours, sparks) = (
                ours.unwrap_or_else(|why| vec![why]),
                sparks.unwrap_or_else(|| vec![case.text("fails").unwrap_or_default().to_owned()]),
            );
            for at in 0..ours.len().max(sparks.len()) {
                let (ours, spark) = (ours.get(at), sparks.get(at));
                if ours != spark {
                    let _ = writeln!(
                        wrong,
                        "   ours  {at} {}\n   spark {at} {}",
                        ours.map_or("-", |s| s),
                        spark.map_or("-", |s| s)
                    );
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} files");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn rows_are_written_as_spark_writes_them() {
    let cases = include_str!("../../../tests/spark/formats.jsonl").lines();
    let (mut seen, mut wrong) = (0, String::new());
    for line in cases {
        let case = Case(serde_json::from_str(line).unwrap());
        let Some(sparks) = case.strings("lines") else {
            continue;
        };
        let schema = Schema::new(case.columns());
        let places: Vec<usize> = (0..schema.fields.len()).collect();
        let option = |name: &str| case.option(name);
        let mut encoder = if case.text("format") == Some("csv") {
            csv::encoder(
                &schema,
                &csv::CsvOptions::with(Zone::UTC, false, &option).unwrap(),
            )
        } else {
            json::encoder_with(
                &schema,
                &JsonOptions::with(Zone::UTC, false, &option).unwrap(),
            )
        };
        let plain = JsonOptions::default();
        let mut reader = json::decoder(&schema.fields, &places, Mode::FailFast, &plain);
        for (row, spark) in case.strings("rows").unwrap().iter().zip(&sparks) {
            seen += 1;
            let (mut values, mut out) = (Row::new(), Vec::new());
            reader.decode(row.as_bytes(), &mut values).unwrap();
            encoder.encode(&values, &mut out).unwrap();
            let ours = String::from_utf8(out).unwrap();
            let name = format!("{} {}", case.name(), case.0["options"]);
            let known = WRITTEN
                .iter()
                .any(|known| name.contains(known.0) && row.contains(known.1));
            if ours != *spark && !known {
                let _ = writeln!(
                    wrong,
                    "\n== {name}\n   {row}\n   ours  {ours}\n   spark {spark}"
                );
            }
        }
    }
    assert!(seen > 100, "only {seen} rows");
    assert!(wrong.is_empty(), "{wrong}");
}
