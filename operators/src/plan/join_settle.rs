//! Joins when the whole plan is known: which side is a table, what is equal, how long rows wait. Allowed and refused as Spark
//! does, in its words; a keyed table is what Spark calls a static DataFrame.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::record::Micros;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::body::Body;
use crate::expr::typed::{Call, Comparison, Form, Kind as Part, Op, Typed};
use crate::files::whole::is_static;
use crate::job_error::{JobError, Location};
use crate::plan::join::Join;
use crate::plan::join_table::{keyed, swapped, with_table};
use crate::plan::join_times::{Columns, bounds};
use crate::plan::lookup::{of_tables, with_static};
use crate::plan::node::{Item, Node};
use crate::plan::optimize::simplify;
use crate::plan::static_side::still;
use crate::plan::times::event_columns;
use crate::plan::values::is_values;
use crate::plan::window_columns::lengths;
use crate::sql::settings::{OutputMode, Settings};
use crate::stateful::join::Kind;

/// Gives each join of a plan its keys and bounds.
pub(crate) fn settle(node: Node, settings: &Settings, at: Location) -> Result<Node, JobError> {
    let node = if joins(&node) {
        let mut settling = Settling {
            settings,
            at,
            error: None,
        };
        let node = settling.node(simplify(node));
        if let Some(error) = settling.error {
            return Err(error);
        }
        node
    } else {
        node
    };
    alone(&node, at)?;
    Ok(node)
}

fn joins(node: &Node) -> bool {
    matches!(node, Node::Join { .. }) || node.below().any(joins)
}

/// Refuses a keyed table that is not the table of a join.
fn alone(node: &Node, at: Location) -> Result<(), JobError> {
    match node {
        Node::Source { input, .. } if !input.table.primary_key.is_empty() => Err(JobError::new(
            at,
            format!(
                "table `{}` has a PRIMARY KEY: it is the newest row of each key, not a stream",
                input.table.name
            ),
        )
        .help(
            "join it with a stream; to read its changes as a stream, declare its topic as another table, without PRIMARY KEY",
        )),
        Node::Source { input, .. } if is_values(&input.table) => Err(JobError::new(
            input.table.at,
            "VALUES is no stream: a query reads at least one input table",
        )
        .help("join it with a stream, whose rows it completes")),
        Node::Source { input, .. } if is_static(&input.table) => Err(JobError::new(
            at,
            format!("table `{}` is static: it is no stream", input.table.name),
        )
        .help("join it with a stream; to read its files as a stream, leave the option `static` out")),
        Node::Join { below, join } if join.deleted.is_some() => alone(&below[0], at),
        other => other.below().try_for_each(|node| alone(node, at)),
    }
}

struct Settling<'s> {
    settings: &'s Settings,
    at: Location,
    error: Option<JobError>,
}

