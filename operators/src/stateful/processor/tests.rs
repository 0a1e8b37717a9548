//! A processor that counts the visits of a user and says goodbye when none has come for ten seconds, in several worlds.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use proptest::prelude::*;
use thalweg_engine::schema::Field;
use thalweg_engine::testing::{self, Action, assert_operator};

use super::*;
use crate::transforms::stage::Collected;
use thalweg_engine::operator::Operator;
use thalweg_engine::state::StateChanges;

const SECOND: Micros = 1_000_000;

/// `[user, visits]` when a user has gone.
#[derive(Default)]
struct Visits {
    /// By the wall clock instead of event time.
    by_clock: bool,
    expired: Arc<Mutex<Vec<Row>>>,
}

impl StatefulProcessor for Visits {
    fn process(&mut self, row: &[Value], key: &mut Key<'_>) -> Result<(), RecordError> {
        if row[1] == Value::from("bad") {
            return Err(RecordError::expression("bad"));
        }
        let visits = match key.value() {
            Some([Value::BigInt(visits)]) => *visits,
            _ => 0,
        };
        for timer in key.timers().to_vec() {
            key.remove_timer(timer);
        }
        key.set_timer(match (self.by_clock, key.event_time()) {
            (false, Some(time)) => Timer::Event(time + 10 * SECOND),
            _ => Timer::Processing(key.now() + 10 * SECOND),
        });
        key.set(vec![Value::BigInt(visits + 1)])
    }

    fn timer(&mut self, _: Timer, key: &mut Key<'_>) -> Result<(), RecordError> {
        let mut row = key.columns().to_vec();
        row.extend(key.value().into_iter().flatten().cloned());
        key.emit(&row)?;
        key.clear();
        Ok(())
    }

    fn expire(&mut self, key: &[Value], value: Option<&[Value]>) {
        let value = value.into_iter().flatten();
        self.expired
            .lock()
            .push(key.iter().chain(value).cloned().collect());
    }
}

fn keeps() -> Keeps {
    Keeps {
        keys: vec![0],
        key_types: vec![DataType::String],
        value: Schema::new([Field::required("visits", DataType::BigInt)]),
        version: 1,
        ttl: None,
    }
}

fn visits(by_clock: bool) -> Box<dyn Operator> {
    let visits = Visits {
        by_clock,
        ..Visits::default()
    };
    Box::new(Processing::new(visits, keeps()))
}

fn visit(user: &str, second: i64) -> Action {
    let row = vec![Value::from(user), Value::from("page")];
    Action::RowOf(0, 0, Some(second * SECOND), row)
}

fn gone(user: &str, visits: i64) -> Row {
    vec![Value::from(user), Value::BigInt(visits)]
}

#[test]
fn a_key_is_called_when_the_watermark_has_reached_its_timer_and_forgotten_when_nothing_is_left() {
    let actions = [
        visit("ann", 1),
        visit("bob", 2),
        visit("ann", 5),
        Action::RowOf(0, 0, Some(6), vec![Value::from("ann"), Value::from("bad")]),
        Action::Watermark(11 * SECOND),
        Action::Watermark(15 * SECOND),
        visit("ann", 20),
        Action::Watermark(40 * SECOND),
    ];
    let expected = [
        Ok(vec![]),
        Ok(vec![]),
        Ok(vec![]),
        Err("expression"),
        Ok(vec![]),
        Ok(vec![gone("bob", 1), gone("ann", 2)]),
        Ok(vec![]),
        Ok(vec![gone("ann", 1)]),
    ];
    assert_operator(|| visits(false), &actions, &expected);
}

#[test]
fn a_timer_of_the_wall_clock_is_asked_for_and_called() {
    let actions = [
        visit("ann", 1),
        Action::Clock(9 * SECOND),
        Action::Clock(10 * SECOND),
    ];
    let expected = [Ok(vec![]), Ok(vec![]), Ok(vec![gone("ann", 1)])];
    assert_operator(|| visits(true), &actions, &expected);
    let mut operator = visits(true);
    let meta = testing::meta(0, 0, None);
    let row = vec![Value::from("ann"), Value::from("page")];
    assert_eq!(operator.alarm(), None);
    operator
        .process(0, &row, &meta, &mut Collected::default())
        .unwrap();
    assert_eq!(operator.alarm(), Some(10 * SECOND));
    operator.reject();
    assert_eq!(operator.alarm(), None);
}

