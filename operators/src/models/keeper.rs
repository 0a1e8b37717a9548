//! The keeper of a model: a thread that looks at its files, takes orders, and loads what is new aside.
//!
//! A new version is read, compared, run once on each session and proved on the golden rows before it is put on the shelf. One
//! that fails changes nothing: why is logged, counted and shown, until the file is another.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use smol_str::SmolStr;
use thalweg_engine::workers::yielding;

use super::agreed::Agreed;
use super::edition::{Edition, Tag, bytes_of, hash};
use super::place::{self, Seen};
use super::shelf::{Lineup, count};
use super::{Home, Model, Standing, homes};
use thalweg_engine::clock::now;

/// How often files are looked at. A file counts when it is the same at two looks: what is still being written is not.
const LOOK: Duration = Duration::from_millis(200);
/// Orders that may wait.
const ORDERS_MAX: usize = 4;

/// How a model stands after an order, or why the order was refused.
pub type Answer = Result<Standing, String>;

/// What somebody asks of the keeper.
pub(super) enum Order {
    /// Take these bytes, under this name.
    Post(Option<String>, Vec<u8>, Sender<Answer>),
    /// Go back to the version before.
    Rollback(Sender<Answer>),
}

/// A path that is watched.
struct Watched {
    path: PathBuf,
    /// The file that was looked at last.
    seen: Option<Seen>,
    /// A file that was other at the last look.
    settling: Option<Seen>,
}

impl Watched {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            seen: None,
            settling: None,
        }
    }

    /// The file, where it is another than before and stays so.
    fn look(&mut self) -> Result<Option<PathBuf>, String> {
        let now = place::look(&self.path)?;
        if self.seen.as_ref() == Some(&now) {
            self.settling = None;
            return Ok(None);
        }
        if self.settling.as_ref() != Some(&now) {
            self.settling = Some(now);
            return Ok(None);
        }
        let path = now.path.clone();
        self.seen = Some(now);
        Ok(Some(path))
    }
}

struct Keeper {
    homes: Vec<Home>,
    /// What is in force in all processes that share the job.
    agreed: Option<Agreed>,
    /// Whether that could not be read at the last look.
    unread: bool,
    /// The version before, as it was loaded or as a checkpoint names it.
    previous: Option<Arc<Edition>>,
    path: Watched,
    canary: Option<Watched>,
    shadow: Option<Watched>,
}

/// Begins to watch.
pub(super) fn begin(
    model: &Arc<Model>,
    homes: Vec<Home>,
    agreed: Option<Agreed>,
    previous: Option<Tag>,
) -> Result<(), String> {
    let options = &model.options;
    let previous = previous.and_then(|tag| model.copy(&tag, &homes).ok());
    let mut keeper = Keeper {
        homes,
        agreed,
        unread: false,
        previous: previous.map(Arc::new),
        path: Watched::new(&options.path),
        canary: options
            .canary
            .as_ref()
            .map(|canary| Watched::new(&canary.path)),
        shadow: options.shadow.as_ref().map(|path| Watched::new(path)),
    };
    let (sender, orders) = bounded(ORDERS_MAX);
    *model.keeper.lock() = Some(sender);
    let weak = Arc::downgrade(model);
    std::thread::Builder::new()
        .name(format!("model {}", model.name))
        .spawn(yielding(move || keeper.live(&weak, &orders)))
        .map(drop)
        .map_err(|error| format!("no thread to watch its files: {error}"))
}

impl Keeper {
    fn live(&mut self, model: &Weak<Model>, orders: &Receiver<Order>) {
        loop {
            let order = match orders.recv_timeout(LOOK) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let Some(model) = model.upgrade() else { return };
            match order {
                Some(Order::Post(version, bytes, reply)) => {
                    let _ = reply.send(self.post(&model, version, bytes));
                }
                Some(Order::Rollback(reply)) => {
                    let _ = reply.send(self.roll_back(&model));
                }
                None => self.look(&model),
            }
            model.shelf.sweep();
        }
    }

    fn look(&mut self, model: &Model) {
        self.follow(model);
        match self.path.look() {
            Ok(None) => {}
            Ok(Some(path)) => self.found(model, &path),
            Err(why) => model.says(Some(why)),
        }
        if let Some(watched) = &mut self.canary
            && let Ok(Some(path)) = watched.look()
        {
            let current = |lineup: &Lineup| lineup.canary.as_ref().map(|one| one.tag.hash.clone());
            if let Some(edition) = model.other(&path, "canary", &current) {
                model.line_up(|lineup| lineup.canary = Some(edition));
            }
        }
        if let Some(watched) = &mut self.shadow
            && let Ok(Some(path)) = watched.look()
        {
            let current = |lineup: &Lineup| lineup.shadow.as_ref().map(|one| one.tag.hash.clone());
            if let Some(edition) = model.other(&path, "shadow", &current) {
                model.line_up(|lineup| lineup.shadow = Some(edition));
            }
        }
    }

