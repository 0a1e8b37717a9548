//! Functions of JSON texts.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use smol_str::SmolStr;
use sqlparser::dialect::SparkSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};

use super::Param::{Any, Text};
use super::arrays::array_of;
use super::forms::{failed, int, node, strict_scratch, string, written_or_null};
use super::json_path::{self, Step, each_element, each_field};
use super::{BindContext, Function, csv, function, json_schema};
use crate::codecs::Mode;
use crate::codecs::json::{self, JsonOptions, JsonParser};
use crate::expr::access::{fields, text};
use crate::expr::body::{Body, FieldsFn, Parse, ParseFn};
use crate::expr::type_name;
use crate::expr::typed::Typed;
use crate::job_error::JobError;
use crate::sql::field_notes;

/// How deep arrays and objects may lie in each other in a text whose type is asked for.
const DEPTH_MAX: usize = 256;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "from_json",
        "from_json(text, schema[, options])",
        "The value of a JSON text, of a type such as 'a INT, b STRUCT<c: STRING>'; NULLs for what does not parse.",
        "from_json('{\"a\":1, \"b\":0.8}', 'a INT, b DOUBLE')",
        "{1, 0.8}",
        from_json,
    ),
    function(
        "to_json",
        "to_json(struct, map or array[, options])",
        "The value as a JSON text; fields that are NULL are left out.",
        "to_json(named_struct('a', 1, 'b', 2))",
        "{\"a\":1,\"b\":2}",
        to_json,
    ),
    function(
        "get_json_object",
        "get_json_object(text, path)",
        "What a path such as '$.a[0].b' finds in a JSON text; NULL where it finds nothing.",
        "get_json_object('{\"a\":\"b\"}', '$.a')",
        "b",
        |args, cx| {
            let args = cx.take(args, &[Text, Text], 2)?;
            let fixed: Option<Option<Arc<[Step]>>> = args[1]
                .constant_text()
                .map(|path| json_path::parse(path).map(Arc::from));
            written_or_null(cx, args, move |v, out| {
                let json = text(&v[0]);
                Ok(match &fixed {
                    Some(Some(steps)) => json_path::find(json, steps, out),
                    Some(None) => false,
                    None => json_path::parse(text(&v[1]))
                        .is_some_and(|steps| json_path::find(json, &steps, out)),
                })
            })
        },
    ),
    function(
        "json_array_length",
        "json_array_length(text)",
        "How many elements a JSON array has; NULL where the text is none.",
        "json_array_length('[1,2,3,{\"f1\":1,\"f2\":[5,6]},4]')",
        "5",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            cx.partial(DataType::Int, args, |v| {
                let mut count = 0;
                let whole = each_element(text(&v[0]), &mut |_, _| count += 1);
                Ok(if whole { int(count) } else { Value::Null })
            })
        },
    ),
    function(
        "json_object_keys",
        "json_object_keys(text)",
        "The keys of a JSON object as an array; NULL where the text is none.",
        "json_object_keys('{\"f1\":\"abc\",\"f2\":{\"f3\":\"a\"}}')",
        "[f1, f2]",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            cx.partial(array_of(DataType::String), args, |v| {
                let mut keys = Vec::new();
                let whole = each_field(text(&v[0]), &mut |key, _| keys.push(string(key)));
                Ok(if whole {
                    Value::Array(keys.into())
                } else {
                    Value::Null
                })
            })
        },
    ),
    function(
        "schema_of_json",
        "schema_of_json(text)",
        "The type of a constant JSON text, as from_json takes it.",
        "schema_of_json('[{\"col\":0}]')",
        "ARRAY<STRUCT<col: BIGINT>>",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            let Some(sample) = args[0].constant_text() else {
                return Err(cx.error("the text must be a constant").help(
                    "a stream's columns are known before its records: give an example, schema_of_json('{\"a\": 1}'), or write the schema itself, 'a INT, b STRING'",
                ));
            };
            let sample: &RawValue = serde_json::from_str(sample)
                .map_err(|error| cx.error(format!("the text is not JSON: {error}")))?;
            if depth(sample.get()) > DEPTH_MAX {
                return Err(cx.error(format!(
                    "arrays and objects lie more than {DEPTH_MAX} deep in each other"
                )));
            }
            let name = string(&type_name::in_sql(&of_text(sample.get())));
            Ok(Typed::literal(name, DataType::String, cx.at))
        },
    ),
];

/// A type's name, or columns with their types as in CREATE TABLE, or what Spark's `df.schema.json()` gives.
pub(super) fn schema(text: &str, cx: &BindContext) -> Result<DataType, JobError> {
    if text.trim_start().starts_with('{') {
        json_schema::data_type(text, cx)
    } else {
        ddl(text, cx)
    }
}

