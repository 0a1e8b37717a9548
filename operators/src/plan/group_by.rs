//! GROUP BY: its keys and aggregates become columns of the row below, and places in the row above.

use std::cell::RefCell;
use std::rc::Rc;

use smol_str::{SmolStr, format_smolstr};
use sqlparser::ast::{Expr, GroupByExpr, Select, SelectItem};
use thalweg_engine::schema::Field;

use crate::expr::check::check;
use crate::expr::grouped::{Aggregation, Grouped, SharedGrouped, has_aggregate, normal};
use crate::expr::grouping_id::GroupingId;
use crate::expr::scope::{Access, Scope, ScopeColumn};
use crate::expr::typed::{Kind, Typed};
use crate::job_error::{JobError, Location};
use crate::plan::group::Group;
use crate::plan::grouping_sets::{Expanded, Sets};
use crate::plan::lower::{Ctes, Lowering, Relation};
use crate::plan::names;
use crate::plan::node::{Item, Node};
use crate::plan::select;
use crate::plan::subquery_values::without_subqueries;
use crate::plan::tail::{List, Tail, ordinal, place_of};
use crate::plan::window::{self, Cut, WindowKey};
use crate::sql::cursor::start_of;
use crate::sql::front::ParsedQuery;
use crate::stateful::grouping::{Aggregate, Emits, Grouping, Over, Shape, Window};

/// Whether a SELECT makes groups.
pub(super) fn groups(select: &Select, tail: &Tail<'_>, scope: &Scope) -> bool {
    let clause = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(list, with) => !list.is_empty() || !with.is_empty(),
    };
    let aggregate = |expr: &Expr| has_aggregate(expr, scope);
    clause
        || select.having.is_some()
        || items(select).any(|(expr, _)| aggregate(expr))
        || tail.expressions().any(aggregate)
}

/// The expressions of a SELECT list with their aliases.
fn items(select: &Select) -> impl Iterator<Item = (&Expr, Option<&str>)> {
    select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) => Some((expr, None)),
        SelectItem::ExprWithAlias { expr, alias } => Some((expr, Some(alias.value.as_str()))),
        _ => None,
    })
}

/// One key as it is grouped by.
struct Key {
    name: SmolStr,
    /// What it is, so that two that are the same are equal.
    form: Option<Expr>,
    /// The same; None for a plain column, which is found by its name.
    normal: Option<Expr>,
    column: ScopeColumn,
    what: What,
}

enum What {
    Plain(Typed),
    Window(WindowKey),
}

