//! `||` joins texts, as in Spark. Elsewhere it is OR, and who means that is told so.

use sqlparser::ast::{BinaryOperator, Expr};

const OR: &str = "`||` joins texts: for a condition write OR";

/// Advice for an error of what compares these, or takes them for conditions: `||` stands in them outside of parentheses.
pub(crate) fn advice(of: &[&Expr]) -> Option<&'static str> {
    of.iter().any(|expr| joins(expr)).then_some(OR)
}

fn joins(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryOp {
            op: BinaryOperator::StringConcat,
            ..
        } => true,
        Expr::BinaryOp { left, right, .. } => joins(left) || joins(right),
        _ => false,
    }
}

/// Whether this is a condition that stands beside `||` in parentheses only: Spark's grammar has it nowhere else, and who writes
/// `a IS NULL || b` means OR.
pub(super) fn is_condition(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::InList { .. }
            | Expr::Between { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::RLike { .. }
    )
}

/// What is said of it.
pub(super) const CONDITION: (&str, &str) =
    ("`||` joins texts, and this is a condition", "write OR");
