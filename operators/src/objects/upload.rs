//! An object that is being written: at once where it is small, in parts where it is not. It appears when all of it is there.

use std::io::{self, Write};

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};

use super::store::{Store, path};
use super::trouble::{closed, trouble};

/// Of a larger object so many bytes are sent at once.
const PART: usize = 8 << 20;

pub(super) struct Upload<'s> {
    store: &'s Store,
    at: Path,
    part: Vec<u8>,
    parts: Option<Box<dyn MultipartUpload>>,
    written: u64,
}

impl<'s> Upload<'s> {
    pub(super) fn begin(store: &'s Store, key: &str) -> io::Result<Self> {
        Ok(Self {
            store,
            at: path(key)?,
            part: Vec::new(),
            parts: None,
            written: 0,
        })
    }

    fn send(&mut self) -> io::Result<()> {
        let at = self.at.clone();
        let mut parts = match self.parts.take() {
            Some(parts) => parts,
            None => self
                .store
                .ask(|client| async move { client.put_multipart(&at).await })?,
        };
        let payload = PutPayload::from(std::mem::take(&mut self.part));
        let (sent, parts) = self.store.ask(|_| async move {
            let sent = parts.put_part(payload).await;
            Ok((sent, parts))
        })?;
        self.parts = Some(parts);
        sent.map_err(|error| trouble(&error))
    }

    /// All of it is written. Gives its bytes.
    pub(super) fn finish(&mut self) -> io::Result<u64> {
        if self.parts.is_none() {
            let (at, payload) = (
                self.at.clone(),
                PutPayload::from(std::mem::take(&mut self.part)),
            );
            self.store
                .ask(|client| async move { client.put(&at, payload).await })?;
            return Ok(self.written);
        }
        if !self.part.is_empty() {
            self.send()?;
        }
        let mut parts = self.parts.take().ok_or_else(closed)?;
        let (completed, parts) = self.store.ask(|_| async move {
            let completed = parts.complete().await;
            Ok((completed, parts))
        })?;
        self.parts = Some(parts);
        completed.map_err(|error| trouble(&error))?;
        self.parts = None;
        Ok(self.written)
    }

    /// What was sent is given up. It is seen by nobody, and where this fails too the bucket's rules remove it.
    pub(super) fn abort(mut self) {
        if let Some(mut parts) = self.parts.take() {
            let _ = self.store.ask(|_| async move { parts.abort().await });
        }
    }
}

impl Write for Upload<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART - self.part.len());
        self.part.extend_from_slice(&bytes[..taken]);
        self.written += taken as u64;
        if self.part.len() == PART {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
