//! `thalweg checkpoint copy`: the checkpoints of a stopped job from one place to another, with all that they name.
//!
//! Of each query the newest epoch comes first, and becomes visible only when its state lies beside it and was read back whole.
//! So a copy that was interrupted holds nothing to start from, or the newest; done again it goes on. Older epochs follow, to
//! go back to. Where processes share a query, the lanes come before the start that all of them look for.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use thalweg_engine::counted::counted;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::Store;
use thalweg_engine::query::new_id;

use crate::cli::CopyArgs;
use crate::console;
use crate::duration::bytes;
use crate::folder::{self, Chain};
use crate::place::{self, IN_FORCE, MODELS, Place};
use crate::refusal::{End, Refusal};

/// `thalweg checkpoint copy`. Ends with 1 when the job has gone on meanwhile.
///
/// # Errors
/// When one of the places cannot be used, the newest epoch is damaged, or something else lies where it is to be.
pub(crate) fn copy(args: &CopyArgs) -> Result<End, Refusal> {
    let options = place::options(&args.store.option)?;
    let from = Place::at(&args.from, &options)?;
    let to = if args.to_option.is_empty() {
        Place::at(&args.to, &options)?
    } else {
        Place::at(&args.to, &place::options(&args.to_option)?)?
    };
    if from.holds(&to) || to.holds(&from) {
        return Err(Refusal::new(format!(
            "{} and {} are the same, or one lies in the other: give another place",
            from.shown(),
            to.shown()
        )));
    }
    if let Place::Remote(remote) = &to {
        remote.prove()?;
    }
    let chains = folder::chains(&from)?;
    for chain in &chains {
        free(&chain.of(&from))?;
    }
    let mut well = true;
    for chain in &chains {
        let copied = Copying::of(chain, &from, &to, args.replace)?.run()?;
        console::line(&copied.told(&chain.name()));
        well &= !copied.went_on;
    }
    if !well {
        console::line(
            "The job has gone on while it was copied: stop it and copy again, which adds what is missing.",
        );
        return Ok(End::Failed);
    }
    console::line(&format!(
        "All is there. SET checkpointLocation = '{}' and start the job.",
        to.shown()
    ));
    Ok(End::Clean)
}

/// Refuses a place whose job still runs, and one that holds more than epochs can name.
fn free(place: &Place) -> Result<(), Refusal> {
    let shown = place.shown();
    if let Some(pid) = folder::in_use(place) {
        return Err(Refusal::new(format!(
            "{shown} is in use by the process {pid}: what it commits from now on would be missing in the copy. Stop it first."
        )));
    }
    if let Place::Folder(folder) = place
        && waiting_files(&folder.join("output"))
    {
        return Err(Refusal::new(format!(
            "{shown}/output holds files of an output that wait for their epoch, and they can only be made visible from there: \
             this query stays where it is"
        )));
    }
    Ok(())
}

fn waiting_files(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.any(|path| {
        if path.is_dir() {
            waiting_files(&path)
        } else {
            path.file_name().is_some_and(|name| name != "lock")
        }
    })
}

/// What a copy was.
#[derive(Default)]
struct Copied {
    epochs: usize,
    objects: usize,
    bytes: u64,
    /// Epochs that cannot be used, each with the reason.
    left_out: Vec<String>,
    newest: Option<u64>,
    went_on: bool,
}

impl Copied {
    fn told(&self, name: &str) -> String {
        let newest = match self.newest {
            Some(epoch) => format!("newest epoch {epoch}"),
            None => "nothing is committed".to_owned(),
        };
        let mut told = format!(
            "{name}: {newest}, {} and {} of state, {}",
            counted(self.epochs, "epoch"),
            counted(self.objects, "object"),
            bytes(self.bytes)
        );
        for why in &self.left_out {
            told.push_str(&format!("\n  left out: {why}"));
        }
        told
    }
}

/// The checkpoints of one query or one lane on their way.
struct Copying {
    from: Place,
    to: Place,
    source: CheckpointLog,
    target: CheckpointLog,
    /// State objects that lie there whole.
    whole: BTreeSet<String>,
    copied: Copied,
}

impl Copying {
    fn of(chain: &Chain, from: &Place, to: &Place, replace: bool) -> Result<Self, Refusal> {
        let (from, to) = (chain.of(from), chain.of(to));
        let target = open(chain, &to)?;
        let source = from.look();
        if replace {
            clear(&target, &to)?;
        }
        let copying = Self {
            from,
            to,
            source,
            target,
            whole: BTreeSet::new(),
            copied: Copied::default(),
        };
        copying.fits()?;
        Ok(copying)
    }

    /// Whether all that lies there is what an interrupted copy has left.
    fn fits(&self) -> Result<(), Refusal> {
        for kept in self.target.list()? {
            let name = epoch_object(kept.epoch);
            let there = self.target.store().get(&name);
            let here = self.source.store().get(&name);
            let same = matches!((there, here), (Ok(there), Ok(here)) if there == here);
            if !same {
                return Err(Refusal::new(format!(
                    "{} holds other checkpoints already: give an empty place, or --replace to remove what lies there",
                    self.to.shown()
                )));
            }
        }
        Ok(())
    }

