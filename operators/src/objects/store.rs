//! A store as threads that may block see it: each question waits for its answer.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path as LocalPath;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, PutPayload,
};
use parking_lot::RwLock;
use thalweg_engine::error::Failure;
use thalweg_engine::record::Micros;

use super::open::client;
use super::remote::Remote;
use super::trouble::{closed, trouble};
use super::upload::Upload;
use crate::aside::Aside;

/// So many objects are listed at once.
const PAGE: usize = 1_000;

/// What a listing says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) key: String,
    pub(crate) size: u64,
    /// When it was written.
    pub(crate) time: Micros,
    /// The store's name for this content.
    pub(crate) tag: Option<String>,
}

impl Facts {
    fn of(meta: &ObjectMeta) -> Self {
        Self {
            key: meta.location.to_string(),
            size: meta.size,
            time: meta.last_modified.timestamp_micros(),
            tag: meta.e_tag.clone(),
        }
    }
}

/// Some bytes of an object.
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) tag: Option<String>,
    /// Of the whole object.
    pub(super) size: u64,
}

/// A bucket that can be reached.
pub(crate) struct Store {
    aside: Aside,
    /// Another one after a renewal; a question keeps the one that it began with.
    client: RwLock<Arc<dyn ObjectStore>>,
    /// What stands before each key: `s3://bucket`.
    root: String,
}

impl Store {
    /// Opens the bucket of a place. Nothing is asked of it yet, except for a key where nobody gives one.
    ///
    /// # Errors
    /// When address and options do not say enough.
    pub(crate) fn open(remote: &Remote) -> Result<Self, Failure> {
        let aside = Aside::start("object store")?;
        Ok(Self {
            client: RwLock::new(opened(&aside, remote)?),
            aside,
            root: remote.address.root.clone(),
        })
    }

    /// Asks with these keys from now on, once the bucket can be listed with them below the place. Blocks.
    ///
    /// # Errors
    /// When it cannot; the keys of before stay in force.
    pub(crate) fn renew(&self, remote: &Remote) -> Result<(), Failure> {
        let client = opened(&self.aside, remote)?;
        self.first_with(&client, &remote.address.key)
            .map_err(|error| Failure::refuse(format!("{}: {error}", self.root)))?;
        *self.client.write() = client;
        Ok(())
    }

