//! Functions of texts that are CSV or JSON with options: what `map('name', 'value', ...)` says.

use std::collections::HashMap;
use std::sync::Arc;

use smol_str::format_smolstr;
use thalweg_engine::error::{ErrorClass, RecordError};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field, Schema};

use super::Param::{Any, Text};
use super::forms::{failed, node, strict_scratch, string};
use super::{BindContext, Function, function, json};
use crate::codecs::csv::{self, CsvOptions};
use crate::codecs::{Decoded, Mode};
use crate::expr::access::{fields, map};
use crate::expr::body::{Body, FieldsFn, Parse, ParseFn};
use crate::expr::typed::Typed;
use crate::job_error::JobError;
use crate::table::OptionSpec;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "from_csv",
        "from_csv(text, schema[, options])",
        "The values of a CSV record as a STRUCT, of columns such as 'a INT, b DOUBLE'; NULL for what does not parse.",
        "from_csv('1, 0.8', 'a INT, b DOUBLE')",
        "{1, 0.8}",
        from_csv,
    ),
    function(
        "to_csv",
        "to_csv(struct[, options])",
        "The values of a STRUCT as one CSV record.",
        "to_csv(named_struct('a', 1, 'b', 'x,y'))",
        "1,\"x,y\"",
        to_csv,
    ),
    function(
        "schema_of_csv",
        "schema_of_csv(text[, options])",
        "The type of a constant CSV record, as from_csv takes it.",
        "schema_of_csv('1,abc')",
        "STRUCT<_c0: INT, _c1: STRING>",
        schema_of_csv,
    ),
];

/// What Spark knows of files, and why it is nothing for a text.
const OF_FILES: [(&str, &str); 12] = [
    (
        "multiLine",
        "a text is one record, whatever line ends are in it",
    ),
    (
        "lineSep",
        "a text is one record, whatever line ends are in it",
    ),
    ("encoding", "a text has letters, whatever bytes it was"),
    ("charset", "a text has letters, whatever bytes it was"),
    ("compression", "a text is not packed"),
    ("header", "a text has no first line of names"),
    ("enforceSchema", "a text has no first line of names"),
    ("samplingRatio", "it is about guessing columns"),
    ("inferSchema", "it is about guessing columns"),
    ("preferDate", "it is about guessing columns"),
    ("pretty", "it is about writing JSON"),
    ("ignoreNullFields", "it is about writing JSON"),
];

/// The options of a call, of which each must be in one of these manuals.
pub(super) fn options(
    argument: Option<&Typed>,
    manuals: &[&[OptionSpec]],
    cx: &BindContext,
) -> Result<HashMap<String, String>, JobError> {
    let Some(argument) = argument else {
        return Ok(HashMap::new());
    };
    let wrong = || {
        cx.error("the options are a constant map of texts")
            .help("write map('mode', 'FAILFAST')")
    };
    let (DataType::Map(_), Some(value)) = (&argument.data_type, argument.constant()) else {
        return Err(wrong());
    };
    let specs = || manuals.iter().copied().flatten();
    let mut found = HashMap::new();
    for (name, value) in map(value) {
        let (Value::String(name), Value::String(value)) = (name, value) else {
            return Err(wrong());
        };
        if let Some((_, why)) = OF_FILES
            .iter()
            .find(|(of_files, _)| of_files.eq_ignore_ascii_case(name))
            && !specs().any(|spec| spec.name.eq_ignore_ascii_case(name))
        {
            let why = format!("option `{name}` has no meaning here: {why}");
            return Err(cx
                .error(why)
                .help("leave it out: Spark takes it, and it changes nothing"));
        }
        let Some(spec) = specs().find(|spec| spec.name.eq_ignore_ascii_case(name)) else {
            return Err(cx
                .error(format!("unknown option `{name}`"))
                .nearest(name, specs().map(|spec| spec.name)));
        };
        if let Some(why) = spec.refuses(value) {
            return Err(cx.error(why));
        }
        found.insert(name.to_lowercase(), value.to_string());
    }
    Ok(found)
}

fn csv_options(
    argument: Option<&Typed>,
    reading: bool,
    cx: &BindContext,
) -> Result<CsvOptions, JobError> {
    use crate::codecs::json as other;
    let found = if reading {
        options(
            argument,
            &[&csv::READ_OPTIONS, &other::READ_OPTIONS[..6]],
            cx,
        )?
    } else {
        options(
            argument,
            &[&csv::WRITE_OPTIONS, &other::WRITE_OPTIONS[1..]],
            cx,
        )?
    };
    let option = |name: &str| found.get(&name.to_lowercase()).map(String::as_str);
    let options = CsvOptions::with(cx.settings.zone, reading, &option);
    let mut options = options.map_err(|(_, why)| cx.error(why))?;
    if reading {
        // The text is one record, and line ends are characters of it like others: no text has this one, which is none.
        options.line_sep = Some('\u{FFFF}'.to_string());
    }
    Ok(options)
}