    /// There is another file at the path.
    fn found(&mut self, model: &Model, path: &Path) {
        let Ok(bytes) = bytes_of(path) else {
            self.path.seen = None;
            return;
        };
        let hash = hash(&bytes);
        let Some(standing) = model.standing() else {
            return;
        };
        if hash == standing.file {
            return;
        }
        let note = |standing: &mut Standing| standing.file = hash.clone();
        if hash == standing.active.hash {
            model.standing.lock().as_mut().map(note);
            return model.says(None);
        }
        let version = place::version(path, &bytes);
        let read = Edition::read(&model.name, &version, bytes, &model.options);
        let swapped = read.and_then(|edition| self.swap(model, edition, Some(&hash)));
        model.standing.lock().as_mut().map(note);
        match swapped {
            Ok(()) => model.says(None),
            Err(why) => {
                count(&model.counters.refused);
                model.says(Some(format!("{}: {why}", path.display())));
            }
        }
    }

    fn post(&mut self, model: &Model, version: Option<String>, bytes: Vec<u8>) -> Answer {
        let version = version.or_else(|| super::version_of(&bytes));
        let version = version.unwrap_or_else(|| {
            let hash = hash(&bytes);
            format!("posted-{}", &hash[..8])
        });
        let read = Edition::read(&model.name, &version, bytes.into(), &model.options);
        self.ordered(model, read)
    }

    fn roll_back(&mut self, model: &Model) -> Answer {
        let Some(previous) = &self.previous else {
            return Err("there is no version before this one".to_owned());
        };
        let (tag, bytes) = (previous.tag.clone(), Arc::clone(&previous.bytes));
        let read = Edition::read(&model.name, &tag.version, bytes, &model.options);
        self.ordered(model, read)
    }

    fn ordered(&mut self, model: &Model, read: Result<Edition, String>) -> Answer {
        let swapped = read.and_then(|edition| {
            // Sent again, as by somebody who had no answer: the version before stays what is gone back to.
            let active = model.standing().map(|standing| standing.active);
            if active.as_ref() == Some(&edition.tag) {
                return Ok(());
            }
            self.swap(model, edition, None)
        });
        match swapped {
            Ok(()) => {
                model.says(None);
                model.standing().ok_or_else(|| "it is not open".to_owned())
            }
            Err(why) => {
                count(&model.counters.refused);
                tracing::error!(model = %model.name, why, "the version is refused, nothing changes");
                Err(why)
            }
        }
    }

    /// Puts a version in the place of the one in force, once it is proved, a copy of it is kept, and those who share the job are
    /// told. `file` is the hash of the file that it was read from.
    fn swap(
        &mut self,
        model: &Model,
        edition: Edition,
        file: Option<&SmolStr>,
    ) -> Result<(), String> {
        let threads = model.shelf.threads.load(Ordering::Relaxed);
        let edition = model.loading.during(|| model.accepted(edition, threads))?;
        homes::keep(&self.homes, &edition.tag, &edition.bytes)?;
        let Some(before) = model.standing() else {
            return Err("it is not open".to_owned());
        };
        let standing = Standing {
            active: edition.tag.clone(),
            // The same bytes under another name: the version before stays what is gone back to.
            previous: match before.active.hash == edition.tag.hash {
                true => before.previous,
                false => Some(before.active),
            },
            file: file.unwrap_or(&before.file).clone(),
            since: now(),
        };
        if let Some(agreed) = &mut self.agreed {
            agreed.name(&standing)?;
        }
        self.put(model, edition, standing)
    }

    /// Has a version score that is proved.
    fn put(
        &mut self,
        model: &Model,
        edition: Arc<Edition>,
        standing: Standing,
    ) -> Result<(), String> {
        let Some((lineup, _)) = model.shelf.take() else {
            return Err("it is not open".to_owned());
        };
        let old = Arc::clone(&lineup.active);
        let tag = edition.tag.clone();
        model.line_up(|lineup| lineup.active = edition);
        *model.standing.lock() = Some(standing);
        count(&model.counters.swaps);
        tracing::info!(
            model = %model.name, version = %tag.version, hash = %tag.hash, before = %old.tag.version, "model swapped"
        );
        old.rest();
        if old.tag.hash != tag.hash {
            self.previous = Some(old);
        }
        Ok(())
    }