    fn run(mut self) -> Result<Copied, Refusal> {
        self.models()?;
        let kept = self.source.list()?;
        let there = self.target.list()?;
        let newest = kept.last().map(|kept| kept.epoch);
        for kept in kept.iter().rev() {
            let done = there.iter().any(|there| there.epoch == kept.epoch);
            match self.epoch(kept.epoch, done) {
                Ok(()) => self.copied.epochs += 1,
                Err(refusal) if newest == Some(kept.epoch) => return Err(refusal),
                // One that is only kept to go back to may be damaged, or be removed by a job that runs.
                Err(refusal) => {
                    let why = format!("epoch {}: {}", kept.epoch, refusal.message());
                    self.copied.left_out.push(why);
                }
            }
        }
        if let Some(newest) = newest {
            // Whatever was noted there before is not of these.
            let noted = self.target.store().note(newest);
            noted.map_err(|error| self.unwritten("lock", &error))?;
        }
        self.copied.newest = newest;
        let now = self.source.list()?.last().map(|kept| kept.epoch);
        self.copied.went_on = now != newest;
        Ok(self.copied)
    }

    /// An epoch, after all that it names.
    fn epoch(&mut self, epoch: u64, done: bool) -> Result<(), Refusal> {
        let checkpoint = self.source.read(epoch)?;
        for object in checkpoint.objects() {
            self.state(epoch, object)?;
        }
        let name = epoch_object(epoch);
        let content = self.read(&name)?;
        self.copied.bytes += content.len() as u64;
        if done {
            return Ok(());
        }
        let put = self.target.store().put(&name, &content);
        put.map_err(|error| self.unwritten(&name, &error))
    }

    fn state(&mut self, epoch: u64, object: &str) -> Result<(), Refusal> {
        if self.whole.contains(object) {
            return Ok(());
        }
        let name = format!("state/{object}");
        // What an interrupted copy has left is as good as what is written now, if it is whole.
        if self.target.verify_object(epoch, object).is_err() {
            self.source.verify_object(epoch, object)?;
            self.transfer(&name)?;
            self.target.verify_object(epoch, object)?;
        }
        self.whole.insert(object.to_owned());
        self.copied.objects += 1;
        Ok(())
    }

    /// Models of which the checkpoints name a version.
    fn models(&mut self) -> Result<(), Refusal> {
        let there = self.from.places()?;
        // The copies before what names them.
        for kind in [MODELS, IN_FORCE] {
            if there.iter().any(|name| name == kind) {
                self.of_models(kind)?;
            }
        }
        Ok(())
    }

    fn of_models(&mut self, kind: &str) -> Result<(), Refusal> {
        for model in self.from.join(kind).places()? {
            let folder = format!("{kind}/{model}");
            if let Place::Folder(place) = &self.to {
                fs::create_dir_all(place.join(&folder))
                    .map_err(|error| self.unwritten(&folder, &error))?;
            }
            let list = |store: &Arc<dyn Store>| {
                let listed = store.list(&folder);
                listed.map_err(|error| Refusal::new(format!("{folder} cannot be listed: {error}")))
            };
            let there = list(self.target.store())?;
            for copy in list(self.source.store())? {
                let same = |there: &thalweg_engine::epoch::store::Entry| {
                    there.name == copy.name && there.size == copy.size
                };
                if !there.iter().any(same) {
                    self.transfer(&format!("{folder}/{}", copy.name))?;
                }
            }
        }
        Ok(())
    }

    fn transfer(&mut self, name: &str) -> Result<(), Refusal> {
        // A part of it may lie there: a folder takes no second object of a name.
        let target = self.target.store();
        let removed = target.remove(name);
        removed.map_err(|error| self.unwritten(name, &error))?;
        let unread = |error: io::Error| {
            Refusal::new(format!(
                "{}/{name} cannot be read: {error}",
                self.from.shown()
            ))
        };
        let mut from = self.source.store().read(name).map_err(unread)?;
        let written = target.write(name, &mut |mut out| io::copy(&mut from, &mut out).map(drop));
        let written = written.map_err(|error| self.unwritten(name, &error))?;
        self.copied.bytes += written;
        Ok(())
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Refusal> {
        let content = self.source.store().get(name);
        content.map_err(|error| {
            Refusal::new(format!(
                "{}/{name} cannot be read: {error}",
                self.from.shown()
            ))
        })
    }

    fn unwritten(&self, name: &str, error: &io::Error) -> Refusal {
        Refusal::new(format!(
            "{}/{name} cannot be written: {error}. The copy goes on from there when it is done again",
            self.to.shown()
        ))
    }
}

fn epoch_object(epoch: u64) -> String {
    format!("epochs/{epoch:020}.json")
}

/// Opens where a chain is copied to.
fn open(chain: &Chain, to: &Place) -> Result<CheckpointLog, Refusal> {
    if chain.shared {
        return Ok(folder::share(
            to,
            &format!("{}-", new_id()),
            usize::MAX,
            true,
            None,
        )?);
    }
    Ok(CheckpointLog::new(folder::lock(to)?, usize::MAX, true))
}

/// Removes what lies where a copy is to be: epochs first, so that none is left without its state.
fn clear(target: &CheckpointLog, to: &Place) -> Result<(), Refusal> {
    for folder in ["epochs", "state"] {
        let store = target.store();
        let unlisted =
            |error| Refusal::new(format!("{}/{folder} cannot be read: {error}", to.shown()));
        let entries = store.list(folder).map_err(unlisted)?;
        let names: Vec<String> = entries
            .iter()
            .map(|entry| format!("{folder}/{}", entry.name))
            .collect();
        if let Some((name, error)) = store.remove_all(&names).into_iter().next() {
            return Err(Refusal::new(format!(
                "{}/{name} cannot be removed: {error}",
                to.shown()
            )));
        }
    }
    Ok(())
}
