//! The rows of `stack` and `json_tuple`, as an array of structs whose fields become columns.

use std::sync::Arc;

use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::BindContext;
use super::arrays::array_of;
use super::forms::{scratch_with_nulls, string};
use super::json_path::{append_text, each_field};
use crate::expr::access::text;
use crate::expr::operators;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

/// How `stack` is called.
pub(crate) const STACK: &str = "stack(rows, value, ...)";
/// How `json_tuple` is called.
pub(crate) const JSON_TUPLE: &str = "json_tuple(text, name, ...)";

/// No row needs more, and more would not be meant.
pub(crate) const STACK_MAX: usize = 10_000;

/// So many rows of the values, in their order; the last is filled up with NULLs.
pub(crate) fn stack(mut args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    if args.len() < 2 {
        return Err(cx.error("expected the number of rows and values"));
    }
    let rows = match args.remove(0).constant() {
        Some(Value::Int(rows)) => usize::try_from(*rows).ok().filter(|rows| *rows > 0),
        _ => return Err(cx.error("the number of rows must be a constant INT")),
    };
    let Some(rows) = rows.filter(|rows| *rows <= STACK_MAX) else {
        return Err(cx.error(format!("the number of rows must be from 1 to {STACK_MAX}")));
    };
    let width = args.len().div_ceil(rows);
    let types = (0..width)
        .map(|column| stack_type(&args, column, width, cx))
        .collect::<Result<Vec<DataType>, JobError>>()?;
    let names: Vec<SmolStr> = (0..width).map(|i| format_smolstr!("col{i}")).collect();
    let mut given = args.into_iter();
    let structs: Vec<Typed> = (0..rows)
        .map(|_| {
            let values = types.iter().map(|data_type| match given.next() {
                Some(value) if value.data_type != DataType::Void => value,
                _ => Typed::literal(Value::Null, data_type.clone(), cx.at),
            });
            operators::structure(names.clone(), values.collect(), cx.at)
        })
        .collect();
    let fields: Arc<[Field]> = names
        .iter()
        .zip(types)
        .map(|(name, data_type)| Field::nullable(name.clone(), data_type))
        .collect();
    cx.with_nulls(array_of(DataType::Struct(fields)), false, structs, |v| {
        Ok(Value::Array(v.into()))
    })
}

/// The type of a column: that of all its values which are no bare NULL.
fn stack_type(
    args: &[Typed],
    column: usize,
    width: usize,
    cx: &BindContext,
) -> Result<DataType, JobError> {
    let mut typed = args
        .iter()
        .skip(column)
        .step_by(width)
        .filter(|value| value.data_type != DataType::Void);
    let Some(first) = typed.next() else {
        return Ok(DataType::String);
    };
    match typed.find(|value| value.data_type != first.data_type) {
        None => Ok(first.data_type.clone()),
        Some(other) => Err(JobError {
            at: other.at,
            ..cx.error(format!(
                "column {} has values of the types {} and {}",
                column + 1,
                first.data_type,
                other.data_type
            ))
        }
        .help(format!("write CAST(value AS {})", first.data_type))),
    }
}

/// One row of the texts that fields of a JSON object have.
pub(crate) fn json_tuple(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    if args.len() < 2 {
        return Err(cx.error("expected a text and the names of its fields"));
    }
    let wrong = |arg: &&Typed| !matches!(arg.data_type, DataType::String | DataType::Void);
    if let Some(arg) = args.iter().find(wrong) {
        let error = cx.error(format!(
            "all arguments are texts, this is {}",
            arg.data_type
        ));
        return Err(JobError {
            at: arg.at,
            ..error
        });
    }
    let fields: Arc<[Field]> = (0..args.len() - 1)
        .map(|i| Field::nullable(format_smolstr!("c{i}"), DataType::String))
        .collect();
    scratch_with_nulls(cx, array_of(DataType::Struct(fields)), false, args, || {
        let mut out = String::new();
        Box::new(move |v| Ok(tuple(v, &mut out)))
    })
}

fn tuple(v: &[Value], out: &mut String) -> Value {
    let names = &v[1..];
    let mut found = vec![Value::Null; names.len()];
    if let Value::String(json) = &v[0] {
        let whole = each_field(json, &mut |key, json| {
            let wanted = |name: &Value| *name != Value::Null && text(name) == key;
            if !names.iter().any(wanted) {
                return;
            }
            out.clear();
            // A null leaves what an earlier field of the name gave.
            if append_text(json, out) {
                for (name, value) in names.iter().zip(&mut found) {
                    if wanted(name) {
                        *value = string(out);
                    }
                }
            }
        });
        if !whole {
            found.fill(Value::Null);
        }
    }
    Value::Array(Arc::from([Value::Struct(found.into())]))
}
