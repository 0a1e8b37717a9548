//! `x IN (SELECT ...)` and `EXISTS (SELECT ...)` in WHERE: joins that keep rows of the left side only.
//!
//! They stand there alone or joined with the rest by AND; whatever a join with the table is refused for, they are too.

use sqlparser::ast::{BinaryOperator, Expr, GroupByExpr, Query, Select, SetExpr};

use crate::expr::check::check;
use crate::expr::operators;
use crate::expr::scope::Scope;
use crate::expr::typed::{Comparison, Typed};
use crate::job_error::{JobError, Location};
use crate::plan::join_from::pair;
use crate::plan::lower::{Ctes, Lowering, Relation};
use crate::plan::node::Node;
use crate::sql::cursor::start_of;
use crate::sql::front::ParsedQuery;
use crate::stateful::join::Kind;
use thalweg_engine::counted::counted;

/// The parts of a condition that AND joins.
pub(super) fn parts<'e>(condition: &'e Expr, all: &mut Vec<&'e Expr>) {
    match condition {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            parts(left, all);
            parts(right, all);
        }
        Expr::Nested(inner) => parts(inner, all),
        one => all.push(one),
    }
}

/// Whether it asks a subquery.
pub(super) fn asks(part: &Expr) -> bool {
    matches!(part, Expr::InSubquery { .. } | Expr::Exists { .. })
}

impl Lowering<'_> {
    /// The rows for which a subquery has what the part of WHERE says.
    pub(super) fn asked(
        &self,
        relation: Relation,
        part: &Expr,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let at = start_of(part, at);
        match part {
            Expr::InSubquery {
                expr,
                subquery,
                negated: false,
            } => {
                let right = self.subquery(subquery, parsed, ctes, at)?;
                self.among(relation, expr, right, at)
            }
            Expr::InSubquery { .. } => Err(JobError::new(
                at,
                "NOT IN (SELECT ...) is true for no row at all as soon as the subquery has a NULL",
            )
            .help("write NOT EXISTS (SELECT 1 FROM t WHERE t.id = ...), or LEFT ANTI JOIN")),
            Expr::Exists { subquery, negated } => {
                let kind = if *negated {
                    Kind::LeftAnti
                } else {
                    Kind::LeftSemi
                };
                self.exists(relation, kind, subquery, parsed, ctes, at)
            }
            other => Err(JobError::new(at, format!("`{other}` asks no subquery"))),
        }
    }

    fn among(
        &self,
        left: Relation,
        expr: &Expr,
        right: Relation,
        at: Location,
    ) -> Result<Relation, JobError> {
        let wanted: Vec<&Expr> = match expr {
            Expr::Tuple(several) => several.iter().collect(),
            one => vec![one],
        };
        let shown = right.columns.iter().enumerate();
        let shown: Vec<_> = shown.filter(|(_, column)| !column.metadata).collect();
        if shown.len() != wanted.len() {
            return Err(JobError::new(
                at,
                format!(
                    "IN compares {} with the {} of the subquery",
                    counted(wanted.len(), "value"),
                    counted(shown.len(), "column")
                ),
            ));
        }
        let width = left.columns.len();
        let scope = self.where_scope(&left);
        let conditions = wanted
            .into_iter()
            .zip(shown)
            .map(|(expr, (place, column))| {
                let typed = check(expr, &scope)?;
                let other = Typed::column(width + place, &column.field, at);
                operators::comparison(Comparison::Equal, typed, other, self.settings(), at)
            });
        let conditions = conditions.collect::<Result<Vec<_>, _>>()?;
        Ok(pair(Kind::LeftSemi, left, right, conditions, at))
    }

    /// The WHERE of the subquery is of its own tables where all names are theirs, else the condition of the join.
    fn exists(
        &self,
        left: Relation,
        kind: Kind,
        subquery: &Query,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let Some(select) = plain(subquery) else {
            return Err(JobError::new(
                at,
                "the SELECT of EXISTS has one FROM and a WHERE, and nothing behind it",
            )
            .help("write the rest as a view, and EXISTS (SELECT 1 FROM view WHERE ...)"));
        };
        let mut right = self.from(&select.from[0], parsed, ctes, at)?;
        let mut conditions = Vec::new();
        let mut all = Vec::new();
        if let Some(condition) = &select.selection {
            parts(condition, &mut all);
        }
        for part in all {
            if asks(part) {
                right = self.asked(right, part, parsed, ctes, at)?;
                continue;
            }
            if let Ok(own) = check(part, &self.where_scope(&right)) {
                right.node = Node::Filter {
                    below: Box::new(right.node),
                    conditions: vec![operators::condition(own, self.settings())?],
                };
                continue;
            }
            let both = left.columns.iter().chain(&right.columns);
            let typed = check(part, &self.scope(both.cloned().collect()))?;
            conditions.push(operators::condition(typed, self.settings())?);
        }
        Ok(pair(kind, left, right, conditions, at))
    }

    /// What a part of WHERE may name.
    pub(super) fn where_scope(&self, relation: &Relation) -> Scope {
        let mut scope = self.scope(relation.columns.clone());
        scope.refuse_aggregates = Some(
            "aggregates do not stand in WHERE, which chooses rows before they are grouped: write HAVING",
        );
        scope
    }
}

/// The SELECT of a subquery that has tables and a WHERE alone; what it lists is not asked for.
fn plain(query: &Query) -> Option<&Select> {
    let alone = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
    match query.body.as_ref() {
        SetExpr::Select(select)
            if alone
                && select.from.len() == 1
                && select.lateral_views.is_empty()
                && select.having.is_none()
                && matches!(&select.group_by, GroupByExpr::Expressions(keys, more) if keys.is_empty() && more.is_empty()) =>
        {
            Some(select)
        }
        _ => None,
    }
}
