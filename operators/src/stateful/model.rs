//! GROUP BY against a slow and obvious model: rows in any order, watermarks, triggers, undone records, and a cut with a
//! restore at any place.

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;
use thalweg_engine::operator::{Operator, Progress};
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::DataType;
use thalweg_engine::state::StateChanges;
use thalweg_engine::testing;
use thalweg_engine::testing::cases;

use super::accumulators::find;
use super::aggregate::Aggregate;
use super::grouping::{self, Emits, Grouping, Over, Shape, Window};
use crate::transforms::stage::Collected;

/// Rows come as key, value, time, gap.
pub(super) fn aggregate(name: &str, distinct: bool) -> grouping::Aggregate {
    let function = find(name).unwrap();
    let types = vec![DataType::BigInt; usize::from(name != "count")];
    grouping::Aggregate {
        identity: format!("{name}(v)"),
        function: function.name,
        arguments: vec![1; types.len()],
        result: function.result_type(&types, true).unwrap(),
        types,
        filter: None,
        distinct,
        own: None,
        ignore_nulls: false,
        ansi: true,
        parameters: Vec::new(),
        delimiter: String::new(),
    }
}

pub(super) fn grouping(shape: Option<Shape>, emits: Emits, over: Over) -> Grouping {
    Grouping {
        keys: vec![DataType::BigInt],
        window: shape.map(|shape| Window {
            time: 2,
            data_type: DataType::Timestamp,
            at: 1,
            shape,
        }),
        aggregates: ["count", "sum", "min", "collect_list"]
            .map(|name| aggregate(name, name == "collect_list"))
            .into(),
        emits,
        over,
        ttl: None,
    }
}

#[derive(Clone, Debug)]
enum Event {
    Row {
        key: Option<i64>,
        value: i64,
        time: i64,
        gap: i64,
        /// Whether it is first tried and undone.
        undone: bool,
    },
    Watermark(i64),
    /// The watermark of the rows' partition, which the others hold back.
    Ahead(i64),
    Tick,
    Cut,
}

fn event() -> impl Strategy<Value = Event> {
    let row = (
        prop::option::weighted(0.9, 0..4_i64),
        -9..9_i64,
        0..60_i64,
        1..6_i64,
        any::<bool>(),
    );
    prop_oneof![
        8 => row.prop_map(|(key, value, time, gap, undone)| Event::Row { key, value, time, gap, undone }),
        2 => (0..70_i64).prop_map(Event::Watermark),
        1 => (0..70_i64).prop_map(Event::Ahead),
        1 => Just(Event::Tick),
        1 => Just(Event::Cut),
    ]
}

/// One row as the model remembers it.
#[derive(Clone, Debug)]
struct Seen {
    place: usize,
    key: Option<i64>,
    value: i64,
    time: i64,
}

fn key_value(key: Option<i64>) -> Value {
    key.map_or(Value::Null, Value::BigInt)
}

fn result(rows: &[&Seen], window: Option<(i64, i64)>) -> Row {
    let mut row = vec![key_value(rows[0].key)];
    row.extend(
        window.map(|(a, b)| Value::Struct([Value::Timestamp(a), Value::Timestamp(b)].into())),
    );
    let values = rows.iter().map(|seen| seen.value);
    row.push(Value::BigInt(i64::try_from(rows.len()).unwrap()));
    row.push(Value::BigInt(values.clone().sum()));
    row.push(Value::BigInt(values.clone().min().unwrap()));
    // The set is compared in order of its values.
    let set: BTreeSet<i64> = values.collect();
    row.push(Value::Array(set.into_iter().map(Value::BigInt).collect()));
    row
}

/// The rows with the sets in order, so that what has no order may differ in it.
fn with_sorted_sets(rows: Vec<Row>) -> Vec<Row> {
    let sorted = |value: Value| match value {
        Value::Array(values) => {
            let mut values = values.to_vec();
            values.sort_by(crate::expr::compare::compare);
            Value::Array(values.into())
        }
        other => other,
    };
    rows.into_iter()
        .map(|row| row.into_iter().map(sorted).collect())
        .collect()
}