/// Lowers a SELECT over groups, from its GROUP BY to its LIMIT.
pub(super) fn select(
    lowering: &Lowering<'_>,
    relation: Relation,
    select: &Select,
    tail: &Tail<'_>,
    (parsed, ctes): (&ParsedQuery, Ctes<'_>),
    at: Location,
) -> Result<Relation, JobError> {
    let mut input = lowering.scope(relation.columns.clone());
    input.refuse_aggregates = Some("aggregates do not stand in GROUP BY");
    let (written, mut keys, sets) = keys(select, &input, at)?;
    input.refuse_aggregates = None;
    let forms = keys.iter().map(|key| key.form.clone()).collect();
    let mut below = relation.node;
    let id = sets
        .written
        .then(|| GroupingId::of(forms, sets.apart.is_some()));
    if let Some(sets) = &sets.apart {
        below = expand(below, &mut keys, sets, lowering, at)?;
    }
    let grouped: SharedGrouped = Rc::new(RefCell::new(Grouped {
        sets: id,
        input,
        keys: keys.iter().map(|key| key.normal.clone()).collect(),
        fields: keys.iter().map(|key| key.column.field.clone()).collect(),
        written: !written.is_empty(),
        calls: Vec::new(),
    }));
    // Twice: the first time finds the aggregates, the second knows how wide the row is. Until then it is wider than any,
    // so that no aggregate is taken for an item of the list.
    let finish = |Relation { node, columns }: Relation, width: usize, select: &Select| {
        let mut scope = Scope {
            grouped: Some(Rc::clone(&grouped)),
            ..lowering.scope(columns)
        };
        let items = select::list(&mut scope, width, None, &select.projection, at)?;
        let list = List {
            items,
            scope,
            width,
        };
        list.finish(node, Some(select), tail, at)
    };
    let mut columns: Vec<ScopeColumn> = keys.iter().map(|key| key.column.clone()).collect();
    let nothing = Relation {
        node: Node::Union { below: Vec::new() },
        columns: columns.clone(),
    };
    finish(nothing, usize::MAX / 2, &without_subqueries(select))?;
    let node = aggregate(
        below,
        keys,
        &grouped.borrow(),
        at_of(&written, at),
        lowering,
    );
    let field = |call: &Aggregation| unnamed(call.field.clone());
    columns.extend(grouped.borrow().calls.iter().map(field));
    let relation = Relation { node, columns };
    let (relation, select) = lowering.subquery_values(relation, select, parsed, ctes, at)?;
    let width = relation.node.width();
    finish(relation, width, &select)
}

fn at_of(written: &[(Expr, Location)], otherwise: Location) -> Location {
    written.first().map_or(otherwise, |(_, at)| *at)
}

/// The expressions after GROUP BY, as they are written.
type Written = Vec<(Expr, Location)>;

/// What a GROUP BY says of grouping sets.
struct Said {
    /// Whether it names any.
    written: bool,
    /// What tells them apart, where they are not one of all keys.
    apart: Option<Expanded>,
}

/// The expressions after GROUP BY, the keys that they are, and the grouping sets: ordinals and
/// aliases are what they stand for, doubled ones count once.
fn keys(
    select: &Select,
    scope: &Scope,
    at: Location,
) -> Result<(Written, Vec<Key>, Said), JobError> {
    let (list, with) = match &select.group_by {
        GroupByExpr::All(with) => (all(select, scope, at)?, with),
        GroupByExpr::Expressions(list, with) => (list.clone(), with),
    };
    let at = list.first().map_or(at, |first| start_of(first, at));
    let sets = Sets::of(&list, with, at)?;
    let mut written = Vec::new();
    let mut keys: Vec<Key> = Vec::new();
    let mut key_of = Vec::new();
    for expr in &sets.expressions {
        let at = start_of(*expr, at);
        let expr = match &select.group_by {
            GroupByExpr::All(_) => *expr,
            GroupByExpr::Expressions(..) => meant(expr, select, scope, at)?,
        };
        written.push((expr.clone(), at));
        let key = key(expr, scope, at)?;
        let same = |other: &Key| match (&other.what, &key.what) {
            (What::Plain(a), What::Plain(b)) if key.normal.is_none() => {
                other.normal.is_none() && a.columns() == b.columns()
            }
            _ => other.normal.is_some() && other.normal == key.normal,
        };
        if let Some(known) = keys.iter().position(same) {
            key_of.push(known);
            continue;
        }
        let is_window = |key: &Key| matches!(key.what, What::Window(_));
        if is_window(&key) && keys.iter().any(is_window) {
            return Err(JobError::new(
                at,
                "multiple time/session window expressions would result in a cartesian product of rows, therefore they are currently not supported",
            ));
        }
        key_of.push(keys.len());
        keys.push(key);
    }
    let said = Said {
        written: sets.written,
        apart: Expanded::of(&sets, &key_of, keys.len()),
    };
    Ok((written, keys, said))
}

/// What GROUP BY ALL means: the items without an aggregate, a star as the columns that it is.
fn all(select: &Select, scope: &Scope, at: Location) -> Result<Vec<Expr>, JobError> {
    let mut all = select::listed(select, scope, at)?;
    all.retain(|expr| !has_aggregate(expr, scope));
    Ok(all)
}

/// Puts the step of several grouping sets over the rows: keys that not all of them have become its columns, and what
/// tells the sets apart becomes a key behind the others.
fn expand(
    below: Node,
    keys: &mut Vec<Key>,
    sets: &Expanded,
    lowering: &Lowering<'_>,
    at: Location,
) -> Result<Node, JobError> {
    let width = below.width();
    let typed = keys.iter().zip(&sets.common).map(|(key, common)| match &key.what {
        What::Plain(typed) => Ok(typed.clone()),
        What::Window(window) if *common => Ok(window.time.clone()),
        What::Window(window) => Err(JobError::new(
            at,
            format!("{} stands in some of the grouping sets only", window.name),
        )
        .help(format!(
            "write it beside them, GROUP BY {0}(...), ROLLUP (...); or group by a column of a subquery, SELECT {0}(...) AS w",
            window.name
        ))),
    });
    let typed = typed.collect::<Result<Vec<_>, _>>()?;
    let (node, generated) = sets.over(below, &typed, lowering, at)?;
    let mut made = generated.iter().enumerate();
    let mut next = || {
        made.next()
            .map(|(place, field)| Typed::column(width + place, field, at))
    };
    for (key, _) in keys
        .iter_mut()
        .zip(&sets.common)
        .filter(|(_, common)| !**common)
    {
        key.column.field.nullable = true;
        if let Some(typed) = next() {
            key.what = What::Plain(typed);
        }
    }
    let apart = std::iter::from_fn(next).map(|typed| Key {
        name: sets.name(),
        form: None,
        normal: None,
        column: unnamed(of(typed.to_string(), &typed)),
        what: What::Plain(typed),
    });
    keys.extend(apart);
    Ok(node)
}

/// A column that is found by what it is, never by its name.
fn unnamed(field: Field) -> ScopeColumn {
    ScopeColumn {
        qualifier: None,
        field: Field {
            name: format_smolstr!("\u{1}{}", field.name),
            ..field
        },
        access: Access::Metadata,
    }
}

fn of(name: impl Into<SmolStr>, typed: &Typed) -> Field {
    Field {
        name: name.into(),
        data_type: typed.data_type.clone(),
        nullable: typed.nullable,
    }
}

/// The expression that an ordinal or an alias stands for.
fn meant<'s>(
    expr: &'s Expr,
    select: &'s Select,
    scope: &Scope,
    at: Location,
) -> Result<&'s Expr, JobError> {
    let found = match (ordinal(expr), expr) {
        (Some(number), _) => {
            let place = place_of("GROUP BY", number, select.projection.len(), at)?;
            match &select.projection[place] {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr,
                _ => {
                    let message = format!("GROUP BY position {number} is a star");
                    return Err(JobError::new(at, message));
                }
            }
        }
        (None, Expr::Identifier(name)) if scope.resolve(&[&name.value], at).is_err() => {
            let same = |alias: &str| alias.eq_ignore_ascii_case(&name.value);
            match items(select).find(|(_, alias)| alias.is_some_and(same)) {
                Some((expr, _)) => expr,
                None => return Ok(expr),
            }
        }
        _ => return Ok(expr),
    };
    if has_aggregate(found, scope) {
        return Err(JobError::new(
            at,
            format!(
                "GROUP BY {expr} refers to an expression `{found}` that contains an aggregate function. Aggregate functions are not allowed in GROUP BY"
            ),
        ));
    }
    Ok(found)
}

