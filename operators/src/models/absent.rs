//! What stands in the place of the ONNX runtime in a binary that is built without it: a refusal.

use std::convert::Infallible;

use thalweg_engine::row::Value;

use super::signature::Signature;

const WHY: &str = "this build lacks the feature `onnx`: cargo build --release --features onnx";

/// Never.
///
/// # Errors
/// Always.
pub(crate) fn ready() -> Result<(), String> {
    Err(WHY.to_owned())
}

/// Nothing: there is none without the runtime.
pub(crate) struct Scorer(Infallible);

impl Scorer {
    /// Never.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn new(_: &[u8], _: &Signature) -> Result<Self, String> {
        Err(WHY.to_owned())
    }

    /// Never called.
    pub(crate) fn set(&mut self, _: usize, _: &Value) -> Result<(), &'static str> {
        match self.0 {}
    }

    /// Never called.
    pub(crate) fn score(&mut self) -> Result<f64, String> {
        match self.0 {}
    }

    /// Never called.
    pub(crate) fn all(&mut self, _: &[bool]) -> Result<Vec<Value>, String> {
        match self.0 {}
    }
}
