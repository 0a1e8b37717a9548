//! What a start does with the checkpoints before it reads: it makes them its own, and removes what nothing names. For a shared
//! query that is a partition at a time, from the start that all processes have in common.
//!
//! A folder is locked, and no other process can have it. In an object store there are no locks, and nobody can tell a process
//! that was killed from one that is only slow. So the first run of a process commits what the newest checkpoint says as the
//! next epoch. Whoever had the checkpoints before meets that epoch when it commits, and ends.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use smol_str::SmolStr;

use crate::clock::now;
use crate::epoch::checkpoint::{Checkpoint, PartitionCut};
use crate::error::{Failure, Remedy};
use crate::lanes;
use crate::plan::{Opened, Side};
use crate::query::{LaneStates, Query, new_id};
use crate::record::Position;
use crate::recorder::Doing;
use crate::recovery::take_over;
use crate::source::{Resume, Start};
use crate::standby::Standby;
use crate::starting::{Prepared, Resolved};

/// A partition of an input.
pub(crate) type Place = (SmolStr, SmolStr);

impl Query {
    /// Removes what no checkpoint names. Where others may still write, that is done after the claim; where processes share the
    /// partitions, each does it for the lanes that it owns.
    pub(crate) fn recover(&self) -> Result<(), Failure> {
        if self.group.is_some() || !self.log.store().locked() {
            return Ok(());
        }
        self.log.recover().map(drop)
    }

    /// Where no lock keeps other processes out: makes the checkpoints those of this process.
    ///
    /// # Errors
    /// `End` when another process has taken them over since the last run of this one.
    pub(crate) fn claim_all(&self, newest: &mut Checkpoint, run: &Arc<str>) -> Result<(), Failure> {
        if self.log.store().locked() {
            return Ok(());
        }
        if self.log.must_claim(newest)? {
            let mut claim = newest.clone();
            claim.epoch += 1;
            claim.run = run.to_string();
            claim.committed_at = now();
            claim.interval = self.log.announces(self.settings.checkpoint_interval);
            // Where another has just committed, this is tried again from what that one says.
            self.log
                .commit(&claim)
                .map_err(|error| self.log.unwritable("the claim of this start", &error))?;
            *newest = claim;
        }
        self.log.recover().map(drop)
    }

    /// As `prepare`, for a query whose partitions are shared: only the start is found, once for all processes. Blocks.
    pub(crate) fn prepare_shared(&self) -> Result<Prepared, Failure> {
        let run: Arc<str> = Arc::from(new_id());
        let newest = match self.log.newest()? {
            Some(newest) => newest,
            None => self.first_start(&run)?,
        };
        self.accept_start(&newest)?;
        if !newest.is_the_start() {
            return Err(Failure::refuse(format!(
                "the checkpoints in {} are of one process that read all partitions, up to epoch {}: a query goes on in the \
                 way it began. Set another checkpointLocation, or leave `assignment = 'group'` out",
                self.log.location(),
                newest.epoch
            )));
        }
        Ok(Prepared {
            opened: self.plan.open(&run)?,
            run,
            resolved: Resolved::none(newest),
        })
    }

    /// Commits where all partitions start, or finds that another process has just done so.
    fn first_start(&self, run: &Arc<str>) -> Result<Checkpoint, Failure> {
        let opened = self.plan.open(run)?;
        let started = self.start_all(run, &opened);
        opened.close();
        match started {
            Err(failure) => match self.log.newest()? {
                Some(newest) => Ok(newest),
                None => Err(failure),
            },
            started => started,
        }
    }

    /// Claims a partition: the next epoch of its chain is this run's. None where another process has claimed it since. Blocks.
    pub(crate) fn claim(
        &self,
        run: &Arc<str>,
        opened: &Opened,
        place: &Place,
        start: &Checkpoint,
        standby: &Standby,
    ) -> Result<Option<Resolved>, Failure> {
        let (input, partition) = place;
        let lane = lanes::name(&*self.plan, input, partition);
        let beside = lanes::beside(start, &lane, place);
        let beside = beside.map(|cut| (cut.input.clone(), cut.partition.clone()));
        let places: Vec<Place> = [place.clone()].into_iter().chain(beside).collect();
        loop {
            let newest = self.log.newest()?;
            if let Some(newest) = &newest {
                self.accept(newest)?;
            }
            let from = newest.as_ref().unwrap_or(start);
            let rewound = from.rewound;
            let mut begins = match begin_all(opened, &places, from) {
                // What the source knows may be of a later epoch: of one who has the partition still.
                Err(failure)
                    if failure.remedy == Remedy::Restart
                        || self.log.last()? == newest.as_ref().map(|newest| newest.epoch) =>
                {
                    return Err(failure);
                }
                Err(_) => continue,
                Ok(begins) => begins,
            };
            let begun = newest.is_some();
            let mut claim = match newest {
                Some(mut newest) => {
                    newest.epoch += 1;
                    newest.rewound = false;
                    newest
                }
                None => self.chain_of(start, &begins),
            };
            let warming = self.build_shared(&claim, begun, opened, &mut begins)?;
            if warming.builds.is_none() {
                self.follow(&mut claim);
            }
            let since = claim.committed_at;
            claim.run = run.to_string();
            claim.committed_at = now();
            claim.interval = self.log.announces(self.settings.checkpoint_interval);
            match self.log.commit(&claim) {
                Ok(_) => {
                    let epoch = claim.epoch;
                    let state = match self.take_hold(opened, &mut claim, rewound, standby, place) {
                        Ok(state) => state,
                        // Who has claimed it since needs no part of it any more, and has removed it.
                        Err(_) if self.log.last()? != Some(epoch) => return Ok(None),
                        Err(failure) => return Err(failure),
                    };
                    if epoch > 0 {
                        let (metrics, now) = (self.status.metrics(), now());
                        let pause = u64::try_from(now.saturating_sub(since));
                        metrics.handover.observe(pause.unwrap_or(0));
                        // Records that came since the one before committed last have waited for this.
                        let recorder = metrics.recorder.lane(&lane);
                        recorder.note(Doing::Rebalance, since, now, 0);
                    }
                    return Ok(Some(Resolved {
                        state,
                        starts: begins,
                        warming,
                        before: before(opened, input, start),
                        alone: true,
                        ..Resolved::none(claim)
                    }));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let what = format!("the claim of {partition}");
                    return Err(self.log.unwritable(&what, &error));
                }
            }
        }
    }

