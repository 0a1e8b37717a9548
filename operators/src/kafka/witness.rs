//! The position in the Kafka group as a witness of checkpoints: text that a commit stores beside each offset.

use thalweg_engine::epoch::checkpoint::START_MAX;
use thalweg_engine::error::Failure;
use thalweg_engine::source::Resume;

use crate::table::OpenContext;

/// What our commits say beside the offset: `thalweg/1 <job> <query> <checkpoint> <epoch>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Witness {
    pub(crate) checkpoint: String,
    pub(crate) epoch: u64,
}

const FORMAT: &str = "thalweg/1";

impl Witness {
    /// The text for the group.
    pub(crate) fn text(&self, context: &OpenContext) -> String {
        format!(
            "{FORMAT} {} {} {} {}",
            word(&context.job),
            word(&context.query),
            self.checkpoint,
            self.epoch
        )
    }

    /// The witness in a text of the group; None for what another wrote, or another query of ours.
    pub(crate) fn read(text: &[u8], context: &OpenContext) -> Option<Self> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        let ours = words.next()? == FORMAT
            && words.next()? == word(&context.job)
            && words.next()? == word(&context.query);
        let witness = Self {
            checkpoint: words.next()?.to_owned(),
            epoch: words.next()?.parse().ok()?,
        };
        (ours && words.next().is_none()).then_some(witness)
    }
}

/// A name as one word of the text.
fn word(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_whitespace() { '_' } else { c })
        .collect()
}

/// The consumer group of a query: `kafka.group.id`, else prefix and names.
pub(crate) fn group_id(given: Option<&str>, prefix: Option<&str>, context: &OpenContext) -> String {
    given.map_or_else(
        || match prefix {
            Some(prefix) => format!("{prefix}-{}-{}", context.job, context.query),
            None => format!("{}-{}", context.job, context.query),
        },
        str::to_owned,
    )
}