fn in_any_order(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| {
        let mut orders = a
            .iter()
            .zip(b)
            .map(|(a, b)| crate::expr::compare::compare(a, b));
        orders
            .find(|order| order.is_ne())
            .unwrap_or(a.len().cmp(&b.len()))
    });
    rows
}

/// Everything the model knows: each row with the groups in which it counts.
struct Model {
    emits: Emits,
    /// Size and slide, in the unit of the events; None without a window.
    window: Option<(i64, i64)>,
    closes: bool,
    watermark: Option<i64>,
    ahead: Option<i64>,
    seen: Vec<Seen>,
    /// Place of a row, end of the window.
    counts: HashSet<(usize, i64)>,
    emitted: HashSet<i64>,
    changed: BTreeSet<(Option<i64>, i64)>,
}

impl Model {
    fn ends(&self, time: i64) -> Vec<i64> {
        let Some((size, slide)) = self.window else {
            return vec![0];
        };
        (-50..=60)
            .map(|n| n * slide + size)
            .filter(|end| (end - size..*end).contains(&time))
            .collect()
    }

    fn group(&self, key: Option<i64>, end: i64) -> Row {
        let counted = |seen: &&Seen| seen.key == key && self.counts.contains(&(seen.place, end));
        let rows: Vec<&Seen> = self.seen.iter().filter(counted).collect();
        result(&rows, self.window.map(|(size, _)| (end - size, end)))
    }

    /// Keys that count in a window, in order of their first row there.
    fn keys(&self, end: i64) -> Vec<Option<i64>> {
        let mut keys = Vec::new();
        for seen in &self.seen {
            if self.counts.contains(&(seen.place, end)) && !keys.contains(&seen.key) {
                keys.push(seen.key);
            }
        }
        keys
    }

    fn row(&mut self, seen: Seen) -> Vec<Row> {
        let mut out = Vec::new();
        let watermark = self.watermark.max(self.ahead);
        let ends: Vec<i64> = self
            .ends(seen.time)
            .into_iter()
            .filter(|end| !self.closes || watermark.is_none_or(|w| w < *end))
            .collect();
        self.seen.push(seen.clone());
        for end in ends {
            self.counts.insert((seen.place, end));
            self.changed.insert((seen.key, end));
            if self.emits == Emits::UpdateAtOnce {
                out.push(self.group(seen.key, end));
            }
        }
        out
    }

    fn all_ends(&self) -> BTreeSet<i64> {
        self.counts.iter().map(|(_, end)| *end).collect()
    }

    fn advance(&mut self, watermark: i64) -> Vec<Row> {
        self.watermark = self.watermark.max(Some(watermark));
        let mut out = Vec::new();
        if self.emits == Emits::Append {
            for end in self.all_ends() {
                if Some(end) <= self.watermark && self.emitted.insert(end) {
                    out.extend(self.keys(end).into_iter().map(|key| self.group(key, end)));
                }
            }
        }
        out
    }