    /// Takes the version that another of those who share the job has named.
    fn follow(&mut self, model: &Model) {
        let Some(agreed) = &mut self.agreed else {
            return;
        };
        let standing = match agreed.news() {
            Some(Ok(Some(standing))) => standing,
            Some(Ok(None)) if self.unread => {
                self.unread = false;
                return model.says(None);
            }
            Some(Ok(None)) | None => return,
            Some(Err(why)) => {
                self.unread = true;
                return model.says(Some(why));
            }
        };
        self.unread = false;
        if model.standing().map(|own| own.active).as_ref() == Some(&standing.active) {
            *model.standing.lock() = Some(standing);
            return model.says(None);
        }
        // Its copy lies there before the version is named: a store that does not answer is asked again.
        let edition = match model.copy(&standing.active, &self.homes) {
            Ok(edition) => edition,
            Err(why) => {
                agreed.again();
                tracing::debug!(model = %model.name, why, "the version that is in force cannot be read yet");
                return;
            }
        };
        let threads = model.shelf.threads.load(Ordering::Relaxed);
        let proved = model.loading.during(|| model.accepted(edition, threads));
        let previous = standing.previous.clone();
        match proved.and_then(|edition| self.put(model, edition, standing)) {
            Ok(()) => model.says(None),
            Err(why) => {
                count(&model.counters.refused);
                return model.says(Some(why));
            }
        }
        // Two changes between two looks: what is gone back to is not what scored here.
        let kept = self.previous.as_ref().map(|kept| &kept.tag);
        if let Some(tag) = previous.filter(|tag| Some(tag) != kept) {
            self.previous = model.copy(&tag, &self.homes).ok().map(Arc::new);
        }
    }
}

impl Model {
    /// Has these bytes score from now on, once they are proved. Blocks until that is done.
    ///
    /// # Errors
    /// Why they are refused; nothing has changed then.
    pub fn post(&self, version: Option<String>, bytes: Vec<u8>) -> Answer {
        self.order(|reply| Order::Post(version, bytes, reply))
    }

    /// Goes back to the version that was in force before. Blocks until that is done.
    ///
    /// # Errors
    /// As [`Model::post`].
    pub fn roll_back(&self) -> Answer {
        self.order(Order::Rollback)
    }

    fn order(&self, make: impl FnOnce(Sender<Answer>) -> Order) -> Answer {
        let gone = || "the job has ended, or does not watch its models".to_owned();
        let keeper = self.keeper.lock().clone().ok_or_else(gone)?;
        let (reply, answer) = bounded(1);
        keeper.send(make(reply)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }

    /// Says why the newest file is not in force, or that it is; the log says so once per change.
    fn says(&self, fault: Option<String>) {
        let mut place = self.fault.lock();
        if *place == fault {
            return;
        }
        if let Some(why) = &fault {
            tracing::error!(model = %self.name, why, "the newest file is not used, nothing changes");
        }
        *place = fault;
    }

    /// Changes the line-up.
    fn line_up(&self, change: impl FnOnce(&mut Lineup)) {
        if let Some((lineup, _)) = self.shelf.take() {
            let mut lineup = Lineup::clone(&lineup);
            change(&mut lineup);
            self.shelf.put(lineup);
        }
    }

    /// The version in a file beside the one that scores, where it is another than is used now.
    fn other(
        &self,
        path: &Path,
        what: &str,
        current: &dyn Fn(&Lineup) -> Option<SmolStr>,
    ) -> Option<Arc<Edition>> {
        let bytes = bytes_of(path).ok()?;
        let (lineup, _) = self.shelf.take()?;
        if current(&lineup).as_ref() == Some(&hash(&bytes)) {
            return None;
        }
        let threads = self.shelf.threads.load(Ordering::Relaxed);
        let version = place::version(path, &bytes);
        let read = Edition::read(&self.name, &version, bytes, &self.options);
        let prove = |edition| self.loading.during(|| self.accepted(edition, threads));
        match read.and_then(prove) {
            Ok(edition) => {
                count(&self.counters.swaps);
                tracing::info!(model = %self.name, what, version = %edition.tag.version, "model swapped");
                Some(edition)
            }
            Err(why) => {
                count(&self.counters.refused);
                self.says(Some(format!("its {what}: {}: {why}", path.display())));
                None
            }
        }
    }
}
