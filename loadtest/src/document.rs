//! A result as JSON: what was measured, by which command, on which machine.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};
use crate::figures::Figures;

/// One file of results.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Document {
    /// The command line that made it.
    pub(crate) command: String,
    /// Seconds since 1970.
    pub(crate) taken_at: u64,
    /// Where it was measured.
    pub(crate) machine: Machine,
    /// What was done, in a few words, e.g. `1,000 records/s for 20 s, 4 partitions`.
    pub(crate) scenario: String,
    /// The measured programs; the first one is what the others are compared with.
    pub(crate) contenders: Vec<Contender>,
    /// What belongs to one kind of measurement only, e.g. the account of each kill.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub(crate) details: serde_json::Value,
}

/// One measured program.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Contender {
    /// Its name in tables.
    pub(crate) name: String,
    /// How it was started; empty when it ran already.
    pub(crate) command: String,
    /// The figures of each round.
    pub(crate) rounds: Vec<Figures>,
    /// Their medians.
    pub(crate) median: Figures,
    /// Medians divided by the first contender's; empty for that one.
    #[serde(default)]
    pub(crate) ratio: Figures,
}

/// The machine.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Machine {
    /// Processors.
    pub(crate) cpus: usize,
    /// The processor's name.
    pub(crate) model: String,
    /// The kernel's release.
    pub(crate) kernel: String,
}

impl Machine {
    fn here() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split(':').nth(1))
            .unwrap_or("")
            .trim();
        Machine {
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            model: model.to_owned(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
        }
    }
}

impl Document {
    /// Results of this process.
    pub(crate) fn new(scenario: String, contenders: Vec<Contender>) -> Self {
        let mut words: Vec<_> = std::env::args().map(|word| quoted(&word)).collect();
        if let Some(program) = words.first_mut() {
            *program = "thalweg-loadtest".to_owned();
        }
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Document {
            command: words.join(" "),
            taken_at: since.map_or(0, |since| since.as_secs()),
            machine: Machine::here(),
            scenario,
            contenders,
            details: serde_json::Value::Null,
        }
    }

    /// Writes it as JSON to a file, or to stdout for `-`.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Failure::new(format!("the result cannot be written as JSON: {e}")))?;
        if path == Path::new("-") {
            println!("{text}");
            return Ok(());
        }
        fs::write(path, text + "\n").map_err(|e| Failure::io(path.display(), &e))
    }

    /// Reads one back.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|e| Failure::io(path.display(), &e))?;
        serde_json::from_str(&text).map_err(|e| {
            Failure::new(format!(
                "{} is not a result of this program: {e}",
                path.display()
            ))
        })
    }
}

/// A word as a shell would need it.
fn quoted(word: &str) -> String {
    match word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c))
        && !word.is_empty()
    {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
