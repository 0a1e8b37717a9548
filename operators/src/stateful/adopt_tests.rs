//! Aggregates that are new in a GROUP BY with kept state: built from all that came before, they are as if they had always been
//! there, and those that are kept do not see it.

use proptest::prelude::*;
use thalweg_engine::operator::{Operator, Progress};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::testing::{self, cases};

use super::aggregate::Aggregate;
use super::grouping::{Emits, Grouping, Over, Shape};
use super::model::grouping;
use crate::transforms::stage::Collected;

const FORMS: [Option<Shape>; 4] = [
    None,
    Some(Shape::Fixed {
        size: 10,
        slide: 10,
        start: 0,
    }),
    Some(Shape::Fixed {
        size: 12,
        slide: 4,
        start: 0,
    }),
    Some(Shape::Session { gap: 3 }),
];

type Step = Box<dyn Operator>;

fn give(step: &mut Step, row: &Row, watermark: Option<i64>) -> Vec<Row> {
    let mut meta = testing::meta(0, 0, None);
    meta.watermark = watermark;
    let mut out = Collected::default();
    step.process(0, row, &meta, &mut out).unwrap();
    step.accept();
    out.rows
}

/// What it says when the watermark has moved and at a trigger.
fn told(step: &mut Step, watermark: Option<i64>) -> Vec<Row> {
    let (meta, mut out) = (testing::meta(0, 0, None), Collected::default());
    if let Some(watermark) = watermark {
        let mut progress = step.advance(watermark, &meta, &mut out).unwrap();
        while progress == Progress::More {
            progress = step.resume(&meta, &mut out).unwrap();
        }
        step.accept();
    }
    let mut progress = step.tick(0, &meta, &mut out).unwrap();
    while progress == Progress::More {
        progress = step.resume(&meta, &mut out).unwrap();
    }
    step.accept();
    out.rows.sort_by_key(|row| format!("{row:?}"));
    out.rows
}

fn same(
    form: Grouping,
    rows: &[Row],
    at: usize,
    watermark: Option<i64>,
) -> Result<(), TestCaseError> {
    let mut old = form.clone();
    old.aggregates
        .retain(|aggregate| aggregate.function != "sum" && !aggregate.distinct);
    let mut whole = Aggregate::new(form.clone());
    let (mut kept, mut built) = (Aggregate::new(old), Aggregate::new(form.clone()));
    for step in [&mut whole, &mut kept, &mut built] {
        for row in &rows[..at] {
            give(step, row, None);
        }
        told(step, watermark);
    }
    let (Some(saved), Some(built)) = (kept.save(), built.save()) else {
        return Ok(());
    };
    let mut grown = Aggregate::new(form.clone());
    grown.restore(&[saved]).unwrap();
    grown.adopt(&built).unwrap();
    let mut again = Aggregate::new(form);
    again.restore(&[grown.save().unwrap()]).unwrap();
    for row in &rows[at..] {
        let expected = give(&mut whole, row, watermark);
        prop_assert_eq!(&give(&mut grown, row, watermark), &expected);
        prop_assert_eq!(&give(&mut again, row, watermark), &expected);
    }
    let last = watermark.map(|_| 1_000);
    let expected = told(&mut whole, last);
    prop_assert_eq!(&told(&mut grown, last), &expected);
    prop_assert_eq!(&told(&mut again, last), &expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(48)))]

    #[test]
    fn what_is_built_is_as_if_it_had_always_been_there(
        rows in prop::collection::vec((0..4_i64, -9..9_i64, 0..60_i64, 1..6_i64), 2..60),
        part in 1_usize..100,
        watermark in prop::option::of(0..60_i64),
    ) {
        let row = |(key, value, time, gap): &(i64, i64, i64, i64)| vec![
            Value::BigInt(*key),
            Value::BigInt(*value),
            Value::Timestamp(*time),
            Value::BigInt(*gap),
        ];
        let rows: Vec<Row> = rows.iter().map(row).collect();
        let at = 1 + part * (rows.len() - 1) / 100;
        for form in FORMS {
            let modes = [Emits::UpdateAtOnce, Emits::UpdateAtTrigger, Emits::Complete];
            for emits in modes {
                same(grouping(form.clone(), emits, Over::Never), &rows, at, None)?;
            }
            if form.is_some() {
                same(grouping(form.clone(), Emits::Append, Over::Window), &rows, at, watermark)?;
            }
        }
    }
}
