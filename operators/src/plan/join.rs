//! A join as a step of the plan: what it matches by, what its sides keep and for how long.

use std::sync::Arc;

use serde_json::{Value, json};
use smol_str::SmolStr;
use thalweg_engine::operator::Operator;
use thalweg_engine::record::Micros;
use thalweg_engine::schema::Field;

use crate::expr::operators;
use crate::expr::typed::Typed;
use crate::job_error::Location;
use crate::plan::join_times::later;
use crate::plan::node::Node;
use crate::plan::optimize::{conjuncts, filter};
use crate::plan::stateful::{length, wait};
use crate::stateful::contents::Contents;
use crate::stateful::join::{Bound, Condition, Kind, Side, StreamJoin, TableJoin};
use crate::transforms::{Edition, Lookup, Most, Shelf, TablesJoined};

/// A join of two nodes. Before it is settled it has conditions only.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub(crate) kind: Kind,
    /// All of them hold; over the columns of the left side, then those of the right.
    pub(crate) conditions: Vec<Typed>,
    /// The places of the equal columns in the rows of each side.
    pub(crate) keys: [Vec<usize>; 2],
    /// How long rows of each side wait.
    pub(crate) bounds: [Option<Bound>; 2],
    /// Where the right side is a keyed table, the place in its rows that says that a key is gone.
    pub(crate) deleted: Option<usize>,
    /// Whether both sides are static tables: what they make is one again.
    pub(crate) tables: bool,
    /// Whether a NULL on either side counts as equal, as NOT IN asks: an anti join on one equality and nothing else.
    pub(crate) null_aware: bool,
    /// How many rows of a static table a row may meet.
    pub(crate) most: Most,
    /// What the right side is called.
    pub(crate) with: SmolStr,
    /// How long rows without a bound are kept.
    pub(crate) ttl: Option<Micros>,
    /// Where it stands in the job file.
    pub(crate) at: Location,
}

impl Join {
    /// The columns of its rows.
    pub(crate) fn fields(&self, below: &[Node; 2]) -> Vec<Field> {
        let side = |side: usize| {
            // Where the other side's rows come alone, this one's columns are NULL.
            let absent = !self.kind.left_only() && self.kind.keeps_alone(1 - side);
            below[side].fields().into_iter().map(move |field| Field {
                nullable: field.nullable || absent,
                ..field
            })
        };
        if self.kind.left_only() {
            return side(0).collect();
        }
        side(0).chain(side(1)).collect()
    }

    /// What its conditions ask of a joined row.
    fn condition(&self) -> Condition {
        self.all(self.conditions.clone())
    }

    /// What its conditions ask of the rows of each side alone, where these come out alone if it does not hold. The left side has so
    /// many columns.
    fn own(&self, width: usize) -> [Condition; 2] {
        [0, 1].map(|side| {
            let asks = |condition: &&Typed| {
                self.kind.keeps_alone(side)
                    && condition.deterministic()
                    && looks(condition, width) == (side == 0, side == 1)
            };
            let mut own: Vec<Typed> = self.conditions.iter().filter(asks).cloned().collect();
            if side == 1 {
                own.iter_mut()
                    .for_each(|one| one.remap(&|place| place - width));
            }
            self.all(own)
        })
    }

    /// How much later than its own the time of a row's partner may be, for rows of each side whose times are kept beside them. The
    /// left side has so many columns.
    fn later(&self, width: usize) -> [Option<Micros>; 2] {
        match self.bounds {
            [Some(left), Some(right)] => later(&self.conditions, width, [left.time, right.time]),
            _ => [None, None],
        }
    }

    fn all(&self, mut conditions: Vec<Typed>) -> Condition {
        match conditions.len() {
            0 | 1 => conditions.pop().map(|one| one.compile()),
            _ => Some(operators::logic(true, conditions, self.at).compile()),
        }
    }

