//! Whether a query's output rows carry coordinates, and whether a start may leave out those that stand in the output already.
//!
//! A row may be left out only where its record, read again, gives it again under the same coordinate. A step that keeps
//! rows of several partitions together depends on which of them came first, and that is another order after a restart:
//! left out could be a row that says something else.

use std::collections::BTreeSet;

use crate::coordinates::Coordinates;
use crate::plan::partitions::Lanes;
use crate::plan::{Query, StepKind};

impl Query {
    /// What its output does with coordinates.
    pub fn coordinates(&self) -> Coordinates {
        if !self.settings.coordinates || self.output_replaced().is_some() {
            Coordinates::Off
        } else if self.repeats_because().is_some() {
            Coordinates::Written
        } else {
            Coordinates::Skipping
        }
    }

    /// Why a start writes again what came after the newest checkpoint, although the rows carry coordinates.
    pub fn repeats_because(&self) -> Option<String> {
        if self.temporary {
            return Some("it keeps no checkpoint".to_owned());
        }
        if self.settings.shared {
            return Some("several processes share its partitions".to_owned());
        }
        if self.output().connector != "kafka" {
            return Some("its output is not Kafka".to_owned());
        }
        if self.output().options.get("topic").is_none() {
            return Some("its rows name their topics".to_owned());
        }
        if let Some(why) = self.shares_topics() {
            return Some(why);
        }
        // The rows of one record come from several lanes, each with numbers of its own.
        if self.rekeys().count() > 0 {
            return Some("its rows go through an exchange topic".to_owned());
        }
        // One log that a lane reads from its position on gives the same state again.
        let one_log = self.lanes == Lanes::Each && !self.gather();
        let by_order = |kind: &StepKind| match kind {
            StepKind::Aggregate(_) => !one_log,
            StepKind::Join(_) | StepKind::Sort(_) | StepKind::Limit(_) | StepKind::Own(_) => true,
            _ => false,
        };
        let step = self.steps.iter().find(|step| by_order(&step.kind))?;
        Some(format!(
            "what `{}` gives depends on which of several partitions came first",
            step.name
        ))
    }

    /// Coordinates of two inputs are told apart by their topics.
    fn shares_topics(&self) -> Option<String> {
        let mut known = BTreeSet::new();
        let several = self.inputs().count() > 1;
        for (_, input) in self.inputs().filter(|_| several) {
            let table = input.table();
            let topics = table.options.get("subscribe");
            if table.connector == "kafka" && topics.is_none() {
                return Some(format!("the topics of `{}` are not named", table.name));
            }
            for topic in topics.unwrap_or_default().split(',').map(str::trim) {
                if !topic.is_empty() && !known.insert(topic.to_owned()) {
                    return Some(format!("several inputs read the topic `{topic}`"));
                }
            }
        }
        None
    }
}
