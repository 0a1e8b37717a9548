//! The walker: a thread that finds files, takes them one after the other and hands their rows to the lane's stream.

use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::RecommendedWatcher;
use parking_lot::Mutex;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::record::Micros;
use tokio::sync::mpsc::Sender;

use super::columns::{Fills, Shape};
use super::depot::{self, Depot, Waiter};
use super::format::{Batch, FileFault, FileRows, Item, OpenFile};
use super::late::{self, Opened};
use super::listing::{self, Found};
use super::options::{Pace, Settings};
use super::seen::{Journal, Seen, seconds};
use super::text::fault;
use super::token::Place;
use super::waiting::{Scan, Waiting, key};
use super::watch::{Post, watch};
use thalweg_engine::clock;

/// How long it takes at most until the folder is listed again, if listing is not slow.
const LOOK_MAX: Duration = Duration::from_secs(60);
/// What appeared in so short a time is left to the system's notifications, in microseconds.
const YOUNG: Micros = 250_000;

/// What the stream gets.
pub(crate) enum Message {
    /// Rows of a file.
    Rows(Part),
    /// Every file that is there has been handed over.
    CaughtUp,
    /// It cannot go on.
    Failed(Failure),
    /// All files of a bounded run have been handed over.
    End,
}

/// Some rows of a file.
pub(crate) struct Part {
    pub(crate) path: Arc<str>,
    pub(crate) time: Micros,
    /// The number of the first of them.
    pub(crate) first: u64,
    pub(crate) batch: Batch,
    /// Whether the file ends with them.
    pub(crate) last: bool,
}

/// What the walker shares with its source.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) journal: Mutex<Journal>,
    pub(crate) post: Arc<Post>,
    /// Why the folder cannot be read now, if it cannot.
    pub(crate) missing: Mutex<Option<String>>,
}

impl Shared {
    /// Says when the folder cannot be read any more, and when it can again.
    pub(super) fn missing(&self, why: Option<String>, folder: &str) {
        let mut known = self.missing.lock();
        if known.is_some() && why.is_none() {
            tracing::info!(folder, "the folder can be read again");
        }
        *known = why;
    }
}

/// What the walker is made of.
pub(crate) struct Walker {
    pub(crate) settings: Settings,
    pub(crate) depot: Depot,
    pub(crate) waiter: Waiter,
    pub(crate) shape: Arc<Shape>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) seen: Seen,
    /// What the last ones of these were.
    pub(crate) opened: Opened,
    /// The newest one that this run has read, from which `maxFileAge` counts.
    pub(crate) newest: Option<Arc<str>>,
    /// How long a quota of `pace` lasts.
    pub(crate) interval: Duration,
    /// How long it takes at least until the folder is listed again although nothing was heard.
    pub(crate) look: Duration,
    /// A bounded run reads what was there at this time.
    pub(crate) until: Option<Micros>,
    pub(crate) to: Sender<Message>,
}

/// Why the walker ends before its time.
enum Ended {
    /// The stream is gone, or the source is closed.
    Gone,
    Failed(Failure),
}

/// What the walker knows while it walks.
struct Walk {
    waiting: Waiting,
    watcher: Option<RecommendedWatcher>,
    /// The folder that is watched: device and number.
    watched: Option<(u64, u64)>,
    /// Whether the system gives no notifications.
    deaf: bool,
    base: PathBuf,
    next_look: Instant,
    /// How often in a row the folder could not be listed.
    failed: u32,
    /// Until when the quota of files holds, and what is used of it.
    quota: Instant,
    used: u64,
    caught_up: bool,
    /// When the last of the files appeared that have been read: what was there by then was found with it, and read or told of.
    /// Files that are old are forgotten soon after they were read.
    before: Micros,
    /// Whether it was said that a file is too old.
    told_old: bool,
}

impl Walker {
    /// Reads until the run ends, from this place.
    pub(crate) fn run(mut self, from: Place) {
        let last = match self.walk(from) {
            Ok(()) => Message::End,
            Err(Ended::Gone) => return,
            Err(Ended::Failed(failure)) => Message::Failed(failure),
        };
        let _ = self.to.blocking_send(last);
    }

