//! The writer of one lane: rows go to the open part of their folder; when parts begin and end.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::recorder::Trace;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::sink::{DeliveryObserver, LocalFuture, Origin, Prepared, Readiness, Writer};

use super::outlet::Rows;
use super::part::{self, Part};
use super::partitions::Partitions;
use super::waiting::Waiting;
use super::{Rolling, Target};
use crate::codecs::Encoder;

/// So many bytes are collected before they go to the disk's thread, if there is no cut meanwhile.
const COLLECTED: usize = 256 << 10;

/// The writer of one lane.
pub(super) struct FolderWriter {
    output: Arc<Target>,
    /// What of its parts is not visible yet.
    waiting: Waiting,
    observer: Arc<dyn DeliveryObserver>,
    encoder: Box<dyn Encoder>,
    partitions: Partitions,
    /// The places of the columns that stand in the file, where those are not all.
    columns: Option<Vec<usize>>,
    /// The columns of a row that stand in the file.
    row: Row,
    /// The folder of a row, and of the row before it.
    folder: String,
    last: SmolStr,
    /// The encoded rows of the record that is being written, and of each its folder and where it ends.
    staged: Vec<u8>,
    rows: Vec<(SmolStr, usize)>,
    taken: Option<Instant>,
    /// The open parts by folder.
    open: HashMap<SmolStr, Open>,
    /// Complete parts that are not visible yet.
    complete: Vec<(u64, String)>,
    /// Names of parts that have become visible since the last cut.
    visible: Arc<Mutex<HashSet<String>>>,
    /// Parts that a commit has named and that are visible, or on their way.
    asked: HashSet<String>,
    /// Counts records, to know which part was written longest ago.
    records: u64,
    collected: usize,
    crowded: bool,
}

/// A part that rows are appended to.
struct Open {
    id: u64,
    file: String,
    since: Instant,
    /// The record that wrote to it last.
    used: u64,
    /// Its bytes before they are packed.
    size: u64,
    /// Rows that wait for the disk's thread.
    bytes: Vec<u8>,
    count: u64,
    taken: Instant,
    written: Instant,
    trace: Trace,
}

impl FolderWriter {
    pub(super) fn new(
        output: &Arc<Target>,
        waiting: Waiting,
        observer: Arc<dyn DeliveryObserver>,
        encoder: Box<dyn Encoder>,
        partitions: Partitions,
        columns: Option<Vec<usize>>,
    ) -> Self {
        Self {
            output: Arc::clone(output),
            waiting,
            observer,
            encoder,
            partitions,
            columns,
            row: Row::new(),
            folder: String::new(),
            last: SmolStr::default(),
            staged: Vec::new(),
            rows: Vec::new(),
            taken: None,
            open: HashMap::new(),
            complete: Vec::new(),
            visible: Arc::default(),
            asked: HashSet::new(),
            records: 0,
            collected: 0,
            crowded: false,
        }
    }

    fn rolling(&self) -> Rolling {
        self.output.rolling
    }

    /// Begins a part in this folder.
    fn begin(&mut self, folder: &SmolStr) {
        if self.open.len() >= self.rolling().open_max {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.used);
            if let Some(oldest) = oldest.map(|(folder, _)| folder.clone()) {
                self.end(&oldest);
            }
            if !std::mem::replace(&mut self.crowded, true) {
                tracing::warn!(
                    folder = %self.output.goal.place().display(),
                    "rows go to more folders at once than maxOpenFiles allows: the file that was written longest ago is ended \
                     for each new one, so files become small"
                );
            }
        }
        let (id, name) = self.output.name();
        let file = if folder.is_empty() {
            name
        } else {
            format!("{folder}/{name}")
        };
        self.waiting.open(id, &file);
        let now = Instant::now();
        let open = Open {
            id,
            file,
            since: now,
            used: self.records,
            size: 0,
            bytes: self.output.begins_with.clone(),
            count: 0,
            taken: now,
            written: now,
            trace: Trace::default(),
        };
        self.collected += open.bytes.len();
        self.open.insert(folder.clone(), open);
    }

    /// Ends the part of a folder: no row comes into it any more.
    fn end(&mut self, folder: &SmolStr) {
        let Some(mut open) = self.open.remove(folder) else {
            return;
        };
        self.collected -= open.bytes.len();
        hand_over(&mut open, &mut self.waiting, &self.observer);
        self.waiting.complete(open.id);
        self.complete.push((open.id, open.file));
    }

    fn append(&mut self, folder: &SmolStr, bytes: std::ops::Range<usize>) {
        if !self.open.contains_key(folder) {
            self.begin(folder);
        }
        let Some(open) = self.open.get_mut(folder) else {
            return;
        };
        if open.count == 0 {
            open.written = Instant::now();
            open.taken = self.taken.unwrap_or(open.written);
            open.trace = self.observer.trace();
        }
        open.used = self.records;
        open.count += 1;
        open.size += bytes.len() as u64;
        self.collected += bytes.len();
        open.bytes.extend_from_slice(&self.staged[bytes]);
        if open.size >= self.output.rolling.size {
            self.end(folder);
        }
    }

    /// Hands over what is collected.
    fn flush(&mut self) {
        for open in self.open.values_mut() {
            hand_over(open, &mut self.waiting, &self.observer);
        }
        self.collected = 0;
    }
}

impl Drop for FolderWriter {
    /// Lanes come and go while the output goes on.
    fn drop(&mut self) {
        let open = self.open.values().map(|open| open.id);
        let parts = open.chain(self.complete.iter().map(|(id, _)| *id));
        self.waiting.forget(parts.collect());
    }
}

