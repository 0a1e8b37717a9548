//! Stories of files: what a reader of the folder sees, and what is left after a crash.

use std::fs;
use std::io::Read as _;

use thalweg_engine::error::Remedy;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::sink::Origin;

use super::scene::{Scene, one};
use super::table::{CSV, JSON, PARQUET, TEXT};
use crate::connectors::Output;
use crate::sinks::testing::{meta, wait};

#[test]
fn rows_become_visible_when_their_file_is_complete_and_its_epoch_committed() {
    let mut scene = Scene::new(TEXT, &[]);
    let mut run = scene.start(&one(), None);
    run.text("a");
    let first = run.prepare(false).unwrap();
    run.commit(&first);
    run.text("b");
    let last = run.prepare(true).unwrap();
    assert!(
        scene.seen().is_empty(),
        "an open or uncommitted file is seen"
    );
    run.commit(&last);
    assert_eq!(scene.lines(), ["a", "b"]);
    let seen = scene.seen();
    let name = seen.keys().next().unwrap();
    assert_eq!(name, "part-00000-run1-c000.txt");
    assert!(scene.hidden().is_empty());
    assert_eq!(
        run.prepare(false),
        None,
        "what is visible needs no checkpoint"
    );
}

#[test]
fn after_a_crash_the_committed_rows_are_there_and_no_others() {
    for (compression, options) in [
        ("", &[][..]),
        ("gz", &[("compression", "gzip")][..]),
        ("zst", &[("compression", "zstd")][..]),
    ] {
        let mut scene = Scene::new(TEXT, options);
        let mut run = scene.start(&one(), None);
        run.text("a");
        run.prepare(false).unwrap();
        run.text("b");
        let committed = run.prepare(false).unwrap();
        run.text("c");
        run.prepare(false).unwrap();
        run.crash();
        let mut run = scene.start(&one(), Some(&committed));
        let text = |scene: &Scene| -> String {
            let seen = scene.seen();
            let mut out = String::new();
            for bytes in seen.values() {
                match compression {
                    "gz" => flate2::read::MultiGzDecoder::new(&**bytes)
                        .read_to_string(&mut out)
                        .unwrap(),
                    "zst" => zstd::Decoder::new(&**bytes)
                        .unwrap()
                        .read_to_string(&mut out)
                        .unwrap(),
                    _ => (&**bytes).read_to_string(&mut out).unwrap(),
                };
            }
            out
        };
        assert_eq!(text(&scene), "a\nb\n", "{compression}");
        // The start is repeated as often as it fails, from the same checkpoint.
        run.text("not committed");
        run.prepare(true).unwrap();
        run.crash();
        let mut run = scene.start(&one(), Some(&committed));
        run.text("c");
        let last = run.prepare(true).unwrap();
        run.commit(&last);
        assert_eq!(text(&scene), "a\nb\nc\n", "{compression}");
        assert_eq!(scene.seen().len(), 2);
        assert!(scene.hidden().is_empty());
    }
}

#[test]
fn an_epoch_names_what_the_epochs_before_it_have_not_made_visible() {
    let mut scene = Scene::new(TEXT, &[("rollSize", "1")]);
    let mut run = scene.start(&one(), None);
    run.text("a");
    let first = run.prepare(false).unwrap();
    run.text("b");
    let second = run.prepare(false).unwrap();
    run.text("c");
    run.prepare(false).unwrap();
    // The first was committed, but not acted on before the crash.
    drop(first);
    run.crash();
    scene.start(&one(), Some(&second));
    assert_eq!(scene.lines(), ["a", "b"]);
}

#[test]
fn commits_of_epochs_that_overlap_make_each_file_visible_once() {
    let mut scene = Scene::new(TEXT, &[("rollSize", "1")]);
    let mut run = scene.start(&one(), None);
    run.text("a");
    let first = run.prepare(false).unwrap();
    run.text("b");
    let second = run.prepare(false).unwrap();
    let (one_by_one, at_once) = (run.writer.commit(&first), run.writer.commit(&second));
    wait(at_once).unwrap();
    wait(one_by_one).unwrap();
    assert_eq!(scene.lines(), ["a", "b"]);
    // Somebody fetches the files, and the same epoch is committed again: nothing comes back.
    let files: Vec<String> = scene.seen().into_keys().collect();
    for file in files {
        fs::remove_file(scene.path().join(file)).unwrap();
    }
    run.crash();
    scene.start(&one(), Some(&second));
    assert!(scene.seen().is_empty());
}

#[test]
fn a_file_ends_at_its_size_and_after_its_time() {
    let mut scene = Scene::new(TEXT, &[("rollSize", "10"), ("rollInterval", "1 ms")]);
    let mut run = scene.start(&one(), None);
    for _ in 0..4 {
        run.text("1234");
    }
    run.text("short");
    std::thread::sleep(std::time::Duration::from_millis(2));
    let prepared = run.prepare(false).unwrap();
    run.commit(&prepared);
    assert_eq!(scene.seen().len(), 3);
    assert_eq!(scene.lines().len(), 5);
}

