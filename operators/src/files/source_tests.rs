//! Stories of folders: what is read of them, in which order, and where reading goes on.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::time::SystemTime;

use futures_util::StreamExt;
use thalweg_engine::record::{Body, Record};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};
use thalweg_engine::source::SourceEvent;

use super::*;
use crate::job_error::Location;
use crate::sources::file::test_context;
use crate::table::{OptionValue, Options};

pub(in crate::files) fn table(connector: &str, folder: &Path, options: &[(&str, &str)]) -> Table {
    let at = Location { line: 1, column: 1 };
    let path = folder.to_str().unwrap();
    let mut all = vec![("path", path)];
    all.retain(|(name, _)| !options.iter().any(|(other, _)| other == name));
    all.extend_from_slice(options);
    let options = all.into_iter().map(|(name, value)| OptionValue {
        name: name.to_owned(),
        value: value.to_owned(),
        substituted: false,
        at,
    });
    Table {
        name: "in".to_owned(),
        at,
        connector: connector.to_owned(),
        columns: (connector != "text").then(|| {
            vec![
                Field::nullable("id", DataType::Int),
                Field::nullable("day", DataType::Date),
            ]
        }),
        primary_key: Vec::new(),
        partitioned_by: Vec::new(),
        options: Options::new(options.collect()),
    }
}

pub(super) fn text(folder: &Path, options: &[(&str, &str)]) -> Table {
    table("text", folder, options)
}

pub(in crate::files) fn put(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A file that was written so many seconds after 2026 began.
pub(super) fn put_at(folder: &Path, name: &str, content: impl AsRef<[u8]>, seconds: u64) {
    put(folder, name, content);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds);
    let file = fs::File::options()
        .write(true)
        .open(folder.join(name))
        .unwrap();
    file.set_modified(time).unwrap();
}

/// One run that reads what is there: its records, and what a cut behind them saves.
pub(in crate::files) struct Ran {
    pub(in crate::files) records: Vec<Record>,
    pub(super) changes: Option<StateChanges>,
}

impl Ran {
    pub(super) fn shown(&self) -> Vec<String> {
        self.records.iter().map(shown).collect()
    }
}

pub(super) fn shown(record: &Record) -> String {
    match &record.body {
        Body::Row(row) => match &row[0] {
            Value::String(text) => text.to_string(),
            Value::Int(number) => number.to_string(),
            other => format!("{other:?}"),
        },
        Body::Bad(error) => format!("! {}", error.reason),
        Body::Skipped(skip) => format!("{skip:?}"),
    }
}

pub(super) fn partition() -> Arc<Partition> {
    Arc::new(Partition {
        input: "in".into(),
        name: "in/0".into(),
    })
}

fn runtime() -> tokio::runtime::Runtime {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    builder.build().unwrap()
}

pub(in crate::files) fn run(
    table: &Table,
    wanted: &[usize],
    from: &Position,
    state: &[StateChanges],
) -> Ran {
    let source = open(table, wanted, &test_context()).unwrap();
    let ends = source.ends().unwrap();
    source.restore(&partition(), state).unwrap();
    let mut stream = source.read(&partition(), from, ends.get("in/0")).unwrap();
    let mut records = Vec::new();
    let runtime = runtime();
    runtime.block_on(async {
        while let Some(event) = stream.next().await {
            match event {
                SourceEvent::Record(record) => records.push(record),
                SourceEvent::Failed(failure) => panic!("{failure}"),
                SourceEvent::Ended | SourceEvent::CaughtUp(_) => {}
            }
        }
    });
    let last = records
        .last()
        .map_or_else(|| from.clone(), |last| last.next.clone());
    drop(stream);
    let changes = source.changes(&partition(), &last);
    source.close();
    Ran { records, changes }
}

pub(super) fn read(table: &Table) -> Vec<String> {
    run(table, &[0], &Place::Begin.position(), &[]).shown()
}

