//! Why a job of a program did not run, or did not end well.

use std::fmt;

use thalweg_engine::error::Failure;

use crate::refusal::Refusal;

/// Why a job did not run, or did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Something must be mended before the first record can be read. For a mistake in the SQL it says line and column.
    Refused(String),
    /// These queries could not go on; the others have ended as they should.
    Failed(Vec<(String, Failure)>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(message) => f.write_str(message),
            Self::Failed(queries) => {
                for (index, (query, failure)) in queries.iter().enumerate() {
                    let comma = if index > 0 { "; " } else { "" };
                    write!(f, "{comma}the query {query}: {failure}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.message().to_owned())
    }
}
