//! From the parser's tree to the typed tree: names are found, types are known, casts are made visible.

use sqlparser::ast::{Expr, Spanned};

use crate::expr::scope::Scope;
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};

/// Checks an expression.
///
/// # Errors
/// For unknown or ambiguous names, wrong types, wrong numbers of arguments, and syntax that the language does not have;
/// each at its place in the job file.
pub fn check(expr: &Expr, scope: &Scope) -> Result<Typed, JobError> {
    let mut scope = scope.clone();
    Checker { scope: &mut scope }.expr(expr, Location::default())
}

struct Checker<'s> {
    scope: &'s mut Scope,
}

impl Checker<'_> {
    fn expr(&mut self, expr: &Expr, around: Location) -> Result<Typed, JobError> {
        let at = place(expr, around);
        match expr {
            Expr::Nested(inner) => self.expr(inner, at),
            Expr::Identifier(name) => self.scope.resolve(&[&name.value], at).map(|f| f.typed),
            other => Err(JobError::new(
                at,
                format!("`{other}` is not supported here"),
            )),
        }
    }
}

/// Where an expression begins; where the parser does not know, where the one around it does.
fn place(expr: &Expr, around: Location) -> Location {
    let start = expr.span().start;
    if start.line == 0 {
        return around;
    }
    Location {
        line: u32::try_from(start.line).unwrap_or(u32::MAX),
        column: u32::try_from(start.column).unwrap_or(u32::MAX),
    }
}
