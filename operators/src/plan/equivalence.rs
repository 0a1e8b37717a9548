//! Random queries give the same rows with and without optimization. A seed makes its query again.

use std::sync::Arc;

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::pipeline::Target;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field, Schema};

use crate::connectors::{Connector, Input};
use crate::expr::calendar::Zone;
use crate::job_error::Location;
use crate::plan::lower::{Catalog, Lowering};
use crate::plan::node::{Declared, Node};
use crate::plan::optimize::optimize;
use crate::plan::steps::steps;
use crate::plan::{Step, StepKind};
use crate::sql::front::{self, Statement};
use crate::sql::tokens;
use crate::stateful::grouping::Emits;
use crate::table::{Options, Table};

const NUMBERS: Connector = Connector {
    name: "numbers",
    about: "",
    input: Some(Input {
        options: &[],
        columns: |_| {
            let field = |name: &str| Field::nullable(name, DataType::BigInt);
            Ok(Schema::new(vec![
                field("a"),
                field("b"),
                field("c"),
                field("d"),
            ]))
        },
        metadata: |_| vec![Field::required("offset", DataType::BigInt)],
        open: |_, _, _| Err(Failure::end("not opened here")),
        identity: &[],
        reads_back: false,
        shared: false,
        behind: |_| None,
    }),
    output: None,
};

fn catalog() -> Catalog {
    let declared = |name: &str| {
        Arc::new(Declared {
            table: Table {
                name: name.to_owned(),
                at: Location::default(),
                connector: "numbers".to_owned(),
                columns: None,
                primary_key: Vec::new(),
                partitioned_by: Vec::new(),
                options: Options::default(),
            },
            connector: NUMBERS,
            watermark: None,
            read_from: None,
            written_to: None,
        })
    };
    Catalog {
        tables: vec![declared("t"), declared("u")],
        ..Catalog::default()
    }
}

/// A small generator of numbers: the same for a seed on every machine.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'a>(&mut self, from: &'a [String]) -> &'a str {
        &from[self.throw(from.len())]
    }
}

/// A random query and the names of its columns, all of them numbers.
fn write(dice: &mut Dice, table: &str, layers: usize, next: &mut usize) -> (String, Vec<String>) {
    let mut columns: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let mut query = table.to_owned();
    for layer in 0..layers {
        let mut fresh = |prefix: &str| {
            *next += 1;
            format!("{prefix}{next}")
        };
        let mut items = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let exploding = dice.throw(5) == 0;
        for item in 0..1 + dice.throw(5) {
            let column = dice.pick(&columns).to_owned();
            let name = fresh("x");
            items.push(match dice.throw(6) {
                0 if layer == 0 => format!("_metadata.offset + {column} AS {name}"),
                1 => format!("{column} + {} AS {name}", dice.pick(&columns)),
                2 if !names.is_empty() => {
                    format!("{} * 2 - {column} AS {name}", dice.pick(&names))
                }
                3 if item == 0 && exploding => {
                    format!(
                        "explode(array({column}, {})) AS {name}",
                        dice.pick(&columns)
                    )
                }
                _ => format!("{column} AS {name}"),
            });
            // What explode made is no alias for the items after it.
            if !items.last().unwrap().starts_with("explode") {
                names.push(name);
            } else if items.len() == 1 {
                names.insert(0, name);
                let only = format!("{column} AS {}", fresh("x"));
                items.push(only.clone());
                names.push(only.rsplit(' ').next().unwrap().to_owned());
                break;
            }
        }
        let view = match dice.throw(5) {
            0 => {
                let name = fresh("v");
                let (one, two) = (dice.pick(&columns).to_owned(), dice.pick(&columns));
                let view = format!(" LATERAL VIEW explode(array({one}, {two}, 1)) l AS {name}");
                items.push(format!("{name} AS {name}o"));
                names.push(format!("{name}o"));
                view
            }
            _ => String::new(),
        };
        let condition = match dice.throw(3) {
            0 => format!(
                " WHERE {} > {} AND {} <> 3",
                dice.pick(&columns),
                dice.throw(4),
                dice.pick(&columns)
            ),
            _ => String::new(),
        };
        let input = if layer == 0 {
            query
        } else {
            format!("({query})")
        };
        query = format!(
            "SELECT {} FROM {input} AS q{view}{condition}",
            items.join(", ")
        );
        columns = names;
    }
    (query, columns)
}

/// Counts groups of a query's rows, and chooses some of them.
fn grouped(dice: &mut Dice, query: &str, columns: &[String]) -> String {
    let (one, two) = (dice.pick(columns).to_owned(), dice.pick(columns));
    let keys = ["g1", "g1, g2", "g2 + 1"][dice.throw(3)];
    let shown = if keys == "g2 + 1" { "g2 + 1" } else { "g1 * 2" };
    let choice = [
        String::new(),
        format!(" HAVING count(*) > {}", dice.throw(2)),
        format!(" HAVING {shown} > {}", dice.throw(3)),
    ];
    format!(
        "SELECT {shown} AS k, count(*) AS n, sum({two}) + max({one}) AS s FROM (SELECT *, {one} AS g1, {two} AS g2 FROM ({query})) GROUP BY {keys}{}",
        choice[dice.throw(3)]
    )
}

