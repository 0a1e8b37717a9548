//! Joins in FROM: JOIN with ON or USING, and tables after a comma.

use smol_str::SmolStr;
use sqlparser::ast::{Join as Joined, JoinConstraint, JoinOperator};
use thalweg_engine::schema::Field;

use crate::expr::check::check;
use crate::expr::operators;
use crate::expr::scope::{Access, ScopeColumn};
use crate::expr::typed::{Comparison, Typed};
use crate::expr::written::written;
use crate::job_error::{JobError, Location};
use crate::plan::join::Join;
use crate::plan::lateral_subquery::is_lateral;
use crate::plan::lower::{Ctes, Lowering, Relation};
use crate::plan::node::{Item, Node};
use crate::plan::{generator, lateral};
use crate::sql::cursor::start_of;
use crate::sql::front::ParsedQuery;
use crate::stateful::join::Kind;
use crate::transforms::Most;

impl Lowering<'_> {
    /// One more table, joined with those before it.
    pub(super) fn join(
        &self,
        left: Relation,
        join: &Joined,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let at = start_of(&join.relation, at);
        if lateral::view(&join.relation, false).is_some() {
            let outer = lateral::keeps(&join.join_operator, at)?;
            if let Some(view) = lateral::view(&join.relation, outer) {
                return generator::lateral_view(self, left, &view, at);
            }
        }
        if is_lateral(&join.relation) {
            if let Some(condition) = lateral::asked(&join.join_operator) {
                let relation =
                    self.lateral_subquery(left, &join.relation, false, parsed, ctes, at)?;
                let typed = check(condition, &self.scope(relation.columns.clone()))?;
                let conditions = vec![operators::condition(typed, self.settings())?];
                let below = Box::new(relation.node);
                return Ok(Relation {
                    node: Node::Filter { below, conditions },
                    columns: relation.columns,
                });
            }
            let outer = lateral::keeps(&join.join_operator, at)?;
            return self.lateral_subquery(left, &join.relation, outer, parsed, ctes, at);
        }
        let (kind, constraint) = kind_of(&join.join_operator, at)?;
        let right = self.factor(&join.relation, parsed, ctes, at)?;
        match constraint {
            JoinConstraint::None => Ok(pair(kind, left, right, Vec::new(), at)),
            JoinConstraint::On(condition) => {
                let columns = left.columns.iter().chain(&right.columns);
                let scope = self.scope(columns.cloned().collect());
                let typed = check(condition, &scope)?;
                let typed = operators::condition(typed, self.settings())?;
                Ok(pair(kind, left, right, vec![typed], at))
            }
            JoinConstraint::Using(names) => {
                let names = names.iter().map(|name| name.to_string());
                let names: Vec<_> = names.map(|name| name.trim_matches('`').into()).collect();
                self.using(kind, left, right, &names, at)
            }
            JoinConstraint::Natural => {
                let names = shared_names(&left, &right);
                self.using(kind, left, right, &names, at)
            }
        }
    }

    /// The pairs of two tables; WHERE says which.
    pub(super) fn comma(&self, left: Relation, right: Relation, at: Location) -> Relation {
        pair(Kind::Inner, left, right, Vec::new(), at)
    }

    /// USING: equal columns of one name are one column, and come first. Those that it is made of are still there behind their
    /// tables' names: of an outer join they say which side has a row.
    fn using(
        &self,
        kind: Kind,
        left: Relation,
        right: Relation,
        names: &[SmolStr],
        at: Location,
    ) -> Result<Relation, JobError> {
        let width = left.columns.len();
        let mut conditions = Vec::new();
        let mut shared = Vec::new();
        for name in names {
            let first = named(&left.columns, name, at)?;
            let second = named(&right.columns, name, at)?;
            let column = |place: usize, columns: &[ScopeColumn], offset: usize| {
                Typed::column(offset + place, &columns[place].field, at)
            };
            conditions.push(operators::comparison(
                Comparison::Equal,
                column(first, &left.columns, 0),
                column(second, &right.columns, width),
                self.settings(),
                at,
            )?);
            shared.push((first, second));
        }
        let mut relation = pair(kind, left, right, conditions, at);
        if kind.left_only() {
            return Ok(relation);
        }
        let mut items = Vec::new();
        let mut columns = Vec::new();
        for (first, second) in &shared {
            let second = width + second;
            let (typed, qualifier) = match kind {
                Kind::Full => (self.either(&relation, *first, second, at)?, None),
                Kind::Right => (
                    Typed::column(second, &relation.columns[second].field, at),
                    relation.columns[second].qualifier.clone(),
                ),
                _ => (
                    Typed::column(*first, &relation.columns[*first].field, at),
                    relation.columns[*first].qualifier.clone(),
                ),
            };
            let field = Field {
                name: relation.columns[*first].field.name.clone(),
                data_type: typed.data_type.clone(),
                nullable: typed.nullable,
            };
            columns.push(ScopeColumn {
                qualifier,
                field: field.clone(),
                access: Access::Listed,
            });
            items.push(Item {
                field,
                typed,
                required: false,
            });
        }
        let all = relation.columns.iter().enumerate();
        let merged = |place: usize| {
            let mut shared = shared.iter();
            shared.any(|(a, b)| place == *a || place == width + b)
        };
        let (hidden, rest): (Vec<_>, Vec<_>) = all.partition(|(place, _)| merged(*place));
        // One of them is the shared column itself, but where either side may be missing.
        let hidden = hidden.into_iter().filter(|(place, _)| match kind {
            Kind::Full => true,
            Kind::Right => *place < width,
            _ => *place >= width,
        });
        let hidden = hidden.map(|(place, column)| {
            let access = Access::Qualified;
            (
                place,
                ScopeColumn {
                    access,
                    ..column.clone()
                },
            )
        });
        let rest = rest
            .into_iter()
            .map(|(place, column)| (place, column.clone()));
        for (place, column) in rest.chain(hidden) {
            items.push(Item {
                field: column.field.clone(),
                typed: Typed::column(place, &column.field, at),
                required: false,
            });
            columns.push(column);
        }
        relation.columns = columns;
        relation.node = Node::Project {
            below: Box::new(relation.node),
            items,
        };
        Ok(relation)
    }

    /// The column of either side, whichever has a row.
    fn either(
        &self,
        relation: &Relation,
        first: usize,
        second: usize,
        at: Location,
    ) -> Result<Typed, JobError> {
        let column = |name: &str, place: usize| ScopeColumn {
            qualifier: None,
            field: Field::nullable(name, relation.columns[place].field.data_type.clone()),
            access: Access::Listed,
        };
        let scope = self.scope(vec![column("l", first), column("r", second)]);
        let mut typed = check(&written("coalesce(l, r)", at)?, &scope)?;
        typed.remap(&|place| [first, second][place]);
        Ok(typed)
    }
}

