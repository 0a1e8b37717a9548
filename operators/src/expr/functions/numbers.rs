//! Functions of numbers.

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::Double;
use super::{Function, function};
use crate::expr::access::double;

pub(super) const FUNCTIONS: &[Function] = &[function(
    "sqrt",
    "sqrt(x)",
    "The square root; NaN for a negative number.",
    "sqrt(4)",
    "2.0",
    |args, cx| {
        let args = cx.take(args, &[Double], 1)?;
        cx.strict(DataType::Double, args, |v| {
            Ok(Value::Double(double(&v[0]).sqrt()))
        })
    },
)];
