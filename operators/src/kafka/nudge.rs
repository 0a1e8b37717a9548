//! A group that has left partitions to nobody is made to share them out again.
//!
//! A cooperative group moves a partition in two rounds: its owner gives it up, and asks for the second round, in which
//! another one gets it. A static member that dies between the two and comes back under its name before the group takes notice is
//! handed what it had, without a round; nobody asks for the second one. Kafka's protocol has no word for that from
//! those who are there, but a member that comes or goes makes a round: so one that wants none of theirs comes and goes.

use std::collections::BTreeSet;
use std::ffi::c_int;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use thalweg_engine::error::Failure;

use super::client::{Client, Queue, Role, take_error};
use super::codes::Code;
use super::membership::{answer as group_answer, subscribe};
use super::options::Connection;
use super::starting::Place;
use super::strangers::Kin;

/// What the member that comes and goes asks for: where groups keep their positions. The client joins only for a topic that is there,
/// and no other member has this one. Nothing of it is read.
const NOBODYS: &str = "__consumer_offsets";
/// How long the member that comes and goes waits for its round.
const ROUND: Duration = Duration::from_secs(20);
/// How long it waits for its leave to be taken.
const LEAVE: Duration = Duration::from_secs(5);
/// Milliseconds between two looks at its queue.
const LOOK: c_int = 100;

/// How long after the group has given partitions to look whether all have an owner.
const LOOK_AFTER: Duration = Duration::from_secs(3);
/// How long after a look that found some without one, or a group that changes.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// When to look, and what to do about what is seen. Knows no client; time is an argument.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    look_at: Option<Instant>,
}

impl Lookout {
    /// The group has given something to this member, or said that it has nothing for it.
    pub(super) fn given(&mut self, now: Instant) {
        self.look_at.get_or_insert(now + LOOK_AFTER);
    }

    /// Whether it is time to look.
    pub(super) fn due(&self, now: Instant) -> bool {
        self.look_at.is_some_and(|at| at <= now)
    }

    /// What was seen: the partitions that have an owner, None where the group changes or does not answer. Says whether the group
    /// must be made to share out again.
    pub(super) fn saw(
        &mut self,
        owned: Option<&BTreeSet<Place>>,
        all: &BTreeSet<Place>,
        now: Instant,
    ) -> bool {
        let left = owned.is_some_and(|owned| !all.is_subset(owned));
        self.look_at = (left || owned.is_none()).then(|| now + LOOK_AGAIN);
        left
    }
}

