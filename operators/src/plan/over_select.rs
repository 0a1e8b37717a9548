//! A SELECT with OVER: each function over rows becomes a column of the row below the SELECT, made by a step for each
//! PARTITION BY and ORDER BY.

use std::ops::ControlFlow;

use smol_str::SmolStr;
use sqlparser::ast::{
    Expr, Function as Written, Ident, NamedWindowExpr, Select, SelectItem, WindowSpec, WindowType,
    visit_expressions, visit_expressions_mut,
};
use thalweg_engine::record::Micros;
use thalweg_engine::schema::Field;

use crate::expr::check::check;
use crate::expr::scope::Scope;
use crate::expr::typed::{self, Typed};
use crate::job_error::{JobError, Location};
use crate::plan::lower::{Lowering, Relation};
use crate::plan::node::{Item, Node};
use crate::plan::order::SortKey;
use crate::plan::over::Windows;
use crate::plan::over_call::{self, Call};
use crate::plan::over_frame;
use crate::plan::over_table;
use crate::plan::static_side::still;
use crate::plan::tail::{List, Tail};
use crate::plan::{names, over_own, select};
use crate::sql::cursor::{ident_at, start_of};
use crate::stateful::over::{Frame, Function, Kind, Order, Over};

/// An expression so that two of the same meaning are equal wherever they stand.
fn form(typed: &Typed) -> String {
    let mut typed = typed.clone();
    typed.visit_mut(&mut |part| part.at = Location::default());
    format!("{typed:?}")
}

/// Why a SELECT has either groups or functions over rows.
pub(super) fn above_groups(at: Location) -> JobError {
    JobError::new(at, "a SELECT over groups has no functions over rows")
        .help("write the GROUP BY as a subquery, and OVER over its rows")
}

/// Whether a SELECT has a function over rows in its list.
pub(super) fn has_over(select: &Select) -> bool {
    select.projection.iter().filter_map(expression).any(over_in)
}

fn expression(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr)
        | SelectItem::ExprWithAlias { expr, .. }
        | SelectItem::ExprWithAliases { expr, .. } => Some(expr),
        _ => None,
    }
}

