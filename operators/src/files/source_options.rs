//! Stories of options of folders: names, the order of what waits, encodings, files of blocks.

use std::fs;
use std::time::Instant;

use thalweg_engine::clock;

use super::stories::Going;
use super::tests::{put, put_at, read, run, table, text};
use super::*;

#[test]
fn where_only_names_count_a_name_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let names = [("recursiveFileLookup", "true"), ("fileNameOnly", "true")];
    for (options, second) in [
        (&names[..1], &["of the same name", "second"][..]),
        (&names[..], &["second"][..]),
    ] {
        put_at(at, "monday/a.txt", "first", 1);
        let first = run(&text(at, options), &[0], &Place::Begin.position(), &[]);
        assert_eq!(first.shown(), ["first"]);
        put_at(at, "tuesday/a.txt", "of the same name", 2);
        put_at(at, "tuesday/b.txt", "second", 3);
        let end = first.records[0].next.clone();
        let saved: Vec<StateChanges> = first.changes.into_iter().collect();
        let next = run(&text(at, options), &[0], &end, &saved);
        assert_eq!(next.shown(), second);
        fs::remove_dir_all(at.join("tuesday")).unwrap();
    }
}

#[test]
fn with_a_pace_the_newest_of_those_that_wait_is_next_also_one_that_came_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for number in 0..6 {
        put_at(at, &format!("{number}.txt"), number.to_string(), number);
    }
    let options = [("latestFirst", "true"), ("maxFilesPerTrigger", "2")];
    let interval = Duration::from_secs(1);
    // A beat is the same for all of a process: behind one there is all of an interval until the next.
    let now = Instant::now();
    std::thread::sleep(clock::next_beat(interval, now) - now);
    let mut going = Going::start(&text(at, &options), interval);
    let beat = clock::next_beat(interval, going.begun);
    assert_eq!([going.next().0, going.next().0], ["5", "4"]);
    put(at, "new.txt", "new");
    let (row, came) = going.next();
    assert_eq!(row, "new");
    assert!(going.begun + came >= beat, "it came after {came:?}");
    assert_eq!(going.next().0, "3");
    going.end();
}

#[test]
fn the_names_of_a_header_end_where_its_line_ends() {
    for end in ["\n", "\r\n", "\r"] {
        let folder = tempfile::tempdir().unwrap();
        let text = ["id,day", "17,2026-01-31", ""].join(end);
        put(folder.path(), "a.csv", text);
        for lines in ["true", "false"] {
            let options = [
                ("header", "true"),
                ("enforceSchema", "false"),
                ("multiLine", lines),
            ];
            let rows = read(&table("csv", folder.path(), &options));
            assert_eq!(rows, ["17"], "{end:?}, multiLine {lines}");
        }
    }
}

#[test]
fn an_encoding_that_is_named_is_that_of_the_folder() {
    for (encoding, mark, big) in [
        ("UTF-16", true, false),
        ("UTF-16", true, true),
        ("UTF-16LE", false, false),
        ("UTF-16BE", false, true),
    ] {
        let coded = |text: &str| -> Vec<u8> {
            let units = text.encode_utf16();
            let units = mark.then_some(0xFEFF).into_iter().chain(units);
            let bytes = |unit: u16| {
                if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            };
            units.flat_map(bytes).collect()
        };
        for (format, lines) in [
            ("csv", "17,2026-01-31\n18,\n"),
            ("json", "{\"id\":17}\n{\"id\":18}\n"),
            ("text", "17\n18\n"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            put(folder.path(), "a", coded(lines));
            let table = table(format, folder.path(), &[("encoding", encoding)]);
            assert_eq!(read(&table), ["17", "18"], "{format} {encoding}");
        }
    }
}

#[cfg(all(feature = "parquet", feature = "orc"))]
fn whole(format: &str) -> Vec<u8> {
    use arrow::array::{ArrayRef, Int32Array, RecordBatch};

    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(1..=3));
    let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let mut bytes = Vec::new();
    if format == "orc" {
        let writer = orc_rust::ArrowWriterBuilder::new(&mut bytes, batch.schema());
        let mut writer = writer.try_build().unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    } else {
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
    bytes
}

#[test]
#[cfg(all(feature = "parquet", feature = "orc"))]
fn half_a_file_of_blocks_is_one_bad_record_and_the_next_file_is_read() {
    for format in ["parquet", "orc"] {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let bytes = whole(format);
        put_at(at, "a", &bytes[..bytes.len() / 2], 1);
        put_at(at, "b", &bytes, 2);
        let rows = read(&table(format, at, &[]));
        let said = format!("a, row 1: the file is no whole {format} file");
        assert!(rows[0].contains(&said), "{rows:?}");
        assert_eq!(rows[1..], ["1", "2", "3"], "{format}");
    }
}

#[test]
#[cfg(all(feature = "parquet", feature = "orc"))]
fn files_of_blocks_are_read_as_they_come() {
    for format in ["parquet", "orc"] {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        put(at, "a", whole(format));
        let mut going = Going::start(&table(format, at, &[]), Duration::from_millis(100));
        assert_eq!(
            [going.next().0, going.next().0, going.next().0],
            ["1", "2", "3"]
        );
        put(at, ".b", whole(format));
        fs::rename(at.join(".b"), at.join("b")).unwrap();
        assert_eq!(
            [going.next().0, going.next().0, going.next().0],
            ["1", "2", "3"]
        );
        going.end();
    }
}
