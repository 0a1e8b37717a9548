//! `thalweg inspect` and `thalweg checkpoint` on folders as a job leaves them behind.

#![allow(clippy::unwrap_used)]

mod command;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use command::{ended, run, run_with, within};
use serde_json::{Value, json};
use thalweg_engine::epoch::checkpoint::{Checkpoint, FORMAT, LaneCut, PartitionCut};
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::FolderStore;
use thalweg_engine::record::Position;

/// What a job on a topic of two partitions says in one epoch.
fn epoch(number: u64, first: i64, second: i64) -> Checkpoint {
    let lane = |partition: &str, position| LaneCut {
        lane: format!("invoices:{partition}").into(),
        partitions: vec![PartitionCut {
            input: "invoices".into(),
            partition: partition.into(),
            position: Position::Number(position),
            watermark: None,
            seen: None,
            ended: false,
            start: None,
        }],
        writer: None,
        kept: Vec::new(),
        state: BTreeMap::new(),
    };
    Checkpoint {
        format: FORMAT,
        job: "loyalty".to_owned(),
        query: "notification".to_owned(),
        checkpoint: "00c0ffee00c0ffee".to_owned(),
        run: "1234".to_owned(),
        epoch: number,
        committed_at: 1_769_860_800_000_000,
        interval: None,
        rewound: false,
        plan: json!({"inputs": {"invoices": {"connector": "kafka", "options": {}}}, "output": "kafka"}),
        sources: BTreeMap::new(),
        beside: BTreeMap::new(),
        lanes: vec![lane("invoices/0", first), lane("invoices/10", second)],
    }
}

/// A folder with epochs 0 to 3, as a job that has ended leaves it. Made without its lock: a process that another test
/// starts at this moment would hold the lock on for an instant.
fn folder(root: &Path) -> PathBuf {
    let folder = root.join("notification");
    fs::create_dir_all(folder.join("epochs")).unwrap();
    let store = FolderStore::read_only(&folder);
    let log = CheckpointLog::new(Arc::new(store), 10, true);
    for number in 0..4_i64 {
        let checkpoint = epoch(number.unsigned_abs(), 100 * number, 10 * number);
        log.commit(&checkpoint).unwrap();
    }
    let note = format!("epoch {:020} pid {:010}\n", 3, 1);
    fs::write(folder.join("lock"), note).unwrap();
    folder
}

fn newest(folder: &Path) -> Checkpoint {
    let log = CheckpointLog::new(Arc::new(FolderStore::read_only(folder)), 10, false);
    log.newest().unwrap().unwrap()
}

fn file(folder: &Path, epoch: u64) -> PathBuf {
    folder.join(format!("epochs/{epoch:020}.json"))
}

fn positions(checkpoint: &Checkpoint) -> Vec<String> {
    checkpoint
        .partitions()
        .map(|cut| format!("{}={}", cut.partition, cut.position))
        .collect()
}

/// Every file of a folder with its bytes.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(content(&path));
        } else {
            files.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn inspect_says_where_a_restart_goes_on_and_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let before = content(root.path());
    let shown = run(&["inspect", root.path().to_str().unwrap()]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(
        shown.out.contains("job       loyalty, query notification"),
        "{shown:?}"
    );
    assert!(
        shown.out.contains("newest    epoch 3, committed"),
        "{shown:?}"
    );
    assert!(shown.out.contains("4 epochs: 0..3"), "{shown:?}");
    assert!(
        shown.out.contains("at invoices/0 from offset 300\n"),
        "{shown:?}"
    );
    assert!(
        shown.out.contains("at invoices/10 from offset 30\n"),
        "{shown:?}"
    );
    assert_eq!(content(root.path()), before);

    let shown = run(&["inspect", "--json", folder.to_str().unwrap()]);
    let report: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(report[0]["newest"]["epoch"], 3);
    assert_eq!(report[0]["newest"]["partitions"][1]["position"], 30);
    assert_eq!(report[0]["epochs"].as_array().unwrap().len(), 4);
    assert_eq!(report[0]["in_use_by"], Value::Null);
}

#[test]
fn inspect_beside_a_running_job_names_its_process() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let _held = FolderStore::lock(&folder).unwrap();
    let shown = run(&["inspect", folder.to_str().unwrap()]);
    let pid = std::process::id();
    assert!(
        shown
            .out
            .contains(&format!("in use    by the process {pid}")),
        "{shown:?}"
    );
    assert_eq!(shown.code, 0);
}