    fn walk(&mut self, from: Place) -> Result<(), Ended> {
        let now = Instant::now();
        let mut walk = Walk {
            waiting: Waiting::new(&self.settings),
            watcher: None,
            watched: None,
            deaf: false,
            base: depot::absolute(&self.settings),
            failed: 0,
            next_look: now,
            quota: clock::next_beat(self.interval, now),
            used: 0,
            caught_up: false,
            before: self.last(&from).map_or(0, |last| last.appeared),
            told_old: false,
        };
        self.listen(&mut walk);
        let from = match from {
            Place::Row(row, path) => Some((row, path, false)),
            Place::Behind(row, path) => Some((row + 1, path, true)),
            Place::Begin | Place::End(_) => None,
        };
        if let Some((row, path, forgiven)) = from {
            let found = self.depot.look(&path, &self.waiter);
            // One that is not there is opened all the same, which says so.
            let found = found.unwrap_or(Found {
                path,
                time: 0,
                appeared: 0,
                size: 1,
                tag: 0,
            });
            self.go_on(found, row, forgiven)?;
        }
        // With `latestFirst` older files may wait that were there before.
        if !self.settings.latest_first {
            self.forget(&walk);
        }
        let mut looked = false;
        loop {
            let noticed = self.shared.post.take();
            if noticed.stop {
                return Err(Ended::Gone);
            }
            let mut rescan = noticed.rescan;
            for path in noticed.appeared {
                rescan |= path.is_dir();
                self.appeared(&mut walk, &path);
            }
            rescan |= walk.waiting.is_low();
            if rescan || Instant::now() >= walk.next_look {
                let told = !rescan && looked && walk.watcher.is_some();
                looked = true;
                let now = clock::now();
                self.look(&mut walk, told.then(|| now - YOUNG..now))?;
            }
            match walk.waiting.next() {
                Some(found) => self.take(&mut walk, &found)?,
                None if walk.waiting.is_low() => {}
                None if self.until.is_some() => return Ok(()),
                None => {
                    if !std::mem::replace(&mut walk.caught_up, true) {
                        self.send(Message::CaughtUp)?;
                    }
                    self.shared.post.wait(walk.next_look);
                }
            }
        }
    }

    /// The file that an earlier run has read last, where it is there still and asking costs nothing.
    fn last(&self, from: &Place) -> Option<Found> {
        match from {
            Place::Row(_, path) | Place::Behind(_, path) | Place::End(path)
                if self.depot.tells() =>
            {
                listing::look(path)
            }
            _ => None,
        }
    }

    /// Asks the system to tell of new files, unless it does already.
    fn listen(&self, walk: &mut Walk) {
        if self.until.is_some() || walk.deaf || !self.depot.tells() {
            return;
        }
        let here = std::fs::metadata(&walk.base)
            .ok()
            .filter(|facts| facts.is_dir());
        let here = here.map(|facts| (facts.dev(), facts.ino()));
        if here.is_some() && here != walk.watched {
            let deep = self.settings.recursive
                || self.settings.partitioned
                || !self.settings.pattern.levels.is_empty();
            walk.watcher = watch(&walk.base, deep, &self.shared.post);
            walk.watched = here;
            walk.deaf = walk.watcher.is_none();
        }
    }

    /// Lists the folder; what is `young` is left out.
    fn look(&mut self, walk: &mut Walk, young: Option<Range<Micros>>) -> Result<(), Ended> {
        self.listen(walk);
        let begun = Instant::now();
        walk.waiting.begin_scan();
        let mut scan = Scan {
            settings: &self.settings,
            seen: &self.seen,
            until: self.until,
            young,
            waiting: &mut walk.waiting,
            before: walk.before,
            left_out: None,
        };
        let listed = self.depot.list(&self.settings, &mut scan);
        if let Some(found) = scan.left_out {
            self.tell_old(walk, &found.path);
        }
        let missing = match listed {
            Ok(()) => None,
            Err(error) if self.settings.may_be_missing(&error) => None,
            Err(error) => {
                let shown = &self.settings.pattern.text;
                Some(format!("the folder {shown} cannot be read: {error}"))
            }
        };
        let now = Instant::now();
        walk.next_look = now + (now - begun).saturating_mul(20).clamp(self.look, LOOK_MAX);
        walk.failed = if missing.is_some() {
            walk.failed + 1
        } else {
            0
        };
        if let Some(why) = &missing {
            walk.next_look = now + self.depot.wait_after(walk.failed);
            if self.until.is_some() {
                return Err(Ended::Failed(Failure::restart(why.clone())));
            }
        }
        self.shared.missing(missing, &self.settings.pattern.text);
        self.forget(walk);
        Ok(())
    }

