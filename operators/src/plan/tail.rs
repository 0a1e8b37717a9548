//! What stands behind the list of a SELECT: HAVING, DISTINCT, ORDER BY, LIMIT.

use std::ops::ControlFlow;

use smol_str::SmolStr;
use sqlparser::ast::{
    Distinct, Expr, LimitClause, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, OrderBySort,
    Query, Select, UnaryOperator, Value as Literal, visit_expressions,
};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::check::{check, check_having};
use crate::expr::grouped::has_aggregate;
use crate::expr::scope::{Bound, Scope};
use crate::expr::typed::{Kind, Typed};
use crate::job_error::{JobError, Location};
use crate::plan::lower::{Lowering, Relation, named};
use crate::plan::node::{Item, Node};
use crate::plan::order::{Dedup, Limit, Sort, SortKey};
use crate::sql::cursor::start_of;

/// ORDER BY and LIMIT of a query.
#[derive(Clone, Copy, Default)]
pub(super) struct Tail<'q> {
    order: Option<&'q OrderBy>,
    limit: Option<&'q LimitClause>,
}

impl<'q> Tail<'q> {
    pub(super) fn of(query: &'q Query) -> Self {
        Self {
            order: query.order_by.as_ref(),
            limit: query.limit_clause.as_ref(),
        }
    }

    /// The expressions that rows are ordered by.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &'q Expr> {
        self.ordered().iter().map(|one| &one.expr)
    }

    fn ordered(&self) -> &'q [OrderByExpr] {
        match self.order.map(|order| &order.kind) {
            Some(OrderByKind::Expressions(all)) => all,
            _ => &[],
        }
    }
}

/// The rows of a whole query in order.
pub(super) fn over(
    lowering: &Lowering<'_>,
    relation: Relation,
    tail: &Tail<'_>,
    at: Location,
) -> Result<Relation, JobError> {
    if tail.order.is_none() && tail.limit.is_none() {
        return Ok(relation);
    }
    let fields = relation.node.fields();
    let items = fields.iter().enumerate().map(|(place, field)| Item {
        field: field.clone(),
        typed: Typed::column(place, field, at),
        required: false,
    });
    let select = List {
        items: items.collect(),
        scope: lowering.scope(relation.columns.clone()),
        width: fields.len(),
    };
    let mut ordered = select.finish(relation.node, None, tail, at)?;
    ordered.columns = relation.columns;
    Ok(ordered)
}

/// The items of a SELECT over a row, and what they were checked against.
pub(super) struct List {
    pub(super) items: Vec<Item>,
    pub(super) scope: Scope,
    /// How many columns the row below has.
    pub(super) width: usize,
}

impl List {
    /// Everything of the SELECT from HAVING on.
    pub(super) fn finish(
        mut self,
        mut node: Node,
        select: Option<&Select>,
        tail: &Tail<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let shown = self.items.len();
        self.scope.aliases = self
            .items
            .iter()
            .enumerate()
            .map(|(place, item)| {
                let typed = Typed::column(self.width + place, &item.field, at);
                (item.field.name.clone(), typed)
            })
            .collect();
        if let Some(having) = select.and_then(|select| select.having.as_ref()) {
            let condition = self.inline(check_having(having, &self.scope)?);
            node = Node::Filter {
                below: Box::new(node),
                conditions: vec![condition],
            };
        }
        let distinct = match select.and_then(|select| select.distinct.as_ref()) {
            None | Some(Distinct::All) => None,
            Some(Distinct::Distinct) => Some((false, (0..shown).collect())),
            Some(Distinct::On(keys)) => Some((true, self.on(keys)?)),
        };
        let before = self.items.len();
        let (order, order_at) = self.order(tail, at)?;
        if distinct.is_some() && self.items.len() > before {
            return Err(JobError::new(
                order_at,
                "ORDER BY of a SELECT DISTINCT takes columns of its list only",
            ));
        }
        let part = part(tail, at)?;
        let fields: Vec<Field> = self.items[..shown]
            .iter()
            .map(|i| i.field.clone())
            .collect();
        let all = self.items.len();
        node = Node::Project {
            below: Box::new(node),
            items: self.items,
        };
        if let Some((on, keys)) = distinct {
            node = Node::Dedup {
                below: Box::new(node),
                dedup: Dedup {
                    keys,
                    on,
                    time: None,
                    delay: None,
                    ttl: None,
                },
            };
        }
        node = ordered(node, order, order_at, part);
        if all > shown {
            node = Node::pick(node, &(0..shown).collect::<Vec<_>>());
        }
        Ok(Relation {
            columns: named(&fields, None),
            node,
        })
    }

