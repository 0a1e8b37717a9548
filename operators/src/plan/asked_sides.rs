//! IN and EXISTS of a UNION that has static tables: each side is asked alone.

use std::borrow::Cow;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Query, SetExpr, SetOperator, SetQuantifier, VisitMut, VisitorMut,
    visit_expressions,
};

use crate::job_error::Location;
use crate::plan::lower::{Ctes, Lowering};
use crate::plan::node::Node;
use crate::plan::not_asked::inwards;
use crate::plan::static_side::still;
use crate::sql::front::ParsedQuery;

impl Lowering<'_> {
    /// The same condition, in which no subquery is a UNION with a static table, and NOT stands at the subqueries.
    pub(super) fn asked_by_side<'e>(
        &self,
        condition: &'e Expr,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Cow<'e, Expr> {
        let condition = inwards(condition);
        let any = visit_expressions(&*condition, |part| match asked(part) {
            Some(query) if sides(query).is_some() => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        if any.is_continue() {
            return condition;
        }
        let mut condition = condition.into_owned();
        let _: ControlFlow<()> = condition.visit(&mut BySide {
            is_static: |query: &Query| match self.subquery(query, parsed, ctes, at) {
                Ok(relation) => has_static(&relation.node),
                // It names columns of the row around it, which a join of streams could not.
                Err(_) => true,
            },
        });
        Cow::Owned(condition)
    }
}

/// Whether a side of a UNION is a static table.
fn has_static(node: &Node) -> bool {
    match node {
        Node::Union { below } => below.iter().any(has_static),
        Node::Dedup { below, .. } | Node::Project { below, .. } => has_static(below),
        other => still(other).is_some(),
    }
}

struct BySide<F> {
    is_static: F,
}

impl<F: Fn(&Query) -> bool> VisitorMut for BySide<F> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Some(query) = asked(expr) else {
            return ControlFlow::Continue(());
        };
        let Some(both) = sides(query).filter(|_| (self.is_static)(query)) else {
            return ControlFlow::Continue(());
        };
        // Not among the rows of both: not among those of either.
        let negated = match expr {
            Expr::InSubquery { negated, .. } | Expr::Exists { negated, .. } => *negated,
            _ => false,
        };
        let [left, right] = both.map(|side| with(expr.clone(), side));
        *expr = Expr::Nested(Box::new(Expr::BinaryOp {
            left: Box::new(left),
            op: match negated {
                true => BinaryOperator::And,
                false => BinaryOperator::Or,
            },
            right: Box::new(right),
        }));
        ControlFlow::Continue(())
    }
}

/// What a part of a condition asks for rows.
fn asked(part: &Expr) -> Option<&Query> {
    match part {
        Expr::InSubquery { subquery, .. } | Expr::Exists { subquery, .. } => Some(subquery),
        _ => None,
    }
}

/// The same question to another query.
fn with(mut part: Expr, query: Query) -> Expr {
    if let Expr::InSubquery { subquery, .. } | Expr::Exists { subquery, .. } = &mut part {
        **subquery = query;
    }
    part
}

/// The sides of a query that is a UNION, each as a query. Whether rows come twice is the same for IN and EXISTS.
fn sides(query: &Query) -> Option<[Query; 2]> {
    if query.order_by.is_some() || query.limit_clause.is_some() || query.fetch.is_some() {
        return None;
    }
    let SetExpr::SetOperation {
        op: SetOperator::Union,
        set_quantifier: SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None,
        left,
        right,
    } = query.body.as_ref()
    else {
        return None;
    };
    let side = |body: &SetExpr| match body {
        SetExpr::Query(inner) if query.with.is_none() => (**inner).clone(),
        body => Query {
            body: Box::new(body.clone()),
            ..query.clone()
        },
    };
    Some([side(left), side(right)])
}
