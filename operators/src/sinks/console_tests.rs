//! What a user of the console sees.

use std::fs::{self, File};
use std::time::Duration;

use thalweg_engine::schema::{DataType, Field};

use super::*;
use crate::job_error::Location;
use crate::sinks::testing::{Observed, context, meta, wait};
use crate::sources::file::test_context;
use crate::table::{OptionValue, Options};

struct Screen {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
    sink: Console,
    observed: Arc<Observed>,
}

fn table(options: &[(&str, &str)]) -> Table {
    let at = Location { line: 1, column: 1 };
    Table {
        name: "console".to_owned(),
        at,
        connector: "console".to_owned(),
        columns: None,
        primary_key: Vec::new(),
        partitioned_by: Vec::new(),
        options: Options::new(
            options
                .iter()
                .map(|(name, value)| OptionValue {
                    name: (*name).to_owned(),
                    value: (*value).to_owned(),
                    substituted: false,
                    at,
                })
                .collect(),
        ),
    }
}

fn input() -> Schema {
    Schema::new(vec![
        Field::nullable("id", DataType::Int),
        Field::nullable("name", DataType::String),
    ])
}

impl Screen {
    fn new(interval: bool, options: &[(&str, &str)]) -> Self {
        let run = OpenContext {
            trigger_interval: interval.then_some(Duration::from_secs(1)),
            ..test_context()
        };
        Self::opened(&run, options)
    }

    fn opened(run: &OpenContext, options: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("screen");
        let file = File::create(&path).unwrap();
        let target = Target::file(file, "screen".to_owned()).unwrap();
        Self {
            sink: open_on(target, &table(options), &input(), run).unwrap(),
            _folder: folder,
            path,
            observed: Arc::default(),
        }
    }

    fn writer(&self) -> Box<dyn Writer> {
        self.sink.open(context(&self.observed)).unwrap()
    }

    fn shown(&self, writer: &mut Box<dyn Writer>) -> String {
        wait(writer.delivered()).unwrap();
        fs::read_to_string(&self.path).unwrap()
    }
}

fn write(writer: &mut Box<dyn Writer>, id: i32, name: &str) {
    let meta = meta();
    let origin = Origin {
        meta: &meta,
        index: 0,
        moment: false,
    };
    writer
        .write(&[Value::Int(id), Value::from(name)], origin)
        .unwrap();
}

fn row(writer: &mut Box<dyn Writer>, id: i32, name: &str) {
    write(writer, id, name);
    writer.accept().unwrap();
}

#[test]
fn rows_of_all_lanes_come_under_one_header() {
    let screen = Screen::new(false, &[]);
    let (mut one, mut two) = (screen.writer(), screen.writer());
    write(&mut one, 0, "rejected");
    one.reject();
    row(&mut one, 1, "a text of more than twenty characters");
    row(&mut two, 2, "b");
    assert_eq!(
        screen.shown(&mut two),
        "    id  name\n------  -------------------------------------\n     1  a text of more than twenty characters\n     2  b\n"
    );
    screen.sink.close();
    assert_eq!(screen.observed.rows(), 2);
}

#[test]
fn a_batch_may_show_its_columns_and_no_rows() {
    let screen = Screen::new(true, &[("numRows", "0")]);
    let mut writer = screen.writer();
    row(&mut writer, 1, "x");
    writer.tick(0).unwrap();
    let shown = screen.shown(&mut writer);
    let table = "+---+----+\n| id|name|\n+---+----+\n+---+----+\nonly showing top 0 rows\n";
    assert!(shown.ends_with(table), "{shown}");
}

#[test]
fn with_a_trigger_interval_each_tick_prints_a_batch() {
    let screen = Screen::new(true, &[("numRows", "2")]);
    let mut writer = screen.writer();
    writer.tick(0).unwrap();
    for id in 1..=3 {
        row(&mut writer, id, "x");
    }
    writer.tick(1).unwrap();
    // Records came, and none of them gave a row.
    writer.tick(2).unwrap();
    let rule = "-".repeat(43);
    assert_eq!(
        screen.shown(&mut writer),
        format!(
            "{rule}\nBatch: 0\n{rule}\n+---+----+\n| id|name|\n+---+----+\n+---+----+\n\n\
             {rule}\nBatch: 1\n{rule}\n+---+----+\n| id|name|\n+---+----+\n|  1|   x|\n|  2|   x|\n+---+----+\n\
             only showing top 2 rows\n\
             {rule}\nBatch: 2\n{rule}\n+---+----+\n| id|name|\n+---+----+\n+---+----+\n\n"
        )
    );
    screen.sink.close();
    assert_eq!(screen.observed.rows(), 3);
}

