//! GROUP BY as stories: what a cut saves and a start takes up, slices, layouts, and what is forgotten.

use thalweg_engine::error::Remedy;
use thalweg_engine::operator::{Operator, Progress};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::state::StateChanges;
use thalweg_engine::testing;

use super::aggregate::Aggregate;
use super::grouping::{Emits, Grouping, Over, Shape};
use super::model::aggregate;
use super::tests::{SLIDING, TUMBLING, counts, output, row};
use crate::transforms::stage::Collected;

/// Many groups, then a moment that emits them in slices, with a cut and a restart after so many of them.
fn emitted_with_a_restart(grouping: &Grouping, restart_after: Option<usize>) -> Vec<Row> {
    let meta = testing::meta(0, 0, None);
    let mut operator = Aggregate::new(grouping.clone());
    for number in 0..4500 {
        let mut out = Collected::default();
        let row = row(number % 3000, number, number % 20);
        operator.process(0, &row, &meta, &mut out).unwrap();
        operator.accept();
    }
    let mut out = Collected::default();
    let begin = |operator: &mut Box<dyn Operator>, out: &mut Collected| match grouping.emits {
        Emits::Append => operator.advance(100, &meta, out).unwrap(),
        _ => operator.tick(0, &meta, out).unwrap(),
    };
    let mut saved: Vec<StateChanges> = operator.save().into_iter().collect();
    let mut progress = begin(&mut operator, &mut out);
    let mut slices = 0;
    loop {
        operator.accept();
        if restart_after == Some(slices) {
            saved.extend(operator.save());
            operator = Aggregate::new(grouping.clone());
            operator.restore(&saved).unwrap();
            progress = begin(&mut operator, &mut out);
            slices += 1;
            continue;
        }
        if progress == Progress::Done {
            break;
        }
        slices += 1;
        progress = operator.resume(&meta, &mut out).unwrap();
    }
    assert!(slices >= 2, "it was emitted in {slices} slices");
    if grouping.over == Over::Window {
        operator.advance(100, &meta, &mut out).unwrap();
        operator.accept();
        while operator.resume(&meta, &mut out).unwrap() == Progress::More {
            operator.accept();
        }
        operator.accept();
        assert_eq!(operator.size().keys, 0);
    }
    out.rows
}

#[test]
fn a_restart_between_two_slices_neither_loses_nor_repeats() {
    let session = || Shape::Session { gap: 3 };
    for (shape, emits) in [
        (Some(TUMBLING), Emits::Append),
        (Some(SLIDING), Emits::Append),
        (Some(session()), Emits::Append),
        (None, Emits::UpdateAtTrigger),
        (Some(TUMBLING), Emits::UpdateAtTrigger),
        (Some(SLIDING), Emits::UpdateAtTrigger),
    ] {
        let over = if shape.is_some() {
            Over::Window
        } else {
            Over::Never
        };
        let grouping = counts(shape, emits, over);
        let expected = emitted_with_a_restart(&grouping, None);
        for slice in 0..5 {
            let got = emitted_with_a_restart(&grouping, Some(slice));
            assert_eq!(got, expected, "{grouping:?} after slice {slice}");
        }
    }
}

#[test]
fn what_a_trigger_tells_is_written_once_however_many_cuts_come_meanwhile() {
    let session = || Shape::Session { gap: 3 };
    for shape in [None, Some(TUMBLING), Some(SLIDING), Some(session())] {
        let over = match shape {
            Some(_) => Over::Window,
            None => Over::Never,
        };
        let grouping = counts(shape, Emits::UpdateAtTrigger, over);
        let mut operator = Aggregate::new(grouping.clone());
        let meta = testing::meta(0, 0, None);
        let mut out = Collected::default();
        for key in 0..5_000 {
            operator
                .process(0, &row(key, 1, 7), &meta, &mut out)
                .unwrap();
            operator.accept();
        }
        let groups = operator.save().unwrap().entries.len();
        let mut progress = operator.tick(0, &meta, &mut out).unwrap();
        let (mut cuts, mut written) = (0, 0);
        while progress == Progress::More {
            cuts += 1;
            written += operator.save().map_or(0, |changes| changes.entries.len());
            progress = operator.resume(&meta, &mut out).unwrap();
        }
        assert!(cuts >= 4, "{grouping:?}");
        assert!(written <= groups, "{grouping:?}: {written} of {groups}");
    }
}

#[test]
fn an_aggregate_that_is_added_begins_empty_and_one_that_is_dropped_is_forgotten() {
    let mut first = counts(None, Emits::UpdateAtOnce, Over::Never);
    first.aggregates = vec![aggregate("count", false), aggregate("sum", false)];
    let mut second = first.clone();
    second.aggregates = vec![aggregate("max", false), aggregate("count", false)];
    let meta = testing::meta(0, 0, None);
    let mut out = Collected::default();
    let mut operator = Aggregate::new(first);
    operator.process(0, &row(1, 9, 0), &meta, &mut out).unwrap();
    operator.accept();
    let saved = operator.save().unwrap();
    let mut operator = Aggregate::new(second.clone());
    operator.restore(&[saved]).unwrap();
    // The next state is whole, in the new layout.
    let whole = operator.save().unwrap();
    assert!(whole.whole);
    let mut operator = Aggregate::new(second.clone());
    operator.restore(&[whole]).unwrap();
    out.rows.clear();
    operator.process(0, &row(1, 4, 0), &meta, &mut out).unwrap();
    let expected = vec![Value::BigInt(1), Value::BigInt(4), Value::BigInt(2)];
    assert_eq!(out.rows, [expected]);

    let mut other = second;
    other.keys.push(thalweg_engine::schema::DataType::String);
    operator.accept();
    let saved = operator.save().unwrap();
    let refused = Aggregate::new(other).restore(&[saved]).unwrap_err();
    assert_eq!(refused.remedy, Remedy::Refuse);
    assert!(refused.message.contains("keys or the window"), "{refused}");
}

