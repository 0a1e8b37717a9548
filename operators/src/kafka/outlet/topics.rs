//! The topics that an outlet writes: that of an option, known at the start, and those of a column, asked for aside when a row names one.

use std::sync::Arc;
use std::task::Waker;

use thalweg_engine::behalf::carrying;
use thalweg_engine::error::{Failure, RecordError};

use super::super::client::Client;
use super::super::outlet_settings::{Found, limits};
use super::super::scout::Scout;
use super::super::target::Target;
use super::Shared;

/// What is known of a topic that a column names.
pub(crate) enum LookUp {
    /// It can be written.
    Known(Arc<Target>),
    /// It cannot.
    Unusable(RecordError),
    /// The broker is being asked.
    Asked,
}

/// Starts the thread that asks for the topics of a column. It ends by itself once the outlet is closed: a broker that is
/// away would hold up who waits for it.
pub(super) fn inquire(scout: Scout, shared: &Arc<Shared>) -> Result<(), Failure> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name("kafka-topics".to_owned())
        .spawn(carrying(move || {
            if let Some(inquiry) = &shared.inquiry {
                inquiry.serve(&scout, |scout, name, partitions| {
                    shared.add_found(scout, name, partitions)
                });
            }
        }))
        .map(|_| ())
        .map_err(|error| Failure::restart(format!("no thread for the topics of a column: {error}")))
}

impl Shared {
    pub(super) fn add_target(
        &self,
        client: &Arc<Client>,
        name: &str,
        found: &Found,
    ) -> Result<Arc<Target>, Failure> {
        let limit = found
            .max
            .map_or(self.client_max, |max| max.min(self.client_max));
        let target = Arc::new(Target::new(
            client,
            name,
            found.partitions,
            limit,
            self.batch,
            &self.brokers,
        )?);
        let mut targets = self.targets.write();
        Ok(Arc::clone(targets.entry(name.to_owned()).or_insert(target)))
    }

    /// The topic of the option.
    pub(crate) fn known(&self, name: &str) -> Option<Arc<Target>> {
        self.targets.read().get(name).cloned()
    }

    /// The topic of a column. One that is not known yet is asked for aside.
    pub(crate) fn look_up(&self, name: &str) -> LookUp {
        if let Some(target) = self.known(name) {
            return LookUp::Known(target);
        }
        let reason = match &self.inquiry {
            Some(inquiry) => match inquiry.put(name) {
                Some(reason) => reason,
                None => return LookUp::Asked,
            },
            None => "it is not the topic of the option `topic`".to_owned(),
        };
        LookUp::Unusable(
            RecordError::write(format!(
                "the topic of the column `topic` cannot be written: {reason}"
            ))
            .with_content(name),
        )
    }

    /// Whether the broker is still asked for this topic; the waker is woken when it has answered.
    pub(crate) fn waits_for(&self, topic: &str, waker: &Waker) -> bool {
        self.inquiry
            .as_ref()
            .is_some_and(|inquiry| inquiry.waits(topic, waker))
    }

    /// Makes a topic that was found one that can be written; gives the reason where that cannot be.
    fn add_found(
        &self,
        scout: &Scout,
        name: &str,
        partitions: i32,
    ) -> Result<Option<String>, Failure> {
        let found = limits(scout, name, partitions)?;
        if found.max.is_some_and(|max| max < self.client_max) {
            return Ok(Some(format!(
                "its max.message.bytes is below {}: set kafka.message.max.bytes to it",
                self.client_max
            )));
        }
        // Held meanwhile, so that a close either sees the topic or comes first.
        let client = self.client.lock();
        let Some(client) = &*client else {
            return Ok(None);
        };
        self.add_target(client, name, &found)?;
        Ok(None)
    }
}
