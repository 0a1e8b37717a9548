//! Error codes of the client and of brokers.

use std::fmt;

use rdkafka_sys as sys;

use super::client::text;

/// An error code of the client (negative) or of a broker (positive).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Code(pub(crate) i32);

impl Code {
    pub(crate) const OK: Self = Self(0);
    pub(crate) const BAD_COMPRESSION: Self = Self(-198);
    pub(crate) const BAD_MSG: Self = Self(-199);
    pub(crate) const TRANSPORT: Self = Self(-195);
    pub(crate) const RESOLVE: Self = Self(-193);
    /// Given up because the output is closed.
    pub(crate) const PURGED: Self = Self(-152);
    pub(crate) const PARTITION_EOF: Self = Self(-191);
    pub(crate) const UNKNOWN_PARTITION: Self = Self(-190);
    pub(crate) const UNKNOWN_TOPIC: Self = Self(-188);
    pub(crate) const ALL_BROKERS_DOWN: Self = Self(-187);
    pub(crate) const TIMED_OUT: Self = Self(-185);
    pub(crate) const QUEUE_FULL: Self = Self(-184);
    pub(crate) const SSL: Self = Self(-181);
    pub(crate) const AUTHENTICATION: Self = Self(-169);
    pub(crate) const UNSUPPORTED_FEATURE: Self = Self(-165);
    pub(crate) const ASSIGN_PARTITIONS: Self = Self(-175);
    pub(crate) const REVOKE_PARTITIONS: Self = Self(-174);
    pub(crate) const ILLEGAL_GENERATION: Self = Self(22);
    pub(crate) const REBALANCE_IN_PROGRESS: Self = Self(27);
    pub(crate) const FENCED_INSTANCE_ID: Self = Self(82);
    pub(crate) const FATAL: Self = Self(-150);
    pub(crate) const FENCED: Self = Self(-144);
    pub(crate) const INVALID_PRODUCER_EPOCH: Self = Self(47);
    pub(crate) const PRODUCER_FENCED: Self = Self(90);
    pub(crate) const AUTO_OFFSET_RESET: Self = Self(-140);
    pub(crate) const UNKNOWN_TOPIC_OR_PART: Self = Self(3);
    pub(crate) const LEADER_NOT_AVAILABLE: Self = Self(5);
    pub(crate) const NOT_LEADER_FOR_PARTITION: Self = Self(6);
    pub(crate) const REQUEST_TIMED_OUT: Self = Self(7);
    pub(crate) const MSG_SIZE_TOO_LARGE: Self = Self(10);
    pub(crate) const COORDINATOR_LOAD_IN_PROGRESS: Self = Self(14);
    pub(crate) const COORDINATOR_NOT_AVAILABLE: Self = Self(15);
    pub(crate) const NOT_COORDINATOR: Self = Self(16);
    pub(crate) const TOPIC_AUTHORIZATION_FAILED: Self = Self(29);
    pub(crate) const GROUP_AUTHORIZATION_FAILED: Self = Self(30);
    pub(crate) const CLUSTER_AUTHORIZATION_FAILED: Self = Self(31);
    pub(crate) const TOPIC_ALREADY_EXISTS: Self = Self(36);
    pub(crate) const UNSUPPORTED_VERSION: Self = Self(35);
    pub(crate) const NOT_CONTROLLER: Self = Self(41);
    pub(crate) const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: Self = Self(53);
    pub(crate) const UNKNOWN_TOPIC_ID: Self = Self(100);

    fn native(self) -> Option<sys::rd_kafka_resp_err_t> {
        sys::rd_kafka_resp_err_t::try_from(self.0).ok()
    }

    /// The code's name, such as `TOPIC_AUTHORIZATION_FAILED`.
    pub(crate) fn name(self) -> String {
        self.native().map_or_else(
            || format!("error {}", self.0),
            // SAFETY: the function returns a static, terminated string for every code.
            |code| unsafe { text(sys::rd_kafka_err2name(code)) },
        )
    }

    /// The client's sentence for the code.
    pub(crate) fn describe(self) -> String {
        self.native().map_or_else(
            || format!("error {}", self.0),
            // SAFETY: as above.
            |code| unsafe { text(sys::rd_kafka_err2str(code)) },
        )
    }
}

impl From<sys::rd_kafka_resp_err_t> for Code {
    fn from(code: sys::rd_kafka_resp_err_t) -> Self {
        Self(code as i32)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_code_has_a_number_for_a_name() {
        assert_eq!(Code(31_000).name(), "error 31000");
        assert_eq!(Code(29).name(), "TOPIC_AUTHORIZATION_FAILED");
    }

    #[test]
    fn the_constants_are_the_clients() {
        use sys::rd_kafka_resp_err_t as Native;
        for (ours, native) in [
            (
                Code::BAD_COMPRESSION,
                Native::RD_KAFKA_RESP_ERR__BAD_COMPRESSION,
            ),
            (Code::BAD_MSG, Native::RD_KAFKA_RESP_ERR__BAD_MSG),
            (Code::TRANSPORT, Native::RD_KAFKA_RESP_ERR__TRANSPORT),
            (Code::RESOLVE, Native::RD_KAFKA_RESP_ERR__RESOLVE),
            (
                Code::PARTITION_EOF,
                Native::RD_KAFKA_RESP_ERR__PARTITION_EOF,
            ),
            (
                Code::UNKNOWN_PARTITION,
                Native::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
            ),
            (
                Code::UNKNOWN_TOPIC,
                Native::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            ),
            (Code::QUEUE_FULL, Native::RD_KAFKA_RESP_ERR__QUEUE_FULL),
            (Code::FENCED, Native::RD_KAFKA_RESP_ERR__FENCED),
            (
                Code::INVALID_PRODUCER_EPOCH,
                Native::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
            ),
            (
                Code::PRODUCER_FENCED,
                Native::RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
            ),
            (
                Code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                Native::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            ),
            (
                Code::ALL_BROKERS_DOWN,
                Native::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
            ),
            (Code::TIMED_OUT, Native::RD_KAFKA_RESP_ERR__TIMED_OUT),
            (
                Code::REQUEST_TIMED_OUT,
                Native::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            ),
            (
                Code::NOT_CONTROLLER,
                Native::RD_KAFKA_RESP_ERR_NOT_CONTROLLER,
            ),
            (Code::SSL, Native::RD_KAFKA_RESP_ERR__SSL),
            (
                Code::AUTHENTICATION,
                Native::RD_KAFKA_RESP_ERR__AUTHENTICATION,
            ),
            (Code::FATAL, Native::RD_KAFKA_RESP_ERR__FATAL),
            (
                Code::AUTO_OFFSET_RESET,
                Native::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET,
            ),
            (
                Code::UNKNOWN_TOPIC_ID,
                Native::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID,
            ),
            (
                Code::MSG_SIZE_TOO_LARGE,
                Native::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
            ),
        ] {
            assert_eq!(ours, Code::from(native));
        }
    }
}
