//! The bytes of a file, wherever it lies: what formats read.

use std::fs::File;
use std::io::{self, Read};
#[cfg(any(feature = "parquet", feature = "orc"))]
use std::io::{BufReader, Seek, SeekFrom};
#[cfg(all(feature = "object-store", any(feature = "parquet", feature = "orc")))]
use std::sync::Arc;

#[cfg(any(feature = "parquet", feature = "orc"))]
use super::format::FileFault;
#[cfg(feature = "object-store")]
use crate::objects;

/// The bytes of a file: read from its begin on, or at any place.
pub enum Content {
    /// A file of this machine, open for reading and at its begin.
    File(File),
    /// An object of a store.
    #[cfg(feature = "object-store")]
    Object(Remote),
}

/// An object that is read from its begin on.
#[cfg(feature = "object-store")]
pub struct Remote(pub(crate) objects::Stream);

impl Read for Content {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(into),
            #[cfg(feature = "object-store")]
            Self::Object(stream) => stream.0.read(into),
        }
    }
}

/// The same for formats of blocks, which jump.
#[cfg(any(feature = "parquet", feature = "orc"))]
pub(super) enum Places {
    File(File),
    #[cfg(feature = "object-store")]
    Object(Arc<objects::Object>),
}

#[cfg(any(feature = "parquet", feature = "orc"))]
impl Places {
    pub(super) fn of(content: Content) -> Self {
        match content {
            Content::File(file) => Self::File(file),
            #[cfg(feature = "object-store")]
            Content::Object(stream) => Self::Object(Arc::clone(stream.0.object())),
        }
    }

    /// What keeps watch over what goes wrong below a format.
    pub(super) fn watch(&self) -> Watch {
        match self {
            Self::File(_) => Watch::File,
            #[cfg(feature = "object-store")]
            Self::Object(object) => Watch::Object(Arc::clone(object)),
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::File(file) => file.metadata().map_or(0, |facts| facts.len()),
            #[cfg(feature = "object-store")]
            Self::Object(object) => object.size(),
        }
    }

    /// Whether so many bytes stand there. A damaged length is asked for first, and memory for it would end the process.
    fn holds(&self, place: u64, length: u64) -> io::Result<()> {
        match place.checked_add(length) {
            Some(end) if end <= self.size() => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{length} bytes at {place} are beyond the end of the file"),
            )),
        }
    }

    fn onward(&self, place: u64) -> io::Result<Onward> {
        match self {
            Self::File(file) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(place))?;
                Ok(Onward::File(BufReader::new(file)))
            }
            #[cfg(feature = "object-store")]
            Self::Object(object) => Ok(Onward::Object(objects::At::new(object, place))),
        }
    }
}

/// Reads from a place on.
#[cfg(any(feature = "parquet", feature = "orc"))]
pub(super) enum Onward {
    File(BufReader<File>),
    #[cfg(feature = "object-store")]
    Object(objects::At),
}

#[cfg(any(feature = "parquet", feature = "orc"))]
impl Read for Onward {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(into),
            #[cfg(feature = "object-store")]
            Self::Object(object) => object.read(into),
        }
    }
}

#[cfg(feature = "parquet")]
impl parquet::file::reader::Length for Places {
    fn len(&self) -> u64 {
        self.size()
    }
}

#[cfg(feature = "parquet")]
impl parquet::file::reader::ChunkReader for Places {
    type T = Onward;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Onward> {
        Ok(self.onward(start)?)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<bytes::Bytes> {
        self.holds(start, length as u64)?;
        match self {
            Self::File(file) => parquet::file::reader::ChunkReader::get_bytes(file, start, length),
            #[cfg(feature = "object-store")]
            Self::Object(object) => Ok(object.bytes(start, length)?),
        }
    }
}

#[cfg(feature = "orc")]
impl orc_rust::reader::ChunkReader for Places {
    type T = Onward;

    fn len(&self) -> u64 {
        self.size()
    }

    fn get_read(&self, offset_from_start: u64) -> io::Result<Onward> {
        self.onward(offset_from_start)
    }

    fn get_bytes(&self, offset_from_start: u64, length: u64) -> io::Result<bytes::Bytes> {
        self.holds(offset_from_start, length)?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.onward(offset_from_start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// Knows what went wrong below a format, which tells it in words of its own.
#[cfg(any(feature = "parquet", feature = "orc"))]
pub(super) enum Watch {
    File,
    #[cfg(feature = "object-store")]
    Object(Arc<objects::Object>),
}

#[cfg(any(feature = "parquet", feature = "orc"))]
impl Watch {
    /// Why the bytes could not be read, if it was that.
    pub(super) fn fault(&self) -> Option<FileFault> {
        match self {
            Self::File => None,
            #[cfg(feature = "object-store")]
            Self::Object(object) => object.fault().map(|error| super::text::fault(&error)),
        }
    }
}
