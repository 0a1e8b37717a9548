//! Aggregates in a subquery that stands for one value of each row around it: `(SELECT max(v) FROM t WHERE t.id = id)`.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, Value,
    visit_expressions_mut,
};

use crate::expr::check::check;
use crate::expr::grouped::aggregate_of;
use crate::expr::operators;
use crate::expr::typed::{Comparison, Typed};
use crate::expr::written::written;
use crate::job_error::{JobError, Location};
use crate::plan::lower::Relation;
use crate::plan::subqueries::parts;
use crate::plan::subquery_values::{Taking, beside, named};
use crate::sql::cursor::start_of;
use crate::transforms::Most;

impl Taking<'_, '_> {
    /// An aggregate of the rows that are equal to the row around: a group for each.
    pub(super) fn grouped(
        &self,
        left: Relation,
        right: &Relation,
        query: &Query,
        select: &Select,
        at: Location,
    ) -> Result<(Relation, Expr), JobError> {
        let lowering = self.lowering;
        let inner = lowering.scope(right.columns.clone());
        let outer = lowering.scope(left.columns.clone());
        let mut all = Vec::new();
        select
            .selection
            .iter()
            .for_each(|condition| parts(condition, &mut all));
        let mut select = select.clone();
        let (mut own, mut keys, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        for part in all {
            if check(part, &inner).is_ok() {
                own.push(part.clone());
                continue;
            }
            let sides = match part {
                Expr::BinaryOp {
                    left: a,
                    op: BinaryOperator::Eq,
                    right: b,
                } => match (check(a, &inner), check(b, &outer)) {
                    (Ok(_), Ok(value)) => Some((a, value)),
                    _ => check(b, &inner)
                        .ok()
                        .and(check(a, &outer).ok())
                        .map(|value| (b, value)),
                },
                _ => None,
            };
            let Some((key, value)) = sides else {
                return Err(JobError::new(
                    start_of(part, at),
                    "an aggregate of the rows of another table takes equalities with the row: t.id = id",
                )
                .help("join with the table, and aggregate the result"));
            };
            keys.push((**key).clone());
            wanted.push(value);
        }
        let asked = select.projection.first_mut().and_then(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        });
        let nothing = match asked {
            Some(asked) => self.of_nothing(asked, at)?.inspect(|_| held(asked)),
            None => None,
        };
        select
            .projection
            .extend(keys.iter().cloned().map(SelectItem::UnnamedExpr));
        select.group_by = GroupByExpr::Expressions(keys, Vec::new());
        select.selection = own.into_iter().reduce(|a, b| Expr::BinaryOp {
            left: Box::new(a),
            op: BinaryOperator::And,
            right: Box::new(b),
        });
        let query = Query {
            body: Box::new(SetExpr::Select(Box::new(select))),
            ..query.clone()
        };
        let right = lowering.subquery(&query, self.parsed, self.ctes, at)?;
        let width = left.columns.len();
        let conditions = wanted.into_iter().enumerate().map(|(place, wanted)| {
            let place = place + 1;
            let key = Typed::column(width + place, &right.columns[place].field, at);
            operators::comparison(Comparison::Equal, wanted, key, lowering.settings(), at)
        });
        let conditions = conditions.collect::<Result<Vec<_>, _>>()?;
        let value = Typed::column(0, &right.columns[0].field, at);
        let (relation, name) = beside(left, right, value, conditions, Most::One, at)?;
        // Of no rows there is no group, but an aggregate has a value.
        let column = named(&name, at)?;
        let column = match nothing {
            None => column,
            Some(nothing) => {
                let text = format!("CASE WHEN {column} IS NULL THEN NULL ELSE {column}.value END");
                let mut choice = written(&text, at)?;
                if let Expr::Case { conditions, .. } = &mut choice {
                    conditions
                        .iter_mut()
                        .for_each(|when| when.result = nothing.clone());
                }
                choice
            }
        };
        Ok((relation, column))
    }

    /// What the expression is where there are no rows, a count 0 and a list empty; None where it is NULL like its only aggregate.
    fn of_nothing(&self, asked: &Expr, at: Location) -> Result<Option<Expr>, JobError> {
        let scope = self.lowering.scope(Vec::new());
        let empty = |part: &Expr| match part {
            Expr::Function(function) => {
                aggregate_of(function, &scope).map(|known| match known.name {
                    "count" | "count_if" | "regr_count" | "approx_count_distinct" => "bigint(0)",
                    "collect_list" | "collect_set" => "array()",
                    _ => "NULL",
                })
            }
            _ => None,
        };
        if empty(asked) == Some("NULL") {
            return Ok(None);
        }
        let mut nothing = asked.clone();
        let wrong: ControlFlow<JobError> =
            visit_expressions_mut(&mut nothing, |part| {
                match empty(part).map(|text| written(text, at)) {
                    Some(Ok(value)) => {
                        *part = value;
                        ControlFlow::Continue(())
                    }
                    Some(Err(error)) => ControlFlow::Break(error),
                    None => ControlFlow::Continue(()),
                }
            });
        match wrong {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(Some(nothing)),
        }
    }
}

/// Makes a struct of the expression, which is there where its group is.
fn held(asked: &mut Expr) {
    let value = std::mem::replace(asked, Expr::Value(Value::Null.into()));
    *asked = Expr::Struct {
        values: vec![Expr::Named {
            expr: Box::new(value),
            name: Ident::new("value"),
        }],
        fields: Vec::new(),
    };
}
