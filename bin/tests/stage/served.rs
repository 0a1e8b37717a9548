//! A server of a story's own on loopback, started by a script of the project, and a folder beside it for jobs and what they write.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{PATIENCE, Running, Said, thalweg, until};

/// It ends with the story.
pub struct Served {
    child: Child,
    address: String,
    dir: TempDir,
}

impl Served {
    /// Starts `loadtest/SCRIPT serve`.
    pub fn start(script: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest");
        let mut child = Command::new(folder.join(script))
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        Self {
            child,
            address,
            dir: TempDir::with_prefix("thalweg-story-").unwrap(),
        }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it answers to a request with these further lines in its head: the status, and the body.
    pub fn request(&self, method: &str, path: &str, head: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\n{head}Content-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split_whitespace().nth(1).unwrap();
        (status.parse().unwrap(), answer.split_off(end + 4))
    }

    /// Plants these faults, in place of those before.
    pub fn plant(&self, faults: &Value) {
        let (status, _) = self.request("POST", "/faults", "", faults.to_string().as_bytes());
        assert_eq!(status, 200);
    }

    /// How many requests of a kind were made.
    pub fn count(&self, kind: &str) -> u64 {
        let (_, counts) = self.request("GET", "/counts", "", b"");
        let counts: Value = serde_json::from_slice(&counts).unwrap();
        counts[kind].as_u64().unwrap_or(0)
    }

    /// The story's folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a job.
    pub fn write_job(&self, text: &str) -> PathBuf {
        let path = self.dir().join("job.sql");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A command in the story's folder, with credentials of AWS in its environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = thalweg(arguments);
        command
            .current_dir(self.dir())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("AWS_REGION")
            .env_remove("AWS_DEFAULT_REGION");
        command
    }

    /// Starts a job with HTTP at a free port.
    pub fn run(&self, job: &Path, more: &[&str]) -> Running {
        let mut arguments = vec!["run", job.to_str().unwrap(), "--http", "127.0.0.1:0"];
        arguments.extend_from_slice(more);
        Running::start(self.command(&arguments))
    }

    /// Runs a command to its end.
    pub fn call(&self, arguments: &[&str]) -> Said {
        Running::start(self.command(arguments)).end(PATIENCE)
    }

    /// The rows of `out.jsonl`, whole lines only: a kill may leave a part of the last.
    pub fn out(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir().join("out.jsonl")).unwrap_or_default();
        let lines = text.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits until so many rows are written.
    #[track_caller]
    pub fn until_rows(&self, count: usize, within: Duration) {
        until(&format!("{count} rows"), within, || {
            self.out().len() >= count
        });
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
