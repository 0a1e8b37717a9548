//! OVER as a step of the plan: functions over the rows of a key, what is kept for them and until when.

use smol_str::SmolStr;
use thalweg_engine::record::Micros;
use thalweg_engine::schema::{DataType, Field, Schema};

use crate::plan::stateful::length;
use crate::stateful::over::{Distance, Frame, Function, Kind, Over};

/// OVER as a step of the plan: the functions of one PARTITION BY and ORDER BY.
#[derive(Clone, Debug)]
pub struct Windows {
    /// What the operator gets. What is known of the event time and the settings is filled in when the whole plan is known.
    pub(crate) over: Over,
    /// The columns of the results, which stand behind those of the row.
    pub(crate) fields: Vec<Field>,
    /// PARTITION BY as it is written.
    pub(crate) keys: Vec<SmolStr>,
    /// ORDER BY as it is written.
    pub(crate) order: Option<SmolStr>,
}

impl Windows {
    /// What its state is known by.
    pub(crate) fn name(&self) -> String {
        let keys = match self.keys.as_slice() {
            [] => String::new(),
            keys => format!(" by {}", keys.join(", ")),
        };
        // Of rows no panes can be made later, and of panes no rows: it is another state.
        let step = match self.over.step {
            Some(step) => format!(" in steps of {}", length(step)),
            None => String::new(),
        };
        match &self.order {
            Some(order) => format!("over{keys} order by {order}{step}"),
            None => format!("over{keys}"),
        }
    }

    /// What its state depends on: the keys, the order, and each function with its frame.
    pub(crate) fn identity(&self, schema: &Schema) -> serde_json::Value {
        let typed = |(name, place): (&SmolStr, usize)| {
            let data_type = schema.fields.get(place).map(|field| &field.data_type);
            data_type.map_or_else(
                || name.to_string(),
                |data_type| format!("{name} {data_type}"),
            )
        };
        let mut keys: Vec<String> = self
            .keys
            .iter()
            .zip(self.over.keys.iter().copied())
            .map(typed)
            .collect();
        // Rows are kept in this order: of another type it is another order.
        let order = self.order.as_ref().zip(self.over.order.as_ref());
        keys.extend(order.map(|(name, order)| format!("order by {}", typed((name, order.place)))));
        let functions = self.over.functions.iter();
        let functions: Vec<&str> = functions.map(|one| one.identity.as_str()).collect();
        serde_json::json!({
            "kind": "over",
            "keys": keys,
            "aggregates": functions,
        })
    }

    /// The functions with the types of their results.
    pub(crate) fn shown(&self) -> String {
        let functions = self.over.functions.iter();
        let shown: Vec<String> = functions
            .map(|one| format!("{} {}", one.identity, one.result))
            .collect();
        shown.join(", ")
    }

    /// What is kept, and until when.
    pub(crate) fn kept(&self) -> String {
        // What `lag` is given as a frame says nothing.
        let used = |frame: &usize| {
            let framed = |one: &&Function| !matches!(one.kind, Kind::Lag { .. });
            let mut functions = self.over.functions.iter().filter(framed);
            functions.any(|one| one.frame == *frame)
        };
        let lag = self
            .over
            .functions
            .iter()
            .filter_map(|one| match one.kind {
                Kind::Lag { offset, .. } => Some(offset),
                _ => None,
            })
            .max();
        let mut rows = lag;
        let mut time = None;
        let mut totals = false;
        for (_, frame) in self
            .over
            .frames
            .iter()
            .enumerate()
            .filter(|(at, _)| used(at))
        {
            match frame {
                Frame::Unbounded { .. } => totals = true,
                Frame::Rows { from, .. } => rows = rows.max(Some(*from)),
                Frame::Range { from, .. } => time = time.max(Some(self.distance(*from))),
            }
        }
        let mut kept = Vec::new();
        if totals {
            kept.push("totals in order of arrival".to_owned());
        }
        kept.extend(time.map(|(_, text)| match self.over.step {
            Some(step) => format!("panes of {} of the last {text}", length(step)),
            None => format!("rows of the last {text}"),
        }));
        kept.extend(rows.map(|rows| match rows {
            1 => "the row before".to_owned(),
            _ => format!("the {rows} rows before"),
        }));
        let since = match &self.over.order {
            Some(order) if order.event_time => " behind the watermark",
            _ => " behind the newest",
        };
        let since = if time_or_rows(&kept, totals) {
            since
        } else {
            ""
        };
        let key = if self.keys.is_empty() {
            ""
        } else {
            " for each key"
        };
        format!("keeps{key} {}{since}", kept.join(" and "))
    }

    fn distance(&self, distance: Distance) -> (i64, String) {
        match (distance, self.over.order.as_ref().map(|o| &o.data_type)) {
            (Distance::Whole(n), Some(DataType::Timestamp | DataType::TimestampNtz)) => {
                (n, length(n))
            }
            (Distance::Whole(n), Some(DataType::Date)) => (n, format!("{n} days")),
            (Distance::Whole(n), _) => (n, n.to_string()),
            (Distance::Real(x), _) => (i64::MAX, x.to_string()),
        }
    }

    /// Fills in what is known only of the whole plan: which columns are the event time, and the settings.
    pub(crate) fn settle(&mut self, times: &[bool], rows_max: usize, ttl: Option<Micros>) {
        if let Some(order) = &mut self.over.order {
            order.event_time =
                times.get(order.place) == Some(&true) && order.data_type == DataType::Timestamp;
        }
        self.over.rows_max = rows_max;
        self.over.ttl = ttl;
    }

    /// The columns of the row that it looks at.
    pub(crate) fn looks_at(&self) -> Vec<usize> {
        let mut places = self.over.keys.clone();
        places.extend(self.over.order.as_ref().map(|order| order.place));
        for function in &self.over.functions {
            places.extend(function.argument.as_ref().map(|argument| argument.place));
            if let Kind::Lag { default, .. } = function.kind {
                places.extend(default);
            }
        }
        places
    }

    /// Gives them other places.
    pub(crate) fn remap(&mut self, place: &dyn Fn(usize) -> usize) {
        self.over.keys.iter_mut().for_each(|key| *key = place(*key));
        if let Some(order) = &mut self.over.order {
            order.place = place(order.place);
        }
        for function in &mut self.over.functions {
            if let Some(argument) = &mut function.argument {
                argument.place = place(argument.place);
            }
            if let Kind::Lag {
                default: Some(default),
                ..
            } = &mut function.kind
            {
                *default = place(*default);
            }
        }
    }

    /// Forgets the functions that nobody needs: those of whose results `needed` says no.
    pub(crate) fn keep(&mut self, needed: impl Fn(usize) -> bool) {
        let mut index = 0..;
        self.over
            .functions
            .retain(|_| index.next().is_some_and(&needed));
        let mut index = 0..;
        self.fields.retain(|_| index.next().is_some_and(&needed));
    }
}

/// Whether more than totals is kept.
fn time_or_rows(kept: &[String], totals: bool) -> bool {
    kept.len() > usize::from(totals)
}
