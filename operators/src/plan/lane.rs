//! The operators of a planned query: those of one lane, made anew for each.

use smol_str::SmolStr;
use thalweg_engine::flow::pipeline;
use thalweg_engine::operator::Operator;
use thalweg_engine::record::Micros;
use thalweg_engine::schema::{DataType, Schema};

use crate::expr::typed::Typed;
use crate::job_error::Location;
use crate::plan::{Query, Step, StepKind, Target};
use crate::stateful::aggregate::Aggregate;
use crate::stateful::join::Behind;
use crate::stateful::over::Window;
use crate::stateful::sort::Order;
use crate::stateful::{dedup, limit, sort};
use crate::transforms::{EventTime, Explode, Filter, Fork};

/// The parts of one lane: fresh operators, and where the rows of each input enter.
pub struct Lane {
    /// By place in [`Query::steps`]; None where a step is an input.
    pub steps: Vec<Option<pipeline::Step>>,
    /// For each input its place and the targets of its rows.
    pub entries: Vec<(usize, Vec<Target>)>,
}

impl Query {
    /// The parts of one lane, made anew at each call.
    pub fn lane(&self) -> Lane {
        self.lane_behind(&[])
    }

    /// As [`Query::lane`]; `before` are the partitions that the lanes before a change of partition begin with, each with its
    /// input.
    pub fn lane_behind(&self, before: &[(SmolStr, SmolStr)]) -> Lane {
        let mut entries = Vec::new();
        let behind = self.behind();
        let steps = self
            .steps
            .iter()
            .enumerate()
            .map(|(place, step)| {
                let output = &self.output.table.name;
                let made = match &step.kind {
                    StepKind::Rekey(rekey) => Some(rekey.arrival(before)),
                    kind => kind.operator(output, &step.schema),
                };
                let Some(mut operator) = made else {
                    entries.push((place, step.targets().collect()));
                    return None;
                };
                let keeps = step.kind.state_name(&step.schema).is_some();
                if keeps && behind[place] > 0 {
                    operator = Box::new(Behind::new(operator, behind[place]));
                }
                Some(pipeline::Step {
                    name: step.name.clone(),
                    operator,
                    to: step.to,
                })
            })
            .collect();
        Lane { steps, entries }
    }

    /// For each step how much older than the watermark its rows may be, because of the joins before it.
    pub(super) fn behind(&self) -> Vec<Micros> {
        let mut behind: Vec<Micros> = vec![0; self.steps.len()];
        for (place, step) in self.steps.iter().enumerate() {
            let own = match &step.kind {
                StepKind::Join(joining) => joining.hold(),
                _ => 0,
            };
            let here = behind[place].saturating_add(own);
            if let Target::Step { step: to, .. } = step.to {
                behind[to] = behind[to].max(here);
            }
        }
        behind
    }
}

impl StepKind {
    /// Its operator over rows of this schema (where it changes rows, those that it gives).
    pub(super) fn operator(&self, output: &str, schema: &Schema) -> Option<Box<dyn Operator>> {
        Some(match self {
            Self::Source(_) | Self::Rekey(_) => return None,
            Self::Filter(conditions) => {
                Box::new(Filter::new(conditions.iter().map(Typed::compile).collect()))
            }
            Self::Project(projection) => Box::new(projection.operator(output)),
            Self::Explode(explosion) => Box::new(Explode::new(
                explosion.value.compile(),
                explosion.generator,
                explosion.kept.clone(),
            )),
            Self::Fork(branches) => {
                let steps = |branch: &Vec<Step>| {
                    branch
                        .iter()
                        .filter_map(|step| step.kind.operator(output, &step.schema))
                        .collect()
                };
                Box::new(Fork::new(branches.iter().map(steps).collect()))
            }
            Self::Aggregate(group) => Aggregate::new(group.grouping.clone()),
            Self::Dedup(kept) => {
                let types = kept.keys.iter().filter_map(|key| schema.fields.get(*key));
                let types: Vec<DataType> = types.map(|field| field.data_type.clone()).collect();
                let (keys, remember) = (kept.keys.clone(), kept.remember());
                dedup::Dedup::new(keys, &types, remember, kept.ttl)
            }
            Self::Sort(order) => {
                let orders = order.keys.iter().filter_map(|key| {
                    let field = schema.fields.get(key.place)?;
                    Some(Order {
                        by: Typed::column(key.place, field, Location::default()).compile(),
                        descending: key.descending,
                        nulls_first: key.nulls_first,
                    })
                });
                sort::Sort::new(orders.collect(), order.limit)
            }
            Self::Limit(given) => limit::Limit::new(given.rows, given.skipped, given.each_trigger),
            Self::Join(joining) => joining.operator(),
            Self::Lookup(looking) => looking.operator(),
            Self::Over(windows) => Box::new(Window::new(&windows.over)),
            Self::Own(own) => (own.make)(),
            Self::EventTime(time) => Box::new(EventTime::new(
                time.value.compile(),
                time.column,
                time.delay,
            )),
        })
    }
}
