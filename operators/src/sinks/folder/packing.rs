//! Compression that can be cut off: what is written between two epochs is a member of its own.

use std::io::{self, Write};

use flate2::Compression as Level;
use flate2::write::GzEncoder;

/// How the bytes of a growing file are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not at all.
    Plain,
    /// One gzip member after the other.
    Gzip,
    /// One zstd frame after the other.
    Zstd,
}

impl Packing {
    /// The bytes as one member.
    pub(super) fn member(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(bytes.to_vec()),
            Self::Gzip => {
                let mut gzip =
                    GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Level::default());
                gzip.write_all(bytes)?;
                gzip.finish()
            }
            Self::Zstd => zstd::bulk::compress(bytes, zstd::DEFAULT_COMPRESSION_LEVEL),
        }
    }
}
