//! Expressions that the language itself writes, as the text that a user would have written.

use sqlparser::ast::Expr;
use sqlparser::parser::Parser;

use crate::job_error::{JobError, Location};
use crate::sql::dialect::JobDialect;

/// The tree of an expression's text, which stands for something at `at`.
///
/// # Errors
/// When it is no expression.
pub(crate) fn written(text: &str, at: Location) -> Result<Expr, JobError> {
    Parser::new(&JobDialect)
        .try_with_sql(text)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|error| JobError::new(at, error.to_string()))
}