    /// Forgets files that are too old to be read again.
    fn forget(&mut self, walk: &Walk) {
        // Of files that do not fit into memory the newest are left out, or with `latestFirst` the oldest.
        if walk.waiting.more() && self.settings.latest_first {
            return;
        }
        if let Some(max_age) = self.settings.max_age
            && let Some(forgotten) = self.seen.forget(max_age, walk.waiting.oldest())
        {
            self.shared.journal.lock().forget(forgotten);
        }
    }

    /// Something appeared, or was closed by who wrote it.
    fn appeared(&self, walk: &mut Walk, path: &std::path::Path) {
        let Some(path) = listing::own(&self.settings, &walk.base, path) else {
            return;
        };
        let key = key(&self.settings, &path);
        // Where a log says which files count, the next listing reads it.
        if walk.waiting.contains(key) || self.depot.has_log(&self.settings).unwrap_or(true) {
            return;
        }
        let Some(found) = listing::look(&path) else {
            return;
        };
        if let Some(time) = self.seen.time(key) {
            // A file that was read before these is known by its seconds; where only names count it may be another one.
            let since = || !self.settings.name_only && seconds(found.time) > time;
            if self.opened.changed(&found).unwrap_or_else(since) {
                tracing::warn!(
                    file = path,
                    "the file was written after it was read, and what came to it is not read: {}",
                    late::REMEDY
                );
            }
        } else if self.seen.is_old(found.time) {
            self.tell_old(walk, &path);
        } else {
            walk.waiting.add(key, &found);
        }
    }

    /// Says once in a run that a file is left out because of its age.
    fn tell_old(&self, walk: &mut Walk, path: &str) {
        if std::mem::replace(&mut walk.told_old, true) {
            return;
        }
        tracing::warn!(
            file = path,
            newest = self.newest.as_deref(),
            "the file is left out, because it is so much older than the newest one read as maxFileAge says; of more of them nothing \
             is said: `touch` one that was not read yet, or set a longer maxFileAge"
        );
    }

    /// Takes a file that waits.
    fn take(&mut self, walk: &mut Walk, found: &Found) -> Result<(), Ended> {
        let post = &self.shared.post;
        if self.until.is_none()
            && let Ok(absolute) = std::path::absolute(&*found.path)
            && post.is_written(&absolute)
        {
            // It comes again when it is closed, and with each listing.
            if post.says_quiet(&absolute, Instant::now()) {
                tracing::warn!(
                    file = &*found.path,
                    "the file has been open for writing for a while and nothing is written: it is read when it is closed, or \
                     when the query is started again"
                );
            }
            return Ok(());
        }
        if self.until.is_none()
            && let Some(pace) = self.settings.pace
        {
            let now = Instant::now();
            if now >= walk.quota {
                if let Some(over) = clock::hush(self.interval, now)
                    && !post.pause(over)
                {
                    return Err(Ended::Gone);
                }
                walk.quota = clock::next_beat(self.interval, now);
                walk.used = 0;
            }
            let (more, most) = match pace {
                Pace::Files(most) => (1, most),
                Pace::Bytes(most) => (found.size, most),
            };
            if walk.used > 0 && walk.used.saturating_add(more) > most {
                if !post.pause(walk.quota) {
                    return Err(Ended::Gone);
                }
                // One that came meanwhile may be the next.
                walk.waiting.add(key(&self.settings, &found.path), found);
                return Ok(());
            }
            walk.used = walk.used.saturating_add(more.max(1));
        }
        walk.caught_up = false;
        walk.before = walk.before.max(found.appeared);
        self.read(found, 0, false, None)
    }