/// Comes as a member that wants nothing of what the others have, and goes.
pub(super) fn come_and_go(connection: &Connection, group: &str, kin: &Kin) -> Result<(), Failure> {
    let configuration = connection.configuration(
        &[("log.connection.close", "false")],
        &[
            ("client.id", &kin.client_id()),
            ("group.id", group),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("enable.auto.commit", "false"),
            ("allow.auto.create.topics", "false"),
        ],
    )?;
    let client = Client::new(Role::Member, configuration)?;
    let queue = Queue::consumer(&client);
    subscribe(&client, [NOBODYS])?;
    let mut until = Instant::now() + ROUND;
    let mut leaving = false;
    while Instant::now() < until {
        // SAFETY: a live handle.
        if leaving && unsafe { sys::rd_kafka_consumer_closed(client.native()) } != 0 {
            break;
        }
        let Some(event) = queue.poll(LOOK) else {
            continue;
        };
        if event.kind() != sys::RD_KAFKA_EVENT_REBALANCE {
            continue;
        }
        let given = event.error() == Code::ASSIGN_PARTITIONS;
        // What is done here fails at worst, and is tried again.
        let _ = group_answer(&client, given);
        if given && !leaving {
            leaving = true;
            until = Instant::now() + LEAVE;
            // SAFETY: live objects; the returned error is consumed.
            unsafe {
                let _ = take_error(sys::rd_kafka_consumer_close_queue(
                    client.native(),
                    queue.native(),
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const MEMBERS: usize = 3;
    const PARTITIONS: i32 = 4;

    fn place(number: i32) -> Place {
        ("in".to_owned(), number)
    }

    /// What may happen to a group whose assignment is cooperative and whose members are static.
    #[derive(Clone, Debug)]
    enum Event {
        /// A member asks for a round in which a partition is to go to another one.
        Move(i32, usize),
        /// The round ends: what is to move is given up, and whoever gave it up owes the group the second round.
        Round,
        /// A member that owes the second round asks for it.
        Second(usize),
        /// A member dies and comes back under its name before the group takes notice.
        ComeBack(usize),
        /// Milliseconds pass.
        Wait(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (0..PARTITIONS, 0..MEMBERS).prop_map(|(one, to)| Event::Move(one, to)),
            Just(Event::Round),
            (0..MEMBERS).prop_map(Event::Second),
            (0..MEMBERS).prop_map(Event::ComeBack),
            (0..9_000u64).prop_map(Event::Wait),
        ]
    }

    /// The group, each of its members with a lookout.
    struct Group {
        owner: BTreeMap<Place, usize>,
        wanted: BTreeMap<Place, usize>,
        /// A round is under way.
        changing: bool,
        owes: [bool; MEMBERS],
        lookouts: [Lookout; MEMBERS],
        now: Instant,
        nudged: u32,
    }

    impl Group {
        fn new() -> Self {
            let mut group = Self {
                owner: BTreeMap::new(),
                wanted: (0..PARTITIONS).map(|one| (place(one), 0)).collect(),
                changing: true,
                owes: [false; MEMBERS],
                lookouts: Default::default(),
                now: Instant::now(),
                nudged: 0,
            };
            group.round();
            group
        }

        fn all() -> BTreeSet<Place> {
            (0..PARTITIONS).map(place).collect()
        }

        /// Ends a round: what has no owner goes to whoever is to have it, what has another one is given up.
        fn round(&mut self) {
            self.changing = false;
            for (one, to) in &self.wanted {
                match self.owner.get(one).copied() {
                    Some(from) if from != *to => {
                        self.owner.remove(one);
                        self.owes[from] = true;
                    }
                    Some(_) => {}
                    None => {
                        self.owner.insert(one.clone(), *to);
                    }
                }
            }
            for lookout in &mut self.lookouts {
                lookout.given(self.now);
            }
        }

        fn look(&mut self) -> Result<(), TestCaseError> {
            for member in 0..MEMBERS {
                if !self.lookouts[member].due(self.now) {
                    continue;
                }
                let owned: BTreeSet<Place> = self.owner.keys().cloned().collect();
                let seen = (!self.changing).then_some(&owned);
                if self.lookouts[member].saw(seen, &Self::all(), self.now) {
                    prop_assert!(!self.changing, "a round is under way already");
                    prop_assert!(owned != Self::all(), "nothing is left to nobody");
                    self.nudged += 1;
                    self.round();
                }
            }
            Ok(())
        }

        fn happen(&mut self, event: &Event) -> Result<(), TestCaseError> {
            match event {
                Event::Move(one, to) => {
                    self.wanted.insert(place(*one), *to);
                    self.changing = true;
                }
                Event::Round if self.changing => self.round(),
                Event::Second(member) if self.owes[*member] => {
                    self.owes[*member] = false;
                    self.changing = true;
                }
                // It is handed what it had, without a round, and has forgotten what it owed.
                Event::ComeBack(member) if !self.changing => {
                    self.owes[*member] = false;
                    self.lookouts[*member].given(self.now);
                }
                Event::Wait(millis) => {
                    self.now += Duration::from_millis(*millis);
                    self.look()?;
                }
                _ => {}
            }
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn in_the_end_every_partition_has_an_owner(events in prop::collection::vec(event(), 0..60)) {
            let mut group = Group::new();
            for event in &events {
                group.happen(event)?;
            }
            // Nobody asks for anything any more; rounds that are under way end.
            group.owes = [false; MEMBERS];
            for _ in 0..20 {
                group.happen(&Event::Round)?;
                group.owes = [false; MEMBERS];
                group.happen(&Event::Wait(5_000))?;
            }
            let owned: BTreeSet<Place> = group.owner.keys().cloned().collect();
            prop_assert_eq!(owned, Group::all());
            // And then it is left alone.
            let before = group.nudged;
            for _ in 0..5 {
                group.happen(&Event::Wait(60_000))?;
            }
            prop_assert_eq!(group.nudged, before);
            prop_assert!(group.lookouts.iter().all(|lookout| lookout.look_at.is_none()));
        }
    }

    #[test]
    fn one_that_dies_between_the_two_rounds_of_a_move_leaves_nothing_behind() {
        let mut group = Group::new();
        for event in [
            Event::Move(2, 1),
            Event::Round,
            Event::ComeBack(0),
            Event::Wait(2_900),
        ] {
            group.happen(&event).unwrap();
        }
        assert!(!group.owner.contains_key(&place(2)), "nobody has it");
        assert_eq!(group.nudged, 0, "a move may be under way still");
        group.happen(&Event::Wait(200)).unwrap();
        assert_eq!(group.owner.get(&place(2)), Some(&1));
        assert_eq!(group.nudged, 1, "one of them was enough");
    }
}