    /// An expression in which items stand for what they are.
    fn inline(&self, mut typed: Typed) -> Typed {
        typed.visit_mut(&mut |part| {
            // An item's own expression may name items before it: the visit goes on inside.
            while let Kind::Column { index, .. } = &part.kind
                && let Some(place) = index.checked_sub(self.width)
                && let Some(item) = self.items.get(place)
            {
                *part = item.typed.clone();
            }
        });
        typed
    }

    /// The place of an expression among the items; it becomes a hidden one where it is none.
    fn place(&mut self, typed: Typed, name: &Expr) -> usize {
        if let Kind::Column { index, .. } = &typed.kind {
            if let Some(place) = index.checked_sub(self.width) {
                return place;
            }
            if let Some(place) = self.items.iter().position(|i| i.column() == Some(*index)) {
                return place;
            }
        }
        self.items.push(Item {
            field: Field {
                name: SmolStr::new(name.to_string()),
                data_type: typed.data_type.clone(),
                nullable: typed.nullable,
            },
            typed,
            required: false,
        });
        self.items.len() - 1
    }

    fn on(&mut self, keys: &[Expr]) -> Result<Vec<usize>, JobError> {
        keys.iter()
            .map(|key| {
                let typed = check(key, &self.scope)?;
                Ok(self.place(typed, key))
            })
            .collect()
    }

    fn order(
        &mut self,
        tail: &Tail<'_>,
        at: Location,
    ) -> Result<(Vec<SortKey>, Location), JobError> {
        let shown = self.items.len();
        let Some(order) = tail.order else {
            return Ok((Vec::new(), at));
        };
        if let OrderByKind::All(options) = &order.kind {
            let keys = (0..shown).map(|place| key(place, options));
            return Ok((keys.collect(), at));
        }
        let mut keys = Vec::new();
        let first = tail.ordered().first();
        let order_at = first.map_or(at, |one| start_of(&one.expr, at));
        for one in tail.ordered() {
            let at = start_of(&one.expr, at);
            let place = match ordinal(&one.expr) {
                Some(number) => place_of("ORDER BY", number, shown, at)?,
                None => {
                    let typed = self.ordered_by(&one.expr)?;
                    if matches!(typed.data_type, DataType::Map(_)) {
                        return Err(JobError::new(
                            at,
                            format!(
                                "`{}` is a {}, which has no order",
                                one.expr, typed.data_type
                            ),
                        ));
                    }
                    self.place(typed, &one.expr)
                }
            };
            keys.push(key(place, &one.options));
        }
        Ok((keys, order_at))
    }

    /// An expression of ORDER BY. As in Spark a name in it is that of an item first, then that of a column; not so within
    /// aggregates, which are of columns.
    fn ordered_by(&mut self, expr: &Expr) -> Result<Typed, JobError> {
        let before = self.scope.bound.len();
        if names_alone(expr) && !has_aggregate(expr, &self.scope) {
            let items = self.scope.aliases.iter().map(|(name, typed)| Bound {
                name: name.clone(),
                typed: typed.clone(),
            });
            self.scope.bound.extend(items);
        }
        self.scope.ordering = true;
        let typed = check(expr, &self.scope);
        self.scope.ordering = false;
        self.scope.bound.truncate(before);
        typed
    }
}

