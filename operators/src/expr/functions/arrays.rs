//! Functions of arrays, with and without lambdas.

use std::sync::Arc;

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Array, Lambda};
use super::{Function, function};
use crate::expr::access::array;
use crate::expr::typed::Typed;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "transform",
        "transform(array, x -> expr) or transform(array, (x, i) -> expr)",
        "The array with each element replaced.",
        "transform(array(1, 2, 3), (x, i) -> x * i)",
        "[0, 2, 6]",
        |args, cx| {
            let args = cx.take(args, &[Array, Lambda], 2)?;
            let element = args[1].data_type.clone();
            let data_type = DataType::Array(Arc::new(element));
            cx.higher_order(data_type, args, |v, lambdas, meta| {
                if v[0].is_null() {
                    return Ok(Value::Null);
                }
                array(&v[0])
                    .iter()
                    .zip(0..)
                    .map(|(x, i)| lambdas[0].call([x.clone(), Value::Int(i)], meta))
                    .collect::<Result<Arc<[Value]>, _>>()
                    .map(Value::Array)
            })
        },
    )
    .lambda(element_and_index),
    function(
        "filter",
        "filter(array, x -> condition) or filter(array, (x, i) -> condition)",
        "The elements for which the condition is true.",
        "filter(array(1, 2, 3), x -> x % 2 == 1)",
        "[1, 3]",
        |args, cx| {
            let args = cx.take(args, &[Array, Lambda], 2)?;
            cx.higher_order(args[0].data_type.clone(), args, |v, lambdas, meta| {
                if v[0].is_null() {
                    return Ok(Value::Null);
                }
                let mut kept = Vec::new();
                for (x, i) in array(&v[0]).iter().zip(0..) {
                    if lambdas[0].call([x.clone(), Value::Int(i)], meta)? == Value::Boolean(true) {
                        kept.push(x.clone());
                    }
                }
                Ok(Value::Array(kept.into()))
            })
        },
    )
    .lambda(element_and_index),
];

/// The element type of an array argument.
pub(super) fn element(array: &Typed) -> Option<DataType> {
    match &array.data_type {
        DataType::Array(element) => Some(DataType::clone(element)),
        _ => None,
    }
}

/// A lambda of the element, or of the element and its index from 0.
fn element_and_index(before: &[Typed], parameters: usize) -> Option<Vec<(DataType, bool)>> {
    let element = element(before.first()?)?;
    match parameters {
        1 => Some(vec![(element, true)]),
        2 => Some(vec![(element, true), (DataType::Int, false)]),
        _ => None,
    }
}
