//! NOT around a subquery: it is pushed inwards until it stands at the IN or EXISTS itself, as Spark does before it asks whether
//! a NULL may be among the rows.

use std::borrow::Cow;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, UnaryOperator, Value, VisitMut, VisitorMut, visit_expressions,
};

/// The same condition, in which no NOT stands further out than at the subquery that it is about.
pub(super) fn inwards(condition: &Expr) -> Cow<'_, Expr> {
    let any = visit_expressions(condition, |part| match part {
        Expr::InSubquery { .. } | Expr::Exists { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    if any.is_continue() {
        return Cow::Borrowed(condition);
    }
    let mut condition = condition.clone();
    let _: ControlFlow<()> = condition.visit(&mut Inwards);
    Cow::Owned(condition)
}

struct Inwards;

impl VisitorMut for Inwards {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some((inner, not)) = compared(expr).filter(|(inner, _)| reaches(inner)) {
            *expr = match not {
                true => negated(inner),
                false => Expr::Nested(Box::new(inner.clone())),
            };
        }
        ControlFlow::Continue(())
    }
}

/// What is held against TRUE or FALSE, and whether that is a NOT: NOT x, x = false, x <> true, x = true.
fn compared(expr: &Expr) -> Option<(&Expr, bool)> {
    let constant = |side: &Expr| match side {
        Expr::Value(value) => match value.value {
            Value::Boolean(value) => Some(value),
            _ => None,
        },
        _ => None,
    };
    match expr {
        Expr::UnaryOp {
            op: UnaryOperator::Not | UnaryOperator::BangNot,
            expr,
        } => Some((expr, true)),
        Expr::BinaryOp {
            left,
            op: op @ (BinaryOperator::Eq | BinaryOperator::NotEq),
            right,
        } => {
            let (inner, value) = match (constant(left), constant(right)) {
                (None, Some(value)) => (left, value),
                (Some(value), None) => (right, value),
                _ => return None,
            };
            Some((inner, value == (*op == BinaryOperator::NotEq)))
        }
        _ => None,
    }
}

/// Whether NOT, AND and OR alone stand between an expression and a subquery.
fn reaches(expr: &Expr) -> bool {
    match expr {
        Expr::InSubquery { .. } | Expr::Exists { .. } => true,
        Expr::Nested(inner) => reaches(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And | BinaryOperator::Or,
            right,
        } => reaches(left) || reaches(right),
        other => compared(other).is_some_and(|(inner, _)| reaches(inner)),
    }
}

/// NOT of an expression. What no subquery is reached in has it before it.
fn negated(expr: &Expr) -> Expr {
    let nested = |expr: Expr| Expr::Nested(Box::new(expr));
    match expr {
        Expr::Nested(inner) => nested(negated(inner)),
        Expr::BinaryOp {
            left,
            op: op @ (BinaryOperator::And | BinaryOperator::Or),
            right,
        } if reaches(expr) => nested(Expr::BinaryOp {
            left: Box::new(negated(left)),
            op: match op {
                BinaryOperator::And => BinaryOperator::Or,
                _ => BinaryOperator::And,
            },
            right: Box::new(negated(right)),
        }),
        Expr::InSubquery {
            expr,
            subquery,
            negated,
        } => Expr::InSubquery {
            expr: expr.clone(),
            subquery: subquery.clone(),
            negated: !negated,
        },
        Expr::Exists { subquery, negated } => Expr::Exists {
            subquery: subquery.clone(),
            negated: !negated,
        },
        other => match compared(other).filter(|(inner, _)| reaches(inner)) {
            Some((inner, true)) => nested(inner.clone()),
            Some((inner, false)) => negated(inner),
            None => Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr: Box::new(nested(other.clone())),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::written::written;
    use crate::job_error::Location;

    #[test]
    fn a_not_comes_to_stand_at_the_subquery() {
        for (text, expected) in [
            ("NOT a IN (SELECT c FROM t)", "a NOT IN (SELECT c FROM t)"),
            (
                "NOT (a NOT IN (SELECT c FROM t))",
                "(a IN (SELECT c FROM t))",
            ),
            (
                "NOT (a > 5 OR a IN (SELECT c FROM t))",
                "((NOT (a > 5) AND a NOT IN (SELECT c FROM t)))",
            ),
            (
                "(a IN (SELECT c FROM t)) = false",
                "(a NOT IN (SELECT c FROM t))",
            ),
            (
                "true <> (NOT EXISTS (SELECT c FROM t))",
                "(EXISTS (SELECT c FROM t))",
            ),
            (
                "(a IN (SELECT c FROM t)) = true",
                "((a IN (SELECT c FROM t)))",
            ),
            (
                "NOT (NOT (a IN (SELECT c FROM t)) AND b)",
                "((((a IN (SELECT c FROM t))) OR NOT (b)))",
            ),
            // Of these Spark asks IN, and negates its answer.
            (
                "NOT coalesce(a IN (SELECT c FROM t), true)",
                "NOT coalesce(a IN (SELECT c FROM t), true)",
            ),
            ("NOT (a > 5)", "NOT (a > 5)"),
        ] {
            let condition = written(text, Location::default()).unwrap();
            assert_eq!(inwards(&condition).to_string(), expected, "{text}");
        }
    }
}