    fn client(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.client.read())
    }

    /// What stands before each key: `s3://bucket`.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// The whole address of a key.
    pub(crate) fn url(&self, key: &str) -> String {
        format!("{}/{key}", self.root)
    }

    /// Asks, and waits for what is answered.
    pub(super) fn ask<T, F>(
        &self,
        question: impl FnOnce(Arc<dyn ObjectStore>) -> F,
    ) -> io::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        let asked = self.aside.ask(question(self.client()));
        let answer = asked.map_err(|_| closed())?;
        answer.map_err(|error| trouble(&error))
    }

    /// Shows each object below a key, which is a whole name or empty.
    ///
    /// # Errors
    /// When the bucket cannot be listed.
    pub(crate) fn each(&self, below: &str, mut visit: impl FnMut(Facts)) -> io::Result<()> {
        let prefix = (!below.is_empty()).then(|| path(below)).transpose()?;
        let mut listing = self.client().list(prefix.as_ref()).chunks(PAGE);
        loop {
            // The listing goes there and back, so that no more than a page is held.
            let (page, rest) = self.ask(|_| async move {
                let page = listing.next().await;
                Ok((page, listing))
            })?;
            listing = rest;
            let Some(page) = page else {
                return Ok(());
            };
            for found in page {
                visit(Facts::of(&found.map_err(|error| trouble(&error))?));
            }
        }
    }

    /// Asks for the first object below a key, to know whether the bucket can be listed at all.
    ///
    /// # Errors
    /// When it cannot.
    pub(crate) fn first(&self, below: &str) -> io::Result<Option<Facts>> {
        self.first_with(&self.client(), below)
    }

    fn first_with(&self, client: &Arc<dyn ObjectStore>, below: &str) -> io::Result<Option<Facts>> {
        let prefix = (!below.is_empty()).then(|| path(below)).transpose()?;
        let mut listing = client.list(prefix.as_ref());
        let first = self.ask(|_| async move { listing.next().await.transpose() })?;
        Ok(first.as_ref().map(Facts::of))
    }

    /// Begins to write an object and gives it up, to know whether it could be written: nothing appears.
    ///
    /// # Errors
    /// When it could not.
    pub(super) fn try_write(&self, key: &str) -> io::Result<()> {
        let at = path(key)?;
        let upload = self.ask(|client| async move { client.put_multipart(&at).await })?;
        let (sent, mut upload) = self.send_part(upload, b"\n".to_vec())?;
        // What is left of it is seen by nobody, and the bucket's rules remove it.
        let _ = self.ask(|_| async move { upload.abort().await });
        sent
    }

    /// Sends a part of an object; the upload goes there and back.
    fn send_part(
        &self,
        mut upload: Box<dyn MultipartUpload>,
        part: Vec<u8>,
    ) -> io::Result<(io::Result<()>, Box<dyn MultipartUpload>)> {
        let payload = PutPayload::from(part);
        let (sent, upload) = self.ask(|_| async move {
            let sent = upload.put_part(payload).await;
            Ok((sent, upload))
        })?;
        Ok((sent.map_err(|error| trouble(&error)), upload))
    }

    /// What is known of an object; None where there is none.
    ///
    /// # Errors
    /// When the bucket does not say.
    pub(crate) fn look(&self, key: &str) -> io::Result<Option<Facts>> {
        let at = path(key)?;
        match self.ask(|client| async move { client.head(&at).await }) {
            Ok(meta) => Ok(Some(Facts::of(&meta))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins to fetch a part of an object, which still has this tag; the answer is waited for elsewhere.
    pub(super) fn begin(
        &self,
        at: &Path,
        range: Range<u64>,
        tag: Option<&str>,
    ) -> Receiver<io::Result<Piece>> {
        let (answer, answered) = sync_channel(1);
        let (client, at) = (self.client(), at.clone());
        let options = GetOptions::new()
            .with_range(Some(GetRange::Bounded(range)))
            .with_if_match(tag);
        self.aside.spawn(async move {
            let got = async {
                let got = client.get_opts(&at, options).await?;
                let (tag, size) = (got.meta.e_tag.clone(), got.meta.size);
                let bytes = got.bytes().await?;
                Ok(Piece { bytes, tag, size })
            };
            let got: object_store::Result<Piece> = got.await;
            // Whoever asked may have gone.
            let _ = answer.send(got.map_err(|error| trouble(&error)));
        });
        answered
    }

    /// Removes an object; that there is none is as good.
    ///
    /// # Errors
    /// When the bucket does not do it.
    pub(crate) fn remove(&self, key: &str) -> io::Result<()> {
        let at = path(key)?;
        match self.ask(|client| async move { client.delete(&at).await }) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives an object another key of the bucket.
    ///
    /// # Errors
    /// When there is none, or the bucket does not do it.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (source, target) = (path(from)?, path(to)?);
        self.ask(|client| async move { client.copy(&source, &target).await })?;
        self.remove(from)
    }

    /// Removes objects, so many at once. Gives the numbers of those that could not be, each with the reason.
    ///
    /// # Errors
    /// For a key that is none.
    pub(crate) fn remove_all(
        &self,
        keys: Vec<String>,
        at_once: usize,
    ) -> io::Result<Vec<(usize, io::Error)>> {
        let keys = keys.iter().map(|key| path(key));
        let keys = keys.collect::<io::Result<Vec<Path>>>()?;
        let failed = self.ask(|client| async move {
            let removals = keys.into_iter().enumerate().map(|(index, at)| {
                let client = Arc::clone(&client);
                async move { Some((index, client.delete(&at).await.err()?)) }
            });
            let removals = futures_util::stream::iter(removals).buffer_unordered(at_once);
            Ok(removals
                .filter_map(std::future::ready)
                .collect::<Vec<_>>()
                .await)
        })?;
        let failed = failed.into_iter();
        Ok(failed
            .map(|(index, error)| (index, trouble(&error)))
            .filter(|(_, error)| error.kind() != io::ErrorKind::NotFound)
            .collect())
    }

    /// The bytes of an object.
    ///
    /// # Errors
    /// `NotFound` where there is none, or what the bucket says.
    pub(crate) fn get(&self, key: &str) -> io::Result<Vec<u8>> {
        let at = path(key)?;
        let bytes = self.ask(|client| async move { client.get(&at).await?.bytes().await })?;
        Ok(bytes.into())
    }

    /// Puts an object where there is none.
    ///
    /// # Errors
    /// `AlreadyExists` where there is one, or what the bucket says: it may then have been put or not.
    pub(crate) fn put_new(&self, key: &str, bytes: Vec<u8>) -> io::Result<()> {
        let at = path(key)?;
        let payload = PutPayload::from(bytes);
        let new = PutOptions::from(PutMode::Create);
        self.ask(|client| async move { client.put_opts(&at, payload, new).await })?;
        Ok(())
    }

    /// The names of what stands right below a key, as far as it has something below itself.
    ///
    /// # Errors
    /// When the bucket cannot be listed.
    pub(crate) fn folders(&self, below: &str) -> io::Result<Vec<String>> {
        let prefix = (!below.is_empty()).then(|| path(below)).transpose()?;
        let found =
            self.ask(|client| async move { client.list_with_delimiter(prefix.as_ref()).await })?;
        let found = found.common_prefixes.iter();
        Ok(found
            .filter_map(|path| Some(path.filename()?.to_owned()))
            .collect())
    }

    /// Writes an object, which appears in one step when all of it is there. Gives its bytes.
    ///
    /// # Errors
    /// What `write` says, or the bucket: nothing has appeared then.
    pub(crate) fn write(
        &self,
        key: &str,
        write: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<()>,
    ) -> io::Result<u64> {
        let mut upload = Upload::begin(self, key)?;
        match write(&mut upload).and_then(|()| upload.finish()) {
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                upload.abort();
                Err(error)
            }
        }
    }

    /// Writes a file as one object, which appears in one step when all of it is there.
    ///
    /// # Errors
    /// When the file cannot be read, or the bucket does not take it: nothing has appeared then.
    pub(crate) fn put(&self, key: &str, from: &LocalPath) -> io::Result<()> {
        let mut file = File::open(from)?;
        self.write(key, &mut |mut out| io::copy(&mut file, &mut out).map(drop))
            .map(drop)
    }

    /// Ends what is under way. Whoever waits for an answer gets an error.
    pub(crate) fn close(&self) {
        self.aside.close();
    }
}

fn opened(aside: &Aside, remote: &Remote) -> Result<Arc<dyn ObjectStore>, Failure> {
    let to = remote.clone();
    let client = aside.ask(async move { client(&to.address, &to.access).await })?;
    client.map_err(|error| Failure::refuse(format!("{}: {error}", remote.address.root)))
}

/// A key as the client names it.
pub(super) fn path(key: &str) -> io::Result<Path> {
    Path::parse(key).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))
}
