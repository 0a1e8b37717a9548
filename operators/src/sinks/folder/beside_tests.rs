//! Stories of parts that lie beside the checkpoints until they are complete: an epoch is an object, and an heir makes of them what
//! is committed, whatever its predecessor does.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use thalweg_engine::error::Remedy;
use thalweg_engine::row::Value;
use thalweg_engine::sink::{Prepared, Recovery};

use super::lease::HOLDS;
use super::scene::{Run, Scene};
use super::shared_tests::LANE;
use super::table::{CSV, Format, TEXT};
use crate::connectors::Output;
use crate::sinks::testing::wait;

/// How long threads may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn beside(output: Output, format: Format, options: &[(&'static str, &'static str)]) -> Scene {
    let mut scene = Scene::new(output, options).shared();
    scene.beside = Some(format);
    scene
}

fn texts(options: &[(&'static str, &'static str)]) -> Scene {
    beside(TEXT, Format::Text, options)
}

impl Scene {
    /// The objects beside the checkpoints.
    fn objects(&self) -> Vec<String> {
        let listed = self.store.list("state").unwrap().into_iter();
        listed.map(|entry| entry.name).collect()
    }

    /// Keeps of them what an epoch needs.
    fn keep_only(&self, prepared: &Prepared) {
        for name in self.objects() {
            if !prepared.objects.iter().any(|object| object.name == name) {
                self.store.remove(&format!("state/{name}")).unwrap();
            }
        }
    }
}

impl Run {
    fn cut(&mut self, last: bool) -> Option<Prepared> {
        wait(self.writer.prepare(last)).unwrap()
    }
}

#[test]
fn an_epoch_is_one_object_however_many_folders_have_rows_and_none_without_rows() {
    let mut scene = texts(&[]).by(&["k"]);
    let mut run = scene.heir(LANE, None);
    for folder in ["a", "b", "c", "a"] {
        run.write(&[Value::from(folder), Value::from(folder)]);
    }
    let first = run.cut(false).unwrap();
    assert_eq!(scene.objects().len(), 1);
    assert_eq!(first.objects.len(), 1);
    let second = run.cut(false).unwrap();
    assert_eq!(first, second);
    assert_eq!(
        scene.objects().len(),
        1,
        "an epoch without rows puts something"
    );
    let last = run.cut(true).unwrap();
    run.commit(&last.bytes);
    assert_eq!(scene.seen().len(), 3);
    assert_eq!(scene.lines(), ["a", "a", "b", "c"]);
    assert_eq!(run.cut(false), None, "what is visible needs no object");
}

#[test]
fn an_heir_shows_what_is_committed_while_its_predecessor_writes_on() {
    for compression in ["none", "gzip", "zstd"] {
        let mut scene = texts(&[("compression", compression)]);
        let mut first = scene.heir(LANE, None);
        first.text("a");
        first.cut(false).unwrap();
        first.text("b");
        let committed = first.cut(false).unwrap();
        first.text("c");
        first.cut(false).unwrap();
        scene.keep_only(&committed);
        let mut second = scene.heir(LANE, Some(&committed.bytes));
        let seen: Vec<Vec<u8>> = scene.seen().into_values().collect();
        let [file] = &seen[..] else {
            panic!("{} files", seen.len());
        };
        let text = match compression {
            "gzip" => unpacked(flate2::read::MultiGzDecoder::new(&file[..])),
            "zstd" => unpacked(zstd::Decoder::new(&file[..]).unwrap()),
            _ => unpacked(&file[..]),
        };
        assert_eq!(text, "a\nb\n", "{compression}");
        first.text("d");
        first.cut(true).unwrap();
        second.text("c");
        let last = second.cut(true).unwrap();
        second.commit(&last.bytes);
        assert_eq!(scene.seen().len(), 2, "what is not committed is seen");
        // The next one finds nothing to do.
        scene.heir(LANE, Some(&last.bytes));
        assert_eq!(scene.seen().len(), 2);
    }
}

