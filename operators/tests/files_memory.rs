//! What a folder of many files, and a line without end, take of memory: bytes that are held, counted one by one.

#![allow(clippy::unwrap_used, reason = "this is a test and its helpers")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::AtomicIsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use thalweg_engine::record::{Body, Partition, Position};
use thalweg_engine::source::SourceEvent;
use thalweg_operators::coordinates::Coordinates;
use thalweg_operators::expr::calendar::Zone;
use thalweg_operators::files;
use thalweg_operators::sources::file;
use thalweg_operators::table::{OpenContext, Table};

/// Counts the bytes that all threads hold, and the most there were.
struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);
static MOST: AtomicIsize = AtomicIsize::new(0);

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let bytes = layout.size().cast_signed();
        MOST.fetch_max(HELD.fetch_add(bytes, Relaxed) + bytes, Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size().cast_signed(), Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What is counted is of all threads, so one story is told at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn context() -> OpenContext {
    OpenContext {
        job: "job".into(),
        query: "query".into(),
        run: "r1".into(),
        temporary: false,
        fresh: false,
        checkpoint: "./checkpoints/query".into(),
        member: None,
        further: false,
        delivery_timeout: Duration::from_secs(120),
        trigger_interval: None,
        bounded: true,
        complete: false,
        partitioned: false,
        coordinates: Coordinates::Off,
        time_zone: Zone::UTC,
    }
}

/// Bytes held when the first row of a folder is out, the most that were held after that, and those held at the end.
fn held(files: usize) -> [isize; 3] {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..files {
        std::fs::write(folder.path().join(format!("{number:05}.csv")), "1\n").unwrap();
    }
    let partition = Arc::new(Partition {
        input: "in".into(),
        name: "in/0".into(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let before = HELD.load(Relaxed);
    let table = Table::using("in", "text").option("path", folder.path().to_str().unwrap());
    let source = files::open(&table, &[0], &context()).unwrap();
    let ends = source.ends().unwrap();
    let begin = Position::Token("begin".into());
    let mut stream = source.read(&partition, &begin, ends.get("in/0")).unwrap();
    let (mut rows, mut first) = (0, 0);
    runtime.block_on(async {
        while let Some(event) = stream.next().await {
            let SourceEvent::Record(record) = event else {
                continue;
            };
            rows += 1;
            if rows == 1 {
                first = HELD.load(Relaxed) - before;
                MOST.store(HELD.load(Relaxed), Relaxed);
            }
            // A cut saves what was read since the last.
            if rows % 500 == 0 || rows == files {
                drop(source.changes(&partition, &record.next));
            }
        }
    });
    assert_eq!(rows, files);
    let figures = [
        first,
        MOST.load(Relaxed) - before,
        HELD.load(Relaxed) - before,
    ];
    drop(stream);
    source.close();
    figures
}

#[test]
fn a_file_costs_little_while_it_waits_and_less_when_it_was_read() {
    const FILES: usize = 7_000;
    let _alone = ALONE.lock().unwrap();
    // What is made once, by the first who needs it.
    held(10);
    let few = held(10);
    let many = held(FILES);
    let of_a_file = |place: usize| (many[place] - few[place]) / FILES.cast_signed();
    let (waiting, most, read) = (of_a_file(0), of_a_file(1), of_a_file(2));
    assert!(waiting <= 220, "a file that waits takes {waiting} bytes");
    assert!(
        most <= 230,
        "while files are read each takes {most} bytes at most"
    );
    assert!(read <= 25, "a file that was read takes {read} bytes");
}

#[test]
fn a_line_that_is_too_long_is_a_bad_record_and_no_more_of_it_is_held_than_the_limit() {
    const LONG: u64 = 300_000_000;
    let _alone = ALONE.lock().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines");
    let mut lines = std::fs::File::create(&path).unwrap();
    lines.write_all(b"first\n").unwrap();
    lines.seek(SeekFrom::Start(6 + LONG)).unwrap();
    lines.write_all(b"\nthird\nfourth").unwrap();
    let table = Table::using("in", "file")
        .option("path", path.to_str().unwrap())
        .option("format", "text");
    let source = file::open(&table, &[0], &context()).unwrap();
    let partition = Arc::new(Partition {
        input: "in".into(),
        name: "in/0".into(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    MOST.store(HELD.load(Relaxed), Relaxed);
    let before = HELD.load(Relaxed);
    let end = 6 + LONG.cast_signed() + 1;
    // From the begin, at the long line, and behind it.
    for (from, rows) in [(0, 4), (6, 3), (end, 2)] {
        let mut stream = source
            .read(&partition, &Position::Number(from), None)
            .unwrap();
        let mut shown = Vec::new();
        runtime.block_on(async {
            while let Some(event) = stream.next().await {
                let SourceEvent::Record(record) = event else {
                    continue;
                };
                match record.body {
                    Body::Row(row) => shown.push(format!("{:?}", row[0])),
                    Body::Bad(error) => {
                        assert_eq!(record.meta.position, Position::Number(6));
                        assert_eq!(record.next, Position::Number(end));
                        shown.push(error.reason.to_string());
                    }
                    Body::Skipped(_) => panic!("skipped"),
                }
            }
        });
        let long = format!("{}:2: the line is longer than 64 MiB", path.display());
        let all = ["\"first\"", &long, "\"third\"", "\"fourth\""];
        let short = |text: &String| text.replace("String(", "").replace(')', "");
        let shown: Vec<String> = shown.iter().map(short).collect();
        assert_eq!(shown, all[4 - rows..]);
    }
    let most = MOST.load(Relaxed) - before;
    assert!(most < 200 << 20, "{most} bytes were held");
}
