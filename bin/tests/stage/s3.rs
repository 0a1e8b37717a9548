//! An S3 on loopback, started by the project's script: objects of one bucket, and faults on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{PATIENCE, Running, Said, thalweg, until};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../loadtest/s3.sh");
const SIGNED: &str = "Authorization: AWS4-HMAC-SHA256 Credential=t/20260101/us-east-1/s3/aws4_request, \
                      SignedHeaders=host, Signature=x\r\n";

/// A server of its own for each story, with the bucket `shop`. It ends with it.
pub struct S3 {
    child: Child,
    address: String,
    dir: TempDir,
}

impl S3 {
    pub fn start() -> Self {
        let mut child = Command::new(SCRIPT)
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
        let s3 = Self {
            child,
            address,
            dir: TempDir::with_prefix("thalweg-story-").unwrap(),
        };
        s3.ask("PUT", "/shop", b"");
        s3
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn request(&self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\n{SIGNED}Content-Length: {}\r\n\r\n",
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

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let (status, answer) = self.request(method, path, body);
        let said = String::from_utf8_lossy(&answer);
        assert!(status < 300, "{method} {path}: {status} {said}");
        answer
    }

    /// Puts an object into the bucket.
    pub fn put(&self, key: &str, content: impl AsRef<[u8]>) {
        self.ask("PUT", &format!("/shop/{key}"), content.as_ref());
    }

    /// What an object holds.
    pub fn get(&self, key: &str) -> Vec<u8> {
        self.ask("GET", &format!("/shop/{key}"), b"")
    }

    /// Removes an object.
    pub fn delete(&self, key: &str) {
        self.ask("DELETE", &format!("/shop/{key}"), b"");
    }

    /// The keys below a prefix.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let path = format!("/shop?list-type=2&prefix={prefix}");
        let text = String::from_utf8(self.ask("GET", &path, b"")).unwrap();
        assert!(text.contains("<IsTruncated>false"), "{text}");
        text.split("<Key>")
            .skip(1)
            .map(|rest| rest.split("</Key>").next().unwrap().to_owned())
            .collect()
    }

    /// Answers requests with errors, or holds them, until other faults are planted.
    pub fn plant(&self, faults: &Value) {
        self.ask("POST", "/faults", faults.to_string().as_bytes());
    }

    /// Every request fails until [`S3::back`].
    pub fn away(&self) {
        self.plant(&json!([{ "status": 503, "code": "SlowDown", "times": -1, "path": "/shop" }]));
    }

    /// Requests are answered again.
    pub fn back(&self) {
        self.plant(&json!([]));
    }

    /// How many requests of a method were made.
    pub fn count(&self, method: &str) -> u64 {
        let counts: Value = serde_json::from_slice(&self.ask("GET", "/counts", b"")).unwrap();
        counts[method].as_u64().unwrap_or(0)
    }

    /// The story's folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// How the bucket is reached, as options.
    pub fn options(&self) -> String {
        format!("fs.s3a.endpoint '{}'", self.url())
    }

    /// Writes a job.
    pub fn job(&self, text: &str) -> PathBuf {
        let path = self.dir().join("job.sql");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
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

    /// Runs a command to its end, in this environment beside the usual one.
    pub fn call_in(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        let mut command = self.command(arguments);
        for (name, value) in environment {
            command.env(name, value);
        }
        Running::start(command).end(PATIENCE)
    }

    /// Runs a command to its end.
    pub fn call(&self, arguments: &[&str]) -> Said {
        self.call_in(arguments, &[])
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
    pub fn until_out(&self, count: usize) {
        until(&format!("{count} rows"), PATIENCE, || {
            self.out().len() >= count
        });
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
