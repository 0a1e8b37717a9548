//! Folders of files, end to end: files that keep arriving, runs that end and go on, and kills.

#![allow(clippy::unwrap_used)]

#[path = "files/formats.rs"]
mod formats;
#[path = "files/jobs.rs"]
mod jobs;
#[path = "files/killed.rs"]
mod killed;
#[path = "files/locations.rs"]
mod locations;
#[path = "files/spark_folders.rs"]
mod spark_folders;
mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use stage::Running;
use stage::plain::{ended, run, terminate, thalweg, until};

/// A folder that files arrive in, and a job that copies their rows into one file.
struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new(options: &str) -> Self {
        Self::of(
            &format!("arrivals (id BIGINT) USING json OPTIONS (path 'in'{options})"),
            "id, _metadata.file_name AS file",
        )
    }

    /// The same with another table of arrivals, of which these columns are copied.
    fn of(arrivals: &str, columns: &str) -> Self {
        let scene = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(scene.inbox()).unwrap();
        fs::create_dir(scene.path("aside")).unwrap();
        let job = format!(
            "SET checkpointLocation = 'checkpoints';\nSET checkpointInterval = '200 ms';\n\
             CREATE TABLE {arrivals};\n\
             CREATE TABLE copy USING file OPTIONS (path 'copy');\n\
             INSERT INTO copy SELECT {columns} FROM arrivals;\n"
        );
        fs::write(scene.path("copies.sql"), job).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn inbox(&self) -> PathBuf {
        self.path("in")
    }

    /// A file of these ids appears at once.
    fn arrive(&self, name: &str, ids: std::ops::Range<u64>) {
        arrive(self.dir.path(), name, ids);
    }

    fn start(&self, trigger: &str) -> std::process::Child {
        let trigger = format!("trigger={trigger}");
        let arguments = ["run", "copies.sql", "--http", "off", "--set", &trigger];
        let mut command = thalweg(&arguments);
        command.current_dir(self.dir.path()).spawn().unwrap()
    }

    /// The rows that were written, whole lines only.
    fn rows(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.path("copy")).unwrap_or_default();
        let row = |line| serde_json::from_str(line).ok();
        text.lines().filter_map(row).collect()
    }

    /// How often each id was written.
    fn copied(&self) -> BTreeMap<u64, u64> {
        let mut ids = BTreeMap::new();
        for row in self.rows() {
            *ids.entry(row["id"].as_u64().unwrap()).or_default() += 1;
        }
        ids
    }
}

fn arrive(dir: &Path, name: &str, ids: std::ops::Range<u64>) {
    let text: String = ids.map(|id| format!("{{\"id\":{id}}}\n")).collect();
    appear(dir, name, text);
}

/// A file of this content appears at once.
fn appear(dir: &Path, name: &str, content: impl AsRef<[u8]>) {
    let aside = dir.join("aside").join(name);
    fs::write(&aside, content).unwrap();
    fs::rename(aside, dir.join("in").join(name)).unwrap();
}

#[test]
fn a_run_ends_with_the_files_that_are_there_and_the_next_goes_on() {
    let scene = Scene::new("");
    for trigger in ["once", "available now", "once"] {
        let known = scene.copied().len() as u64;
        scene.arrive(&format!("{known}.json"), known..known + 10);
        let done = ended(scene.start(trigger));
        assert_eq!(done.code, 0, "{done:?}");
        assert_eq!(scene.copied().len() as u64, known + 10, "{done:?}");
    }
    assert!(scene.copied().values().all(|times| *times == 1));
}

#[test]
fn a_file_that_is_dated_ahead_makes_no_other_too_old_and_one_that_is_too_old_is_said() {
    let scene = Scene::new("");
    let dated = |name: &str, time: SystemTime| {
        let file = fs::File::options()
            .write(true)
            .open(scene.inbox().join(name));
        file.unwrap().set_modified(time).unwrap();
    };
    let days = |days: u64| Duration::from_secs(days * 86_400);
    scene.arrive("before.json", 0..10);
    scene.arrive("ahead.json", 10..20);
    dated("ahead.json", SystemTime::now() + days(8));
    let done = ended(scene.start("once"));
    assert_eq!((done.code, scene.copied().len()), (0, 20), "{done:?}");
    assert!(!done.err.contains("maxFileAge"), "{done:?}");
    scene.arrive("later.json", 20..30);
    scene.arrive("old.json", 30..40);
    dated("old.json", SystemTime::now() - days(8));
    let done = ended(scene.start("once"));
    assert_eq!((done.code, scene.copied().len()), (0, 30), "{done:?}");
    assert!(scene.copied().values().all(|times| *times == 1));
    let said = done.err.lines().find(|line| line.contains("maxFileAge"));
    assert!(said.unwrap().contains("old.json"), "{done:?}");
}

