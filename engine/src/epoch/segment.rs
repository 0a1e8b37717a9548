//! A segment: bytes that an output keeps beside the checkpoints until they are complete, several strands of them in one object.
//!
//! It is an object as those of state are, in `blocks`, so whoever copies or verifies them has it too. An entry
//! is a piece of a strand behind its place; a strand begins with a block of its own, so that it can be read alone.

use std::io::{self, Read};

use crate::epoch::blocks::{Writer, block, damaged};
use crate::epoch::store::{Fetch, Store};
use crate::state::split;

/// The layout in its header.
const LAYOUT: &str = "\"segment 1\"";
/// So many bytes of a strand are one entry.
const PIECE: usize = 64 * 1024;

/// Where a strand stands in its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The byte with which it begins.
    pub from: u64,
    /// How many bytes it takes there.
    pub length: u64,
}

/// Writes strands, none of which is empty, as a new object. Gives its bytes and where each strand stands.
///
/// # Errors
/// As [`Store::write`].
pub fn write(store: &dyn Store, name: &str, strands: &[Vec<u8>]) -> io::Result<(u64, Vec<Span>)> {
    let mut spans = Vec::with_capacity(strands.len());
    let bytes = store.write(name, &mut |out| {
        spans.clear();
        let mut writer = Writer::new(out, name, false, LAYOUT)?;
        for (number, strand) in strands.iter().enumerate() {
            let from = writer.end_block()?;
            for (place, piece) in strand.chunks(PIECE).enumerate() {
                let key = [(number as u64).to_be_bytes(), (place as u64).to_be_bytes()].concat();
                writer.entry(&key, Some(piece))?;
            }
            let length = writer.end_block()? - from;
            spans.push(Span { from, length });
        }
        writer.finish()
    })?;
    Ok((bytes, spans))
}

/// Reads a strand of an object from its first byte to its last. Memory: a piece.
///
/// # Errors
/// `NotFound`, or what the store says; whoever reads what is damaged is told so.
pub fn read(store: &dyn Store, name: &str, span: Span) -> io::Result<Strand> {
    fetch(store, name, span).arrive()
}

/// As [`read`], asked now and waited for later: others may be on their way meanwhile.
pub fn fetch<'s>(store: &'s dyn Store, name: &str, span: Span) -> Coming<'s> {
    Coming {
        from: store.fetch(name, span.from, span.length),
        span,
    }
}

/// A strand that may be on its way.
pub struct Coming<'s> {
    from: Fetch<'s>,
    span: Span,
}

impl Coming<'_> {
    /// The bytes that it takes in its object.
    pub fn bytes(&self) -> u64 {
        self.span.length
    }

    /// Waits for it.
    ///
    /// # Errors
    /// As [`read`].
    pub fn arrive(self) -> io::Result<Strand> {
        Ok(Strand {
            from: (self.from)()?,
            left: self.span.length,
            block: Vec::new(),
            at: 0,
            piece: 0,
        })
    }
}

/// A strand that is being read.
pub struct Strand {
    from: Box<dyn Read + Send>,
    /// Bytes of blocks that are not read.
    left: u64,
    block: Vec<u8>,
    /// Where the entries begin that are not read, and how many bytes of a piece stand before them.
    at: usize,
    piece: usize,
}

impl Read for Strand {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece == 0 {
            if self.at >= self.block.len() {
                if self.left == 0 {
                    return Ok(0);
                }
                let (length, _) = block(&mut self.from, &mut self.block)?;
                let taken = 8 + u64::from(length);
                self.left = self
                    .left
                    .checked_sub(taken)
                    .ok_or_else(|| damaged("it is not the strand that was written"))?;
                self.at = 0;
            }
            let rest = self.block.get(self.at..).unwrap_or_default();
            let ((_, value), behind) =
                split(rest).ok_or_else(|| damaged("its entries are not whole"))?;
            self.piece = value.map_or(0, <[u8]>::len);
            self.at = self.block.len() - behind.len();
        }
        let begin = self.at - self.piece;
        let piece = self.block.get(begin..self.at).unwrap_or_default();
        let count = piece.len().min(into.len());
        into[..count].copy_from_slice(&piece[..count]);
        self.piece -= count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::state_store;
    use crate::epoch::store::FolderStore;

    #[test]
    fn each_strand_is_read_alone_and_the_object_is_whole_as_state_is() {
        let dir = tempfile::tempdir().unwrap();
        let store = FolderStore::lock(dir.path()).unwrap();
        let strands: Vec<Vec<u8>> = [1_usize, 200, PIECE, 3 * PIECE + 7]
            .iter()
            .enumerate()
            .map(|(number, length)| {
                (0..*length)
                    .map(|byte| (byte * 31 + number) as u8)
                    .collect()
            })
            .collect();
        let (bytes, spans) = write(&store, "state/run-1-rows", &strands).unwrap();
        assert_eq!(
            bytes,
            std::fs::metadata(dir.path().join("state/run-1-rows"))
                .unwrap()
                .len()
        );
        for (strand, span) in strands.iter().zip(&spans) {
            let mut found = Vec::new();
            let mut reader = read(&store, "state/run-1-rows", *span).unwrap();
            reader.read_to_end(&mut found).unwrap();
            assert!(found == *strand, "{span:?}");
        }
        state_store::verify(&store, "state/run-1-rows").unwrap();
        let path = dir.path().join("state/run-1-rows");
        let mut content = std::fs::read(&path).unwrap();
        let middle = usize::try_from(spans[3].from + spans[3].length / 2).unwrap();
        content[middle] ^= 1;
        std::fs::write(&path, content).unwrap();
        let mut reader = read(&store, "state/run-1-rows", spans[3]).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let mut reader = read(&store, "state/run-1-rows", spans[2]).unwrap();
        reader.read_to_end(&mut Vec::new()).unwrap();
    }
}
