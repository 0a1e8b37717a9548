//! Starts the lanes of one run: at its beginning, and for partitions that appear later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix::prelude::*;
use smol_str::SmolStr;

use crate::epoch::coordinator::{LaneHandle, Launched, Launcher};
use crate::epoch::ledger::{Epoch, LaneId};
use crate::epoch::messages::{News, Order};
use crate::flow::lane::{LaneSpec, Reading};
use crate::flow::partition::Lane;
use crate::lanes;
use crate::plan::{Opened, Side};
use crate::query::{LaneStates, Query};
use crate::record::{Micros, Partition, Position};
use crate::sink::Beside;
use crate::source::Start;
use crate::starting::{Ends, Places};

/// What the launcher of one run knows.
pub(crate) struct Launching {
    pub(crate) query: Arc<Query>,
    pub(crate) run: Arc<str>,
    pub(crate) opened: Arc<Opened>,
    pub(crate) ends: Ends,
    pub(crate) state: LaneStates,
    /// The watermarks that the checkpoint says of the partitions that it names, and what they have seen beyond.
    pub(crate) watermarks: Places<[Option<Micros>; 2]>,
    /// Where rows begin to be written, of partitions that are read from before.
    pub(crate) warm: Places<Position>,
    /// The steps that the lanes of the beginning build from that, beside kept state.
    pub(crate) builds: Option<Arc<BTreeSet<SmolStr>>>,
    pub(crate) writers: BTreeMap<SmolStr, Vec<u8>>,
    pub(crate) next: u32,
    /// The lanes that live, by name.
    pub(crate) lanes: BTreeMap<SmolStr, Recipient<Order>>,
    /// The partitions that are read before exchanges, each with its input.
    pub(crate) before: Vec<(SmolStr, SmolStr)>,
}

impl Launching {
    /// As the coordinator calls it.
    pub(crate) fn launcher(mut self) -> Launcher {
        Box::new(move |starts, waiting, epoch, news| self.launch(starts, waiting, epoch, news))
    }

    fn launch(
        &mut self,
        starts: &[(SmolStr, Start)],
        waiting: &[(SmolStr, Start)],
        epoch: Epoch,
        news: &Recipient<News>,
    ) -> Launched {
        let opened = Arc::clone(&self.opened);
        let before = starts
            .iter()
            .filter(|(input, _)| opened.side(input) == Side::Before);
        self.before
            .extend(before.map(|(input, start)| (input.clone(), start.partition.clone())));
        let mut begin: Vec<(SmolStr, Vec<Reading>)> = Vec::new();
        let plan = Arc::clone(&self.query.plan);
        let name = |input: &SmolStr, start: &Start| lanes::name(&*plan, input, &start.partition);
        let awaited = waiting.iter().map(|(input, start)| name(input, start));
        let awaited: BTreeSet<SmolStr> = awaited.collect();
        for (name, lane) in &self.lanes {
            lane.do_send(Order::Await(awaited.contains(name)));
        }
        let mut again = BTreeSet::new();
        for (input, start) in starts {
            let name = name(input, start);
            let Some(reading) = self.reading(input, start) else {
                continue;
            };
            match begin.iter_mut().find(|(lane, _)| *lane == name) {
                Some((_, readings)) => readings.push(reading),
                None => match self.lanes.get(&name) {
                    Some(lane) => {
                        lane.do_send(Order::Read(Box::new(reading)));
                        again.insert(name);
                    }
                    None => begin.push((name, vec![reading])),
                },
            }
        }
        // Lanes that come later have no state that others could be built beside.
        let builds = self.builds.take();
        let new = begin.into_iter().map(|(name, readings)| {
            let more = awaited.contains(&name);
            self.lane(name, readings, (more, builds.clone()), epoch, news)
        });
        Launched {
            new: new.collect(),
            again,
        }
    }

    fn reading(&self, input: &SmolStr, start: &Start) -> Option<Reading> {
        let known = self
            .opened
            .all_inputs()
            .find(|known| known.name == *input)?;
        let place = (input.clone(), start.partition.clone());
        let [watermark, seen] = self.watermarks.get(&place).copied().unwrap_or_default();
        Some(Reading {
            until: self
                .ends
                .get(input)
                .and_then(|ends| ends.get(&start.partition).cloned()),
            watermark,
            seen,
            new: !self.watermarks.contains_key(&place),
            start: self.warm.get(&place).cloned(),
            partition: Arc::new(Partition {
                input: input.clone(),
                name: start.partition.clone(),
            }),
            source: Arc::clone(&known.source),
            entries: known.entries.clone(),
            role: known.role,
            from: start.position.clone(),
        })
    }

    fn lane(
        &mut self,
        name: SmolStr,
        readings: Vec<Reading>,
        (more, builds): (bool, Option<Arc<BTreeSet<SmolStr>>>),
        epoch: Epoch,
        news: &Recipient<News>,
    ) -> (LaneId, LaneHandle) {
        let query = &self.query;
        let id = LaneId(self.next);
        self.next += 1;
        let (side, sink) = match readings.first() {
            None => (Side::Whole, &self.opened.sink),
            Some(reading) => {
                let input = &reading.partition.input;
                (self.opened.side(input), self.opened.sink_of(input))
            }
        };
        let (plan, before) = (Arc::clone(&query.plan), self.before.clone());
        let (log, own) = (Arc::clone(&query.log), Arc::clone(&self.run));
        let spec = LaneSpec {
            id,
            name: name.clone(),
            run: Arc::clone(&self.run),
            readings,
            more,
            side,
            steps: Box::new(move || plan.steps(side, &before)),
            builds,
            state: self.state.remove(&name).unwrap_or_default(),
            epoch: epoch.0,
            prepared: self.writers.remove(&name),
            sink: Arc::clone(sink),
            on_error: self.opened.on_error.clone(),
            show_records: query.settings.show_records,
            trigger: query.settings.trigger.filter(|_| side != Side::Before),
            one_batch: query.settings.one_batch,
            idle_timeout: query.settings.idle_timeout,
            alignment_max: query.settings.alignment_max,
            budget: Arc::clone(&query.host.budget),
            coordinator: news.clone(),
            beside: Beside {
                store: Arc::clone(query.log.store()),
                owned: Arc::new(move || log.is_still_of(&own)),
            },
            workers: query.host.workers.clone(),
            metrics: Arc::clone(query.status.metrics()),
            pauses: query.status.pauses(),
        };
        if spec.warms_up() {
            spec.metrics.warm_up_left.inc();
        }
        let arbiters = &query.host.arbiters;
        let address = match arbiters.get(id.0 as usize % arbiters.len().max(1)) {
            Some(arbiter) => Lane::start_in_arbiter(arbiter, move |_| Lane::new(spec)),
            None => Lane::new(spec).start(),
        };
        let orders: Recipient<Order> = address.recipient();
        self.lanes.insert(name.clone(), orders.clone());
        (id, LaneHandle { name, orders, side })
    }
}
