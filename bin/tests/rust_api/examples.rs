//! The examples, and the programs of docs/rust.md: what they print.

use std::path::Path;
use std::process::Command;

#[path = "../../examples/own_aggregate.rs"]
pub(crate) mod own_aggregate;
#[path = "../../examples/own_function.rs"]
pub(crate) mod own_function;
#[path = "../../examples/own_processor.rs"]
pub(crate) mod own_processor;
#[path = "../../examples/own_sink.rs"]
pub(crate) mod own_sink;
#[path = "../../examples/own_source.rs"]
pub(crate) mod own_source;
#[path = "../../examples/pipeline.rs"]
pub(crate) mod pipeline;
#[path = "shown_command_line.rs"]
#[rustfmt::skip]
mod shown_command_line;
#[path = "shown_job.rs"]
#[rustfmt::skip]
mod shown_job;
#[path = "shown_pipeline.rs"]
#[rustfmt::skip]
mod shown_pipeline;

/// One of them in a process of its own, whose output is read.
macro_rules! alone {
    ($($name:ident $main:ident),+) => {$(
        #[test]
        #[ignore = "the stories call it in a process of its own"]
        fn $name() {
            super::$name::$main().unwrap();
        }
    )+};
}

mod alone {
    alone!(own_function main, own_aggregate main, own_source main, own_processor main, pipeline main, shown_job call);
}

/// What one of them prints, called in this folder.
fn printed(name: &str, folder: &Path) -> String {
    let said = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg(format!("examples::alone::{name}"))
        // With one thread the tests' own frame begins its line before the example prints.
        .env("RUST_TEST_THREADS", "2")
        .current_dir(folder)
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr),
    );
    assert!(
        said.status.success() && out.contains("1 passed"),
        "{name}: {out}{err}"
    );
    // What the tests' own frame says stands around it.
    let lines = out
        .lines()
        .map(|line| line.split("test examples::alone").next().unwrap());
    let own = lines.filter(|line| {
        !line.is_empty() && !line.starts_with("running ") && !line.starts_with("test result")
    });
    own.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_examples_print_what_they_are_about() {
    let here = Path::new(".");
    // Bo is in Potsdam.
    assert_eq!(
        printed("own_function", here),
        r#"[String("Ada"), Double(2.2)]
[String("Cleo"), Double(5.6)]"#
    );
    assert_eq!(printed("own_aggregate", here), "[[Double(4.0)]]");
    assert_eq!(
        printed("own_source", here),
        "300 records read, 150 rows written"
    );
    assert_eq!(
        printed("own_processor", here),
        r#"[[String("door"), BigInt(1)]]"#
    );
    let mut words: Vec<String> = printed("pipeline", here)
        .lines()
        .map(str::to_owned)
        .collect();
    // Two lanes, each with its line.
    words.sort();
    assert_eq!(
        words,
        [
            r#"[String("between"), Int(7)]"#,
            r#"[String("calls"), Int(5)]"#,
            r#"[String("flight"), Int(6)]"#,
            r#"[String("function"), Int(8)]"#,
            r#"[String("goes"), Int(4)]"#,
            r#"[String("nothing"), Int(7)]"#,
            r#"[String("plain"), Int(5)]"#,
            r#"[String("rows"), Int(4)]"#,
            r#"[String("through"), Int(7)]"#,
        ]
    );
}

/// The chapters on jobs and on pipelines: the first block is called on a job of its functions, aggregate and source, the
/// last is checked, as its topic is nowhere. That of the whole command line would take this program's arguments for its own.
#[test]
fn the_programs_of_the_document_are_these() {
    let document = include_str!("../../../docs/rust.md");
    let blocks: Vec<&str> = document
        .split("\n```rust\n")
        .skip(1)
        .map(|rest| rest.split("\n```").next().unwrap())
        .collect();
    let files = [
        include_str!("shown_job.rs"),
        include_str!("shown_command_line.rs"),
        include_str!("shown_pipeline.rs"),
    ];
    assert_eq!(blocks.len(), files.len());
    for (block, file) in blocks.iter().zip(files) {
        // A part of a function stands further right there.
        let bare = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
        assert!(
            bare(file).contains(&bare(block)),
            "not in the file of the tests:\n{block}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let job = "CREATE TABLE readings USING sensors OPTIONS (count '2');
        SET outputMode = 'complete';
        SELECT geo_mean(haversine(sensor, value, 0, 0) + 1) AS mean FROM readings WHERE sensor + value = 0;";
    std::fs::write(folder.path().join("fraud.sql"), job).unwrap();
    let said = printed("shown_job", folder.path());
    assert!(said.ends_with("200 records"), "{said}");
    let errors = thalweg::Job::named("errors").pipeline(shown_pipeline::errors());
    let report = errors.check().unwrap();
    assert!(
        report.contains("subscribe") || report.contains("lines"),
        "{report}"
    );
    let _: fn() = shown_command_line::MAIN;
}

#[test]
fn the_sink_of_the_example_is_gone_on_with_where_the_last_run_ended() {
    let folder = std::env::temp_dir().join("thalweg-own-sink");
    let _ = std::fs::remove_dir_all(&folder);
    let written = || {
        own_sink::main().unwrap();
        std::fs::read_to_string(folder.join("list.md")).unwrap()
    };
    let (first, list) = (written(), written());
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(!first.is_empty() && list.len() > first.len());
    let mut numbers: Vec<usize> = list
        .lines()
        .map(|line| line.strip_prefix("- number ").unwrap().parse().unwrap())
        .collect();
    // Two lanes, whose rows meet in one file.
    numbers.sort_unstable();
    assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>());
}

#[test]
fn every_example_is_shorter_than_eighty_lines() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines < 80, "{} has {lines} lines", path.display());
    }
}
