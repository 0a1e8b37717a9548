//! A folder that stories write to: runs over it, and what a reader sees there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::epoch::store::{FolderStore, Store};
use thalweg_engine::error::Failure;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::sink::{Beside, Origin, Readiness, Recovery, Sink, Writer, WriterContext};

use super::table::Format;
use crate::connectors::Output;
use crate::job_error::Location;
use crate::sinks::testing::{Observed, meta, wait};
use crate::table::{OpenContext, OptionValue, Options, Table};

/// A folder, and what a checkpoint says of it.
pub(super) struct Scene {
    pub(super) dir: tempfile::TempDir,
    /// The process, where several write the folder.
    member: Option<String>,
    output: Output,
    options: Vec<(&'static str, &'static str)>,
    partitioned_by: Vec<&'static str>,
    runs: u32,
    /// Beside the checkpoints, and whose these are.
    pub(super) store: Arc<dyn Store>,
    pub(super) lane: Arc<Lane>,
    /// Whether what is not complete lies there.
    pub(super) beside: Option<Format>,
}

/// A lane as its checkpoints say whose it is.
#[derive(Default)]
pub(super) struct Lane {
    anothers: AtomicBool,
    looks: AtomicU64,
    held_up: Mutex<Option<Duration>>,
}

impl Lane {
    /// Another process goes on with it.
    pub(super) fn lose(&self) {
        self.anothers.store(true, Ordering::Relaxed);
    }

    /// The answer to the next look is on its way for so long, and another process has gone on by then.
    pub(super) fn lose_behind_the_next_look(&self, time: Duration) {
        *self.held_up.lock() = Some(time);
    }

    /// How often it was looked whose it is.
    pub(super) fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    fn look(&self) -> bool {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let owned = !self.anothers.load(Ordering::Relaxed);
        if let Some(time) = self.held_up.lock().take() {
            std::thread::sleep(time);
            self.lose();
        }
        owned
    }
}

/// One run.
pub(super) struct Run {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) writer: Box<dyn Writer>,
}

impl Scene {
    pub(super) fn new(output: Output, options: &[(&'static str, &'static str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = FolderStore::lock(dir.path().join("checkpoints")).unwrap();
        Self {
            dir,
            store: Arc::new(store),
            lane: Arc::default(),
            beside: None,
            member: None,
            output,
            options: options.to_vec(),
            partitioned_by: Vec::new(),
            runs: 0,
        }
    }

    pub(super) fn shared(mut self) -> Self {
        self.member = Some("a".to_owned());
        self
    }

    pub(super) fn by(mut self, columns: &[&'static str]) -> Self {
        self.partitioned_by = columns.to_vec();
        self
    }

    /// The columns of its rows: those that name folders, and a text.
    pub(super) fn schema(&self) -> Schema {
        let folders = self.partitioned_by.iter();
        let folders = folders.map(|name| Field::nullable(*name, DataType::String));
        let text = [Field::nullable("value", DataType::String)];
        Schema::new(folders.chain(text).collect::<Vec<_>>())
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    pub(super) fn table(&self) -> Table {
        let at = Location { line: 1, column: 1 };
        let option = |name: &str, value: &str| OptionValue {
            name: name.to_owned(),
            value: value.to_owned(),
            substituted: false,
            at,
        };
        let mut options = vec![option("path", self.path().to_str().unwrap())];
        options.extend(self.options.iter().map(|(name, value)| option(name, value)));
        Table {
            name: "archive".to_owned(),
            at,
            connector: "json".to_owned(),
            columns: None,
            primary_key: Vec::new(),
            partitioned_by: self
                .partitioned_by
                .iter()
                .map(|c| (*c).to_owned())
                .collect(),
            options: Options::new(options),
        }
    }

    pub(super) fn open(&mut self, schema: &Schema) -> Result<Arc<dyn Sink>, Failure> {
        self.runs += 1;
        let context = OpenContext {
            run: format!("run{}", self.runs),
            member: self.member.clone(),
            ..crate::sources::file::test_context()
        };
        match self.beside {
            None => (self.output.open)(&self.table(), schema, &context),
            Some(format) => super::open_keeping(format, &self.table(), schema, &context, true),
        }
    }

    /// What a writer is opened with.
    pub(super) fn context(&self, lane: &str) -> WriterContext {
        let owner = Arc::clone(&self.lane);
        WriterContext {
            lane: lane.to_owned(),
            observer: Arc::new(Observed::default()),
            beside: Some(Beside {
                store: Arc::clone(&self.store),
                owned: Arc::new(move || Ok(owner.look())),
            }),
        }
    }

    pub(super) fn try_start(
        &mut self,
        schema: &Schema,
        prepared: Option<&[u8]>,
        rewound: bool,
    ) -> Result<Run, Failure> {
        let sink = self.open(schema)?;
        let prepared = prepared.map(|bytes| (SmolStr::from("gone"), bytes.to_vec()));
        let recovered = sink.recover(&Recovery {
            checkpoint: "c0ffee",
            epoch: 7,
            rewound,
            prepared: &prepared.into_iter().collect(),
            partitions: &[],
            store: &*self.store,
        });
        if let Err(failure) = recovered {
            sink.close();
            return Err(failure);
        }
        let writer = sink.open(self.context("0"))?;
        Ok(Run { sink, writer })
    }

    pub(super) fn start(&mut self, schema: &Schema, prepared: Option<&[u8]>) -> Run {
        self.try_start(schema, prepared, false).unwrap()
    }

    /// What a reader sees: files and their content.
    pub(super) fn seen(&self) -> BTreeMap<String, Vec<u8>> {
        let mut seen = BTreeMap::new();
        look(&self.path(), "", &mut seen);
        seen
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let seen = self.seen();
        let all = seen
            .values()
            .map(|bytes| String::from_utf8(bytes.clone()).unwrap());
        let mut lines: Vec<String> = all
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        lines.sort();
        lines
    }

    pub(super) fn hidden(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().join("_thalweg/c0ffee")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn look(folder: &Path, below: &str, seen: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with(['_', '.']) {
            continue;
        }
        let name = format!("{below}{name}");
        if entry.path().is_dir() {
            look(&entry.path(), &format!("{name}/"), seen);
        } else {
            seen.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

impl Run {
    pub(super) fn write(&mut self, row: &[Value]) -> Readiness {
        self.writer
            .write(
                row,
                Origin {
                    meta: &meta(),
                    index: 0,
                    moment: false,
                },
            )
            .unwrap();
        self.writer.accept().unwrap()
    }

    pub(super) fn text(&mut self, text: &str) {
        self.write(&[Value::from(text)]);
    }

    pub(super) fn prepare(&mut self, last: bool) -> Option<Vec<u8>> {
        wait(self.writer.prepare(last))
            .unwrap()
            .map(|prepared| prepared.bytes)
    }

    pub(super) fn commit(&mut self, prepared: &[u8]) {
        wait(self.writer.commit(prepared)).unwrap();
    }

    /// As a crash would, once the disk has all that was handed over.
    pub(super) fn crash(self) {
        self.sink.close();
    }
}

pub(super) fn one() -> Schema {
    Schema::new([Field::nullable("value", DataType::String)])
}
