//! What the bytes of a join's state mean, and how those of an earlier plan are read.
//!
//! A plan that uses fewer columns of a side, or the same in another order, takes its rows over. One that uses a column more
//! cannot: the rows that wait do not have it.

use std::borrow::Cow;

use serde_json::{Value as Json, json};
use sqlparser::dialect::SparkSqlDialect;
use sqlparser::parser::Parser;
use thalweg_engine::error::Failure;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::type_name;
use crate::job_error::Location;

use crate::stateful::bytes;

/// The version of the bytes.
const VERSION: u64 = 1;

/// What is said of the columns of a side.
pub(super) fn columns(columns: &[Field]) -> Json {
    columns
        .iter()
        .map(|column| json!([column.name, column.data_type.to_string()]))
        .collect()
}

/// The text of a layout.
pub(super) fn layout(kind: &str, keys: &[Field], sides: &[Json]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| key.data_type.to_string()).collect();
    json!({ "version": VERSION, "join": kind, "keys": keys, "sides": sides }).to_string()
}

/// A layout that was read back.
pub(super) struct Layout(Json);

impl Layout {
    /// Reads the layout of saved state and compares what must be the same: kind of step and types of the key.
    pub(super) fn read(saved: &str, own: &str) -> Result<Self, Failure> {
        let parse = |text| serde_json::from_str::<Json>(text).unwrap_or_default();
        let (saved, own) = (parse(saved), parse(own));
        if saved["version"] != json!(VERSION) {
            return Err(Failure::refuse(format!(
                "the state of a join has version {} of its form, this program knows {VERSION}: go on with the version \
                 of Thalweg that wrote it",
                saved["version"]
            )));
        }
        for (part, what) in [
            ("join", "the kind of the join"),
            ("keys", "the types of its keys"),
        ] {
            if saved[part] != own[part] {
                return Err(Failure::refuse(format!(
                    "the state of a join cannot be taken over: {what} was {} and is {} now",
                    saved[part], own[part]
                )));
            }
        }
        Ok(Self(saved))
    }

    /// How the rows of a side are read as those of `now`.
    pub(super) fn side(&self, side: usize, now: &[Field]) -> Result<Reading, Failure> {
        let none = Vec::new();
        let before = self.0["sides"][side]["columns"].as_array().unwrap_or(&none);
        if columns(now).as_array() == Some(before) {
            return Ok(Reading::Same);
        }
        // Columns may be called alike: the first of a name is the first, the second the second.
        let mut taken = vec![false; before.len()];
        let mut steps = vec![None; before.len()];
        for (to, column) in now.iter().enumerate() {
            let own = json!([column.name, column.data_type.to_string()]);
            let Some(from) = (0..before.len()).find(|at| !taken[*at] && before[*at] == own) else {
                return Err(Failure::refuse(format!(
                    "the state of a join holds rows without the column `{}` {}, which the query now uses: leave it out, \
                     or start anew from where the query stands with a new queryName",
                    column.name, column.data_type
                )));
            };
            taken[from] = true;
            steps[from] = Some(to);
        }
        let types = before
            .iter()
            .map(|column| column[1].as_str().unwrap_or_default().to_owned())
            .collect();
        Reading::mapped(types, steps, now)
    }

    /// Whether the saved rows of a side know if they had a partner.
    pub(super) fn knows_matches(&self, side: usize) -> bool {
        self.0["sides"][side]["matched"] == json!(true)
    }

    /// Whether the saved times of a side are those of this column.
    pub(super) fn times(&self, side: usize) -> &Json {
        &self.0["sides"][side]["time"]
    }
}

/// How saved rows are read.
pub(super) enum Reading {
    /// As they are.
    Same,
    /// Column by column: the type of each and its place now.
    Mapped {
        before: Vec<(Field, Option<usize>)>,
        width: usize,
    },
}

impl Reading {
    fn mapped(
        types: Vec<String>,
        places: Vec<Option<usize>>,
        now: &[Field],
    ) -> Result<Self, Failure> {
        let before = types
            .into_iter()
            .zip(places)
            .map(|(name, place)| {
                let data_type = match place.and_then(|place| now.get(place)) {
                    Some(column) => column.data_type.clone(),
                    None => type_of(&name).ok_or_else(|| {
                        Failure::refuse(format!(
                            "the state of a join holds a column of the type {name}, which this program does not know"
                        ))
                    })?,
                };
                Ok((Field::nullable("", data_type), place))
            })
            .collect::<Result<_, Failure>>()?;
        Ok(Self::Mapped {
            before,
            width: now.len(),
        })
    }

    /// The bytes of a row as they are written now.
    pub(super) fn row<'b>(&self, bytes: &'b [u8]) -> Option<Cow<'b, [u8]>> {
        let Self::Mapped { before, width } = self else {
            return Some(Cow::Borrowed(bytes));
        };
        let mut rest = bytes;
        let mut row = vec![Value::Null; *width];
        for (column, place) in before {
            let value = bytes::decode_value(&mut rest, &column.data_type)?;
            if let Some(place) = place {
                row[*place] = value;
            }
        }
        let mut out = Vec::new();
        bytes::encode_row(&row, &mut out);
        Some(Cow::Owned(out))
    }

    /// Whether what is kept now is written in another form than it was.
    pub(super) fn differs(&self) -> bool {
        matches!(self, Self::Mapped { .. })
    }
}

/// The type of this name, as a layout holds it.
fn type_of(name: &str) -> Option<DataType> {
    let mut parser = Parser::new(&SparkSqlDialect {}).try_with_sql(name).ok()?;
    let ast = parser.parse_data_type().ok()?;
    type_name::data_type(&ast, Location::default()).ok()
}

/// State whose entries are not what was written.
pub(super) fn damaged() -> Failure {
    Failure::refuse(
        "the state of a join holds an entry that cannot be read: the file is whole, so another program wrote it",
    )
}