#[test]
fn files_are_read_by_their_times_and_hidden_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    put_at(at, "a.txt", "third\n", 30);
    put_at(at, "b.txt", "first\nsecond", 20);
    put_at(at, "c.txt", "last", 30);
    for name in [".a.txt", "_SUCCESS", "d.txt._COPYING_", "deeper/e.txt"] {
        put(at, name, "hidden");
    }
    assert_eq!(read(&text(at, &[])), ["first", "second", "third", "last"]);
    let newest = text(at, &[("latestFirst", "true")]);
    assert_eq!(read(&newest), ["last", "third", "first", "second"]);
}

#[test]
fn patterns_filters_and_folders_choose_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (number, name) in [
        "2026-01/a.txt",
        "2026-02/b.txt",
        "2025-12/c.txt",
        "2026-01/d.log",
    ]
    .iter()
    .enumerate()
    {
        put_at(at, name, name, number as u64);
    }
    let path = |below: &str| at.join(below).to_str().unwrap().to_owned();
    let read = |options: &[(&str, &str)]| read(&text(at, options));
    assert_eq!(read(&[]), [""; 0], "folders in a folder are not read");
    assert_eq!(
        read(&[("path", &path("2026-0?")), ("pathGlobFilter", "*.txt")]),
        ["2026-01/a.txt", "2026-02/b.txt"]
    );
    assert_eq!(
        read(&[("path", &path("{2025,2026}-[01]*/[b-c].txt"))]),
        ["2026-02/b.txt", "2025-12/c.txt"]
    );
    assert_eq!(read(&[("path", &path("2026-01/d.log"))]), ["2026-01/d.log"]);
    assert_eq!(read(&[("recursiveFileLookup", "true")]).len(), 4);
}

#[test]
fn folders_with_a_key_are_columns() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    put_at(at, "day=2026-01-31/a.json", "{\"id\":1}", 1);
    put_at(at, "day=__HIVE_DEFAULT_PARTITION__/a.json", "{\"id\":2}", 2);
    put_at(at, "day=soon/a.json", "{\"id\":3}", 3);
    put_at(at, "b.json", "{\"id\":4}", 4);
    let mut table = table("json", at, &[]);
    table.partitioned_by = vec!["day".to_owned()];
    let ran = run(&table, &[0, 1, 3, 8], &Place::Begin.position(), &[]);
    let Body::Row(row) = &ran.records[0].body else {
        panic!("a row")
    };
    let expected = [
        Value::Int(1),
        Value::Date(20_484),
        Value::from("a.json"),
        Value::BigInt(0),
    ];
    assert_eq!(row.as_slice(), expected);
    let Body::Row(row) = &ran.records[1].body else {
        panic!("a row")
    };
    assert_eq!(row[1], Value::Null);
    let shown = ran.shown();
    assert!(
        shown[2].contains("day=soon/a.json, row 1: the folder `day=...` says no DATE"),
        "{shown:?}"
    );
    assert!(
        shown[3].contains("b.json, row 1: the file lies in no folder `day=...`"),
        "{shown:?}"
    );
}

#[test]
fn a_restart_goes_on_at_the_row_and_reads_no_file_twice() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    put_at(at, "a.txt", "1\n2\n3", 1);
    put_at(at, "b.txt", "4", 2);
    let table = text(at, &[]);
    let first = run(&table, &[0], &Place::Begin.position(), &[]);
    assert_eq!(first.shown(), ["1", "2", "3", "4"]);
    for cut in 0..4 {
        let source = open(&table, &[0], &test_context()).unwrap();
        let ends = source.ends().unwrap();
        let begin = Place::Begin.position();
        let mut stream = source.read(&partition(), &begin, ends.get("in/0")).unwrap();
        let runtime = runtime();
        let next = runtime.block_on(async {
            let mut next = begin.clone();
            for _ in 0..=cut {
                if let Some(SourceEvent::Record(record)) = stream.next().await {
                    next = record.next;
                }
            }
            next
        });
        let saved: Vec<StateChanges> = source.changes(&partition(), &next).into_iter().collect();
        drop(stream);
        source.close();
        let again = run(&table, &[0], &next, &saved);
        assert_eq!(
            again.shown(),
            first.shown()[cut + 1..],
            "after {} at {next}",
            cut + 1
        );
    }
    put_at(at, "c.txt", "late", 0);
    let end = first.records[3].next.clone();
    let saved: Vec<StateChanges> = first.changes.into_iter().collect();
    assert_eq!(
        run(&table, &[0], &end, &saved).shown(),
        ["late"],
        "an older file that came later"
    );
}

