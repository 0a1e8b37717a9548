//! DISTINCT, ORDER BY and LIMIT as steps of the plan.

use thalweg_engine::operator::Operator;
use thalweg_engine::record::Micros;
use thalweg_engine::schema::Schema;

use crate::expr::typed::Typed;
use crate::job_error::Location;
use crate::stateful::dedup::{self, Remember};
use crate::stateful::grouping::Over;
use crate::stateful::{limit, sort};

/// The first row of each key goes on.
#[derive(Clone, Debug)]
pub struct Dedup {
    /// The columns that make the key.
    pub(crate) keys: Vec<usize>,
    /// When a key may be forgotten: by the place among the keys.
    pub(crate) over: Over,
    /// Keys without a watermark are forgotten after so long.
    pub(crate) ttl: Option<Micros>,
}

impl Dedup {
    /// As it runs, over rows of this schema.
    pub(super) fn operator(&self, schema: &Schema) -> Box<dyn Operator> {
        let keys = self.keys.iter();
        let types: Vec<_> = keys
            .filter_map(|place| schema.fields.get(*place))
            .map(|field| field.data_type.clone())
            .collect();
        let remember = match self.over {
            Over::Never => Remember::Always,
            Over::Window => Remember::EventTime,
            Over::Key(key) => Remember::Column(self.keys.get(key).copied().unwrap_or(key)),
        };
        dedup::Dedup::new(self.keys.clone(), &types, remember, self.ttl)
    }
}

/// One column of an ORDER BY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SortKey {
    pub(crate) place: usize,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// The rows of each trigger in order.
#[derive(Clone, Debug)]
pub struct Sort {
    pub(crate) keys: Vec<SortKey>,
    /// How many of them go on.
    pub(crate) limit: Option<u64>,
    pub(crate) at: Location,
}

impl Sort {
    /// As it runs, over rows of this schema.
    pub(super) fn operator(&self, schema: &Schema) -> Box<dyn Operator> {
        let keys = self.keys.iter();
        let orders = keys.filter_map(|key| {
            let field = schema.fields.get(key.place)?;
            Some(sort::Order {
                by: Typed::column(key.place, field, self.at).compile(),
                descending: key.descending,
                nulls_first: key.nulls_first,
            })
        });
        sort::Sort::new(orders.collect(), self.limit)
    }
}

/// So many rows go on: of each trigger in complete mode, else of all there will ever be.
#[derive(Clone, Debug)]
pub struct Limit {
    pub(crate) rows: u64,
    /// Whether it counts anew at each trigger.
    pub(crate) each_trigger: bool,
    pub(crate) at: Location,
}

impl Limit {
    /// As it runs.
    pub(super) fn operator(&self) -> Box<dyn Operator> {
        limit::Limit::new(self.rows, self.each_trigger)
    }
}
