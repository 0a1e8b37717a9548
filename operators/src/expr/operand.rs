//! Operands read without a copy where they are columns or constants, and the evaluators of one and two of them.

use thalweg_engine::error::RecordError;
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;

use crate::expr::Eval;
use crate::expr::body::{Outcome, locate};
use crate::expr::typed::{Kind, Typed};
use crate::job_error::Location;

/// Where an operand's value comes from.
pub(crate) enum Operand {
    /// A place in the row.
    Column(usize),
    /// Always the same.
    Constant(Value),
    /// Another expression; its last value is kept so that it can be lent.
    Expression(Box<dyn Eval>, Value),
}

impl Operand {
    pub(crate) fn of(typed: &Typed) -> Self {
        match &typed.kind {
            Kind::Column { index, .. } => Self::Column(*index),
            Kind::Literal(value) => Self::Constant(value.clone()),
            _ => Self::Expression(typed.compile(), Value::Null),
        }
    }

    #[inline]
    pub(crate) fn value<'v>(
        &'v mut self,
        row: &'v [Value],
        meta: &RecordMeta,
    ) -> Result<&'v Value, RecordError> {
        match self {
            Self::Column(index) => row.get(*index).ok_or_else(missing_column),
            Self::Constant(value) => Ok(value),
            Self::Expression(eval, slot) => {
                *slot = eval.eval(row, meta)?;
                Ok(slot)
            }
        }
    }
}

#[cold]
pub(crate) fn missing_column() -> RecordError {
    RecordError::expression("the row has fewer columns than the plan says")
}

/// A function of two operands that sees NULLs; inlined into its evaluator.
pub(crate) struct Binary<F> {
    left: Operand,
    right: Operand,
    function: F,
    at: Location,
}

impl<F> Eval for Binary<F>
where
    F: FnMut(&Value, &Value) -> Outcome + Send,
{
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Outcome {
        let left = self.left.value(row, meta)?;
        let right = self.right.value(row, meta)?;
        match (self.function)(left, right) {
            Ok(value) => Ok(value),
            Err(error) => Err(locate(error, self.at)),
        }
    }
}

/// An evaluator of a function of two operands.
pub(crate) fn binary(
    left: &Typed,
    right: &Typed,
    at: Location,
    function: impl FnMut(&Value, &Value) -> Outcome + Send + 'static,
) -> Box<dyn Eval> {
    Box::new(Binary {
        left: Operand::of(left),
        right: Operand::of(right),
        function,
        at,
    })
}

struct Unary<F> {
    operand: Operand,
    function: F,
    at: Location,
}

impl<F> Eval for Unary<F>
where
    F: FnMut(&Value) -> Outcome + Send,
{
    fn eval(&mut self, row: &[Value], meta: &RecordMeta) -> Outcome {
        let value = self.operand.value(row, meta)?;
        match (self.function)(value) {
            Ok(value) => Ok(value),
            Err(error) => Err(locate(error, self.at)),
        }
    }
}

/// An evaluator of a function of one operand.
pub(crate) fn unary(
    operand: &Typed,
    at: Location,
    function: impl FnMut(&Value) -> Outcome + Send + 'static,
) -> Box<dyn Eval> {
    Box::new(Unary {
        operand: Operand::of(operand),
        function,
        at,
    })
}