/// Whether no name in an expression has a table's or a struct's before it.
fn names_alone(expr: &Expr) -> bool {
    let found = visit_expressions(expr, |part| match part {
        Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_continue()
}

/// A column with the direction that is written behind it.
pub(super) fn key(place: usize, options: &OrderByOptions) -> SortKey {
    let descending = matches!(options.sort, Some(OrderBySort::Desc));
    SortKey {
        place,
        descending,
        nulls_first: options.nulls_first.unwrap_or(!descending),
    }
}

/// The position in the list that an INT literal stands for; a literal of another type is a value.
pub(super) fn ordinal(expr: &Expr) -> Option<i32> {
    match expr {
        Expr::Nested(inner) => ordinal(inner),
        Expr::Value(value) => match &value.value {
            Literal::Number(number, false) => number.parse().ok(),
            _ => None,
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } if matches!(**expr, Expr::Value(_)) => ordinal(expr).map(i32::wrapping_neg),
        _ => None,
    }
}

/// The place of an ordinal in a list of so many items.
pub(super) fn place_of(
    clause: &str,
    number: i32,
    count: usize,
    at: Location,
) -> Result<usize, JobError> {
    let place = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
    place.filter(|place| *place < count).ok_or_else(|| {
        let message = format!(
            "{clause} position {number} is not in select list (valid range is [1, {count}])"
        );
        JobError::new(at, message)
    })
}

/// What LIMIT and OFFSET say, and where.
struct Part {
    rows: u64,
    skipped: u64,
    at: Location,
}

fn ordered(node: Node, keys: Vec<SortKey>, at: Location, part: Option<Part>) -> Node {
    let first = part
        .as_ref()
        .map(|part| part.rows.saturating_add(part.skipped));
    let sorted = !keys.is_empty();
    let node = match sorted {
        true => Node::Sort {
            below: Box::new(node),
            sort: Sort {
                keys,
                limit: first.filter(|rows| *rows < u64::MAX),
                at,
            },
        },
        false => node,
    };
    match part {
        Some(part) if !sorted || part.skipped > 0 => Node::Limit {
            below: Box::new(node),
            limit: Limit {
                rows: part.rows,
                skipped: part.skipped,
                each_trigger: false,
                at: part.at,
            },
        },
        _ => node,
    }
}

/// Which rows a LIMIT with an OFFSET lets through.
fn part(tail: &Tail<'_>, at: Location) -> Result<Option<Part>, JobError> {
    let Some(clause) = tail.limit else {
        return Ok(None);
    };
    let (limit, offset) = match clause {
        LimitClause::LimitOffset {
            limit,
            offset,
            limit_by,
        } if limit_by.is_empty() => (limit.as_ref(), offset.as_ref().map(|o| &o.value)),
        LimitClause::OffsetCommaLimit { offset, limit } => (Some(limit), Some(offset)),
        LimitClause::LimitOffset { .. } => {
            return Err(JobError::new(at, "LIMIT BY is not part of the language"));
        }
    };
    let Some(first) = offset.or(limit) else {
        return Ok(None);
    };
    Ok(Some(Part {
        rows: limit.map_or(Ok(u64::MAX), |limit| number("LIMIT", limit, at))?,
        skipped: offset.map_or(Ok(0), |offset| number("OFFSET", offset, at))?,
        at: start_of(first, at),
    }))
}

fn number(clause: &str, expr: &Expr, at: Location) -> Result<u64, JobError> {
    let typed = check(expr, &Scope::default())?;
    let rows = match typed.constant() {
        Some(Value::Int(rows)) => u64::try_from(*rows).ok(),
        Some(Value::BigInt(rows)) => u64::try_from(*rows).ok(),
        _ => None,
    };
    rows.ok_or_else(|| {
        JobError::new(
            start_of(expr, at),
            format!("{clause} takes a whole number that is not negative"),
        )
    })
}
