//! The declared columns of a table whose records' values are decoded by a `format`.

use thalweg_engine::schema::{DataType, Field};

use crate::job_error::JobError;
use crate::table::Table;

/// The columns that the values of a table's records are decoded into; None where it has neither columns nor `format`.
///
/// # Errors
/// When it has one of the two and needs the other.
pub(crate) fn columns(table: &Table) -> Result<Option<Vec<Field>>, JobError> {
    let name = &table.name;
    match (&table.columns, table.options.entry("format")) {
        (Some(columns), Some(_)) => Ok(Some(columns.clone())),
        (Some(_), None) => Err(JobError::new(
            table.at,
            format!(
                "table `{name}` declares columns but not how a value becomes them: add the option format, for example format 'json'"
            ),
        )),
        (None, Some(format)) if format.value.eq_ignore_ascii_case("text") => {
            Ok(Some(vec![Field::nullable("value", DataType::String)]))
        }
        (None, Some(format)) => Err(JobError::new(
            format.at,
            format!(
                "option `format` of table `{name}` needs declared columns: CREATE TABLE {name} (name TYPE, ...)"
            ),
        )),
        (None, None) => Ok(None),
    }
}