#[test]
fn rows_that_wait_for_a_tick_survive_a_restart() {
    let before = Screen::new(true, &[]);
    let mut writer = before.writer();
    writer.tick(0).unwrap();
    row(&mut writer, 7, "kept");
    let prepared = wait(writer.prepare(false)).unwrap().unwrap();
    row(&mut writer, 8, "after the cut");
    // The cut of this life is committed: it must not bring back its rows.
    wait(writer.commit(&prepared.bytes)).unwrap();
    writer.tick(1).unwrap();
    assert!(before.shown(&mut writer).contains("after the cut"));

    let after = Screen::new(true, &[]);
    let mut writer = after.writer();
    writer.resume(&prepared.bytes).unwrap();
    writer.tick(2).unwrap();
    let shown = after.shown(&mut writer);
    assert!(
        shown.contains("Batch: 1") && shown.contains("kept") && !shown.contains("after the cut")
    );
}

#[test]
fn after_a_restart_without_records_the_numbers_go_on_and_nothing_is_shown() {
    let before = Screen::new(true, &[]);
    let mut writer = before.writer();
    writer.tick(0).unwrap();
    let prepared = wait(writer.prepare(false)).unwrap().unwrap();
    let after = Screen::new(true, &[]);
    let mut writer = after.writer();
    writer.resume(&prepared.bytes).unwrap();
    writer.tick(1).unwrap();
    assert_eq!(after.shown(&mut writer), "");
    writer.tick(2).unwrap();
    assert!(after.shown(&mut writer).contains("Batch: 1\n"));
}

#[test]
fn a_whole_result_that_a_crash_cut_in_two_is_shown_once() {
    let whole = OpenContext {
        complete: true,
        bounded: true,
        ..test_context()
    };
    let before = Screen::opened(&whole, &[]);
    let mut writer = before.writer();
    row(&mut writer, 1, "first half");
    let prepared = wait(writer.prepare(false)).unwrap().unwrap();
    let after = Screen::opened(&whole, &[]);
    let mut writer = after.writer();
    writer.resume(&prepared.bytes).unwrap();
    row(&mut writer, 1, "first half");
    row(&mut writer, 2, "second half");
    writer.tick(1).unwrap();
    let shown = after.shown(&mut writer);
    assert_eq!(shown.matches("first half").count(), 1, "{shown}");
    assert!(shown.contains("Batch: 0\n"), "{shown}");
}

#[test]
fn truncate_takes_a_word_or_a_number() {
    for (value, expected) in [
        ("true", true),
        ("FALSE", true),
        ("30", true),
        ("short", false),
    ] {
        let checked = check(&table(&[("truncate", value)]), &input());
        assert_eq!(checked.is_ok(), expected, "{value}");
    }
    let screen = Screen::new(true, &[("truncate", "5")]);
    let mut writer = screen.writer();
    row(&mut writer, 1, "abcdefgh");
    writer.tick(0).unwrap();
    assert!(screen.shown(&mut writer).contains("|ab...|"));
}

#[test]
fn what_waits_for_a_trigger_is_shown_by_a_run_that_has_none() {
    let before = Screen::new(true, &[]);
    let mut writer = before.writer();
    row(&mut writer, 1, "waits");
    let prepared = wait(writer.prepare(false)).unwrap().unwrap();
    assert_eq!(before.shown(&mut writer), "");

    let after = Screen::new(false, &[]);
    let mut writer = after.writer();
    writer.resume(&prepared.bytes).unwrap();
    row(&mut writer, 2, "comes");
    let shown = after.shown(&mut writer);
    let waits = shown.find("waits").unwrap();
    assert!(waits < shown.find("comes").unwrap(), "{shown}");
}
