//! A real Apache Kafka broker, started by the project's script. It ends when the test program does.

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Proxy;

/// A broker on loopback with a data folder of its own.
pub struct Broker {
    dir: PathBuf,
    bootstrap: String,
}

impl Broker {
    /// Starts one; `options` go to the script.
    pub fn start(options: &[&str]) -> Self {
        let dir = tempfile::TempDir::with_prefix("thalweg-broker-")
            .unwrap()
            .keep();
        let mut broker = Self {
            dir,
            bootstrap: String::new(),
        };
        broker.bootstrap = broker.up_with(options);
        broker
    }

    /// Starts one that is reached through a proxy too. Who comes through it is led back to it by what the broker says of itself.
    pub fn proxied() -> (Self, Proxy) {
        // Below the range from which outgoing connections take their ports.
        let mut ports = (20_000..32_000).rev();
        let port = ports
            .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
            .unwrap();
        let proxy = Proxy::start(&format!("127.0.0.1:{port}"));
        let listener = format!("PROXIED=PLAINTEXT:{port}:{}", proxy.port());
        (Self::start(&["--listener", &listener]), proxy)
    }

    /// Starts so many that are one cluster: three replicas of each topic, two of which must be in sync.
    pub fn cluster(count: usize, options: &[&str]) -> Self {
        let dir = tempfile::TempDir::with_prefix("thalweg-cluster-")
            .unwrap()
            .keep();
        let mut cluster = Self {
            dir,
            bootstrap: String::new(),
        };
        let (count, owner) = (count.to_string(), std::process::id().to_string());
        let mut words = vec![count.as_str(), "--owner", &owner, "--remove"];
        words.extend_from_slice(options);
        cluster.bootstrap = cluster.script("cluster", &words);
        cluster
    }

    /// One broker of a cluster, by its number from 1.
    pub fn node(&self, number: usize) -> Self {
        let address = self.bootstrap.split(',').nth(number - 1).unwrap();
        Self {
            dir: self.dir.join(number.to_string()),
            bootstrap: address.to_owned(),
        }
    }

    /// `host:port` of the plain listener; of a cluster all of them, separated by commas.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Clean stop.
    pub fn stop(&self) {
        self.script("stop", &[]);
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.script("kill", &[]);
    }

    /// SIGSTOP: connections stay, nothing answers.
    pub fn pause(&self) {
        self.script("pause", &[]);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.script("resume", &[]);
    }

    /// Starts it again with the same data and properties; returns when it serves requests.
    pub fn up(&self) {
        let bootstrap = self.up_with(&[]);
        assert_eq!(bootstrap, self.bootstrap);
    }

    /// Runs a class of Kafka's tools.
    pub fn tool(&self, class: &str, arguments: &[&str]) {
        let output = Command::new(SCRIPT)
            .args(["tool", class, "--bootstrap-server", &self.bootstrap])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{class}: {output:?}");
    }

    /// Sends keyed records with Java's own client and its default partitioner.
    pub fn send_with_java(&self, topic: &str, records: &[(String, String)]) {
        let mut lines = String::new();
        for (key, value) in records {
            lines.push_str(&format!("{key}\t{value}\n"));
        }
        let mut producer = Command::new(SCRIPT)
            .args(["tool", "org.apache.kafka.tools.ConsoleProducer"])
            .args(["--bootstrap-server", &self.bootstrap, "--topic", topic])
            .args(["--property", "parse.key=true"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = producer.stdin.take().unwrap();
        stdin.write_all(lines.as_bytes()).unwrap();
        drop(stdin);
        let output = producer.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn up_with(&self, options: &[&str]) -> String {
        let owner = std::process::id().to_string();
        let mut words = vec!["0", "--owner", &owner, "--remove"];
        words.extend_from_slice(options);
        self.script("start", &words)
    }

    fn script(&self, command: &str, options: &[&str]) -> String {
        let output = Command::new(SCRIPT)
            .arg(command)
            .arg(&self.dir)
            .args(options)
            .output()
            .unwrap();
        assert!(output.status.success(), "broker {command}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../loadtest/broker.sh");
