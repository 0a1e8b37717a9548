//! `x IN (SELECT ...)` and `EXISTS (SELECT ...)` in WHERE: joins that keep rows of the left side only.
//!
//! They stand there alone or joined with the rest by AND; whatever a join with the table is refused for, they are too.

use sqlparser::ast::{
    self, BinaryOperator, Distinct, Expr, GroupByExpr, LimitClause, Query, Select, SetExpr,
};
use thalweg_engine::counted::counted;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::check::check;
use crate::expr::grouped::has_aggregate;
use crate::expr::operators;
use crate::expr::scope::{Scope, ScopeColumn};
use crate::expr::typed::{Comparison, Op, Typed};
use crate::job_error::{JobError, Location};
use crate::plan::group_by::groups;
use crate::plan::join_from::pair;
use crate::plan::lower::{Ctes, Lowering, Relation};
use crate::plan::node::Node;
use crate::plan::over_select::has_over;
use crate::plan::select::listed;
use crate::plan::static_side::still;
use crate::plan::subquery_values::{expression, of_around};
use crate::plan::tail::Tail;
use crate::sql::cursor::start_of;
use crate::sql::front::ParsedQuery;
use crate::stateful::join::Kind;

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
                negated,
            } => {
                let among = self.asked_values(&relation, subquery, parsed, ctes, at)?;
                self.among(relation, expr, among, *negated, at)
            }
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

    /// The rows whose values are among those of the subquery, or are not.
    fn among(
        &self,
        left: Relation,
        expr: &Expr,
        among: Among,
        negated: bool,
        at: Location,
    ) -> Result<Relation, JobError> {
        let mut equalities = self.equalities(&left, expr, among.values, at)?;
        let mut conditions = among.conditions;
        if !negated {
            equalities.append(&mut conditions);
            return Ok(pair(Kind::LeftSemi, left, among.right, equalities, at));
        }
        if still(&among.right.node).is_none() {
            return Err(JobError::new(
                at,
                "NOT IN (SELECT ...) compares with the values of a static table: a NULL among them makes it true for no row at all",
            )
            .help("write NOT EXISTS (SELECT 1 FROM t WHERE t.id = ...), or LEFT ANTI JOIN"));
        }
        // Where the value is a constant there is nothing to find rows by: NULLs are looked for as of a condition.
        let width = left.columns.len();
        let found = |equality: &Typed| equality.columns().iter().any(|place| *place < width);
        let alone = conditions.is_empty() && equalities.len() == 1 && equalities.iter().all(found);
        match alone {
            true => conditions.append(&mut equalities),
            false => conditions.push(maybe(equalities, at)),
        }
        let mut relation = pair(Kind::LeftAnti, left, among.right, conditions, at);
        if let Node::Join { join, .. } = &mut relation.node {
            join.null_aware = alone;
        }
        Ok(relation)
    }

    /// That the value before IN, or each of several, is that of the subquery at its place.
    pub(super) fn equalities(
        &self,
        left: &Relation,
        wanted: &Expr,
        values: Vec<Typed>,
        at: Location,
    ) -> Result<Vec<Typed>, JobError> {
        let wanted: Vec<&Expr> = match wanted {
            Expr::Tuple(several) => several.iter().collect(),
            one => vec![one],
        };
        if values.len() != wanted.len() {
            return Err(JobError::new(
                at,
                format!(
                    "IN compares {} with the {} of the subquery",
                    counted(wanted.len(), "value"),
                    counted(values.len(), "column")
                ),
            ));
        }
        let width = left.columns.len();
        let scope = self.where_scope(left);
        let pairs = wanted.into_iter().zip(values);
        let equalities = pairs.map(|(expr, mut other)| {
            let typed = check(expr, &scope)?;
            other.remap(&|place| width + place);
            operators::comparison(Comparison::Equal, typed, other, self.settings(), at)
        });
        equalities.collect()
    }

    /// What the subquery of an IN gives. Where it is a SELECT over tables alone, its WHERE may name columns of the row around
    /// it.
    pub(super) fn asked_values(
        &self,
        left: &Relation,
        subquery: &Query,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Among, JobError> {
        let outer = self.scope(left.columns.clone());
        if let Some(select) = gathering(subquery).filter(|select| !has_over(select)) {
            let among = self.correlated(left, select, parsed, ctes, at);
            if let Some(among) = among.map_err(|error| of_around(error, &outer))? {
                return Ok(among);
            }
        }
        let right = self.subquery(subquery, parsed, ctes, at);
        let right = right.map_err(|error| of_around(error, &outer))?;
        Ok(Among {
            values: values(&right, at),
            conditions: Vec::new(),
            right,
        })
    }

    /// The same of a SELECT whose WHERE names columns of the row around it; None where it names none.
    fn correlated(
        &self,
        left: &Relation,
        select: &Select,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Option<Among>, JobError> {
        let (right, conditions) = self.asked_of(left, select, parsed, ctes, at)?;
        if conditions.is_empty() {
            return Ok(None);
        }
        let scope = self.scope(right.columns.clone());
        let mut items = select.projection.iter().filter_map(expression);
        let aggregates = select.having.is_some() || items.any(|expr| has_aggregate(expr, &scope));
        if aggregates && !is_grouped(select) {
            return Err(JobError::new(
                at,
                "an aggregate of the rows that fit the row around is one value, which IN compares as `=` does",
            )
            .help("write x = (SELECT max(v) FROM t WHERE t.id = ...), and <> for NOT IN"));
        }
        if aggregates || !by_expressions(select) {
            let (right, conditions) = self.existing_groups(left, select, parsed, ctes, at)?;
            let mut values = values(&right, at);
            // Behind them stand the keys that the conditions are of.
            values.truncate(values.len().saturating_sub(conditions.len()));
            return Ok(Some(Among {
                right,
                values,
                conditions,
            }));
        }
        if is_grouped(select) {
            // What the groups have their rows have too; whether it is of the keys is another matter.
            let select = Select {
                selection: None,
                ..select.clone()
            };
            self.enter(at, || {
                self.select(&select, &Tail::default(), parsed, ctes, at)
            })?;
        }
        let values = listed(select, &scope, at)?;
        let values = values.iter().map(|expr| check(expr, &scope));
        Ok(Some(Among {
            values: values.collect::<Result<_, _>>()?,
            right,
            conditions,
        }))
    }

    fn exists(
        &self,
        left: Relation,
        kind: Kind,
        subquery: &Query,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let (right, conditions) = self.existing(&left, subquery, parsed, ctes, at)?;
        Ok(pair(kind, left, right, conditions, at))
    }

    /// The rows that an EXISTS looks for, whatever it lists, and the conditions that name columns of the row around it.
    pub(super) fn existing(
        &self,
        left: &Relation,
        subquery: &Query,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<(Relation, Vec<Typed>), JobError> {
        let subquery = without_parentheses(subquery);
        let bare = looked_for(subquery);
        let Some(select) = plain(&bare) else {
            return Err(JobError::new(
                at,
                "the SELECT of EXISTS has a FROM, a WHERE, a GROUP BY with HAVING, and a LIMIT of 1 or more",
            )
            .help("write the rest as a view, and EXISTS (SELECT 1 FROM view WHERE ...)"));
        };
        let written = written_select(subquery).unwrap_or(select);
        if written.having.is_some() {
            return self.with(subquery, parsed, ctes, at, &|ctes| {
                self.existing_groups(left, written, parsed, ctes, at)
            });
        }
        if !is_grouped(written) && groups(select, &Tail::default(), &self.scope(Vec::new())) {
            return Err(JobError::new(
                at,
                "an aggregate without GROUP BY has a row whatever there is, so EXISTS is always true",
            )
            .help("write EXISTS (SELECT 1 FROM t WHERE ...), or compare the aggregate: (SELECT count(*) FROM t WHERE ...) > 1"));
        }
        self.with(subquery, parsed, ctes, at, &|ctes| {
            self.asked_of(left, select, parsed, ctes, at)
        })
    }

    /// The tables of a subquery, and the conditions that name columns of the row around it: a part of its WHERE is of its own
    /// tables where all names are theirs, else a condition of the join.
    pub(super) fn asked_of(
        &self,
        left: &Relation,
        select: &Select,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<(Relation, Vec<Typed>), JobError> {
        let mut right = self.tables(select, parsed, ctes, at)?;
        let mut conditions = Vec::new();
        let mut all = Vec::new();
        let condition = select.selection.as_ref();
        let condition = condition.map(|one| self.asked_by_side(one, parsed, ctes, at));
        if let Some(condition) = &condition {
            parts(condition, &mut all);
        }
        for part in all {
            if asks(part) {
                right = self.asked(right, part, parsed, ctes, at)?;
                continue;
            }
            let value;
            (right, value) = self.subquery_value(right, part, parsed, ctes, at)?;
            let part = &value;
            if let Ok(own) = check(part, &self.where_scope(&right)) {
                right.node = Node::Filter {
                    below: Box::new(right.node),
                    conditions: vec![operators::condition(own, self.settings())?],
                };
                continue;
            }
            let typed = check(part, &self.within(&left.columns, &right.columns))?;
            conditions.push(operators::condition(typed, self.settings())?);
        }
        Ok((right, conditions))
    }

    /// What a subquery may name: columns of its own tables, and where these have no such name, of the row around it.
    pub(super) fn within(&self, around: &[ScopeColumn], own: &[ScopeColumn]) -> Scope {
        Scope {
            around: around.len(),
            ..self.scope(around.iter().chain(own).cloned().collect())
        }
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

/// What the subquery of an IN gives.
pub(super) struct Among {
    pub(super) right: Relation,
    /// Over the rows of `right`.
    pub(super) values: Vec<Typed>,
    /// Over the row around the subquery, then that of `right`.
    pub(super) conditions: Vec<Typed>,
}

/// The columns that a subquery lists.
fn values(right: &Relation, at: Location) -> Vec<Typed> {
    let shown = right.columns.iter().enumerate();
    let shown = shown.filter(|(_, column)| column.listed());
    let values = shown.map(|(place, column)| Typed::column(place, &column.field, at));
    values.collect()
}

/// Whether all of these are so, or may be because one of them is NULL: none is known to be FALSE.
pub(super) fn maybe(conditions: Vec<Typed>, at: Location) -> Typed {
    let no = Typed::literal(Value::Boolean(false), DataType::Boolean, at);
    let same = Op::Compare(Comparison::NullSafeEqual);
    let known = conditions.into_iter().map(|condition| {
        let both = vec![condition, no.clone()];
        let is_false = Typed::node(same.clone(), both, DataType::Boolean, false, at);
        operators::not(is_false, at)
    });
    let mut known: Vec<Typed> = known.collect();
    match known.len() {
        1 => known.remove(0),
        _ => operators::logic(true, known, at),
    }
}

/// The query that stands in parentheses of its own.
fn without_parentheses(query: &Query) -> &Query {
    match query {
        Query {
            with: None,
            body,
            order_by: None,
            limit_clause: None,
            fetch: None,
            ..
        } => match body.as_ref() {
            SetExpr::Query(within) => without_parentheses(within),
            _ => query,
        },
        _ => query,
    }
}

/// The query of an EXISTS without what makes no row of none and none of some: ORDER BY, a LIMIT, GROUP BY and HAVING, which is
/// looked at apart, and WITH, whose tables stay.
fn looked_for(query: &Query) -> Query {
    let mut bare = query.clone();
    bare.with = None;
    bare.order_by = None;
    if let Some(LimitClause::LimitOffset {
        limit: Some(Expr::Value(limit)),
        offset: None,
        limit_by,
    }) = &bare.limit_clause
        && limit_by.is_empty()
        && let ast::Value::Number(limit, _) = &limit.value
        && limit.parse().is_ok_and(|limit: u64| limit > 0)
    {
        bare.limit_clause = None;
    }
    if let SetExpr::Select(select) = bare.body.as_mut()
        && (select.having.is_some() || is_grouped(select))
        && by_expressions(select)
    {
        select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
        select.having = None;
    }
    bare
}

fn written_select(query: &Query) -> Option<&Select> {
    match query.body.as_ref() {
        SetExpr::Select(select) => Some(select),
        _ => None,
    }
}

/// Whether a SELECT has a GROUP BY.
fn is_grouped(select: &Select) -> bool {
    !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty())
}

/// Whether a GROUP BY is of plain expressions: of no rows it makes no group.
fn by_expressions(select: &Select) -> bool {
    let plain = |key: &Expr| {
        let sets = matches!(key, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_));
        let none = matches!(key, Expr::Tuple(all) if all.is_empty());
        !sets && !none
    };
    match &select.group_by {
        GroupByExpr::Expressions(keys, with) => with.is_empty() && keys.iter().all(plain),
        GroupByExpr::All(_) => false,
    }
}

/// The SELECT of a subquery that has tables and a WHERE alone; what it lists is not asked for.
pub(super) fn plain(query: &Query) -> Option<&Select> {
    gathering(query).filter(|select| {
        let GroupByExpr::Expressions(keys, more) = &select.group_by else {
            return false;
        };
        select.having.is_none() && keys.is_empty() && more.is_empty()
    })
}

/// The SELECT of a subquery that has tables, a WHERE and groups alone.
fn gathering(query: &Query) -> Option<&Select> {
    let alone = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
    match query.body.as_ref() {
        SetExpr::Select(select)
            if alone
                && !select.from.is_empty()
                && select.lateral_views.is_empty()
                && select.qualify.is_none()
                && !matches!(select.distinct, Some(Distinct::On(_))) =>
        {
            Some(select)
        }
        _ => None,
    }
}