#[test]
fn a_file_that_was_read_and_is_old_is_not_said_to_be_left_out() {
    let scene = Scene::new(", maxFileAge '1 day'");
    scene.arrive("old.json", 0..10);
    let file = fs::File::options()
        .write(true)
        .open(scene.inbox().join("old.json"));
    let days = Duration::from_secs(10 * 86_400);
    file.unwrap()
        .set_modified(SystemTime::now() - days)
        .unwrap();
    scene.arrive("new.json", 10..20);
    let running = scene.start("continuous");
    until("the rows of both", || scene.copied().len() == 20);
    // The folder is listed each second, and what is old is forgotten.
    std::thread::sleep(Duration::from_millis(2_500));
    terminate(&running);
    for done in [ended(running), ended(scene.start("once"))] {
        assert_eq!((done.code, scene.copied().len()), (0, 20), "{done:?}");
        assert!(!done.err.contains("left out"), "{done:?}");
    }
}

#[test]
fn a_batch_has_no_more_files_than_the_limit_says() {
    let scene = Scene::new("");
    let job = "CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path 'in', maxFilesPerTrigger '2');\n\
         CREATE TABLE shown USING console;\nINSERT INTO shown SELECT id FROM arrivals;\n";
    fs::write(scene.path("copies.sql"), job).unwrap();
    for id in 0..8 {
        scene.arrive(&format!("{id}.json"), id..id + 1);
    }
    let running = scene.start("1 second");
    std::thread::sleep(Duration::from_millis(6_500));
    terminate(&running);
    let done = ended(running);
    // The first line of a table names its columns.
    let lines = |batch: &str| batch.lines().filter(|line| line.starts_with('|')).count();
    let rows = |batch: &str| lines(batch) - 1;
    let batches: Vec<usize> = done.out.split("Batch: ").skip(1).map(rows).collect();
    assert_eq!(batches.iter().sum::<usize>(), 8, "{done:?}");
    assert!(batches.iter().all(|rows| *rows <= 2), "{batches:?}");
}

#[test]
fn a_folder_that_spark_would_make_a_column_of_is_said() {
    for (options, by, said) in [
        ("", "", true),
        ("", " PARTITIONED BY (k)", false),
        (", recursiveFileLookup 'true'", "", false),
    ] {
        let column = if by.is_empty() { "" } else { ", k INT" };
        let scene = Scene::of(
            &format!("arrivals (id BIGINT{column}) USING json OPTIONS (path 'in'{options}){by}"),
            "id",
        );
        for folder in ["in/k=7", "in/k=8", "aside/k=7", "aside/k=8"] {
            fs::create_dir(scene.path(folder)).unwrap();
        }
        scene.arrive("k=7/a.json", 0..10);
        scene.arrive("k=8/b.json", 10..20);
        let done = ended(scene.start("once"));
        assert_eq!((done.code, scene.copied().len()), (0, 20), "{done:?}");
        let times = done.err.matches("PARTITIONED BY (k)").count();
        assert_eq!(times, usize::from(said), "once for all files: {done:?}");
    }
}

