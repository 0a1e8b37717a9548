//! An object of the folder `state` as bytes: a header, blocks of entries, a seal.
//!
//! It is a sequence of blocks, each `length, crc32c` (32-bit little-endian numbers) and its bytes. The first holds
//! the header as JSON, the next ones whole entries sorted by key, one entry per key; the last is empty and its checksum is
//! that of the number of entries (64-bit), so that a truncated object is noticed. The header says the object's own name, so
//! that one that lies in the place of another is noticed: all of them are whole, and a wrong one would count wrongly.
//!
//! | given | then |
//! | --- | --- |
//! | a checksum that does not match, an end that is missing | damaged |
//! | a header of another format | of another version |
//! | a header with another name | another object, put in its place |
//! | a header without a name | of an early version, taken as it is |

use std::io::{self, BufRead as _, BufReader, Read, Write};

use serde::{Deserialize, Serialize};

use crate::epoch::store::Store;
use crate::state::{put, remove, split};

/// The format that this version writes and reads.
const FORMAT: u32 = 1;
/// Bytes after which a block is full; an entry that is larger has a block of its own.
pub(super) const BLOCK: usize = 64 * 1024;
/// The longest block that is read: entries have lengths of 32 bits.
const BLOCK_MAX: u32 = u32::MAX - 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    format: u32,
    /// The object's own name, without its folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Whether the object is the whole state.
    pub(super) whole: bool,
    /// What its keys and values mean.
    pub(super) layout: String,
}

/// The name of an object within its folder.
fn own(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, own)| own)
}

pub(super) fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// An error with the object that it is about.
pub(super) fn of(name: &str, error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() && error.kind() != io::ErrorKind::NotFound {
        // What the system says of the process (too many open files) is asked for by its number.
        return error;
    }
    io::Error::new(error.kind(), format!("{name}: {error}"))
}

/// Writes an object entry by entry.
pub(super) struct Writer<'a> {
    out: &'a mut dyn Write,
    block: Vec<u8>,
    count: u64,
    /// Bytes of the blocks that are written.
    written: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        out: &'a mut dyn Write,
        name: &str,
        whole: bool,
        layout: &str,
    ) -> io::Result<Self> {
        let header = Header {
            format: FORMAT,
            name: Some(own(name).to_owned()),
            whole,
            layout: layout.to_owned(),
        };
        let mut writer = Self {
            out,
            block: serde_json::to_vec(&header)?,
            count: 0,
            written: 0,
        };
        writer.flush()?;
        Ok(writer)
    }

    pub(super) fn entry(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        match value {
            Some(value) => put(&mut self.block, key, |out| out.extend_from_slice(value)),
            None => remove(&mut self.block, key),
        }
        self.count += 1;
        if self.block.len() >= BLOCK {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the block, so that what comes next begins one. Gives how many bytes stand before that.
    pub(super) fn end_block(&mut self) -> io::Result<u64> {
        if !self.block.is_empty() {
            self.flush()?;
        }
        Ok(self.written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let length = u32::try_from(self.block.len())
            .ok()
            .filter(|length| *length <= BLOCK_MAX)
            .ok_or_else(|| damaged("an entry of more than 4 GB"))?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out
            .write_all(&crc32c::crc32c(&self.block).to_le_bytes())?;
        self.out.write_all(&self.block)?;
        self.written += 8 + self.block.len() as u64;
        self.block.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.end_block()?;
        self.out.write_all(&0_u32.to_le_bytes())?;
        let seal = crc32c::crc32c(&self.count.to_le_bytes());
        self.out.write_all(&seal.to_le_bytes())
    }
}

/// Reads a block in the place of what `into` holds. Gives its length and its checksum, which it has unless it is the last.
pub(super) fn block(from: &mut impl Read, into: &mut Vec<u8>) -> io::Result<(u32, u32)> {
    let mut head = [0; 8];
    from.read_exact(&mut head)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it is truncated"),
            _ => error,
        })?;
    let [a, b, c, d, e, f, g, h] = head;
    let (length, crc) = (
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    );
    into.clear();
    // The length is not to be trusted before the checksum: nothing is allocated for what is not there.
    from.take(u64::from(length)).read_to_end(into)?;
    if into.len() < length as usize {
        return Err(damaged("it is truncated"));
    }
    if length > 0 && crc32c::crc32c(into) != crc {
        return Err(damaged("its checksum does not match"));
    }
    Ok((length, crc))
}

