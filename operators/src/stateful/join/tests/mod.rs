//! Joins in the several worlds of the workbench, and against a slow model.

mod model;
mod stories;

use thalweg_engine::error::RecordError;
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};

use super::{Bound, Kind, Side, StreamJoin, TableJoin};
use crate::expr::Eval;

/// A condition made of a closure.
struct When<F>(F);

impl<F: Fn(&[Value]) -> bool + Send> Eval for When<F> {
    fn eval(&mut self, row: &[Value], _: &RecordMeta) -> Result<Value, RecordError> {
        Ok(Value::Boolean((self.0)(row)))
    }
}

/// A row `key, time, id`.
fn row(key: Option<i64>, time: Option<i64>, id: i64) -> Row {
    vec![
        key.map_or(Value::Null, Value::BigInt),
        time.map_or(Value::Null, Value::Timestamp),
        Value::BigInt(id),
    ]
}

fn columns() -> Vec<Field> {
    vec![
        Field::nullable("key", DataType::BigInt),
        Field::nullable("time", DataType::Timestamp),
        Field::nullable("id", DataType::BigInt),
    ]
}

/// A side whose rows have partners up to `reach` later than they are.
fn side(reach: Option<i64>) -> Side {
    Side {
        columns: columns(),
        keys: vec![0],
        bound: reach.map(|reach| Bound { time: 1, reach }),
    }
}

fn time(value: &Value) -> Option<i64> {
    match value {
        Value::Timestamp(time) => Some(*time),
        _ => None,
    }
}

/// Left rows of at most 10 before their right partner, never after it: `r.time BETWEEN l.time AND l.time + 10`.
fn within(row: &[Value]) -> bool {
    match (time(&row[1]), time(&row[4])) {
        (Some(left), Some(right)) => (left..=left + 10).contains(&right),
        _ => false,
    }
}

fn streams(kind: Kind) -> StreamJoin {
    StreamJoin::new(
        kind,
        [side(Some(10)), side(Some(0))],
        Some(Box::new(When(within))),
        None,
    )
    .later([Some(10), Some(0)])
}

fn table(kind: Kind) -> TableJoin {
    let mut columns = columns();
    columns.push(Field::nullable("deleted", DataType::Boolean));
    let table = Side {
        columns,
        keys: vec![0],
        bound: None,
    };
    TableJoin::new(kind, side(None), table, 3, None)
}

/// Takes what is emitted, and forgets it.
struct Nowhere;

impl thalweg_engine::operator::Emit for Nowhere {
    fn emit(&mut self, _: &[Value], _: &RecordMeta) -> Result<(), RecordError> {
        Ok(())
    }
}

/// Runs actions in the plain world.
fn run(join: &mut StreamJoin, actions: &[thalweg_engine::testing::Action]) {
    use thalweg_engine::operator::{Operator, Progress};
    use thalweg_engine::testing::{Action, meta};

    let mut at = meta(0, 0, None);
    for action in actions {
        match action {
            Action::RowOf(input, _, _, row) => {
                join.process(*input, row, &at, &mut Nowhere).unwrap();
            }
            Action::Watermark(watermark) => {
                let mut progress = join.advance(*watermark, &at, &mut Nowhere).unwrap();
                while progress == Progress::More {
                    progress = join.resume(&at, &mut Nowhere).unwrap();
                }
                at.watermark = Some(*watermark);
            }
            _ => {}
        }
        join.accept();
    }
}