#[test]
fn a_truncated_newest_file_is_named_with_the_remedy() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let bytes = fs::read(file(&folder, 3)).unwrap();
    fs::write(file(&folder, 3), &bytes[..bytes.len() - 20]).unwrap();
    let shown = run(&["inspect", folder.to_str().unwrap()]);
    assert_eq!(shown.code, 1);
    assert!(shown.out.contains("a start would be refused"), "{shown:?}");
    assert!(shown.out.contains("truncated or was edited"), "{shown:?}");
    assert!(
        shown.out.contains("thalweg checkpoint rollback"),
        "{shown:?}"
    );
}

#[test]
fn set_moves_one_partition_and_keeps_every_old_epoch() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let before = content(&folder.join("epochs"));
    let place = folder.to_str().unwrap();
    let set = run(&[
        "checkpoint",
        "set",
        place,
        "--to-offset",
        "invoices/0=250",
        "--yes",
    ]);
    assert_eq!(set.code, 0, "{set:?}");
    assert!(
        set.out
            .contains("invoices/0: offset 300 → 250, up to 50 records processed again"),
        "{set:?}"
    );
    assert!(
        set.out.contains("invoices/10: stays at offset 30"),
        "{set:?}"
    );
    let newest = newest(&folder);
    assert_eq!((newest.epoch, newest.rewound), (4, true));
    assert_eq!(positions(&newest), ["invoices/0=250", "invoices/10=30"]);
    assert_eq!(newest.checkpoint, "00c0ffee00c0ffee");
    let after = content(&folder.join("epochs"));
    assert!(
        before
            .iter()
            .all(|(name, bytes)| after.get(name) == Some(bytes))
    );
}

#[test]
fn skip_steps_over_the_record_that_the_partition_stands_at_and_no_other() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let place = folder.to_str().unwrap();
    let far = run(&[
        "checkpoint",
        "set",
        place,
        "--skip",
        "invoices/10@31",
        "--yes",
    ]);
    assert_eq!(far.code, 2, "{far:?}");
    assert!(
        far.err.contains("`invoices/10` stands at 30, not at 31"),
        "{far:?}"
    );
    assert_eq!(newest(&folder).epoch, 3);

    let next = run(&[
        "checkpoint",
        "set",
        place,
        "--skip",
        "invoices/10@30",
        "--yes",
    ]);
    assert_eq!(next.code, 0, "{next:?}");
    assert!(
        next.out.contains("offset 30 → 31, 1 record skipped"),
        "{next:?}"
    );
    assert_eq!(
        positions(&newest(&folder)),
        ["invoices/0=300", "invoices/10=31"]
    );
}

#[test]
fn an_unknown_partition_is_refused_with_those_there_are() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let place = folder.to_str().unwrap();
    let set = run(&[
        "checkpoint",
        "set",
        place,
        "--to-offset",
        "invoices/7=1",
        "--yes",
    ]);
    assert_eq!(set.code, 2);
    assert!(
        set.err.contains("It reads invoices/0, invoices/10."),
        "{set:?}"
    );
}

#[test]
fn nothing_is_written_when_nobody_confirms() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let place = folder.to_str().unwrap();
    let set = run(&["checkpoint", "set", place, "--to-offset", "invoices/0=250"]);
    assert_eq!(set.code, 2);
    assert!(set.err.contains("add --yes"), "{set:?}");
    assert_eq!(newest(&folder).epoch, 3);
}

#[test]
fn a_folder_in_use_is_not_touched() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let _held = FolderStore::lock(&folder).unwrap();
    let place = folder.to_str().unwrap();
    let pid = std::process::id();
    for arguments in [
        &["checkpoint", "rollback", place, "1", "--yes"][..],
        &[
            "checkpoint",
            "set",
            place,
            "--to-offset",
            "invoices/0=1",
            "--yes",
        ],
    ] {
        let refused = run(arguments);
        assert_eq!(refused.code, 2);
        assert!(
            refused
                .err
                .contains(&format!("is in use by the process {pid}")),
            "{refused:?}"
        );
    }
    assert_eq!(newest(&folder).epoch, 3);
}

#[test]
fn rollback_writes_what_a_kept_epoch_said_under_a_new_number() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let back = run(&[
        "checkpoint",
        "rollback",
        folder.to_str().unwrap(),
        "1",
        "--yes",
    ]);
    assert_eq!(back.code, 0, "{back:?}");
    assert!(
        back.out
            .contains("invoices/0: offset 300 → 100, up to 200 records processed again"),
        "{back:?}"
    );
    let newest = newest(&folder);
    assert_eq!((newest.epoch, newest.rewound), (4, true));
    assert_eq!(positions(&newest), ["invoices/0=100", "invoices/10=10"]);
    assert!((0..4).all(|number| file(&folder, number).exists()));
}

