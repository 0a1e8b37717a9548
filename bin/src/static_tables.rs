//! Static tables as Prometheus sees them: how many rows are in force, and whether the files hold others that cannot be read.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::{IntGaugeVec, Opts, Registry, proto};
use thalweg_operators::plan::Query;
use thalweg_operators::transforms::Shelf;

const ROWS: (&str, &str) = (
    "thalweg_static_table_rows",
    "Rows of a static table that are in force.",
);
const OUTDATED: (&str, &str) = (
    "thalweg_static_table_outdated",
    "1 while the files of a static table cannot be read and the rows that were read before are in force, else 0.",
);

/// The static tables of a job.
pub(crate) struct StaticTables {
    /// Query, table (or those that make one side of a join), and where its rows lie.
    shelves: Vec<(String, String, Arc<Shelf>)>,
    rows: IntGaugeVec,
    outdated: IntGaugeVec,
}

impl StaticTables {
    /// Shows the static tables of these queries, where there are any.
    pub(crate) fn show(queries: &[Query], registry: &Registry) {
        let shelves = queries.iter().flat_map(|query| {
            let all = query.statics().into_iter();
            all.map(|looking| {
                let shelf = Arc::clone(looking.shelf());
                (query.name.clone(), looking.tables(), shelf)
            })
        });
        let shelves: Vec<_> = shelves.collect();
        let gauge = |(name, help): (&str, &str)| {
            IntGaugeVec::new(Opts::new(name, help), &["query", "table"]).ok()
        };
        if !shelves.is_empty()
            && let (Some(rows), Some(outdated)) = (gauge(ROWS), gauge(OUTDATED))
        {
            let tables = Self {
                shelves,
                rows,
                outdated,
            };
            if let Err(error) = registry.register(Box::new(tables)) {
                tracing::warn!(%error, "static tables have no metrics");
            }
        }
    }
}

impl Collector for StaticTables {
    fn desc(&self) -> Vec<&Desc> {
        let mut all = self.rows.desc();
        all.extend(self.outdated.desc());
        all
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        // A table that is joined twice is read twice: what is wrong with one of them shows.
        let mut sums: HashMap<[&str; 2], (usize, bool)> = HashMap::new();
        for (query, table, shelf) in &self.shelves {
            let sum = sums.entry([query, table]).or_default();
            sum.0 = sum.0.max(shelf.len());
            sum.1 |= shelf.fault().is_some();
        }
        for (labels, (rows, outdated)) in sums {
            let rows = i64::try_from(rows).unwrap_or(i64::MAX);
            self.rows.with_label_values(&labels).set(rows);
            let outdated = i64::from(outdated);
            self.outdated.with_label_values(&labels).set(outdated);
        }
        let mut all = self.rows.collect();
        all.extend(self.outdated.collect());
        all
    }
}
