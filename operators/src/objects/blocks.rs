//! Jumps in an object: blocks of it that are kept as long as they are used, for formats that read here and there.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;

#[cfg(feature = "parquet")]
use super::object::AHEAD;
use super::object::{BLOCK, Object};

/// So many blocks are kept of an object.
const BLOCKS_MAX: usize = 64;

/// Blocks that were fetched, each with when it was used last.
#[derive(Default)]
pub(super) struct Blocks {
    held: HashMap<u64, (Bytes, u64)>,
    uses: u64,
}

impl Object {
    /// How many bytes it has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// What went wrong last, if something did.
    pub(crate) fn fault(&self) -> Option<io::Error> {
        let fault = self.fault.lock();
        let (kind, text) = fault.as_ref()?;
        Some(io::Error::new(*kind, text.clone()))
    }

    /// The bytes of a block.
    fn block(&self, number: u64) -> io::Result<Bytes> {
        let mut blocks = self.blocks.lock();
        blocks.uses += 1;
        let now = blocks.uses;
        if let Some((bytes, used)) = blocks.held.get_mut(&number) {
            *used = now;
            return Ok(bytes.clone());
        }
        let first = if number == 0 {
            self.first.lock().take()
        } else {
            None
        };
        let bytes = match first {
            Some(bytes) => bytes,
            None => self.fetch(number * BLOCK, BLOCK)?.bytes,
        };
        if blocks.held.len() >= BLOCKS_MAX {
            let oldest = blocks.held.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(number, _)| *number) {
                blocks.held.remove(&oldest);
            }
        }
        blocks.held.insert(number, (bytes.clone(), now));
        Ok(bytes)
    }

    /// So many bytes from there on.
    ///
    /// # Errors
    /// When they cannot be fetched, or there are fewer.
    #[cfg(feature = "parquet")]
    pub(crate) fn bytes(self: &Arc<Self>, from: u64, length: usize) -> io::Result<Bytes> {
        if length as u64 >= AHEAD {
            let bytes = self.fetch(from, length as u64)?.bytes;
            return if bytes.len() == length {
                Ok(bytes)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        let mut bytes = vec![0; length];
        At::new(self, from).read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// Reads from a place on, a block at a time.
pub(crate) struct At {
    object: Arc<Object>,
    at: u64,
}

impl At {
    pub(crate) fn new(object: &Arc<Object>, at: u64) -> Self {
        Self {
            object: Arc::clone(object),
            at,
        }
    }
}

impl Read for At {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.object.size || into.is_empty() {
            return Ok(0);
        }
        let block = self.object.block(self.at / BLOCK)?;
        let skip = usize::try_from(self.at % BLOCK).unwrap_or(usize::MAX);
        let rest = block.get(skip..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.at += count as u64;
        Ok(count)
    }
}
