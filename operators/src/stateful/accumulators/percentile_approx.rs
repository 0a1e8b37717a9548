//! `percentile_approx`: a sketch of the values.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::accumulator::Accumulator;
use super::quantiles::{Sample, Sketch};
use super::slab::Slab;
use crate::stateful::bytes::{read_varint, take_array, write_varint};

/// What undoes a change of a sketch.
enum Undo {
    /// Its head was so long.
    Head(u64, usize),
    /// It was this.
    Whole(u64, Sketch),
}

/// A cell is the number of its sketch.
pub(super) struct PercentileApprox {
    argument: usize,
    data_type: DataType,
    error: f64,
    percentages: Vec<f64>,
    /// Whether the result is an array.
    several: bool,
    sketches: Slab<Sketch>,
    undo: Vec<Undo>,
    bytes: usize,
}

impl PercentileApprox {
    /// `parameters` are the accuracy and the percentages.
    pub(super) fn new(
        argument: usize,
        data_type: &DataType,
        parameters: &[f64],
        several: bool,
    ) -> Self {
        let (accuracy, percentages) = parameters.split_first().unwrap_or((&10_000.0, &[]));
        Self {
            argument,
            data_type: data_type.clone(),
            error: 1.0 / accuracy.max(1.0),
            percentages: percentages.to_vec(),
            several,
            sketches: Slab::default(),
            undo: Vec::new(),
            bytes: 0,
        }
    }

    /// The sketch of a cell, made if there is none; changed as a whole or only at its head.
    fn change(&mut self, cell: &mut [u64], whole: bool, change: impl FnOnce(&mut Sketch)) {
        if self.sketches.get(cell[0]).is_none() {
            cell[0] = self.sketches.insert(Sketch::default());
        }
        let Some(sketch) = self.sketches.get_mut(cell[0]) else {
            return;
        };
        self.undo.push(if whole {
            Undo::Whole(cell[0], sketch.clone())
        } else {
            Undo::Head(cell[0], sketch.head.len())
        });
        self.bytes -= sketch.bytes().min(self.bytes);
        change(sketch);
        self.bytes += sketch.bytes();
    }

    #[allow(clippy::cast_possible_truncation)]
    fn value(&self, number: f64) -> Value {
        match &self.data_type {
            DataType::TinyInt => Value::TinyInt(number as i8),
            DataType::SmallInt => Value::SmallInt(number as i16),
            DataType::Int => Value::Int(number as i32),
            DataType::BigInt => Value::BigInt(number as i64),
            DataType::Float => Value::Float(number as f32),
            DataType::Date => Value::Date(number as i32),
            DataType::Timestamp => Value::Timestamp(number as i64),
            DataType::TimestampNtz => Value::TimestampNtz(number as i64),
            DataType::YearMonthInterval => Value::YearMonthInterval(number as i32),
            DataType::DayTimeInterval => Value::DayTimeInterval(number as i64),
            DataType::Decimal { scale, .. } => {
                let unscaled = number * 10_f64.powi(i32::from(*scale));
                Value::Decimal((unscaled.round() as i128).into())
            }
            _ => Value::Double(number),
        }
    }
}

/// A value as a double; None for NULL.
#[allow(clippy::cast_precision_loss)]
fn number(value: &Value, data_type: &DataType) -> Option<f64> {
    Some(match value {
        Value::TinyInt(n) => f64::from(*n),
        Value::SmallInt(n) => f64::from(*n),
        Value::Int(n) | Value::Date(n) | Value::YearMonthInterval(n) => f64::from(*n),
        Value::BigInt(n)
        | Value::Timestamp(n)
        | Value::TimestampNtz(n)
        | Value::DayTimeInterval(n) => *n as f64,
        Value::Float(x) => f64::from(*x),
        Value::Double(x) => *x,
        Value::Decimal(n) => {
            let scale = match data_type {
                DataType::Decimal { scale, .. } => i32::from(*scale),
                _ => 0,
            };
            i128::from(*n) as f64 / 10_f64.powi(scale)
        }
        _ => return None,
    })
}

impl Accumulator for PercentileApprox {
    fn words(&self) -> usize {
        1
    }

    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        if let Some(number) = number(&row[self.argument], &self.data_type) {
            let whole = self.sketches.get(cell[0]).is_some_and(Sketch::is_full);
            let error = self.error;
            self.change(cell, whole, |sketch| sketch.add(number, error));
        }
        Ok(())
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        if let Some(other) = self.sketches.get(from[0]).cloned() {
            let error = self.error;
            self.change(into, true, |sketch| sketch.merge(&other, error));
        }
        Ok(())
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        let Some(sketch) = self.sketches.get(cell[0]) else {
            return Ok(Value::Null);
        };
        let mut sketch = sketch.clone();
        sketch.thin(self.error);
        let of = |share: &f64| {
            let number = sketch.quantile(*share, self.error);
            number.map_or(Value::Null, |number| self.value(number))
        };
        Ok(match self.percentages.as_slice() {
            [one] if !self.several => of(one),
            _ if sketch.count == 0 => Value::Null,
            all => Value::Array(all.iter().map(of).collect()),
        })
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        let none = Sketch::default();
        let sketch = self.sketches.get(cell[0]).unwrap_or(&none);
        write_varint(sketch.count, out);
        write_varint(sketch.samples.len() as u64, out);
        for sample in &sketch.samples {
            out.extend_from_slice(&sample.value.to_le_bytes());
            write_varint(sample.stands_for, out);
            write_varint(sample.delta, out);
        }
        write_varint(sketch.head.len() as u64, out);
        for value in &sketch.head {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        let mut sketch = Sketch {
            count: read_varint(bytes)?,
            ..Sketch::default()
        };
        for _ in 0..read_varint(bytes)? {
            sketch.samples.push(Sample {
                value: f64::from_le_bytes(take_array(bytes)?),
                stands_for: read_varint(bytes)?,
                delta: read_varint(bytes)?,
            });
        }
        for _ in 0..read_varint(bytes)? {
            sketch.head.push(f64::from_le_bytes(take_array(bytes)?));
        }
        if sketch != Sketch::default() {
            self.change(cell, false, |own| *own = sketch);
        }
        Some(())
    }

    fn free(&mut self, cell: &[u64]) {
        self.sketches.free(cell[0]);
    }

    fn accept(&mut self) {
        self.undo.clear();
        let bytes = &mut self.bytes;
        self.sketches
            .accept(|sketch| *bytes -= sketch.bytes().min(*bytes));
    }

    fn reject(&mut self) {
        while let Some(undo) = self.undo.pop() {
            let (Undo::Head(word, _) | Undo::Whole(word, _)) = &undo;
            if let Some(sketch) = self.sketches.get_mut(*word) {
                self.bytes -= sketch.bytes().min(self.bytes);
                match undo {
                    Undo::Head(_, length) => sketch.head.truncate(length),
                    Undo::Whole(_, before) => *sketch = before,
                }
                self.bytes += sketch.bytes();
            }
        }
        let bytes = &mut self.bytes;
        self.sketches
            .reject(|sketch| *bytes -= sketch.bytes().min(*bytes));
    }

    fn bytes(&self) -> usize {
        self.bytes + self.sketches.bytes()
    }
}
