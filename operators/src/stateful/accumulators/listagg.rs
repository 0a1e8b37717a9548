//! `listagg`: texts one behind the other.

use std::cmp::Ordering;

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::accumulator::Accumulator;
use super::lists::CollectList;
use crate::expr::compare::compare;

/// How one key of WITHIN GROUP (ORDER BY ...) orders; as a number it is a parameter of the aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
}

impl Direction {
    /// As a parameter.
    pub fn number(self) -> f64 {
        f64::from(u8::from(self.descending) + 2 * u8::from(self.nulls_first))
    }

    /// From a parameter.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn of(number: f64) -> Self {
        let bits = number as u8;
        Self {
            descending: bits & 1 == 1,
            nulls_first: bits & 2 == 2,
        }
    }

    fn order(self, a: &Value, b: &Value) -> Ordering {
        let nulls = |order: Ordering| {
            if self.nulls_first {
                order
            } else {
                order.reverse()
            }
        };
        match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) => nulls(Ordering::Less),
            (false, true) => nulls(Ordering::Greater),
            (false, false) if self.descending => compare(b, a),
            (false, false) => compare(a, b),
        }
    }
}

/// All texts of a group: alone, in order of arrival, or by the keys that stand behind them in a struct. A text that has
/// directions and no struct is its own key.
pub(super) struct ListAgg {
    argument: usize,
    list: CollectList,
    delimiter: String,
    directions: Vec<Direction>,
}

impl ListAgg {
    pub(super) fn new(
        argument: usize,
        data_type: &DataType,
        delimiter: &str,
        directions: &[f64],
    ) -> Self {
        Self {
            argument,
            list: CollectList::new(argument, data_type.clone()),
            delimiter: delimiter.to_owned(),
            directions: directions.iter().copied().map(Direction::of).collect(),
        }
    }

    fn order(&self, a: &Value, b: &Value) -> Ordering {
        let (a, b) = match (a, b) {
            (Value::Struct(a), Value::Struct(b)) => (&a[1..], &b[1..]),
            _ => (std::slice::from_ref(a), std::slice::from_ref(b)),
        };
        let orders = self.directions.iter().zip(a).zip(b);
        orders
            .map(|((direction, a), b)| direction.order(a, b))
            .find(|order| *order != Ordering::Equal)
            .unwrap_or(Ordering::Equal)
    }
}

/// What is listed of a row: the first field where keys stand behind it.
fn listed(row: &Value) -> &Value {
    match row {
        Value::Struct(values) => values.first().unwrap_or(&Value::Null),
        value => value,
    }
}

impl Accumulator for ListAgg {
    fn words(&self) -> usize {
        self.list.words()
    }

    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        if listed(&row[self.argument]).is_null() {
            return Ok(());
        }
        self.list.update(cell, row)
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        self.list.merge(into, from)
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        let rows = self.list.of(cell);
        if rows.is_empty() {
            return Ok(Value::Null);
        }
        let mut rows: Vec<&Value> = rows.iter().collect();
        if !self.directions.is_empty() {
            rows.sort_by(|a, b| self.order(a, b));
        }
        let mut bytes = Vec::new();
        let mut binary = false;
        for (place, row) in rows.into_iter().enumerate() {
            if place > 0 {
                bytes.extend_from_slice(self.delimiter.as_bytes());
            }
            match listed(row) {
                Value::String(text) => bytes.extend_from_slice(text.as_bytes()),
                Value::Binary(part) => {
                    binary = true;
                    bytes.extend_from_slice(part);
                }
                _ => {}
            }
        }
        if binary {
            return Ok(Value::Binary(bytes.into()));
        }
        Ok(Value::String(SmolStr::new(String::from_utf8_lossy(&bytes))))
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        self.list.write(cell, out);
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        self.list.read(cell, bytes)
    }

    fn free(&mut self, cell: &[u64]) {
        self.list.free(cell);
    }

    fn accept(&mut self) {
        self.list.accept();
    }

    fn reject(&mut self) {
        self.list.reject();
    }

    fn bytes(&self) -> usize {
        self.list.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_is_read_from_its_number() {
        for descending in [false, true] {
            for nulls_first in [false, true] {
                let direction = Direction {
                    descending,
                    nulls_first,
                };
                assert_eq!(Direction::of(direction.number()), direction);
            }
        }
    }

    #[test]
    fn texts_stand_in_the_order_of_their_keys() {
        let pair = DataType::Struct(std::sync::Arc::new([
            thalweg_engine::schema::Field::nullable("text", DataType::String),
            thalweg_engine::schema::Field::nullable("key", DataType::Int),
        ]));
        let direction = Direction {
            descending: true,
            nulls_first: false,
        };
        let mut list = ListAgg::new(0, &pair, "; ", &[direction.number()]);
        let mut cell = vec![0; list.words()];
        for (text, key) in [
            (Some("b"), Some(2)),
            (None, Some(9)),
            (Some("n"), None),
            (Some("c"), Some(3)),
            (Some("b2"), Some(2)),
        ] {
            let text = text.map_or(Value::Null, Value::from);
            let key = key.map_or(Value::Null, Value::Int);
            let row = [Value::Struct(std::sync::Arc::new([text, key]))];
            list.update(&mut cell, &row).unwrap();
        }
        assert_eq!(list.result(&cell), Ok(Value::from("c; b; b2; n")));
    }
}
