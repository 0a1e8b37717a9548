//! Where the partitions of an input begin and end, asked of the broker.

use std::collections::BTreeMap;
use std::time::Duration;

use thalweg_engine::clock;
use thalweg_engine::error::Failure;
use thalweg_engine::source::{Resume, Start};

use super::scout::{EARLIEST, LATEST, Scout};
use super::source::KafkaSource;
use super::starting::{Ends, Place, Starting, Times, loss, partition_name, start, times_of};
use super::witness::{Witness, judge};

impl KafkaSource {
    /// Asks for offsets, as often as `fetchOffset.numRetries` says.
    pub(super) fn offsets(
        &self,
        scout: &Scout,
        asked: &BTreeMap<Place, i64>,
        committed: bool,
    ) -> Result<BTreeMap<Place, i64>, Failure> {
        let mut left = self.settings.retries;
        loop {
            match scout.offsets(asked, committed) {
                Ok(offsets) => return Ok(offsets),
                Err(failure) if left == 0 => return Err(failure),
                Err(_) => {
                    left -= 1;
                    std::thread::sleep(self.settings.retry_interval);
                }
            }
        }
    }

    pub(super) fn one_each(
        &self,
        scout: &Scout,
        places: &[Place],
        spec: i64,
        committed: bool,
    ) -> Result<BTreeMap<Place, i64>, Failure> {
        let asked = places.iter().map(|place| (place.clone(), spec)).collect();
        self.offsets(scout, &asked, committed)
    }

    pub(super) fn ends_of(
        &self,
        scout: &Scout,
        places: &[Place],
    ) -> Result<BTreeMap<Place, Ends>, Failure> {
        let earliest = self.one_each(scout, places, EARLIEST, false)?;
        let latest = self.one_each(scout, places, LATEST, false)?;
        Ok(earliest
            .into_iter()
            .map(|(place, earliest)| {
                let latest = latest.get(&place).copied().unwrap_or(earliest);
                (place, Ends { earliest, latest })
            })
            .collect())
    }

    /// Whether only committed records are read.
    pub(super) fn committed_only(&self) -> bool {
        self.connection()
            .property("isolation.level")
            .is_none_or(|level| level.eq_ignore_ascii_case("read_committed"))
    }

    /// What the group holds, compared with the checkpoint; the offsets for `startingOffsets 'group'`.
    pub(super) fn group_offsets(
        &self,
        scout: &Scout,
        places: &[Place],
        resume: Option<&Resume<'_>>,
    ) -> Result<BTreeMap<Place, i64>, Failure> {
        let needed = resume.is_none() && self.settings.starting == Starting::Group;
        if (self.context.temporary && !needed) || places.is_empty() {
            return Ok(BTreeMap::new());
        }
        let held = scout.committed(&self.group, places)?;
        if !self.context.temporary {
            let witnesses: Vec<Witness> = held
                .iter()
                .filter_map(|entry| Witness::read(entry.metadata.as_deref()?, &self.context))
                .collect();
            judge(&witnesses, resume, &self.group, &self.context)?;
        }
        Ok(held
            .into_iter()
            .map(|entry| ((entry.topic, entry.partition), entry.offset))
            .collect())
    }

