//! What the engine was doing beside rows, with begin and end: the last few of each kind.

use std::collections::VecDeque;

use crate::record::Micros;

/// Something that may hold up a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// The cut of an epoch: the lane takes no row meanwhile. About: the epoch.
    Cut,
    /// State of an epoch is written aside, and its delivery awaited. About: the epoch.
    Saving,
    /// An epoch from its marker to its checkpoint on disk. About: the epoch.
    Epoch,
    /// Objects of state are merged aside. About: the epoch.
    Merging,
    /// The output has taken more than it likes; the lane waits until it has drained.
    SinkFull,
    /// The lane had nothing to do: what comes next was not fetched yet.
    FetchGap,
    /// The steps emit between two records: a watermark, a trigger, a timer.
    Emitting,
    /// What is too old is removed from the state, once a second.
    Housekeeping,
    /// A broker or the checkpoint folder does not answer.
    Away,
    /// A run has failed; the next one opens its clients and reads its state.
    Restart,
    /// State is built from what stands before the starting positions.
    WarmUp,
    /// Joined tables are read to their end; rows of streams wait.
    Tables,
    /// A partition more is read.
    NewPartition,
    /// A version of a model is loaded and proved aside. About: which model of the query.
    ModelLoad,
    /// A static table is read again aside, because its files are others. About: which table of the query.
    TableLoad,
    /// Somebody has paused the query.
    Paused,
    /// The partition moved to this process from another one: nobody read it meanwhile.
    Rebalance,
}

/// How many kinds there are.
const KINDS: usize = 17;

/// How many of a kind are kept.
const KEPT: usize = 18;

/// How many kinds are kept with a slow record: those that took most.
pub(crate) const OVERLAPS_MAX: usize = 4;

impl Doing {
    const ALL: [Self; KINDS] = [
        Self::Cut,
        Self::Saving,
        Self::Epoch,
        Self::Merging,
        Self::SinkFull,
        Self::FetchGap,
        Self::Emitting,
        Self::Housekeeping,
        Self::Away,
        Self::Restart,
        Self::WarmUp,
        Self::Tables,
        Self::NewPartition,
        Self::ModelLoad,
        Self::TableLoad,
        Self::Paused,
        Self::Rebalance,
    ];

    /// One word for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Saving => "saving",
            Self::Epoch => "epoch",
            Self::Merging => "merging",
            Self::SinkFull => "sinkFull",
            Self::FetchGap => "fetchGap",
            Self::Emitting => "emitting",
            Self::Housekeeping => "housekeeping",
            Self::Away => "away",
            Self::Restart => "restart",
            Self::WarmUp => "warmUp",
            Self::Tables => "tables",
            Self::NewPartition => "newPartition",
            Self::ModelLoad => "modelLoad",
            Self::TableLoad => "tableLoad",
            Self::Paused => "paused",
            Self::Rebalance => "rebalance",
        }
    }

    /// Whether rows stand still meanwhile, so that it alone explains a wait.
    pub fn holds_rows(self) -> bool {
        !matches!(
            self,
            Self::Saving | Self::Epoch | Self::Merging | Self::ModelLoad | Self::TableLoad
        )
    }

    /// Whether it is between rows of a lane, so that it holds up none that is taken already.
    fn is_between_rows(self) -> bool {
        self.holds_rows() && !matches!(self, Self::Away | Self::Restart)
    }
}

/// The time of a record that is to be explained.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Its own timestamp, or when its bytes were in hand.
    pub(crate) from: Micros,
    /// When it was taken: from then on what the lane does beside rows cannot hold it up.
    pub(crate) taken: Micros,
    /// When it was delivered.
    pub(crate) to: Micros,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub doing: Doing,
    /// Since when.
    pub begin: Micros,
    /// Until when; None while it goes on.
    pub end: Option<Micros>,
    /// What it was about: an epoch's number, or as its [`Doing`] says.
    pub about: u64,
}

/// How much of a record's time a kind covers, and its longest event there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Microseconds.
    pub micros: u64,
    /// The longest.
    pub longest: Event,
}

/// The last ones of each kind.
#[derive(Debug, Default)]
pub(crate) struct Doings {
    over: [VecDeque<(Micros, Micros, u64)>; KINDS],
    open: Vec<Event>,
}

impl Doings {
    /// Something was done.
    pub(crate) fn note(&mut self, doing: Doing, begin: Micros, end: Micros, about: u64) {
        let kept = &mut self.over[doing as usize];
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((begin, end, about));
    }

    /// Something begins; what has begun already goes on.
    pub(crate) fn begin(&mut self, doing: Doing, begin: Micros, about: u64) {
        let same = |event: &Event| event.doing == doing && event.about == about;
        if self.open.len() < KEPT && !self.open.iter().any(same) {
            self.open.push(Event {
                doing,
                begin,
                end: None,
                about,
            });
        }
    }

