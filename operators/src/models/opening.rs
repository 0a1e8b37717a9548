//! The start of a model: which version comes into force, and how it was proved.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use smol_str::SmolStr;
use thalweg_engine::clock::now;
use thalweg_engine::error::Failure;

use super::agreed::Agreed;
use super::edition::{Edition, Tag, bytes_of, hash};
use super::shelf::Lineup;
use super::{Agreement, Clock, Home, Model, Standing, homes, keeper, place, runtime, shadow};

/// What a start knows.
#[derive(Clone, Debug)]
pub struct Opening {
    /// How many threads will score.
    pub threads: usize,
    /// How the newest checkpoint says that the model stood.
    pub standing: Option<Standing>,
    /// Where copies are kept: a folder beside the checkpoints of each query.
    pub homes: Vec<Home>,
    /// Where those who share the job name the version in force for all.
    pub agreement: Option<Agreement>,
    /// Whether files are watched and orders taken.
    pub watched: bool,
    /// Whether the version of `standing` scores whatever lies at the path now, as long as a copy of it is kept.
    pub as_it_stood: bool,
}

impl Default for Opening {
    /// One thread, nothing to go on from, nothing kept, nothing watched.
    fn default() -> Self {
        Self {
            threads: 1,
            standing: None,
            homes: Vec::new(),
            agreement: None,
            watched: false,
            as_it_stood: false,
        }
    }
}

/// A version that was chosen.
struct Chosen {
    edition: Arc<Edition>,
    standing: Standing,
}

impl Model {
    /// Loads the version that is to score, proves it, and watches its files from then on. Blocks.
    ///
    /// # Errors
    /// When there is no runtime, or no version that can be used.
    pub fn open(self: &Arc<Self>, opening: Opening) -> Result<(), Failure> {
        self.open_with(opening, Instant::now)
    }