#[test]
fn rollback_works_when_the_newest_file_is_damaged_or_gone() {
    for damage in [true, false] {
        let root = tempfile::tempdir().unwrap();
        let folder = folder(root.path());
        if damage {
            fs::write(file(&folder, 3), "half").unwrap();
        } else {
            fs::remove_file(file(&folder, 3)).unwrap();
        }
        let place = folder.to_str().unwrap();
        assert_eq!(run(&["inspect", place]).code, 1);
        let back = run(&["checkpoint", "rollback", place, "2", "--yes"]);
        assert_eq!(back.code, 0, "{back:?}");
        let newest = newest(&folder);
        assert_eq!(newest.epoch, 4, "a number is never given twice");
        assert_eq!(positions(&newest), ["invoices/0=200", "invoices/10=20"]);
        assert_eq!(run(&["inspect", place]).code, 0);
    }
}

#[test]
fn where_every_epoch_is_gone_nothing_is_advised_that_cannot_be_done() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    for number in 0..4 {
        fs::remove_file(file(&folder, number)).unwrap();
    }
    let place = folder.to_str().unwrap();
    let shown = run(&["inspect", place]);
    assert_eq!(shown.code, 1, "{shown:?}");
    let remedy = format!("if that is meant, remove {place} and start with --fresh");
    assert!(shown.out.contains(&remedy), "{shown:?}");
    assert!(!shown.out.contains("rollback"), "{shown:?}");
}

#[test]
fn checkpoints_are_not_copied_into_themselves() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path());
    let before = content(root.path());
    let from = root.path().to_str().unwrap();
    for to in [
        format!("{from}/"),
        format!("{from}/copy"),
        format!("{from}/./copy"),
    ] {
        let refused = run(&["checkpoint", "copy", from, &to]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.err.contains("one lies in the other"), "{refused:?}");
    }
    assert_eq!(content(root.path()), before);
}

#[test]
fn an_epoch_that_is_not_kept_is_refused_with_those_that_are() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let back = run(&[
        "checkpoint",
        "rollback",
        folder.to_str().unwrap(),
        "9",
        "--yes",
    ]);
    assert_eq!(back.code, 2);
    assert!(back.err.contains("Kept are 0, 1, 2, 3."), "{back:?}");
}

#[test]
fn a_location_with_several_queries_is_not_guessed_at() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path());
    let place = root.path().to_str().unwrap();
    let back = run(&["checkpoint", "rollback", place, "1", "--yes"]);
    assert_eq!(back.code, 2);
    assert!(back.err.contains("give one"), "{back:?}");
    let none = run(&["inspect", &format!("{place}/nowhere")]);
    assert_eq!(none.code, 2);
    assert!(none.err.contains("cannot be read"), "{none:?}");
}

#[test]
fn exactly_one_kind_of_move_must_be_given() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let place = folder.to_str().unwrap();
    let none = run_with(&["checkpoint", "set", place], "");
    assert_eq!(none.code, 2);
    assert!(none.err.contains("--to-offset"), "{none:?}");
}

/// Epochs 0 to 3 as a version of the program left them that knew format 1 alone.
fn older(root: &Path) -> PathBuf {
    let folder = folder(root);
    for number in 0..4_i64 {
        let mut checkpoint = epoch(number.unsigned_abs(), 100 * number, 10 * number);
        checkpoint.format = 1;
        fs::write(file(&folder, checkpoint.epoch), checkpoint.encode()).unwrap();
    }
    folder
}

