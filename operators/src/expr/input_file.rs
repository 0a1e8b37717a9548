//! `input_file_name()`: the address of the file that a row comes from.

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::call;
use crate::expr::check::Checker;
use crate::expr::scope::METADATA;
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};

/// The function's name.
pub(crate) const NAME: &str = "input_file_name";

/// What `_metadata.file_path` says, with the three slashes that Spark has here and not there.
///
/// # Errors
/// Where no file is read, or several are, and where it is given arguments.
pub(crate) fn name(
    checker: &mut Checker<'_>,
    given: usize,
    at: Location,
) -> Result<Typed, JobError> {
    if given > 0 {
        return Err(JobError::new(at, format!("{NAME} takes no arguments")));
    }
    let Ok(path) = checker.scope.resolve(&[METADATA, "file_path"], at) else {
        return Err(JobError::new(
            at,
            format!("{NAME}: of this row one does not know which file it comes from"),
        )
        .help("it stands in a SELECT that reads one table of files, and in GROUP BY where there are groups; a subquery may give it as a column"));
    };
    let text = |text: &str| Typed::literal(Value::from(text), DataType::String, at);
    let args = vec![path.typed, text("^file:/"), text("file:///")];
    call::with_args(checker, "regexp_replace", args, at)
}
