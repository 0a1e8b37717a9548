//! Why a measurement could not be made, in one sentence that says whose fault it is.

use std::fmt;

/// A measurement that could not be made: the process ends with exit code 2. What a measurement *finds* (a lost record) is
/// not a failure but exit code 1.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// What every fallible step of this program gives.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// The sentence shown to the user.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Failure(text.into())
    }

    /// A file or process step that the operating system refused.
    pub(crate) fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        Failure(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
