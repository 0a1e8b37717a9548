//! Panes instead of rows, against the model and in stories.

use proptest::prelude::*;
use thalweg_engine::operator::Operator;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::testing::cases;
use thalweg_engine::testing::{Action, meta};

use crate::stateful::over::tests::{
    AMOUNT, CARD, Out, PLACE, TIME, against_the_model, all, function, give, over, range, row, rows,
    with_watermarks,
};
use crate::stateful::over::{Function, Kind, Over, Window};

/// Frames that move in steps of 4.
pub(super) fn stepped(event_time: bool) -> Over {
    let frames = vec![range(10, 0), range(25, 0)];
    let adds_up =
        |function: &Function| !matches!(function.kind, Kind::CountDistinct | Kind::Collect { .. });
    let functions = [all(0, false), all(1, false)].concat();
    Over {
        step: Some(4),
        ..over(
            event_time,
            frames,
            functions.into_iter().filter(adds_up).collect(),
        )
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(48)))]

    #[test]
    fn panes_answer_as_the_model_whose_far_edge_moves_in_steps(
        rows in prop::collection::vec(rows(90), 0..60),
        every in 1_usize..5,
        delay in 0_i64..30,
    ) {
        against_the_model(&stepped(true), &with_watermarks(&rows, every, delay));
        let actions: Vec<Action> = rows.into_iter().map(Action::Row).collect();
        against_the_model(&stepped(false), &actions);
    }

    #[test]
    fn a_record_that_is_not_behind_the_watermark_is_exact_but_for_the_far_edge(
        rows in prop::collection::vec(rows(90), 0..80),
        delay in 0_i64..30,
    ) {
        let over = stepped(true);
        let mut window = Window::new(&over);
        let mut seen: Vec<(i64, Row)> = Vec::new();
        let mut watermark = i64::MIN;
        for row in rows {
            let Value::Timestamp(time) = row[TIME] else { continue };
            let _ = window.advance(watermark, &meta(0, 0, None), &mut Out::default());
            let answer = give(&mut window, &row).unwrap();
            seen.push((time, row.clone()));
            if time >= watermark {
                let far = (time - 10) - (time - 10).rem_euclid(4);
                let inside = |(at, other): &&(i64, Row)| {
                    *at >= far && *at <= time && other[CARD] == row[CARD]
                };
                let count = seen.iter().filter(inside).count();
                prop_assert_eq!(&answer[5], &Value::BigInt(count as i64));
            }
            watermark = watermark.max(time - delay);
        }
    }
}

/// count(*) and the greatest place in a frame of 100 in steps of 10.
fn panes(kinds: &[(Kind, Option<usize>)]) -> Over {
    let functions = kinds.iter().map(|(kind, place)| function(*kind, *place, 0));
    Over {
        step: Some(10),
        ..over(true, vec![range(100, 0)], functions.collect())
    }
}

#[test]
fn an_aggregate_more_keeps_the_panes_of_the_others() {
    let count = (Kind::CountRows, None);
    let most = (Kind::Max, Some(PLACE));
    let mut window = Window::new(&panes(&[count, most]));
    for time in 0..40 {
        let place = u8::try_from(time % 5).unwrap();
        give(&mut window, &row("a", Some(time), Some(1), None, place)).unwrap();
    }
    let _ = window.advance(40, &meta(0, 0, None), &mut Out::default());
    give(&mut window, &row("a", Some(40), Some(2), None, 2)).unwrap();
    // Four panes, and the row that is not over.
    assert_eq!(window.rows, 5);
    let saved = window.save().unwrap();
    let mut other = Window::new(&panes(&[most, (Kind::Sum, Some(AMOUNT)), count]));
    other.restore(std::slice::from_ref(&saved)).unwrap();
    let answer = give(&mut other, &row("a", Some(41), Some(4), None, 0)).unwrap();
    let most = Value::from("place 4");
    assert_eq!(answer[5..], [most, Value::Double(1.0), Value::BigInt(42)]);
    assert!(other.save().unwrap().whole);
    // Panes of another width are no panes of this one.
    let mut wider = panes(&[count]);
    wider.step = Some(20);
    let refused = Window::new(&wider).restore(&[saved]).unwrap_err();
    assert!(refused.message.contains("another frameStep"), "{refused:?}");
}

#[test]
fn panes_take_the_room_of_panes_however_many_rows_there_are() {
    let kept = |step| {
        let mut over = panes(&[(Kind::CountRows, None), (Kind::Sum, Some(AMOUNT))]);
        (over.step, over.rows_max) = (step, usize::MAX);
        let mut window = Window::new(&over);
        for number in 0..20_000 {
            let time = number / 100;
            give(&mut window, &row("a", Some(time), Some(1), None, 0)).unwrap();
            let _ = window.advance(time - 1, &meta(0, 0, None), &mut Out::default());
        }
        window.rows
    };
    assert!(kept(None) > 10_000);
    assert!(kept(Some(10)) < 1_500, "{}", kept(Some(10)));
}