impl Settling<'_> {
    fn node(&mut self, node: Node) -> Node {
        match node.map_below(&mut |below| self.node(below)) {
            Node::Join { below, join } => match self.join(*below, *join) {
                Ok(node) => node,
                Err(error) => {
                    self.error.get_or_insert(error);
                    Node::Union { below: Vec::new() }
                }
            },
            other => other,
        }
    }

    fn join(&self, below: [Node; 2], join: Join) -> Result<Node, JobError> {
        if self.error.is_some() {
            return Ok(Node::Union { below: Vec::new() });
        }
        let name = |side: usize| {
            let table = keyed(&below[side]).or_else(|| still(&below[side]))?;
            Some(table.table.name.clone())
        };
        let make = match below.each_ref().map(|side| still(side).is_some()) {
            [true, true] => return of_tables(below, join),
            [false, false] => with_table,
            _ => with_static,
        };
        match [name(0), name(1)] {
            [Some(a), Some(b)] => Err(JobError::new(
                join.at,
                format!(
                    "`{a}` and `{b}` are both tables: a join with a keyed one needs a stream, whose rows it answers"
                ),
            )
            .help("join a stream with the one, and the result with the other")),
            [None, Some(_)] => make(below, join),
            [Some(name), None] => swapped(below, join, &name, make),
            [None, None] => self.streams(below, join),
        }
    }

    fn streams(&self, below: [Node; 2], mut join: Join) -> Result<Node, JobError> {
        self.mode(join.kind)?;
        if join.kind == Kind::LeftAnti {
            return Err(JobError::new(
                join.at,
                "LeftAnti joins with a streaming DataFrame/Dataset on the right are not supported",
            )
            .help("write a LEFT JOIN with a time bound, and WHERE a column of the right side IS NULL behind it"));
        }
        let widths = [below[0].width(), below[1].width()];
        let at = join.at;
        let columns = [0, 1].map(|side| Columns {
            times: event_columns(&below[side]),
            lengths: lengths(&below[side]),
        });
        join.bounds = bounds(&join.conditions, widths[0], [&columns[0], &columns[1]]);
        bounded(&join)?;
        join.ttl = self
            .settings
            .state_ttl
            .map(|ttl| Micros::try_from(ttl.as_micros()).unwrap_or(Micros::MAX));
        let none = || {
            Err(JobError::new(
                at,
                "Stream-stream join without equality predicate is not supported",
            )
            .help("write ON a.id = b.id AND ..."))
        };
        matched(below, join, none, |below, join| Node::Join {
            below: Box::new(below),
            join: Box::new(join),
        })
    }

    /// The pairs of an inner join are final, so `update` may have them; a row without a partner is known by the watermark only.
    fn mode(&self, kind: Kind) -> Result<(), JobError> {
        let mode = match (self.settings.output_mode, kind) {
            (OutputMode::Append, _) | (OutputMode::Update, Kind::Inner) => return Ok(()),
            (OutputMode::Update, _) => "Update",
            (OutputMode::Complete, _) => "Complete",
        };
        let only = match kind {
            Kind::Inner => "Append and Update output modes",
            _ => "Append output mode",
        };
        Err(JobError::new(
            self.settings.at("outputMode", self.at),
            format!(
                "{} join between two streaming DataFrames/Datasets is not supported in {mode} output mode, only in {only}",
                named(kind)
            ),
        ))
    }
}

/// A join by the equalities among its conditions; `none` says whether there need be any, `make` makes its node.
pub(super) fn matched(
    below: [Node; 2],
    mut join: Join,
    none: impl FnOnce() -> Result<(), JobError>,
    make: impl FnOnce([Node; 2], Join) -> Node,
) -> Result<Node, JobError> {
    let widths = [below[0].width(), below[1].width()];
    let mut computed = [Vec::new(), Vec::new()];
    let mut rest = Vec::new();
    for condition in std::mem::take(&mut join.conditions) {
        let pair = equal(&condition, widths[0]);
        let Some(pair) = pair.or_else(|| same(&condition, widths[0])) else {
            rest.push(condition);
            continue;
        };
        for (side, typed) in pair.into_iter().enumerate() {
            let place = match typed.kind {
                Part::Column { index, .. } => index,
                _ => {
                    computed[side].push(typed);
                    widths[side] + computed[side].len() - 1
                }
            };
            join.keys[side].push(place);
        }
    }
    if join.keys[0].is_empty() {
        none()?;
    }
    let added = computed[0].len();
    for condition in &mut rest {
        condition.remap(&|place| {
            if place < widths[0] {
                place
            } else {
                place + added
            }
        });
    }
    join.conditions = rest;
    let plain = computed.iter().all(Vec::is_empty);
    let left_only = join.kind.left_only();
    let [left, right] = below;
    let [of_left, of_right] = computed;
    let node = make([with(left, of_left), with(right, of_right)], join);
    if plain {
        return Ok(node);
    }
    let right = (0..widths[1]).map(|place| widths[0] + added + place);
    let places: Vec<usize> = if left_only {
        (0..widths[0]).collect()
    } else {
        (0..widths[0]).chain(right).collect()
    };
    Ok(Node::pick(node, &places))
}