    /// Looks rows of the left side up among those of the right, which have so many columns.
    pub(super) fn lookup(&self, width: usize, shelf: &Arc<Shelf>) -> Lookup {
        let keys = self.keys[0].clone();
        let lookup = Lookup::new(self.kind, keys, width, self.condition(), Arc::clone(shelf));
        lookup.null_aware(self.null_aware).most(self.most)
    }

    /// The places that it looks at beside its conditions, where the left side has so many columns.
    pub(crate) fn looks_at(&self, width: usize) -> Vec<usize> {
        let times = |side: usize| self.bounds[side].map(|bound| bound.time);
        let left = self.keys[0].iter().copied().chain(times(0));
        let right = self.keys[1].iter().copied().chain(times(1));
        let right = right.chain(self.deleted).map(|place| width + place);
        left.chain(right).collect()
    }

    /// Gives all columns other places; the left side had `before` columns and has `after`.
    pub(crate) fn remap(&mut self, before: usize, after: usize, place: &dyn Fn(usize) -> usize) {
        for condition in &mut self.conditions {
            condition.remap(place);
        }
        let right = |old: usize| place(before + old) - after;
        self.keys[0].iter_mut().for_each(|key| *key = place(*key));
        self.keys[1].iter_mut().for_each(|key| *key = right(*key));
        let [first, second] = &mut self.bounds;
        if let Some(bound) = first {
            bound.time = place(bound.time);
        }
        if let Some(bound) = second {
            bound.time = right(bound.time);
        }
        self.deleted = self.deleted.map(right);
    }
}

/// Which sides a condition looks at.
fn looks(condition: &Typed, width: usize) -> (bool, bool) {
    let columns = condition.columns();
    let left = columns.iter().any(|place| *place < width);
    (left, columns.iter().any(|place| *place >= width))
}

/// A join with conditions over its rows: what can be asked earlier is, of a side alone or of the pairs.
pub(super) fn push(below: [Node; 2], mut join: Join, above: Vec<Typed>) -> Node {
    let width = below[0].width();
    let mut sides = [Vec::new(), Vec::new()];
    let mut rest = Vec::new();
    let inner = join.kind == Kind::Inner;
    // Rows of a table are not filtered: the next row of the key may pass, or no longer.
    let stream = join.deleted.is_none();
    let own = std::mem::take(&mut join.conditions);
    for condition in own.into_iter().flat_map(conjuncts) {
        let alone = |side: usize| !join.kind.keeps_alone(side);
        match looks(&condition, width) {
            _ if !condition.deterministic() => join.conditions.push(condition),
            (true, false) if alone(0) => sides[0].push(condition),
            (false, true) if alone(1) && stream => sides[1].push(condition),
            _ => join.conditions.push(condition),
        }
    }
    for condition in above.into_iter().flat_map(conjuncts) {
        // The rows of a side that come alone show the other side's columns as NULL.
        let whole = |side: usize| join.kind.left_only() || !join.kind.keeps_alone(1 - side);
        match looks(&condition, width) {
            _ if !condition.deterministic() => rest.push(condition),
            (true, false) if whole(0) => sides[0].push(condition),
            (false, true) if whole(1) && stream => sides[1].push(condition),
            (_, true) if inner => join.conditions.push(condition),
            _ => rest.push(condition),
        }
    }
    for condition in &mut sides[1] {
        condition.remap(&|place| place - width);
    }
    let [left, right] = below;
    let [of_left, of_right] = sides;
    let node = Node::Join {
        below: Box::new([filter(left, of_left), filter(right, of_right)]),
        join: Box::new(join),
    };
    if rest.is_empty() {
        return node;
    }
    Node::Filter {
        below: Box::new(node),
        conditions: rest,
    }
}

/// A join as a step.
pub struct Joining {
    pub(crate) join: Join,
    /// The columns of each side's rows.
    pub(crate) sides: [Vec<Field>; 2],
}