/// A type's name, or columns with their types as in CREATE TABLE.
pub(super) fn ddl(text: &str, cx: &BindContext) -> Result<DataType, JobError> {
    let dialect = SparkSqlDialect {};
    let parse = |text: &str| {
        let mut tokens = Tokenizer::new(&dialect, text)
            .tokenize_with_location()
            .ok()?;
        tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
        let tokens = field_notes::left_out(tokens);
        let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
        let ast = parser.parse_data_type().ok()?;
        (parser.peek_token() == Token::EOF).then_some(ast)
    };
    // One word may be a type's name or, before another word, a column's.
    let ast = parse(text).or_else(|| parse(&format!("STRUCT<{text}>")));
    match ast {
        Some(ast) => type_name::data_type(&ast, cx.at),
        None => Err(cx
            .error(format!("`{text}` is no type"))
            .help("write 'a INT, b STRUCT<c: STRING>', 'ARRAY<INT>' or 'MAP<STRING, INT>'")),
    }
}

fn from_json(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let mut args = cx.take(args, &[Text, Text, Any], 2)?;
    let Some(ddl) = args[1].constant_text() else {
        return Err(cx.error("the schema must be a constant text"));
    };
    let data_type = schema(ddl, cx)?;
    let found = csv::options(args.get(2), &[&json::READ_OPTIONS], cx)?;
    let mode = found
        .get("mode")
        .map(|word| word.as_str())
        .map(Mode::of_word)
        .unwrap_or(Mode::Permissive);
    let options = json_options(&found, true, cx)?;
    args.truncate(1);
    JsonParser::new(&data_type, mode, &options).map_err(|reason| cx.error(reason))?;
    let parse = FromJson {
        key: format!("from_json {data_type} {mode:?} {options:?}"),
        data_type: data_type.clone(),
        mode,
        options,
    };
    let body = Body::Parse(Arc::new(parse));
    Ok(node(cx, body, args, data_type, true))
}

/// `from_json` of one type, with its options.
struct FromJson {
    key: String,
    data_type: DataType,
    mode: Mode,
    options: JsonOptions,
}

impl Parse for FromJson {
    fn key(&self) -> &str {
        &self.key
    }

    fn whole(&self) -> ParseFn {
        match JsonParser::new(&self.data_type, self.mode, &self.options) {
            Ok(mut parser) => Box::new(move |text| parser.parse(text)),
            Err(reason) => Box::new(move |_| Err(failed(reason.as_str()))),
        }
    }

    /// A field that does not fit says nothing about the others, but in FAILFAST mode, and where one takes the text.
    fn some(&self, places: &[usize]) -> Option<FieldsFn> {
        let DataType::Struct(fields) = &self.data_type else {
            return None;
        };
        // Of two fields of one name the last takes the value.
        let mut names: Vec<&SmolStr> = fields.iter().map(|field| &field.name).collect();
        names.sort_unstable();
        let whole = json::corrupt_field(&self.data_type, &self.options).is_some();
        let twice = names.windows(2).any(|pair| pair[0] == pair[1]);
        if self.mode != Mode::Permissive || whole || twice {
            return None;
        }
        let fields: Option<Vec<Field>> = places
            .iter()
            .map(|place| fields.get(*place).cloned())
            .collect();
        let data_type = DataType::Struct(fields?.into());
        let mut parser = JsonParser::new(&data_type, self.mode, &self.options).ok()?;
        Some(Box::new(move |text, values| parser.fields(text, values)))
    }
}

fn json_options(
    found: &HashMap<String, String>,
    reading: bool,
    cx: &BindContext,
) -> Result<JsonOptions, JobError> {
    let option = |name: &str| found.get(&name.to_lowercase()).map(String::as_str);
    JsonOptions::with(cx.settings.zone, reading, &option).map_err(|(_, why)| cx.error(why))
}

fn to_json(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let mut args = cx.take(args, &[Any, Any], 1)?;
    let data_type = args[0].data_type.clone();
    let found = csv::options(
        args.get(1),
        &[
            &json::WRITE_OPTIONS,
            &[json::PRETTY],
            &json::REFUSED_WRITING,
        ],
        cx,
    )?;
    let options = json_options(&found, false, cx)?;
    let laid_out = found
        .get("pretty")
        .is_some_and(|word| word.eq_ignore_ascii_case("true"));
    args.truncate(1);
    if let DataType::Struct(fields_of) = &data_type {
        let schema = Schema::new(Arc::clone(fields_of));
        return strict_scratch(cx, DataType::String, args, move || {
            let mut encoder = json::encoder_with(&schema, &options);
            let mut out = Vec::new();
            Box::new(move |v| {
                out.clear();
                encoder.encode(fields(&v[0]), &mut out)?;
                utf8(&out, laid_out)
            })
        });
    }
    if !matches!(data_type, DataType::Array(_) | DataType::Map(_)) {
        return Err(cx.error(format!(
            "expected a STRUCT, a MAP or an ARRAY, got {data_type}"
        )));
    }
    strict_scratch(cx, DataType::String, args, move || {
        let (options, data_type) = (options.clone(), data_type.clone());
        let mut out = Vec::new();
        Box::new(move |v| {
            out.clear();
            json::append(&mut out, &v[0], &data_type, &options);
            utf8(&out, laid_out)
        })
    })
}

