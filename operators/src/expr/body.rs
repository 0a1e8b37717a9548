//! What a function does with its arguments: the forms a function's evaluation may take.

use std::fmt;
use std::sync::Arc;

use thalweg_engine::error::RecordError;
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;

use crate::expr::Eval;
use crate::job_error::Location;

/// The outcome of an evaluation.
pub type Outcome = Result<Value, RecordError>;
/// A function of its arguments alone.
pub type PureFn = Arc<dyn Fn(&[Value]) -> Outcome + Send + Sync>;
/// A function that keeps scratch space or state between rows.
pub type ScratchFn = Box<dyn FnMut(&[Value]) -> Outcome + Send>;
/// A function that calls lambdas.
pub type LambdaFn = Arc<dyn Fn(&[Value], &mut [Lambda], &RecordMeta) -> Outcome + Send + Sync>;
/// A function that decides itself which arguments are evaluated.
pub type LazyFn = Arc<dyn Fn(Vec<Box<dyn Eval>>) -> Box<dyn Eval> + Send + Sync>;

/// Makes a value of a text.
pub type ParseFn = Box<dyn FnMut(&str) -> Outcome + Send>;
/// Makes some fields of a STRUCT of a text; whether the STRUCT is there, or NULL.
pub type FieldsFn = Box<dyn FnMut(&str, &mut [Value]) -> Result<bool, RecordError> + Send>;

/// A function that takes a text apart, and can do so for some fields of its STRUCT alone.
pub trait Parse: Send + Sync {
    /// What makes two of them the same function: its type and options.
    fn key(&self) -> &str;

    /// Makes the function, with its own scratch space.
    fn whole(&self) -> ParseFn;

    /// Makes the function of the fields at these places; None where their values, or whether there is an error, would not
    /// be those of the whole.
    fn some(&self, places: &[usize]) -> Option<FieldsFn>;
}

/// How a function is evaluated.
#[derive(Clone)]
pub enum Body {
    /// By its arguments alone.
    Pure {
        /// The function.
        call: PureFn,
        /// Whether it sees NULL arguments; else one NULL argument makes the result NULL without a call.
        nulls: bool,
    },
    /// With scratch space: each compiled expression makes its own.
    Scratch {
        /// Makes the function.
        make: Arc<dyn Fn() -> ScratchFn + Send + Sync>,
        /// Whether it sees NULL arguments.
        nulls: bool,
    },
    /// With lambdas: gets the other arguments' values (NULLs too) and the lambdas, each in their order.
    HigherOrder(LambdaFn),
    /// With its arguments unevaluated.
    Lazy(LazyFn),
    /// The field of a STRUCT at this place.
    Field(usize),
    /// What a text says, of which some fields may do.
    Parse(Arc<dyn Parse>),
}

impl Body {
    /// Whether it certainly does the same with equal arguments as another one.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pure { call: a, .. }, Self::Pure { call: b, .. }) => Arc::ptr_eq(a, b),
            (Self::Scratch { make: a, .. }, Self::Scratch { make: b, .. }) => Arc::ptr_eq(a, b),
            (Self::HigherOrder(a), Self::HigherOrder(b)) => Arc::ptr_eq(a, b),
            (Self::Lazy(a), Self::Lazy(b)) => Arc::ptr_eq(a, b),
            (Self::Field(a), Self::Field(b)) => a == b,
            (Self::Parse(a), Self::Parse(b)) => a.key() == b.key(),
            _ => false,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pure { .. } => "Pure",
            Self::Scratch { .. } => "Scratch",
            Self::HigherOrder(_) => "HigherOrder",
            Self::Lazy(_) => "Lazy",
            Self::Field(_) => "Field",
            Self::Parse(_) => "Parse",
        })
    }
}

/// A compiled lambda. Its body sees the columns it captured, then its parameters.
pub struct Lambda {
    /// Places in the outer row.
    pub(crate) captured: Vec<usize>,
    /// The captured columns, then the parameters.
    pub(crate) row: Vec<Value>,
    pub(crate) body: Box<dyn Eval>,
}

impl Lambda {
    /// Takes over what the body uses of the outer row; once per row, before the calls.
    pub(crate) fn enter(&mut self, row: &[Value]) {
        for (slot, place) in self.row.iter_mut().zip(&self.captured) {
            *slot = row.get(*place).cloned().unwrap_or_default();
        }
    }

    /// How many parameters it has.
    pub fn parameters(&self) -> usize {
        self.row.len() - self.captured.len()
    }

    /// Its value for these parameters; parameters beyond its own are ignored.
    ///
    /// # Errors
    /// Those of its body.
    pub fn call<const N: usize>(&mut self, parameters: [Value; N], meta: &RecordMeta) -> Outcome {
        let first = self.captured.len();
        for (slot, value) in self.row[first..].iter_mut().zip(parameters) {
            *slot = value;
        }
        self.body.eval(&self.row, meta)
    }
}

/// Adds the place in the job file to an error, which then says which expression of the job failed.
#[cold]
pub(crate) fn locate(mut error: RecordError, at: Location) -> RecordError {
    if at.line > 0 {
        error.reason = format!("{} (at {}:{})", error.reason, at.line, at.column).into();
    }
    error
}
