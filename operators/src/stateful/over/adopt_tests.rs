//! Functions that are new beside kept ones: built from all that came before, they answer as if they had always been there.

use proptest::prelude::*;
use thalweg_engine::operator::Operator;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::testing::{cases, meta};

use crate::stateful::over::pane_tests::stepped;
use crate::stateful::over::tests::{
    Out, TIME, everything, function, give, over, ranges, restored, row, rows,
};
use crate::stateful::over::{Frame, Kind, Over, Window};

/// The functions whose number is a multiple of `every`.
fn some(over: &Over, every: usize) -> Over {
    let functions = over.functions.iter().enumerate();
    let functions = functions.filter(|(place, _)| place % every == 0);
    Over {
        functions: functions.map(|(_, function)| function.clone()).collect(),
        ..over.clone()
    }
}

fn time(row: &Row) -> i64 {
    match row[TIME] {
        Value::Timestamp(time) => time,
        _ => 0,
    }
}

fn feed(window: &mut Window, rows: &[Row], watermark: Option<i64>) {
    for row in rows {
        give(window, row).unwrap();
    }
    if let Some(watermark) = watermark {
        let _ = window.advance(watermark, &meta(0, 0, None), &mut Out::default());
    }
}

/// Some functions count from the start, all are built from the same rows, and put beside them.
fn grown(all: &Over, every: usize, rows: &[Row], watermark: Option<i64>) -> Option<[Window; 2]> {
    let (mut kept, mut built) = (Window::new(&some(all, every)), Window::new(all));
    feed(&mut kept, rows, watermark);
    feed(&mut built, rows, watermark);
    let mut grown = restored(all, &[kept.save()?]);
    grown.adopt(&built.save()?).unwrap();
    let again = restored(all, &[grown.save()?]);
    feed(&mut grown, &[], watermark);
    Some([grown, again])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(48)))]

    #[test]
    fn what_is_built_answers_as_if_it_had_always_been_there(
        mut rows in prop::collection::vec(rows(120), 2..90),
        part in 1_usize..100,
        every in 2_usize..6,
        event_time in any::<bool>(),
    ) {
        rows.sort_by_key(time);
        let at = 1 + part * (rows.len() - 1) / 100;
        // What is not behind it is exact.
        let watermark = event_time.then(|| time(&rows[at - 1]));
        for all in [everything(event_time), ranges(), stepped(event_time)] {
            let mut whole = Window::new(&all);
            feed(&mut whole, &rows[..at], watermark);
            let Some(mut others) = grown(&all, every, &rows[..at], watermark) else { continue };
            for row in &rows[at..] {
                let expected = give(&mut whole, row).unwrap();
                for other in &mut others {
                    prop_assert_eq!(&give(other, row).unwrap(), &expected);
                }
            }
        }
    }
}

/// `count(*)` over frames of so many rows, and over all.
fn counts(reach: &[u64]) -> Over {
    let frames = reach.iter().map(|from| Frame::Rows { from: *from, to: 0 });
    let frames: Vec<Frame> = [Frame::Unbounded { current: true }]
        .into_iter()
        .chain(frames)
        .collect();
    let functions = (0..frames.len()).map(|frame| function(Kind::CountRows, None, frame));
    over(false, frames.clone(), functions.collect())
}

#[test]
fn a_longer_frame_has_the_rows_that_the_kept_ones_had_forgotten_and_totals_stay() {
    let rows: Vec<Row> = (0..20)
        .map(|time| row("a", Some(time), None, None, 0))
        .collect();
    let mut kept = Window::new(&counts(&[2]));
    feed(&mut kept, &rows, None);
    let all = counts(&[2, 9]);
    // The newest eight rows alone are read again.
    let mut built = Window::new(&all);
    feed(&mut built, &rows[12..], None);
    let mut grown = restored(&all, &[kept.save().unwrap()]);
    grown.adopt(&built.save().unwrap()).unwrap();
    let answer = give(&mut grown, &row("a", Some(20), None, None, 0)).unwrap();
    let counts: Vec<&Value> = answer[5..].iter().collect();
    assert_eq!(
        counts,
        [&Value::BigInt(21), &Value::BigInt(3), &Value::BigInt(9)]
    );
}
