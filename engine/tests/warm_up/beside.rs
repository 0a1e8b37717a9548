//! Stories of new steps beside kept state: they are built from what stands before the checkpoint, and the kept ones do not
//! see it.

use super::*;

fn rows(counting: &Counting) -> Vec<Vec<i64>> {
    let number = |value: &Value| match value {
        Value::BigInt(number) => *number,
        other => panic!("{other:?}"),
    };
    let rows = counting.sink.rows();
    rows.iter()
        .map(|row| row.iter().map(number).collect())
        .collect()
}

/// The query with these steps, and nothing written yet.
fn changed(counting: &Counting, steps: &[(&'static str, usize)]) -> Counting {
    Counting {
        steps: steps.to_vec(),
        sink: MemorySink::default(),
        ..counting.clone()
    }
}

fn append(counting: &Counting, partition: usize, numbers: std::ops::Range<i64>) {
    for number in numbers {
        counting
            .log
            .append(partition, Ok(vec![Value::BigInt(number)]));
    }
}

#[test]
fn a_new_step_counts_from_as_far_back_and_the_kept_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let counting = Counting::of(1, 10, 0);
    counting.run(folder.path(), 4).0.unwrap();
    let grown = changed(&counting, &[("count", 1), ("later", 1)]);
    append(&grown, 0, 10..12);
    let (ended, metrics) = grown.run(folder.path(), 4);
    ended.unwrap();
    assert_eq!(rows(&grown), [[10, 11, 5], [11, 12, 6]]);
    assert_eq!(metrics.records_in.get(), 4 + 2);
    assert_eq!(metrics.warm_up_left.get(), 0);
    // It is as if it had always been there: the next run reads nothing back.
    append(&grown, 0, 12..13);
    let (ended, metrics) = grown.run(folder.path(), 4);
    ended.unwrap();
    assert_eq!(rows(&grown).last().unwrap(), &[12, 13, 7]);
    assert_eq!(metrics.records_in.get(), 1);
}

#[test]
fn a_new_part_of_a_kept_step_counts_from_as_far_back() {
    let folder = tempfile::tempdir().unwrap();
    let counting = Counting::of(2, 10, 0);
    counting.run(folder.path(), 4).0.unwrap();
    let grown = changed(&counting, &[("count", 2)]);
    append(&grown, 0, 10..12);
    grown.run(folder.path(), 4).0.unwrap();
    assert_eq!(rows(&grown), [[10, 21, 9], [11, 22, 10]]);
}

#[test]
fn a_step_that_has_nothing_to_read_back_begins_empty() {
    let folder = tempfile::tempdir().unwrap();
    let counting = Counting::of(1, 3, 0);
    counting.run(folder.path(), 4).0.unwrap();
    let grown = changed(&counting, &[("count", 1), ("later", 1)]);
    append(&grown, 0, 3..4);
    grown.run(folder.path(), 0).0.unwrap();
    assert_eq!(rows(&grown), [[3, 4, 1]]);
}

#[test]
fn a_crash_while_it_is_built_begins_again_and_writes_each_row_once() {
    for falls_at in [0, 7, 55, 99, 1_003, 1_099] {
        let folder = tempfile::tempdir().unwrap();
        let counting = Counting::of(2, 100, 0);
        counting.run(folder.path(), 1_000).0.unwrap();
        let grown = changed(&counting, &[("count", 1), ("later", 1)]);
        append(&grown, 0, 100..110);
        grown.falls_at.store(falls_at, Ordering::Relaxed);
        let (ended, metrics) = grown.run(folder.path(), 1_000);
        ended.unwrap();
        assert_eq!(metrics.restarts.get(), 1, "{falls_at}");
        let expected: Vec<Vec<i64>> = (0..10)
            .map(|row| vec![100 + row, 201 + row, 201 + row])
            .collect();
        assert_eq!(rows(&grown), expected, "{falls_at}");
    }
}

#[test]
fn a_lane_that_is_done_waits_for_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let counting = Counting {
        gathers: false,
        ..Counting::of(2, 5, 0)
    };
    append(&counting, 1, 1_005..1_150);
    counting.run(folder.path(), 1_000).0.unwrap();
    let grown = changed(&counting, &[("count", 1), ("later", 1)]);
    append(&grown, 0, 5..6);
    append(&grown, 1, 1_150..1_151);
    // The first lane was done long before; what it had written would come twice.
    grown.falls_at.store(1_149, Ordering::Relaxed);
    let (ended, metrics) = grown.run(folder.path(), 1_000);
    ended.unwrap();
    assert_eq!(metrics.restarts.get(), 1);
    let mut rows = rows(&grown);
    rows.sort();
    assert_eq!(rows, [[5, 6, 6], [1_150, 151, 151]]);
}

#[test]
fn a_bad_record_from_before_the_checkpoint_is_left_out_of_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let mut counting = Counting::of(1, 5, 0);
    counting.dead = Some(MemorySink::default());
    counting.log.append(0, Err(RecordError::decode("bad")));
    counting.run(folder.path(), 4).0.unwrap();
    let mut grown = changed(&counting, &[("count", 1), ("later", 1)]);
    grown.dead = None;
    append(&grown, 0, 6..7);
    grown.run(folder.path(), 4).0.unwrap();
    assert_eq!(rows(&grown), [[6, 6, 4]]);
}
