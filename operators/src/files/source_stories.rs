//! Stories of folders while time passes: the pace, links that are swapped, records that are too long, rows stepped over by hand.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;

use futures_util::StreamExt;
use thalweg_engine::source::SourceEvent;

use super::tests::{partition, put, put_at, read, run, shown, table, text};
use super::*;
use crate::files::config_map::config_map;
use crate::sources::file::test_context;

/// A run that goes on, with so long a trigger interval; told what it has read.
pub(super) struct Going {
    source: Arc<dyn Source>,
    stream: RecordStream,
    runtime: tokio::runtime::Runtime,
    pub(super) begun: Instant,
}

impl Going {
    pub(super) fn start(table: &Table, interval: Duration) -> Self {
        let context = OpenContext {
            trigger_interval: Some(interval),
            ..test_context()
        };
        let source = open(table, &[0], &context).unwrap();
        let begun = Instant::now();
        let begin = Place::Begin.position();
        let partition = Arc::new(Partition {
            input: "in".into(),
            name: "in/0".into(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        Self {
            stream: source.read(&partition, &begin, None).unwrap(),
            source,
            runtime,
            begun,
        }
    }

    /// The next row, and when it came.
    #[track_caller]
    pub(super) fn next(&mut self) -> (String, Duration) {
        let stream = &mut self.stream;
        let record = self.runtime.block_on(async {
            let waited = tokio::time::timeout(Duration::from_secs(30), async {
                loop {
                    match stream.next().await {
                        Some(SourceEvent::Record(record)) => return record,
                        Some(SourceEvent::CaughtUp(_)) => {}
                        _ => panic!("it ended"),
                    }
                }
            });
            waited.await.expect("no row comes")
        });
        (shown(&record), self.begun.elapsed())
    }

    pub(super) fn end(self) {
        drop(self.stream);
        self.source.close();
    }
}

/// Files of one line each begin no earlier than this many of them in an interval allow.
fn paced(options: &[(&str, &str)], per_interval: u32) {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..8 {
        let name = format!("{number}.txt");
        put_at(folder.path(), &name, format!("row {number}\n"), number);
    }
    let interval = Duration::from_millis(150);
    let mut going = Going::start(&text(folder.path(), options), interval);
    let begun = going.begun;
    let first = thalweg_engine::clock::next_beat(interval, begun);
    for number in 0..8 {
        let (row, came) = going.next();
        assert_eq!(row, format!("row {number}"));
        let Some(beats) = (number / per_interval).checked_sub(1) else {
            continue;
        };
        let least = first + interval * beats;
        assert!(
            begun + came >= least,
            "{row} came after {came:?}, too early"
        );
    }
    going.end();
    let begun = Instant::now();
    assert_eq!(read(&text(folder.path(), options)).len(), 8);
    // There an interval is a second, and they would take two of them at least.
    assert!(
        begun.elapsed() < Duration::from_millis(1_900),
        "a bounded run waited"
    );
}

#[test]
fn so_many_files_are_begun_in_each_interval() {
    paced(&[("maxFilesPerTrigger", "2")], 2);
}

#[test]
fn so_many_bytes_are_begun_in_each_interval_and_one_file_at_least() {
    // Six bytes each.
    paced(&[("maxBytesPerTrigger", "20")], 3);
    paced(&[("maxBytesPerTrigger", "1b")], 1);
}

#[test]
fn a_record_that_is_too_long_is_one_bad_record_and_the_next_begins_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"first\n").unwrap();
    for _ in 0..150 {
        packed.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    packed.write_all(b"\nthird\nfourth").unwrap();
    put(at, "a.txt.gz", packed.finish().unwrap());
    let ran = run(&text(at, &[]), &[0], &Place::Begin.position(), &[]);
    let shown = ran.shown();
    assert!(
        shown[1].contains("a.txt.gz, row 2: the record is longer than 64 MiB"),
        "{shown:?}"
    );
    assert_eq!(
        [&*shown[0], &*shown[2], &*shown[3]],
        ["first", "third", "fourth"]
    );
    // A restart behind it, and one at it, find the same rows.
    for (number, rest) in [(1, 3), (2, 2)] {
        let again = run(
            &text(at, &[]),
            &[0],
            &Place::Row(number, Arc::from(path(at, "a.txt.gz"))).position(),
            &[],
        );
        assert_eq!(again.shown(), shown[4 - rest..]);
    }
}

#[test]
fn in_lines_of_json_and_csv_too() {
    for (format, first, last) in [("json", "{\"id\":1}", "{\"id\":3}"), ("csv", "1", "3")] {
        let folder = tempfile::tempdir().unwrap();
        let mut file = fs::File::create(folder.path().join("a")).unwrap();
        writeln!(file, "{first}").unwrap();
        // A hole is a line of zeros.
        file.seek(SeekFrom::Current(70 << 20)).unwrap();
        write!(file, "\n{last}").unwrap();
        let shown = read(&table(format, folder.path(), &[]));
        assert_eq!([&*shown[0], &*shown[2]], ["1", "3"], "{shown:?}");
        assert!(shown[1].contains("a, row 2: the record is longer than 64 MiB"));
    }
}

#[test]
fn a_file_that_is_written_slowly_is_read_when_it_is_closed_and_others_do_not_wait_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut going = Going::start(&text(at, &[]), Duration::from_millis(100));
    put(at, "before.txt", "before");
    // From here on the folder is watched.
    assert_eq!(going.next().0, "before");
    let mut slow = fs::File::create(at.join("slow.txt")).unwrap();
    writeln!(slow, "first").unwrap();
    put(at, "other.txt", "other");
    assert_eq!(going.next().0, "other");
    writeln!(slow, "second").unwrap();
    drop(slow);
    assert_eq!(going.next().0, "first");
    assert_eq!(going.next().0, "second");
    going.end();
}

#[test]
fn a_file_that_changes_while_it_is_read_ends_with_a_bad_record_and_a_new_start_reads_on_there() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let lines: String = (0..40_000).map(|number| format!("{number}\n")).collect();
    put(at, "a.txt", lines);
    put(at, "b.txt", "next");
    let mut going = Going::start(&text(at, &[]), Duration::from_millis(100));
    assert_eq!(going.next().0, "0");
    // The thread that reads is only a few thousand rows ahead.
    let mut file = fs::File::options()
        .append(true)
        .open(at.join("a.txt"))
        .unwrap();
    file.write_all(b"cu").unwrap();
    let mut rows = 1;
    let bad = loop {
        let (row, _) = going.next();
        if row.starts_with('!') {
            break row;
        }
        assert_eq!(row, rows.to_string());
        rows += 1;
    };
    assert_eq!(rows, 40_000);
    let said = "a.txt, row 40001: the file has changed while it was read";
    assert!(bad.contains(said), "{bad}");
    assert_eq!(going.next().0, "next");
    going.end();
    file.write_all(b"t\nlast\n").unwrap();
    drop(file);
    let from = Place::Row(40_000, Arc::from(path(at, "a.txt"))).position();
    let rest = run(&text(at, &[]), &[0], &from, &[]);
    assert_eq!(rest.shown(), ["cut", "last", "next"]);
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_row_that_was_stepped_over_by_hand_is_left_out_and_the_next_one_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    put_at(at, "a.txt", b"one\nm\xfcll\nthree\n".as_slice(), 1);
    put_at(at, "b.txt", "four", 2);
    let first = run(&text(at, &[]), &[0], &Place::Begin.position(), &[]);
    let bad = &first.records[1].meta.position;
    assert_eq!(*bad, Place::Row(1, path(at, "a.txt").into()).position());
    let behind = behind(bad).unwrap();
    let rest = run(&text(at, &[]), &[0], &behind, &[]);
    assert_eq!(rest.shown(), ["three", "four"]);
}

