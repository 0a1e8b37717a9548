//! Kills while files arrive, in each format: no row is lost, and none is repeated that a checkpoint covers.
//!
//! The long form: THALWEG_KILLS=50.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::stage::plain::{ended, until};
use crate::stage::{kills, parquet_of};
use crate::{Scene, appear};

/// So many rows has each file. Its name says the first of them.
const EACH: u64 = 10;

/// What a file holds in a format.
fn content(format: &str, ids: std::ops::Range<u64>) -> Vec<u8> {
    match format {
        "parquet" => parquet_of(&ids.map(u64::cast_signed).collect::<Vec<_>>()),
        "json" => lines(ids, |id| format!("{{\"id\":{id}}}\n")),
        _ => lines(ids, |id| format!("{id}\n")),
    }
}

fn lines(ids: std::ops::Range<u64>, line: fn(u64) -> String) -> Vec<u8> {
    ids.map(line).collect::<String>().into_bytes()
}

/// How many rows the newest checkpoint covers: files are read in the order of their names.
fn covered(checkpoints: &Path) -> u64 {
    let Ok(epochs) = fs::read_dir(checkpoints.join("copy/epochs")) else {
        return 0;
    };
    let files = epochs.map(|entry| entry.unwrap().path());
    let newest = files.filter(|path| path.extension().is_some_and(|kind| kind == "json"));
    let Some(newest) = newest.max() else {
        return 0;
    };
    let text = fs::read_to_string(newest).unwrap();
    let Some((before, behind)) = text.split_once(":in/") else {
        return 0;
    };
    let first: u64 = behind.split('.').next().unwrap().parse().unwrap();
    let row = before.rsplit('"').next().unwrap();
    first + row.parse().unwrap_or(if row == "end" { EACH } else { 0 })
}

fn killed_again_and_again(format: &str) {
    let (columns, id) = match format {
        "text" => ("", "CAST(value AS BIGINT) AS id"),
        _ => (" (id BIGINT)", "id"),
    };
    let table = format!("arrivals{columns} USING {format} OPTIONS (path 'in')");
    let scene = Scene::of(&table, id);
    let stop = Arc::new(AtomicBool::new(false));
    let writing = std::thread::spawn({
        let (dir, stop, format) = (
            scene.dir.path().to_owned(),
            Arc::clone(&stop),
            format.to_owned(),
        );
        move || {
            let mut id = 0;
            while !stop.load(Ordering::Relaxed) {
                let content = content(&format, id..id + EACH);
                appear(&dir, &format!("{id:08}.{format}"), content);
                id += EACH;
                std::thread::sleep(Duration::from_millis(4));
            }
            id
        }
    });
    let mut survived = Vec::new();
    for _ in 0..kills(3) {
        let rows = scene.copied().len();
        let mut child = scene.start("continuous");
        let began = Instant::now();
        until("new rows", || {
            began.elapsed() > Duration::from_millis(600) && scene.copied().len() > rows + 500
        });
        child.kill().unwrap();
        child.wait().unwrap();
        let covers = covered(&scene.path("checkpoints"));
        assert!(covers > rows as u64 / 2, "{covers} of {rows} are covered");
        survived.push(covers);
    }
    stop.store(true, Ordering::Relaxed);
    let written = writing.join().unwrap();
    let done = ended(scene.start("once"));
    assert_eq!(done.code, 0, "{done:?}");
    let copied: BTreeMap<u64, u64> = scene.copied();
    let missing: Vec<u64> = (0..written).filter(|id| !copied.contains_key(id)).collect();
    assert!(
        missing.is_empty(),
        "{} of {written} lost: {missing:?}",
        missing.len()
    );
    assert_eq!(copied.len() as u64, written);
    // What came twice stood behind the newest checkpoint of one of the kills.
    for (id, times) in copied {
        let behind = survived.iter().filter(|covers| id >= **covers).count() as u64;
        assert!(
            times <= 1 + behind,
            "{id} came {times} times, and {behind} of {survived:?} did not cover it"
        );
    }
}

#[test]
fn kills_repeat_no_row_of_json_that_is_committed_and_lose_none() {
    killed_again_and_again("json");
}

#[test]
fn kills_repeat_no_row_of_csv_that_is_committed_and_lose_none() {
    killed_again_and_again("csv");
}

#[test]
fn kills_repeat_no_row_of_text_that_is_committed_and_lose_none() {
    killed_again_and_again("text");
}

#[test]
#[cfg(feature = "parquet")]
fn kills_repeat_no_row_of_parquet_that_is_committed_and_lose_none() {
    killed_again_and_again("parquet");
}
