//! How a command ends, and the exit codes that say so.

use thalweg_engine::error::Failure;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As it should: 0.
    Clean,
    /// Something failed after the start: 1.
    Failed,
    /// Refused before the first record was read; it was said already: 2.
    Refused,
}

/// Something that the user must mend before anything can begin. Holds no secret.
#[derive(Debug)]
pub(crate) struct Refusal {
    message: String,
    passes: bool,
}

impl Refusal {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            passes: false,
        }
    }

    /// One that another start may not meet any more, although nobody changes the job.
    pub(crate) fn passing(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            passes: true,
        }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whether it may pass by itself.
    pub(crate) fn passes(&self) -> bool {
        self.passes
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::new(failure.message)
    }
}
