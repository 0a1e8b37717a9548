//! `explode` and its family: one row for each element of an array, map or list of structs.

use std::sync::Arc;

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;

use crate::expr::Eval;

/// What a generator appends to the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generator {
    /// The element's place from 0, before its values (`posexplode`).
    pub position: bool,
    /// The fields of each struct as columns (`inline`); else the element, or key and value of a map.
    pub fields: bool,
    /// How many columns the element itself takes.
    pub width: usize,
    /// One row of NULLs where there is no element (`explode_outer`, `LATERAL VIEW OUTER`).
    pub outer: bool,
}

/// Emits the kept columns of a row with each element of a value of it.
pub struct Explode {
    value: Box<dyn Eval>,
    generator: Generator,
    kept: Vec<usize>,
    nulls: Arc<[Value]>,
    scratch: Vec<Value>,
}

impl Explode {
    /// `kept` are the places of the row that stay, before the generated columns.
    pub fn new(value: Box<dyn Eval>, generator: Generator, kept: Vec<usize>) -> Self {
        Self {
            value,
            generator,
            kept,
            nulls: vec![Value::Null; generator.width].into(),
            scratch: Vec::new(),
        }
    }

    fn element(
        &mut self,
        index: usize,
        values: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        self.scratch.truncate(self.kept.len());
        if self.generator.position {
            let index = i32::try_from(index).map_err(|_| {
                RecordError::expression("posexplode: more than 2147483647 elements")
            })?;
            self.scratch.push(Value::Int(index));
        }
        self.scratch.extend_from_slice(values);
        emit.emit(&self.scratch, meta)
    }

    fn nothing(&mut self, meta: &RecordMeta, emit: &mut dyn Emit) -> Result<(), RecordError> {
        if !self.generator.outer {
            return Ok(());
        }
        self.scratch.truncate(self.kept.len());
        let width =
            self.scratch.len() + usize::from(self.generator.position) + self.generator.width;
        self.scratch.resize(width, Value::Null);
        emit.emit(&self.scratch, meta)
    }
}

impl Operator for Explode {
    fn process(
        &mut self,
        _input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let value = self.value.eval(row, meta)?;
        self.scratch.clear();
        let kept = self
            .kept
            .iter()
            .map(|place| row.get(*place).cloned().unwrap_or(Value::Null));
        self.scratch.extend(kept);
        match value {
            Value::Array(elements) if !elements.is_empty() => {
                let nulls = self.nulls.clone();
                for (index, element) in elements.iter().enumerate() {
                    match element {
                        Value::Struct(fields) if self.generator.fields => {
                            self.element(index, fields, meta, emit)?;
                        }
                        _ if self.generator.fields => self.element(index, &nulls, meta, emit)?,
                        element => {
                            self.element(index, std::slice::from_ref(element), meta, emit)?;
                        }
                    }
                }
                Ok(())
            }
            Value::Map(pairs) if !pairs.is_empty() => {
                for (index, (key, value)) in pairs.iter().enumerate() {
                    self.element(index, &[key.clone(), value.clone()], meta, emit)?;
                }
                Ok(())
            }
            _ => self.nothing(meta, emit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transforms::stage::{column, through};

    fn generator(position: bool, fields: bool, width: usize, outer: bool) -> Generator {
        Generator {
            position,
            fields,
            width,
            outer,
        }
    }

    fn row(id: i32, value: Value) -> Vec<Value> {
        vec![Value::Int(id), value]
    }

    fn array(elements: impl Into<Vec<Value>>) -> Value {
        Value::Array(elements.into().into())
    }

    #[test]
    fn each_element_gives_a_row_and_nothing_gives_none() {
        let mut explode = Explode::new(column(1), generator(false, false, 1, false), vec![0]);
        let rows = [
            row(1, array([Value::Int(10), Value::Null])),
            row(2, array([])),
            row(3, Value::Null),
        ];
        assert_eq!(
            through(&mut explode, &rows).unwrap().rows,
            [
                vec![Value::Int(1), Value::Int(10)],
                vec![Value::Int(1), Value::Null]
            ]
        );
    }

    #[test]
    fn outer_gives_a_row_of_nulls_for_nothing() {
        let mut explode = Explode::new(column(1), generator(true, false, 1, true), vec![0]);
        let rows = [row(2, array([])), row(3, array([Value::Int(9)]))];
        assert_eq!(
            through(&mut explode, &rows).unwrap().rows,
            [
                vec![Value::Int(2), Value::Null, Value::Null],
                vec![Value::Int(3), Value::Int(0), Value::Int(9)]
            ]
        );
    }

    #[test]
    fn a_map_gives_keys_and_values() {
        let mut explode = Explode::new(column(1), generator(false, false, 2, false), vec![]);
        let map = Value::Map(vec![(Value::from("a"), Value::Int(1))].into());
        assert_eq!(
            through(&mut explode, &[row(1, map)]).unwrap().rows,
            [vec![Value::from("a"), Value::Int(1)]]
        );
    }

    #[test]
    fn inline_gives_the_fields_and_nulls_for_a_missing_struct() {
        let mut inline = Explode::new(column(1), generator(false, true, 2, false), vec![0]);
        let pair = Value::Struct(vec![Value::from("s"), Value::Int(2)].into());
        assert_eq!(
            through(&mut inline, &[row(1, array([pair, Value::Null]))])
                .unwrap()
                .rows,
            [
                vec![Value::Int(1), Value::from("s"), Value::Int(2)],
                vec![Value::Int(1), Value::Null, Value::Null]
            ]
        );
    }
}