/// What Spark calls it.
fn named(kind: Kind) -> &'static str {
    match kind {
        Kind::Inner => "Inner",
        Kind::Left => "LeftOuter",
        Kind::Right => "RightOuter",
        Kind::Full => "FullOuter",
        Kind::LeftSemi => "LeftSemi",
        Kind::LeftAnti => "LeftAnti",
    }
}

/// Refuses joins whose rows without a partner would never come out.
fn bounded(join: &Join) -> Result<(), JobError> {
    let waits = |side: usize| join.bounds[side].is_some();
    let enough = match join.kind {
        Kind::Inner | Kind::LeftAnti => true,
        Kind::Left | Kind::LeftSemi => waits(0),
        Kind::Right => waits(1),
        Kind::Full => waits(0) && waits(1),
    };
    if enough {
        return Ok(());
    }
    Err(JobError::new(
        join.at,
        format!(
            "Stream-stream {} join between two streaming DataFrame/Datasets is not supported without a watermark in the join keys, or a watermark on the nullable side and an appropriate range condition",
            named(join.kind)
        ),
    )
    .help(
        "write WATERMARK ts DELAY OF INTERVAL ... behind both tables, and in ON how far apart their times may be: b.ts BETWEEN a.ts AND a.ts + INTERVAL 10 MINUTES",
    ))
}

/// The two sides of an equality between the left side's columns and the right side's, each in its own row.
pub(super) fn equal(condition: &Typed, width: usize) -> Option<[Typed; 2]> {
    compared(condition, Comparison::Equal, width)
}

/// The same of `<=>`: a value that may be NULL is a key within a STRUCT, which is not.
fn same(condition: &Typed, width: usize) -> Option<[Typed; 2]> {
    let pair = compared(condition, Comparison::NullSafeEqual, width)?;
    if pair.iter().all(|side| side.nullable) {
        return Some(pair.map(boxed));
    }
    // What is NULL on one side equals nothing on the other, which never is.
    Some(pair)
}

/// A value as the one field of a STRUCT.
fn boxed(typed: Typed) -> Typed {
    let at = typed.at;
    let field = Field::nullable("col1", typed.data_type.clone());
    let call = Call {
        name: SmolStr::new_static("struct"),
        form: Form::Function,
        body: Body::Pure {
            call: Arc::new(|values: &[Value]| Ok(Value::Struct(Arc::from(values)))),
            nulls: true,
        },
        deterministic: true,
    };
    let data_type = DataType::Struct(Arc::new([field]));
    Typed::node(Op::Call(call), vec![typed], data_type, false, at)
}

fn compared(condition: &Typed, how: Comparison, width: usize) -> Option<[Typed; 2]> {
    let Part::Node {
        op: Op::Compare(comparison),
        args,
    } = &condition.kind
    else {
        return None;
    };
    if *comparison != how {
        return None;
    }
    let [first, second] = args.as_slice() else {
        return None;
    };
    let of = |typed: &Typed, left: bool| {
        let columns = typed.columns();
        !columns.is_empty()
            && typed.deterministic()
            && columns.iter().all(|place| (*place < width) == left)
    };
    let (left, right) = if of(first, true) && of(second, false) {
        (first, second)
    } else if of(second, true) && of(first, false) {
        (second, first)
    } else {
        return None;
    };
    let (left, mut right) = (left.clone(), right.clone());
    right.remap(&|place| place - width);
    Some([left, right])
}

/// The rows of a node with computed columns behind the others.
pub(super) fn with(node: Node, computed: Vec<Typed>) -> Node {
    if computed.is_empty() {
        return node;
    }
    let fields = node.fields();
    let plain = fields.iter().enumerate().map(|(place, field)| Item {
        field: field.clone(),
        typed: Typed::column(place, field, Location::default()),
        required: false,
    });
    let computed = computed.into_iter().map(|typed| Item {
        field: Field {
            name: SmolStr::new(typed.to_string()),
            data_type: typed.data_type.clone(),
            nullable: typed.nullable,
        },
        typed,
        required: false,
    });
    Node::Project {
        items: plain.chain(computed).collect(),
        below: Box::new(node),
    }
}
