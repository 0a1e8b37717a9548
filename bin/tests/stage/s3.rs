//! An S3 on loopback, started by the project's script: objects of one bucket, and faults on demand.

use std::ops::Deref;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{PATIENCE, Proxy, Running, Said, Served};

const SIGNED: &str = "Authorization: AWS4-HMAC-SHA256 Credential=t/20260101/us-east-1/s3/aws4_request, \
                      SignedHeaders=host, Signature=x\r\n";

/// A server of its own for each story, with the bucket `shop`.
pub struct S3(Served);

impl Deref for S3 {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.0
    }
}

impl S3 {
    pub fn start() -> Self {
        let s3 = Self(Served::start("s3.sh"));
        s3.ask("PUT", "/shop", b"");
        s3
    }

    /// A proxy before it.
    pub fn proxied(&self) -> Proxy {
        Proxy::start(self.url().trim_start_matches("http://"))
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let (status, answer) = self.request(method, path, SIGNED, body);
        let said = String::from_utf8_lossy(&answer);
        assert!(status < 300, "{method} {path}: {status} {said}");
        answer
    }

    /// Puts an object into the bucket.
    pub fn put(&self, key: &str, content: impl AsRef<[u8]>) {
        self.ask("PUT", &object(key), content.as_ref());
    }

    /// What an object holds.
    pub fn get(&self, key: &str) -> Vec<u8> {
        self.ask("GET", &object(key), b"")
    }

    /// Removes an object.
    pub fn delete(&self, key: &str) {
        self.ask("DELETE", &object(key), b"");
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

    /// Every request fails until [`S3::back`].
    pub fn away(&self) {
        self.plant(&json!([{ "status": 503, "code": "SlowDown", "times": -1, "path": "/shop" }]));
    }

    /// Requests are answered again.
    pub fn back(&self) {
        self.plant(&json!([]));
    }

    /// How the bucket is reached, as options.
    pub fn options(&self) -> String {
        format!("fs.s3a.endpoint '{}'", self.url())
    }

    /// Writes a job.
    pub fn job(&self, text: &str) -> PathBuf {
        self.write_job(text)
    }

    /// Runs a command to its end, in this environment beside the usual one.
    pub fn call_in(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        let mut command = self.command(arguments);
        for (name, value) in environment {
            command.env(name, value);
        }
        Running::start(command).end(PATIENCE)
    }

    /// Waits until so many rows are written.
    #[track_caller]
    pub fn until_out(&self, count: usize) {
        self.until_rows(count, PATIENCE);
    }
}

/// The path of an object in the bucket.
fn object(key: &str) -> String {
    format!("/shop/{}", key.replace('%', "%25"))
}
