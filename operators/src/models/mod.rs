//! Models: what CREATE MODEL declares and `predict` asks.
//!
//! A [`Model`] is declared once in a job and shared by all that scores with it. What it takes and gives is read from its file
//! when the job is checked, without the runtime; sessions are made when the job begins. A keeper watches its files, loads
//! what is new aside, and puts it on the shelf; each thread takes it from there between two records.

mod agreed;
mod call;
mod desk;
mod edition;
mod golden;
mod homes;
mod keeper;
mod opening;
mod options;
mod pace;
mod place;
mod predict;
mod proto;
#[cfg(not(feature = "onnx"))]
#[path = "absent.rs"]
mod runtime;
#[cfg(feature = "onnx")]
#[path = "onnx.rs"]
mod runtime;
mod shadow;
mod shelf;
mod signature;
mod standing;
#[cfg(all(test, feature = "onnx"))]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_channel::Sender;
use parking_lot::Mutex;
use smol_str::SmolStr;

use crate::hearing::Hearing;
use crate::job_error::{JobError, Location};
use crate::table::Options;

pub use agreed::Agreement;
pub(crate) use call::{FALLBACK, bind, is_model_call};
pub use edition::Tag;
pub use homes::Home;
pub use keeper::Answer;
pub use opening::{Opening, TryOut};
use options::ModelOptions;
pub use options::OPTIONS;
pub use place::{MODEL_BYTES_MAX, content as file_content};
pub use shelf::Counters;
use shelf::Shelf;
use signature::Signature;
pub use standing::{Report, Second, Standing};

/// Whether there is a runtime in this build and on this machine.
///
/// # Errors
/// With the remedy, where there is none.
pub fn ready() -> Result<(), String> {
    runtime::ready()
}

/// What the bytes of a model call their version: `version` in the metadata.
pub fn version_of(bytes: &[u8]) -> Option<String> {
    let facts = proto::read(bytes)?.metadata.into_iter();
    let mut versions = facts.filter(|(key, value)| key == "version" && !value.is_empty());
    versions.next().map(|(_, version)| version)
}

/// What tells the time to the step that scores.
pub type Clock = fn() -> Instant;

/// How long an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    /// In microseconds.
    pub(crate) within: i64,
    /// Whether it is measured from the record's own timestamp instead of from when it was taken.
    pub(crate) from_record: bool,
}

/// The models that an expression may name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Models {
    /// All of the job.
    pub(crate) all: Arc<[Arc<Model>]>,
    /// Those that the query has named so far.
    pub(crate) used: Arc<Mutex<Vec<Arc<Model>>>>,
    /// `SET deadline`.
    pub(crate) deadline: Option<Deadline>,
}

/// A model of a job.
pub struct Model {
    name: SmolStr,
    at: Location,
    options: ModelOptions,
    /// As its file was when the job was checked.
    declared: Signature,
    id: u64,
    shelf: Shelf,
    counters: Arc<Counters>,
    standing: Mutex<Option<Standing>>,
    /// Why the newest file, or what was posted, is not in force, if it is not.
    fault: Mutex<Option<String>>,
    /// Whether rows ask the shadow themselves.
    asks_shadow: AtomicBool,
    /// Where orders go while it is open.
    keeper: Mutex<Option<Sender<keeper::Order>>>,
    clock: Mutex<Option<Clock>>,
    loading: Hearing,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "model {}", self.name)
    }
}

impl Model {
    /// Declares a model: its options are checked, and what its file says of itself is read.
    pub(crate) fn declare(
        name: &str,
        kind: (&str, Location),
        options: &Options,
        at: Location,
    ) -> Result<Self, JobError> {
        static ID: AtomicU64 = AtomicU64::new(1);
        if !kind.0.eq_ignore_ascii_case("onnx") {
            return Err(
                JobError::new(kind.1, format!("unknown kind of model `{}`", kind.0))
                    .help("models are files of ONNX: write USING onnx"),
            );
        }
        if cfg!(not(feature = "onnx")) {
            let why = runtime::ready().err().unwrap_or_default();
            return Err(JobError::new(kind.1, why));
        }
        let given = options;
        let options = ModelOptions::read(given, at)?;
        let path_at = given.at("path", at);
        let wrong = |why: String| JobError::new(path_at, format!("model `{name}`: {why}"));
        let seen = place::look(&options.path).map_err(wrong)?;
        let bytes = edition::bytes_of(&seen.path).map_err(wrong)?;
        let declared = Signature::read(&bytes, &options)
            .map_err(|why| wrong(format!("{} cannot be used: {why}", seen.path.display())))?;
        Ok(Self {
            name: name.into(),
            at,
            options,
            declared,
            id: ID.fetch_add(1, Ordering::Relaxed),
            shelf: Shelf::default(),
            counters: Arc::default(),
            standing: Mutex::default(),
            fault: Mutex::default(),
            asks_shadow: AtomicBool::new(false),
            keeper: Mutex::default(),
            clock: Mutex::default(),
            loading: Hearing::default(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is declared.
    pub fn at(&self) -> Location {
        self.at
    }

    /// What it counts.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Who is told when a version is loaded while rows go on.
    pub fn loading(&self) -> &Hearing {
        &self.loading
    }

    /// Its files are watched no longer, and no order is taken: the job is over.
    pub fn close(&self) {
        *self.keeper.lock() = None;
    }

    /// Which versions are in force; None before it is opened.
    pub fn standing(&self) -> Option<Standing> {
        self.standing.lock().clone()
    }

    /// Why the newest file, or what was posted last, is not in force, if it is not.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }

    /// Lines on what it takes and gives, for `thalweg check`.
    pub fn described(&self) -> Vec<String> {
        let mut lines = vec![format!("path {}", self.options.path.display())];
        let features = self.declared.features.iter();
        let features: Vec<String> = features
            .map(|feature| {
                let data_type = feature.element.data_type();
                let data_type = data_type.map_or_else(String::new, |t| format!(" {t}"));
                format!("{}{data_type}", feature.name)
            })
            .collect();
        lines.push(format!("takes {}", features.join(", ")));
        let outputs = self.declared.all();
        let outputs = outputs
            .iter()
            .map(|field| format!("{} {}", field.name, field.data_type));
        lines.push(format!("gives {}", outputs.collect::<Vec<_>>().join(", ")));
        if let Some(canary) = &self.options.canary {
            #[allow(clippy::cast_precision_loss)]
            let share = canary.share as f64 / 100.0;
            let path = canary.path.display();
            lines.push(format!(
                "canary {path} for {share} % of the keys in {}",
                canary.key
            ));
        }
        if let Some(shadow) = &self.options.shadow {
            lines.push(format!("shadow {}", shadow.display()));
        }
        lines
    }

    /// Whether a key is the canary's. Exact: `pmod(xxhash64(key), 10000)` is below the share of 10,000.
    #[inline]
    fn is_canary(&self, hash: u64) -> bool {
        let Some(canary) = &self.options.canary else {
            return false;
        };
        // The hash as Spark shows it is signed, and pmod gives what is never negative.
        hash.cast_signed().rem_euclid(10_000).unsigned_abs() < canary.share
    }
}
