//! A job that counts, without any server, for stories of what it serves over HTTP.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{PATIENCE, Running, Said, thalweg, visible_files};

/// Anna's token.
pub const ANNA: &str = "anna-0123456789abcdef";

/// A job that writes numbers of two partitions as JSON, in a folder of its own.
pub struct Counting {
    dir: tempfile::TempDir,
}

impl Counting {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let text = format!(
            "SET jobName = 'counting';
SET checkpointLocation = '{}';
SET checkpointInterval = '100 ms';
CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '500', numPartitions '2');
CREATE TABLE numbers USING json OPTIONS (path '{}', rollInterval '100 ms');
INSERT INTO numbers SELECT value, '${{PASSWORD}}' = 'x' AS known FROM ticks WHERE value >= 0;
",
            path("checkpoints"),
            path("out"),
        );
        fs::write(dir.path().join("job.sql"), text).unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = thalweg(arguments);
        command
            .current_dir(self.dir.path())
            .env("PASSWORD", "very-secret-password");
        command
    }

    pub fn start(&self, more: &[&str]) -> Running {
        let mut arguments = vec!["run", "job.sql", "--http", "127.0.0.1:0"];
        arguments.extend_from_slice(more);
        let mut running = Running::start(self.command(&arguments));
        running.until_ready();
        running
    }

    /// With Anna's token.
    pub fn guarded(&self, more: &[&str]) -> Running {
        fs::write(self.path("tokens"), format!("anna {ANNA}\n")).unwrap();
        let mut arguments = vec!["--token-file", "tokens"];
        arguments.extend_from_slice(more);
        self.start(&arguments)
    }

    pub fn call(&self, arguments: &[&str]) -> Said {
        Running::start(self.command(arguments)).end(PATIENCE)
    }

    /// The numbers that were written, each once and none left out.
    #[track_caller]
    pub fn numbers(&self) -> usize {
        let files = visible_files(&self.path("out"));
        let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
        let texts: Vec<String> = texts.collect();
        let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
        let numbers: BTreeSet<i64> = lines
            .iter()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["value"]
                    .as_i64()
                    .unwrap()
            })
            .collect();
        assert_eq!(numbers.len(), lines.len(), "a number is there twice");
        for partition in [0, 1] {
            let own = numbers.iter().filter(|number| *number % 2 == partition);
            let own: Vec<i64> = own.copied().collect();
            assert!(own.windows(2).all(|pair| pair[1] == pair[0] + 2));
        }
        numbers.len()
    }
}

/// The header of a token.
pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// JSON of an answer.
#[track_caller]
pub fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {body}"))
}
