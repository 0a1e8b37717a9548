//! Expressions: checked once against the columns in scope, compiled once, evaluated for each row.

use thalweg_engine::error::RecordError;
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;

/// A compiled expression. Owned by one lane; may keep scratch space between calls.
pub trait Eval: Send {
    /// The value for one row. No parsing, no look-up by name, no avoidable allocation.
    ///
    /// # Errors
    /// When the expression has no value for this row: overflow, a bad cast, division by zero.
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Result<Value, RecordError>;
}