#[test]
fn a_file_that_was_written_between_two_runs_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    put_at(at, "a.txt", "1\n2\n3\n", 1);
    let source = open(&text(at, &[]), &[0], &test_context()).unwrap();
    let ends = source.ends().unwrap();
    let begin = Place::Begin.position();
    let mut stream = source.read(&partition(), &begin, ends.get("in/0")).unwrap();
    let runtime = runtime();
    let first = runtime.block_on(stream.next());
    let Some(SourceEvent::Record(first)) = first else {
        panic!("no record")
    };
    let saved = source.changes(&partition(), &first.next).unwrap();
    drop(stream);
    source.close();
    put_at(at, "a.txt", "4\n5\n6\n7\n", 9);
    let again = run(&text(at, &[]), &[0], &first.next, &[saved]);
    assert_eq!(again.shown(), ["5", "6", "7"]);
}

#[test]
fn what_is_too_old_is_left_out_except_at_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    put_at(at, "a.txt", "old", 0);
    put_at(at, "b.txt", "new", 100_000);
    let table = text(at, &[("maxFileAge", "1 hour")]);
    let first = run(&table, &[0], &Place::Begin.position(), &[]);
    assert_eq!(first.shown(), ["old", "new"]);
    let end = first.records[1].next.clone();
    let saved: Vec<StateChanges> = first.changes.into_iter().collect();
    put_at(at, "c.txt", "too old", 1);
    put_at(at, "d.txt", "not too old", 99_000);
    let second = run(&table, &[0], &end, &saved);
    assert_eq!(second.shown(), ["not too old"]);
    // As in Spark the age counts for nothing where the newest come first and a limit leaves others behind.
    let options = [
        ("maxFileAge", "1 hour"),
        ("latestFirst", "true"),
        ("maxFilesPerTrigger", "5"),
    ];
    let second = run(&text(at, &options), &[0], &end, &saved);
    assert_eq!(second.shown(), ["not too old", "too old"]);
}

#[test]
fn packed_files_are_unpacked_by_their_suffix_and_damage_is_one_bad_record() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let lines: String = (0..50_000).map(|number| format!("{number}\n")).collect();
    gzip.write_all(lines.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    put(at, "1.txt.gz", &packed);
    put(at, "2.txt.zst", zstd::encode_all(&b"zstd"[..], 1).unwrap());
    put(at, "3.txt.gz", &packed[..packed.len() / 2]);
    put(at, "4.txt.bz2", "x");
    for (seconds, name) in ["1.txt.gz", "2.txt.zst", "3.txt.gz", "4.txt.bz2"]
        .iter()
        .enumerate()
    {
        let file = fs::File::options().write(true).open(at.join(name)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds as u64);
        file.set_modified(time).unwrap();
    }
    let rows = read(&text(at, &[]));
    assert_eq!(rows[..2], ["0", "1"]);
    assert_eq!(rows[49_999..50_001], ["49999", "zstd"]);
    let bad: Vec<&String> = rows.iter().filter(|row| row.starts_with('!')).collect();
    assert_eq!(bad.len(), 2, "{bad:?}");
    assert!(
        bad[0].contains("3.txt.gz, row ") && bad[0].contains("truncated or damaged"),
        "{bad:?}"
    );
    let mut whole = Vec::new();
    let half = &packed[..packed.len() / 2];
    let _ = flate2::read::GzDecoder::new(half).read_to_end(&mut whole);
    let there = whole.iter().filter(|byte| **byte == b'\n').count();
    assert!(there > 1_000, "{there}");
    assert_eq!(
        rows.iter().position(|row| row == bad[0]),
        Some(50_001 + there),
        "every row that can be unpacked"
    );
    let number = format!("3.txt.gz, row {}: ", there + 1);
    assert!(bad[0].contains(&number), "{number}: {bad:?}");
    assert!(
        bad[1].contains("4.txt.bz2, row 1: the file is packed with bzip2"),
        "{bad:?}"
    );
}

