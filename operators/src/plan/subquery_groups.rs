//! Aggregates in a subquery that stands for one value of each row around it: `(SELECT max(v) FROM t WHERE t.id = id)`.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, UnaryOperator,
    Value, visit_expressions_mut,
};
use thalweg_engine::schema::DataType;

use crate::expr::check::check;
use crate::expr::grouped::aggregate_of;
use crate::expr::operators;
use crate::expr::scope::ScopeColumn;
use crate::expr::type_name::in_sql;
use crate::expr::typed::{Comparison, Typed};
use crate::expr::written::written;
use crate::job_error::{JobError, Location};
use crate::plan::lower::{Ctes, Lowering, Relation};
use crate::plan::subqueries::parts;
use crate::plan::subquery_values::{Taking, beside, named};
use crate::plan::tail::{Tail, ordinal};
use crate::sql::cursor::start_of;
use crate::sql::front::ParsedQuery;
use crate::transforms::Most;

/// The WHERE of a subquery that is asked of all rows around it at once.
struct Equalities {
    /// What it asks of its own rows.
    own: Option<Expr>,
    /// The expressions over these that it holds equal to values of the row around.
    keys: Vec<Expr>,
    /// These values, and whether a NULL is equal to a NULL.
    wanted: Vec<(Comparison, Typed)>,
}

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
        let Equalities { own, keys, wanted } = lowering.by_equalities(&left, right, select, at)?;
        let mut grouped = select.clone();
        let asked = grouped.projection.first_mut().and_then(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        });
        let nothing = match asked {
            Some(asked) => self
                .of_nothing(asked, (query, select), at)?
                .inspect(|_| held(asked)),
            None => None,
        };
        grouped
            .projection
            .extend(keys.iter().cloned().map(SelectItem::UnnamedExpr));
        grouped.group_by = GroupByExpr::Expressions(keys, Vec::new());
        grouped.selection = own;
        let query = with_body(query, grouped);
        let right = lowering.subquery(&query, self.parsed, self.ctes, at)?;
        let keys = right.columns.iter().enumerate().skip(1);
        let conditions = lowering.equal(&left, wanted, keys, at)?;
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
    fn of_nothing(
        &self,
        asked: &Expr,
        (query, select): (&Query, &Select),
        at: Location,
    ) -> Result<Option<Expr>, JobError> {
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
        // Of the type that the aggregate has, so that what is computed of it has a meaning.
        let typed = |part: &Expr, text: &str| {
            let alone = Select {
                projection: vec![SelectItem::UnnamedExpr(part.clone())],
                selection: None,
                ..select.clone()
            };
            let query = with_body(query, alone);
            let relation = self.lowering.subquery(&query, self.parsed, self.ctes, at)?;
            let fields = relation.node.fields();
            let data_type = fields.first().map(|field| &field.data_type);
            match data_type.filter(|data_type| **data_type != DataType::Void) {
                Some(data_type) => written(&format!("CAST({text} AS {})", in_sql(data_type)), at),
                None => written(text, at),
            }
        };
        let mut nothing = asked.clone();
        let wrong: ControlFlow<JobError> =
            visit_expressions_mut(&mut nothing, |part| {
                match empty(part).map(|text| typed(part, text)) {
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

impl Lowering<'_> {
    /// The parts of the WHERE of a subquery.
    fn by_equalities(
        &self,
        left: &Relation,
        right: &Relation,
        select: &Select,
        at: Location,
    ) -> Result<Equalities, JobError> {
        let inner = self.scope(right.columns.clone());
        let within = self.within(&left.columns, &right.columns);
        let of_outside = |expr: &Expr| {
            let typed = check(expr, &within).ok();
            typed.filter(|typed| typed.columns().iter().all(|place| *place < within.around))
        };
        let mut all = Vec::new();
        let condition = select.selection.iter();
        condition.for_each(|condition| parts(condition, &mut all));
        let (mut own, mut keys, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        for part in all {
            if check(part, &inner).is_ok() {
                own.push(part.clone());
                continue;
            }
            let sides = match part {
                Expr::BinaryOp {
                    left: a,
                    op: op @ (BinaryOperator::Eq | BinaryOperator::Spaceship),
                    right: b,
                } => {
                    let comparison = match op {
                        BinaryOperator::Eq => Comparison::Equal,
                        _ => Comparison::NullSafeEqual,
                    };
                    let sides = match (check(a, &inner), of_outside(b)) {
                        (Ok(_), Some(value)) => Some((a, value)),
                        _ => check(b, &inner)
                            .ok()
                            .and(of_outside(a))
                            .map(|value| (b, value)),
                    };
                    sides.map(|(key, value)| (key, (comparison, value)))
                }
                _ => None,
            };
            let Some((key, value)) = sides else {
                return Err(JobError::new(
                    start_of(part, at),
                    "an aggregate of the rows of another table takes equalities with the row, t.id = id or t.id <=> id",
                )
                .help("join with the table, and aggregate the result"));
            };
            // A number is a value here, no place in the list.
            keys.push(match ordinal(key) {
                Some(_) => Expr::UnaryOp {
                    op: UnaryOperator::Plus,
                    expr: Box::new(Expr::Nested(key.clone())),
                },
                None => (**key).clone(),
            });
            wanted.push(value);
        }
        let own = own.into_iter().reduce(|a, b| Expr::BinaryOp {
            left: Box::new(a),
            op: BinaryOperator::And,
            right: Box::new(b),
        });
        Ok(Equalities { own, keys, wanted })
    }

    /// The groups that an EXISTS with HAVING looks for, and the conditions that they are those of the row around.
    pub(super) fn existing_groups(
        &self,
        left: &Relation,
        select: &Select,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<(Relation, Vec<Typed>), JobError> {
        let tables = self.tables(select, parsed, ctes, at)?;
        let Equalities { own, keys, wanted } = self.by_equalities(left, &tables, select, at)?;
        let mut select = select.clone();
        select.selection = own;
        select.distinct = None;
        if let GroupByExpr::Expressions(written, _) = &mut select.group_by {
            if written.is_empty() && !keys.is_empty() {
                return Err(JobError::new(
                    at,
                    "HAVING without GROUP BY has one group, also of no rows",
                )
                .help("write GROUP BY t.id for WHERE t.id = id, or compare the aggregate: (SELECT count(*) FROM t WHERE ...) > 1"));
            }
            written.extend(keys.iter().cloned());
        }
        let count = keys.len();
        let keys = keys.into_iter().map(SelectItem::UnnamedExpr);
        select.projection.extend(keys);
        let tail = Tail::default();
        let right = self.enter(at, || self.select(&select, &tail, parsed, ctes, at))?;
        let shown: Vec<_> = (0..)
            .zip(&right.columns)
            .filter(|(_, column)| column.listed())
            .collect();
        let keys = shown.iter().skip(shown.len().saturating_sub(count));
        let conditions = self.equal(left, wanted, keys.copied(), at)?;
        Ok((right, conditions))
    }

    /// That the keys of a group are what the row around has.
    fn equal<'c>(
        &self,
        left: &Relation,
        wanted: Vec<(Comparison, Typed)>,
        keys: impl Iterator<Item = (usize, &'c ScopeColumn)>,
        at: Location,
    ) -> Result<Vec<Typed>, JobError> {
        let width = left.columns.len();
        let pairs = wanted.into_iter().zip(keys);
        let equal = pairs.map(|((comparison, wanted), (place, column))| {
            let key = Typed::column(width + place, &column.field, at);
            operators::comparison(comparison, wanted, key, self.settings(), at)
        });
        equal.collect()
    }
}

fn with_body(query: &Query, select: Select) -> Query {
    Query {
        body: Box::new(SetExpr::Select(Box::new(select))),
        ..query.clone()
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
