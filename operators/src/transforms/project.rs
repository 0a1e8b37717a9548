//! SELECT: computes the columns of the next row.

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;

use crate::expr::Eval;

/// How one column of the new row comes about.
pub enum Cell {
    /// The value at this place of the row.
    Column(usize),
    /// A computed value.
    Computed(Box<dyn Eval>),
    /// A computed value that must not be NULL; the reason if it is.
    Required(Box<dyn Eval>, Box<str>),
}

/// Computes a new row for each row.
pub struct Project {
    cells: Vec<Cell>,
    /// Whether a cell may use the cells before it, at the places behind those of the row (lateral column aliases).
    lateral: bool,
    scratch: Vec<Value>,
}

impl Project {
    /// A projection whose cells see the row alone.
    pub fn new(cells: Vec<Cell>) -> Self {
        Self {
            scratch: Vec::with_capacity(cells.len()),
            cells,
            lateral: false,
        }
    }

    /// A projection whose cells also see the cells before them: the first at the place behind the row's last.
    pub fn lateral(cells: Vec<Cell>) -> Self {
        Self {
            lateral: true,
            ..Self::new(cells)
        }
    }
}

impl Cell {
    #[inline]
    fn value(&mut self, row: &[Value], meta: &RecordMeta) -> Result<Value, RecordError> {
        match self {
            // A place that the row lacks is a mistake of the plan; NULL would hide it less than a panic harms.
            Self::Column(place) => Ok(row.get(*place).cloned().unwrap_or(Value::Null)),
            Self::Computed(eval) => eval.eval(row, meta),
            Self::Required(eval, reason) => {
                let value = eval.eval(row, meta)?;
                if value.is_null() {
                    return Err(RecordError::expression(reason.clone()));
                }
                Ok(value)
            }
        }
    }
}

impl Operator for Project {
    fn process(
        &mut self,
        _input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        self.scratch.clear();
        if !self.lateral {
            for cell in &mut self.cells {
                let value = cell.value(row, meta)?;
                self.scratch.push(value);
            }
            return emit.emit(&self.scratch, meta);
        }
        self.scratch.extend_from_slice(row);
        for cell in &mut self.cells {
            let value = cell.value(&self.scratch, meta)?;
            self.scratch.push(value);
        }
        emit.emit(self.scratch.get(row.len()..).unwrap_or_default(), meta)
    }
}
