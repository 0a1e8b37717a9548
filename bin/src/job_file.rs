//! The job file: from a path and the command line to a checked job.

use std::cell::RefCell;
use std::env::VarError;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use thalweg_operators::extensions::Extensions;
use thalweg_operators::sql::{self, Job, Overrides};

use crate::cli::JobArgs;
use crate::refusal::Refusal;

/// Longest job file, in bytes: more is surely the wrong file.
const JOB_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What may stand before a text in UTF-8, and says nothing.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// How a text in UTF-16 begins, as some editors and shells of Windows write it.
const UTF_16: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

/// A job and its name.
pub(crate) struct Loaded {
    /// `jobName`, or the file's name without `.sql`.
    pub(crate) name: String,
    /// What the user calls it in messages.
    pub(crate) file: String,
    /// The job.
    pub(crate) job: Job,
}

/// Reads and checks the job of the command line.
///
/// # Errors
/// When the file cannot be read, or for the first thing that is wrong in it: line, column, the line with a caret, advice.
pub(crate) fn load(
    args: &JobArgs,
    offline: bool,
    extensions: &Arc<Extensions>,
) -> Result<Loaded, Refusal> {
    let overrides = Overrides {
        set: args.set.clone(),
        inputs: args.input.clone(),
        outputs: args.output.clone(),
        offline,
    };
    let text = read(&args.job)?;
    check(&args.job, &text, &overrides, extensions)
}

/// Checks a job whose text is at hand.
///
/// # Errors
/// As [`load`].
pub(crate) fn check(
    path: &Path,
    text: &str,
    overrides: &Overrides,
    extensions: &Arc<Extensions>,
) -> Result<Loaded, Refusal> {
    let file = path.display().to_string();
    let garbled = RefCell::new(None);
    let environment = |name: &str| match std::env::var(name) {
        Ok(value) => Some(value),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(_)) => {
            garbled.replace(Some(name.to_owned()));
            None
        }
    };
    let job = sql::load_with(text, overrides, &environment, extensions);
    // It counts as not set for the job, which may have gone on with a default that nobody wants.
    if let Some(name) = garbled.into_inner() {
        return Err(Refusal::new(format!(
            "{file}: the value of the environment variable {name} is not UTF-8 text"
        )));
    }
    let job = job.map_err(|error| Refusal::new(error.render(&file, text)))?;
    let name = match &job.name {
        Some(name) => name.clone(),
        None => path.file_stem().map_or_else(
            || "job".to_owned(),
            |stem| stem.to_string_lossy().into_owned(),
        ),
    };
    Ok(Loaded { name, file, job })
}

/// The text of a job file.
///
/// # Errors
/// When it cannot be read, or is surely no job file.
pub(crate) fn read(path: &Path) -> Result<String, Refusal> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        Refusal::new(format!("the job file {shown} cannot be read: {error}"))
    };
    let about = fs::metadata(path).map_err(unreadable)?;
    if about.is_dir() {
        return Err(Refusal::new(format!(
            "{shown} is a folder; give a job file"
        )));
    }
    if about.len() > JOB_BYTES_MAX {
        return Err(Refusal::new(format!(
            "{shown} has {} bytes; a job file has at most {JOB_BYTES_MAX}. Is it the right file?",
            about.len()
        )));
    }
    let mut bytes = fs::read(path).map_err(unreadable)?;
    // Some editors put a mark before a text.
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    if UTF_16.iter().any(|begin| bytes.starts_with(begin)) {
        return Err(Refusal::new(format!(
            "the job file {shown} is written in UTF-16: save it as UTF-8"
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        Refusal::new(format!("{shown}:{line}: the job file is not UTF-8 text"))
    })
}
