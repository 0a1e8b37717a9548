//! Subqueries within expressions: each becomes a column behind the row, by a join with a static table that keeps every row
//! once.

use std::borrow::Cow;
use std::ops::ControlFlow;

use smol_str::{SmolStr, format_smolstr};
use sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, Value as Literal, VisitMut, VisitorMut,
    visit_expressions, visit_expressions_mut,
};
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::check::check;
use crate::expr::grouped::{aggregate_of, has_aggregate};
use crate::expr::scope::{Access, METADATA, Scope, ScopeColumn};
use crate::expr::typed::Typed;
use crate::expr::written::written;
use crate::job_error::{JobError, Location};
use crate::plan::group_by::groups;
use crate::plan::join_from::pair;
use crate::plan::join_settle::with;
use crate::plan::lower::{Ctes, Lowering, Relation};
use crate::plan::node::Node;
use crate::plan::static_side::still;
use crate::plan::subqueries::{Among, maybe, plain};
use crate::plan::tail::Tail;
use crate::sql::cursor::start_of;
use crate::sql::front::ParsedQuery;
use crate::stateful::join::Kind;
use crate::transforms::Most;

fn is_subquery(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. }
    )
}

/// Whether an expression asks a subquery.
fn asks(expr: &Expr) -> bool {
    let found = visit_expressions(expr, |part| match is_subquery(part) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Whether the list of a SELECT, or its HAVING, asks subqueries.
fn is_asking(select: &Select) -> bool {
    let mut list = select.projection.iter().filter_map(expression);
    list.any(asks) || select.having.as_ref().is_some_and(asks)
}

/// A SELECT whose list and HAVING have NULL in the place of each subquery: what else stands in them.
pub(super) fn without_subqueries(select: &Select) -> Cow<'_, Select> {
    if !is_asking(select) {
        return Cow::Borrowed(select);
    }
    let mut select = select.clone();
    let blank = |part: &mut Expr| {
        if is_subquery(part) {
            *part = Expr::Value(Literal::Null.into());
        }
        ControlFlow::Continue(())
    };
    let _: ControlFlow<()> = visit_expressions_mut(&mut select.projection, blank);
    let _: ControlFlow<()> = visit_expressions_mut(&mut select.having, blank);
    Cow::Owned(select)
}

pub(super) fn expression(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// An item that asks is called as it is written, whatever stands there for its subqueries.
fn name_as_written(item: &mut SelectItem) {
    if let SelectItem::UnnamedExpr(expr) = item
        && asks(expr)
    {
        let alias = Ident::new(expr.to_string());
        let expr = expr.clone();
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
}

/// Sees the expressions of a SELECT itself, not those of queries within it.
struct Own<F> {
    within: usize,
    see: F,
}

impl<F: FnMut(&mut Expr)> VisitorMut for Own<F> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.within += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.within -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.within == 0 {
            (self.see)(expr);
        }
        ControlFlow::Continue(())
    }
}

impl Lowering<'_> {
    /// A SELECT in whose list and HAVING columns stand for subqueries.
    pub(super) fn subquery_values<'s>(
        &self,
        mut relation: Relation,
        select: &'s Select,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<(Relation, Cow<'s, Select>), JobError> {
        if !is_asking(select) {
            return Ok((relation, Cow::Borrowed(select)));
        }
        let mut select = select.clone();
        for item in &mut select.projection {
            name_as_written(item);
            if let SelectItem::ExprWithAlias { expr, .. } = item
                && asks(expr)
            {
                let value;
                (relation, value) = self.subquery_value(relation, expr, parsed, ctes, at)?;
                *expr = value;
            }
        }
        if let Some(having) = select.having.take() {
            let expr;
            (relation, expr) = self.subquery_value(relation, &having, parsed, ctes, at)?;
            select.having = Some(expr);
        }
        Ok((relation, Cow::Owned(select)))
    }

    /// A SELECT over groups, in whose aggregates columns stand for subqueries: these are asked of each row below the groups.
    pub(super) fn aggregated_subqueries<'s>(
        &self,
        mut relation: Relation,
        select: &'s Select,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<(Relation, Cow<'s, Select>), JobError> {
        if !is_asking(select) {
            return Ok((relation, Cow::Borrowed(select)));
        }
        let scope = self.scope(Vec::new());
        let is_aggregate = |part: &Expr| match part {
            Expr::Function(function) => aggregate_of(function, &scope).is_some() && asks(part),
            _ => false,
        };
        let mut calls = Vec::new();
        let mut replaced = select.clone();
        let mut note = Own {
            within: 0,
            see: |part: &mut Expr| {
                if is_aggregate(part) {
                    let mark = Expr::Identifier(Ident::new(format!("\u{1}call{}", calls.len())));
                    calls.push(std::mem::replace(part, mark));
                }
            },
        };
        for item in &mut replaced.projection {
            name_as_written(item);
            let _ = item.visit(&mut note);
        }
        let _ = replaced.having.visit(&mut note);
        if calls.is_empty() {
            return Ok((relation, Cow::Borrowed(select)));
        }
        let mut taken = Vec::with_capacity(calls.len());
        for call in &calls {
            let expr;
            (relation, expr) = self.subquery_value(relation, call, parsed, ctes, at)?;
            taken.push(expr);
        }
        let place = |name: &Ident| name.value.strip_prefix("\u{1}call")?.parse::<usize>().ok();
        let mut put = |part: &mut Expr| {
            if let Expr::Identifier(name) = part
                && let Some(expr) = place(name).and_then(|place| taken.get(place))
            {
                *part = expr.clone();
            }
            ControlFlow::<()>::Continue(())
        };
        let _ = visit_expressions_mut(&mut replaced.projection, &mut put);
        let _ = visit_expressions_mut(&mut replaced.having, &mut put);
        Ok((relation, Cow::Owned(replaced)))
    }

    /// An expression in which columns stand for subqueries.
    pub(super) fn subquery_value(
        &self,
        relation: Relation,
        expr: &Expr,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<(Relation, Expr), JobError> {
        let mut expr = self.asked_by_side(expr, parsed, ctes, at).into_owned();
        let mut taking = Taking {
            lowering: self,
            parsed,
            ctes,
            at,
            relation: Some(relation),
            error: None,
        };
        let _: ControlFlow<()> = expr.visit(&mut taking);
        match (taking.error, taking.relation) {
            (None, Some(relation)) => Ok((relation, expr)),
            (Some(error), _) => Err(error),
            (None, None) => Err(JobError::new(at, "the subquery has no rows around it")),
        }
    }
}

