//! An input that several processes share, as the source's contract asks for it: joining, accompanying, where a partition goes on, letting go.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_engine::error::Failure;
use thalweg_engine::source::{Resume, Sharers, Start, TellOwnership};

use super::consumer::Consumer;
use super::group;
use super::lease::Lease;
use super::membership::{Member, session};
use super::scout::Scout;
use super::source::KafkaSource;
use super::starting::{Place, Subscription, partition_name, place_of, resumed};
use super::strangers::Kin;

impl KafkaSource {
    /// As [`thalweg_engine::source::Source::join`].
    pub(super) fn join_group(
        &self,
        state: Option<&[u8]>,
        tell: TellOwnership,
    ) -> Result<(), Failure> {
        let (all, name) = self.open_shared(state)?;
        let kin = Kin::new(&self.context.job, self.connection().property("client.id"));
        let consumer = self.consumer()?;
        let view = group::view(&consumer.shared.client, &self.group);
        if let Some(stranger) = view.and_then(|view| kin.stranger(&view, None)) {
            return Err(kin.refusal(&self.group, &stranger));
        }
        Member::join(
            self.connection(),
            (&self.group, name, kin),
            all,
            tell,
            &consumer.shared,
        )
    }

    /// As [`thalweg_engine::source::Source::accompany`].
    pub(super) fn accompany_group(&self, state: Option<&[u8]>) -> Result<(), Failure> {
        self.open_shared(state).map(drop)
    }

    /// Makes the client that reads a shared input. Gives what there is to share out, and the name of this member.
    fn open_shared(&self, state: Option<&[u8]>) -> Result<(BTreeSet<Place>, &str), Failure> {
        let (Subscription::Topics(_), Some(name)) =
            (&self.settings.subscription, &self.context.member)
        else {
            return Err(Failure::refuse(
                "several processes share the topics that `subscribe` names: `assign` and `subscribePattern` cannot be taken \
                 with assignment = 'group'",
            ));
        };
        let scout = Scout::connect(self.connection(), &self.group)?;
        let topics = self.topics(&scout)?;
        // What the topics were at the first start of all: whether they have grown or were made again.
        let resume = Resume {
            checkpoint: "",
            epoch: 0,
            rewound: false,
            positions: &BTreeMap::new(),
            state,
        };
        self.identify(&scout, &topics, state.is_some().then_some(&resume))?;
        let all: BTreeSet<Place> = self.places(&topics)?.into_iter().collect();
        let names: Vec<&str> = topics.keys().map(String::as_str).collect();
        self.start_consumer(all.len(), &names)?;
        let shared = &self.consumer()?.shared;
        let lease = Lease::new(session(self.connection()), shared.millis());
        // A consumer that is new has none yet.
        let _ = shared.lease.set(lease);
        Ok((all, name))
    }

    /// As [`thalweg_engine::source::Source::start_of`].
    pub(super) fn start_of_one(
        &self,
        partition: &str,
        resume: &Resume<'_>,
    ) -> Result<Start, Failure> {
        let (topic, number) = place_of(partition).ok_or_else(|| {
            Failure::refuse(format!(
                "`{partition}` is not the name of a Kafka partition"
            ))
        })?;
        let consumer = self.consumer()?;
        consumer.healthy()?;
        let scout = consumer.scout();
        let places = [(topic.to_owned(), number)];
        self.group_offsets(&scout, &places, Some(resume))?;
        let ends = self.ends_of(&scout, &places)?;
        let start = resumed(&ends, resume, self.settings.fail_on_data_loss)?.pop();
        start.ok_or_else(|| Failure::restart(format!("{partition} is not there")))
    }

    /// As [`thalweg_engine::source::Source::release`].
    pub(super) fn let_go(&self) {
        let Ok(consumer) = self.consumer() else {
            return;
        };
        let member = consumer.shared.member.get();
        if let Some(Err(failure)) = member.map(|member| member.let_go()) {
            consumer.shared.fail(failure);
        }
    }
}

impl Consumer {
    /// As [`thalweg_engine::source::Source::sharers`].
    pub(super) fn sharers(&self) -> Option<Sharers> {
        let member = self.shared.member.get()?;
        let view = member.view()?;
        let named = |places: BTreeSet<Place>| {
            let places = places.into_iter();
            places
                .map(|(topic, number)| partition_name(&topic, number))
                .collect()
        };
        let shares = view
            .members
            .into_iter()
            .map(|(name, member)| (name, member.owned));
        Some(Sharers {
            own: member.name().clone(),
            shares: shares.map(|(name, share)| (name, named(share))).collect(),
        })
    }

    /// Whether it has not failed.
    pub(super) fn healthy(&self) -> Result<(), Failure> {
        self.shared.failure().map_or(Ok(()), Err)
    }
}