#[test]
fn bytes_that_are_no_text_are_an_error_with_file_and_row_unless_their_encoding_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    put(at, "a.txt", b"good\nm\xfcll");
    let rows = read(&text(at, &[]));
    assert!(rows[1].contains("a.txt, row 2: not text"), "{rows:?}");
    assert_eq!(
        read(&text(at, &[("encoding", "ISO-8859-1")])),
        ["good", "m\u{fc}ll"]
    );
}

#[test]
fn a_file_may_be_one_row_or_cut_where_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    put(at, "a.txt", "\u{feff}one\ntwo;three\n");
    assert_eq!(read(&text(at, &[])), ["one", "two;three"]);
    assert_eq!(
        read(&text(at, &[("wholetext", "true")])),
        ["one\ntwo;three\n"]
    );
    assert_eq!(
        read(&text(at, &[("lineSep", ";")])),
        ["one\ntwo", "three\n"]
    );
}

#[test]
fn a_file_without_a_byte_has_no_row_and_one_that_unpacks_to_nothing_is_an_empty_text() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    put(at, "a.txt", b"");
    let packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    put(at, "b.txt.gz", packed.finish().unwrap());
    let none: [&str; 0] = [];
    assert_eq!(read(&text(at, &[])), none);
    assert_eq!(read(&text(at, &[("lineSep", ";")])), none);
    assert_eq!(read(&text(at, &[("wholetext", "true")])), [""]);
}

#[test]
fn json_goes_over_lines_where_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    put(at, "a.json", "[{\"id\":\n1},\n{\"id\": 2}]");
    assert_eq!(
        read(&table("json", at, &[("multiLine", "true")])),
        ["1", "2"]
    );
}

#[test]
fn a_file_that_is_gone_is_one_bad_record_and_reading_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    put(at, "b.txt", "next");
    let gone = at.join("a.txt").to_str().unwrap().to_owned();
    let from = Place::Row(3, Arc::from(gone.as_str())).position();
    let ran = run(&text(at, &[]), &[0], &from, &[]);
    let shown = ran.shown();
    assert!(
        shown[0].contains("a.txt, row 4: the file is gone"),
        "{shown:?}"
    );
    assert_eq!(shown[1], "next");
}

#[test]
fn memory_holds_few_of_many_files_and_all_are_read_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let expected: Vec<String> = (0..200).map(|number: u64| number.to_string()).collect();
    for number in (0..200).rev() {
        put_at(at, &format!("{number}.txt"), number.to_string(), number);
    }
    assert_eq!(read(&text(at, &[("maxCachedFiles", "7")])), expected);
}

#[test]
fn what_cannot_be_read_is_refused_before_the_first_record() {
    let refused = |table: &Table| columns(table).unwrap_err().message;
    let nowhere = Path::new("/nowhere/at/all");
    let source = open(&text(nowhere, &[]), &[0], &test_context()).unwrap();
    let failure = source.resolve(None).unwrap_err();
    assert!(
        failure.message.contains("there is no /nowhere/at/all"),
        "{failure}"
    );
    assert!(refused(&text(nowhere, &[("path", "")])).contains("needs the option `path`"));
    let both = [("maxFilesPerTrigger", "1"), ("maxBytesPerTrigger", "1")];
    assert!(refused(&text(nowhere, &both)).contains("exclude each other"));
    assert!(refused(&text(nowhere, &[("modifiedAfter", "x")])).contains("a stream goes on"));
    let archive = [
        ("cleanSource", "archive"),
        ("sourceArchiveDir", "/nowhere/at/all/old"),
    ];
    assert!(refused(&text(nowhere, &archive)).contains("would be read again"));
}