#[test]
fn rows_are_dealt_to_folders_and_their_columns_stand_only_there() {
    let schema = Schema::new([
        Field::nullable("day", DataType::Date),
        Field::nullable("n", DataType::Int),
        Field::nullable("kind", DataType::String),
    ]);
    let mut scene = Scene::new(JSON, &[("ignoreNullFields", "false")]).by(&["DAY", "kind"]);
    let mut run = scene.start(&schema, None);
    run.write(&[Value::Date(20_484), Value::Int(1), Value::from("a/b")]);
    run.write(&[Value::Date(20_484), Value::Null, Value::Null]);
    let last = run.prepare(true).unwrap();
    run.commit(&last);
    let seen: Vec<(String, String)> = scene
        .seen()
        .into_iter()
        .map(|(name, bytes)| {
            let folder = name.rsplit_once('/').unwrap().0.to_owned();
            (folder, String::from_utf8(bytes).unwrap())
        })
        .collect();
    assert_eq!(
        seen,
        [
            (
                "day=2026-01-31/kind=__HIVE_DEFAULT_PARTITION__".to_owned(),
                "{\"n\":null}\n".to_owned()
            ),
            (
                "day=2026-01-31/kind=a%2Fb".to_owned(),
                "{\"n\":1}\n".to_owned()
            ),
        ]
    );
}

#[test]
fn a_limited_number_of_files_is_open_at_once() {
    let schema = Schema::new([
        Field::nullable("k", DataType::Int),
        Field::nullable("value", DataType::String),
    ]);
    let mut scene = Scene::new(TEXT, &[("maxOpenFiles", "2")]).by(&["k"]);
    let mut run = scene.start(&schema, None);
    for k in [1, 2, 1, 3, 1] {
        run.write(&[Value::Int(k), Value::from("x")]);
    }
    let prepared = run.prepare(false).unwrap();
    run.commit(&prepared);
    // That of 2 was written longest ago when 3 came.
    let seen: Vec<String> = scene.seen().into_keys().collect();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].starts_with("k=2/"), "{seen:?}");
    let last = run.prepare(true).unwrap();
    run.commit(&last);
    assert_eq!(scene.lines().len(), 5);
}

#[test]
fn each_file_of_csv_begins_with_its_header_also_after_a_crash() {
    let schema = Schema::new([
        Field::nullable("id", DataType::Int),
        Field::nullable("text", DataType::String),
    ]);
    let options = [("header", "true"), ("sep", ";"), ("nullValue", "-")];
    let mut scene = Scene::new(CSV, &options);
    let mut run = scene.start(&schema, None);
    run.write(&[Value::Int(1), Value::from("a;b")]);
    let committed = run.prepare(false).unwrap();
    run.write(&[Value::Int(2), Value::Null]);
    run.prepare(false).unwrap();
    run.crash();
    let mut run = scene.start(&schema, Some(&committed));
    run.write(&[Value::Int(2), Value::Null]);
    let last = run.prepare(true).unwrap();
    run.commit(&last);
    let seen: Vec<Vec<u8>> = scene.seen().into_values().collect();
    assert_eq!(
        seen,
        [b"id;text\n1;\"a;b\"\n".to_vec(), b"id;text\n2;-\n".to_vec()]
    );
}

#[test]
fn a_null_that_stands_alone_has_no_line_of_csv() {
    let rows = [
        Value::from("a"),
        Value::Null,
        Value::from(""),
        Value::from("b\nc"),
    ];
    let write = |options: &[(&'static str, &'static str)], rows: &[Value]| {
        let mut scene = Scene::new(CSV, options);
        let mut run = scene.start(&one(), None);
        for row in rows {
            run.write(std::slice::from_ref(row));
        }
        if let Some(last) = run.prepare(true) {
            run.commit(&last);
        }
        let seen: Vec<Vec<u8>> = scene.seen().into_values().collect();
        String::from_utf8(seen.concat()).unwrap()
    };
    for (options, expected) in [
        (vec![], "a\n\"\"\n\"b\nc\"\n"),
        (vec![("emptyValue", "")], "a\n\"b\nc\"\n"),
        (vec![("nullValue", "-")], "a\n-\n\"\"\n\"b\nc\"\n"),
        (vec![("lineSep", "\r\n")], "a\r\n\"\"\r\n\"b\r\nc\"\r\n"),
    ] {
        assert_eq!(write(&options, &rows), expected, "{options:?}");
    }
    assert_eq!(write(&[("header", "true")], &rows[1..2]), "");
}

