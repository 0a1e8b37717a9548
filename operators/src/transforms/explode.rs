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
