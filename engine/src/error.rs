//! The two errors of the engine: one is of a record, the other of a run. Each says whose fault it is and what helps.

use std::fmt;

/// What a bad record failed at; the label `reason` of the error counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The bytes are not what the format says.
    Decode,
    /// An expression could not be evaluated: overflow, bad cast, division by zero.
    Expression,
    /// The sink cannot take the row: too large, or it cannot be encoded.
    Write,
    /// The log that the record comes from is not whole. The run ends, whatever `onError` says.
    Broken,
}

impl ErrorClass {
    /// The name in headers, metrics and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Expression => "expression",
            Self::Write => "write",
            Self::Broken => "broken",
        }
    }
}

/// The error of one record: deterministic, so repeating it does not help. The job's `onError` decides.
///
/// `reason` never holds content of the record, so it may be logged; `content` does, and is shown only when the job
/// says `showRecords = on`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// What failed.
    pub class: ErrorClass,
    /// Why, in a sentence without content of the record.
    pub reason: Box<str>,
    /// The offending content, if it helps.
    pub content: Option<Box<str>>,
}

impl RecordError {
    /// An error of the record's bytes.
    pub fn decode(reason: impl Into<Box<str>>) -> Self {
        Self::new(ErrorClass::Decode, reason)
    }

    /// An error of an expression over the record.
    pub fn expression(reason: impl Into<Box<str>>) -> Self {
        Self::new(ErrorClass::Expression, reason)
    }

    /// An error of handing the record's output to the sink.
    pub fn write(reason: impl Into<Box<str>>) -> Self {
        Self::new(ErrorClass::Write, reason)
    }

    /// What comes before the record is missing, or the record is not what stands in such a log.
    pub fn broken(reason: impl Into<Box<str>>) -> Self {
        Self::new(ErrorClass::Broken, reason)
    }

    fn new(class: ErrorClass, reason: impl Into<Box<str>>) -> Self {
        Self {
            class,
            reason: reason.into(),
            content: None,
        }
    }

    /// The same error with the content it is about.
    #[must_use]
    pub fn with_content(mut self, content: impl Into<Box<str>>) -> Self {
        self.content = Some(content.into());
        self
    }
}

impl fmt::Display for RecordError {
    /// The reason, without content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for RecordError {}

/// What may be done about a failed run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Refused before the first record was read: the job, an option, the command line or the checkpoint must change.
    Refuse,
    /// A new run from the newest checkpoint may heal it.
    Restart,
    /// Repeating does not help: the query ends.
    End,
}

/// The failure of a run: what happened, whose fault it is and what to do, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What may be done.
    pub remedy: Remedy,
    /// For the user. Never holds a secret or content of a record.
    pub message: String,
}

impl Failure {
    /// Something that must be mended before a start.
    pub fn refuse(message: impl Into<String>) -> Self {
        Self {
            remedy: Remedy::Refuse,
            message: message.into(),
        }
    }

    /// Something that a new run may heal.
    pub fn restart(message: impl Into<String>) -> Self {
        Self {
            remedy: Remedy::Restart,
            message: message.into(),
        }
    }

    /// Something that ends the query.
    pub fn end(message: impl Into<String>) -> Self {
        Self {
            remedy: Remedy::End,
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