fn over_in(expr: &Expr) -> bool {
    visit_expressions(expr, |part| match part {
        Expr::Function(function) if function.over.is_some() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// What a result is called within the SELECT; no column that a user names is called so.
const HIDDEN: &str = "\u{1}over ";

/// Lowers a SELECT with functions over rows, from its list on.
pub(super) fn select(
    lowering: &Lowering<'_>,
    relation: Relation,
    select: &Select,
    tail: &Tail<'_>,
    at: Location,
) -> Result<Relation, JobError> {
    let scope = lowering.scope(relation.columns.clone());
    let mut windows = Gathered {
        lowering,
        select,
        of_table: still(&relation.node).is_some(),
        scope,
        width: relation.node.width(),
        extra: Vec::new(),
        steps: Vec::new(),
        calls: Vec::new(),
    };
    let mut list = select.projection.clone();
    for item in &mut list {
        windows.item(item, at)?;
    }
    let Gathered {
        extra,
        steps,
        calls,
        width,
        ..
    } = windows;
    let mut node = with_extra(relation.node, extra, at);
    let mut first = node.width();
    // Where the results of each step begin.
    let mut begins = Vec::new();
    for (windows, sort) in steps {
        begins.push(first);
        first += windows.fields.len();
        node = Node::Over {
            below: Box::new(over_table::sorted(node, sort, at)),
            windows: Box::new(windows),
        };
    }
    let mut scope = lowering.scope(relation.columns);
    scope.aliases = calls
        .iter()
        .enumerate()
        .map(|(number, (step, place, field, own))| {
            let place = begins.get(*step).copied().unwrap_or(width) + place;
            let typed = over_own::answer(Typed::column(place, field, at), own.as_ref());
            (SmolStr::new(format!("{HIDDEN}{number}")), typed)
        })
        .collect();
    let items = select::list(&mut scope, first, None, &list, at)?;
    let list = List {
        items,
        scope,
        width: first,
    };
    list.finish(node, Some(select), tail, at)
}

/// The row with what keys, orders and arguments are computed to behind it.
fn with_extra(below: Node, extra: Vec<Item>, at: Location) -> Node {
    if extra.is_empty() {
        return below;
    }
    let fields = below.fields();
    let mut items: Vec<Item> = fields
        .iter()
        .enumerate()
        .map(|(place, field)| Item {
            field: field.clone(),
            typed: Typed::column(place, field, at),
            required: false,
        })
        .collect();
    items.extend(extra);
    Node::Project {
        below: Box::new(below),
        items,
    }
}

/// The windows of a SELECT while they are gathered.
pub(super) struct Gathered<'a> {
    pub(super) lowering: &'a Lowering<'a>,
    select: &'a Select,
    /// Whether the rows are those of a static table, which are all there.
    of_table: bool,
    /// The row below.
    pub(super) scope: Scope,
    width: usize,
    /// What is computed behind that row.
    extra: Vec<Item>,
    /// Each with what its rows are sorted by before it, where they are all there.
    steps: Vec<(Windows, Vec<SortKey>)>,
    /// For each call its step, its place among the results there, and its column.
    calls: Vec<(usize, usize, Field, Option<over_own::Answer>)>,
}

/// A PARTITION BY and ORDER BY.
struct Part {
    keys: Vec<usize>,
    texts: Vec<SmolStr>,
    order: Option<Order>,
    order_text: Option<SmolStr>,
    /// The ORDER BY of a static table.
    sort: Vec<SortKey>,
}

impl Gathered<'_> {
    /// Puts columns in the place of the calls of one item.
    fn item(&mut self, item: &mut SelectItem, at: Location) -> Result<(), JobError> {
        let named = match item {
            SelectItem::UnnamedExpr(expr) if over_in(expr) => {
                // The name says what was written.
                Some(names::of(expr, &self.scope))
            }
            _ => None,
        };
        let (SelectItem::UnnamedExpr(expr)
        | SelectItem::ExprWithAlias { expr, .. }
        | SelectItem::ExprWithAliases { expr, .. }) = item
        else {
            return Ok(());
        };
        let at = start_of(expr, at);
        let outcome = visit_expressions_mut(expr, |part| {
            if let Expr::Function(function) = part
                && function.over.is_some()
            {
                match self.call(function, at) {
                    Ok(hidden) => *part = Expr::Identifier(Ident::new(hidden)),
                    Err(error) => return ControlFlow::Break(error),
                }
            }
            ControlFlow::Continue(())
        });
        if let ControlFlow::Break(error) = outcome {
            return Err(error);
        }
        if let Some(name) = named {
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: Ident::new(name),
            };
        }
        Ok(())
    }

    /// Notes a call; gives the name of its column.
    fn call(&mut self, function: &Written, otherwise: Location) -> Result<String, JobError> {
        let at = start_of(&Expr::Function(function.clone()), otherwise);
        let nested = visit_expressions(&function.args, |part| match part {
            Expr::Identifier(name) if name.value.starts_with(HIDDEN) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        if nested.is_break() {
            return Err(JobError::new(
                at,
                "a function over rows does not stand in the argument of another: use the inner one in a subquery",
            ));
        }
        let spec = self.spec(function, at)?;
        if self.of_table {
            over_table::refuse(function, &spec, at)?;
        }
        let part = self.part(&spec, at)?;
        let frame = over_frame::of(&spec, part.order.as_ref(), &self.scope, at)?;
        let window = over_call::Window {
            spec: &spec,
            order: part.order.as_ref(),
            frame,
        };
        let mut call = over_call::call(self, function, &window, at)?;
        let kind = call.function.kind;
        let panes = self.lowering.frame_step;
        let panes = panes.filter(|_| !matches!(kind, Kind::Lag { .. } | Kind::RowNumber));
        let panes = over_frame::panes(panes, frame, part.order.as_ref(), kind, at)?;
        let step = self.step(part, panes);
        if let Some(frame) = over_frame::shown(&spec) {
            call.function.identity.push_str(&frame);
        }
        let own = call.own.take();
        let (place, field) = self.function(step, frame, call);
        self.calls.push((step, place, field, own));
        Ok(format!("{HIDDEN}{}", self.calls.len() - 1))
    }

    /// The window that a call names or is written with.
    fn spec(&self, function: &Written, at: Location) -> Result<WindowSpec, JobError> {
        match &function.over {
            Some(WindowType::WindowSpec(spec)) => match &spec.window_name {
                None => Ok(spec.clone()),
                Some(name) => Err(JobError::new(
                    ident_at(name, at),
                    "a window in brackets cannot build on a named one",
                )
                .help(format!(
                    "write OVER {name}, or the whole window in brackets"
                ))),
            },
            Some(WindowType::NamedWindow(name)) => self.named(name, at, 0),
            None => Err(JobError::new(at, "expected OVER")),
        }
    }

    fn named(&self, name: &Ident, at: Location, depth: usize) -> Result<WindowSpec, JobError> {
        let at = ident_at(name, at);
        let found = self
            .select
            .named_window
            .iter()
            .find(|window| window.0.value.eq_ignore_ascii_case(&name.value));
        match found.map(|window| &window.1) {
            Some(NamedWindowExpr::WindowSpec(spec)) => Ok(spec.clone()),
            Some(NamedWindowExpr::NamedWindow(other)) if depth < 32 => {
                self.named(other, at, depth + 1)
            }
            Some(_) => Err(JobError::new(
                at,
                format!("the window `{}` is defined by itself", name.value),
            )),
            None => {
                let known = self.select.named_window.iter();
                let error = JobError::new(at, format!("unknown window `{}`", name.value))
                    .nearest(&name.value, known.map(|window| window.0.value.as_str()));
                Err(if error.help.is_some() {
                    error
                } else {
                    error.help("write WINDOW name AS (...) behind the SELECT")
                })
            }
        }
    }

    /// The columns of a PARTITION BY and ORDER BY.
    fn part(&mut self, spec: &WindowSpec, at: Location) -> Result<Part, JobError> {
        let mut keys = Vec::new();
        let mut texts = Vec::new();
        for expr in &spec.partition_by {
            let typed = check(expr, &self.scope)?;
            over_frame::refuse_key(&typed, expr, start_of(expr, at))?;
            let text = SmolStr::new(names::identity(expr, &self.scope));
            keys.push(self.place(typed, &text));
            texts.push(text);
        }
        if self.of_table {
            return Ok(Part {
                sort: over_table::order(self, &keys, spec, at)?,
                keys,
                texts,
                order: None,
                order_text: over_table::shown(spec),
            });
        }
        let (order, order_text) = match over_frame::order(spec, &self.scope, at)? {
            None => (None, None),
            Some((typed, text)) => {
                let data_type = typed.data_type.clone();
                let order = Order {
                    place: self.place(typed, &text),
                    data_type,
                    event_time: false,
                };
                (Some(order), Some(text))
            }
        };
        Ok(Part {
            keys,
            texts,
            order,
            order_text,
            sort: Vec::new(),
        })
    }

    /// The step of a PARTITION BY and ORDER BY, with panes or without; one that is there already is shared.
    fn step(&mut self, part: Part, step: Option<Micros>) -> usize {
        let Part {
            keys,
            texts,
            order,
            order_text,
            sort,
        } = part;
        let same = |(windows, sorted): &(Windows, Vec<SortKey>)| {
            let place = |order: &Option<Order>| order.as_ref().map(|order| order.place);
            windows.over.keys == keys
                && place(&windows.over.order) == place(&order)
                && windows.over.step == step
                && *sorted == sort
        };
        if let Some(place) = self.steps.iter().position(same) {
            return place;
        }
        let windows = Windows {
            over: Over {
                keys,
                order,
                frames: Vec::new(),
                functions: Vec::new(),
                rows_max: usize::MAX,
                ttl: None,
                step,
            },
            fields: Vec::new(),
            keys: texts,
            order: order_text,
        };
        self.steps.push((windows, sort));
        self.steps.len() - 1
    }

    /// The place of an expression in the row: that of a column, or behind the row.
    pub(super) fn place(&mut self, typed: Typed, text: &str) -> usize {
        if let typed::Kind::Column { index, .. } = typed.kind {
            return index;
        }
        let form = form(&typed);
        // What a function was built with does not show in its form; the text has it.
        let same = |item: &Item| item.field.name == text && self::form(&item.typed) == form;
        let place = self.extra.iter().position(same).unwrap_or_else(|| {
            self.extra.push(Item {
                field: Field {
                    name: SmolStr::new(text),
                    data_type: typed.data_type.clone(),
                    nullable: typed.nullable,
                },
                typed,
                required: false,
            });
            self.extra.len() - 1
        });
        self.width + place
    }

    /// The place of a function among the results of its step, and its column.
    fn function(&mut self, step: usize, frame: Frame, call: Call) -> (usize, Field) {
        let (windows, _) = &mut self.steps[step];
        let frames = &mut windows.over.frames;
        let frame = frames
            .iter()
            .position(|known| *known == frame)
            .unwrap_or_else(|| {
                frames.push(frame);
                frames.len() - 1
            });
        let same = |known: &Function| {
            known.kind == call.function.kind
                && known.frame == frame
                && known.argument.as_ref().map(|a| a.place)
                    == call.function.argument.as_ref().map(|a| a.place)
        };
        if let Some(place) = windows.over.functions.iter().position(same) {
            return (place, windows.fields[place].clone());
        }
        windows.over.functions.push(Function {
            frame,
            ..call.function
        });
        windows.fields.push(call.field.clone());
        (windows.fields.len() - 1, call.field)
    }
}
