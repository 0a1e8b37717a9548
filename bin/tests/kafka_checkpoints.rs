//! The checkpoint folder and the positions in it: damaged, lost, full, in use, of another job, overtaken by retention.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use stage::{Account, Broker, Loyalty, PATIENCE, Scene, invoices};
use thalweg_engine::epoch::checkpoint::FORMAT;

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

/// A job that has written 100 rows and was stopped.
fn stopped(name: &str) -> (Scene, PathBuf) {
    let scene = Scene::with_topics(name, broker(), 1);
    let job = Loyalty::default().write(&scene);
    scene.topics.send(&scene.input(), &invoices(0..100));
    let mut running = scene.run(&job);
    scene.until_out(100, PATIENCE);
    stage::until("a few epochs are committed", PATIENCE, || {
        running.metric("thalweg_epochs_committed_total") >= 3.0
    });
    running.finish();
    (scene, job)
}

/// All files below a folder with what they hold.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.file_name().unwrap() != "lock" {
                found.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// The start is refused with exit 2 and these texts, and nothing is overwritten.
#[track_caller]
fn expect_refused(scene: &Scene, job: &Path, texts: &[&str]) {
    let before = files(&scene.checkpoints());
    let said = scene.run(job).end(PATIENCE);
    said.expect(2, texts);
    assert_eq!(
        files(&scene.checkpoints()),
        before,
        "something was overwritten"
    );
    assert_eq!(scene.topics.count(&scene.output()), 100);
}

