//! Functions of text.

use smol_str::SmolStr;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Text, TextOrBinary};
use super::{Function, function};
use crate::expr::access::{bytes, text};

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "upper",
        "upper(text)",
        "The text in upper case.",
        "upper('SparkSql')",
        "SPARKSQL",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            cx.strict(DataType::String, args, |v| {
                Ok(Value::String(text(&v[0]).to_uppercase().into()))
            })
        },
    )
    .aliases(&["ucase"]),
    function(
        "lower",
        "lower(text)",
        "The text in lower case.",
        "lower('SparkSql')",
        "sparksql",
        |args, cx| {
            let args = cx.take(args, &[Text], 1)?;
            cx.strict(DataType::String, args, |v| {
                Ok(Value::String(text(&v[0]).to_lowercase().into()))
            })
        },
    )
    .aliases(&["lcase"]),
    function(
        "length",
        "length(text)",
        "The number of characters of a STRING, or of bytes of a BINARY.",
        "length('Spark SQL ')",
        "10",
        |args, cx| {
            let args = cx.take(args, &[TextOrBinary], 1)?;
            cx.strict(DataType::Int, args, |v| {
                let length = match &v[0] {
                    Value::String(text) => text.chars().count(),
                    binary => bytes(binary).len(),
                };
                Ok(Value::Int(i32::try_from(length).unwrap_or(i32::MAX)))
            })
        },
    )
    .aliases(&["char_length", "character_length", "len"]),
    function(
        "concat",
        "concat(a, b, ...)",
        "The arguments one after the other; NULL when one is NULL.",
        "concat('Spark', 'SQL')",
        "SparkSQL",
        |args, cx| {
            let args = cx.take_all(args, Text, 0)?;
            cx.scratch(DataType::String, args, || {
                let mut joined = String::new();
                Box::new(move |v| {
                    joined.clear();
                    v.iter().for_each(|part| joined.push_str(text(part)));
                    Ok(Value::String(SmolStr::new(&joined)))
                })
            })
        },
    ),
];
