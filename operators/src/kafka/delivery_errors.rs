//! What an error in a delivery report does to the run.

use thalweg_engine::error::{Failure, Remedy};

use super::codes::Code;

/// A row of the table of delivery errors.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryError {
    /// The error's number: below zero the client's, above zero the broker's.
    pub code: i32,
    /// Whether a new run may heal it.
    pub remedy: Remedy,
    /// What to do, for the user.
    pub advice: &'static str,
}

const fn row(code: i32, remedy: Remedy, advice: &'static str) -> DeliveryError {
    DeliveryError {
        code,
        remedy,
        advice,
    }
}

/// All delivery errors that are known to end the query, and those whose new run needs an explanation. Every other error
/// makes a new run from the newest checkpoint. An error is of a whole batch, so no record is ever skipped because of it.
pub const DELIVERY_ERRORS: &[DeliveryError] = &[
    row(29, Remedy::End, "grant this user WRITE on the topic"),
    row(
        31,
        Remedy::End,
        "grant this user IDEMPOTENT_WRITE on the cluster or WRITE on the topic",
    ),
    row(53, Remedy::End, "grant this user the transactional id"),
    row(
        3,
        Remedy::End,
        "the topic or partition does not exist any more: make it again",
    ),
    row(17, Remedy::End, "the topic's name is not allowed"),
    row(-188, Remedy::End, "the topic does not exist: make it"),
    row(
        -190,
        Remedy::End,
        "the topic or partition does not exist any more: make it again",
    ),
    row(
        10,
        Remedy::End,
        "the topic's max.message.bytes was lowered: raise it, or set kafka.message.max.bytes to it",
    ),
    row(
        18,
        Remedy::End,
        "the topic's segment.bytes is smaller than a batch: raise it",
    ),
    row(
        87,
        Remedy::End,
        "the topic refuses the record: a compacted topic needs a key, or its timestamp is too far off",
    ),
    row(
        32,
        Remedy::End,
        "the topic's timestamp check refuses the record: see message.timestamp.before.max.ms",
    ),
    row(
        76,
        Remedy::End,
        "the topic does not allow this kafka.compression.type",
    ),
    row(21, Remedy::End, "the broker does not allow these acks"),
    row(44, Remedy::End, "a policy of the broker refuses the record"),
    row(
        -150,
        Remedy::Restart,
        "the producer has failed for good; a new one is made",
    ),
    row(
        47,
        Remedy::Restart,
        "another producer has taken over the identity; a new one is made",
    ),
    row(
        90,
        Remedy::Restart,
        "another producer has taken over the identity; a new one is made",
    ),
    row(
        45,
        Remedy::Restart,
        "the broker has lost the producer's sequence; a new producer is made",
    ),
    row(
        59,
        Remedy::Restart,
        "the broker has forgotten the producer; a new one is made",
    ),
    row(
        56,
        Remedy::Restart,
        "the broker's log folder has failed; another broker may take over",
    ),
];

/// The failure of a run whose delivery report holds an error.
pub(crate) fn failure(code: Code, topic: &str, partition: i32) -> Failure {
    judged(
        code,
        &format!(
            "records for {topic}/{partition} were not taken: {}",
            code.describe()
        ),
    )
}

/// The failure of a run whose producer has failed for good, for this reason. The reports of its records say only that they
/// were given up.
pub(crate) fn fatal(code: Code, reason: &str, topics: &str) -> Failure {
    judged(
        code,
        &format!("records for {topics} are not taken, the producer has failed for good: {reason}"),
    )
}

fn judged(code: Code, what: &str) -> Failure {
    let known = DELIVERY_ERRORS.iter().find(|known| known.code == code.0);
    let advice = known.map_or(String::new(), |known| format!(" ({})", known.advice));
    let message = format!("{what} [{}]{advice}", code.name());
    match known.map_or(Remedy::Restart, |known| known.remedy) {
        Remedy::End => Failure::end(message),
        Remedy::Refuse => Failure::refuse(message),
        Remedy::Restart => Failure::restart(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_once_and_is_known_to_the_client() {
        for (index, error) in DELIVERY_ERRORS.iter().enumerate() {
            assert!(
                !Code(error.code).name().starts_with("error "),
                "{}",
                error.code
            );
            assert!(
                DELIVERY_ERRORS[..index]
                    .iter()
                    .all(|other| other.code != error.code)
            );
        }
    }

    #[test]
    fn a_missing_right_ends_the_query_and_a_failed_producer_makes_a_new_run() {
        let refused = failure(Code::TOPIC_AUTHORIZATION_FAILED, "out", 3);
        assert_eq!(refused.remedy, Remedy::End);
        assert!(refused.message.contains("out/3") && refused.message.contains("WRITE"));
        assert_eq!(failure(Code::FATAL, "out", 0).remedy, Remedy::Restart);
        let no_right = fatal(Code::CLUSTER_AUTHORIZATION_FAILED, "no identity", "out");
        assert_eq!(no_right.remedy, Remedy::End);
        assert!(no_right.message.contains("out") && no_right.message.contains("WRITE"));
        assert_eq!(failure(Code(19), "out", 0).remedy, Remedy::Restart);
    }
}
