//! A Kinesis on loopback, started by the project's script: streams, shards, records, and faults on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{PATIENCE, Running, Said, thalweg, until};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../loadtest/kinesis.sh");

/// A server of its own for each story. It ends with it.
pub struct Kinesis {
    child: Child,
    address: String,
    dir: TempDir,
}

impl Kinesis {
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

    /// Its address as an `endpointUrl`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn request(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{head}\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    fn ask(&self, action: &str, body: &Value) -> Value {
        let head = format!(
            "POST / HTTP/1.1\r\nX-Amz-Target: Kinesis_20131202.{action}\r\n\
             Content-Type: application/x-amz-json-1.1\r\nX-Amz-Date: 20260101T000000Z\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=t/20260101/us-east-1/kinesis/aws4_request, \
             SignedHeaders=host, Signature=x"
        );
        let (status, text) = self.request(&head, &body.to_string());
        assert_eq!(status, 200, "{action} {body}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    fn until_active(&self, stream: &str) {
        until("the stream is active", PATIENCE, || {
            let told = self.ask("DescribeStreamSummary", &json!({ "StreamName": stream }));
            told["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE"
        });
    }

    /// Makes a stream.
    pub fn make(&self, stream: &str, shards: u32) {
        let told = json!({ "StreamName": stream, "ShardCount": shards });
        self.ask("CreateStream", &told);
        self.until_active(stream);
    }

    /// Deletes a stream.
    pub fn delete(&self, stream: &str) {
        self.ask("DeleteStream", &json!({ "StreamName": stream }));
    }

    /// Sends records, each with its key.
    pub fn send<'r>(&self, stream: &str, records: impl IntoIterator<Item = (&'r str, String)>) {
        let records: Vec<Value> = records
            .into_iter()
            .map(|(key, data)| json!({ "PartitionKey": key, "Data": BASE64.encode(data) }))
            .collect();
        for some in records.chunks(400) {
            let told = json!({ "StreamName": stream, "Records": some });
            let answer = self.ask("PutRecords", &told);
            assert_eq!(answer["FailedRecordCount"], 0, "{answer}");
        }
    }

    /// Splits a shard in the middle.
    pub fn split(&self, stream: &str, shard: &str) {
        let listed = self.ask("ListShards", &json!({ "StreamName": stream }));
        let shards = listed["Shards"].as_array().unwrap();
        let shard = shards.iter().find(|one| one["ShardId"] == shard).unwrap();
        let edge = |name: &str| -> u128 {
            let edge = shard["HashKeyRange"][name].as_str().unwrap();
            edge.parse().unwrap()
        };
        let (low, high) = (edge("StartingHashKey"), edge("EndingHashKey"));
        let told = json!({
            "StreamName": stream,
            "ShardToSplit": shard["ShardId"],
            "NewStartingHashKey": (low + (high - low) / 2).to_string(),
        });
        self.ask("SplitShard", &told);
        self.until_active(stream);
    }

    /// Merges two shards.
    pub fn merge(&self, stream: &str, shard: &str, other: &str) {
        let told = json!({
            "StreamName": stream, "ShardToMerge": shard, "AdjacentShardToMerge": other,
        });
        self.ask("MergeShards", &told);
        self.until_active(stream);
    }

    /// Answers the next so many requests of an action with an error.
    pub fn plant(&self, faults: &[(&str, &str, u16, u32)]) {
        let faults: Vec<Value> = faults
            .iter()
            .map(|(action, code, status, times)| {
                json!({ "action": action, "code": code, "status": status, "times": times })
            })
            .collect();
        self.plant_as(&json!(faults));
    }

    /// Says of the stream the next so many times that it keeps records for so many hours.
    pub fn plant_retention(&self, hours: i32, times: u32) {
        self.plant_as(&json!([
            { "action": "DescribeStreamSummary", "retention": hours, "times": times }
        ]));
    }

    /// Leaves a shard out of each list from now on.
    pub fn plant_without(&self, shard: &str) {
        self.plant_as(&json!([{ "action": "ListShards", "without": shard, "times": 100_000 }]));
    }

    fn plant_as(&self, faults: &Value) {
        let (status, _) = self.request("POST /faults HTTP/1.1", &faults.to_string());
        assert_eq!(status, 200);
    }

    /// How often an action was asked for.
    pub fn count(&self, action: &str) -> u64 {
        let (_, text) = self.request("GET /counts HTTP/1.1", "");
        let counts: Value = serde_json::from_str(&text).unwrap();
        counts[action].as_u64().unwrap_or(0)
    }

    /// The story's folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a job that reads the stream `s` as `messages` and writes `out.jsonl`.
    pub fn job(&self, settings: &str, options: &str, query: &str) -> PathBuf {
        let path = self.dir().join("job.sql");
        let url = self.url();
        let text = format!(
            "SET checkpointLocation = './checkpoints';\n{settings}\n\
             CREATE TABLE messages USING kinesis OPTIONS (\n  streamName 's', endpointUrl '{url}', {options});\n\
             CREATE TABLE out USING file OPTIONS (path 'out.jsonl');\n\
             INSERT INTO out {query};\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A command in the story's folder, with credentials in its environment.
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

    /// What was written, whole lines only: a kill may leave a part of the last.
    pub fn out(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir().join("out.jsonl")).unwrap_or_default();
        let lines = text.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits until so many rows are written.
    #[track_caller]
    pub fn until_out(&self, count: usize, within: Duration) {
        until(&format!("{count} rows"), within, || {
            self.out().len() >= count
        });
    }
}

impl Drop for Kinesis {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
