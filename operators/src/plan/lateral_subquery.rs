//! `LATERAL (SELECT a + b AS c)` in FROM: columns computed of the row before it, or of the rows of a table that it meets.

use sqlparser::ast::{Query, Select, SelectItem, SetExpr, TableFactor};

use crate::expr::check::check;
use crate::expr::operators;
use crate::expr::typed::{Kind as Expression, Typed};
use crate::job_error::{JobError, Location};
use crate::plan::group_by::groups;
use crate::plan::join_from::pair;
use crate::plan::lower::{Ctes, Lowering, Relation, named};
use crate::plan::node::{Item, Node};
use crate::plan::over_select::has_over;
use crate::plan::refuse::{refuse_clauses, refuse_select};
use crate::plan::subqueries::plain;
use crate::plan::tail::Tail;
use crate::plan::{generator, select};
use crate::sql::front::ParsedQuery;
use crate::stateful::join::Kind;

/// Whether this is one.
pub(super) fn is_lateral(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::Derived { lateral: true, .. })
}

impl Lowering<'_> {
    /// The rows with the columns of the subquery behind them; `outer` keeps those for which it has none.
    pub(super) fn lateral_subquery(
        &self,
        left: Relation,
        factor: &TableFactor,
        outer: bool,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let TableFactor::Derived {
            subquery, alias, ..
        } = factor
        else {
            return Err(JobError::new(at, "expected LATERAL (SELECT ...)"));
        };
        let first = left.columns.len();
        let mut relation = self.enter(at, || {
            refuse_clauses(subquery, at)?;
            let select = self.of_one_row(subquery, at)?;
            match select.from.is_empty() {
                true => self.computed(left, select, outer, at),
                false => self.met(left, select, outer, parsed, ctes, at),
            }
        })?;
        let added = Relation {
            node: Node::Union { below: Vec::new() },
            columns: relation.columns.split_off(first),
        };
        let added = self.alias(added, alias.as_ref(), None, None, at)?;
        relation.columns.extend(added.columns);
        Ok(relation)
    }

    /// Its SELECT, where it makes rows of each row alone.
    fn of_one_row<'q>(&self, query: &'q Query, at: Location) -> Result<&'q Select, JobError> {
        let alone =
            query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
        let select = match query.body.as_ref() {
            SetExpr::Select(select) if alone => select,
            _ => {
                return Err(JobError::new(
                    at,
                    "LATERAL takes one SELECT, without WITH, UNION, ORDER BY and LIMIT",
                ));
            }
        };
        refuse_select(select, at)?;
        let plain = select.distinct.is_none()
            && select.qualify.is_none()
            && (select.from.is_empty() || plain(query).is_some());
        if !plain || has_over(select) || groups(select, &Tail::default(), &self.scope(Vec::new())) {
            return Err(JobError::new(
                at,
                "the SELECT of a LATERAL has no DISTINCT, no QUALIFY, no aggregates and no groups",
            )
            .help("an aggregate of the rows of a static table is written in the list: SELECT id, (SELECT max(x) FROM t WHERE t.id = s.id) FROM s"));
        }
        Ok(select)
    }

    /// Columns computed of the row.
    fn computed(
        &self,
        mut left: Relation,
        select: &Select,
        outer: bool,
        at: Location,
    ) -> Result<Relation, JobError> {
        if let Some(condition) = &select.selection {
            if outer {
                return Err(JobError::new(
                    at,
                    "a LEFT JOIN with LATERAL that has a WHERE but no FROM is not supported",
                )
                .help("write CASE WHEN condition THEN value END in its list"));
            }
            let condition = check(condition, &self.where_scope(&left))?;
            left.node = Node::Filter {
                below: Box::new(left.node),
                conditions: vec![operators::condition(condition, self.settings())?],
            };
        }
        let star = |item: &SelectItem| {
            matches!(
                item,
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
            )
        };
        if select.projection.iter().any(star) {
            return Err(JobError::new(
                at,
                "`*` of a LATERAL without FROM has no columns",
            ));
        }
        let kept = left.columns.len();
        let (relation, generated) = generator::explode_item(self, left, &select.projection, at)?;
        if outer && generated.is_some() {
            return Err(JobError::new(
                at,
                "a LEFT JOIN with LATERAL (SELECT explode(...)) is not supported",
            )
            .help("write LEFT JOIN LATERAL explode(...), or explode_outer"));
        }
        let width = relation.columns.len();
        let mut scope = self.scope(relation.columns.clone());
        let items = select::list(&mut scope, width, generated, &select.projection, at)?;
        Ok(behind(relation, kept, items, 0, at))
    }

    /// Columns of the rows of a table that the row meets: a join.
    fn met(
        &self,
        left: Relation,
        select: &Select,
        outer: bool,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let (right, conditions) = self.asked_of(&left, select, parsed, ctes, at)?;
        let kept = left.columns.len();
        let kind = if outer { Kind::Left } else { Kind::Inner };
        let relation = pair(kind, left, right, conditions, at);
        // A name is a column of its own tables first. A list of these alone has their places.
        let list = |from: usize| {
            let columns = relation.columns[from..].to_vec();
            let width = columns.len();
            let mut scope = self.scope(columns);
            scope.around = kept - from;
            select::list(&mut scope, width, None, &select.projection, at)
        };
        let (items, offset) = match list(kept) {
            Ok(items) => (items, kept),
            Err(own) => match list(0) {
                Ok(items) => (items, 0),
                Err(_) => return Err(own),
            },
        };
        let column = |item: &Item| matches!(item.typed.kind, Expression::Column { .. });
        if outer && !items.iter().all(column) {
            return Err(JobError::new(
                at,
                "a LEFT JOIN with LATERAL lists columns of its table alone",
            )
            .help("compute the rest in the SELECT over it"));
        }
        Ok(behind(relation, kept, items, offset, at))
    }
}

/// The first columns of the rows, and the items behind them. These name columns from `offset` on, and each other behind
/// all of them.
fn behind(
    relation: Relation,
    kept: usize,
    mut items: Vec<Item>,
    offset: usize,
    at: Location,
) -> Relation {
    let width = relation.columns.len() - offset;
    for item in &mut items {
        item.typed.remap(&|place| match place < width {
            true => offset + place,
            false => offset + kept + place,
        });
    }
    let mut columns = relation.columns;
    columns.truncate(kept);
    let fields: Vec<_> = items.iter().map(|item| item.field.clone()).collect();
    let own = columns.iter().enumerate().map(|(place, column)| Item {
        field: column.field.clone(),
        typed: Typed::column(place, &column.field, at),
        required: false,
    });
    let items = own.chain(items).collect();
    columns.extend(named(&fields, None));
    Relation {
        node: Node::Project {
            below: Box::new(relation.node),
            items,
        },
        columns,
    }
}
