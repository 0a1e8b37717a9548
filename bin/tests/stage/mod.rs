//! The stage of the end-to-end tests: a real broker, topics, the built command, and waiting for conditions with a deadline.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    missing_docs,
    reason = "shared by several test programs, each of which uses a part"
)]

mod azure;
mod blocks;
mod broker;
mod command;
mod counting;
mod kinesis;
mod loyalty;
mod members;
#[path = "../command/mod.rs"]
pub mod plain;
mod proxy;
mod runtime;
mod s3;
mod served;
mod tls;
mod tokens;
mod topics;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use azure::Azure;
pub use blocks::parquet_of;
pub use broker::Broker;
pub use command::{Running, Said, thalweg};
pub use counting::{ANNA, Counting, bearer, json};
pub use kinesis::Kinesis;
pub use loyalty::{Account, Load, Loyalty, invoice, invoices};
pub use members::{owned, until_shared};
pub use proxy::{Proxy, Way};
pub use runtime::{hash_of, models, runtime};
pub use s3::S3;
pub use served::Served;
pub use tls::Terminator;
pub use tokens::Tokens;
pub use topics::{Got, Rec, Topics, now};

/// How long a wait takes before it is a failure, where the story says nothing else.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Asks again until it is so.
#[track_caller]
pub fn until(what: &str, within: Duration, mut so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < within, "{}: {what}", too_late(within));
        std::thread::sleep(Duration::from_millis(5));
    }
    began.elapsed()
}

/// What a wait says that was not enough. `too late` are only those of a story about time: [`PATIENCE`] has an end where
/// something never comes.
fn too_late(within: Duration) -> String {
    let word = if within < PATIENCE { "too late, " } else { "" };
    format!("{word}not within {within:?}")
}

/// One story: a folder and topics of its own on a broker that it may share with others.
pub struct Scene {
    pub name: String,
    pub broker: &'static Broker,
    pub topics: Topics,
    dir: TempDir,
    /// Whether its commands find the ONNX runtime.
    scoring: bool,
}

impl Scene {
    /// A story by its name, which is also the job's name and begins the names of its topics.
    pub fn new(name: &str, broker: &'static Broker) -> Self {
        Self {
            name: name.to_owned(),
            broker,
            topics: Topics::of(broker.bootstrap()),
            dir: TempDir::with_prefix("thalweg-story-").unwrap(),
            scoring: false,
        }
    }

    /// The same with an input and an output topic of so many partitions.
    pub fn with_topics(name: &str, broker: &'static Broker, partitions: i32) -> Self {
        let scene = Self::new(name, broker);
        scene.topics.make(&scene.input(), partitions, &[]);
        scene.topics.make(&scene.output(), partitions, &[]);
        scene
    }

    /// Its commands find the ONNX runtime from now on.
    pub fn scoring(mut self) -> Self {
        self.scoring = true;
        self
    }

    /// Puts a file in place at once, as `mv` does.
    pub fn put(&self, file: &Path, name: &str) {
        let aside = self.dir().join("aside.tmp");
        std::fs::copy(file, &aside).unwrap();
        std::fs::rename(aside, self.dir().join(name)).unwrap();
    }

    /// The input topic.
    pub fn input(&self) -> String {
        format!("{}-in", self.name)
    }

    /// The output topic.
    pub fn output(&self) -> String {
        format!("{}-out", self.name)
    }

    /// The consumer group of the query `notification`.
    pub fn group(&self) -> String {
        format!("{}-notification", self.name)
    }

    /// The story's folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The `checkpointLocation`.
    pub fn checkpoints(&self) -> PathBuf {
        self.dir().join("checkpoints")
    }

    /// The checkpoint folder of the query `notification`.
    pub fn folder(&self) -> PathBuf {
        self.checkpoints().join("notification")
    }

