//! A broker of one's own, started and stopped by the project's script, which is carried inside this program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use clap::Args;
use tempfile::TempDir;

use crate::failure::{Failure, Result};

const SCRIPT: &str = include_str!("../broker.sh");

/// Which broker is used.
#[derive(Args, Clone, Debug)]
pub(crate) struct BrokerArgs {
    /// Address of a running broker; without it one is started on loopback and removed at the end
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) bootstrap: Option<String>,
    /// Heap of a broker started here
    #[arg(long, value_name = "SIZE", default_value = "512m")]
    pub(crate) broker_heap: String,
}

/// A way to take a broker away and bring it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    /// SIGKILL, then a start.
    Kill,
    /// Clean stop, then a start.
    Term,
    /// SIGSTOP, then SIGCONT.
    Stop,
}

impl FromStr for Outage {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.to_ascii_uppercase().trim_start_matches("SIG") {
            "KILL" | "9" => Ok(Outage::Kill),
            "TERM" | "15" => Ok(Outage::Term),
            "STOP" | "19" => Ok(Outage::Stop),
            _ => Err(format!("'{text}' is not one of KILL, TERM, STOP")),
        }
    }
}

/// A broker whose data folder is known, so that it can be stopped and started again.
pub(crate) struct OwnBroker {
    dir: PathBuf,
    /// Kept for its removal; absent for a folder given by the user.
    temporary: Option<TempDir>,
    bootstrap: String,
    heap: String,
}

impl OwnBroker {
    /// Starts a broker in a temporary folder; `options` go to the script's `start`.
    pub(crate) fn start(heap: &str, options: &[String]) -> Result<Self> {
        let temporary = TempDir::with_prefix("thalweg-broker-")
            .map_err(|e| Failure::io("no temporary folder for the broker", &e))?;
        let dir = temporary.path().to_owned();
        let mut broker = OwnBroker {
            dir,
            temporary: Some(temporary),
            bootstrap: String::new(),
            heap: heap.to_owned(),
        };
        broker.bootstrap = broker.up(options)?;
        Ok(broker)
    }

    /// A running broker that the script started in `dir`.
    pub(crate) fn attach(dir: &Path, heap: &str) -> Result<Self> {
        let port = std::fs::read_to_string(dir.join("port")).map_err(|e| {
            Failure::io(
                format!(
                    "{} is not the folder of a broker started by broker.sh",
                    dir.display()
                ),
                &e,
            )
        })?;
        let bootstrap = format!("127.0.0.1:{}", port.trim());
        Ok(OwnBroker {
            dir: dir.to_owned(),
            temporary: None,
            bootstrap,
            heap: heap.to_owned(),
        })
    }

    /// Address of the broker's plain listener.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Takes the broker away.
    pub(crate) fn take_away(&self, how: Outage) -> Result<()> {
        let command = match how {
            Outage::Kill => "kill",
            Outage::Term => "stop",
            Outage::Stop => "pause",
        };
        self.script(command, &[], &[]).map(|_| ())
    }

    /// Brings it back at the same address with the same data.
    pub(crate) fn bring_back(&self, how: Outage) -> Result<()> {
        match how {
            Outage::Stop => self.script("resume", &[], &[]).map(|_| ()),
            Outage::Kill | Outage::Term => self.up(&[]).map(|_| ()),
        }
    }

    /// A broker in a temporary folder must not outlive this process, however it ends.
    fn up(&self, options: &[String]) -> Result<String> {
        let mut words = match self.temporary {
            Some(_) => vec![
                "--owner".to_owned(),
                std::process::id().to_string(),
                "--remove".to_owned(),
            ],
            None => Vec::new(),
        };
        words.extend_from_slice(options);
        self.script("start", &["0".to_owned()], &words)
    }

    fn script(&self, command: &str, numbers: &[String], options: &[String]) -> Result<String> {
        let output = Command::new("bash")
            .args(["-c", SCRIPT, "broker.sh", command])
            .arg(&self.dir)
            .args(numbers)
            .args(options)
            .env("BROKER_HEAP", &self.heap)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| Failure::io("bash could not be started for the broker", &e))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(Failure::new(format!(
                "broker {command}: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ))),
        }
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        if self.temporary.is_some() {
            // The data goes away with the folder: nothing to save by a clean stop. It may be gone already.
            let _ = self.script("kill", &[], &[]);
        }
    }
}

/// The broker to measure with.
pub(crate) enum Broker {
    /// Given by the user.
    Given(String),
    /// Started here.
    Own(OwnBroker),
}

impl Broker {
    /// The given broker, or one started here with these script options.
    pub(crate) fn open(args: &BrokerArgs, options: &[String]) -> Result<Self> {
        match &args.bootstrap {
            Some(address) => Ok(Broker::Given(address.clone())),
            None => OwnBroker::start(&args.broker_heap, options).map(Broker::Own),
        }
    }

    /// Its address.
    pub(crate) fn bootstrap(&self) -> &str {
        match self {
            Broker::Given(address) => address,
            Broker::Own(broker) => broker.bootstrap(),
        }
    }
}
