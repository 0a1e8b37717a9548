//! Joins against a slow, obvious model: lists of rows, looked through from end to end.

use proptest::prelude::*;
use thalweg_engine::operator::Operator;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::state::StateSize;
use thalweg_engine::testing::cases;
use thalweg_engine::testing::{Action, assert_operator};

use super::{Kind, row, streams, table, time, within};

/// One row of the model.
struct Known {
    row: Row,
    matched: bool,
    over: i64,
}

struct Model {
    kind: Kind,
    sides: [Vec<Known>; 2],
    watermark: Option<i64>,
}

const REACH: [i64; 2] = [10, 0];

impl Model {
    fn alone(&self, side: usize, row: &Row) -> Vec<Row> {
        let nulls = vec![Value::Null; 3];
        if !self.kind.keeps_alone(side) {
            return vec![];
        }
        vec![if side == 0 {
            [row.clone(), nulls].concat()
        } else {
            [nulls, row.clone()].concat()
        }]
    }

    fn come(&mut self, side: usize, new: &Row) -> Vec<Row> {
        let Some(at) = time(&new[1]) else {
            return self.alone(side, new);
        };
        let over = at + REACH[side];
        if self.watermark > Some(over) {
            return vec![];
        }
        if new[0].is_null() {
            return self.alone(side, new);
        }
        let mut out = Vec::new();
        let mut matched = false;
        for known in &mut self.sides[1 - side] {
            let pair = if side == 0 {
                [new.clone(), known.row.clone()].concat()
            } else {
                [known.row.clone(), new.clone()].concat()
            };
            if pair[0] != pair[3] || !within(&pair) {
                continue;
            }
            if self.kind == Kind::LeftSemi {
                let done = if side == 0 { matched } else { known.matched };
                if !done {
                    out.push(pair[..3].to_vec());
                }
            } else {
                out.push(pair);
            }
            known.matched = true;
            matched = true;
        }
        self.sides[side].push(Known {
            row: new.clone(),
            matched,
            over,
        });
        out
    }

    /// The rows that come out alone, in any order.
    fn pass(&mut self, watermark: i64) -> Vec<Row> {
        self.watermark = self.watermark.max(Some(watermark));
        let mut out = Vec::new();
        for side in [0, 1] {
            let (mut over, rest): (Vec<Known>, Vec<Known>) = std::mem::take(&mut self.sides[side])
                .into_iter()
                .partition(|known| known.over < watermark);
            self.sides[side] = rest;
            over.sort_by_key(|known| known.over);
            for known in over.into_iter().filter(|known| !known.matched) {
                out.extend(self.alone(side, &known.row));
            }
        }
        out
    }
}

#[derive(Clone, Debug)]
enum Event {
    Come(usize, Option<i64>, Option<i64>),
    Pass(i64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let maybe =
        |range: std::ops::Range<i64>| prop_oneof![12 => range.prop_map(Some), 1 => Just(None)];
    let come = (0..2_usize, maybe(0..4), maybe(0..60))
        .prop_map(|(side, key, time)| Event::Come(side, key, time));
    // Rows come out of order, around a watermark that goes up.
    prop::collection::vec(
        prop_oneof![6 => come, 1 => (0..8_i64).prop_map(Event::Pass)],
        0..40,
    )
}

fn play(kind: Kind, events: &[Event]) -> (Vec<Action>, Vec<Result<Vec<Row>, &'static str>>) {
    let mut model = Model {
        kind,
        sides: [Vec::new(), Vec::new()],
        watermark: None,
    };
    let mut now = 0;
    let (mut actions, mut expected) = (Vec::new(), Vec::new());
    let mut act = |action, rows| {
        actions.push(action);
        expected.push(Ok(rows));
    };
    for (id, event) in (0..).zip(events) {
        match event {
            Event::Come(side, key, time) => {
                let row = row(*key, *time, id);
                act(
                    Action::RowOf(*side, 0, None, row.clone()),
                    model.come(*side, &row),
                );
            }
            Event::Pass(step) => {
                now += step;
                act(Action::Watermark(now), model.pass(now));
            }
        }
    }
    act(Action::Watermark(1_000), model.pass(1_000));
    (actions, expected)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(300)))]

    #[test]
    fn streams_join_as_the_model_does(events in events(), kind in 0..5_usize) {
        let kind = [Kind::Inner, Kind::Left, Kind::Right, Kind::Full, Kind::LeftSemi][kind];
        let (actions, expected) = play(kind, &events);
        assert_operator(|| Box::new(streams(kind)), &actions, &expected);
    }

    #[test]
    fn nothing_is_kept_when_the_watermark_has_passed_everything(events in events(), kind in 0..5_usize) {
        let kind = [Kind::Inner, Kind::Left, Kind::Right, Kind::Full, Kind::LeftSemi][kind];
        let (actions, _) = play(kind, &events);
        let mut join = streams(kind);
        super::run(&mut join, &actions);
        prop_assert_eq!(join.size(), StateSize::default());
    }

    #[test]
    fn a_table_is_a_map(
        events in prop::collection::vec((0..2_usize, 0..4_i64, any::<bool>()), 0..40),
        kind in 0..4_usize,
    ) {
        let kind = [Kind::Inner, Kind::Left, Kind::LeftSemi, Kind::LeftAnti][kind];
        let mut map = std::collections::BTreeMap::new();
        let (mut actions, mut expected) = (Vec::new(), Vec::new());
        for (id, (input, key, deleted)) in (0..).zip(events) {
            let mut new = row(Some(key), Some(0), id);
            let mut out = Vec::new();
            if input == 1 {
                new.push(Value::Boolean(deleted));
                if deleted {
                    map.remove(&key);
                } else {
                    map.insert(key, new.clone());
                }
            } else {
                match (kind, map.get(&key)) {
                    (Kind::Inner | Kind::Left, Some(known)) => out.push([new.clone(), known.clone()].concat()),
                    (Kind::Left, None) => out.push([new.clone(), vec![Value::Null; 4]].concat()),
                    (Kind::LeftSemi, Some(_)) | (Kind::LeftAnti, None) => out.push(new.clone()),
                    _ => {}
                }
            }
            actions.push(Action::RowOf(input, 0, None, new));
            expected.push(Ok(out));
        }
        assert_operator(|| Box::new(table(kind)), &actions, &expected);
    }
}