    /// Goes on with a file that an earlier run has read up to this row.
    fn go_on(&mut self, mut found: Found, row: u64, forgiven: bool) -> Result<(), Ended> {
        let before = self.seen.time(key(&self.settings, &found.path));
        let before = before.filter(|before| found.time != 0 && *before != seconds(found.time));
        let other = match before {
            None => None,
            // It may be the same one, at whose end something was written.
            Some(_) if self.depot.tells() => {
                tracing::warn!(
                    file = &*found.path,
                    "the file was written or replaced since its first rows were read, and is gone on with behind row {row}: {}",
                    late::REMEDY
                );
                None
            }
            // The next start is to see it too.
            Some(before) => {
                found.time = Micros::from(before) * 1_000_000;
                Some(late::other())
            }
        };
        self.read(&found, row, forgiven, other)
    }

    /// Hands over the rows of a file from this number on; none where `other` says why. What cannot be read of it is `forgiven`
    /// where somebody has stepped over that already.
    fn read(
        &mut self,
        found: &Found,
        from: u64,
        forgiven: bool,
        other: Option<RecordError>,
    ) -> Result<(), Ended> {
        let found = &self.depot.now(found);
        let key = key(&self.settings, &found.path);
        let (time, now) = (seconds(found.time), seconds(clock::now()));
        if self.seen.is_newest(time) {
            self.newest = Some(Arc::clone(&found.path));
        }
        self.seen.insert(key, time, now);
        self.opened.note(found);
        let mut journal = self.shared.journal.lock();
        journal.begin(&found.path, key, found.time);
        drop(journal);
        let mut part = Part {
            path: Arc::clone(&found.path),
            time: found.time,
            first: from,
            batch: Batch::default(),
            last: false,
        };
        let opened = match other {
            Some(error) => Err(FileFault::Lost(error)),
            None => self.open(found, from),
        };
        let fault = match opened {
            Ok((mut rows, mut fills)) => loop {
                match rows.next() {
                    Ok(Some(batch)) => {
                        self.hand_over(&mut part, false)?;
                        part.batch = batch;
                        fills.apply(part.first, &mut part.batch);
                    }
                    Ok(None) => {
                        if self.changed(found) {
                            part.batch.spoil_last(late::cut());
                        }
                        return self.hand_over(&mut part, true);
                    }
                    Err(fault) => break fault,
                }
            },
            Err(fault) => fault,
        };
        self.hand_over(&mut part, false)?;
        match fault {
            FileFault::Lost(error) if forgiven && part.first == from => {
                tracing::warn!(
                    file = &*found.path,
                    "the rest of the file is left out, as was said by hand: {}",
                    error.reason
                );
                Ok(())
            }
            FileFault::Lost(mut error) => {
                if self.changed(found) {
                    error.reason = format!(
                        "{}; it changes while it is read: {}",
                        error.reason,
                        late::REMEDY
                    )
                    .into();
                }
                part.batch.items.push(Item::Bad(Box::new(error)));
                self.hand_over(&mut part, true)
            }
            FileFault::System(failure) => Err(Ended::Failed(Failure {
                message: format!("{}: {}", found.path, failure.message),
                ..failure
            })),
        }
    }

    fn open(&self, found: &Found, from: u64) -> Result<(Box<dyn FileRows>, Fills), FileFault> {
        let path = std::path::Path::new(&*found.path);
        let content = self.depot.content(found, &self.waiter);
        let content = content.map_err(|error| fault(&error))?;
        let (format, fills) = self.shape.of(found)?;
        let open = OpenFile {
            content,
            path,
            size: found.size,
        };
        Ok((format.open(open, from)?, fills))
    }

    /// Whether a file is another than when it was opened.
    fn changed(&self, found: &Found) -> bool {
        // What is read of an object is of one content in any case.
        self.depot.tells()
            && listing::look(&found.path)
                .is_some_and(|now| (now.time, now.size) != (found.time, found.size))
    }

    fn hand_over(&self, part: &mut Part, last: bool) -> Result<(), Ended> {
        if part.batch.items.is_empty() {
            return Ok(());
        }
        let count = part.batch.items.len() as u64;
        let whole = Part {
            path: Arc::clone(&part.path),
            time: part.time,
            first: part.first,
            batch: std::mem::take(&mut part.batch),
            last,
        };
        part.first += count;
        self.send(Message::Rows(whole))
    }

    fn send(&self, message: Message) -> Result<(), Ended> {
        self.to.blocking_send(message).map_err(|_| Ended::Gone)
    }
}
