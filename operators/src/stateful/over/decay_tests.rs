//! What fades, against its model and in stories.

use proptest::prelude::*;
use thalweg_engine::operator::Operator;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::DataType;
use thalweg_engine::testing::{Action, cases};

use crate::stateful::over::model::Model;
use crate::stateful::over::tests::{
    AMOUNT, PLACE, against_the_model, function, give, over, range, row, rows, with_watermarks,
};
use crate::stateful::over::{Frame, Function, Kind, Over, Window};

fn decayed(half_life: i64, place: Option<usize>, sum: bool, frame: usize) -> Function {
    Function {
        result: DataType::Double,
        ..function(Kind::Decayed { half_life, sum }, place, frame)
    }
}

/// Counts and sums that fade, beside others of the same key.
fn fading(event_time: bool, half_life: i64) -> Over {
    let frames = vec![
        Frame::Unbounded { current: true },
        Frame::Unbounded { current: false },
        range(10, 0),
    ];
    let mut functions = Vec::new();
    for frame in 0..2 {
        functions.extend([
            decayed(half_life, None, false, frame),
            decayed(half_life, Some(PLACE), false, frame),
            decayed(half_life, Some(AMOUNT), true, frame),
            function(Kind::Count, Some(AMOUNT), frame),
        ]);
    }
    functions.push(decayed(2 * half_life, Some(AMOUNT), true, 0));
    functions.push(function(Kind::CountDistinct, Some(PLACE), 2));
    over(event_time, frames, functions)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(48)))]

    // Within forty half-lives of one the model's sums are exact, and so in any order.
    #[test]
    fn what_fades_is_the_models_in_any_order_and_after_any_restart(
        rows in prop::collection::vec(rows(38), 0..60),
        every in 1_usize..5,
        delay in 0_i64..30,
    ) {
        let mut over = fading(true, 1);
        // Half a half-life is no power of two.
        over.functions.retain(|one| !matches!(one.kind, Kind::Decayed { half_life: 2, .. }));
        against_the_model(&over, &with_watermarks(&rows, every, delay));
        let actions: Vec<Action> = rows.into_iter().map(Action::Row).collect();
        over.order.as_mut().unwrap().event_time = false;
        against_the_model(&over, &actions);
    }

    #[test]
    fn any_half_life_is_the_models_nearly(
        rows in prop::collection::vec(rows(500), 1..80),
        half_life in 1_i64..300,
        cut in 0_usize..80,
    ) {
        let over = fading(false, half_life);
        let mut model = Model::new(over.clone(), true);
        let mut window = Window::new(&over);
        for (at, row) in rows.iter().enumerate() {
            if at == cut {
                let saved = window.save();
                window = Window::new(&over);
                window.restore(saved.as_slice()).unwrap();
            }
            let (got, expected) = (give(&mut window, row).unwrap(), model.process(row));
            for pair in got.iter().zip(&expected) {
                match pair {
                    (Value::Double(a), Value::Double(b)) => prop_assert!((a - b).abs() < 1e-9),
                    (a, b) => prop_assert_eq!(a, b),
                }
            }
        }
    }

    #[test]
    fn the_order_of_arrival_makes_no_difference(
        rows in prop::collection::vec(rows(38), 2..40),
        seed: u64,
    ) {
        let over = over(
            false,
            vec![Frame::Unbounded { current: true }],
            vec![decayed(1, Some(AMOUNT), true, 0)],
        );
        let last = row("a", Some(40), Some(1), None, 0);
        let end = |rows: &[Row]| {
            let mut window = Window::new(&over);
            rows.iter().for_each(|row| drop(give(&mut window, row)));
            give(&mut window, &last).unwrap().pop()
        };
        let mut turned = rows.clone();
        let middle = usize::try_from(seed % turned.len() as u64).unwrap();
        turned.rotate_left(middle);
        turned.reverse();
        prop_assert_eq!(end(&rows), end(&turned));
    }
}

#[test]
fn a_late_record_adds_what_is_left_of_it_and_sees_the_total_of_now() {
    let over = over(
        true,
        vec![Frame::Unbounded { current: true }],
        vec![decayed(10, Some(AMOUNT), true, 0)],
    );
    let mut window = Window::new(&over);
    let mut answer = |time, amount| {
        let row = row("a", time, amount, None, 0);
        give(&mut window, &row).unwrap().pop().unwrap()
    };
    assert_eq!(answer(Some(100), Some(16)), Value::Double(4.0));
    assert_eq!(answer(Some(110), Some(8)), Value::Double(4.0));
    // Ten late: half of it is left, of the newest time the answer.
    assert_eq!(answer(Some(100), Some(8)), Value::Double(5.0));
    assert_eq!(answer(Some(130), None), Value::Double(1.25));
    assert_eq!(answer(None, Some(8)), Value::Double(1.25));
}