impl Joining {
    /// Whether its right side is a keyed table.
    pub fn with_table(&self) -> bool {
        self.join.deleted.is_some()
    }

    /// How much older than the watermark the rows may be that it gives.
    pub(crate) fn hold(&self) -> Micros {
        let reach = |bound: &Option<Bound>| bound.map_or(0, |bound| bound.reach);
        self.join.bounds.iter().map(reach).max().unwrap_or(0).max(0)
    }

    pub(crate) fn operator(&self) -> Box<dyn Operator> {
        let join = &self.join;
        let side = |number| self.side(number);
        if join.tables {
            let (shelf, width) = (Arc::default(), self.sides[1].len());
            let lookup = join.lookup(width, &shelf);
            let right = Edition::new(join.keys[1].clone(), width);
            return Box::new(TablesJoined::new(lookup, shelf, right));
        }
        let condition = join.condition();
        match join.deleted {
            Some(deleted) => Box::new(TableJoin::new(
                join.kind,
                side(0),
                side(1),
                deleted,
                condition,
            )),
            None => Box::new(
                StreamJoin::new(join.kind, [side(0), side(1)], condition, join.ttl)
                    .own(join.own(self.sides[0].len()))
                    .later(join.later(self.sides[0].len())),
            ),
        }
    }

    fn side(&self, side: usize) -> Side {
        Side {
            columns: self.sides[side].clone(),
            keys: self.join.keys[side].clone(),
            bound: self.join.bounds[side],
        }
    }

    /// What lies in its state.
    pub(crate) fn contents(&self) -> Contents {
        match self.join.deleted {
            Some(deleted) => Contents::Table {
                table: self.side(1),
                deleted,
            },
            None => Contents::Streams {
                kind: self.join.kind,
                sides: [self.side(0), self.side(1)],
            },
        }
    }

    fn key_names(&self, side: usize) -> Vec<&str> {
        let places = self.join.keys[side].iter();
        places
            .filter_map(|place| self.sides[side].get(*place))
            .map(|field| field.name.as_str())
            .collect()
    }

    /// What its state is known by from run to run.
    pub(crate) fn name(&self) -> String {
        format!(
            "join {} on {}",
            self.join.with,
            self.key_names(1).join(", ")
        )
    }

    /// What its state depends on.
    pub(crate) fn identity(&self) -> Value {
        let keys: Vec<String> = self.join.keys[0]
            .iter()
            .filter_map(|place| self.sides[0].get(*place))
            .map(|field| field.data_type.to_string())
            .collect();
        let what = if self.with_table() {
            "table"
        } else {
            "streams"
        };
        json!({ "kind": "join", "of": what, "keys": keys })
    }

    /// As the plan shows it.
    pub(crate) fn shown(&self, expression: &dyn Fn(&Typed) -> String) -> String {
        let join = &self.join;
        let what = if self.with_table() { "table " } else { "" };
        let keys = self.key_names(0).into_iter().zip(self.key_names(1));
        let keys = keys.map(|(left, right)| format!("{left} = {right}"));
        let all: Vec<String> = keys.chain(join.conditions.iter().map(expression)).collect();
        let mut text = format!(
            "{} join with {what}{} on {}",
            join.kind.words(),
            join.with,
            all.join(" AND ")
        );
        if join.tables {
            return text;
        }
        if self.with_table() {
            text.push_str(", the newest row of each key kept");
            return text;
        }
        for (name, bound) in ["left", "right"].iter().zip(&join.bounds) {
            let kept = match (bound, join.ttl) {
                (Some(bound), _) if bound.reach > 0 => {
                    format!("until the watermark is {} past them", wait(bound.reach))
                }
                (Some(_), _) => "until the watermark has passed them".to_owned(),
                (None, Some(ttl)) => format!("for {}", length(ttl)),
                (None, None) => "for ever".to_owned(),
            };
            text.push_str(&format!(", {name} rows kept {kept}"));
        }
        text
    }
}
