//! What the client library says, in words for a user.

/// A sentence of the client without what tells a user nothing: how it writes addresses, the state that its connection was in.
pub(super) fn plain(sentence: &str) -> String {
    let mut plain = sentence.replace("ipv4#", "").replace("ipv6#", "");
    // It is what such a sentence ends with.
    if let Some(begin) = plain.rfind(" (after ")
        && plain[begin..].contains(" in state ")
    {
        plain.truncate(begin);
    }
    plain
}

/// A line of the client without the name of the thread that wrote it, which tells a user nothing.
pub(super) fn without_thread(line: &str) -> &str {
    line.strip_prefix("[thrd:")
        .and_then(|rest| rest.split_once("]: "))
        .map_or(line, |(_, said)| said)
}

/// Why a client cannot be made.
pub(super) fn unmade(reason: &str) -> String {
    // It would be advised to compile the library again. Kafka's own default, too, is a mechanism that is not there.
    if let Some(rest) = reason.strip_prefix("No provider for SASL mechanism ") {
        let mechanism = rest.split(':').next().unwrap_or(rest);
        return format!(
            "there is no login by {mechanism}: set kafka.sasl.mechanism to PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or \
             OAUTHBEARER"
        );
    }
    format!("the Kafka client cannot be made: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_went_through_is_not_told() {
        for (said, plainly) in [
            (
                "Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT, 1 identical error(s) suppressed)",
                "Connect to 127.0.0.1:9092 failed: Connection refused",
            ),
            ("wrong (after all): why", "wrong (after all): why"),
            ("cut (after 5ms", "cut (after 5ms"),
        ] {
            assert_eq!(plain(said), plainly);
        }
    }

    #[test]
    fn what_the_client_says_is_told_without_its_threads() {
        let said = "[thrd:ssl://[::1]:9/bootstrap]: ssl://[::1]:9/bootstrap: refused";
        assert_eq!(without_thread(said), "ssl://[::1]:9/bootstrap: refused");
        assert_eq!(without_thread("[x]: y"), "[x]: y");
    }

    #[test]
    fn a_login_that_is_not_there_is_answered_with_those_that_are() {
        let reason = "No provider for SASL mechanism GSSAPI: recompile librdkafka with libsasl2";
        let said = unmade(reason);
        assert!(said.starts_with("there is no login by GSSAPI: set kafka.sasl.mechanism"));
        assert!(unmade("why").ends_with(": why"));
    }
}