#[test]
fn a_newest_checkpoint_that_is_damaged_is_refused_and_a_rollback_helps() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 3] = [
        ("truncated", |file| {
            let bytes = std::fs::read(file).unwrap();
            std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("edited", |file| {
            let text = std::fs::read_to_string(file).unwrap();
            std::fs::write(file, text.replace("\"epoch\":", "\"epoch\": ")).unwrap();
        }),
        ("deleted", |file| std::fs::remove_file(file).unwrap()),
    ];
    for (name, damage) in damages {
        let (scene, job) = stopped(&format!("newest-{name}"));
        let newest = scene.newest_file().unwrap();
        let number = |file: &Path| -> u64 {
            let name = file.file_stem().unwrap().to_str().unwrap();
            name.parse().unwrap()
        };
        let epoch = number(&newest);
        damage(&newest);
        expect_refused(&scene, &job, &[newest.to_str().unwrap(), "rollback"]);
        let folder = scene.folder();
        let back = (epoch - 1).to_string();
        scene
            .call(&[
                "checkpoint",
                "rollback",
                folder.to_str().unwrap(),
                &back,
                "--yes",
            ])
            .expect(0, &[]);
        scene.topics.send(&scene.input(), &invoices(100..200));
        let running = scene.run(&job);
        stage::until("all are out", PATIENCE, || {
            Account::of(&scene).missing(200).is_empty()
        });
        running.finish();
        Account::of(&scene).expect_all(200);
    }
}

#[test]
fn a_checkpoint_of_a_newer_version_is_refused() {
    let (scene, job) = stopped("newer");
    let newest = scene.newest_file().unwrap();
    let text = std::fs::read_to_string(&newest).unwrap();
    let (content, _) = text.split_once("crc32c:").unwrap();
    let (own, newer) = (FORMAT, FORMAT + 1);
    let content = content.replacen(
        &format!("\"format\":{own}"),
        &format!("\"format\":{newer}"),
        1,
    );
    let seal = crc32c::crc32c(content.as_bytes());
    std::fs::write(&newest, format!("{content}crc32c:{seal:08x}\n")).unwrap();
    let named = format!("format {newer}");
    expect_refused(&scene, &job, &[newest.to_str().unwrap(), &named]);
}

#[test]
fn the_checkpoints_of_another_job_are_refused() {
    let (scene, job) = stopped("other");
    let text = std::fs::read_to_string(&job).unwrap();
    let theirs = scene.dir().join("theirs.sql");
    std::fs::write(&theirs, text).unwrap();
    let folder = scene.folder();
    expect_refused(
        &scene,
        &theirs,
        &[
            folder.to_str().unwrap(),
            "`other`",
            "`theirs`",
            "checkpointLocation",
        ],
    );
}

#[test]
fn a_second_process_on_the_same_folder_is_refused() {
    let scene = Scene::with_topics("second", broker(), 1);
    let job = Loyalty::default().write(&scene);
    let running = scene.started(&job);
    let said = scene.run(&job).end(PATIENCE);
    let folder = scene.folder();
    said.expect(2, &[folder.to_str().unwrap(), &running.pid().to_string()]);
    scene.topics.send(&scene.input(), &invoices(0..10));
    scene.until_out(10, PATIENCE);
    running.finish();
}

#[test]
fn a_folder_that_cannot_be_written_is_refused() {
    let scene = Scene::with_topics("unwritable", broker(), 1);
    let job = Loyalty::default().write(&scene);
    // A file in its place: that stops even the superuser.
    std::fs::write(scene.checkpoints(), "in the way").unwrap();
    let place = scene.checkpoints();
    let said = scene.run(&job).end(PATIENCE);
    said.expect(2, &[place.to_str().unwrap(), "checkpointLocation"]);
    std::fs::remove_file(&place).unwrap();

    let Some(_mount) = Mount::on(&place, "ro") else {
        return;
    };
    let said = scene.run(&job).end(PATIENCE);
    said.expect(2, &[place.to_str().unwrap(), "Read-only"]);
    assert_eq!(scene.topics.count(&scene.output()), 0);
}

/// A file system where a folder was.
struct Mount(PathBuf);

impl Mount {
    /// None, with the reason on stderr, where this user may not mount.
    fn on(place: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(place).unwrap();
        let place = place.to_str().unwrap();
        Self::mount(&["-t", "tmpfs", "-o", options, "thalweg-story", place])
            .then(|| Self(place.into()))
    }

    /// Makes a folder read-only until it is dropped. What has a file open there keeps the file system itself from becoming so; a second
    /// mount of the folder has no such file.
    fn read_only(place: &Path) -> Option<Self> {
        let path = place.to_str().unwrap();
        let mount = Self::mount(&["--bind", path, path]).then(|| Self(place.into()))?;
        Self::mount(&["-o", "remount,bind,ro", path]).then_some(mount)
    }

    fn mount(arguments: &[&str]) -> bool {
        let output = Command::new("mount").args(arguments).output();
        let mounted = output.as_ref().is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: no file system can be mounted here: {output:?}");
        }
        mounted
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // It goes with the machine otherwise.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Fills a file system up.
fn fill(place: &Path) -> PathBuf {
    use std::io::Write;
    let path = place.join("full");
    let mut file = std::fs::File::create(&path).unwrap();
    for size in [65_536, 1] {
        let bytes = vec![b'x'; size];
        while file.write_all(&bytes).is_ok() {}
    }
    path
}

#[test]
fn a_full_disk_stops_no_rows_and_loses_none() {
    let scene = Scene::with_topics("full", broker(), 1);
    let job = Loyalty::default().write(&scene);
    let Some(_mount) = Mount::on(&scene.checkpoints(), "size=512k") else {
        return;
    };
    let mut running = scene.started(&job);
    scene.topics.send(&scene.input(), &invoices(0..100));
    scene.until_out(100, PATIENCE);
    let full = fill(&scene.checkpoints());
    running.until_said("does not take anything", PATIENCE);
    scene.topics.send(&scene.input(), &invoices(100..200));
    scene.until_out(200, PATIENCE);
    let (status, why) = running.get("/ready");
    assert_eq!(status, 503, "{why}");
    assert!(why.contains("No space left"), "{why}");
    let said = running.said();
    let warnings = said.lines().filter(|line| line.contains(" WARN ")).count();
    assert_eq!(warnings, 1, "one line for one fault: {said}");
    std::fs::remove_file(full).unwrap();
    running.until_said("takes checkpoints again", PATIENCE);
    running.until_ready();
    running.finish();
    assert_eq!(scene.positions(), [("full-in/0".to_owned(), 200)]);
    Account::of(&scene).expect_exactly(200);
}

#[test]
fn a_folder_that_becomes_read_only_stops_no_rows_and_loses_none() {
    let scene = Scene::with_topics("readonly", broker(), 1);
    let mut running = scene.started(&Loyalty::default().write(&scene));
    scene.topics.send(&scene.input(), &invoices(0..100));
    scene.until_out(100, PATIENCE);
    let Some(mount) = Mount::read_only(&scene.checkpoints()) else {
        return;
    };
    let line = running.until_said("does not take anything", PATIENCE);
    assert!(line.contains("Read-only file system"), "{line}");
    scene.topics.send(&scene.input(), &invoices(100..200));
    scene.until_out(200, PATIENCE);
    let (status, why) = running.get("/ready");
    assert_eq!(status, 503, "{why}");
    assert!(why.contains("Read-only file system"), "{why}");
    let epochs = "thalweg_epochs_committed_total";
    let before = running.metric(epochs);
    let said = running.said();
    assert_eq!(
        said.matches(" WARN ").count(),
        1,
        "one line for one fault: {said}"
    );
    drop(mount);
    running.until_said("takes checkpoints again", PATIENCE);
    running.until_ready();
    stage::until("epochs are committed again", PATIENCE, || {
        running.metric(epochs) > before
    });
    running.finish();
    assert_eq!(scene.positions(), [("readonly-in/0".to_owned(), 200)]);
    Account::of(&scene).expect_exactly(200);
}

#[test]
fn a_disk_that_is_full_from_the_start_is_named() {
    let scene = Scene::with_topics("fullstart", broker(), 1);
    let job = Loyalty::default().write(&scene);
    let Some(_mount) = Mount::on(&scene.checkpoints(), "size=64k") else {
        return;
    };
    let full = fill(&scene.checkpoints());
    scene.topics.send(&scene.input(), &invoices(0..10));
    let mut running = scene.run(&job);
    let line = running.until_said("No space left", PATIENCE);
    assert!(
        line.contains(scene.checkpoints().to_str().unwrap()),
        "{line}"
    );
    assert_eq!(
        scene.topics.count(&scene.output()),
        0,
        "nothing is read before epoch 0"
    );
    std::fs::remove_file(full).unwrap();
    drop(running);
    let running = scene.run(&job);
    scene.until_out(10, PATIENCE);
    running.finish();
    Account::of(&scene).expect_exactly(10);
}

#[test]
fn a_lost_volume_is_noticed_by_the_witness_in_the_group() {
    let (scene, job) = stopped("lost");
    std::fs::remove_dir_all(scene.checkpoints()).unwrap();
    let said = scene.run(&job).end(PATIENCE);
    let folder = scene.folder();
    said.expect(2, &[folder.to_str().unwrap(), &scene.group(), "--fresh"]);
    assert_eq!(scene.topics.count(&scene.output()), 100);

    let running = scene.run_with(&job, &["--fresh"]);
    scene.until_out(200, PATIENCE);
    running.finish();
    // From now on the new history is the true one.
    scene.topics.send(&scene.input(), &invoices(100..110));
    let running = scene.run(&job);
    scene.until_out(210, PATIENCE);
    running.finish();
}

#[test]
fn a_folder_put_back_from_an_old_copy_is_noticed_too() {
    let (scene, job) = stopped("oldcopy");
    let copy = scene.dir().join("copy");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(scene.checkpoints())
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());
    scene.topics.send(&scene.input(), &invoices(100..200));
    let running = scene.run(&job);
    scene.until_out(200, PATIENCE);
    running.finish();
    std::fs::remove_dir_all(scene.checkpoints()).unwrap();
    std::fs::rename(&copy, scene.checkpoints()).unwrap();
    let said = scene.run(&job).end(PATIENCE);
    let folder = scene.folder();
    said.expect(2, &[folder.to_str().unwrap(), &scene.group()]);
    assert_eq!(scene.topics.count(&scene.output()), 200);
}

#[test]
fn positions_that_retention_has_removed_are_decided_by_fail_on_data_loss() {
    let (scene, job) = stopped("retention");
    scene.topics.send(&scene.input(), &invoices(100..200));
    scene.topics.delete_records(&scene.input(), 0, 150);
    expect_refused(
        &scene,
        &job,
        &["retention-in/0", "100", "150", "50", "failOnDataLoss"],
    );
    let lenient = Loyalty::default()
        .reading(&["startingOffsets 'earliest'", "failOnDataLoss 'false'"])
        .write(&scene);
    let mut running = scene.run(&lenient);
    scene.until_out(150, PATIENCE);
    running.until_said("retention-in/0", PATIENCE);
    running.finish();
    let account = Account::of(&scene);
    assert_eq!(account.missing(200), (100..150).collect::<Vec<_>>());
    assert_eq!(account.repeated(), 0);
}

#[test]
fn a_job_whose_filter_and_columns_change_runs_on() {
    let (scene, _) = stopped("edited");
    let job = Loyalty::default()
        .selecting("BillNo, upper(StoreID) AS store")
        .filtered("WHERE TotalValue >= 110")
        .write(&scene);
    scene.topics.send(&scene.input(), &invoices(100..200));
    let running = scene.run(&job);
    scene.until_out(190, PATIENCE);
    running.finish();
    let account = Account::of(&scene);
    assert_eq!(account.missing(200), (100..110).collect::<Vec<_>>());
    assert_eq!(account.repeated(), 0);
}

#[test]
fn what_check_says_of_a_changed_job_a_start_does() {
    let scene = Scene::with_topics("against", broker(), 2);
    let counts = Loyalty::default()
        .set("outputMode = 'update'")
        .selecting("StoreID AS BillNo, count(*) AS n")
        .filtered("GROUP BY StoreID");
    let job = counts.write(&scene);
    let running = scene.started(&job);
    scene.topics.send(&scene.input(), &invoices(0..100));
    scene.until_out(100, PATIENCE);
    running.finish();
    let (file, folder) = (job.to_str().unwrap(), scene.checkpoints());
    let check = || scene.call(&["check", file, "--against", folder.to_str().unwrap()]);

    // All partitions in one lane, and now each in its own: the counts are not there.
    let end = ");\n\nCREATE TABLE notification";
    let text = counts.text(&scene);
    assert!(text.contains(end), "{text}");
    let by_store = format!(") PARTITIONED BY (StoreID){}", &end[1..]);
    scene.write(&text.replacen(end, &by_store, 1));
    check().expect(
        2,
        &[
            "aggregate by StoreID: kept",
            "its state lies for all partitions together",
        ],
    );
    expect_refused(
        &scene,
        &job,
        &["take back what was changed: PARTITIONED BY"],
    );

    // What is new would begin empty.
    counts
        .clone()
        .selecting("StoreID AS BillNo, count(*) AS n, max(TotalValue) AS most")
        .write(&scene);
    let flag = "--accept-new-state";
    check().expect(2, &["count(*): kept", flag]);
    expect_refused(&scene, &job, &[flag]);
    let place = folder.to_str().unwrap();
    scene
        .call(&["check", file, "--against", place, flag])
        .expect(0, &["count(*): kept", "max(TotalValue) of DOUBLE: new"]);

    // A job file of another name is another job, unless it says whose it is.
    counts.clone().set("jobName = 'other'").write(&scene);
    check().expect(
        2,
        &[
            "these checkpoints are of the job `",
            "this is the job `other`",
        ],
    );
    expect_refused(&scene, &job, &["of the job `other`"]);
    counts.clone().set("queryName = 'other'").write(&scene);
    check().expect(
        0,
        &[
            "query other: no checkpoint, it begins anew",
            "not in this job: the query `notification`",
        ],
    );

    // Nothing goes on from them, so it does not matter where they are.
    Loyalty::default().write(&scene);
    check().expect(0, &["aggregate by StoreID: dropped"]);
    let running = scene.started(&job);
    scene.topics.send(&scene.input(), &invoices(100..120));
    scene.until_out(120, PATIENCE);
    running.finish();
}

#[test]
fn a_job_whose_input_topic_changes_is_refused_with_the_reason() {
    let (scene, _) = stopped("moved");
    scene.topics.make("moved-elsewhere", 1, &[]);
    let job = Loyalty::default()
        .subscribed_to("moved-elsewhere")
        .write(&scene);
    expect_refused(
        &scene,
        &job,
        &["subscribe", "moved-elsewhere", "checkpointLocation"],
    );
}

#[test]
fn a_topic_that_was_made_anew_is_no_continuation() {
    let (scene, job) = stopped("anew");
    scene.topics.delete(&scene.input());
    scene.topics.make(&scene.input(), 1, &[]);
    scene.topics.send(&scene.input(), &invoices(500..700));
    let said = scene.run(&job).end(Duration::from_secs(20));
    assert!(said.code == 1 || said.code == 2, "{}", said.err);
    assert!(said.err.contains(&scene.input()), "{}", said.err);
    assert_eq!(scene.topics.count(&scene.output()), 100);
}

#[test]
fn inspect_tells_where_a_restart_goes_on() {
    let (scene, _) = stopped("inspected");
    let place = scene.checkpoints();
    let said = scene.call(&["inspect", place.to_str().unwrap()]);
    said.expect(0, &["inspected-in/0", "100", "notification"]);
}

#[test]
fn set_to_an_offset_goes_back_and_forward() {
    let (scene, job) = stopped("rewound");
    let folder = scene.folder();
    let folder = folder.to_str().unwrap();
    scene
        .call(&[
            "checkpoint",
            "set",
            folder,
            "--to-offset",
            "rewound-in/0=40",
            "--yes",
        ])
        .expect(0, &["60"]);
    let running = scene.run(&job);
    scene.until_out(160, PATIENCE);
    running.finish();
    let account = Account::of(&scene);
    account.expect_all(100);
    assert_eq!(account.repeated(), 60);
}
