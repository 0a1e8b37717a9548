//! What lies in the state of a join: rows that wait for partners, and the rows of a table.

use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::stateful::bytes::decode_row;
use crate::stateful::contents::{Form, Reader, Show, Shown};
use crate::stateful::join::rows::split_key;
use crate::stateful::join::saved::{Layout, layout};
use crate::stateful::join::{Kind, Side};

/// The columns of a side's key.
fn keys(side: &Side) -> Vec<Field> {
    let keys = side.keys.iter();
    keys.filter_map(|place| side.columns.get(*place).cloned())
        .collect()
}

fn types(fields: &[Field]) -> impl Iterator<Item = &DataType> {
    fields.iter().map(|field| &field.data_type)
}

/// A row without columns that stand elsewhere.
fn without<T: Clone>(row: &[T], places: &[&[usize]]) -> Vec<T> {
    let all = row.iter().enumerate();
    all.filter(|(place, _)| !places.iter().any(|some| some.contains(place)))
        .map(|(_, value)| value.clone())
        .collect()
}

/// A join of two streams.
pub(in crate::stateful) struct StreamsReader {
    sides: [Side; 2],
    forms: [Form; 2],
    own: String,
}

impl StreamsReader {
    pub(in crate::stateful) fn new(kind: Kind, sides: [Side; 2]) -> Self {
        let form = |what, side: usize| Form {
            what,
            key: keys(&sides[side]),
            value: without(&sides[side].columns, &[&sides[side].keys]),
            about: vec![
                Field::nullable(
                    if sides[side].bound.is_some() {
                        "time"
                    } else {
                        "came"
                    },
                    DataType::Timestamp,
                ),
                Field::nullable("had_partner", DataType::Boolean),
            ],
        };
        let forms = [form("left row", 0), form("right row", 1)];
        Self {
            own: super::stream::layout_of(kind, &sides),
            sides,
            forms,
        }
    }
}

impl Reader for StreamsReader {
    fn forms(&self) -> &[Form] {
        &self.forms
    }

    fn entry(
        &mut self,
        layout: &str,
        name: &[u8],
        value: &[u8],
        show: &mut Show<'_>,
    ) -> Option<()> {
        let (mut key, side, _) = split_key(name)?;
        let form = usize::from(side);
        let side = self.sides.get(form)?;
        let (time, rest) = value.split_first_chunk::<8>()?;
        let (matched, bytes) = rest.split_first()?;
        let layout = Layout::read(layout, &self.own).ok()?;
        let reading = layout.side(form, &side.columns).ok()?;
        let bytes = reading.row(bytes)?;
        let row = decode_row(&mut &*bytes, types(&side.columns))?;
        let matched = match layout.knows_matches(form) {
            true => Value::Boolean(*matched != 0),
            false => Value::Null,
        };
        show(Shown {
            form,
            key: &decode_row(&mut key, types(&self.forms[form].key))?,
            value: &without(&row, &[&side.keys]),
            about: &[Value::Timestamp(i64::from_le_bytes(*time)), matched],
        });
        Some(())
    }
}

/// A join with a keyed table.
pub(in crate::stateful) struct TableReader {
    table: Side,
    /// The place of the mark that a key is gone, which no kept row has.
    deleted: usize,
    forms: [Form; 1],
    own: String,
}

impl TableReader {
    pub(in crate::stateful) fn new(table: Side, deleted: usize) -> Self {
        let forms = [Form {
            what: "row",
            key: keys(&table),
            value: without(&table.columns, &[&table.keys, &[deleted]]),
            about: Vec::new(),
        }];
        Self {
            own: layout("table", &forms[0].key, &[]),
            table,
            deleted,
            forms,
        }
    }
}

impl Reader for TableReader {
    fn forms(&self) -> &[Form] {
        &self.forms
    }

    fn entry(
        &mut self,
        layout: &str,
        mut key: &[u8],
        value: &[u8],
        show: &mut Show<'_>,
    ) -> Option<()> {
        let layout = Layout::read(layout, &self.own).ok()?;
        let reading = layout.side(0, &self.table.columns).ok()?;
        let bytes = reading.row(value)?;
        let row = decode_row(&mut &*bytes, types(&self.table.columns))?;
        show(Shown {
            form: 0,
            key: &decode_row(&mut key, types(&self.forms[0].key))?,
            value: &without(&row, &[&self.table.keys, &[self.deleted]]),
            about: &[],
        });
        Some(())
    }
}
