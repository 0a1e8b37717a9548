//! Functions that call lambdas on the elements of arrays.

use std::sync::Arc;

use thalweg_engine::error::RecordError;
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Any, Array, Lambda as LambdaParam};
use super::arrays::{array_of, element};
use super::forms::failed;
use super::{BindContext, Function, function};
use crate::expr::access::{array, int};
use crate::expr::body::{Lambda, Outcome};
use crate::expr::coerce::nullable;
use crate::expr::compare::compare;
use crate::expr::typed::{Kind, Typed};
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "transform",
        "transform(array, x -> expr) or transform(array, (x, i) -> expr)",
        "The array with each element replaced.",
        "transform(array(1, 2, 3), (x, i) -> x * i)",
        "[0, 2, 6]",
        |args, cx| {
            let args = cx.take(args, &[Array, LambdaParam], 2)?;
            let data_type = array_of(args[1].data_type.clone());
            higher_order(cx, data_type, args, |v, lambdas, meta| {
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
            let args = cx.take(args, &[Array, LambdaParam], 2)?;
            condition(&args[1], cx)?;
            higher_order(cx, args[0].data_type.clone(), args, |v, lambdas, meta| {
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
    function(
        "exists",
        "exists(array, x -> condition)",
        "Whether the condition is true for an element; NULL where it is for none but unknown for one.",
        "exists(array(1, 2, 3), x -> x % 2 == 0)",
        "true",
        |args, cx| quantified(args, cx, true),
    )
    .lambda(element_alone),
    function(
        "forall",
        "forall(array, x -> condition)",
        "Whether the condition is true for all elements; NULL where it is false for none but unknown for one.",
        "forall(array(1, 2, 3), x -> x % 2 == 0)",
        "false",
        |args, cx| quantified(args, cx, false),
    )
    .lambda(element_alone),
    function(
        "aggregate",
        "aggregate(array, start, (sum, x) -> expr[, sum -> expr])",
        "The elements taken into a sum one after the other, from a start of the same type; then perhaps a last step.",
        "aggregate(array(1, 2, 3), 0, (acc, x) -> acc + x, acc -> acc * 10)",
        "60",
        aggregate,
    )
    .aliases(&["reduce"])
    .lambda(aggregate_parameters),
    function(
        "zip_with",
        "zip_with(a, b, (x, y) -> expr)",
        "One array from the elements of two; NULLs stand for what the shorter one lacks.",
        "zip_with(array(1, 2, 3), array('a', 'b', 'c'), (x, y) -> (y, x))",
        "[{a, 1}, {b, 2}, {c, 3}]",
        |args, cx| {
            let args = cx.take(args, &[Array, Array, LambdaParam], 3)?;
            let data_type = array_of(args[2].data_type.clone());
            higher_order(cx, data_type, args, |v, lambdas, meta| {
                let (a, b) = (array(&v[0]), array(&v[1]));
                let at = |values: &[Value], i: usize| values.get(i).cloned().unwrap_or_default();
                (0..a.len().max(b.len()))
                    .map(|i| lambdas[0].call([at(a, i), at(b, i)], meta))
                    .collect::<Result<Arc<[Value]>, _>>()
                    .map(Value::Array)
            })
        },
    )
    .lambda(|before, parameters| {
        let types = [before.first().map(element)?, before.get(1).map(element)?];
        (parameters == 2).then(|| types.into_iter().map(|t| (t, true)).collect())
    }),
    function(
        "array_sort",
        "array_sort(array[, (a, b) -> order])",
        "The elements in ascending order, NULLs last; or in the order of a lambda that gives an INT below, of or above 0.",
        "array_sort(array('b', 'd', NULL, 'c', 'a'))",
        "[a, b, c, d, null]",
        array_sort,
    )
    .lambda(|before, parameters| {
        let element = element(before.first()?);
        (parameters == 2).then(|| vec![(element.clone(), true), (element, true)])
    }),
];

/// A node over arrays or maps that is NULL where one of them is.
pub(super) fn higher_order(
    cx: &BindContext,
    data_type: DataType,
    args: Vec<Typed>,
    call: fn(&[Value], &mut [Lambda], &RecordMeta) -> Outcome,
) -> Result<Typed, JobError> {
    let nullable = args
        .iter()
        .any(|arg| arg.nullable && !matches!(arg.kind, Kind::Lambda { .. }));
    let mut typed = cx.higher_order(data_type, args, move |v, lambdas, meta| {
        if v.iter().any(Value::is_null) {
            return Ok(Value::Null);
        }
        call(v, lambdas, meta)
    })?;
    typed.nullable &= nullable;
    Ok(typed)
}

/// Refuses a lambda that gives no BOOLEAN.
pub(super) fn condition(lambda: &Typed, cx: &BindContext) -> Result<(), JobError> {
    cx.expect_lambda(lambda)?;
    match lambda.data_type {
        DataType::Boolean | DataType::Void => Ok(()),
        _ => Err(cx.error(format!(
            "the lambda must give a BOOLEAN, it gives {}",
            lambda.data_type
        ))),
    }
}

fn element_alone(before: &[Typed], parameters: usize) -> Option<Vec<(DataType, bool)>> {
    let element = element(before.first()?);
    (parameters == 1).then(|| vec![(element, true)])
}

/// A lambda of the element, or of the element and its index from 0.
fn element_and_index(before: &[Typed], parameters: usize) -> Option<Vec<(DataType, bool)>> {
    let element = element(before.first()?);
    match parameters {
        1 => Some(vec![(element, true)]),
        2 => Some(vec![(element, true), (DataType::Int, false)]),
        _ => None,
    }
}

fn quantified(args: Vec<Typed>, cx: &BindContext, decisive: bool) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Array, LambdaParam], 2)?;
    condition(&args[1], cx)?;
    cx.higher_order(DataType::Boolean, args, move |v, lambdas, meta| {
        if v[0].is_null() {
            return Ok(Value::Null);
        }
        let mut unknown = false;
        for x in array(&v[0]) {
            match lambdas[0].call([x.clone()], meta)? {
                Value::Boolean(truth) if truth == decisive => return Ok(Value::Boolean(truth)),
                Value::Null => unknown = true,
                _ => {}
            }
        }
        Ok(if unknown {
            Value::Null
        } else {
            Value::Boolean(!decisive)
        })
    })
}

fn aggregate_parameters(before: &[Typed], parameters: usize) -> Option<Vec<(DataType, bool)>> {
    let start = nullable(&before.get(1)?.data_type);
    match (before.len(), parameters) {
        (2, 2) => Some(vec![(start, true), (element(before.first()?), true)]),
        (3, 1) => Some(vec![(start, true)]),
        _ => None,
    }
}

fn aggregate(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Array, Any, LambdaParam, LambdaParam], 3)?;
    let (start, merged) = (nullable(&args[1].data_type), nullable(&args[2].data_type));
    if start != merged && merged != DataType::Void {
        return Err(cx
            .error(format!(
                "the start is {start}, but the lambda gives {merged}"
            ))
            .help("cast the start or the lambda's value, so that both have one type"));
    }
    let data_type = args.get(3).map_or(start, |last| last.data_type.clone());
    cx.higher_order(data_type, args, |v, lambdas, meta| {
        if v[0].is_null() {
            return Ok(Value::Null);
        }
        let mut sum = v[1].clone();
        for x in array(&v[0]) {
            sum = lambdas[0].call([sum, x.clone()], meta)?;
        }
        match lambdas.get_mut(1) {
            Some(last) => last.call([sum], meta),
            None => Ok(sum),
        }
    })
}

