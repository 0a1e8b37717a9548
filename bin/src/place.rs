//! Where checkpoints lie: a folder of this machine, or a place in an object store.

use std::fs;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::{FolderStore, Store};
use thalweg_engine::query::new_id;
use thalweg_operators::checkpoints;
use thalweg_operators::job_error::Location;
use thalweg_operators::models::{Agreement, Home};
use thalweg_operators::table::{OptionValue, Options};

use crate::refusal::Refusal;

/// Where copies of models lie in the place of a query.
pub(crate) const MODELS: &str = "models";
/// Where those who share a job name the versions of models that are in force.
pub(crate) const IN_FORCE: &str = "in-force";

/// A place.
#[derive(Clone)]
pub(crate) enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A place in an object store.
    Remote(Arc<dyn checkpoints::Place>),
}

impl Place {
    /// The place that an address names; `options` say how an object store is reached. Asks nobody.
    ///
    /// # Errors
    /// For an address or options that cannot be meant.
    pub(crate) fn at(location: &Path, options: &Options) -> Result<Self, Refusal> {
        match checkpoints::open(&location.to_string_lossy(), options)? {
            Some(place) => Ok(Self::Remote(place)),
            None => {
                let folder = checkpoints::folder(location);
                // Versions before took a URI for a folder of that name: what lies there is not begun anew without a word.
                if folder != location && location.exists() && !folder.exists() {
                    return Err(Refusal::new(format!(
                        "the checkpoints of {} lie in the folder ./{}, where versions before have put them: move them to {}, or \
                         remove that folder to begin anew",
                        location.display(),
                        location.display(),
                        folder.display()
                    )));
                }
                Ok(Self::Folder(folder))
            }
        }
    }

    /// The place of this name below it.
    pub(crate) fn join(&self, name: &str) -> Self {
        match self {
            Self::Folder(folder) => Self::Folder(folder.join(name)),
            Self::Remote(place) => Self::Remote(place.below(name)),
        }
    }

    /// As messages name it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Remote(place) => place.location(),
        }
    }

    /// Whether both are the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.shown().trim_end_matches('/') == other.shown().trim_end_matches('/')
    }

    /// Whether the other is this place, or lies in it.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        if let (Self::Folder(outer), Self::Folder(inner)) = (self, other)
            && let (Ok(outer), Ok(inner)) = (absolute(outer), absolute(inner))
        {
            return inner.starts_with(outer);
        }
        let (outer, inner) = (self.shown(), other.shown());
        let outer = outer.trim_end_matches('/');
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The names of the places right below it, in order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn places(&self) -> Result<Vec<String>, Refusal> {
        let unreadable = |error: &std::io::Error| {
            let what = match self {
                Self::Folder(_) => "the folder ",
                Self::Remote(_) => "",
            };
            Refusal::new(format!("{what}{} cannot be read: {error}", self.shown()))
        };
        let mut names: Vec<String> = match self {
            Self::Folder(folder) => fs::read_dir(folder)
                .map_err(|error| unreadable(&error))?
                .flatten()
                .filter(|entry| entry.path().is_dir())
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect(),
            Self::Remote(place) => place.places().map_err(|error| unreadable(&error))?,
        };
        names.sort();
        Ok(names)
    }

    /// Its objects, to look at: nothing is locked, made or changed.
    pub(crate) fn read_only(&self) -> Arc<dyn Store> {
        match self {
            Self::Folder(folder) => Arc::new(FolderStore::read_only(folder)),
            Self::Remote(place) => Arc::clone(place) as Arc<dyn Store>,
        }
    }

    /// Where copies of a model are kept beside the checkpoints.
    pub(crate) fn home(&self, model: &str) -> Home {
        let folder = format!("{MODELS}/{model}");
        match self {
            Self::Folder(place) => Home::Folder(place.join(folder)),
            Self::Remote(place) => Home::Store {
                store: Arc::clone(place) as Arc<dyn Store>,
                folder,
            },
        }
    }

    /// Where those who share a job name the version of a model that is in force in all of them.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn agreement(&self, model: &str) -> Result<Agreement, Refusal> {
        let folder = format!("{IN_FORCE}/{model}");
        let store: Arc<dyn Store> = match self {
            Self::Remote(place) => Arc::clone(place) as Arc<dyn Store>,
            Self::Folder(place) => {
                let unwritten = |why: String| {
                    Refusal::new(format!("{} cannot be written: {why}", place.display()))
                };
                fs::create_dir_all(place.join(&folder))
                    .map_err(|error| unwritten(error.to_string()))?;
                // No two processes have one token.
                let store = FolderStore::share(place, &format!("{}-", new_id()));
                Arc::new(store.map_err(|error| unwritten(format!("{error:?}")))?)
            }
        };
        Ok(Agreement::new(store, folder))
    }

    /// Opens the log to look at: nothing is locked, made or changed.
    pub(crate) fn look(&self) -> CheckpointLog {
        CheckpointLog::new(self.read_only(), usize::MAX, false)
    }
}

/// `--option NAME=VALUE`, several: a value of the form `${NAME}` is taken from the environment.
///
/// # Errors
/// When a name is not in the environment, or an option is not one of a store.
pub(crate) fn options(given: &[(String, String)]) -> Result<Options, Refusal> {
    let entries = given.iter().map(|(name, value)| {
        Ok(OptionValue {
            name: name.clone(),
            value: from_environment(name, value)?,
            substituted: true,
            at: Location::default(),
        })
    });
    let options = Options::new(entries.collect::<Result<_, Refusal>>()?);
    checkpoints::verify("object stores", &options).map_err(|error| Refusal::new(error.message))?;
    Ok(options)
}

/// The value of an option; one of the form `${NAME}` is taken from the environment.
///
/// # Errors
/// When the name is not there.
pub(crate) fn from_environment(option: &str, value: &str) -> Result<String, Refusal> {
    let held = value
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    match held {
        None => Ok(value.to_owned()),
        Some(held) => std::env::var(held).map_err(|_| {
            Refusal::new(format!(
                "--option {option}: {held} is not in the environment"
            ))
        }),
    }
}