/// The names of the columns that both sides have, in the order of the left one.
fn shared_names(left: &Relation, right: &Relation) -> Vec<SmolStr> {
    let names = |side: &Relation| -> Vec<SmolStr> {
        let shown = side.columns.iter().filter(|column| column.listed());
        shown.map(|column| column.field.name.clone()).collect()
    };
    let others = names(right);
    let mut all = names(left);
    all.retain(|name| others.iter().any(|other| other.eq_ignore_ascii_case(name)));
    all
}

/// The place of the one column of this name.
fn named(columns: &[ScopeColumn], name: &str, at: Location) -> Result<usize, JobError> {
    let mut found = columns
        .iter()
        .enumerate()
        .filter(|(_, c)| c.listed() && c.field.name.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some((place, _)), None) => Ok(place),
        (None, _) => Err(JobError::new(
            at,
            format!("USING names `{name}`, which is no column of both sides"),
        )
        .nearest(name, columns.iter().map(|c| c.field.name.as_str()))),
        (Some(_), Some(_)) => Err(JobError::new(
            at,
            format!("USING names `{name}`, of which one side has several"),
        )
        .help("write ON a.x = b.x")),
    }
}

/// Two relations as one.
pub(super) fn pair(
    kind: Kind,
    left: Relation,
    right: Relation,
    conditions: Vec<Typed>,
    at: Location,
) -> Relation {
    let with = called(&right);
    let node = Node::Join {
        below: Box::new([left.node, right.node]),
        join: Box::new(Join {
            kind,
            conditions,
            keys: [Vec::new(), Vec::new()],
            bounds: [None, None],
            deleted: None,
            tables: false,
            null_aware: false,
            most: Most::All,
            with,
            ttl: None,
            at,
        }),
    };
    let mut columns = left.columns;
    if !kind.left_only() {
        columns.extend(right.columns);
    }
    for (column, field) in columns.iter_mut().zip(node.fields()) {
        column.field.nullable = field.nullable;
    }
    Relation { node, columns }
}

/// What a side is called in the name of the step: its table, or what the query calls it.
fn called(side: &Relation) -> SmolStr {
    let mut node = &side.node;
    loop {
        match node {
            Node::Source { input, .. } => return SmolStr::new(&input.table.name),
            Node::Union { .. } | Node::Join { .. } | Node::Fork { .. } | Node::Hole { .. } => break,
            other => match other.below().next() {
                Some(below) => node = below,
                None => break,
            },
        }
    }
    let mut columns = side.columns.iter();
    columns
        .find_map(|column| column.qualifier.clone())
        .unwrap_or_else(|| SmolStr::new_static("subquery"))
}

fn kind_of(operator: &JoinOperator, at: Location) -> Result<(Kind, &JoinConstraint), JobError> {
    Ok(match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::CrossJoin(constraint) => (Kind::Inner, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
            (Kind::Left, constraint)
        }
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            (Kind::Right, constraint)
        }
        JoinOperator::FullOuter(constraint) => (Kind::Full, constraint),
        JoinOperator::LeftSemi(constraint) | JoinOperator::Semi(constraint) => {
            (Kind::LeftSemi, constraint)
        }
        JoinOperator::LeftAnti(constraint) | JoinOperator::Anti(constraint) => {
            (Kind::LeftAnti, constraint)
        }
        _ => {
            return Err(JobError::new(at, "this kind of join is not part of the language").help(
                "write JOIN, LEFT JOIN, RIGHT JOIN, FULL JOIN, LEFT SEMI JOIN or LEFT ANTI JOIN",
            ));
        }
    })
}