#[test]
fn a_key_that_nothing_happens_to_is_shown_and_forgotten_with_its_timers() {
    let expired = Arc::default();
    let mut operator = Processing::new(
        Visits {
            by_clock: false,
            expired: Arc::clone(&expired),
        },
        Keeps {
            ttl: Some(Duration::from_secs(60)),
            ..keeps()
        },
    );
    let mut out = Collected::default();
    let meta = testing::meta(0, 0, Some(SECOND));
    let row = vec![Value::from("ann"), Value::from("page")];
    operator.process(0, &row, &meta, &mut out).unwrap();
    operator.accept();
    let saved = operator.save().unwrap();
    operator.expire(50 * SECOND);
    assert_eq!(operator.size().keys, 1);
    operator.expire(62 * SECOND);
    assert_eq!((operator.size().keys, expired.lock().len()), (0, 1));
    operator.advance(90 * SECOND, &meta, &mut out).unwrap();
    assert_eq!(out.rows, Vec::<Row>::new());
    // Its end is saved too.
    let changes = [saved, operator.save().unwrap()];
    let mut again = visits(false);
    again.restore(&changes).unwrap();
    assert_eq!(again.size().keys, 0);
}

#[test]
fn state_of_another_version_is_refused() {
    let mut operator = visits(false);
    let row = vec![Value::from("ann"), Value::from("page")];
    let meta = testing::meta(0, 0, Some(SECOND));
    operator
        .process(0, &row, &meta, &mut Collected::default())
        .unwrap();
    operator.accept();
    let saved: [StateChanges; 1] = [operator.save().unwrap()];
    let mut newer = Processing::new(
        Visits::default(),
        Keeps {
            version: 2,
            ..keeps()
        },
    );
    let refused = newer.restore(&saved).unwrap_err();
    assert!(refused.message.contains("\"own\":2"), "{}", refused.message);
}

/// What the processor does, as plainly as can be: by user the visits and the timer.
fn model(actions: &[Action]) -> Vec<Result<Vec<Row>, &'static str>> {
    let mut users: BTreeMap<String, (i64, Micros)> = BTreeMap::new();
    let mut out = Vec::new();
    for action in actions {
        match action {
            Action::RowOf(_, _, Some(time), row) => {
                let Value::String(user) = &row[0] else {
                    continue;
                };
                let visits = users.get(user.as_str()).map_or(0, |(visits, _)| *visits);
                users.insert(user.to_string(), (visits + 1, time + 10 * SECOND));
                out.push(Ok(vec![]));
            }
            Action::Watermark(watermark) => {
                let due: Vec<String> = users
                    .iter()
                    .filter(|(_, (_, timer))| timer <= watermark)
                    .map(|(user, _)| user.clone())
                    .collect();
                let mut rows: Vec<(Micros, Row)> = due
                    .into_iter()
                    .filter_map(|user| {
                        let (visits, timer) = users.remove(&user)?;
                        Some((timer, gone(&user, visits)))
                    })
                    .collect();
                rows.sort_by_key(|(timer, _)| *timer);
                out.push(Ok(rows.into_iter().map(|(_, row)| row).collect()));
            }
            _ => out.push(Ok(vec![])),
        }
    }
    out
}

proptest! {
    #[test]
    fn it_does_what_the_model_does_in_every_world(
        steps in prop::collection::vec((0..4_u8, 0..4_usize), 1..40)
    ) {
        // Times grow, each its own, so that timers never share one.
        let mut time = 0;
        let actions: Vec<Action> = steps
            .into_iter()
            .map(|(kind, user)| {
                time += 1;
                if kind == 0 {
                    Action::Watermark(time * SECOND)
                } else {
                    visit(["ann", "bob", "cleo", "dan"][user], time)
                }
            })
            .collect();
        let expected = model(&actions);
        assert_operator(|| visits(false), &actions, &expected);
    }
}