    /// The newest checkpoint file.
    pub fn newest_file(&self) -> Option<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.folder().join("epochs"))
            .ok()?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
            .collect();
        files.sort();
        files.pop()
    }

    /// Writes a job file.
    pub fn write(&self, text: &str) -> PathBuf {
        let path = self.dir().join(format!("{}.sql", self.name));
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts the job with HTTP at a free port.
    pub fn run(&self, job: &Path) -> Running {
        self.run_with(job, &[])
    }

    /// Starts the job and waits until it is ready.
    #[track_caller]
    pub fn started(&self, job: &Path) -> Running {
        let mut running = self.run(job);
        running.until_ready();
        running
    }

    /// Sends so many invoices a second from now on.
    pub fn load(&self, rate: u32) -> Load {
        Load::start(&self.topics, &self.input(), rate)
    }

    /// Starts the job with more arguments.
    pub fn run_with(&self, job: &Path, more: &[&str]) -> Running {
        let mut arguments = vec!["run", job.to_str().unwrap(), "--http", "127.0.0.1:0"];
        arguments.extend_from_slice(more);
        Running::start(self.command(&arguments))
    }

    /// Starts the job with these variables in its environment.
    pub fn run_in(&self, job: &Path, variables: &[(&str, &str)]) -> Running {
        let arguments = ["run", job.to_str().unwrap(), "--http", "127.0.0.1:0"];
        let mut command = self.command(&arguments);
        command.envs(variables.iter().copied());
        Running::start(command)
    }

    /// Runs a command to its end.
    pub fn call(&self, arguments: &[&str]) -> Said {
        self.call_for(PATIENCE, arguments)
    }

    /// Runs a command to its end, which may take so long.
    pub fn call_for(&self, patience: Duration, arguments: &[&str]) -> Said {
        Running::start(self.command(arguments)).end(patience)
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = thalweg(arguments);
        command
            .current_dir(self.dir())
            .env("KAFKA", self.broker.bootstrap());
        if self.scoring {
            command.env("ORT_DYLIB_PATH", runtime());
        }
        command
    }

    /// Where `thalweg inspect` says that each partition of `notification` goes on.
    pub fn positions(&self) -> Vec<(String, i64)> {
        self.positions_of("notification")
    }

    /// The same of a query of another name.
    pub fn positions_of(&self, query: &str) -> Vec<(String, i64)> {
        let folder = self.checkpoints().join(query);
        let said = self.call(&["inspect", folder.to_str().unwrap(), "--json"]);
        let document: serde_json::Value =
            serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
        let newest = &document[0]["newest"];
        newest["partitions"]
            .as_array()
            .unwrap_or_else(|| panic!("{said:?}"))
            .iter()
            .map(|cut| {
                (
                    cut["partition"].as_str().unwrap().to_owned(),
                    cut["position"].as_i64().unwrap(),
                )
            })
            .collect()
    }

    /// Waits until the output topic holds so many records.
    #[track_caller]
    pub fn until_out(&self, count: i64, within: Duration) {
        let topic = self.output();
        let began = Instant::now();
        loop {
            let held = self.topics.count(&topic);
            if held >= count {
                return;
            }
            assert!(
                began.elapsed() < within,
                "{}: {topic} holds {held} records, {count} are awaited",
                too_late(within)
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the job and kills it so often: each time when it has written something new, unless it has written `count`
    /// records already, and a moment later. Most of the kills must meet it while it still has something to write.
    #[track_caller]
    pub fn kill_again_and_again(&self, job: &Path, count: u64, kills: u32) {
        let count = i64::try_from(count).unwrap();
        let (mut held, mut at_work) = (0, 0);
        for kill in 0..kills {
            let running = self.run(job);
            if held < count {
                self.until_out(held + 1, PATIENCE);
            }
            std::thread::sleep(Duration::from_millis(u64::from(kill) * 37 % 300));
            running.kill();
            held = self.topics.count(&self.output());
            at_work += u32::from(held < count);
        }
        println!("{at_work} of {kills} kills met {} at work", self.name);
        assert!(
            at_work * 2 >= kills,
            "{at_work} of {kills} kills met it at work"
        );
    }
}

/// How often a story kills: `usual` times, in its long form THALWEG_KILLS times.
pub fn kills(usual: u32) -> u32 {
    std::env::var("THALWEG_KILLS").map_or(usual, |kills| kills.parse().unwrap())
}

/// The files that a reader of the folder sees.
pub fn visible_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with(['_', '.']) {
            continue;
        }
        if path.is_dir() {
            found.extend(visible_files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
