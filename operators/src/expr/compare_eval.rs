//! The evaluators of comparisons.

use std::cmp::Ordering;

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::Eval;
use crate::expr::compare::{compare, compare_double, equal};
use crate::expr::operand::binary;
use crate::expr::typed::{Comparison, Typed};
use crate::job_error::Location;

/// Whether an order answers a comparison with yes.
#[inline]
fn holds(comparison: Comparison, order: Ordering) -> bool {
    match comparison {
        Comparison::Equal | Comparison::NullSafeEqual => order == Ordering::Equal,
        Comparison::NotEqual => order != Ordering::Equal,
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterOrEqual => order != Ordering::Less,
    }
}

/// The evaluator of a comparison of two operands of one type.
pub(crate) fn compile(
    comparison: Comparison,
    left: &Typed,
    right: &Typed,
    at: Location,
) -> Box<dyn Eval> {
    if comparison == Comparison::NullSafeEqual {
        return binary(left, right, at, |a, b| Ok(Value::Boolean(equal(a, b))));
    }
    macro_rules! of {
        ($variant:ident, $order:expr) => {{
            macro_rules! fixed {
                ($comparison:expr) => {
                    binary(left, right, at, |a, b| match (a, b) {
                        (Value::$variant(a), Value::$variant(b)) => {
                            Ok(Value::Boolean(holds($comparison, $order(a, b))))
                        }
                        _ => Ok(Value::Null),
                    })
                };
            }
            match comparison {
                Comparison::Equal | Comparison::NullSafeEqual => fixed!(Comparison::Equal),
                Comparison::NotEqual => fixed!(Comparison::NotEqual),
                Comparison::Less => fixed!(Comparison::Less),
                Comparison::LessOrEqual => fixed!(Comparison::LessOrEqual),
                Comparison::Greater => fixed!(Comparison::Greater),
                Comparison::GreaterOrEqual => fixed!(Comparison::GreaterOrEqual),
            }
        }};
    }
    match (&left.data_type, comparison) {
        (DataType::Double, _) => of!(Double, |a: &f64, b: &f64| compare_double(*a, *b)),
        (DataType::BigInt, _) => of!(BigInt, i64::cmp),
        (DataType::Int, _) => of!(Int, i32::cmp),
        (DataType::Timestamp, _) => of!(Timestamp, i64::cmp),
        (DataType::String, Comparison::Equal) => text_equality(left, right, at, true),
        (DataType::String, Comparison::NotEqual) => text_equality(left, right, at, false),
        _ => binary(left, right, at, move |a, b| {
            Ok(if a.is_null() || b.is_null() {
                Value::Null
            } else {
                Value::Boolean(holds(comparison, compare(a, b)))
            })
        }),
    }
}

/// Text differs at its length most often, so it is not ordered first.
fn text_equality(left: &Typed, right: &Typed, at: Location, wanted: bool) -> Box<dyn Eval> {
    binary(left, right, at, move |a, b| match (a, b) {
        (Value::String(a), Value::String(b)) => {
            Ok(Value::Boolean((a.as_str() == b.as_str()) == wanted))
        }
        _ => Ok(Value::Null),
    })
}