    fn tick(&mut self) -> Vec<Row> {
        match self.emits {
            Emits::UpdateAtTrigger => {
                let changed = std::mem::take(&mut self.changed);
                changed
                    .into_iter()
                    .map(|(key, end)| self.group(key, end))
                    .collect()
            }
            Emits::Complete => {
                let ends = self.all_ends().into_iter();
                ends.flat_map(|end| {
                    let keys = self.keys(end).into_iter();
                    keys.map(|key| self.group(key, end)).collect::<Vec<_>>()
                })
                .collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The operator, and what it saved.
struct Run<'m> {
    make: &'m dyn Fn() -> Box<dyn Operator>,
    operator: Box<dyn Operator>,
    saved: Vec<StateChanges>,
    watermark: Option<i64>,
    ahead: Option<i64>,
}

impl<'m> Run<'m> {
    fn new(make: &'m dyn Fn() -> Box<dyn Operator>) -> Self {
        Self {
            make,
            operator: make(),
            saved: Vec::new(),
            watermark: None,
            ahead: None,
        }
    }

    fn meta(&self) -> RecordMeta {
        let mut meta = testing::meta(0, 0, None);
        meta.watermark = self.watermark.max(self.ahead);
        meta
    }

    fn row(&mut self, row: &Row, undone: bool) -> Vec<Row> {
        let meta = self.meta();
        if undone {
            let mut lost = Collected::default();
            self.operator.process(0, row, &meta, &mut lost).unwrap();
            self.operator.reject();
        }
        let mut out = Collected::default();
        self.operator.process(0, row, &meta, &mut out).unwrap();
        self.operator.accept();
        out.rows
    }

    fn finish(&mut self, mut progress: Progress, out: &mut Collected) {
        let meta = self.meta();
        self.operator.accept();
        while progress == Progress::More {
            progress = self.operator.resume(&meta, out).unwrap();
            self.operator.accept();
        }
    }

    fn advance(&mut self, watermark: i64) -> Vec<Row> {
        let mut out = Collected::default();
        let meta = self.meta();
        self.watermark = self.watermark.max(Some(watermark));
        let to = self.watermark.unwrap();
        let progress = self.operator.advance(to, &meta, &mut out).unwrap();
        self.finish(progress, &mut out);
        out.rows
    }

    fn tick(&mut self) -> Vec<Row> {
        let mut out = Collected::default();
        let progress = self.operator.tick(0, &self.meta(), &mut out).unwrap();
        self.finish(progress, &mut out);
        out.rows
    }

    fn cut(&mut self) -> Vec<Row> {
        self.saved.extend(self.operator.save());
        self.operator = (self.make)();
        self.operator.restore(&self.saved).unwrap();
        match self.watermark {
            Some(watermark) => self.advance(watermark),
            None => Vec::new(),
        }
    }
}

fn input(key: Option<i64>, value: i64, time: i64, gap: i64) -> Row {
    vec![
        key_value(key),
        Value::BigInt(value),
        Value::Timestamp(time),
        Value::BigInt(gap),
    ]
}

fn check(
    events: &[Event],
    window: Option<(i64, i64)>,
    emits: Emits,
    closes: bool,
) -> Result<(), TestCaseError> {
    let shape = window.map(|(size, slide)| Shape::Fixed {
        size,
        slide,
        start: 0,
    });
    let over = if closes { Over::Window } else { Over::Never };
    let make = || Aggregate::new(grouping(shape.clone(), emits, over));
    let mut run = Run::new(&make);
    let mut model = Model {
        emits,
        window,
        closes,
        watermark: None,
        ahead: None,
        seen: Vec::new(),
        counts: HashSet::new(),
        emitted: HashSet::new(),
        changed: BTreeSet::new(),
    };
    for (place, event) in events.iter().enumerate() {
        let (got, expected) = match *event {
            Event::Row {
                key,
                value,
                time,
                gap,
                undone,
            } => {
                let got = run.row(&input(key, value, time, gap), undone);
                let seen = Seen {
                    place,
                    key,
                    value,
                    time,
                };
                (got, model.row(seen))
            }
            Event::Watermark(to) => (run.advance(to), model.advance(to)),
            Event::Ahead(to) => {
                run.ahead = run.ahead.max(Some(to));
                model.ahead = run.ahead;
                (Vec::new(), Vec::new())
            }
            Event::Tick => {
                let (got, expected) = (run.tick(), model.tick());
                (in_any_order(with_sorted_sets(got)), in_any_order(expected))
            }
            Event::Cut => (run.cut(), Vec::new()),
        };
        prop_assert_eq!(with_sorted_sets(got), expected, "{:?} at {}", event, place);
    }
    if closes {
        run.advance(1000);
        run.tick();
        prop_assert_eq!(run.operator.size().keys, 0);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(200)))]

    #[test]
    fn groups_without_a_window(events in prop::collection::vec(event(), 1..60)) {
        for emits in [Emits::UpdateAtOnce, Emits::UpdateAtTrigger, Emits::Complete] {
            check(&events, None, emits, false)?;
        }
    }

    #[test]
    fn tumbling_windows(events in prop::collection::vec(event(), 1..60)) {
        for emits in [Emits::Append, Emits::UpdateAtOnce, Emits::UpdateAtTrigger] {
            check(&events, Some((10, 10)), emits, true)?;
        }
        check(&events, Some((10, 10)), Emits::Complete, false)?;
    }

    #[test]
    fn sliding_windows(
        events in prop::collection::vec(event(), 1..60),
        window in prop::sample::select(vec![(10, 5), (12, 4), (6, 4), (9, 6)]),
    ) {
        for emits in [Emits::Append, Emits::UpdateAtOnce, Emits::UpdateAtTrigger] {
            check(&events, Some(window), emits, true)?;
        }
        check(&events, Some(window), Emits::Complete, false)?;
    }

    #[test]
    fn sessions(events in prop::collection::vec(event(), 1..60)) {
        check_sessions(&events, Emits::Append)?;
        check_sessions(&events, Emits::Complete)?;
    }
}

/// Sessions as they are explained: rows that touch are one.
fn check_sessions(events: &[Event], emits: Emits) -> Result<(), TestCaseError> {
    let closes = emits == Emits::Append;
    let over = if closes { Over::Window } else { Over::Never };
    let make = || Aggregate::new(grouping(Some(Shape::Session { gap: 3 }), emits, over));
    let mut run = Run::new(&make);
    let mut sessions: Vec<(i64, i64, Vec<Seen>)> = Vec::new();
    let mut watermark = None;
    let show = |(from, to, rows): &(i64, i64, Vec<Seen>)| {
        let rows: Vec<&Seen> = rows.iter().collect();
        result(&rows, Some((*from, *to)))
    };
    for (place, event) in events.iter().enumerate() {
        let (got, expected) = match *event {
            Event::Row {
                key,
                value,
                time,
                gap,
                undone,
            } => {
                let mut all = (time, time + gap, Vec::new());
                let late_at = run.ahead.max(watermark);
                if !closes || late_at.is_none_or(|w| w < all.1) {
                    let (joined, left): (Vec<_>, Vec<_>) =
                        sessions.into_iter().partition(|(from, to, rows)| {
                            rows[0].key == key && *from <= time + gap && time <= *to
                        });
                    sessions = left;
                    for (from, to, rows) in joined {
                        all.0 = all.0.min(from);
                        all.1 = all.1.max(to);
                        all.2.extend(rows);
                    }
                    all.2.push(Seen {
                        place,
                        key,
                        value,
                        time,
                    });
                    all.2.sort_by_key(|seen| seen.place);
                    sessions.push(all);
                    sessions.sort_by_key(|session| session.2[0].place);
                }
                (run.row(&input(key, value, time, gap), undone), Vec::new())
            }
            Event::Watermark(to) => {
                watermark = watermark.max(Some(to));
                let mut over = Vec::new();
                if closes {
                    let (gone, left): (Vec<_>, Vec<_>) =
                        sessions.into_iter().partition(|s| Some(s.1) <= watermark);
                    sessions = left;
                    over = gone;
                    over.sort_by_key(|session| (session.1, session.2[0].place));
                }
                (run.advance(to), over.iter().map(show).collect())
            }
            Event::Ahead(to) => {
                run.ahead = run.ahead.max(Some(to));
                (Vec::new(), Vec::new())
            }
            Event::Tick if closes => (run.tick(), Vec::new()),
            Event::Tick => (run.tick(), sessions.iter().map(show).collect()),
            Event::Cut => (run.cut(), Vec::new()),
        };
        prop_assert_eq!(with_sorted_sets(got), expected, "{:?} at {}", event, place);
    }
    if closes {
        run.advance(1000);
        prop_assert_eq!(run.operator.size().keys, 0);
    }
    Ok(())
}
