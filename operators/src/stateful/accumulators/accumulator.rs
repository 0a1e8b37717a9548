//! The contract of an accumulator: one aggregate of all groups.
//!
//! What it knows of one group lies in a *cell*: a few words inside the group's slot, all zero for a group that has no row
//! yet. Lists and long text do not fit there; they lie in a [`Slab`](super::slab::Slab) of the accumulator, and the cell
//! holds their number. Whoever owns the cells undoes a change by putting the old words back; the accumulator undoes what
//! it changed in its slab.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;

/// One aggregate of all groups.
pub trait Accumulator: Send {
    /// How many words a cell has.
    fn words(&self) -> usize;

    /// Takes in one row.
    ///
    /// # Errors
    /// When the aggregate overflows on it and `ansi` is on.
    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError>;

    /// Takes in what another cell has taken in, which comes after its own.
    ///
    /// # Errors
    /// As [`Accumulator::update`].
    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError>;

    /// The aggregate of what the cell has taken in.
    ///
    /// # Errors
    /// When it overflows and `ansi` is on.
    fn result(&self, cell: &[u64]) -> Result<Value, RecordError>;

    /// Appends the cell as bytes.
    fn write(&self, cell: &[u64], out: &mut Vec<u8>);

    /// Fills a cell that is all zero from such bytes; None when they are not such.
    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()>;

    /// The cell's group is gone. It may come back by [`Accumulator::reject`].
    fn free(&mut self, cell: &[u64]) {
        let _ = cell;
    }

    /// What happened since the last call stays.
    fn accept(&mut self) {}

    /// What happened since the last call is undone; the owner of the cells puts their words back.
    fn reject(&mut self) {}

    /// Bytes of memory that it takes outside the cells.
    fn bytes(&self) -> usize {
        0
    }
}