fn from_csv(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let mut args = cx.take(args, &[Text, Text, Any], 2)?;
    let Some(ddl) = args[1].constant_text() else {
        return Err(cx.error("the schema must be a constant text"));
    };
    let DataType::Struct(columns) = json::schema(ddl, cx)? else {
        return Err(cx.error("the schema is a list of columns, such as 'a INT, b DOUBLE'"));
    };
    for column in columns.iter() {
        if let Some(why) = csv::unsupported(&column.data_type) {
            return Err(cx.error(format!("column `{}`: {why}", column.name)));
        }
    }
    let options = csv_options(args.get(2), true, cx)?;
    if options.mode == Mode::DropMalformed {
        return Err(cx.error("the mode of from_csv is PERMISSIVE or FAILFAST"));
    }
    args.truncate(1);
    let columns: Vec<Field> = columns
        .iter()
        .map(|column| Field::nullable(column.name.clone(), column.data_type.clone()))
        .collect();
    let data_type = DataType::Struct(columns.clone().into());
    let parse = FromCsv {
        key: format!("from_csv {data_type} {options:?}"),
        columns,
        options,
    };
    let body = Body::Parse(Arc::new(parse));
    Ok(node(cx, body, args, data_type, true))
}

/// `from_csv` of some columns, with its options.
struct FromCsv {
    key: String,
    columns: Vec<Field>,
    options: CsvOptions,
}

impl FromCsv {
    /// Makes a row of the columns at these places.
    fn rows(
        &self,
        places: &[usize],
    ) -> impl FnMut(&str, &mut Row) -> Result<bool, RecordError> + use<> {
        let mut decoder = csv::decoder(&self.columns, places, &self.options);
        move |text, row| match decoder.decode(text.as_bytes(), row) {
            Ok(decoded) => Ok(decoded == Decoded::Row),
            Err(error) => Err(RecordError {
                class: ErrorClass::Expression,
                reason: format!("from_csv: {}", error.reason).into(),
                content: error.content,
            }),
        }
    }
}

impl Parse for FromCsv {
    fn key(&self) -> &str {
        &self.key
    }

    fn whole(&self) -> ParseFn {
        let places: Vec<usize> = (0..self.columns.len()).collect();
        let mut read = self.rows(&places);
        Box::new(move |text| {
            let mut row = Row::with_capacity(places.len());
            Ok(match read(text, &mut row)? {
                true => Value::Struct(row.into()),
                false => Value::Null,
            })
        })
    }

    /// The column that takes broken records depends on all columns, and so does FAILFAST mode.
    fn some(&self, places: &[usize]) -> Option<FieldsFn> {
        let corrupt = self.options.corrupt_column.as_str();
        let mut columns = self.columns.iter();
        if places.is_empty()
            || self.options.mode != Mode::Permissive
            || columns.any(|column| column.name == corrupt)
        {
            return None;
        }
        let mut read = self.rows(places);
        let mut row = Row::with_capacity(places.len());
        Some(Box::new(move |text, values| {
            row.clear();
            let there = read(text, &mut row)?;
            for (value, read) in values.iter_mut().zip(row.drain(..)) {
                *value = read;
            }
            Ok(there)
        }))
    }
}

fn to_csv(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let mut args = cx.take(args, &[Any, Any], 1)?;
    let options = csv_options(args.get(1), false, cx)?;
    args.truncate(1);
    let DataType::Struct(columns) = &args[0].data_type else {
        return Err(cx.error(format!("expected a STRUCT, got {}", args[0].data_type)));
    };
    let schema = Schema::new(columns.clone());
    let alone = schema.fields.len() < 2;
    let mut typed = strict_scratch(cx, DataType::String, args, move || {
        let mut encoder = csv::encoder(&schema, &options);
        let mut out = Vec::new();
        Box::new(move |v| {
            out.clear();
            encoder.encode(fields(&v[0]), &mut out)?;
            if out.is_empty() {
                return Ok(Value::Null);
            }
            match std::str::from_utf8(&out) {
                Ok(record) => Ok(string(record)),
                Err(_) => Err(failed("to_csv: the text is not UTF-8")),
            }
        })
    })?;
    // A NULL that stands alone is no record.
    typed.nullable |= alone;
    Ok(typed)
}

fn schema_of_csv(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Text, Any], 1)?;
    let options = csv_options(args.get(1), true, cx)?;
    let Some(record) = args[0].constant_text() else {
        return Err(cx.error("the text must be a constant"));
    };
    let types = csv::inferred(record, &options).map_err(|why| cx.error(why))?;
    let columns: Vec<Field> = types
        .into_iter()
        .enumerate()
        .map(|(place, data_type)| Field::nullable(format_smolstr!("_c{place}"), data_type))
        .collect();
    let name = string(&DataType::Struct(columns.into()).to_string());
    Ok(Typed::literal(name, DataType::String, cx.at))
}
