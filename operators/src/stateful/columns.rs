//! The aggregates of a GROUP BY side by side: one cell of words for all of them.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;

use super::accumulators::{self, Accumulator};
use super::bytes::take;
use super::grouping::Aggregate;

struct Column {
    identity: String,
    accumulator: Box<dyn Accumulator>,
    filter: Option<usize>,
    /// Its words in the cell.
    begin: usize,
    end: usize,
}

/// The aggregates of a GROUP BY.
pub struct Columns {
    columns: Vec<Column>,
    words: usize,
}

/// The longest content whose length is one byte.
const SHORT: usize = 254;

impl Columns {
    /// The aggregates in their order.
    pub fn new(aggregates: &[Aggregate]) -> Self {
        let mut words = 0;
        let columns = aggregates.iter().map(|aggregate| {
            let accumulator = accumulators::build(aggregate);
            let begin = words;
            words += accumulator.words();
            Column {
                identity: identity(aggregate),
                accumulator,
                filter: aggregate.filter,
                begin,
                end: words,
            }
        });
        let columns = columns.collect();
        Self { columns, words }
    }

    /// How many words a cell has.
    pub fn words(&self) -> usize {
        self.words
    }

    /// By what each is known from run to run.
    pub fn identities(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.identity.as_str())
    }

    /// Takes in one row.
    ///
    /// # Errors
    /// When an aggregate overflows.
    #[inline]
    pub fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        for column in &mut self.columns {
            if column
                .filter
                .is_none_or(|place| matches!(row[place], Value::Boolean(true)))
            {
                let cell = &mut cell[column.begin..column.end];
                column.accumulator.update(cell, row)?;
            }
        }
        Ok(())
    }

    /// Takes in another cell.
    ///
    /// # Errors
    /// When an aggregate overflows.
    #[inline]
    pub fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        for column in &mut self.columns {
            let (begin, end) = (column.begin, column.end);
            column
                .accumulator
                .merge(&mut into[begin..end], &from[begin..end])?;
        }
        Ok(())
    }

    /// How many aggregates there are.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The result of one aggregate.
    ///
    /// # Errors
    /// When it overflows.
    pub fn result(&self, column: usize, cell: &[u64]) -> Result<Value, RecordError> {
        let column = &self.columns[column];
        column.accumulator.result(&cell[column.begin..column.end])
    }

    /// Appends the results.
    ///
    /// # Errors
    /// When an aggregate overflows.
    #[inline]
    pub fn results(&self, cell: &[u64], out: &mut Vec<Value>) -> Result<(), RecordError> {
        for column in &self.columns {
            out.push(column.accumulator.result(&cell[column.begin..column.end])?);
        }
        Ok(())
    }

    /// Appends the cell: each aggregate with its length before it, so that one that is no longer known can be passed over.
    #[inline]
    pub fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        for column in &self.columns {
            let at = out.len();
            out.push(0);
            column
                .accumulator
                .write(&cell[column.begin..column.end], out);
            let length = out.len() - at - 1;
            match u8::try_from(length) {
                Ok(short) if length <= SHORT => out[at] = short,
                _ => {
                    out[at] = u8::MAX;
                    let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
                    out.splice(at + 1..at + 1, length);
                }
            }
        }
    }

    /// Fills a cell that is all zero. `places` says of each aggregate in the bytes which one it is here; None for one that
    /// there is no longer. None when the bytes are not such a cell.
    pub fn read(
        &mut self,
        cell: &mut [u64],
        places: &[Option<usize>],
        bytes: &mut &[u8],
    ) -> Option<()> {
        for place in places {
            let length = match take(bytes, 1)?[0] {
                u8::MAX => u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?) as usize,
                short => usize::from(short),
            };
            let mut content = take(bytes, length)?;
            if let Some(place) = place {
                let column = &mut self.columns[*place];
                let cell = &mut cell[column.begin..column.end];
                column.accumulator.read(cell, &mut content)?;
                if !content.is_empty() {
                    return None;
                }
            }
        }
        Some(())
    }

    /// Adds the aggregates of a saved cell that `places` names to those of this one. None when the bytes are not such a cell.
    ///
    /// # Errors
    /// When an aggregate overflows.
    pub fn merge_saved(
        &mut self,
        into: &mut [u64],
        places: &[Option<usize>],
        bytes: &mut &[u8],
    ) -> Result<Option<()>, RecordError> {
        let mut cell = vec![0; self.words];
        if self.read(&mut cell, places, bytes).is_none() {
            return Ok(None);
        }
        for place in places.iter().flatten() {
            let column = &mut self.columns[*place];
            let words = column.begin..column.end;
            let accumulator = &mut column.accumulator;
            accumulator.merge(&mut into[words.clone()], &cell[words.clone()])?;
            accumulator.free(&cell[words]);
        }
        Ok(Some(()))
    }

    /// The cell's group is gone; it may come back by [`Columns::reject`].
    #[inline]
    pub fn free(&mut self, cell: &[u64]) {
        for column in &mut self.columns {
            column.accumulator.free(&cell[column.begin..column.end]);
        }
    }

    /// What happened since the last call stays.
    #[inline]
    pub fn accept(&mut self) {
        for column in &mut self.columns {
            column.accumulator.accept();
        }
    }

    /// What happened since the last call is undone, but for the words of the cells.
    pub fn reject(&mut self) {
        for column in &mut self.columns {
            column.accumulator.reject();
        }
    }

    /// Bytes of memory outside the cells.
    pub fn bytes(&self) -> usize {
        self.columns
            .iter()
            .map(|column| column.accumulator.bytes())
            .sum()
    }
}

/// The expression and all that changes what the bytes of its cell mean.
fn identity(aggregate: &Aggregate) -> String {
    let types: Vec<_> = aggregate.types.iter().map(ToString::to_string).collect();
    format!(
        "{}{} {} ({}) {}",
        aggregate.function,
        if aggregate.distinct { " distinct" } else { "" },
        aggregate.identity,
        types.join(", "),
        aggregate.result
    )
}