fn utf8(json: &[u8], laid_out: bool) -> crate::expr::body::Outcome {
    if laid_out {
        let mut lines = Vec::new();
        json::pretty(json, &mut lines);
        return utf8(&lines, false);
    }
    match std::str::from_utf8(json) {
        Ok(json) => Ok(string(json)),
        Err(_) => Err(failed("to_json: the text is not UTF-8")),
    }
}

/// How deep arrays and objects lie in each other in a JSON text.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth -= 1,
            _ => {}
        }
    }
    deepest
}

/// The type that a JSON text has; VOID for null.
fn inferred(json: &str) -> DataType {
    match json.bytes().next() {
        Some(b'n') => DataType::Void,
        Some(b'"') => DataType::String,
        Some(b't' | b'f') => DataType::Boolean,
        Some(b'[') => {
            let mut all = DataType::Void;
            each_element(json, &mut |_, element| {
                all = merged(
                    std::mem::replace(&mut all, DataType::Void),
                    inferred(element),
                );
            });
            array_of(all)
        }
        Some(b'{') => {
            let mut all: Vec<Field> = Vec::new();
            each_field(json, &mut |name, value| {
                all.retain(|known| known.name != name);
                all.push(Field::nullable(SmolStr::new(name), inferred(value)));
            });
            // Ordered by name, as Spark orders them.
            all.sort_by(|a, b| a.name.cmp(&b.name));
            DataType::Struct(all.into())
        }
        _ => number(json),
    }
}

/// The type of a number: whole ones beyond 64 bits are DECIMAL, as long as one can hold them.
fn number(json: &str) -> DataType {
    if json.contains(['.', 'e', 'E']) {
        return DataType::Double;
    }
    if json.parse::<i64>().is_ok() {
        return DataType::BigInt;
    }
    match u8::try_from(json.trim_start_matches('-').len()) {
        Ok(precision @ ..=38) => DataType::Decimal {
            precision,
            scale: 0,
        },
        _ => DataType::Double,
    }
}

/// The type without the structs that no field is in, and with STRING for what was null everywhere; None where nothing is
/// left of it.
fn told(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Void => Some(DataType::String),
        DataType::Array(element) => told(element).map(array_of),
        DataType::Struct(fields) => {
            let field =
                |field: &Field| Some(Field::nullable(field.name.clone(), told(&field.data_type)?));
            let fields: Vec<Field> = fields.iter().filter_map(field).collect();
            (!fields.is_empty()).then(|| DataType::Struct(fields.into()))
        }
        other => Some(other.clone()),
    }
}

/// The type of a whole text.
fn of_text(json: &str) -> DataType {
    let nothing = || DataType::Struct(Vec::new().into());
    match inferred(json) {
        DataType::Array(element) if matches!(*element, DataType::Struct(_)) => {
            array_of(told(&element).unwrap_or_else(nothing))
        }
        found @ DataType::Struct(_) => told(&found).unwrap_or_else(nothing),
        found => told(&found).unwrap_or(DataType::String),
    }
}

/// The type of values of two types; STRING where nothing else holds both.
fn merged(a: DataType, b: DataType) -> DataType {
    match (a, b) {
        (a, b) if a == b => a,
        (DataType::Void, other) | (other, DataType::Void) => other,
        (DataType::Double, DataType::BigInt | DataType::Decimal { .. })
        | (DataType::BigInt | DataType::Decimal { .. }, DataType::Double) => DataType::Double,
        (DataType::Decimal { precision, .. }, DataType::BigInt)
        | (DataType::BigInt, DataType::Decimal { precision, .. }) => DataType::Decimal {
            precision: precision.max(20),
            scale: 0,
        },
        (DataType::Decimal { precision: a, .. }, DataType::Decimal { precision: b, .. }) => {
            DataType::Decimal {
                precision: a.max(b),
                scale: 0,
            }
        }
        (DataType::Array(a), DataType::Array(b)) => {
            array_of(merged(DataType::clone(&a), DataType::clone(&b)))
        }
        (DataType::Struct(a), DataType::Struct(b)) => {
            let mut fields: Vec<Field> = a.to_vec();
            for field in b.iter() {
                match fields.iter_mut().find(|known| known.name == field.name) {
                    Some(known) => {
                        let both = (known.data_type.clone(), field.data_type.clone());
                        known.data_type = merged(both.0, both.1);
                    }
                    None => fields.push(field.clone()),
                }
            }
            fields.sort_by(|a, b| a.name.cmp(&b.name));
            DataType::Struct(fields.into())
        }
        _ => DataType::String,
    }
}
