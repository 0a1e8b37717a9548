//! The client's statistics: the few numbers of its JSON that are used here.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What a client says of itself, every second or so.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Statistics {
    #[serde(default)]
    pub(crate) brokers: BTreeMap<String, Broker>,
    #[serde(default)]
    pub(crate) topics: BTreeMap<String, Topic>,
}

/// A broker as the client sees it.
#[derive(Debug, Deserialize)]
pub(crate) struct Broker {
    pub(crate) nodeid: i32,
    pub(crate) state: String,
    /// Requests that wait for an answer.
    #[serde(default)]
    pub(crate) waitresp_cnt: i64,
    /// Microseconds since the last byte came; negative when none did.
    #[serde(default)]
    pub(crate) rxidle: i64,
    /// From request to answer, since the last statistics.
    #[serde(default)]
    rtt: RoundTrips,
}

/// Microseconds from requests to their answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RoundTrips {
    cnt: i64,
    min: i64,
}

/// A topic as the client sees it.
#[derive(Debug, Deserialize)]
pub(crate) struct Topic {
    #[serde(default)]
    pub(crate) partitions: BTreeMap<String, Partition>,
}

/// A partition as the client sees it.
#[derive(Debug, Deserialize)]
pub(crate) struct Partition {
    pub(crate) partition: i32,
    #[serde(default = "nobody")]
    pub(crate) leader: i32,
    /// Not known to the broker.
    #[serde(default)]
    pub(crate) unknown: bool,
    /// The last stable offset; negative where not known.
    #[serde(default = "unknown_offset")]
    pub(crate) ls_offset: i64,
}

fn nobody() -> i32 {
    -1
}

fn unknown_offset() -> i64 {
    -1001
}

/// A broker with a request that waits longer than this and no byte since is taken for one that does not answer.
const SILENCE_MICROS: i64 = 5_000_000;

/// The fastest answer of a second took no longer than this: the rest of the time is the broker's work, not the way.
const NEAR_MICROS: i64 = 600;

impl Broker {
    /// Whether it is near; None where nothing was asked lately.
    pub(crate) fn near(&self) -> Option<bool> {
        (self.rtt.cnt > 0).then_some(self.rtt.min <= NEAR_MICROS)
    }

    /// Whether it answers: connected, and no request has waited in silence. A fetch is answered within its waiting time,
    /// which is far shorter.
    pub(crate) fn answers(&self) -> bool {
        self.state == "UP" && !(self.waitresp_cnt > 0 && self.rxidle > SILENCE_MICROS)
    }
}

impl Statistics {
    /// The statistics in the client's JSON; empty where it cannot be read.
    pub(crate) fn read(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// Whether any broker answers.
    pub(crate) fn any_answers(&self) -> bool {
        self.brokers.values().any(Broker::answers)
    }

    /// Whether the broker of this number answers.
    pub(crate) fn answers(&self, node: i32) -> bool {
        self.brokers
            .values()
            .any(|broker| broker.nodeid == node && broker.answers())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"name":"x","brokers":{
        "a:1/1":{"nodeid":1,"state":"UP","waitresp_cnt":1,"rxidle":1000,"x":[1],
            "rtt":{"min":180,"max":9000,"avg":1100,"cnt":412}},
        "a:2/2":{"nodeid":2,"state":"UP","waitresp_cnt":1,"rxidle":9000000,
            "rtt":{"min":2100,"max":9000,"avg":2400,"cnt":3}},
        "a:3/3":{"nodeid":3,"state":"CONNECT","waitresp_cnt":0,"rxidle":-1}},
        "topics":{"t":{"partitions":{"0":{"partition":0,"leader":1,"unknown":false,"ls_offset":7},
        "-1":{"partition":-1,"leader":-1,"unknown":false}}}}}"#;

    #[test]
    fn a_broker_that_keeps_a_request_in_silence_does_not_answer() {
        let statistics = Statistics::read(JSON);
        assert!(statistics.answers(1));
        assert!(!statistics.answers(2));
        assert!(!statistics.answers(3));
        assert!(statistics.any_answers());
        assert_eq!(statistics.topics["t"].partitions["0"].ls_offset, 7);
    }

    #[test]
    fn a_broker_is_near_by_its_fastest_answer() {
        let statistics = Statistics::read(JSON);
        let near: Vec<_> = statistics.brokers.values().map(Broker::near).collect();
        assert_eq!(near, [Some(true), Some(false), None]);
    }

    #[test]
    fn broken_statistics_are_empty() {
        assert!(!Statistics::read("{").any_answers());
    }
}
