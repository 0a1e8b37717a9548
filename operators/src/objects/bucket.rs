//! The engine's named objects in an object store: each one object below a key.

use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use object_store::path::Path;
use thalweg_engine::epoch::store::{Entry, Fetch, Store as Shelf, WriteObject};
use thalweg_engine::error::Failure;

use super::object::{Object, Patience, Stream};
use super::reach::{Need, ask};
use super::remote::Remote;
use super::store::{Store, path};
use super::trouble::closed;
use crate::checkpoints::{self, Place};
use crate::connect::Reach;
use crate::job_error::Location;
use crate::table::Options;

/// Objects that are read or removed at once.
const AT_ONCE: usize = 16;
/// How often a part of an object is asked for before whoever reads is told.
const ASKED_MAX: u32 = 5;
/// How long the store is left alone in between, times how often it was asked.
const PAUSE: Duration = Duration::from_millis(200);
/// The object that shows whether the store keeps the condition of a new one.
const PROOF: &str = "once";

/// A place below a key of a bucket.
pub(crate) struct Bucket {
    store: Arc<Store>,
    /// Empty at the root of the bucket.
    below: String,
}

/// Waits a little for a store that is away: a start must not begin anew because of one answer.
struct AFewTimes;

impl Patience for AFewTimes {
    fn wait(&self, times: u32, _: &io::Error) -> bool {
        std::thread::sleep(PAUSE * times);
        times < ASKED_MAX
    }

    fn answers(&self) {}
}

impl Bucket {
    /// Opens the place that an address names. Nothing is asked of it yet.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(crate) fn open(remote: &Remote) -> Result<Self, Failure> {
        Ok(Self {
            store: Arc::new(Store::open(remote)?),
            below: remote.address.key.clone(),
        })
    }

    fn key(&self, name: &str) -> String {
        match self.below.as_str() {
            "" => name.to_owned(),
            below => format!("{below}/{name}"),
        }
    }

    fn exists(&self, key: &str) -> io::Error {
        io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} exists", self.store.url(key)),
        )
    }
}