    /// As [`Model::open`], with a clock for the deadline.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_with(self: &Arc<Self>, mut opening: Opening, clock: Clock) -> Result<(), Failure> {
        let refused = |why: String| Failure::refuse(format!("model `{}`: {why}", self.name));
        runtime::ready().map_err(refused)?;
        let mut agreed = self.agreed(&mut opening).map_err(refused)?;
        let chosen = self.choose(&opening).map_err(refused)?;
        let side = |path: &Path, what: &str, threads: usize| {
            self.file(path)
                .and_then(|(edition, _)| self.accepted(edition, threads))
                .map_err(|why| refused(format!("its {what}: {why}")))
        };
        let canary = self.options.canary.as_ref();
        let canary = canary
            .map(|canary| side(&canary.path, "canary", opening.threads))
            .transpose()?;
        let in_rows = self.asks_shadow.load(Ordering::Relaxed);
        let scorers = if in_rows { opening.threads } else { 1 };
        let beside = self.options.shadow.as_ref();
        let beside = beside
            .map(|path| side(path, "shadow", scorers))
            .transpose()?;
        let aside = (beside.is_some() && !in_rows).then(|| shadow::begin(self));
        let aside = aside.transpose().map_err(refused)?;
        let tag = &chosen.edition.tag;
        homes::keep(&opening.homes, tag, &chosen.edition.bytes).map_err(refused)?;
        // One that scores here only because this process cannot use what is in force is not named for all.
        if let Some(agreed) = &mut agreed
            && !agreed.knows(&chosen.standing.file)
        {
            agreed.name(&chosen.standing).map_err(refused)?;
        }
        tracing::info!(model = %self.name, version = %tag.version, hash = %tag.hash, "model loaded");
        *self.clock.lock() = Some(clock);
        let previous = chosen.standing.previous.clone();
        *self.standing.lock() = Some(chosen.standing);
        self.shelf.put(Lineup {
            active: chosen.edition,
            canary,
            shadow: beside,
            aside,
        });
        if opening.watched {
            keeper::begin(self, opening.homes, agreed, previous).map_err(refused)?;
        }
        Ok(())
    }

    /// Loads and proves the version at `path`, and forgets it again: for `thalweg check`.
    ///
    /// # Errors
    /// When it cannot be used, or there is no runtime.
    pub fn try_out(self: &Arc<Self>) -> Result<(), TryOut> {
        runtime::ready().map_err(TryOut::NoRuntime)?;
        let paths = std::iter::once(&self.options.path)
            .chain(self.options.canary.iter().map(|canary| &canary.path))
            .chain(&self.options.shadow);
        for path in paths {
            self.file(path)
                .and_then(|(edition, _)| self.accepted(edition, 1))
                .map_err(TryOut::Refused)?;
        }
        Ok(())
    }

    /// The version at a path, read, and the hash of its file.
    pub(super) fn file(&self, path: &Path) -> Result<(Edition, SmolStr), String> {
        let seen = place::look(path)?;
        let bytes = bytes_of(&seen.path)?;
        let hash = hash(&bytes);
        let version = place::version(&seen.path, &bytes);
        let edition = Edition::read(&self.name, &version, bytes, &self.options);
        let edition =
            edition.map_err(|why| format!("{} cannot be used: {why}", seen.path.display()))?;
        Ok((edition, hash))
    }

    /// Proves that a version can take its place: names and types, a run of each session, the golden rows.
    pub(super) fn accepted(
        &self,
        edition: Edition,
        threads: usize,
    ) -> Result<Arc<Edition>, String> {
        let refused = |why: String| {
            let tag = &edition.tag;
            format!("the version {} cannot be used: {why}", tag.version)
        };
        if let Some(why) = self
            .declared
            .differs(&edition.signature, self.options.positional)
        {
            return Err(refused(why));
        }
        edition.prepare(threads).map_err(refused)?;
        edition.prove(&self.options).map_err(refused)?;
        Ok(Arc::new(edition))
    }

    /// What those who share the job have agreed on: it stands before what the checkpoints of this process name.
    fn agreed(&self, opening: &mut Opening) -> Result<Option<Agreed>, String> {
        let Some(at) = opening.agreement.take() else {
            return Ok(None);
        };
        let (agreed, named) = Agreed::open(at)?;
        if let Some(mut standing) = named {
            // A file that another process has seen is no new one.
            let file = place::look(&self.options.path).and_then(|seen| bytes_of(&seen.path));
            let file = file.ok().map(|bytes| hash(&bytes));
            if let Some(file) = file.filter(|file| agreed.knows(file)) {
                standing.file = file;
            }
            opening.standing = Some(standing);
        } else {
            // What this start chooses is the first that is named.
            opening.standing = None;
        }
        Ok(Some(agreed))
    }

    /// Which version a start begins with: a new file at `path`, else the one of the checkpoint.
    fn choose(&self, opening: &Opening) -> Result<Chosen, String> {
        let file = self.file(&self.options.path);
        let Some(standing) = &opening.standing else {
            let (edition, hash) = file?;
            let edition = self.accepted(edition, opening.threads)?;
            return Ok(Chosen {
                standing: Standing {
                    active: edition.tag.clone(),
                    previous: None,
                    file: hash,
                    since: now(),
                },
                edition,
            });
        };
        let tag = &standing.active;
        if opening.as_it_stood
            && let Ok(kept) = self.kept(standing.clone(), opening)
        {
            return Ok(kept);
        }
        match file {
            // It was put there while the job did not run.
            Ok((edition, hash)) if hash != standing.file => {
                match self.accepted(edition, opening.threads) {
                    Ok(edition) => Ok(Chosen {
                        standing: Standing {
                            active: edition.tag.clone(),
                            previous: Some(tag.clone()).filter(|tag| tag.hash != hash),
                            file: hash,
                            since: now(),
                        },
                        edition,
                    }),
                    Err(why) => {
                        tracing::error!(model = %self.name, why, "the file at its path is not used: the version of the checkpoint stays in force");
                        *self.fault.lock() = Some(why);
                        let standing = Standing {
                            file: hash,
                            ..standing.clone()
                        };
                        self.kept(standing, opening)
                    }
                }
            }
            Ok((edition, hash)) if hash == tag.hash => {
                // Under the name that it was taken as.
                let edition = edition.bytes;
                let edition = Edition::read(&self.name, &tag.version, edition, &self.options)?;
                Ok(Chosen {
                    edition: self.accepted(edition, opening.threads)?,
                    standing: standing.clone(),
                })
            }
            Ok((edition, hash)) => match self.kept(standing.clone(), opening) {
                Ok(chosen) => Ok(chosen),
                Err(why) => {
                    tracing::warn!(model = %self.name, why, "the file at its path scores instead");
                    let edition = self.accepted(edition, opening.threads)?;
                    Ok(Chosen {
                        standing: Standing {
                            active: edition.tag.clone(),
                            previous: None,
                            file: hash,
                            since: now(),
                        },
                        edition,
                    })
                }
            },
            Err(why) => {
                *self.fault.lock() = Some(why);
                self.kept(standing.clone(), opening)
            }
        }
    }

    /// The version of the checkpoint, from the copy beside it.
    fn kept(&self, standing: Standing, opening: &Opening) -> Result<Chosen, String> {
        let edition = self.copy(&standing.active, &opening.homes)?;
        Ok(Chosen {
            edition: self.accepted(edition, opening.threads)?,
            standing,
        })
    }

    /// A version from the copy beside the checkpoints.
    pub(super) fn copy(&self, tag: &Tag, homes: &[Home]) -> Result<Edition, String> {
        let bytes = homes::find(homes, tag).ok_or_else(|| {
            format!(
                "no copy of the version {} ({}) is kept beside the checkpoints any more",
                tag.version, tag.hash
            )
        })?;
        Edition::read(&self.name, &tag.version, bytes, &self.options)
    }
}

/// Why a model was not tried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryOut {
    /// There is no runtime here.
    NoRuntime(String),
    /// It cannot be used.
    Refused(String),
}
