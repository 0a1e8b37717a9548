//! Checkpoints in an object store: a place in a bucket that keeps what the engine puts there.
//!
//! [`open`] says by the address whether it is one, and is known in every build. Between processes on one place nothing is locked,
//! as nothing can be: of two that put a new object of one name, one is told that it exists, and on that the engine builds.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thalweg_engine::epoch::store::Store;
use thalweg_engine::error::Failure;

use crate::connect::Reach;
use crate::job_error::{JobError, Location};
use crate::objects::{Located, OPTIONS, Remote};
use crate::table::{OptionValue, Options};

/// A place below which objects lie, and other places.
pub trait Place: Store {
    /// The place of this name below it.
    fn below(&self, name: &str) -> Arc<dyn Place>;

    /// The names of the places right below it.
    ///
    /// # Errors
    /// What the store says.
    fn places(&self) -> io::Result<Vec<String>>;

    /// Asks the store for all that keeping checkpoints needs of it: that it can be listed and written, and that it refuses a new
    /// object where there is one.
    ///
    /// # Errors
    /// `Refuse`, with what is missing.
    fn prove(&self) -> Result<(), Failure>;

    /// Asks the store whether it lets checkpoints be listed, read and written here, and leaves it as it is.
    ///
    /// # Errors
    /// When it does not answer, or there is no such bucket.
    fn reach(&self) -> Result<Reach, Failure>;

    /// Reaches the store as these options say from now on, here and at all places that were made from one with this; what is under
    /// way ends as it began. Only once the store answers to them. Blocks.
    ///
    /// # Errors
    /// When it does not; then nothing has changed.
    fn renew(&self, options: &Options) -> Result<(), Failure>;
}

/// Reads `name=value, name=value`: how the store is reached, in the words of tables that lie in one.
///
/// # Errors
/// For what is not of this form, and for an option that there is not.
pub fn options(text: &str, at: Location) -> Result<Options, JobError> {
    let mut entries = Vec::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        // What stands there may be a secret, so it is not repeated.
        let (name, value) = part.split_once('=').ok_or_else(|| {
            JobError::new(
                at,
                "checkpointOptions takes NAME=VALUE, several separated by commas",
            )
            .help("such as 'fs.s3a.endpoint=https://minio:9000, fs.s3a.endpoint.region=eu-west-1'")
        })?;
        entries.push(OptionValue {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            substituted: false,
            at,
        });
    }
    let options = Options::new(entries);
    verify("checkpointOptions", &options)?;
    Ok(options)
}

/// Checks options against the manual of object stores; `owner` is what they were given to.
///
/// # Errors
/// For an option that there is not, and for a value that it does not take.
pub fn verify(owner: &str, options: &Options) -> Result<(), JobError> {
    options.verify(owner, &OPTIONS)
}

/// Whether an address is one in an object store.
pub fn is_remote(location: &str) -> bool {
    matches!(Located::read(location), Ok(Located::Store(_)))
}

/// The folder of this machine that an address means which [`open`] knows to be one.
pub fn folder(location: &Path) -> PathBuf {
    let plain = location.to_str().and_then(|text| Located::here(text).ok());
    plain.map_or_else(|| location.to_owned(), PathBuf::from)
}

/// Refuses an address and options that do not go together, and what this build cannot reach. Asks nobody. With a folder of this
/// machine, as it may be given on the command line, options of a store say nothing.
pub(crate) fn remote(
    location: &str,
    options: &Options,
    at: Location,
) -> Result<Option<Remote>, JobError> {
    let nothing = Options::default();
    let options = if is_remote(location) {
        options
    } else {
        &nothing
    };
    Remote::of(location, options, at).map_err(|error| JobError {
        message: error.message.replace("`path`", "checkpointLocation"),
        ..error
    })
}

/// Opens a place in an object store; None where the address is a folder of this machine. Asks nobody, except for a key where
/// nobody gives one.
///
/// # Errors
/// As the text says: an address of something else, options that do not fit, a build without object stores.
pub fn open(location: &str, options: &Options) -> Result<Option<Arc<dyn Place>>, Failure> {
    let remote = remote(location, options, Location::default());
    match remote.map_err(|error| Failure::refuse(error.message))? {
        None => Ok(None),
        #[cfg(feature = "object-store")]
        Some(remote) => Ok(Some(Arc::new(crate::objects::Bucket::open(&remote)?))),
        #[cfg(not(feature = "object-store"))]
        Some(_) => Err(Failure::refuse(crate::objects::LACKS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        options(text, Location::default()).unwrap_err().to_string()
    }

    #[test]
    fn options_are_those_of_tables_and_a_secret_is_not_repeated() {
        let read = options(
            "endpoint=http://a:1, region = eu-west-1,",
            Location::default(),
        )
        .unwrap();
        assert_eq!(read.get("endpoint"), Some("http://a:1"));
        assert_eq!(read.get("region"), Some("eu-west-1"));
        assert!(refused("hush-hush").contains("NAME=VALUE"));
        assert!(!refused("hush-hush").contains("hush"));
        assert!(refused("fs.s3a.endpoin=x").contains("unknown option `fs.s3a.endpoin`"));
    }

    #[test]
    fn an_address_says_where_it_is() {
        for remote in ["s3://b/c", "gs://b", "az://box/c"] {
            assert!(is_remote(remote), "{remote}");
        }
        for local in ["./c", "/c", "file:///c", "File:/c"] {
            assert!(!is_remote(local), "{local}");
        }
        for uri in ["file:///c", "File:/c", "/c"] {
            assert_eq!(folder(Path::new(uri)), Path::new("/c"), "{uri}");
        }
        assert_eq!(folder(Path::new("./c")), Path::new("./c"));
        for other in ["hdfs:/c", "~/c", "file://host/c"] {
            let refused = open(other, &Options::default()).err();
            assert!(
                refused.is_some(),
                "{other} would be a folder of a strange name"
            );
        }
    }
}