#[test]
fn with_the_row_where_a_file_cannot_be_read_on_the_rest_of_it_is_stepped_over() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let lines: String = (0..50_000).map(|number| format!("{number}\n")).collect();
    packed.write_all(lines.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    put_at(at, "a.txt.gz", &packed[..packed.len() / 2], 1);
    put_at(at, "b.txt.bz2", "packed in another way", 2);
    put_at(at, "c.txt", "next", 3);
    let mut from = Place::Begin.position();
    let mut state = Vec::new();
    for file in ["a.txt.gz", "b.txt.bz2"] {
        let ran = run(&text(at, &[]), &[0], &from, &state);
        let bad = ran.records.iter().find(|row| shown(row).starts_with('!'));
        let bad = &bad.unwrap().meta.position;
        assert!(bad.to_string().contains(file), "{bad}");
        // What is saved where the query ends, before the bad record.
        let source = open(&text(at, &[]), &[0], &test_context()).unwrap();
        source.restore(&partition(), &state).unwrap();
        let ends = source.ends().unwrap();
        let mut stream = source.read(&partition(), &from, ends.get("in/0")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            while let Some(SourceEvent::Record(record)) = stream.next().await {
                if record.meta.position == *bad {
                    break;
                }
            }
        });
        drop(stream);
        state.extend(source.changes(&partition(), bad));
        source.close();
        from = behind(bad).unwrap();
    }
    assert_eq!(run(&text(at, &[]), &[0], &from, &state).shown(), ["next"]);
}

#[test]
fn files_of_a_config_map_are_read_once_under_their_names_and_new_ones_as_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    config_map(at, 1, &[("a.txt", "one")]);
    let mut going = Going::start(&text(at, &[]), Duration::from_millis(100));
    assert_eq!(going.next().0, "one");
    config_map(at, 2, &[("a.txt", "replaced"), ("b.txt", "two")]);
    assert_eq!(going.next().0, "two");
    // A link is whole when it appears: nobody closes it.
    symlink("..data/b.txt", at.join("c.txt")).unwrap();
    assert_eq!(going.next().0, "two");
    fs::hard_link(at.join("..data/b.txt"), at.join("d.txt")).unwrap();
    assert_eq!(going.next().0, "two");
    going.end();
}
