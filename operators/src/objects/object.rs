//! One object that is being read: from its begin on, or anywhere. What is held of it has a bound, whatever its size.
//!
//! It is fetched in ranges, and each range must still be of the object that the first one was of, by the store's tag. So a
//! store that goes away in the middle is waited for, and an object that is replaced in the middle is noticed.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use bytes::Bytes;
use object_store::path::Path;
use parking_lot::Mutex;

#[cfg(any(feature = "parquet", feature = "orc"))]
use super::blocks::Blocks;
use super::store::{Piece, Store, path};
use super::trouble::closed;

/// So many bytes are fetched at once where reading goes on and on.
pub(super) const AHEAD: u64 = 4 << 20;
/// How much is fetched at first, and at once where reading jumps.
pub(super) const BLOCK: u64 = 512 << 10;

/// Who decides how long a store that is away is waited for.
pub(crate) trait Patience: Send + Sync {
    /// It has been away so many times in a row, for this reason: waits a while. False: no more.
    fn wait(&self, times: u32, why: &io::Error) -> bool;
    /// It answers again.
    fn answers(&self);
}

/// An object of which something was read already.
pub(crate) struct Object {
    store: Arc<Store>,
    at: Path,
    pub(super) size: u64,
    tag: Option<String>,
    patience: Arc<dyn Patience>,
    /// The first bytes, until somebody reads them.
    pub(super) first: Mutex<Option<Bytes>>,
    #[cfg(any(feature = "parquet", feature = "orc"))]
    pub(super) blocks: Mutex<Blocks>,
    /// What went wrong last: whoever reads through others may get it in their words only.
    #[cfg(any(feature = "parquet", feature = "orc"))]
    pub(super) fault: Mutex<Option<(io::ErrorKind, String)>>,
}

impl Object {
    /// Opens the object of a key, of which a listing said that it has this size.
    ///
    /// # Errors
    /// When it is not there or may not be read, and when nobody waits for the store any more.
    pub(crate) fn open(
        store: &Arc<Store>,
        key: &str,
        size: u64,
        patience: Arc<dyn Patience>,
    ) -> io::Result<Arc<Self>> {
        let mut object = Self {
            store: Arc::clone(store),
            at: path(key)?,
            size,
            tag: None,
            patience,
            first: Mutex::default(),
            #[cfg(any(feature = "parquet", feature = "orc"))]
            blocks: Mutex::default(),
            #[cfg(any(feature = "parquet", feature = "orc"))]
            fault: Mutex::default(),
        };
        // Of nothing no range can be asked for.
        if size > 0 {
            let piece = object.fetch(0, BLOCK)?;
            object.size = piece.size;
            object.tag = piece.tag;
            *object.first.get_mut() = Some(piece.bytes);
        }
        Ok(Arc::new(object))
    }

    fn begin(&self, from: u64, length: u64) -> Receiver<io::Result<Piece>> {
        let range = from..from.saturating_add(length);
        self.store.begin(&self.at, range, self.tag.as_deref())
    }

    pub(super) fn fetch(&self, from: u64, length: u64) -> io::Result<Piece> {
        self.patiently(self.begin(from, length), from, length)
    }

    /// Waits for an answer, and asks again as long as the store is away and somebody waits.
    fn patiently(
        &self,
        mut asked: Receiver<io::Result<Piece>>,
        from: u64,
        length: u64,
    ) -> io::Result<Piece> {
        let mut times = 0;
        loop {
            let answer = asked.recv().unwrap_or_else(|_| Err(closed()));
            let error = match answer {
                Ok(piece) => {
                    if times > 0 {
                        self.patience.answers();
                    }
                    return Ok(piece);
                }
                Err(error) => error,
            };
            times += 1;
            let lost = matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::StaleNetworkFileHandle
                    | io::ErrorKind::PermissionDenied
            );
            if lost || !self.patience.wait(times, &error) {
                // Whatever it is that is not of this object, it may be another way the next time.
                let kind = if lost {
                    error.kind()
                } else {
                    io::ErrorKind::NotConnected
                };
                #[cfg(any(feature = "parquet", feature = "orc"))]
                {
                    *self.fault.lock() = Some((kind, error.to_string()));
                }
                return Err(io::Error::new(kind, error.to_string()));
            }
            asked = self.begin(from, length);
        }
    }
}

/// Reads from the begin to the end, and fetches what comes next meanwhile.
pub(crate) struct Stream {
    object: Arc<Object>,
    /// What was fetched and is not read.
    bytes: Bytes,
    /// Where the bytes behind that begin, and those that are on their way.
    next: u64,
    coming: Option<Receiver<io::Result<Piece>>>,
}

impl Stream {
    pub(crate) fn new(object: &Arc<Object>) -> Self {
        Self {
            object: Arc::clone(object),
            bytes: Bytes::new(),
            next: 0,
            coming: None,
        }
    }

    /// The object that it reads.
    #[cfg(any(feature = "parquet", feature = "orc"))]
    pub(crate) fn object(&self) -> &Arc<Object> {
        &self.object
    }

    fn fill(&mut self) -> io::Result<()> {
        let object = &self.object;
        let first = if self.next == 0 {
            object.first.lock().take()
        } else {
            None
        };
        self.bytes = match (first, self.coming.take()) {
            (Some(first), _) => first,
            (None, Some(coming)) => object.patiently(coming, self.next, AHEAD)?.bytes,
            (None, None) => object.fetch(self.next, AHEAD)?.bytes,
        };
        self.next += self.bytes.len() as u64;
        if self.next < object.size {
            self.coming = Some(object.begin(self.next, AHEAD));
        }
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() && self.next < self.object.size {
            self.fill()?;
        }
        let count = self.bytes.len().min(into.len());
        into[..count].copy_from_slice(&self.bytes.split_to(count));
        Ok(count)
    }
}