fn key(expr: &Expr, scope: &Scope, at: Location) -> Result<Key, JobError> {
    let mut expr = expr;
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    let name = SmolStr::new(names::identity(expr, scope));
    let form = normal(expr, scope);
    if let Some(window) = window::key(expr, scope, at)? {
        let column = ScopeColumn {
            qualifier: None,
            field: window.field(),
            access: Access::Listed,
        };
        return Ok(Key {
            name: window.name.into(),
            form: form.clone(),
            normal: form,
            column,
            what: What::Window(window),
        });
    }
    let typed = check(expr, scope)?;
    refuse_key(&typed, expr, at)?;
    // A column by its name; fields of structs are expressions.
    if let (Kind::Column { index, .. }, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) =
        (&typed.kind, expr)
        && let Some(column) = scope.columns.get(*index)
    {
        return Ok(Key {
            name,
            form,
            normal: None,
            column: column.clone(),
            what: What::Plain(typed),
        });
    }
    Ok(Key {
        name,
        form: form.clone(),
        normal: form,
        column: unnamed(of(names::of(expr, scope), &typed)),
        what: What::Plain(typed),
    })
}

fn refuse_key(typed: &Typed, expr: &Expr, at: Location) -> Result<(), JobError> {
    if typed.data_type.has_map() {
        return Err(JobError::new(
            at,
            format!(
                "`{expr}` is a {}, which cannot be grouped by",
                typed.data_type
            ),
        )
        .help("group by map_entries sorted into an array, or by to_json of it"));
    }
    if !typed.deterministic() {
        return Err(JobError::new(
            at,
            format!(
                "`{expr}` is not deterministic: a group by it would not be the same after a restart"
            ),
        )
        .help("compute it in a subquery, or group by the record's own time"));
    }
    Ok(())
}