#[test]
fn files_are_read_as_they_appear_and_deleted_once_they_are_safe() {
    let scene = Scene::new(", cleanSource 'delete'");
    let child = scene.start("continuous");
    for number in 0..5 {
        scene.arrive(&format!("{number}.json"), number * 10..number * 10 + 10);
        until("the rows of the file", || {
            scene.copied().len() as u64 == number * 10 + 10
        });
    }
    until("the files are gone", || {
        fs::read_dir(scene.inbox()).unwrap().count() == 0
    });
    // A folder that goes away and comes back is an outage, not an end.
    fs::remove_dir(scene.inbox()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    fs::create_dir(scene.inbox()).unwrap();
    scene.arrive("again.json", 50..60);
    until("the rows after the outage", || scene.copied().len() == 60);
    terminate(&child);
    let done = ended(child);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(scene.copied().values().all(|times| *times == 1));
}

#[test]
fn a_file_whose_name_is_no_text_is_said_once() {
    let scene = Scene::new("");
    let name = std::ffi::OsStr::from_bytes(b"bad\xff.json");
    fs::write(scene.inbox().join(name), "{\"id\":0}\n").unwrap();
    let mut command = thalweg(&["run", "copies.sql", "--http", "127.0.0.1:0"]);
    command.current_dir(scene.dir.path());
    let mut running = Running::start(command);
    running.until_said("is not UTF-8", stage::PATIENCE);
    // The folder is listed each second.
    std::thread::sleep(Duration::from_millis(2_500));
    let said = running.said();
    assert_eq!(said.matches("is not UTF-8").count(), 1, "{said}");
    running.terminate();
    running.end(stage::PATIENCE).expect(0, &[]);
}

#[test]
fn what_is_written_to_a_file_after_it_was_read_is_said() {
    let scene = Scene::new("");
    let mut slow = fs::File::create(scene.path("in/slow.json")).unwrap();
    slow.write_all(b"{\"id\":0}\n").unwrap();
    let mut command = thalweg(&["run", "copies.sql", "--http", "127.0.0.1:0"]);
    command.current_dir(scene.dir.path());
    let mut running = Running::start(command);
    until("what it held at the start", || scene.copied().len() == 1);
    running.until_ready();
    slow.write_all(b"{\"id\":1}\n").unwrap();
    drop(slow);
    let said = running.until_said("was written after it was read", stage::PATIENCE);
    assert!(said.contains("in/slow.json"), "{said}");
    scene.arrive("next.json", 2..3);
    until("the next file", || scene.copied().len() == 2);
    running.finish();
    assert_eq!(scene.copied().into_keys().collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn a_folder_is_a_static_table_whose_files_come_change_and_go() {
    let scene = Scene::new("");
    fs::create_dir_all(scene.path("shops/country=lv")).unwrap();
    let job = "SET checkpointLocation = 'checkpoints';\nSET checkpointInterval = '200 ms';\n\
         CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path 'in');\n\
         CREATE TABLE shops (city STRING, ids ARRAY<INT>, country STRING) USING json OPTIONS (\n\
           path 'shops', static 'true') PARTITIONED BY (country);\n\
         CREATE TEMPORARY VIEW open AS SELECT explode(ids) AS shop, city, country FROM shops WHERE city <> 'Riga';\n\
         CREATE TABLE copy USING file OPTIONS (path 'copy');\n\
         INSERT INTO copy SELECT a.id, concat(o.country, ' ', o.city) AS file FROM arrivals a JOIN open o ON a.id % 10 = o.shop;\n";
    fs::write(scene.path("copies.sql"), job).unwrap();
    let put = |name: &str, text: &str| {
        fs::write(scene.path("aside/shop"), text).unwrap();
        fs::rename(scene.path("aside/shop"), scene.path("shops").join(name)).unwrap();
    };
    put(
        "country=lv/a.json",
        "{\"city\":\"Cesis\",\"ids\":[1,2]}\n{\"city\":\"Riga\",\"ids\":[3]}\n",
    );
    scene.arrive("0.json", 0..10);
    let running = scene.start("continuous");
    until("the two of Cesis are joined", || scene.copied().len() == 2);
    fs::create_dir(scene.path("shops/country=no")).unwrap();
    put("country=no/b.json", "{\"city\":\"Oslo\",\"ids\":[4,5,6]}\n");
    let mut next = 10;
    until("the new file counts", || {
        scene.arrive(&format!("{next}.json"), next + 4..next + 5);
        next += 10;
        scene.copied().len() > 2
    });
    fs::remove_file(scene.path("shops/country=lv/a.json")).unwrap();
    let known = |id: u64| scene.copied().contains_key(&id);
    until("the file that is gone counts no more", || {
        scene.arrive(&format!("{next}.json"), next + 1..next + 5);
        until("the shop in Oslo is joined", || known(next + 4));
        next += 10;
        !known(next - 9)
    });
    let done = {
        terminate(&running);
        ended(running)
    };
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn files_that_were_read_are_moved_to_the_archive_under_their_whole_paths() {
    let scene =
        Scene::new(", recursiveFileLookup 'true', cleanSource 'archive', sourceArchiveDir 'old'");
    fs::create_dir(scene.path("in/deeper")).unwrap();
    fs::create_dir(scene.path("aside/deeper")).unwrap();
    scene.arrive("a.json", 0..10);
    scene.arrive("deeper/b.json", 10..20);
    let child = scene.start("continuous");
    until("the rows", || scene.copied().len() == 20);
    scene.arrive("c.json", 20..30);
    let inbox = fs::canonicalize(scene.inbox()).unwrap();
    let moved = scene.path("old").join(inbox.strip_prefix("/").unwrap());
    for name in ["a.json", "deeper/b.json", "c.json"] {
        until("it is moved", || moved.join(name).exists());
        assert!(!scene.inbox().join(name).exists(), "{name} is there still");
    }
    child_ends(child);
    let done = ended(scene.start("once"));
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(scene.copied().len(), 30);
    assert!(scene.copied().values().all(|times| *times == 1));
}

fn child_ends(child: std::process::Child) {
    terminate(&child);
    let done = ended(child);
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn a_folder_that_is_away_is_said_until_it_is_back() {
    let scene = Scene::new("");
    scene.arrive("a.json", 0..10);
    let mut command = thalweg(&["run", "copies.sql", "--http", "127.0.0.1:0"]);
    command.current_dir(scene.dir.path());
    let mut running = Running::start(command);
    until("the rows", || scene.copied().len() == 10);
    running.until_ready();
    fs::rename(scene.inbox(), scene.path("elsewhere")).unwrap();
    until("it is not ready, and says why", || {
        let (status, body) = running.get("/ready");
        status == 503 && body.contains("the folder in cannot be read")
    });
    fs::rename(scene.path("elsewhere"), scene.inbox()).unwrap();
    running.until_ready();
    scene.arrive("b.json", 10..20);
    until("the rows after it", || scene.copied().len() == 20);
    running.finish();
    assert!(scene.copied().values().all(|times| *times == 1));
}

#[test]
fn a_row_that_fails_is_stepped_over_with_the_command_that_the_query_says() {
    let scene = Scene::new(", mode 'FAILFAST'");
    fs::write(
        scene.path("aside/it's.json"),
        "{\"id\":0}\n{\"id\":x}\n{\"id\":2}\n",
    )
    .unwrap();
    fs::rename(scene.path("aside/it's.json"), scene.path("in/it's.json")).unwrap();
    fs::write(
        scene.path("in/packed.json.bz2"),
        "in a way that is not known",
    )
    .unwrap();
    for place in ["1:in/it'\\''s.json", "0:in/packed.json.bz2"] {
        let failed = ended(scene.start("once"));
        assert_eq!(failed.code, 1, "{failed:?}");
        let said = format!("--skip 'arrivals/0@{place}'");
        let said = if place.contains('\'') {
            said
        } else {
            said.replace('\'', "")
        };
        assert!(failed.err.contains(&said), "{said}: {failed:?}");
        let (_, words) = failed.err.split_once("thalweg checkpoint set ").unwrap();
        let words = words.lines().next().unwrap();
        let line = format!(
            "{} checkpoint set {words} --yes",
            env!("CARGO_BIN_EXE_thalweg")
        );
        let mut shell = std::process::Command::new("sh");
        let shell = shell.args(["-c", &line]).current_dir(scene.dir.path());
        let skipped = shell.output().unwrap();
        assert!(skipped.status.success(), "{line}: {skipped:?}");
    }
    scene.arrive("z.json", 3..5);
    let done = ended(scene.start("once"));
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(scene.copied().into_keys().collect::<Vec<_>>(), [0, 2, 3, 4]);
    let folder = scene.path("checkpoints/copy");
    let other = run(&[
        "checkpoint",
        "set",
        folder.to_str().unwrap(),
        "--skip",
        "arrivals/0@7:in/z.json",
        "--yes",
    ]);
    assert_eq!(other.code, 2, "{other:?}");
    assert!(other.err.contains("is not the next one"), "{other:?}");
}