/// Compares what the group holds with the checkpoint that the run starts from.
///
/// | checkpoint | newest witness of ours | then |
/// | --- | --- | --- |
/// | none | none | a first start |
/// | none | some | refused, unless the user asked for a fresh start |
/// | some | of another checkpoint, or not ahead | goes on |
/// | some | of this checkpoint and ahead | refused, unless the checkpoint was set back by hand |
/// | the start that processes share | of a partition that has none of its own | refused, unless the user asked for a fresh start |
pub(crate) fn judge(
    witnesses: &[Witness],
    resume: Option<&Resume<'_>>,
    group: &str,
    context: &OpenContext,
) -> Result<(), Failure> {
    let Some(resume) = resume else {
        let Some(newest) = witnesses.iter().max_by_key(|witness| witness.epoch) else {
            return Ok(());
        };
        if context.fresh {
            return Ok(());
        }
        return Err(Failure::refuse(format!(
            "there is no checkpoint in {}, but the Kafka group `{group}` says that this query has committed epoch {} of \
             checkpoint {}: was the folder lost or is its path wrong? Restore it, or start with --fresh to begin anew",
            context.checkpoint, newest.epoch, newest.checkpoint
        )));
    };
    let ahead = witnesses
        .iter()
        .filter(|witness| witness.checkpoint == resume.checkpoint)
        .map(|witness| witness.epoch)
        .max()
        .filter(|epoch| *epoch > resume.epoch);
    match ahead {
        Some(epoch) if context.member.is_some() && !resume.rewound => {
            if resume.epoch <= START_MAX && context.fresh {
                return Ok(());
            }
            Err(Failure::refuse(format!(
                "the newest checkpoint of a partition in {}/lanes is epoch {}, but the Kafka group `{group}` says that its epoch {epoch} \
                 was committed: newer files were deleted. Restore them, or go back on purpose with `thalweg checkpoint rollback` to an \
                 epoch that is kept there; where none is, a start with --fresh reads the partition from where the query began",
                context.checkpoint, resume.epoch
            )))
        }
        Some(epoch) if !resume.rewound => Err(Failure::refuse(format!(
            "the newest checkpoint in {} is epoch {}, but the Kafka group `{group}` says that epoch {epoch} was \
             committed: newer files were deleted. Restore them, or go back on purpose with `thalweg checkpoint rollback {} {}`",
            context.checkpoint, resume.epoch, context.checkpoint, resume.epoch
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn context(fresh: bool) -> OpenContext {
        OpenContext {
            job: "loyalty points".into(),
            query: "notification".into(),
            run: "r1".into(),
            temporary: false,
            fresh,
            checkpoint: "./checkpoints/notification".into(),
            member: None,
            further: false,
            delivery_timeout: Duration::from_secs(120),
            trigger_interval: None,
            bounded: false,
            complete: false,
            partitioned: false,
            coordinates: crate::coordinates::Coordinates::Off,
            time_zone: crate::expr::calendar::Zone::UTC,
        }
    }

    fn witness(checkpoint: &str, epoch: u64) -> Witness {
        Witness {
            checkpoint: checkpoint.into(),
            epoch,
        }
    }

    fn judged(held: &[Witness], at: Option<(&str, u64, bool)>, fresh: bool) -> Result<(), Failure> {
        let positions = BTreeMap::new();
        let resume = at.map(|(checkpoint, epoch, rewound)| Resume {
            checkpoint,
            epoch,
            rewound,
            positions: &positions,
            state: None,
        });
        judge(held, resume.as_ref(), "g", &context(fresh))
    }

    #[test]
    fn a_witness_is_read_as_it_was_written() {
        let written = witness("c1", 77).text(&context(false));
        assert_eq!(written, "thalweg/1 loyalty_points notification c1 77");
        assert_eq!(
            Witness::read(written.as_bytes(), &context(false)),
            Some(witness("c1", 77))
        );
    }

    #[test]
    fn what_others_wrote_is_no_witness() {
        for text in [
            "",
            "x",
            "thalweg/1 other notification c1 7",
            "thalweg/2 loyalty_points notification c1 7",
        ] {
            assert_eq!(
                Witness::read(text.as_bytes(), &context(false)),
                None,
                "{text}"
            );
        }
        assert_eq!(Witness::read(&[0xff, 0xfe], &context(false)), None);
    }

    #[test]
    fn a_lost_folder_is_refused_unless_the_start_is_fresh() {
        let refused = judged(&[witness("c1", 7)], None, false).unwrap_err();
        assert!(refused.message.contains("./checkpoints/notification"));
        assert!(refused.message.contains("`g`"));
        assert!(judged(&[witness("c1", 7)], None, true).is_ok());
        assert!(judged(&[], None, false).is_ok());
    }

    #[test]
    fn a_witness_ahead_of_the_checkpoint_is_refused_with_both_numbers() {
        let refused = judged(&[witness("c1", 9)], Some(("c1", 7, false)), false).unwrap_err();
        assert!(refused.message.contains("epoch 7") && refused.message.contains("epoch 9"));
        assert!(judged(&[witness("c1", 9)], Some(("c1", 7, true)), false).is_ok());
        assert!(judged(&[witness("c1", 7)], Some(("c1", 7, false)), false).is_ok());
        assert!(judged(&[witness("other", 9)], Some(("c1", 7, false)), false).is_ok());
    }

    #[test]
    fn a_shared_partition_without_its_checkpoints_is_refused_unless_the_start_is_fresh() {
        let judged = |epoch: u64, fresh: bool| {
            let (positions, mut context) = (BTreeMap::new(), context(fresh));
            context.member = Some("a".into());
            let resume = Resume {
                checkpoint: "c1",
                epoch,
                rewound: false,
                positions: &positions,
                state: None,
            };
            judge(&[witness("c1", 9)], Some(&resume), "g", &context)
        };
        let refused = judged(0, false).unwrap_err().message;
        assert!(
            refused.contains("--fresh") && refused.contains("/lanes"),
            "{refused}"
        );
        assert!(judged(0, true).is_ok());
        assert!(
            judged(7, true).is_err(),
            "what is kept of it is not passed over"
        );
    }
}
