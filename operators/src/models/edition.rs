//! One version of a model, loaded: its bytes, what it takes and gives, and sessions that wait for the threads that score.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use smol_str::SmolStr;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::golden;
use super::options::ModelOptions;
use super::place;
use super::runtime::Scorer;
use super::signature::Signature;

/// What a version is called, and the SHA-256 of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tag {
    /// The version: what it was posted as, what its metadata says, or the file's name without `.onnx`.
    pub version: SmolStr,
    /// The hash of its bytes, in hexadecimal digits.
    pub hash: SmolStr,
}

/// A version.
pub(crate) struct Edition {
    /// Its name and hash.
    pub(crate) tag: Tag,
    /// What it takes and gives.
    pub(crate) signature: Signature,
    /// Unique in the process.
    pub(super) number: u64,
    /// `STRUCT<name, version, hash>`.
    pub(super) info: Value,
    /// For each output whether it is an array.
    pub(super) lists: Vec<bool>,
    pub(super) bytes: Arc<[u8]>,
    /// Sessions that no thread has taken yet.
    ready: Mutex<Vec<Scorer>>,
    /// What each thread that scores with it expects of a run, in nanoseconds.
    paces: Mutex<Vec<Weak<AtomicU64>>>,
}

/// The hash of bytes as it is shown.
pub(super) fn hash(bytes: &[u8]) -> SmolStr {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        text.push_str(&format!("{byte:02x}"));
    }
    text.into()
}

impl Edition {
    /// Reads what the bytes say; makes no session.
    ///
    /// # Errors
    /// When they are no model that can be used.
    pub(super) fn read(
        model: &str,
        version: &str,
        bytes: Arc<[u8]>,
        options: &ModelOptions,
    ) -> Result<Self, String> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let signature = Signature::read(&bytes, options)?;
        let tag = Tag {
            version: version.into(),
            hash: hash(&bytes),
        };
        let texts = [SmolStr::new(model), tag.version.clone(), tag.hash.clone()];
        let all = signature.all();
        let lists = all
            .iter()
            .map(|field| matches!(field.data_type, DataType::Array(_)));
        Ok(Self {
            info: Value::Struct(texts.map(Value::String).into()),
            lists: lists.collect(),
            tag,
            signature,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            bytes,
            ready: Mutex::default(),
            paces: Mutex::default(),
        })
    }

    /// Makes sessions for so many threads, each after a run that warms it up.
    ///
    /// # Errors
    /// When the runtime refuses the model or a run fails.
    pub(super) fn prepare(&self, threads: usize) -> Result<(), String> {
        let made = self.ready.lock().len();
        for _ in made..threads.max(1) {
            let made = self.make()?;
            self.ready.lock().push(made);
        }
        Ok(())
    }

    fn make(&self) -> Result<Scorer, String> {
        let mut scorer = Scorer::new(&self.bytes, &self.signature)?;
        if self.signature.score.is_err() && !self.signature.has_text() {
            scorer.all(&self.lists)?;
        }
        Ok(scorer)
    }

    /// Scores the golden rows.
    ///
    /// # Errors
    /// For the first that does not come out as it must.
    pub(super) fn prove(&self, options: &ModelOptions) -> Result<(), String> {
        let Some(file) = &options.golden else {
            return Ok(());
        };
        let mut scorer = self.make()?;
        golden::pass(file, &self.signature, options, &mut |values, places| {
            for (value, place) in values.iter().zip(places) {
                scorer
                    .set(*place, value)
                    .map_err(|why| format!("a feature {why}"))?;
            }
            scorer.score()
        })
    }

    /// A session for a thread: one that is ready, or a new one.
    ///
    /// # Errors
    /// As [`Edition::prepare`].
    pub(super) fn scorer(&self) -> Result<Scorer, String> {
        let ready = self.ready.lock().pop();
        ready.map_or_else(|| self.make(), Ok)
    }

    /// Another thread scores with it, which tells here how long it expects a run to take.
    pub(super) fn paced(&self, pace: &Arc<AtomicU64>) {
        let mut paces = self.paces.lock();
        paces.retain(|pace| pace.strong_count() > 0);
        paces.push(Arc::downgrade(pace));
    }

    /// How long a run is expected to take on the slowest of the threads that score with it, in microseconds; None where none
    /// does. A deadline goes by it.
    pub(super) fn pace_micros(&self) -> Option<u64> {
        let paces = self.paces.lock();
        let paces = paces.iter().filter_map(Weak::upgrade);
        paces.map(|pace| pace.load(Ordering::Relaxed) / 1_000).max()
    }

    /// How many sessions nobody has taken.
    #[cfg(all(test, feature = "onnx"))]
    pub(super) fn waiting(&self) -> usize {
        self.ready.lock().len()
    }

    /// Lets go of sessions that nobody has taken.
    pub(super) fn rest(&self) {
        self.ready.lock().clear();
    }
}

/// The bytes of a file and its version.
pub(super) fn bytes_of(path: &Path) -> Result<Arc<[u8]>, String> {
    place::content(path).map(Into::into)
}