    /// It ends; nothing where it has not begun.
    pub(crate) fn end(&mut self, doing: Doing, end: Micros, about: u64) {
        let same = |event: &Event| event.doing == doing && event.about == about;
        if let Some(place) = self.open.iter().position(same) {
            let event = self.open.swap_remove(place);
            self.note(doing, event.begin, end, about);
        }
    }

    /// All of a kind end, whatever they are about: a run is over.
    pub(crate) fn end_all(&mut self, end: Micros) {
        for event in std::mem::take(&mut self.open) {
            self.note(event.doing, event.begin, end, event.about);
        }
    }

    /// Adds what was done in a record's time to `found`, which keeps the kinds that took most.
    pub(crate) fn during(&self, span: Span, found: &mut Vec<Overlap>) {
        for doing in Doing::ALL {
            let (from, to) = match doing.is_between_rows() {
                true => (span.from, span.taken),
                false => (span.from, span.to),
            };
            let over = self.over[doing as usize].iter();
            let over = over.map(|(begin, end, about)| Event {
                doing,
                begin: *begin,
                end: Some(*end),
                about: *about,
            });
            let open = self.open.iter().filter(|event| event.doing == doing);
            let mut all: Option<Overlap> = None;
            let mut most = 0;
            for event in over.chain(open.copied()) {
                let part = event.end.unwrap_or(to).min(to) - event.begin.max(from);
                let Ok(part @ 1..) = u64::try_from(part) else {
                    continue;
                };
                let sum = all.get_or_insert(Overlap {
                    micros: 0,
                    longest: event,
                });
                sum.micros += part;
                if part > most {
                    most = part;
                    sum.longest = event;
                }
            }
            found.extend(all);
        }
        found.sort_by_key(|overlap| {
            std::cmp::Reverse((overlap.longest.doing.holds_rows(), overlap.micros))
        });
        found.truncate(OVERLAPS_MAX);
    }

    /// What all of it may take.
    #[cfg(test)]
    pub(crate) const BYTES: usize =
        KINDS * KEPT * size_of::<(Micros, Micros, u64)>() + KEPT * size_of::<Event>();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn during(doings: &Doings, from: Micros, to: Micros) -> Vec<(&'static str, u64, u64)> {
        let mut found = Vec::new();
        let span = Span {
            from,
            taken: to,
            to,
        };
        doings.during(span, &mut found);
        let found = found.iter();
        found
            .map(|o| (o.longest.doing.name(), o.micros, o.longest.about))
            .collect()
    }

    #[test]
    fn a_wait_is_explained_by_what_covers_it() {
        let mut doings = Doings::default();
        doings.note(Doing::Cut, 10, 20, 1);
        doings.note(Doing::Cut, 50, 90, 2);
        doings.note(Doing::FetchGap, 0, 5, 0);
        doings.begin(Doing::Epoch, 15, 3);
        assert_eq!(during(&doings, 15, 60), [("cut", 15, 2), ("epoch", 45, 3)]);
        assert_eq!(during(&doings, 100, 120), [("epoch", 20, 3)]);
        doings.end(Doing::Epoch, 110, 3);
        doings.end(Doing::Epoch, 115, 3);
        assert_eq!(during(&doings, 100, 120), [("epoch", 10, 3)]);
        assert_eq!(during(&doings, 91, 95), [("epoch", 4, 3)]);
    }

    #[test]
    fn a_record_that_is_taken_is_not_held_up_by_what_its_lane_does_then() {
        let mut doings = Doings::default();
        doings.note(Doing::FetchGap, 0, 100, 0);
        doings.note(Doing::Saving, 0, 100, 1);
        let mut found = Vec::new();
        let span = Span {
            from: 20,
            taken: 30,
            to: 90,
        };
        doings.during(span, &mut found);
        let found: Vec<u64> = found.iter().map(|overlap| overlap.micros).collect();
        assert_eq!(found, [10, 70]);
    }

    #[test]
    fn what_has_begun_goes_on_until_its_end_and_only_the_last_of_a_kind_are_kept() {
        let mut doings = Doings::default();
        doings.begin(Doing::SinkFull, 5, 0);
        doings.begin(Doing::SinkFull, 8, 0);
        assert_eq!(during(&doings, 0, 20), [("sinkFull", 15, 0)]);
        doings.end_all(10);
        assert_eq!(during(&doings, 0, 20), [("sinkFull", 5, 0)]);
        for number in 0..100 {
            doings.note(Doing::Cut, 1_000 + number * 10, 1_001 + number * 10, 0);
        }
        assert_eq!(during(&doings, 0, 5_000)[0], ("cut", 18, 0));
    }
}