#[test]
fn an_upgrade_says_the_same_in_the_format_of_this_version_and_a_rollback_leads_back() {
    let root = tempfile::tempdir().unwrap();
    let folder = older(root.path());
    let before = content(&folder.join("epochs"));
    let place = root.path().to_str().unwrap();
    let seen = run(&["inspect", place]);
    assert!(seen.out.contains("format 1"), "{seen:?}");

    let asked = run(&["checkpoint", "upgrade", place]);
    assert_eq!(asked.code, 2, "{asked:?}");
    assert!(asked.err.contains("add --yes"), "{asked:?}");
    assert_eq!(content(&folder.join("epochs")), before);

    let done = run(&["checkpoint", "upgrade", place, "--yes"]);
    assert_eq!(done.code, 0, "{done:?}");
    let upgraded = newest(&folder);
    assert_eq!((upgraded.format, upgraded.epoch), (FORMAT, 4));
    assert!(!upgraded.rewound);
    assert_eq!(positions(&upgraded), ["invoices/0=300", "invoices/10=30"]);
    let after = content(&folder.join("epochs"));
    assert!(
        before
            .iter()
            .all(|(name, bytes)| after.get(name) == Some(bytes))
    );
    let seen = run(&["inspect", place]);
    assert!(!seen.out.contains("format"), "{seen:?}");

    let again = run(&["checkpoint", "upgrade", place, "--yes"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("already"), "{again:?}");
    assert_eq!(newest(&folder), upgraded);

    let query = folder.to_str().unwrap();
    let back = run(&["checkpoint", "rollback", query, "3", "--yes"]);
    assert_eq!(back.code, 0, "{back:?}");
    let back = newest(&folder);
    assert_eq!((back.format, back.epoch, back.rewound), (1, 5, true));
}

/// A job that counts what each card has spent, and ends: its file, its checkpoints, and the folder that it reads.
fn spending(root: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let (place, purchases) = (root.join("checkpoints"), root.join("in"));
    fs::create_dir(&purchases).unwrap();
    let job = root.join("spent.sql");
    let text = format!(
        "SET checkpointLocation = '{}';\nSET trigger = 'available now';\nSET outputMode = 'update';\n\
         CREATE TABLE purchases (card STRING, amount BIGINT) USING json OPTIONS (path '{}');\n\
         CREATE TABLE nowhere USING noop;\n\
         INSERT INTO nowhere SELECT card, sum(amount) AS spent FROM purchases GROUP BY card;\n",
        place.display(),
        purchases.display()
    );
    fs::write(&job, text).unwrap();
    (job, place, purchases)
}

#[test]
fn a_job_goes_on_in_the_format_of_the_version_before_until_it_is_told_otherwise() {
    let root = tempfile::tempdir().unwrap();
    let (job, place, purchases) = spending(root.path());
    let query = place.join("nowhere");
    let spent = |day: &str, amount: u64| -> (u32, Value) {
        let purchase = json!({"card": "a", "amount": amount}).to_string();
        fs::write(purchases.join(day), purchase + "\n").unwrap();
        let ran = run(&["run", job.to_str().unwrap(), "--http", "off"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let dump = run(&["inspect", place.to_str().unwrap(), "--dump"]);
        let group = dump.out.lines().find(|line| line.contains("\"group\""));
        let group: Value = serde_json::from_str(group.unwrap()).unwrap();
        (newest(&query).format, group["value"]["sum(amount)"].clone())
    };
    assert_eq!(spent("monday", 1), (FORMAT, json!(1)));

    // As the version before would have left it.
    let mut left = newest(&query);
    left.format = 1;
    fs::write(file(&query, left.epoch), left.encode()).unwrap();
    assert_eq!(spent("tuesday", 20), (1, json!(21)));
    assert_eq!(spent("wednesday", 300), (1, json!(321)));

    let done = run(&["checkpoint", "upgrade", place.to_str().unwrap(), "--yes"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(spent("thursday", 4_000), (FORMAT, json!(4_321)));
}

#[test]
fn a_job_that_is_started_by_the_clock_and_ends_keeps_its_state_in_few_objects() {
    let root = tempfile::tempdir().unwrap();
    let (job, place, purchases) = spending(root.path());
    let query = place.join("nowhere");
    for day in 0..40 {
        let purchase = json!({"card": format!("c{day}"), "amount": day}).to_string();
        fs::write(purchases.join(day.to_string()), purchase + "\n").unwrap();
        let ran = run(&["run", job.to_str().unwrap(), "--http", "off"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        // What is known of the files, and what each card has spent.
        let chains = newest(&query).state().count();
        assert!(chains <= 2 * 9, "day {day}: {chains} objects");
        // Also those that kept epochs name, one of each minute among them.
        let there = content(&query.join("state")).len();
        assert!(there <= 60, "day {day}: {there} objects");
    }
}

#[test]
fn checkpoints_that_a_version_before_has_put_into_a_folder_named_as_a_uri_are_not_begun_anew() {
    let root = tempfile::tempdir().unwrap();
    let (job, place, _) = spending(root.path());
    let set = format!("checkpointLocation=file:{}", place.display());
    let before = root.path().join(format!("file:{}", place.display()));
    let start = || {
        ended(
            within(
                root.path(),
                &["run", job.to_str().unwrap(), "--http", "off", "--set", &set],
            )
            .spawn()
            .unwrap(),
        )
    };
    fs::create_dir_all(&before).unwrap();
    start().expect(2, &["versions before", "move them to", "to begin anew"]);
    assert!(!place.exists());
    fs::rename(&before, &place).unwrap();
    start().expect(0, &[]);
}
