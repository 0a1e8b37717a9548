//! The shipped jobs that read folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, SystemTime};

use crate::stage::plain::{ended, terminate, thalweg, until};

/// A shipped job that reads a folder, while files arrive there.
struct Shipped {
    dir: tempfile::TempDir,
    child: Child,
}

impl Shipped {
    fn start(job: &str, variable: &str, more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        let job = format!("{}/jobs/{job}", env!("CARGO_MANIFEST_DIR"));
        let arguments = [&["run", &job, "--http", "off"], more].concat();
        let child = thalweg(&arguments)
            .current_dir(dir.path())
            .env(variable, dir.path().join("in"))
            .stdout(fs::File::create(dir.path().join("screen")).unwrap())
            .spawn()
            .unwrap();
        Self { dir, child }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file that was written at this second appears.
    fn arrive(&self, name: &str, text: &str, written: SystemTime) {
        let aside = self.path("aside");
        fs::write(&aside, text).unwrap();
        let file = fs::File::options().write(true).open(&aside).unwrap();
        file.set_modified(written).unwrap();
        fs::rename(aside, self.path("in").join(name)).unwrap();
    }

    /// What stands on the screen, without spaces.
    fn screen(&self) -> String {
        plain(&self.path("screen"))
    }

    #[track_caller]
    fn until_shown(&self, row: &str) {
        until(row, || self.screen().contains(row));
    }

    /// The rows of an output that is a file.
    fn rows(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        let shown = |line: &str| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let minute = row["minute"]["start"].as_str().unwrap();
            let minute = minute.get(11..16).unwrap();
            format!(
                "{minute} {} {}",
                row["district"].as_str().unwrap(),
                row["purchases"]
            )
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        text[..whole].lines().map(shown).collect()
    }

    fn end(self) {
        terminate(&self.child);
        let done = ended(self.child);
        assert_eq!(done.code, 0, "{done:?}");
    }
}

fn plain(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.chars().filter(|letter| *letter != ' ').collect()
}

#[test]
fn purchases_are_all_there_in_order_closed_once_and_told_when_they_change() {
    let shipped = Shipped::start(
        "purchases_per_minute.sql",
        "ACTIONS",
        &[
            "--set",
            "trigger=300 ms",
            "--output",
            "closed=closed.jsonl",
            "--output",
            "changed=changed.jsonl",
        ],
    );
    let put = |name: &str, district: &str, time: &str| {
        let rows = ["purchase", "view"].map(|action| {
            format!("{{\"user\":\"u\",\"action\":\"{action}\",\"district\":\"{district}\",\"eventTime\":\"2026-01-01T{time}Z\"}}\n")
        });
        shipped.arrive(name, &rows.concat(), SystemTime::now());
    };
    let row = |minute: u32, district: &str, purchases: u32| {
        let to = minute + 1;
        format!("|{{2026-01-0112:{minute:02}:00,2026-01-0112:{to:02}:00}}|{district}|{purchases}|")
    };
    // Each query reads for itself: the next file comes when all have had the one before.
    let changed = |rows: &[&str]| {
        until("what has changed", || shipped.rows("changed.jsonl") == rows);
    };
    put("1.json", "harbour", "12:00:10");
    shipped.until_shown(&row(0, "harbour", 1));
    changed(&["12:00 harbour 1"]);
    put("2.json", "harbour", "12:00:50");
    shipped.until_shown(&row(0, "harbour", 2));
    changed(&["12:00 harbour 1", "12:00 harbour 2"]);
    assert!(shipped.rows("closed.jsonl").is_empty(), "no minute is over");
    put("3.json", "market", "12:30:00");
    shipped.until_shown(&row(30, "market", 1));
    until("the first minute is closed", || {
        shipped.rows("closed.jsonl") == ["12:00 harbour 2"]
    });
    let mut all = vec!["12:00 harbour 1", "12:00 harbour 2", "12:30 market 1"];
    changed(&all);
    // It is not late, and stands before the minute that came first.
    put("4.json", "airport", "12:25:00");
    shipped.until_shown(&row(25, "airport", 1));
    let screen = shipped.screen();
    let batch = screen
        .rsplit("Batch:")
        .find(|batch| batch.contains("airport"));
    let places = [
        row(0, "harbour", 2),
        row(25, "airport", 1),
        row(30, "market", 1),
    ]
    .map(|row| batch.unwrap().find(&row).expect(&row));
    assert!(places.is_sorted(), "{screen}");
    all.push("12:25 airport 1");
    changed(&all);
    assert_eq!(shipped.rows("closed.jsonl"), ["12:00 harbour 2"]);
    shipped.end();
}

#[test]
fn words_are_counted_by_the_second_in_which_their_file_was_written() {
    let shipped = Shipped::start(
        "word_count_files.sql",
        "WORDS",
        &["--set", "trigger=200 ms"],
    );
    // Noon of the first day of 2026.
    let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_268_800);
    shipped.arrive("1.txt", "apple pear apple\n", noon);
    shipped.until_shown("|2026-01-0112:00:00|apple|2|");
    shipped.until_shown("|2026-01-0112:00:00|pear|1|");
    shipped.arrive("2.txt", "apple\n", noon + Duration::from_millis(300));
    shipped.until_shown("|2026-01-0112:00:00|apple|3|");
    shipped.arrive("3.txt", "pear\n", noon + Duration::from_secs(1));
    shipped.until_shown("|2026-01-0112:00:01|pear|1|");
    shipped.end();
}
