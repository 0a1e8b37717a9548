//! A Kinesis on loopback, started by the project's script: streams, shards, records, and faults on demand.

use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{PATIENCE, Served, until};

/// A server of its own for each story.
pub struct Kinesis(Served);

impl Deref for Kinesis {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.0
    }
}

impl Kinesis {
    pub fn start() -> Self {
        Self(Served::start("kinesis.sh"))
    }

    fn ask(&self, action: &str, body: &Value) -> Value {
        let head = format!(
            "X-Amz-Target: Kinesis_20131202.{action}\r\n\
             Content-Type: application/x-amz-json-1.1\r\nX-Amz-Date: 20260101T000000Z\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=t/20260101/us-east-1/kinesis/aws4_request, \
             SignedHeaders=host, Signature=x\r\n"
        );
        let (status, answer) = self.request("POST", "/", &head, body.to_string().as_bytes());
        let text = String::from_utf8_lossy(&answer);
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
    pub fn plant_errors(&self, faults: &[(&str, &str, u16, u32)]) {
        let faults: Vec<Value> = faults
            .iter()
            .map(|(action, code, status, times)| {
                json!({ "action": action, "code": code, "status": status, "times": times })
            })
            .collect();
        self.0.plant(&json!(faults));
    }

    /// Says of the stream the next so many times that it keeps records for so many hours.
    pub fn plant_retention(&self, hours: i32, times: u32) {
        self.0.plant(&json!([
            { "action": "DescribeStreamSummary", "retention": hours, "times": times }
        ]));
    }

    /// Says with all records from now on that so many milliseconds are behind them.
    pub fn plant_behind(&self, milliseconds: u32) {
        self.0.plant(&json!([
            { "action": "GetRecords", "behind": milliseconds, "times": 100_000 }
        ]));
    }

    /// Leaves a shard out of each list from now on.
    pub fn plant_without(&self, shard: &str) {
        self.0
            .plant(&json!([{ "action": "ListShards", "without": shard, "times": 100_000 }]));
    }

    /// Writes a job that reads the stream `s` as `messages` and writes `out.jsonl`.
    pub fn job(&self, settings: &str, options: &str, query: &str) -> PathBuf {
        let url = self.url();
        let text = format!(
            "SET checkpointLocation = './checkpoints';\n{settings}\n\
             CREATE TABLE messages USING kinesis OPTIONS (\n  streamName 's', endpointUrl '{url}', {options});\n\
             CREATE TABLE out USING file OPTIONS (path 'out.jsonl');\n\
             INSERT INTO out {query};\n"
        );
        self.write_job(&text)
    }

    /// Waits until so many rows are written.
    #[track_caller]
    pub fn until_out(&self, count: usize, within: Duration) {
        self.until_rows(count, within);
    }
}
