//! `window(...)` in the list of a SELECT without groups: as in Spark a row for each window that holds the row's time, with the
//! window as a column, and none for a row without a time.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

use smol_str::SmolStr;
use sqlparser::ast::{
    Expr, Function, Ident, Select, SelectItem, visit_expressions, visit_expressions_mut,
};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::body::Body;
use crate::expr::functions::windows;
use crate::expr::grouped::normal;
use crate::expr::scope::{Access, METADATA, Scope, ScopeColumn};
use crate::expr::typed::{Call, Form, Op, Typed};
use crate::job_error::{JobError, Location};
use crate::plan::lower::{Lowering, Relation};
use crate::plan::names;
use crate::plan::node::Node;
use crate::plan::window::{self, Cut, WindowKey};
use crate::sql::cursor::start_of;
use crate::stateful::grid::Grid;
use crate::transforms::Generator;

/// The name of the window's column: no name that an author could write, and no star shows it.
const HIDDEN: &str = "\u{1}window";

/// The relation with the window that the list names as a hidden column, and the list with that column in place of the calls.
pub(super) fn taken<'s>(
    lowering: &Lowering<'_>,
    relation: Relation,
    select: &'s Select,
    at: Location,
) -> Result<(Relation, Cow<'s, Select>), JobError> {
    let scope = lowering.scope(relation.columns.clone());
    let calls = calls(select, &scope);
    let Some((first, others)) = calls.split_first() else {
        return Ok((relation, Cow::Borrowed(select)));
    };
    let form = normal(first, &scope);
    if let Some(other) = others.iter().find(|other| normal(other, &scope) != form) {
        return Err(JobError::new(
            start_of(other, at),
            "Multiple time/session window expressions would result in a cartesian product of rows, therefore they are currently not supported",
        )
        .help("write one of them in a subquery"));
    }
    let place = start_of(first, at);
    let Some(key) = window::key(first, &scope, place)? else {
        return Ok((relation, Cow::Borrowed(select)));
    };
    let mut select = select.clone();
    for item in &mut select.projection {
        replace(item, &scope);
    }
    Ok((with_window(relation, key, place), Cow::Owned(select)))
}

fn is_window(function: &Function, scope: &Scope) -> bool {
    let name = function.name.to_string().to_ascii_lowercase();
    name == "window" && !scope.macros.contains_key(&name)
}

/// The calls in the list.
fn calls(select: &Select, scope: &Scope) -> Vec<Expr> {
    let mut found = Vec::new();
    for item in &select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            continue;
        };
        let _: ControlFlow<()> = visit_expressions(expr, |part| {
            if matches!(part, Expr::Function(function) if is_window(function, scope)) {
                found.push(part.clone());
            }
            ControlFlow::Continue(())
        });
    }
    found
}

/// Puts the hidden column in place of the calls. An item without a name keeps the one that it has in Spark, where the column is
/// called `window`.
fn replace(item: &mut SelectItem, scope: &Scope) {
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
        return;
    };
    let mut met = false;
    let _: ControlFlow<()> = visit_expressions_mut(expr, |part| {
        if let Expr::Function(function) = part
            && is_window(function, scope)
        {
            met = true;
            let span = sqlparser::ast::Spanned::span(&*function);
            let ident = |name| Ident {
                span,
                ..Ident::new(name)
            };
            *part = Expr::CompoundIdentifier(vec![ident(METADATA), ident(HIDDEN)]);
        }
        ControlFlow::Continue(())
    });
    if let (true, SelectItem::UnnamedExpr(expr)) = (met, &mut *item) {
        let name = names::of(expr, scope);
        let name = name.replace(&format!("{METADATA}.{HIDDEN}"), "window");
        *item = SelectItem::ExprWithAlias {
            alias: Ident::new(name.replace(HIDDEN, "window")),
            expr: expr.clone(),
        };
    }
}

fn with_window(mut relation: Relation, key: WindowKey, at: Location) -> Relation {
    let column = key.field();
    let Cut::Fixed { size, slide, start } = key.cut else {
        return relation;
    };
    let width = relation.node.width();
    relation.columns.push(ScopeColumn {
        qualifier: None,
        field: Field {
            name: SmolStr::new_static(HIDDEN),
            ..column.clone()
        },
        access: Access::Metadata,
    });
    relation.node = Node::Explode {
        value: windows_of(key.time, Grid { size, slide, start }, at),
        name: "each",
        generator: Generator {
            position: false,
            fields: false,
            width: 1,
            outer: false,
        },
        kept: (0..width).collect(),
        generated: vec![column],
        below: Box::new(relation.node),
    };
    relation
}

/// The windows that hold a time, the last first.
fn windows_of(time: Typed, grid: Grid, at: Location) -> Typed {
    let data_type = DataType::Array(Arc::new(windows::struct_of(&time.data_type)));
    let call = move |values: &[Value]| {
        let (time, make): (_, fn(i64) -> Value) = match values.first() {
            Some(Value::Timestamp(time)) => (*time, Value::Timestamp),
            Some(Value::TimestampNtz(time)) => (*time, Value::TimestampNtz),
            _ => return Ok(Value::Null),
        };
        let (first, last) = grid.starts(time)?;
        let mut windows = Vec::new();
        let mut begin = last;
        while begin >= first {
            let bounds = [make(begin), make(begin + grid.size)];
            windows.push(Value::Struct(Arc::from(bounds)));
            begin -= grid.slide;
        }
        Ok(Value::Array(windows.into()))
    };
    let call = Call {
        name: SmolStr::new_static("window"),
        form: Form::Function,
        body: Body::Pure {
            call: Arc::new(call),
            nulls: false,
        },
        deterministic: true,
    };
    // The lengths are there to be shown.
    let lengths = [grid.size, grid.slide, grid.start];
    let shown = if grid.start != 0 {
        3
    } else {
        1 + usize::from(grid.slide != grid.size)
    };
    let lengths = lengths.into_iter().take(shown).map(|micros| {
        let length = Value::DayTimeInterval(micros);
        Typed::literal(length, DataType::DayTimeInterval, at)
    });
    let arguments = std::iter::once(time).chain(lengths).collect();
    Typed::node(Op::Call(call), arguments, data_type, true, at)
}