/// Reads an object entry by entry, a block at a time.
pub(super) struct Reader {
    name: String,
    from: BufReader<Box<dyn Read + Send>>,
    pub(super) header: Header,
    /// The entries of the block that was read last.
    pub(super) block: Vec<u8>,
    at: usize,
    count: u64,
}

/// A key with its value.
type Owned = (Vec<u8>, Option<Vec<u8>>);

impl Reader {
    /// Opens an object.
    pub(super) fn open(store: &dyn Store, name: &str) -> io::Result<Self> {
        Self::of(name, store.read(name)?)
    }

    /// Reads an object from its first byte on.
    pub(super) fn of(name: &str, from: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut reader = Self {
            name: name.to_owned(),
            from: BufReader::with_capacity(16 * 1024, from),
            header: Header {
                format: FORMAT,
                name: None,
                whole: false,
                layout: String::new(),
            },
            block: Vec::new(),
            at: 0,
            count: 0,
        };
        if reader.block()?.is_none() {
            return Err(damaged("it has no header"));
        }
        let value: serde_json::Value =
            serde_json::from_slice(&reader.block).map_err(|_| damaged("its header is no JSON"))?;
        let format = value.get("format").and_then(serde_json::Value::as_u64);
        if format != Some(u64::from(FORMAT)) {
            return Err(damaged(&format!(
                "it has format {}, and this version reads format {FORMAT}",
                format.map_or_else(|| "none".to_owned(), |format| format.to_string())
            )));
        }
        reader.header = serde_json::from_value(value)
            .map_err(|error| damaged(&format!("its header is not as expected: {error}")))?;
        reader.block.clear();
        match &reader.header.name {
            Some(other) if other != own(name) => Err(damaged(&format!(
                "it is the object {other}, which was put in its place"
            ))),
            _ => Ok(reader),
        }
    }

    /// The next block; None at the end, whose checksum is that of the number of entries.
    fn block(&mut self) -> io::Result<Option<()>> {
        self.at = 0;
        let (length, crc) = block(&mut self.from, &mut self.block)?;
        if length == 0 {
            if crc != crc32c::crc32c(&self.count.to_le_bytes()) {
                return Err(damaged("entries are missing"));
            }
            return match self.from.fill_buf()? {
                [] => Ok(None),
                _ => Err(damaged("something stands behind its end")),
            };
        }
        Ok(Some(()))
    }

    /// Reads the next block of entries; false at the end.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        if self.block()?.is_none() {
            return Ok(false);
        }
        let mut rest = self.block.as_slice();
        while !rest.is_empty() {
            rest = split(rest)
                .ok_or_else(|| damaged("its entries are not whole"))?
                .1;
            self.count += 1;
        }
        Ok(true)
    }

    /// The next entry; an error says of which object.
    pub(super) fn named_next(&mut self) -> io::Result<Option<Owned>> {
        self.next().map_err(|error| of(&self.name, error))
    }

    fn next(&mut self) -> io::Result<Option<Owned>> {
        if self.at >= self.block.len() && !self.fill()? {
            return Ok(None);
        }
        let rest = &self.block[self.at..];
        let ((key, value), behind) =
            split(rest).ok_or_else(|| damaged("its entries are not whole"))?;
        let owned = (key.to_vec(), value.map(<[u8]>::to_vec));
        self.at += rest.len() - behind.len();
        Ok(Some(owned))
    }
}