#[test]
fn without_a_watermark_a_group_is_forgotten_after_its_time_to_live() {
    for shape in [None, Some(SLIDING), Some(Shape::Session { gap: 3 })] {
        let mut grouping = counts(shape, Emits::Complete, Over::Never);
        grouping.ttl = Some(10_000_000);
        let mut operator = Aggregate::new(grouping);
        let mut meta = testing::meta(0, 0, None);
        meta.taken_at = 100_000_000;
        let mut out = Collected::default();
        operator.process(0, &row(1, 9, 0), &meta, &mut out).unwrap();
        operator.accept();
        operator.expire(109_000_000);
        assert_eq!(operator.size().keys, 1);
        assert!(operator.save().is_some());
        operator.expire(112_000_000);
        assert_eq!(operator.size().keys, 0);
        let removed = operator.save().unwrap();
        assert!(removed.entries.iter().any(|(_, value)| value.is_none()));
        operator.tick(0, &meta, &mut out).unwrap();
        assert!(out.rows.is_empty());
    }
}

#[test]
fn only_what_changed_is_saved() {
    let mut operator = Aggregate::new(counts(None, Emits::UpdateAtOnce, Over::Never));
    let meta = testing::meta(0, 0, None);
    let mut out = Collected::default();
    for key in 0..100 {
        let row = row(key, 1, 0);
        operator.process(0, &row, &meta, &mut out).unwrap();
        operator.accept();
    }
    assert_eq!(operator.save().unwrap().entries.len(), 100);
    assert_eq!(operator.save(), None);
    operator.process(0, &row(3, 1, 0), &meta, &mut out).unwrap();
    operator.accept();
    operator.process(0, &row(3, 1, 0), &meta, &mut out).unwrap();
    operator.accept();
    assert_eq!(operator.save().unwrap().entries.latest().len(), 1);
}

#[test]
fn a_state_of_which_nearly_all_has_changed_is_saved_whole() {
    let mut operator = Aggregate::new(counts(None, Emits::UpdateAtOnce, Over::Never));
    let meta = testing::meta(0, 0, None);
    let mut out = Collected::default();
    let mut change = |operator: &mut Box<dyn Operator>, keys: std::ops::Range<i64>| {
        for key in keys {
            operator
                .process(0, &row(key, 1, 0), &meta, &mut out)
                .unwrap();
            operator.accept();
        }
        operator.save().unwrap()
    };
    let first = change(&mut operator, 0..2_000);
    let few = change(&mut operator, 0..1_000);
    assert_eq!((few.whole, few.entries.len()), (false, 1_000));
    let most = change(&mut operator, 0..1_900);
    // And one entry of the step's own.
    assert_eq!((most.whole, most.entries.len()), (true, 2_001));
    let mut restored = Aggregate::new(counts(None, Emits::UpdateAtOnce, Over::Never));
    restored.restore(&[first, few, most]).unwrap();
    change(&mut restored, 0..1);
    change(&mut restored, 1_950..1_951);
    assert_eq!(
        out.rows[out.rows.len() - 2..],
        [output(0, None, 4, 4), output(1_950, None, 2, 2)]
    );
}

#[test]
fn a_group_takes_at_most_120_bytes() {
    let mut grouping = counts(None, Emits::UpdateAtOnce, Over::Never);
    grouping.keys = vec![thalweg_engine::schema::DataType::String];
    let mut operator = Aggregate::new(grouping);
    let meta = testing::meta(0, 0, None);
    let mut out = Collected::default();
    for key in 0..50_000 {
        let mut row = row(0, 1, 0);
        row[0] = Value::String(format!("{key:016}").into());
        operator.process(0, &row, &meta, &mut out).unwrap();
        operator.accept();
    }
    let size = operator.size();
    assert_eq!(size.keys, 50_000);
    assert!(size.bytes / size.keys <= 120, "{size:?}");
}

#[test]
fn what_waits_for_a_trigger_is_told_by_a_run_that_has_none() {
    for (shape, over, kept) in [(None, Over::Never, 1), (Some(TUMBLING), Over::Window, 0)] {
        let make = |emits| Aggregate::new(counts(shape.clone(), emits, over));
        let meta = testing::meta(0, 0, None);
        let mut out = Collected::default();
        let mut with_trigger = make(Emits::UpdateAtTrigger);
        with_trigger
            .process(0, &row(1, 1, 6), &meta, &mut out)
            .unwrap();
        with_trigger.accept();
        let saved = with_trigger.save().unwrap();

        let mut without = make(Emits::UpdateAtOnce);
        without.restore(std::slice::from_ref(&saved)).unwrap();
        without.advance(100, &meta, &mut out).unwrap();
        assert!(out.rows.is_empty());
        assert!(without.alarm().is_some_and(|at| at <= 0));
        let mut progress = without.clock(0, &meta, &mut out).unwrap();
        while progress == Progress::More {
            progress = without.resume(&meta, &mut out).unwrap();
        }
        without.accept();
        assert_eq!(out.rows.len(), 1, "{shape:?}");
        assert_eq!((without.alarm(), without.size().keys), (None, kept));

        let mut again = make(Emits::UpdateAtOnce);
        again.restore(&[saved, without.save().unwrap()]).unwrap();
        assert_eq!((again.alarm(), again.size().keys), (None, kept));
    }
}