fn hand_over(open: &mut Open, waiting: &mut Waiting, observer: &Arc<dyn DeliveryObserver>) {
    if open.bytes.is_empty() {
        return;
    }
    let rows = Rows {
        bytes: std::mem::take(&mut open.bytes),
        count: std::mem::take(&mut open.count),
        taken: open.taken,
        written: open.written,
        trace: open.trace,
        observer: Arc::clone(observer),
    };
    waiting.write(open.id, rows);
}

impl Writer for FolderWriter {
    fn write(&mut self, row: &[Value], origin: Origin<'_>) -> Result<(), RecordError> {
        self.folder.clear();
        self.partitions.append(row, &mut self.folder)?;
        let start = self.staged.len();
        match &self.columns {
            None => self.encoder.encode(row, &mut self.staged)?,
            Some(columns) => {
                self.row.clear();
                let values = columns.iter().filter_map(|place| row.get(*place));
                self.row.extend(values.cloned());
                self.encoder.encode(&self.row, &mut self.staged)?;
            }
        }
        self.taken = Some(origin.meta.taken);
        if self.staged.len() == start && self.encoder.leaves_out_nothing() {
            return Ok(());
        }
        self.staged.extend_from_slice(&self.output.line_end);
        // Rows of one folder come together more often than not, and its name may be too long to be copied for each.
        if self.last != self.folder.as_str() {
            self.last = SmolStr::new(&self.folder);
        }
        self.rows.push((self.last.clone(), self.staged.len()));
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        if let Some(failure) = self.output.disk.failed() {
            return Err(failure);
        }
        self.records += 1;
        let mut from = 0;
        let mut rows = std::mem::take(&mut self.rows);
        for (folder, end) in rows.drain(..) {
            self.append(&folder, from..end);
            from = end;
        }
        self.rows = rows;
        self.reject();
        if self.collected >= COLLECTED {
            self.flush();
        }
        Ok(if self.output.full() {
            Readiness::Full
        } else {
            Readiness::Ready
        })
    }

    fn reject(&mut self) {
        self.staged.clear();
        self.rows.clear();
        self.taken = None;
    }

    fn drained(&mut self) -> LocalFuture<Result<(), Failure>> {
        let output = Arc::clone(&self.output);
        Box::pin(async move {
            loop {
                let heard = output.disk.progress.notified();
                tokio::pin!(heard);
                // Registered before the look, so that the last step cannot be missed in between.
                heard.as_mut().enable();
                if let Some(failure) = output.disk.failed() {
                    return Err(failure);
                }
                if !output.full() {
                    return Ok(());
                }
                heard.await;
            }
        })
    }

    /// What is safe is what `prepare` names.
    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// The open parts as far as they are written, and the complete ones that are not visible yet.
    fn prepare(&mut self, last: bool) -> LocalFuture<Result<Option<Prepared>, Failure>> {
        let interval = self.rolling().interval;
        let over = |open: &Open| last || open.since.elapsed() >= interval;
        let over: Vec<SmolStr> = self
            .open
            .iter()
            .filter(|(_, open)| over(open))
            .map(|(folder, _)| folder.clone())
            .collect();
        for folder in over {
            self.end(&folder);
        }
        self.flush();
        let visible = std::mem::take(&mut *self.visible.lock());
        let (gone, complete) = std::mem::take(&mut self.complete)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, file)| visible.contains(file));
        self.complete = complete;
        if !gone.is_empty() {
            let gone = gone.into_iter().map(|(id, _)| id);
            self.waiting.forget(gone.collect());
        }
        let complete = self.complete.iter().map(|(id, file)| (*id, file, true));
        let open = self.open.values().map(|open| (open.id, &open.file, false));
        let (ids, mut parts): (Vec<u64>, Vec<Part>) = complete
            .chain(open)
            .map(|(id, file, complete)| {
                let part = Part {
                    file: file.clone(),
                    bytes: 0,
                    complete,
                    as_rows: self.output.as_rows,
                    strands: Vec::new(),
                };
                (id, part)
            })
            .unzip();
        if ids.is_empty() {
            return Box::pin(std::future::ready(Ok(None)));
        }
        let safe = self.waiting.cut(ids, &self.output.disk);
        Box::pin(async move {
            let (laid, objects) = safe.await?;
            for (part, laid) in parts.iter_mut().zip(laid) {
                part.bytes = laid.bytes;
                part.strands = laid.strands;
            }
            parts.retain(|part| part.bytes > 0);
            Ok(part::encode(&parts).map(|bytes| Prepared { bytes, objects }))
        })
    }

    fn commit(&mut self, prepared: &[u8]) -> LocalFuture<Result<(), Failure>> {
        let parts = match part::decode(prepared) {
            Ok(parts) => parts,
            Err(failure) => return Box::pin(std::future::ready(Err(failure))),
        };
        let complete = || parts.iter().filter(|part| part.complete);
        // Once an epoch does not name a part any more, no later one does.
        let named: HashSet<&str> = complete().map(|part| part.file.as_str()).collect();
        self.asked.retain(|file| named.contains(file.as_str()));
        let mut under_way = Vec::new();
        for part in complete() {
            if self.asked.insert(part.file.clone()) {
                let publisher = &self.output.publisher;
                let published = publisher.publish(part.clone(), self.waiting.place());
                under_way.push((part.file.clone(), published));
            }
        }
        let (visible, disk) = (Arc::clone(&self.visible), Arc::clone(&self.output.disk));
        Box::pin(async move {
            for (file, published) in under_way {
                published.await.map_err(|_| disk.why())?;
                visible.lock().insert(file);
            }
            Ok(())
        })
    }
}