impl Shelf for Bucket {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let key = self.key(name);
        match self.store.put_new(&key, bytes.to_vec()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match self.store.look(&key)? {
                    Some(_) => Err(self.exists(&key)),
                    // Another was putting it at the same moment, and has not.
                    None => Err(io::Error::new(
                        io::ErrorKind::NotConnected,
                        "the store was busy with another that puts the same object",
                    )),
                }
            }
            put => put,
        }
    }

    fn get(&self, name: &str) -> io::Result<Vec<u8>> {
        self.store.get(&self.key(name))
    }

    fn write(&self, name: &str, write: &mut WriteObject<'_>) -> io::Result<u64> {
        // One run alone gives such a name, so what stands there is a part of what is written now, or the same.
        self.store.write(&self.key(name), &mut |out| write(out))
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        // Whatever the size is, the first answer tells it; an object of nothing is never put here.
        let object = Object::open(&self.store, &self.key(name), 1, Arc::new(AFewTimes))?;
        Ok(Box::new(Stream::new(&object)))
    }

    fn read_range(&self, name: &str, from: u64, length: u64) -> io::Result<Box<dyn Read + Send>> {
        self.fetch(name, from, length)()
    }

    fn fetch<'s>(&'s self, name: &str, from: u64, length: u64) -> Fetch<'s> {
        let begin = move |at: &Path| {
            self.store
                .begin(at, from..from.saturating_add(length), None)
        };
        let begun = path(&self.key(name)).map(|at| (begin(&at), at));
        Box::new(move || {
            let (mut asked, at) = begun?;
            let mut times = 0;
            loop {
                match asked.recv().unwrap_or_else(|_| Err(closed())) {
                    Ok(piece) => return Ok(Box::new(Cursor::new(piece.bytes))),
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                        times += 1;
                        if !AFewTimes.wait(times, &error) {
                            return Err(error);
                        }
                    }
                    Err(error) => return Err(error),
                }
                asked = begin(&at);
            }
        })
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        let below = self.key(folder);
        let mut found = Vec::new();
        self.store.each(&below, |facts| {
            let name = facts.key.get(below.len() + 1..).unwrap_or_default();
            if name.is_empty() || name.contains('/') {
                return;
            }
            let since = Duration::from_micros(u64::try_from(facts.time).unwrap_or(0));
            found.push(Entry {
                name: name.to_owned(),
                size: facts.size,
                modified: UNIX_EPOCH + since,
            });
        })?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.store.remove(&self.key(name))
    }

    fn remove_all(&self, names: &[String]) -> Vec<(String, io::Error)> {
        let keys = names.iter().map(|name| self.key(name)).collect();
        match self.store.remove_all(keys, AT_ONCE) {
            Ok(failed) => {
                let failed = failed.into_iter();
                failed
                    .map(|(index, error)| (names[index].clone(), error))
                    .collect()
            }
            Err(error) => names
                .first()
                .map(|name| (name.clone(), error))
                .into_iter()
                .collect(),
        }
    }

    fn locked(&self) -> bool {
        false
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    fn location(&self) -> String {
        match self.below.as_str() {
            "" => self.store.root().to_owned(),
            below => self.store.url(below),
        }
    }

    // A note would be one more request for each epoch. That newer objects were deleted is noticed by the witness in the
    // group of a Kafka input.
    fn note(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn noted(&self) -> Option<u64> {
        None
    }
}

impl Place for Bucket {
    fn below(&self, name: &str) -> Arc<dyn Place> {
        Arc::new(Self {
            store: Arc::clone(&self.store),
            below: self.key(name),
        })
    }

    fn places(&self) -> io::Result<Vec<String>> {
        self.store.folders(&self.below)
    }

    fn renew(&self, options: &Options) -> Result<(), Failure> {
        let remote = checkpoints::remote(&self.location(), options, Location::default());
        match remote.map_err(|error| Failure::refuse(error.message))? {
            Some(remote) => self.store.renew(&remote),
            None => Ok(()),
        }
    }

    fn reach(&self) -> Result<Reach, Failure> {
        let needs = [Need::Read(&self.below), Need::Write(&self.below)];
        ask(&self.store, &needs)
    }

    fn prove(&self) -> Result<(), Failure> {
        let unusable = |what: &str, error: &io::Error| {
            Failure::refuse(format!(
                "the checkpoints in {} cannot be kept, {what}: {error}",
                self.location()
            ))
        };
        self.store
            .first(&self.below)
            .map_err(|error| unusable("it cannot be listed", &error))?;
        let key = self.key(PROOF);
        for _ in 0..2 {
            match self.store.put_new(&key, PROOF.as_bytes().to_vec()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
                Err(error) => return Err(unusable("it cannot be written", &error)),
            }
        }
        Err(Failure::refuse(format!(
            "the checkpoints in {} cannot be kept: the store takes a new object although there is one of its name, so two \
             processes could commit one epoch. Take a store that keeps the condition If-None-Match, or a local folder",
            self.location()
        )))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sinks::http::server::{Answer, Request, Server};

    const EMPTY: &str = "<?xml version=\"1.0\"?><ListBucketResult><Name>shop</Name><KeyCount>0</KeyCount>\
                         <MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>";

    fn named(request: &Request, key: &str) -> bool {
        request.head.contains(&format!("credential={key}/"))
    }

    #[test]
    fn a_place_goes_on_with_new_keys_once_the_store_takes_them_and_so_do_the_places_below() {
        let server = Server::start(|_, request| {
            if named(request, "wrong") {
                return Answer::Status(403, "", "<Error><Code>InvalidAccessKeyId</Code></Error>");
            }
            Answer::Status(200, "Content-Type: application/xml\r\n", EMPTY)
        });
        let keys = |key: &str| {
            let text = format!(
                "fs.s3a.endpoint=http://{}, fs.s3a.access.key={key}, fs.s3a.secret.key=hush",
                server.address
            );
            checkpoints::options(&text, Location::default()).unwrap()
        };
        let place = checkpoints::open("s3://shop/jobs", &keys("first")).unwrap();
        let place = place.unwrap();
        let below = place.below("query");
        let asked_as = |key: &str| {
            below.places().unwrap();
            named(server.requests().last().unwrap(), key)
        };
        assert!(asked_as("first"));
        assert!(place.renew(&keys("wrong")).is_err());
        assert!(asked_as("first"), "the keys of before go on");
        place.renew(&keys("second")).unwrap();
        assert!(asked_as("second"));
    }
}
