//! Expressions: checked once against the columns in scope, compiled once, evaluated for each row.
//!
//! The way of an expression: [`check`](check::check) turns the parser's tree into a [`Typed`](typed::Typed) tree in which
//! every column is a place in the row and every type is known; [`Typed::compile`](typed::Typed::compile) turns that into
//! an [`Eval`]. Functions by name stand in [`functions`].

use thalweg_engine::error::RecordError;
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;

pub mod access;
pub(crate) mod aggregated;
mod arguments;
pub mod arithmetic;
pub mod body;
pub mod calendar;
pub(crate) mod call;
pub mod cast;
pub mod check;
pub(crate) mod choice;
mod clock_cast;
pub mod coerce;
pub mod compare;
mod compare_eval;
mod compile;
pub mod decimal;
pub mod functions;
pub(crate) mod grouped;
pub(crate) mod grouping_id;
pub(crate) mod input_file;
pub mod interval;
pub(crate) mod joined;
pub(crate) mod literal;
mod matching;
pub mod number;
mod operand;
pub mod operators;
pub(crate) mod parsed;
pub(crate) mod path;
pub mod prefix;
pub mod scope;
pub(crate) mod special;
pub mod text;
mod time_arithmetic;
pub(crate) mod time_text;
pub mod type_name;
pub mod typed;
pub(crate) mod written;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

/// A compiled expression. Owned by one lane; may keep scratch space between calls.
pub trait Eval: Send {
    /// The value for one row. No parsing, no look-up by name, no avoidable allocation.
    ///
    /// # Errors
    /// When the expression has no value for this row: overflow, a bad cast, division by zero.
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Result<Value, RecordError>;
}