fn random_query(seed: u64) -> String {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut next = 0;
    let layers = 1 + dice.throw(4);
    let (left, columns) = write(&mut dice, "t", layers, &mut next);
    if dice.throw(4) == 0 {
        return grouped(&mut dice, &left, &columns);
    }
    if dice.throw(3) > 0 {
        return left;
    }
    let layers = 1 + dice.throw(3);
    let other = ["u", "t"][dice.throw(2)];
    let (right, others) = write(&mut dice, other, layers, &mut next);
    let width = columns.len().min(others.len());
    let right = format!("SELECT {} FROM ({right})", others[..width].join(", "));
    let left = format!("SELECT {} FROM ({left})", columns[..width].join(", "));
    let both = format!("{left} UNION ALL {right}");
    match dice.throw(2) {
        0 => both,
        _ => format!(
            "SELECT {0} AS z FROM ({both}) WHERE {0} > 1",
            columns[dice.throw(width)]
        ),
    }
}

fn lower(catalog: &Catalog, sql: &str) -> Node {
    let tokens = tokens::statements(sql).unwrap_or_else(|e| panic!("{}", e.render("q", sql)));
    let replace = |text: &str, _: Location| Ok(text.to_owned());
    let statement = front::statement(&tokens[0], &replace);
    let parsed = match statement.unwrap_or_else(|e| panic!("{}", e.render("q", sql))) {
        Statement::Select(parsed) => parsed,
        _ => panic!("{sql}"),
    };
    let relation = Lowering::new(catalog, true, Zone::UTC).query(&parsed);
    relation
        .map(|relation| at_once(relation.node))
        .unwrap_or_else(|e| panic!("{}", e.render("q", sql)))
}

/// Groups show what they are after each row.
fn at_once(node: Node) -> Node {
    match node.map_below(&mut at_once) {
        Node::Aggregate { below, mut group } => {
            group.grouping.emits = Emits::UpdateAtOnce;
            Node::Aggregate { below, group }
        }
        other => other,
    }
}

/// The steps behind a place.
struct Rest<'s> {
    steps: &'s mut [Option<(Box<dyn Operator>, Target)>],
    total: usize,
    to: Target,
    out: &'s mut Vec<Row>,
}

impl Emit for Rest<'_> {
    fn emit(&mut self, row: &[Value], meta: &RecordMeta) -> Result<(), RecordError> {
        let Target::Step { step, input } = self.to else {
            self.out.push(row.to_vec());
            return Ok(());
        };
        let first = self.total - self.steps.len();
        let (step, rest) = self.steps[step - first..].split_first_mut().unwrap();
        let (operator, to) = step.as_mut().unwrap();
        let mut behind = Rest {
            steps: rest,
            total: self.total,
            to: *to,
            out: self.out,
        };
        operator.process(input, row, meta, &mut behind)
    }

    fn watermark(&mut self, _: i64) {}
}

/// Gives every source its own name: that of its table, with a `+` for each earlier one.
fn apart(node: Node, seen: &mut usize) -> Node {
    match node.map_below(&mut |below| apart(below, seen)) {
        Node::Source {
            input,
            columns,
            metadata,
        } => {
            let mut declared = (*input).clone();
            if input.table.name == "t" {
                declared.table.name.push_str(&"+".repeat(*seen));
                *seen += 1;
            }
            Node::Source {
                input: Arc::new(declared),
                columns,
                metadata,
            }
        }
        other => other,
    }
}

/// What comes out for some records of an input, each with all its columns and metadata.
fn run(plan: &[Step], input: &str, records: &[Row]) -> Vec<Row> {
    let mut lane: Vec<_> = plan
        .iter()
        .map(|step| Some((step.kind.operator("out", &step.schema)?, step.to)))
        .collect();
    let mut out = Vec::new();
    let meta = crate::transforms::stage::meta();
    for step in plan
        .iter()
        .filter(|step| step.name.trim_end_matches('+') == input)
    {
        let StepKind::Source(source) = &step.kind else {
            continue;
        };
        for record in records {
            let row: Row = source.wanted().iter().map(|p| record[*p].clone()).collect();
            let total = lane.len();
            let mut first = Rest {
                steps: &mut lane,
                total,
                to: step.to,
                out: &mut out,
            };
            first.emit(&row, &meta).unwrap();
            let operators = lane.iter_mut().flatten();
            operators.for_each(|(operator, _)| operator.accept());
        }
    }
    out
}

#[test]
fn a_plan_gives_the_same_rows_with_and_without_optimization() {
    let catalog = catalog();
    let records: Vec<Row> = (0..6_i64)
        .map(|n| {
            let number = |k: i64| match (n * k) % 7 {
                6 => Value::Null,
                small => Value::BigInt(small),
            };
            vec![number(1), number(2), number(3), number(5), Value::BigInt(n)]
        })
        .collect();
    let mut emitted = 0;
    for seed in 0..600 {
        let sql = random_query(seed);
        let plain = lower(&catalog, &sql);
        let better = optimize(plain.clone());
        let better = steps(better);
        // A table that is read twice is two tables without optimization.
        let plain = steps(apart(plain, &mut 0));
        for input in ["t", "u"] {
            let (mut a, mut b) = (run(&plain, input, &records), run(&better, input, &records));
            if plain.iter().any(|step| step.name.ends_with('+')) {
                let key = |row: &Row| format!("{row:?}");
                a.sort_by_key(key);
                b.sort_by_key(key);
            }
            assert_eq!(a, b, "seed {seed}: {sql}");
            emitted += a.len();
        }
    }
    assert!(emitted > 3_000, "only {emitted} rows came out");
}