/// The columns of the row below a GROUP BY while they are gathered.
struct Below(Vec<Item>);

impl Below {
    fn push(&mut self, name: impl Into<SmolStr>, typed: Typed) -> usize {
        self.0.push(Item {
            field: of(name, &typed),
            typed,
            required: false,
        });
        self.0.len() - 1
    }

    /// The place of an argument: that of the same column, where it is there already.
    fn argument(&mut self, typed: &Typed) -> usize {
        let same = |item: &Item| match (&item.typed.kind, &typed.kind) {
            (Kind::Column { index: a, .. }, Kind::Column { index: b, .. }) => a == b,
            _ => false,
        };
        match self.0.iter().position(same) {
            Some(place) => place,
            None => self.push(typed.to_string(), typed.clone()),
        }
    }
}

/// The projection of what the groups need, and the groups over it.
fn aggregate(
    below: Node,
    keys: Vec<Key>,
    grouped: &Grouped,
    at: Location,
    lowering: &Lowering<'_>,
) -> Node {
    let mut columns = Below(Vec::new());
    let mut fields: Vec<Field> = keys
        .iter()
        .map(|key| {
            let mut field = key.column.field.clone();
            if let Some(name) = field.name.strip_prefix('\u{1}') {
                field.name = SmolStr::new(name);
            }
            field
        })
        .collect();
    let mut types = Vec::new();
    let mut found = None;
    let names: Vec<SmolStr> = keys.iter().map(|key| key.name.clone()).collect();
    for (at, (key, field)) in keys.into_iter().zip(&fields).enumerate() {
        match key.what {
            What::Plain(typed) => {
                types.push(typed.data_type.clone());
                columns.push(field.name.clone(), typed);
            }
            What::Window(key) => found = Some((at, key)),
        }
    }
    let window = found.map(|(at, key)| {
        let data_type = key.time.data_type.clone();
        let time = columns.push(format!("{} time", key.name), key.time);
        let shape = match key.cut {
            Cut::Fixed { size, slide, start } => Shape::Fixed { size, slide, start },
            Cut::Session { gap } => Shape::Session {
                gap: columns.push(format!("{} gap", key.name), gap),
            },
        };
        Window {
            time,
            data_type,
            at,
            shape,
        }
    });
    let aggregates = grouped
        .calls
        .iter()
        .map(|call| {
            fields.push(call.field.clone());
            Aggregate {
                identity: call.identity.clone(),
                function: call.function.name,
                own: call.function.own,
                arguments: call.arguments.iter().map(|a| columns.argument(a)).collect(),
                types: call.arguments.iter().map(|a| a.data_type.clone()).collect(),
                filter: call.filter.as_ref().map(|f| columns.argument(f)),
                distinct: call.distinct,
                ignore_nulls: call.ignore_nulls,
                parameters: call.parameters.clone(),
                delimiter: call.delimiter.clone(),
                result: call.field.data_type.clone(),
                ansi: lowering.ansi,
            }
        })
        .collect();
    let group = Group {
        grouping: Grouping {
            keys: types,
            window,
            aggregates,
            emits: Emits::Append,
            over: Over::Never,
            ttl: None,
        },
        fields,
        keys: names,
        at,
    };
    Node::Aggregate {
        below: Box::new(Node::Project {
            below: Box::new(below),
            items: columns.0,
        }),
        group: Box::new(group),
    }
}