fn array_sort(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Array, LambdaParam], 1)?;
    let data_type = args[0].data_type.clone();
    if args.len() == 1 {
        if matches!(element(&args[0]), DataType::Map(_)) {
            return Err(cx.error("MAPs have no order"));
        }
        return cx.strict(data_type, args, |v| {
            let mut sorted = array(&v[0]).to_vec();
            sorted.sort_by(|a, b| a.is_null().cmp(&b.is_null()).then_with(|| compare(a, b)));
            Ok(Value::Array(sorted.into()))
        });
    }
    if args[1].data_type != DataType::Int {
        return Err(cx.error(format!(
            "the lambda must give an INT, it gives {}",
            args[1].data_type
        )));
    }
    higher_order(cx, data_type, args, |v, lambdas, meta| {
        let elements = array(&v[0]);
        let sorted = merge_sort(elements, &mut |a, b| match lambdas[0]
            .call([a.clone(), b.clone()], meta)?
        {
            Value::Null => Err(failed("array_sort: the order of two elements is NULL")),
            order => Ok(int(&order) <= 0),
        })?;
        Ok(Value::Array(sorted.into()))
    })
}

/// A stable sort that bears an inconsistent order and an order that fails.
fn merge_sort(
    elements: &[Value],
    in_order: &mut dyn FnMut(&Value, &Value) -> Result<bool, RecordError>,
) -> Result<Vec<Value>, RecordError> {
    if elements.len() < 2 {
        return Ok(elements.to_vec());
    }
    let (left, right) = elements.split_at(elements.len() / 2);
    let (left, right) = (merge_sort(left, in_order)?, merge_sort(right, in_order)?);
    let mut merged = Vec::with_capacity(elements.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if in_order(a, b)? {
            left.next()
        } else {
            right.next()
        };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}