#[test]
fn what_is_rejected_is_not_written() {
    let mut scene = Scene::new(TEXT, &[]);
    let mut run = scene.start(&one(), None);
    let at = meta();
    let origin = Origin {
        meta: &at,
        index: 0,
        moment: false,
    };
    run.writer
        .write(&[Value::from("rejected")], origin)
        .unwrap();
    run.writer.reject();
    run.text("accepted");
    let last = run.prepare(true).unwrap();
    run.commit(&last);
    assert_eq!(scene.lines(), ["accepted"]);
}

#[test]
fn a_folder_that_was_emptied_is_refused_unless_the_query_was_moved_by_hand() {
    let mut scene = Scene::new(TEXT, &[]);
    let mut run = scene.start(&one(), None);
    run.text("a");
    let committed = run.prepare(false).unwrap();
    run.crash();
    fs::remove_dir_all(scene.path()).unwrap();
    for _ in 0..2 {
        let Err(failure) = scene.try_start(&one(), Some(&committed), false) else {
            panic!("the loss is not noticed");
        };
        assert_eq!(failure.remedy, Remedy::Refuse);
        assert!(
            failure.message.contains("lacks the rows of 1 file"),
            "{failure}"
        );
        let way_out = format!("thalweg checkpoint rollback {} 7", scene.store.location());
        assert!(failure.message.contains(&way_out), "{failure}");
    }
    scene.try_start(&one(), Some(&committed), true).unwrap();
    assert!(scene.seen().is_empty());
}

#[test]
fn a_folder_may_be_moved_with_its_hidden_files() {
    let mut scene = Scene::new(TEXT, &[]);
    let mut run = scene.start(&one(), None);
    run.text("a");
    let committed = run.prepare(false).unwrap();
    run.crash();
    let moved = tempfile::tempdir().unwrap();
    fs::rename(scene.path(), moved.path().join("out")).unwrap();
    scene.dir = moved;
    scene.start(&one(), Some(&committed));
    assert_eq!(scene.lines(), ["a"]);
}

#[test]
fn a_hidden_file_that_is_too_short_is_refused() {
    let mut scene = Scene::new(TEXT, &[]);
    let mut run = scene.start(&one(), None);
    run.text("a row");
    let committed = run.prepare(false).unwrap();
    run.crash();
    fs::write(&scene.hidden()[0], b"a").unwrap();
    let Err(failure) = scene.try_start(&one(), Some(&committed), false) else {
        panic!("the damage is not noticed");
    };
    assert_eq!(failure.remedy, Remedy::Refuse);
    assert!(
        failure
            .message
            .contains("6 bytes of it are committed, and it has 1"),
        "{failure}"
    );
}

#[test]
fn a_folder_is_written_by_one_query_and_can_be_written() {
    let mut scene = Scene::new(TEXT, &[]);
    let run = scene.start(&one(), None);
    let failure = scene.open(&one()).err().unwrap();
    assert_eq!(failure.remedy, Remedy::Refuse);
    assert!(failure.message.contains("by another query"), "{failure}");
    run.crash();
    drop(scene.start(&one(), None));

    let mut scene = Scene::new(TEXT, &[]);
    fs::write(scene.path(), "a file").unwrap();
    let failure = scene.open(&one()).err().unwrap();
    assert_eq!(failure.remedy, Remedy::Refuse);
    assert!(failure.message.contains("cannot be written"), "{failure}");
}

#[test]
fn going_back_writes_later_rows_again_and_hides_none() {
    let mut scene = Scene::new(TEXT, &[]);
    let mut run = scene.start(&one(), None);
    run.text("a");
    let back = run.prepare(false).unwrap();
    run.text("b");
    let last = run.prepare(true).unwrap();
    run.commit(&last);
    run.crash();
    let mut run = scene.try_start(&one(), Some(&back), true).unwrap();
    run.text("b");
    let last = run.prepare(true).unwrap();
    run.commit(&last);
    assert_eq!(scene.lines(), ["a", "b", "b"]);
}

#[test]
fn what_cannot_be_written_is_refused_before_it_runs() {
    let check = |output: Output, schema: &Schema, by: &[&'static str]| {
        let scene = Scene::new(output, &[]).by(by);
        (output.check)(&scene.table(), schema).unwrap_err().message
    };
    let two = Schema::new([
        Field::nullable("a", DataType::Int),
        Field::nullable("b", DataType::DayTimeInterval),
    ]);
    assert!(check(TEXT, &two, &[]).contains("takes one column, not 2"));
    assert!(check(TEXT, &two, &["b"]).contains("takes a STRING"));
    assert!(check(JSON, &two, &["a", "b"]).contains("none is left"));
    assert!(check(JSON, &two, &["c"]).contains("gives no column `c`"));
    assert!(check(PARQUET, &two, &[]).contains("Parquet"));
    assert!(check(super::ORC, &two, &[]).contains("ORC files are not written"));
}