    /// Brings state and output to where the claim stands, and removes what is nobody's.
    fn take_hold(
        &self,
        opened: &Opened,
        claim: &mut Checkpoint,
        rewound: bool,
        standby: &Standby,
        place: &Place,
    ) -> Result<LaneStates, Failure> {
        // Now that nobody else commits here, what no checkpoint names is nobody's.
        self.log.recover()?;
        let epoch = claim.epoch;
        let owned = || self.log.last().is_ok_and(|last| last == Some(epoch));
        take_over(opened, claim, rewound, (&**self.log.store(), &owned))?;
        // What is built is in the chain with the first epoch after it, and so is the plan that has it: who takes over before builds
        // it as well.
        self.follow(claim);
        self.read_claimed(claim, standby.take(place))
    }

    /// The first checkpoint of a lane's chain.
    fn chain_of(&self, start: &Checkpoint, begins: &[(SmolStr, Start)]) -> Checkpoint {
        let cuts = begins.iter().map(|(input, begin)| {
            let mut cuts = start.partitions();
            let cut = cuts.find(|cut| named(cut, input, &begin.partition));
            PartitionCut {
                position: begin.position.clone(),
                ..cut.cloned().unwrap_or_else(|| PartitionCut {
                    input: input.clone(),
                    partition: begin.partition.clone(),
                    position: begin.position.clone(),
                    watermark: None,
                    seen: None,
                    ended: false,
                    start: None,
                })
            }
        });
        let mut chain = start.clone();
        chain.lanes = vec![lanes::beginning(&*self.plan, cuts.collect())];
        let reads = |of: &SmolStr| begins.iter().any(|(input, _)| input == of);
        chain.sources.retain(|of, _| reads(of));
        chain
    }
}

/// Where these partitions begin, each with its input.
fn begin_all(
    opened: &Opened,
    places: &[Place],
    from: &Checkpoint,
) -> Result<Vec<(SmolStr, Start)>, Failure> {
    let places = places.iter();
    places
        .map(|place| Ok((place.0.clone(), begin(opened, place, from)?)))
        .collect()
}

/// Where a partition begins that a checkpoint names, or that appeared after it.
fn begin(opened: &Opened, place: &Place, from: &Checkpoint) -> Result<Start, Failure> {
    let (input, partition) = place;
    let mut inputs = opened.all_inputs();
    let source = inputs
        .find(|known| known.name == *input)
        .map(|known| &known.source)
        .ok_or_else(|| Failure::restart(format!("the query has no input {input}: a bug")))?;
    let cut = from.partitions().find(|cut| named(cut, input, partition));
    let known = cut.map(|cut| (partition.clone(), cut.position.clone()));
    let positions: BTreeMap<SmolStr, Position> = known.into_iter().collect();
    source.start_of(
        partition,
        &Resume {
            checkpoint: &from.checkpoint,
            epoch: from.epoch,
            rewound: from.rewound,
            positions: &positions,
            state: saved(from, input)?.as_deref(),
        },
    )
}

fn named(cut: &PartitionCut, input: &str, partition: &str) -> bool {
    cut.input == input && cut.partition == partition
}

/// The partitions before the exchange that an input behind it has to know.
fn before(opened: &Opened, input: &str, start: &Checkpoint) -> Vec<Place> {
    if opened.side(input) != Side::Behind {
        return Vec::new();
    }
    start
        .partitions()
        .filter(|cut| opened.side(&cut.input) == Side::Before)
        .map(|cut| (cut.input.clone(), cut.partition.clone()))
        .collect()
}

/// The bytes that an input keeps in a checkpoint.
pub(crate) fn saved(checkpoint: &Checkpoint, input: &str) -> Result<Option<Vec<u8>>, Failure> {
    let text = checkpoint.sources.get(input);
    text.map(|text| BASE64.decode(text))
        .transpose()
        .map_err(|_| Failure::refuse("the checkpoint's source state is not base64"))
}
