//! Functions of vectors: arrays of FLOAT, as models make them of texts and pictures.

use std::sync::Arc;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Any, Number};
use super::forms::failed;
use super::{BindContext, Function, function};
use crate::expr::access::{array, double};
use crate::expr::coerce;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "vector_inner_product",
        "vector_inner_product(a, b)",
        "The inner product of two vectors; NULL where one has a NULL in it.",
        "vector_inner_product(array(1.0F, 2.0F), array(3.0F, 4.0F))",
        "11.0",
        |args, cx| {
            pair(args, cx, |a, b| {
                Some(sum(a.iter().zip(b).map(|(a, b)| a * b)))
            })
        },
    ),
    function(
        "vector_cosine_similarity",
        "vector_cosine_similarity(a, b)",
        "The cosine of the angle between two vectors; NULL where one is zero or has a NULL in it.",
        "vector_cosine_similarity(array(1.0F, 0.0F), array(1.0F, 0.0F))",
        "1.0",
        |args, cx| {
            pair(args, cx, |a, b| {
                let product = sum(a.iter().zip(b).map(|(a, b)| a * b));
                let squares = |v: &[f64]| sum(v.iter().map(|x| x * x));
                let sizes = (squares(a) * squares(b)).sqrt();
                (sizes != 0.0).then(|| product / sizes)
            })
        },
    ),
    function(
        "vector_l2_distance",
        "vector_l2_distance(a, b)",
        "The distance between two vectors; NULL where one has a NULL in it.",
        "vector_l2_distance(array(0.0F, 0.0F), array(3.0F, 4.0F))",
        "5.0",
        |args, cx| {
            pair(args, cx, |a, b| {
                let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
                Some(sum(squares).sqrt())
            })
        },
    ),
    function(
        "vector_norm",
        "vector_norm(vector[, degree])",
        "The length of a vector: of degree 2.0 (if none is given), 1.0 or float('inf').",
        "vector_norm(array(3.0F, 4.0F))",
        "5.0",
        |args, cx| {
            let args = with_degree(args, cx)?;
            cx.partial(DataType::Float, args, |v| {
                let Some(vector) = numbers(&v[0]) else {
                    return Ok(Value::Null);
                };
                Ok(float(norm(&vector, v.get(1))?))
            })
        },
    ),
    function(
        "vector_normalize",
        "vector_normalize(vector[, degree])",
        "The vector divided by its length; NULL where that is zero.",
        "vector_normalize(array(3.0F, 4.0F))",
        "[0.6, 0.8]",
        |args, cx| {
            let args = with_degree(args, cx)?;
            cx.partial(vector_type(), args, |v| {
                let Some(vector) = numbers(&v[0]) else {
                    return Ok(Value::Null);
                };
                let norm = norm(&vector, v.get(1))?;
                if norm == 0.0 && !vector.is_empty() {
                    return Ok(Value::Null);
                }
                Ok(Value::Array(
                    vector.iter().map(|x| float(x / norm)).collect(),
                ))
            })
        },
    ),
];

/// The sum, which of nothing is zero and not its negative.
fn sum(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(0.0, |sum, number| sum + number)
}

/// The type of a vector.
fn vector_type() -> DataType {
    DataType::Array(Arc::new(DataType::Float))
}

fn check(arg: &Typed, cx: &BindContext) -> Result<(), JobError> {
    if arg.data_type == vector_type() {
        return Ok(());
    }
    Err(cx.error(format!("it takes ARRAY<FLOAT>, got {}", arg.data_type)))
}

/// The elements; None where one of them is NULL.
fn numbers(vector: &Value) -> Option<Vec<f64>> {
    let elements = array(vector).iter();
    elements
        .map(|element| (!element.is_null()).then(|| double(element)))
        .collect()
}

#[allow(clippy::cast_possible_truncation)]
fn float(number: f64) -> Value {
    Value::Float(number as f32)
}

fn pair(
    args: Vec<Typed>,
    cx: &BindContext,
    call: fn(&[f64], &[f64]) -> Option<f64>,
) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Any, Any], 2)?;
    args.iter().try_for_each(|arg| check(arg, cx))?;
    cx.partial(DataType::Float, args, move |v| {
        if array(&v[0]).len() != array(&v[1]).len() {
            return Err(failed("the vectors have not the same length"));
        }
        let result = match (numbers(&v[0]), numbers(&v[1])) {
            (Some(a), Some(b)) => call(&a, &b),
            _ => None,
        };
        Ok(result.map_or(Value::Null, float))
    })
}

fn with_degree(args: Vec<Typed>, cx: &BindContext) -> Result<Vec<Typed>, JobError> {
    let mut args = cx.take(args, &[Any, Number], 1)?;
    check(&args[0], cx)?;
    if args.len() == 2 {
        let degree = args.remove(1);
        args.push(coerce::cast_implicitly(
            degree,
            &DataType::Float,
            cx.settings,
        ));
    }
    Ok(args)
}

fn norm(vector: &[f64], degree: Option<&Value>) -> Result<f64, RecordError> {
    let degree = degree.map_or(2.0, double);
    let sizes = vector.iter().map(|x| x.abs());
    if degree == 2.0 {
        Ok(sum(sizes.map(|x| x * x)).sqrt())
    } else if degree == 1.0 {
        Ok(sum(sizes))
    } else if degree == f64::INFINITY {
        Ok(sizes.fold(0.0, f64::max))
    } else {
        Err(failed("the degree is 1.0, 2.0 or float('inf')"))
    }
}