fn unpacked(mut from: impl std::io::Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn many_small_epochs_are_few_objects_and_their_rows_stay_in_order() {
    let mut scene = beside(CSV, Format::Csv, &[("header", "true")]);
    let mut run = scene.heir(LANE, None);
    let mut named = 0;
    let mut prepared = Prepared::default();
    for number in 0..200 {
        run.text(&format!("row {number}"));
        prepared = run.cut(false).unwrap();
        named = named.max(prepared.objects.len());
    }
    assert!(named <= 10, "an epoch names {named} objects");
    assert_eq!(
        scene.objects().len(),
        200,
        "an epoch puts more than one object"
    );
    scene.keep_only(&prepared);
    scene.heir(LANE, Some(&prepared.bytes));
    let file = scene.seen().into_values().next().unwrap();
    let rows: Vec<String> = (0..200).map(|number| format!("row {number}\n")).collect();
    assert_eq!(
        String::from_utf8(file).unwrap(),
        format!("value\n{}", rows.concat())
    );
}

#[test]
fn every_object_is_named_by_an_epoch_however_much_comes_before_it_begins() {
    let mut scene = texts(&[("compression", "gzip")]);
    let mut run = scene.heir(LANE, None);
    let mut named = BTreeSet::new();
    for _ in 0..3 {
        for more in 1..=2 {
            let before = scene.objects().len();
            run.text(&"long".repeat(2 << 20));
            let since = Instant::now();
            while scene.objects().len() == before {
                assert!(since.elapsed() < PATIENCE, "{more} are not put");
                std::thread::yield_now();
            }
        }
        let prepared = run.cut(false).unwrap();
        named.extend(prepared.objects.into_iter().map(|object| object.name));
    }
    let unnamed: Vec<String> = scene.objects();
    let unnamed = unnamed.iter().filter(|name| !named.contains(*name));
    assert_eq!(unnamed.count(), 0, "what no epoch names is never removed");
}

#[test]
fn an_heir_goes_on_while_files_roll() {
    let mut scene = texts(&[("rollSize", "20")]);
    let (mut run, mut prepared) = (scene.heir(LANE, None), None);
    for number in 0..60 {
        run.text(&format!("{number:04}"));
        let cut = run.cut(false);
        if let Some(cut) = &cut {
            run.commit(&cut.bytes);
        }
        if number % 7 == 3 {
            run = scene.heir(LANE, cut.as_ref().map(|cut| cut.bytes.as_slice()));
        }
        prepared = cut;
    }
    scene.heir(LANE, prepared.as_ref().map(|cut| cut.bytes.as_slice()));
    let rows: Vec<String> = (0..60).map(|number| format!("{number:04}")).collect();
    assert_eq!(scene.lines(), rows);
}

#[test]
fn what_an_heir_has_shown_does_not_come_back_when_its_predecessor_goes_on() {
    let mut scene = texts(&[]);
    let mut first = scene.heir(LANE, None);
    first.text("a");
    // Committed, and paused before it was made visible.
    let committed = first.cut(true).unwrap();
    scene.heir(LANE, Some(&committed.bytes));
    assert_eq!(scene.lines(), ["a"]);
    for file in scene.seen().into_keys() {
        fs::remove_file(scene.path().join(file)).unwrap();
    }
    scene.lane.lose();
    first.commit(&committed.bytes);
    assert!(scene.seen().is_empty(), "what somebody has fetched is back");
    // Nor when its rows are gone by then.
    let mut late = scene.heir(LANE, None);
    late.text("b");
    let committed = late.cut(true).unwrap();
    scene.keep_only(&Prepared::default());
    late.commit(&committed.bytes);
    assert!(scene.seen().is_empty());
}

#[test]
fn whoever_was_held_up_with_the_answer_asks_again_before_a_file_appears() {
    let mut scene = texts(&[]);
    let mut first = scene.heir(LANE, None);
    first.text("a");
    let committed = first.cut(true).unwrap();
    // Its heir has shown the file, and somebody has fetched and removed it.
    scene.lane.lose_behind_the_next_look(HOLDS);
    first.commit(&committed.bytes);
    assert!(scene.seen().is_empty(), "what somebody has fetched is back");
    assert_eq!(scene.lane.looks(), 2);
}

#[test]
fn the_files_of_one_moment_ask_once_whose_the_lane_is() {
    let mut scene = texts(&[]).by(&["k"]);
    let mut run = scene.heir(LANE, None);
    for folder in 0..40 {
        run.write(&[Value::from(folder.to_string().as_str()), Value::from("row")]);
    }
    let last = run.cut(true).unwrap();
    let since = Instant::now();
    run.commit(&last.bytes);
    assert_eq!(scene.seen().len(), 40);
    let moments = since.elapsed().as_secs() / HOLDS.as_secs();
    assert!(scene.lane.looks() <= 1 + moments, "{}", scene.lane.looks());
}

#[test]
fn committed_rows_that_are_gone_are_not_passed_over() {
    let mut scene = texts(&[]);
    let mut first = scene.heir(LANE, None);
    first.text("a");
    let committed = first.cut(false).unwrap();
    scene.keep_only(&Prepared::default());
    let Err(failure) = scene.try_heir(LANE, Some(&committed.bytes), true) else {
        panic!("the loss is not noticed");
    };
    assert_eq!(failure.remedy, Remedy::Refuse);
    assert!(failure.message.contains("folder `state`"), "{failure}");
    // Another has gone on meanwhile, and needs them no more.
    let Err(failure) = scene.try_heir(LANE, Some(&committed.bytes), false) else {
        panic!("the loss is not noticed");
    };
    assert_eq!(failure.remedy, Remedy::Restart);
    let schema = scene.schema();
    let sink = scene.open(&schema).unwrap();
    let back = sink.recover(&Recovery {
        checkpoint: "c0ffee",
        epoch: 3,
        rewound: true,
        prepared: &[(LANE.into(), committed.bytes)].into(),
        partitions: &[],
        store: &*scene.store,
    });
    back.unwrap();
}

#[cfg(feature = "parquet")]
#[test]
fn an_heir_makes_parquet_of_what_is_committed() {
    let mut scene = beside(super::table::PARQUET, Format::Parquet, &[]);
    let mut first = scene.heir(LANE, None);
    first.text("a");
    first.cut(false).unwrap();
    first.text("b");
    let committed = first.cut(false).unwrap();
    first.text("c");
    first.cut(true).unwrap();
    scene.heir(LANE, Some(&committed.bytes));
    let seen: Vec<String> = scene.seen().into_keys().collect();
    let [name] = &seen[..] else {
        panic!("{seen:?}");
    };
    let rows = super::parquet_tests::read(&scene.path().join(name));
    assert_eq!(rows, ["{value: \"a\"}", "{value: \"b\"}"]);
}