    /// Where a first start begins.
    pub(super) fn first(
        &self,
        scout: &Scout,
        ends: &BTreeMap<Place, Ends>,
        group: &BTreeMap<Place, i64>,
    ) -> Result<Vec<Start>, Failure> {
        let places: Vec<Place> = ends.keys().cloned().collect();
        self.settings.starting.check_named(&places)?;
        let latest = || self.one_each(scout, &places, LATEST, self.committed_only());
        let earliest = || {
            ends.iter()
                .map(|(place, ends)| (place.clone(), ends.earliest))
        };
        let mut chosen: BTreeMap<Place, i64> = match &self.settings.starting {
            Starting::Earliest => earliest().collect(),
            Starting::Latest => latest()?,
            Starting::Group => earliest()
                .map(|(place, earliest)| {
                    let offset = group.get(&place).copied().unwrap_or(earliest);
                    (place, offset)
                })
                .collect(),
            Starting::Exact(named) => named.clone(),
            Starting::Timestamp { at, latest_if_none } => {
                self.at_time(scout, &places, at, *latest_if_none)?
            }
        };
        if chosen.values().any(|offset| *offset == LATEST) {
            let latest = latest()?;
            for (place, offset) in &mut chosen {
                if *offset == LATEST {
                    *offset = latest.get(place).copied().unwrap_or(LATEST);
                }
            }
        }
        let mut starts = Vec::new();
        for (place, ends) in ends {
            let name = partition_name(&place.0, place.1);
            let mut offset = chosen.get(place).copied().unwrap_or(ends.earliest);
            if offset == EARLIEST {
                offset = ends.earliest;
            }
            if let Some((sentence, instead)) = loss(&name, offset, *ends) {
                if self.settings.fail_on_data_loss {
                    return Err(Failure::refuse(format!(
                        "{sentence}. Change the starting offsets, or set failOnDataLoss to false to go on with what is there"
                    )));
                }
                tracing::warn!(target: "kafka", "records are lost, going on because failOnDataLoss is false: {sentence}");
                offset = instead;
            }
            starts.push(start(name, offset));
        }
        Ok(starts)
    }

    pub(super) fn at_time(
        &self,
        scout: &Scout,
        places: &[Place],
        at: &Times,
        latest_if_none: bool,
    ) -> Result<BTreeMap<Place, i64>, Failure> {
        let asked = match at {
            Times::All(millis) => places
                .iter()
                .map(|place| (place.clone(), *millis))
                .collect(),
            Times::Each(each) => each.clone(),
        };
        // -1 where no record is that new, which also stands for the end.
        let found = self.offsets(scout, &asked, self.committed_only())?;
        if !latest_if_none
            && let Some(((topic, partition), _)) = found.iter().find(|(_, offset)| **offset < 0)
        {
            return Err(Failure::refuse(format!(
                "{topic}/{partition} has no record at or after the starting time {}: take an earlier one, or set \
                 startingOffsetsByTimestampStrategy to latest",
                asked
                    .get(&(topic.clone(), *partition))
                    .copied()
                    .unwrap_or(0)
            )));
        }
        Ok(found)
    }

    /// For each start the first offset whose record is at most so much older than the start. The time of a start at the end
    /// is the present.
    pub(super) fn back_from(
        &self,
        scout: &Scout,
        starts: &BTreeMap<Place, i64>,
        by: Duration,
    ) -> Result<BTreeMap<Place, i64>, Failure> {
        let places: Vec<Place> = starts.keys().cloned().collect();
        let ends = self.ends_of(scout, &places)?;
        let committed = self.committed_only();
        let latest = self.one_each(scout, &places, LATEST, committed)?;
        let now = clock::now() / 1000;
        let inside = starts
            .iter()
            .filter(|(place, start)| {
                let earliest = ends.get(*place).map_or(0, |ends| ends.earliest);
                **start > earliest && latest.get(*place).is_some_and(|end| *start < end)
            })
            .map(|(place, start)| (place.clone(), *start))
            .collect();
        let ask = |asked: &BTreeMap<Place, i64>| self.offsets(scout, asked, committed);
        let times = times_of(&inside, now, ask)?;
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let asked = starts
            .keys()
            .map(|place| {
                let time = times.get(place).copied().unwrap_or(now);
                (place.clone(), time.saturating_sub(by).max(0))
            })
            .collect();
        let found = ask(&asked)?;
        Ok(starts
            .iter()
            .map(|(place, start)| {
                let back = found.get(place).copied().filter(|offset| *offset >= 0);
                (place.clone(), back.map_or(*start, |back| back.min(*start)))
            })
            .collect())
    }
}