/// Takes subqueries out of an expression, from the outside.
pub(super) struct Taking<'l, 'c> {
    pub(super) lowering: &'l Lowering<'c>,
    pub(super) parsed: &'l ParsedQuery,
    pub(super) ctes: Ctes<'l>,
    at: Location,
    relation: Option<Relation>,
    error: Option<JobError>,
}

impl VisitorMut for Taking<'_, '_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::AnyOp { .. } | Expr::AllOp { .. }) {
            let at = start_of(expr, self.at);
            self.error = Some(
                JobError::new(at, "ANY and ALL of a subquery are not part of the language")
                    .help("write IN (SELECT ...) for = ANY, EXISTS (SELECT 1 FROM t WHERE ...) for others"),
            );
            return ControlFlow::Break(());
        }
        if !is_subquery(expr) {
            return ControlFlow::Continue(());
        }
        let Some(relation) = self.relation.take() else {
            return ControlFlow::Break(());
        };
        let at = start_of(expr, self.at);
        match self.column(relation, expr, at) {
            Ok((relation, column)) => {
                self.relation = Some(relation);
                *expr = column;
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl Taking<'_, '_> {
    /// The rows with one more column, and the expression over it that a subquery is.
    fn column(
        &self,
        left: Relation,
        expr: &Expr,
        at: Location,
    ) -> Result<(Relation, Expr), JobError> {
        let (lowering, parsed, ctes) = (self.lowering, self.parsed, self.ctes);
        match expr {
            Expr::Exists { subquery, negated } => {
                let (right, conditions) = lowering.existing(&left, subquery, parsed, ctes, at)?;
                let (relation, name) = beside(left, right, yes(at), conditions, Most::First, at)?;
                Ok((relation, met(&name, *negated, at)?))
            }
            Expr::InSubquery {
                expr: wanted,
                subquery,
                negated,
            } => {
                if has_aggregate(wanted, &lowering.scope(Vec::new())) {
                    return Err(JobError::new(
                        at,
                        "IN (SELECT ...) compares no aggregate of the same SELECT",
                    )
                    .help(
                        "ask of its result: SELECT .. FROM (SELECT k, count(*) AS c FROM t GROUP BY k) WHERE c IN (SELECT ...)",
                    ));
                }
                let among = lowering.asked_values(&left, subquery, parsed, ctes, at)?;
                let Among {
                    right,
                    values,
                    mut conditions,
                } = among;
                let equalities = lowering.equalities(&left, wanted, values, at)?;
                match negated {
                    true => conditions.push(maybe(equalities, at)),
                    false => conditions.extend(equalities),
                }
                let (relation, name) = beside(left, right, yes(at), conditions, Most::First, at)?;
                Ok((relation, met(&name, *negated, at)?))
            }
            Expr::Subquery(query) => self.scalar(left, query, at),
            other => Err(JobError::new(at, format!("`{other}` asks no subquery"))),
        }
    }

    /// A subquery that stands for one value: NULL where it has no row.
    fn scalar(
        &self,
        left: Relation,
        query: &Query,
        at: Location,
    ) -> Result<(Relation, Expr), JobError> {
        let (lowering, parsed, ctes) = (self.lowering, self.parsed, self.ctes);
        if let Some(select) = plain(query)
            && let [item] = select.projection.as_slice()
            && let Some(item) = expression(item)
        {
            let (right, conditions) = lowering.asked_of(&left, select, parsed, ctes, at)?;
            if !conditions.is_empty() {
                if groups(select, &Tail::default(), &lowering.scope(Vec::new())) {
                    return self.grouped(left, &right, query, select, at);
                }
                if select.distinct.is_some() {
                    return Err(JobError::new(
                        at,
                        "DISTINCT stands in no subquery that names the row around it",
                    )
                    .help("write max(x) where all values are the same"));
                }
                let value = check(item, &lowering.scope(right.columns.clone()))?;
                let (relation, name) = beside(left, right, value, conditions, Most::One, at)?;
                return Ok((relation, named(&name, at)?));
            }
        }
        let outer = lowering.scope(left.columns.clone());
        let right = lowering
            .subquery(query, parsed, ctes, at)
            .map_err(|error| of_around(error, &outer))?;
        let mut shown = right.columns.iter().enumerate().filter(|(_, c)| c.listed());
        let (Some((place, column)), None) = (shown.next(), shown.next()) else {
            return Err(JobError::new(
                at,
                "a subquery within an expression has one column",
            ));
        };
        let value = Typed::column(place, &column.field, at);
        let (relation, name) = beside(left, right, value, Vec::new(), Most::One, at)?;
        Ok((relation, named(&name, at)?))
    }
}

/// The error, or a better one where it is about a column of the row around the subquery.
pub(super) fn of_around(error: JobError, outer: &Scope) -> JobError {
    let name = error.message.strip_prefix("unknown column `");
    let name = name.and_then(|rest| rest.strip_suffix('`'));
    match name {
        Some(name) if outer.resolve(&name.split('.').collect::<Vec<_>>(), error.at).is_ok() => {
            JobError::new(
                error.at,
                format!("`{name}` is of the row around, which a subquery may name in its WHERE: not in one that stands within another, nor beside ORDER BY and LIMIT"),
            )
            .help("write max(x) or max_by(x, y) for ORDER BY and LIMIT, and what HAVING asks around the subquery")
        }
        _ => error,
    }
}

fn yes(at: Location) -> Typed {
    Typed::literal(Value::Boolean(true), DataType::Boolean, at)
}

/// Each row of the left side once, with a value of the right side's row that it meets behind it, or NULL; the name of that
/// column, which is hidden.
pub(super) fn beside(
    left: Relation,
    right: Relation,
    value: Typed,
    conditions: Vec<Typed>,
    most: Most,
    at: Location,
) -> Result<(Relation, SmolStr), JobError> {
    if still(&right.node).is_none() {
        return Err(JobError::new(at, "a subquery within an expression asks a static table")
            .help("declare it with the option static 'true'; a stream is asked by a join, or by IN and EXISTS that stand in WHERE alone or beside the rest with AND"));
    }
    let name = format_smolstr!("\u{1}subquery{}", left.columns.len());
    let (width, shown) = (left.columns.len(), right.columns.len());
    let mut right = Relation {
        node: with(right.node, vec![value]),
        columns: right.columns,
    };
    let added = right.node.fields().pop();
    right.columns.extend(added.map(|field| ScopeColumn {
        qualifier: None,
        field,
        access: Access::Metadata,
    }));
    let mut relation = pair(Kind::Left, left, right, conditions, at);
    if let Node::Join { join, .. } = &mut relation.node {
        join.most = most;
    }
    for (place, column) in relation.columns.iter_mut().enumerate().skip(width) {
        column.qualifier = None;
        column.access = Access::Metadata;
        column.field.name = match place == width + shown {
            true => name.clone(),
            false => format_smolstr!("\u{1}beside{place}"),
        };
    }
    Ok((relation, name))
}

/// The hidden column of this name.
pub(super) fn named(name: &str, at: Location) -> Result<Expr, JobError> {
    written(&format!("{METADATA}.`{name}`"), at)
}

/// Whether a row was met, or was not.
fn met(name: &str, negated: bool, at: Location) -> Result<Expr, JobError> {
    let not = if negated { "" } else { "NOT " };
    written(&format!("({METADATA}.`{name}` IS {not}NULL)"), at)
}
