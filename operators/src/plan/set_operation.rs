//! EXCEPT and INTERSECT of static tables: the different rows of both sides, each with the sides that it stands in.

use smol_str::SmolStr;
use sqlparser::ast::{SetOperator, SetQuantifier};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::typed::{Comparison, Op, Typed};
use crate::job_error::{JobError, Location};
use crate::plan::group::Group;
use crate::plan::lower::{Lowering, Relation};
use crate::plan::node::{Item, Node};
use crate::plan::refuse;
use crate::plan::static_side::still;
use crate::stateful::grouping::{Aggregate, Emits, Grouping, Over};

/// The least and the greatest number of the sides that a row stands in: 0 is the left one, 1 the right one.
const SIDES: [&str; 2] = ["min", "max"];

impl Lowering<'_> {
    /// The rows of the left side that do not stand in the right one, or do: each once, NULLs being equal.
    pub(super) fn set_operation(
        &self,
        op: SetOperator,
        quantifier: SetQuantifier,
        sides: Vec<(Relation, Location)>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let streams = [0, 1].map(|side: usize| {
            let relation = sides.get(side).map(|(relation, _)| relation);
            relation.is_some_and(|relation| still(&relation.node).is_none())
        });
        if streams.contains(&true) {
            return Err(refuse::set_operation(op, streams, at));
        }
        if !matches!(quantifier, SetQuantifier::None | SetQuantifier::Distinct) {
            let message = format!("{op} {quantifier} is not part of the language");
            return Err(JobError::new(at, message).help(format!("write {op}: each row comes once")));
        }
        let mut relation = self.union(sides)?;
        let fields = relation.node.fields();
        if let Some(map) = fields
            .iter()
            .find(|field| matches!(field.data_type, DataType::Map(_)))
        {
            let message = format!("{op}: column `{}` is a MAP, and no two are equal", map.name);
            return Err(JobError::new(at, message));
        }
        let marked = marked(relation.node, at);
        let width = fields.len();
        let side = |aggregate: usize, is: i32| {
            let of = Field::nullable(SIDES[aggregate], DataType::Int);
            let column = Typed::column(width + aggregate, &of, at);
            let number = Typed::literal(Value::Int(is), DataType::Int, at);
            let equal = Op::Compare(Comparison::Equal);
            Typed::node(equal, vec![column, number], DataType::Boolean, true, at)
        };
        let conditions = match op {
            SetOperator::Intersect => vec![side(0, 0), side(1, 1)],
            _ => vec![side(1, 0)],
        };
        let node = Node::Filter {
            below: Box::new(grouped(marked, fields, self.ansi, at)),
            conditions,
        };
        relation.node = Node::pick(node, &(0..width).collect::<Vec<_>>());
        Ok(relation)
    }
}

/// The rows of both sides with the number of their side behind them.
fn marked(union: Node, at: Location) -> Node {
    let mut number = 0;
    union.map_below(&mut |side| {
        let literal = Typed::literal(Value::Int(number), DataType::Int, at);
        number += 1;
        let fields = side.fields();
        let own = fields.iter().enumerate().map(|(place, field)| Item {
            field: field.clone(),
            typed: Typed::column(place, field, at),
            required: false,
        });
        let mark = Item {
            field: Field::required("side", DataType::Int),
            typed: literal,
            required: false,
        };
        Node::Project {
            items: own.chain([mark]).collect(),
            below: Box::new(side),
        }
    })
}

/// The different rows, with the least and the greatest number of their sides.
fn grouped(below: Node, keys: Vec<Field>, ansi: bool, at: Location) -> Node {
    let aggregates = SIDES.map(|function| Aggregate {
        identity: format!("{function}(side)"),
        function,
        own: None,
        arguments: vec![keys.len()],
        types: vec![DataType::Int],
        filter: None,
        distinct: false,
        ignore_nulls: false,
        parameters: Vec::new(),
        delimiter: String::new(),
        result: DataType::Int,
        ansi,
    });
    let names: Vec<SmolStr> = keys.iter().map(|key| key.name.clone()).collect();
    let grouping = Grouping {
        keys: keys.iter().map(|key| key.data_type.clone()).collect(),
        window: None,
        aggregates: aggregates.into(),
        emits: Emits::Complete,
        over: Over::Never,
        ttl: None,
    };
    let results = SIDES.map(|name| Field::nullable(name, DataType::Int));
    let group = Group {
        grouping,
        fields: keys.into_iter().chain(results).collect(),
        keys: names,
        at,
    };
    Node::Aggregate {
        below: Box::new(below),
        group: Box::new(group),
    }
}
