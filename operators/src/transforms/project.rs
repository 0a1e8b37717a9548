//! SELECT: computes the columns of the next row.

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;

use crate::expr::Eval;
use crate::expr::parsed::Texts;

/// How one column of the new row comes about.
pub enum Cell {
    /// The value at this place of the row.
    Column(usize),
    /// A computed value.
    Computed(Box<dyn Eval>),
    /// A computed value that must not be NULL; the reason if it is.
    Required(Box<dyn Eval>, Box<str>),
    /// A part of a text: the place of its value among those of the projection's texts, and whether no cell behind it
    /// takes the same.
    Part(usize, bool),
}

/// Computes a new row for each row.
pub struct Project {
    cells: Vec<Cell>,
    /// Whether a cell may use the cells before it, at the places behind those of the row (lateral column aliases).
    lateral: bool,
    scratch: Vec<Value>,
    /// What the cells that are parts of texts take them from.
    texts: Texts,
}

impl Project {
    /// A projection whose cells see the row alone.
    pub fn new(cells: Vec<Cell>) -> Self {
        Self {
            scratch: Vec::with_capacity(cells.len()),
            cells,
            lateral: false,
            texts: Texts::default(),
        }
    }

    /// With the texts that cells are parts of.
    pub(crate) fn with_texts(self, texts: Texts) -> Self {
        Self { texts, ..self }
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
    fn value(
        &mut self,
        row: &[Value],
        texts: &mut Texts,
        meta: &RecordMeta,
    ) -> Result<Value, RecordError> {
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
            Self::Part(place, last) => Ok(texts.value(*place, *last)),
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
        if !self.texts.is_empty() {
            self.texts.take_apart(row, meta)?;
        }
        if !self.lateral {
            for cell in &mut self.cells {
                let value = cell.value(row, &mut self.texts, meta)?;
                self.scratch.push(value);
            }
            return emit.emit(&self.scratch, meta);
        }
        self.scratch.extend_from_slice(row);
        for cell in &mut self.cells {
            let value = cell.value(&self.scratch, &mut self.texts, meta)?;
            self.scratch.push(value);
        }
        emit.emit(self.scratch.get(row.len()..).unwrap_or_default(), meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transforms::stage::{column, compute, through};

    fn double(place: usize) -> Box<dyn Eval> {
        compute(move |row| match row[place] {
            Value::Int(n) => Ok(Value::Int(n * 2)),
            _ => Ok(Value::Null),
        })
    }

    #[test]
    fn columns_are_picked_and_computed() {
        let mut project = Project::new(vec![Cell::Column(1), Cell::Computed(double(0))]);
        let rows = [
            vec![Value::Int(1), Value::from("a")],
            vec![Value::Int(2), Value::Null],
        ];
        assert_eq!(
            through(&mut project, &rows).unwrap().rows,
            [
                vec![Value::from("a"), Value::Int(2)],
                vec![Value::Null, Value::Int(4)]
            ]
        );
    }

    #[test]
    fn a_lateral_cell_sees_the_cells_before_it() {
        let cells = vec![
            Cell::Computed(double(0)),
            Cell::Computed(double(1)),
            Cell::Column(2),
        ];
        let mut project = Project::lateral(cells);
        let rows = [vec![Value::Int(3)], vec![Value::Int(5)]];
        let out = through(&mut project, &rows).unwrap().rows;
        assert_eq!(out[0], [Value::Int(6), Value::Int(12), Value::Int(12)]);
        assert_eq!(out[1], [Value::Int(10), Value::Int(20), Value::Int(20)]);
    }

    #[test]
    fn null_in_a_required_column_is_an_error_of_the_record() {
        let cell = Cell::Required(column(0), "column a is NULL".into());
        let mut project = Project::new(vec![cell]);
        assert!(through(&mut project, &[vec![Value::Int(1)]]).is_ok());
        let error = through(&mut project, &[vec![Value::Null]]).err().unwrap();
        assert_eq!(&*error.reason, "column a is NULL");
    }
}
